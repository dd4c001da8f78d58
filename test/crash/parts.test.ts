// The parts as processes of their own against one API server: controller, node agent and proxies, each killed with SIGKILL while a canary is
// under way and load runs. The load goes to the other gateway when one refuses the connection; only what was under way on a proxy at the
// moment when that was killed may fail.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { type Test, test } from "tap";
import { connectCluster, createClusterClient } from "../../src/cluster/client.ts";
import {
  createEmbeddedServer,
  createGatewayController,
  startWorkloadControllers,
} from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { freePorts } from "../support/ports.ts";
import { type CommandResult, run, stateFolder } from "../support/up.ts";
import {
  baseManifests,
  checkEnd,
  KILLS_PER_ROLLOUT,
  pause,
  rolloutManifest,
  rounds,
  seededChance,
  tagOf,
  until,
  untilServing,
} from "./bed.ts";
import { type LoadResult, startLoad } from "./load.ts";
import { commandPid, containerProcesses, isAlive, watchProcesses } from "./processes.ts";

const RATE = 100;
const GATEWAYS: readonly [string, string] = ["gateway-edge-a", "gateway-edge-b"];
/** A socket's end may be noticed a little after the process is gone. */
const NOTICE_MS = 100;
const { kills, timeoutMs } = rounds();
const options =
  process.platform === "linux" ? { timeout: timeoutMs } : { skip: "the processes are counted in /proc" };

/** A proxy's death: requests under way on its port between these two moments may fail. */
interface Death {
  readonly port: number;
  readonly killedMs: number;
  readonly goneMs: number;
}

test(
  "crash: controller, agent and proxies killed under load cost only what a dead proxy had in hand",
  options,
  async (t) => {
    const chance = seededChance(t);
    const ports = await freePorts();
    const bed = await startParts(t);
    const { weir } = bed;
    t.match(await weir(["apply", "-f", "-"], await baseManifests(ports)), { code: 0 });
    t.match(await weir(["status", "demo", "--timeout", "40s"]), { code: 0 });
    await untilServing(ports);
    const processes = watchProcesses(bed.stateDir);
    const load = startLoad(ports, RATE);
    t.teardown(() => load.stop());
    const deaths: Death[] = [];
    const restarts = [0, 0];
    let revision = 1;
    const kinds = ["controller", "agent", "proxy"] as const;
    for (let kill = 0; kill < kills; kill += 1) {
      if (kill % KILLS_PER_ROLLOUT === 0) {
        t.match(await weir(["status", "demo", "--timeout", "60s"]), { code: 0 });
        revision += 1;
        t.match(await weir(["apply", "-f", "-"], await rolloutManifest(tagOf(revision))), { code: 0 });
      }
      await pause(chance.between(0, 3_000));
      // Each kind once, then any.
      const kind = kill < kinds.length ? kinds[kill] : chance.pick(kinds);
      if (kind === "proxy") {
        const which = chance.between(0, 1);
        restarts[which] = (restarts[which] ?? 0) + 1;
        deaths.push(await killProxy(bed.stateDir, GATEWAYS[which] ?? GATEWAYS[0], ports[which] ?? 0));
        // One at a time: the other one takes over.
        await untilServing(ports);
      } else if (kind !== undefined) {
        bed.kill(kind);
        await pause(chance.between(0, 2_000));
        bed.start(kind);
      }
      t.comment(`${kind} killed; ${load.result().sent} requests sent`);
    }
    const status = await weir(["status", "demo", "--timeout", "60s"]);
    t.match(status, { code: 0 }, `the rollout ends Healthy:\n${status.stdout}${status.stderr}`);

    const result = await load.stop();
    t.comment(`${result.sent} requests, ${result.retried} retried, ${result.failures.length} failed`);
    t.same(unexplained(result, deaths), [], "only requests under way on a killed proxy fail");
    await processes.stop();
    t.same([...processes.doubles], [], "no container runs as two processes");
    for (const [name, attempts] of processes.attempts) {
      const which = GATEWAYS.indexOf(name);
      t.equal(
        attempts.size,
        1 + (restarts[which] ?? 0),
        `${name} is started as often as it was killed, and once`,
      );
    }
    const cluster = await connectCluster({ kubeconfig: bed.kubeconfig, env: {} });
    t.teardown(() => cluster.close());
    await checkEnd(t, cluster.client, revision);
  },
);

interface Parts {
  readonly stateDir: string;
  readonly kubeconfig: string;
  weir(args: readonly string[], input?: string): Promise<CommandResult>;
  start(kind: "controller" | "agent"): void;
  kill(kind: "controller" | "agent"): void;
}

/** API server, workload controllers and gateway controller in this process, the rest as processes of the CLI. */
async function startParts(t: Test): Promise<Parts> {
  const stateDir = await stateFolder(t);
  const [xdsPort, firstAdminPort] = await freePorts();
  const common = { clock: systemClock, log: silentLogger };
  const server = await createEmbeddedServer({ stateDir, ...common });
  const listener = await server.listen();
  const kubeconfig = join(stateDir, "kubeconfig");
  server.writeKubeconfig(kubeconfig, listener);
  const client = createClusterClient(server.transport());
  const workloads = startWorkloadControllers({ client, ...common });
  const command = [process.execPath, join(process.cwd(), "src/weir.js"), "proxy"];
  const xdsAddress = `127.0.0.1:${xdsPort}`;
  const gateways = createGatewayController({
    client,
    ...common,
    stateDir,
    command,
    xdsAddress,
    firstAdminPort,
  });
  gateways.start();
  const flags = {
    controller: [
      "--xds-host",
      "127.0.0.1",
      "--xds-port",
      String(xdsPort),
      "--bind",
      "127.0.0.1",
      "--identity",
      "crash",
    ],
    agent: ["--dir", stateDir, "--node", "local", "--bind", "--keep-pods"],
  };
  const running = new Map<string, ChildProcess>();
  const start: Parts["start"] = (kind) => {
    const args = ["src/weir.js", kind, "--kubeconfig", kubeconfig, "--log-level", "error", ...flags[kind]];
    running.set(kind, spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] }));
  };
  start("controller");
  start("agent");
  t.teardown(async () => {
    for (const child of running.values()) child.kill("SIGKILL");
    await gateways.stop();
    await workloads.stop();
    await server.close();
    // What still runs is left for `weir down`, which the state folder's own teardown calls after this one.
  });
  return {
    stateDir,
    kubeconfig,
    weir: (args, input) => run([process.execPath, "src/weir.js", ...args, "--kubeconfig", kubeconfig], input),
    start,
    kill: (kind) => void running.get(kind)?.kill("SIGKILL"),
  };
}

async function killProxy(stateDir: string, pod: string, port: number): Promise<Death> {
  const found = await until(`${pod} runs`, 30_000, async () =>
    (await containerProcesses(stateDir)).find(({ podName }) => podName === pod),
  );
  const pid = await commandPid(found);
  const killedMs = performance.now();
  process.kill(pid, "SIGKILL");
  await until(`${pod} is gone`, 5_000, async () => (isAlive(pid) ? undefined : true));
  return { port, killedMs, goneMs: performance.now() };
}

/** Failures that no death explains. */
function unexplained({ failures }: LoadResult, deaths: readonly Death[]): unknown[] {
  return failures.filter(
    ({ port, startedMs, endedMs }) =>
      !deaths.some(
        (death) => death.port === port && startedMs <= death.goneMs + NOTICE_MS && endedMs >= death.killedMs,
      ),
  );
}
