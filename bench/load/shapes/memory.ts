// Resident memory of a proxy with everything on and its control plane connected: at rest with 10 routes, while 512 connections are busy, and with
// 10 000 idle ones after a small GET each, then after a 100 KiB POST each. Every round is a process of its own.
import { setTimeout as sleep } from "node:timers/promises";
import { estimate } from "../../lib/statistics.ts";
import { openCrowd } from "../clients/crowd.ts";
import { asked, startOrigin } from "../contenders.ts";
import { startControlled } from "../controlled.ts";
import type { Outcome, Shape } from "../figures.ts";
import { ASKED_HOST, ASKED_PATH, fullHosts } from "../rivals/bootstrap.ts";
import type { Settings } from "../rounds.ts";
import { type Program, rssMib, Stage } from "../stage.ts";
import { runWrk } from "../wrk.ts";

const BUSY = 512;
const IDLE = 10_000;
const UPLOAD_BYTES = 100 * 1024;
const LOOK_MS = 200;
/** A proxy is idle so long before its memory is read: V8 gives garbage back to the system after some 20 s of quiet. */
const SETTLE_MS = 30_000;

export const memoryShapes: readonly Shape[] = [
  { name: "rest", about: "memory at rest, control plane connected, 10 routes", run: rest },
  { name: "busy", about: "memory with 512 busy connections", run: busy },
  { name: "idle", about: "memory with 10 000 idle connections", run: idle },
];

async function rest(settings: Settings): Promise<Outcome> {
  const samples = await freshRounds(settings, async (stage, origin) => {
    // One host of the five.
    const { program } = await startControlled(stage, origin, (canary) => fullHosts(canary).slice(-1));
    const atOnceMib = await rssMib(program);
    await sleep(SETTLE_MS);
    return { atOnceMib, restMib: await rssMib(program) };
  });
  const seen = estimate(samples.map(({ restMib }) => restMib));
  const name = "RSS at rest, control plane connected, 10 routes";
  return { figures: [{ name, unit: "MiB", seen, goal: 95, stretch: 75, note: "after 30 s" }], samples };
}

async function busy(settings: Settings): Promise<Outcome> {
  const samples = await freshRounds(settings, async (stage, origin) => {
    const { program, port } = await startControlled(stage, origin);
    const load = runWrk({ ...asked("full"), port, connections: BUSY }, settings.seconds);
    const highest = await highestRss(program, load);
    return { highestMib: highest, ...(await load) };
  });
  const seen = estimate(samples.map(({ highestMib }) => highestMib));
  const name = "RSS with 512 busy connections (highest)";
  return { figures: [{ name, unit: "MiB", seen, goal: 130, stretch: 115 }], samples };
}

async function idle(settings: Settings): Promise<Outcome> {
  const samples = await freshRounds(settings, async (stage, origin) => {
    const { program, port } = await startControlled(stage, origin);
    const crowd = await openCrowd(port, IDLE);
    stage.defer(() => crowd.close());
    await crowd.askAll(`GET ${ASKED_PATH} HTTP/1.1\r\nHost: ${ASKED_HOST}\r\n\r\n`);
    const atOnceMib = await rssMib(program);
    await sleep(SETTLE_MS);
    const afterGetMib = await rssMib(program);
    const head = `POST /upload HTTP/1.1\r\nHost: ${ASKED_HOST}\r\nContent-Length: ${UPLOAD_BYTES}\r\n\r\n`;
    await crowd.askAll(head + "x".repeat(UPLOAD_BYTES));
    await sleep(SETTLE_MS);
    return { atOnceMib, afterGetMib, afterPostMib: await rssMib(program), open: crowd.open() };
  });
  const lost = samples.some(({ open }) => open < IDLE) ? "connections were lost" : undefined;
  const note = { note: lost ?? "30 s later" };
  const of = (pick: (sample: (typeof samples)[number]) => number) => estimate(samples.map(pick));
  return {
    figures: [
      {
        name: "RSS with 10 000 idle connections, after a GET each",
        unit: "MiB",
        seen: of(({ afterGetMib }) => afterGetMib),
        goal: 200,
        stretch: 160,
        ...note,
      },
      {
        name: "the same at once, with the garbage of opening them",
        unit: "MiB",
        seen: of(({ atOnceMib }) => atOnceMib),
      },
      {
        name: "RSS with 10 000 idle connections, after a 100 KiB POST each",
        unit: "MiB",
        seen: of(({ afterPostMib }) => afterPostMib),
        goal: 220,
        stretch: 180,
        ...note,
      },
    ],
    samples,
  };
}

async function freshRounds<T>(
  { rounds }: Settings,
  take: (stage: Stage, origin: number) => Promise<T>,
): Promise<T[]> {
  const samples: T[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    samples.push(await Stage.with(async (stage) => take(stage, await startOrigin(stage))));
    console.error(`  round ${round} of ${rounds}`);
  }
  return samples;
}

/** The highest of what is seen until `load` is over. */
async function highestRss(program: Program, load: Promise<unknown>): Promise<number> {
  let [highest, isOver] = [0, false];
  const over = load.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    highest = Math.max(highest, await rssMib(program));
    await sleep(LOOK_MS);
  }
  await over;
  return highest;
}
