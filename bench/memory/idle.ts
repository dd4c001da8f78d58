// Memory of one idle proxy with its control plane connected and 10 routes in force: `npm run bench:memory`.
// Options: --settle 12 (seconds of idling before it is read), --entry src/weir.js, --flags (of Node). Prints resident (RSS) and proportional (PSS) sizes.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createXdsServer } from "../../src/xds/server.ts";
import { aCluster, aListener, anAssignment, aRoute } from "../../test/support/xds.ts";
import { machineFacts } from "../lib/machine.ts";

const GROUP = "gateway/default/bench";
const ROUTES = 10;
const READY_MS = 20_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      settle: { type: "string", default: "12" },
      entry: { type: "string", default: "src/weir.js" },
      flags: { type: "string", default: "" },
    },
  });
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
  const folder = await mkdtemp(join(tmpdir(), "weir-memory-"));
  const config = join(folder, "proxy.json");
  await writeFile(config, JSON.stringify(bootstrap(port)));
  const flags = values.flags.split(" ").filter(Boolean);
  const args = [...flags, values.entry, "proxy", "--log-level", "error", "--config", config];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
  try {
    const giveUpMs = Date.now() + READY_MS;
    while (!server.nodes(GROUP).some((node) => node.ackedSeq >= seq)) {
      if (Date.now() > giveUpMs) throw new Error("the proxy did not acknowledge its configuration");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const atOnce = await memoryOf(child.pid ?? 0);
    await new Promise((resolve) => setTimeout(resolve, Number(values.settle) * 1000));
    const idle = await memoryOf(child.pid ?? 0);
    console.table({ "configuration in force": atOnce, [`after ${values.settle} s idle`]: idle });
    console.log(JSON.stringify({ entry: values.entry, atOnce, idle, machine: machineFacts() }));
  } finally {
    child.kill("SIGKILL");
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function bootstrap(port: number): unknown {
  const socket = (portValue: number) => ({
    socket_address: { address: "127.0.0.1", port_value: portValue },
  });
  const ads = {
    api_type: "GRPC",
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: "control_plane" } }],
  };
  return {
    node: { id: "default/bench", cluster: GROUP },
    admin: { address: socket(0) },
    dynamic_resources: {
      ads_config: ads,
      lds_config: { ads: {}, resource_api_version: "V3" },
      cds_config: { ads: {}, resource_api_version: "V3" },
    },
    cluster_manager: { load_stats_config: ads },
    static_resources: {
      clusters: [
        {
          name: "control_plane",
          type: "STATIC",
          load_assignment: {
            cluster_name: "control_plane",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(port) } }] }],
          },
        },
      ],
    },
  };
}

interface Memory {
  readonly rssMib: number;
  readonly pssMib: number;
  readonly ownMib: number;
}

/** RSS, proportional share, and what is the process's own, in MiB. */
async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const mib = (name: string): number =>
    Math.round((Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) / 1024) * 10) / 10;
  return { rssMib: mib("Rss"), pssMib: mib("Pss"), ownMib: mib("Private_Dirty") };
}

await main();
