// 6 000 versions of the configuration in a minute, each acknowledged before the next, under a steady load: nothing may fail.
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../../lib/quantile.ts";
import { asked, startOrigin } from "../contenders.ts";
import { startControlled } from "../controlled.ts";
import type { Outcome, Shape } from "../figures.ts";
import type { Settings } from "../rounds.ts";
import { Stage } from "../stage.ts";
import { steadyArm } from "../steady.ts";

const PER_SECOND = 100;
/** A little less than a hundredth: the last one is to be acknowledged within the time too. */
const GAP_MS = 9.9;
const SECONDS = 60;
const TRY_SECONDS = 5;
const CONNECTIONS = 64;
const RATE = 4_000;

export const versionShapes: readonly Shape[] = [
  { name: "versions", about: "6 000 versions in a minute under load", run },
];

async function run(settings: Settings): Promise<Outcome> {
  const seconds = settings.rounds === 1 ? TRY_SECONDS : SECONDS;
  return Stage.with(async (stage) => {
    const { program, port, publish } = await startControlled(stage, await startOrigin(stage));
    const arm = steadyArm("load", program, { ...asked("full"), port, rate: RATE, connections: CONNECTIONS });
    const load = arm.measure(seconds + 2);
    await sleep(1_000);
    const tookMs: number[] = [];
    const startMs = performance.now();
    for (let version = 0; version < seconds * PER_SECOND; version += 1) {
      const aheadMs = startMs + version * GAP_MS - performance.now();
      if (aheadMs > 0) await sleep(aheadMs);
      const sinceMs = performance.now();
      await publish(1 + (version % 50));
      tookMs.push(performance.now() - sinceMs);
    }
    const tookS = (performance.now() - startMs) / 1_000;
    const { requests, errors } = await load;
    const exactly = (value: number) => ({ median: value, low: value, high: value });
    const sorted = tookMs.toSorted((a, b) => a - b);
    const [p50, p99] = [quantile(sorted, 0.5).toFixed(1), quantile(sorted, 0.99).toFixed(1)];
    return {
      figures: [
        {
          name: `${tookMs.length} versions, each acknowledged before the next: time`,
          unit: "s",
          seen: exactly(tookS),
          goal: seconds,
          note: `published to acknowledged p50 ${p50} ms, p99 ${p99} ms`,
        },
        {
          name: "requests failed or reset meanwhile",
          unit: "",
          seen: exactly(errors),
          goal: 0,
          note: `of ${requests}`,
        },
      ],
      samples: { requests, errors, tookMs },
    };
  });
}
