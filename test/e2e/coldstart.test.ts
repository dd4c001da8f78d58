// A proxy's first start from sources, when nothing is in the compile cache: it ends up as lean as every later one.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { bootstrapOf } from "../proxy/support.ts";
import { freePort } from "../support/ports.ts";
import { AS_USER } from "../support/up.ts";
import { until } from "../support/web.ts";

/** The goal for an idle proxy; one that still holds the type stripper is above it. */
const MAX_RSS_KIB = 95 * 1024;
const SETTLED_MS = 30_000;

test("cold start: a proxy that found no compile cache starts anew, as the same process, and stays lean", {
  skip: process.platform !== "linux" && "sizes are read from /proc",
  timeout: SETTLED_MS * 2,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-cold-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const cold = await started(t, folder);
  t.equal(cold.restarted, "WEIR_RESTARTED=1");
  t.ok(cold.rssKib < MAX_RSS_KIB, `${cold.rssKib} KiB`);
  const warm = await started(t, folder);
  t.equal(warm.restarted, undefined, "nothing to shed the second time");
  t.ok(warm.rssKib < MAX_RSS_KIB, `${warm.rssKib} KiB`);
});

interface Started {
  /** The mark that a second start carries in its environment. */
  readonly restarted: string | undefined;
  readonly rssKib: number;
}

/** A proxy's life with the compile cache in this folder: until it is ready, and a SIGTERM. */
async function started(t: Test, folder: string): Promise<Started> {
  const port = await freePort();
  const config = join(folder, "proxy.json");
  await writeFile(config, JSON.stringify(bootstrap(port)));
  const weir = [process.execPath, "src/weir.js", "proxy", "--log-level", "error"];
  const flags = ["--drain-delay", "0s", "--config", config];
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, "cache") };
  const child = spawn("env", [...AS_USER, ...weir, ...flags], {
    stdio: ["ignore", "inherit", "inherit"],
    env,
  });
  t.teardown(() => child.kill("SIGKILL"));
  await until("the proxy is ready", async () => {
    const response = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
    return response?.ok ? true : undefined;
  });
  const environment = await readFile(`/proc/${child.pid}/environ`, "utf8");
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  t.strictSame(await ended, [0, null]);
  return {
    restarted: environment.split("\0").find((line) => line.startsWith("WEIR_RESTARTED=")),
    rssKib: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]),
  };
}

/** Ready as soon as it has started: a listener of its own, no control plane. */
function bootstrap(adminPort: number): unknown {
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } };
  return Object.assign({}, bootstrapOf({ clusters: { web: [9] } }), { admin });
}
