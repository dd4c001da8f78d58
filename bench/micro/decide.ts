// What one decision costs: a Rollout with five ReplicaSets and twenty steps, at the moments at which a controller looks at it most.
// Every measurement is a fresh process; the median over the rounds is of medians within them.
//   node bench/micro/decide.ts [--decisions 20000] [--rounds 5]
import { parseArgs } from "node:util";
import { decide, type Snapshot } from "../../src/engine/decide.ts";
import { imagePatch, type World, worldWith } from "../../test/support/world.ts";
import { quantile } from "../lib/quantile.ts";
import { measureScenes } from "../lib/scenes.ts";

const { values } = parseArgs({
  options: {
    scene: { type: "string" },
    decisions: { type: "string", default: "20000" },
    rounds: { type: "string", default: "5" },
  },
});
const DECISIONS = Number(values.decisions);
const ROUNDS = Number(values.rounds);
const WARM_UP = 3_000;
/** Decisions between two looks at the clock. */
const BATCH = 20;
/** A weight and a pause, ten times. */
const STEPS = Array.from({ length: 10 }, (_, at) => [{ setWeight: 5 + 10 * at }, { pause: {} }]).flat();

/** Four versions released one after the other; the fifth comes with the scene. */
function world(): World {
  const made = worldWith({ replicas: 10, isRouted: true, steps: STEPS });
  made.settle();
  for (const image of ["web:2", "web:3", "web:4"]) {
    made.editSpec(imagePatch(image));
    made.settle();
    made.patchStatus({ promoteFull: true });
    made.settle();
    made.advance(60_000);
  }
  return made;
}

const SCENES: Readonly<Record<string, (made: World) => void>> = {
  "nothing to do": () => undefined,
  "a new version, its ReplicaSet is missing": (made) => made.editSpec(imagePatch("web:5")),
  "paused at a step": (made) => {
    made.editSpec(imagePatch("web:5"));
    made.settle();
  },
  "a step is complete": (made) => {
    made.editSpec(imagePatch("web:5"));
    made.settle();
    made.patchStatus({ pauseConditions: null });
  },
  "aborted by the user": (made) => {
    made.editSpec(imagePatch("web:5"));
    made.settle();
    made.patchStatus({ abort: true });
  },
};

/** The median of a decision, µs. */
function run(name: string): number {
  const made = world();
  SCENES[name]?.(made);
  // As the controller has it: read once from the API, decided upon often.
  const snapshot: Snapshot = made.snapshot();
  const { nowMs } = made;
  for (let index = 0; index < WARM_UP; index += 1) decide(snapshot, nowMs);
  const found: number[] = [];
  for (let done = 0; done < DECISIONS; done += BATCH) {
    const startMs = performance.now();
    for (let index = 0; index < BATCH; index += 1) decide(snapshot, nowMs);
    found.push(((performance.now() - startMs) * 1_000) / BATCH);
  }
  return quantile(
    found.sort((a, b) => a - b),
    0.5,
  );
}

if (values.scene !== undefined) process.stdout.write(`${run(values.scene)}\n`);
else
  measureScenes(Object.keys(SCENES), {
    file: import.meta.filename,
    args: ["--decisions", String(DECISIONS)],
    rounds: ROUNDS,
    unit: "µs",
    digits: 1,
  });
