// Explain fits a screen: every scenario whose topic it is, and the words that depend on names.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { test } from "tap";
import { explain } from "../../src/engine/decide.ts";
import { imagePatch, rolloutManifest, World } from "../support/world.ts";

const COLUMNS = 80;
const ROWS = 24;

test("explain: what it says of common states fits 24 rows of 80 columns", async (t) => {
  const files = await Array.fromAsync(glob(`${import.meta.dirname}/../scenarios/explain-*.txt`));
  t.ok(files.length >= 8, `${files.length} scenarios`);
  for (const file of files) {
    const [, shown = ""] = readFileSync(file, "utf8").split("> explain\n");
    const lines = shown.trimEnd().split("\n");
    t.ok(lines.length > 2 && lines.length <= ROWS, `${file}: ${lines.length} rows`);
    t.strictSame(
      lines.filter((line) => line.length > COLUMNS),
      [],
      file,
    );
  }
});

test("explain: commands name the namespace unless it is the default one", async (t) => {
  const manifest = rolloutManifest({ replicas: 1, steps: [{ setWeight: 50 }, { pause: {} }] });
  const world = new World({ ...manifest, metadata: { ...manifest.metadata, namespace: "shop" } });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  t.ok(explain(world.plan(), world.nowMs).includes("moves on: weir promote web -n shop"));
});

test("explain: a first version that does not come up is no case for an abort", async (t) => {
  const world = new World(rolloutManifest({ replicas: 2 }));
  world.readiness = "manual";
  world.settle();
  t.ok(explain(world.plan(), world.nowMs).includes("moves on: pods that become available"));
});
