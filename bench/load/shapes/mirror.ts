// What mirrors cost the requests that are mirrored: one that answers, one ten times slower than the primary, one that hangs, one that
// refuses; all requests are copied, as far as the cap on copies under way lets them be. CPU is taken under as many requests as go through,
// latency at a rate that leaves room: where everything queues, a p99 tells of the queue.
import { estimate, pairedRatios } from "../../lib/statistics.ts";
import { type Running, startOrigin, startWeir } from "../contenders.ts";
import { cpuRatio, type Figure, type Outcome, type Shape, usageOf } from "../figures.ts";
import { bootstrap, cluster, route, split } from "../rivals/bootstrap.ts";
import { type Rounds, type Sample, type Settings, takeRounds, wrkArm } from "../rounds.ts";
import { freePorts, LOAD_CPU, Stage } from "../stage.ts";
import { steadyArm } from "../steady.ts";

const CONNECTIONS = 64;
/** Requests per second where latency is measured. */
const RATE = 4_000;
/** Ten times what a request takes under this load. */
const SLOW_MS = 15;
const NONE = "no mirror";

export const mirrorShapes: readonly Shape[] = [
  { name: "mirror", about: "mirrors that answer, are slow, hang, refuse", run },
];

async function run(settings: Settings): Promise<Outcome> {
  return Stage.with(async (stage) => {
    const origin = await startOrigin(stage, 3);
    const mirrors: Readonly<Record<string, number | undefined>> = {
      [NONE]: undefined,
      answering: origin + 2,
      slow: await sluggish(stage, "slow"),
      hung: await sluggish(stage, "hung"),
      refusing: await freePorts(1),
    };
    const arms = [];
    const steadyArms = [];
    for (const [name, mirror] of Object.entries(mirrors)) {
      const { program, port } = await mirrored(stage, origin, mirror);
      arms.push(wrkArm(name, program, { port, connections: CONNECTIONS }));
      steadyArms.push(steadyArm(name, program, { port, connections: CONNECTIONS, rate: RATE }));
    }
    const rounds = await takeRounds(arms, settings);
    const steady = await takeRounds(steadyArms, settings);
    const troubled = ["slow", "hung", "refusing"];
    return {
      figures: [
        cpuRatio(rounds, ["answering", NONE], { name: "CPU, mirror answering: to no mirror", goal: 1.7 }),
        ...troubled.flatMap((name) => [
          cpuRatio(rounds, [name, NONE], { name: `CPU, mirror ${name}: to no mirror`, goal: 1.15 }),
          p99Ratio(steady, name),
        ]),
      ],
      usage: usageOf(rounds),
      samples: { rounds, steady },
    };
  });
}

function p99Ratio(rounds: Rounds<Sample>, name: string): Figure {
  const of = (arm: string): number[] => (rounds[arm] ?? []).map(({ p99Us }) => p99Us);
  const seen = estimate(pairedRatios(of(name), of(NONE)));
  return { name: `p99, mirror ${name}: to no mirror`, unit: "x", seen, goal: 1.1 };
}

async function sluggish(stage: Stage, kind: "slow" | "hung"): Promise<number> {
  const port = await freePorts(1);
  const program = "bench/load/clients/sluggish.ts";
  const command = [process.execPath, program, String(port), kind, String(SLOW_MS)];
  await stage.start({ command, cpu: LOAD_CPU, port, path: "/knock" });
  return port;
}

async function mirrored(stage: Stage, origin: number, mirror: number | undefined): Promise<Running> {
  const port = await freePorts(2);
  const policies = mirror === undefined ? {} : { request_mirror_policies: [{ cluster: "mirror" }] };
  const virtualHosts = [
    { name: "all", domains: ["*"], routes: [route("all", { prefix: "/" }, split(policies))] },
  ];
  const clusters = [
    cluster("v1", origin),
    cluster("v2", origin + 1),
    ...(mirror === undefined ? [] : [cluster("mirror", mirror, BOUNDED)]),
  ];
  const manager = { generate_request_id: false };
  return startWeir(stage, port, bootstrap({ port, adminPort: port + 1, virtualHosts, clusters, manager }));
}

/** As many copies at once as `mirrorBounds.concurrent` allows when nothing is said. */
const BOUNDED = { circuit_breakers: { thresholds: [{ max_requests: 100 }] } };
