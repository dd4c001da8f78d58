// Start-up garbage is given back, and scripts are not left with a collector to call.
import { test } from "tap";
import { releaseStartupMemory } from "../../src/lib/memory.ts";

test("memory: garbage is collected at once", (t) => {
  let big: Uint8Array[] | undefined = Array.from({ length: 200 }, () => new Uint8Array(100_000).fill(1));
  const held = process.memoryUsage().arrayBuffers;
  t.equal(big.length, 200);
  big = undefined;
  releaseStartupMemory();
  t.ok(held - process.memoryUsage().arrayBuffers > 15_000_000, "20 MB less");
  t.equal(globalThis.gc, undefined);
  t.end();
});
