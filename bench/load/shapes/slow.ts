// 1 000 clients that are slow with their head, their body or their reading, beside good ones: what the good ones notice, and when the
// slow ones are gone.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { estimate, pairedRatios } from "../../lib/statistics.ts";
import { type Running, startOrigin, startWeir } from "../contenders.ts";
import { cpuRatio, type Figure, type Outcome, type Shape, usageOf } from "../figures.ts";
import { bootstrap, cluster, route, split } from "../rivals/bootstrap.ts";
import { type Settings, takeRounds } from "../rounds.ts";
import { freePorts, LOAD_CPU, Stage } from "../stage.ts";
import { steadyArm } from "../steady.ts";

const SLOW = 1_000;
const RATE = 4_000;
const CONNECTIONS = 64;
const LONG_ANSWER = 16 * 1024 * 1024;
/** Until when each kind is to be gone, in s: total time of a head; grace below the least rate, and what a reader has earned before. */
const GONE_S = { head: 10, body: 20, reader: 60 };
/** Until all slow ones are there, and as many go as come. */
const ARRIVAL_MS = 65_000;
/** How exactly: clients act, and the proxy looks, in steps. */
const SLACK_S = 2;

interface Slowpokes {
  end(): Promise<Readonly<Record<keyof typeof GONE_S, { readonly gone: number; readonly longestS: number }>>>;
}

export const slowShapes: readonly Shape[] = [
  { name: "slow", about: "1 000 slow clients beside good ones", run },
];

async function run(settings: Settings): Promise<Outcome> {
  return Stage.with(async (stage) => {
    const origin = await startOrigin(stage);
    await stage.folderFile("files", "long", Buffer.alloc(LONG_ANSWER, "x"));
    const alone = await untimed(stage, origin);
    const crowded = await untimed(stage, origin);
    const slowpokes = await startSlowpokes(stage, crowded.port);
    await sleep(ARRIVAL_MS);
    const arm = (name: string, { program, port }: Running) =>
      steadyArm(name, program, { port, rate: RATE, connections: CONNECTIONS });
    const rounds = await takeRounds([arm("alone", alone), arm("crowded", crowded)], settings);
    const lived = await slowpokes.end();
    const p99 = (name: string): number[] => (rounds[name] ?? []).map(({ p99Us }) => p99Us);
    return {
      figures: [
        {
          name: "good clients' p99 beside 1 000 slow ones: to without",
          unit: "x",
          seen: estimate(pairedRatios(p99("crowded"), p99("alone"))),
          goal: 1.1,
        },
        cpuRatio(rounds, ["crowded", "alone"], { name: "good clients' CPU beside them" }),
        ...Object.entries(GONE_S).map(([kind, goal]): Figure => {
          const { gone, longestS } = lived[kind as keyof typeof GONE_S]; // A key of it.
          const seen = { median: longestS, low: longestS, high: longestS };
          const note = `${gone} were cut off, looked at in steps of a second`;
          return { name: `longest life of a slow ${kind}`, unit: "s", seen, goal: goal + SLACK_S, note };
        }),
      ],
      usage: usageOf(rounds),
      samples: { rounds, lived },
    };
  });
}

/** One route without a timeout: the least rate alone ends what is slow. */
async function untimed(stage: Stage, origin: number): Promise<Running> {
  const port = await freePorts(2);
  const routes = [route("all", { prefix: "/" }, split({ timeout: "0s" }))];
  const virtualHosts = [{ name: "all", domains: ["*"], routes }];
  const clusters = [cluster("v1", origin), cluster("v2", origin + 1)];
  const manager = { generate_request_id: false };
  return startWeir(stage, port, bootstrap({ port, adminPort: port + 1, virtualHosts, clusters, manager }));
}

async function startSlowpokes(stage: Stage, port: number): Promise<Slowpokes> {
  const args = ["bench/load/clients/slowpokes.ts", String(port), String(SLOW), "/files/long"];
  const child: ChildProcess = spawn("taskset", ["-c", LOAD_CPU, process.execPath, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  stage.defer(() => void child.kill("SIGKILL"));
  if (child.stdout === null) throw new Error("its output is not piped");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    async end() {
      child.stdin?.end();
      const { value } = await lines.next();
      return JSON.parse(value ?? "{}");
    },
  };
}
