// Ten minutes of reloads and of clients that go away in the middle, beside a steady load: memory must not grow, and no descriptor may be
// left behind.
import { readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { estimate } from "../../lib/statistics.ts";
import { type Breaks, startBreakers } from "../clients/breakers.ts";
import { asked, startOrigin } from "../contenders.ts";
import { startControlled } from "../controlled.ts";
import type { Outcome, Shape } from "../figures.ts";
import { ASKED_HOST } from "../rivals/bootstrap.ts";
import type { Settings } from "../rounds.ts";
import { type Program, rssMib, Stage } from "../stage.ts";
import { steadyArm } from "../steady.ts";

/** Memory is not judged before: pools, buffers and compiled code come to be, and V8 lets its heap grow for some minutes. */
const WARM_S = 480;
const SOAK_S = 600;
const TRY_S = 5;
const RATE = 1_000;
const CONNECTIONS = 64;
const RELOAD_MS = 500;
const LOOK_MS = 2_000;
/** Until when idle connections to the upstream are gone. */
const EMPTY_MS = 120_000;
const LONG_ANSWER = 4 * 1024 * 1024;

interface Seen {
  readonly minute: number;
  readonly mib: number;
}

export const soakShapes: readonly Shape[] = [
  { name: "soak", about: "10 minutes of reloads and of clients that break off", run },
];

async function run(settings: Settings): Promise<Outcome> {
  const [warmS, soakS] = settings.rounds === 1 ? [TRY_S, TRY_S] : [WARM_S, SOAK_S];
  return Stage.with(async (stage) => {
    await stage.folderFile("files", "long", Buffer.alloc(LONG_ANSWER, "x"));
    const controlled = await startControlled(stage, await startOrigin(stage));
    const { program, port, publish } = controlled;
    const before = await descriptors(program);
    const arm = steadyArm("load", program, { ...asked("full"), port, rate: RATE, connections: CONNECTIONS });
    const load = arm.measure(warmS + soakS);
    const breakers = startBreakers({ port, host: ASKED_HOST, long: "/files/long" });
    const reloading = reload(publish);
    await sleep(warmS * 1_000);
    const seen = await watch(program, soakS);
    const reloads = await reloading.end();
    const breaks = breakers.end();
    const { requests, errors } = await load;
    const after = await emptied(program, before);
    return {
      figures: [
        growth(seen),
        {
          name: "descriptors left behind",
          unit: "",
          seen: exactly(after - before),
          goal: 0,
          note: `${before} before, ${after} after; ${spell(breaks)}, ${reloads} reloads`,
        },
        {
          name: "requests failed meanwhile",
          unit: "",
          seen: exactly(errors),
          goal: 0,
          note: `of ${requests}`,
        },
      ],
      samples: { seen, before, after, requests, errors, reloads, breaks },
    };
  });
}

const exactly = (value: number) => ({ median: value, low: value, high: value });

const spell = ({ early, sending, reading }: Breaks): string =>
  `clients broken off: ${early} at once, ${sending} while sending, ${reading} while reading`;

/** Publishes versions, one after the other. */
function reload(publish: (canary: number) => Promise<void>) {
  let isOver = false;
  const running = (async () => {
    let count = 0;
    while (!isOver) {
      count += 1;
      await publish(1 + (count % 50));
      await sleep(RELOAD_MS);
    }
    return count;
  })();
  return {
    end(): Promise<number> {
      isOver = true;
      return running;
    },
  };
}

async function watch(program: Program, seconds: number): Promise<Seen[]> {
  const seen: Seen[] = [];
  const startMs = performance.now();
  for (;;) {
    const sinceMs = performance.now() - startMs;
    if (sinceMs > seconds * 1_000) return seen;
    seen.push({ minute: sinceMs / 60_000, mib: await rssMib(program) });
    await sleep(LOOK_MS);
  }
}

/** The median slope between any two minutes (Theil and Sen): a collection of garbage in between does not tilt it. */
function growth(seen: readonly Seen[]): Outcome["figures"][number] {
  const byMinute = Map.groupBy(seen, ({ minute }) => Math.floor(minute));
  const mib = [...byMinute].map(([minute, all]) => ({
    minute,
    mib: estimate(all.map((one) => one.mib)).median,
  }));
  const slopes = mib.flatMap((a) =>
    mib.filter((b) => b.minute > a.minute).map((b) => (b.mib - a.mib) / (b.minute - a.minute)),
  );
  return {
    name: "growth of RSS after the warm-up",
    unit: "MiB/min",
    seen: slopes.length === 0 ? exactly(0) : estimate(slopes),
    goal: 0.5,
    note: `${mib[0]?.mib.toFixed(0)} MiB in the first minute, ${mib.at(-1)?.mib.toFixed(0)} in the last`,
  };
}

async function descriptors({ pid }: Program): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** How many are open once no more than `before` are, or when the time is up. */
async function emptied(program: Program, before: number): Promise<number> {
  const untilMs = performance.now() + EMPTY_MS;
  let open = await descriptors(program);
  while (open > before && performance.now() < untilMs) {
    await sleep(LOOK_MS);
    open = await descriptors(program);
  }
  return open;
}
