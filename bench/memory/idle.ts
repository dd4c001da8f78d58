// Memory of one idle proxy with its control plane connected and 10 routes in force: `npm run bench:memory`. A round is two proxies, one
// after the other: the first finds an empty compile cache (a first start from sources or from the package), the second what that one left.
// Options: --rounds 3, --settle 12 (seconds of idling before it is read), --entry src/weir.js, --flags (of Node). Prints resident (RSS) and
// proportional (PSS) sizes and the process's own pages, medians over the rounds.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gatewayBootstrap } from "../../src/embedded/gateway/bootstrap.ts";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createXdsServer, type XdsServer } from "../../src/xds/server.ts";
import { aCluster, aListener, anAssignment, aRoute } from "../../test/support/xds.ts";
import { machineFacts } from "../lib/machine.ts";
import { quantile } from "../lib/quantile.ts";

const GROUP = "gateway/default/bench";
const ROUTES = 10;
const READY_MS = 20_000;
const STARTS = ["cold", "warm"] as const;

interface Memory {
  readonly rssMib: number;
  readonly pssMib: number;
  readonly ownMib: number;
}

/** What one proxy held when its configuration was in force, and after idling. */
interface Sample {
  readonly start: (typeof STARTS)[number];
  readonly atOnce: Memory;
  readonly idle: Memory;
}

interface Settings {
  readonly entry: string;
  /** Of Node. */
  readonly flags: readonly string[];
  readonly settleMs: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      settle: { type: "string", default: "12" },
      entry: { type: "string", default: "src/weir.js" },
      flags: { type: "string", default: "" },
    },
  });
  const flags = values.flags.split(" ").filter(Boolean);
  const settings: Settings = { entry: values.entry, flags, settleMs: Number(values.settle) * 1000 };
  const samples: Sample[] = [];
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    const cache = await mkdtemp(join(tmpdir(), "weir-memory-cache-"));
    try {
      for (const start of STARTS) samples.push({ start, ...(await measure(settings, cache)) });
    } finally {
      await rm(cache, { recursive: true, force: true });
    }
    console.error(`round ${round} of ${values.rounds}`);
  }
  console.table(Object.fromEntries(STARTS.flatMap((start) => rowsOf(start, samples))));
  console.log(JSON.stringify({ options: values, machine: machineFacts(), samples }));
}

/** The life of one proxy with its control plane. It is ended with SIGTERM, so that it writes the compile cache. */
async function measure(settings: Settings, cache: string): Promise<Omit<Sample, "start">> {
  const { server, port, seq } = await controlPlane();
  const folder = await mkdtemp(join(tmpdir(), "weir-memory-"));
  const config = join(folder, "proxy.json");
  const xdsAddress = `127.0.0.1:${port}`;
  const bootstrap = gatewayBootstrap({ nodeId: "default/bench", group: GROUP, adminPort: 0, xdsAddress });
  await writeFile(config, JSON.stringify(bootstrap));
  const args = [...settings.flags, settings.entry, "proxy", "--log-level", "error", "--config", config];
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"], env });
  try {
    await untilAcknowledged(server, seq);
    const atOnce = await memoryOf(child);
    await sleep(systemClock, settings.settleMs);
    return { atOnce, idle: await memoryOf(child) };
  } finally {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function controlPlane(): Promise<{
  readonly server: XdsServer;
  readonly port: number;
  readonly seq: number;
}> {
  const server = createXdsServer({ clock: systemClock, log: silentLogger });
  const { port } = await server.listen({ port: 0 });
  const names = Array.from({ length: ROUTES }, (_, index) => `default/app${index}:80/aaa`);
  const routes = aRoute("bench", { [names[0] ?? ""]: 100 });
  for (const name of names.slice(1))
    routes.virtualHosts[0]?.routes.push(...(aRoute("x", { [name]: 100 }).virtualHosts[0]?.routes ?? []));
  const seq = server.setSnapshot(GROUP, {
    listeners: [aListener("bench", 0)],
    routes: [routes],
    clusters: names.map(aCluster),
    endpoints: names.map((name) => anAssignment(name, [9])),
  });
  return { server, port, seq };
}

async function untilAcknowledged(server: XdsServer, seq: number): Promise<void> {
  const giveUpMs = Date.now() + READY_MS;
  while (!server.nodes(GROUP).some((node) => node.ackedSeq >= seq)) {
    if (Date.now() > giveUpMs) throw new Error("the proxy did not acknowledge its configuration");
    await sleep(systemClock, 50);
  }
}

/** RSS, proportional share, and what is the process's own, in MiB. */
async function memoryOf({ pid = 0 }: ChildProcess): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const mib = (name: string): number =>
    Math.round((Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) / 1024) * 10) / 10;
  return { rssMib: mib("Rss"), pssMib: mib("Pss"), ownMib: mib("Private_Dirty") };
}

/** Medians of one kind of start, with the highest RSS beside. */
function rowsOf(start: Sample["start"], samples: readonly Sample[]): [string, object][] {
  const mine = samples.filter((sample) => sample.start === start);
  const row = (moment: "atOnce" | "idle"): object => {
    const sorted = (key: keyof Memory): number[] =>
      mine.map((sample) => sample[moment][key]).sort((a, b) => a - b);
    return {
      "RSS MiB": quantile(sorted("rssMib"), 0.5),
      "highest RSS": sorted("rssMib").at(-1),
      "PSS MiB": quantile(sorted("pssMib"), 0.5),
      "own MiB": quantile(sorted("ownMib"), 0.5),
    };
  };
  return [
    [`${start}, configuration in force`, row("atOnce")],
    [`${start}, idle`, row("idle")],
  ];
}

await main();
