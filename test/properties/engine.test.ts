// What holds for every history of a Rollout: spec edits, readiness, crashing pods, acknowledgements, user actions, analyses, clocks that jump,
// restarts and crashes after any part of a plan, plans that come too late, in any order. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import { WORKLOAD_GENERATION_ANNOTATION } from "../../src/api/api.ts";
import type { Action } from "../../src/engine/decide.ts";
import type { World } from "../support/world.ts";
import { histories, play, type Strategy, worldOf } from "./histories.ts";
import { equal, settleChecked } from "./invariants.ts";
import { HISTORY_OPTIONS } from "./options.ts";

const NAMES: Readonly<Record<Strategy, string>> = {
  replicas: "a canary without a router",
  routed: "a canary with a router",
  blueGreen: "blue-green",
};

/** Later than any delay of the specs. */
const LAST_DELAY_MS = 120_000;

for (const strategy of ["replicas", "routed", "blueGreen"] as const) {
  const name = NAMES[strategy];
  const history = histories(strategy);

  test(`properties: every pass of ${name} keeps the invariants, and it comes to rest`, async (t) => {
    fc.assert(
      fc.property(history, ({ events, ...start }) => {
        const world = worldOf(start);
        for (const next of events) play(world, next);
        settleChecked(world);
      }),
      HISTORY_OPTIONS,
    );
    t.pass("no history broke them");
  });

  test(`properties: a crash after any part of a plan of ${name} leads to the same end`, async (t) => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 8 }), ({ events, ...start }, writes) => {
        const world = worldOf(start);
        for (const next of events) play(world, next);
        // A pause holds the sizes wherever they were on their way.
        world.editSpec({ paused: null });
        const crashed = world.clone();
        crashed.apply(crashed.plan(), writes);
        crashed.restart();
        for (const one of [world, crashed]) {
          Object.assign(one, { readiness: "auto", acking: "auto" });
          one.acknowledge();
          one.advance(LAST_DELAY_MS);
        }
        equal(endOf(crashed), endOf(world), "the ends differ");
      }),
      HISTORY_OPTIONS,
    );
    t.pass("every crash converged");
  });

  test(`properties: carrying a plan out twice for ${name} is carrying it out once`, async (t) => {
    fc.assert(
      fc.property(history, ({ events, ...start }) => {
        const once = worldOf(start);
        for (const next of events) play(once, next);
        const twice = once.clone();
        const { actions } = once.plan();
        for (const action of actions) once.write(action);
        for (const action of actions) {
          twice.write(action);
          repeat(twice, action);
        }
        equal(endOf(twice), endOf(once), "the second time changed something");
      }),
      HISTORY_OPTIONS,
    );
    t.pass("no action does more the second time");
  });
}

test("properties: an abort of a routed canary ends with all the traffic on the stable version", async (t) => {
  fc.assert(
    fc.property(histories("routed"), ({ events, ...start }) => {
      const world = worldOf(start);
      for (const next of events) play(world, next);
      Object.assign(world, { readiness: "auto", acking: "auto" });
      world.acknowledge();
      world.editSpec({ paused: null });
      world.settle();
      world.patchStatus({ abort: true, promoteFull: null });
      world.settle();
      world.advance(LAST_DELAY_MS);
      const { stable } = world.status().canary?.weights ?? {};
      equal(stable?.weight, 100, "stable does not have all the traffic");
    }),
    HISTORY_OPTIONS,
  );
  t.pass("every abort ended there");
});

/** The same action again: done already, or refused for its precondition. */
function repeat(world: World, action: Action): void {
  try {
    world.write(action);
  } catch (error) {
    if (!String(error).includes("conflict")) throw error;
  }
}

/** Of the condition Progressing, where the update stands still. */
const ENDS: ReadonlySet<unknown> = new Set([
  "NewReplicaSetAvailable",
  "ProgressDeadlineExceeded",
  "RolloutAborted",
  "RolloutPaused",
]);

function endOf(world: World): unknown {
  const sizes = [...world.replicaSets.values()].map((item) => {
    const { name, annotations, ownerReferences } = item.metadata;
    // Of a version that has gone nobody needs to know when it was to go.
    const { "scale-down-deadline": deadline, ...others } = withoutGeneration(annotations);
    const isGone = Object(item.spec).replicas === 0;
    return { name, annotations: isGone ? others : { ...others, deadline }, ownerReferences, spec: item.spec };
  });
  const services = [...world.services.values()].map((item) => item.spec);
  const runs = [...world.runs.values()].map((item) => ({ name: item.metadata.name, spec: item.spec }));
  const { spec, metadata } = world.rollout;
  const { conditions = [], ...status } = world.status();
  // Their order in the list is that of their first appearance, their times those of the passes: no part of the end.
  // A pause that is over leaves a condition behind, if a status told of it.
  const lasting = conditions.filter(({ type, status: value }) => type !== "Paused" || value !== "False");
  const byType = Object.fromEntries(
    lasting.map(({ type, status: value, reason, message }) => [type, { value, reason, message }]),
  );
  // By which of its passes an update is on its way is no part of it either, nor how long it took.
  const isOnItsWay = byType.Progressing !== undefined && !ENDS.has(byType.Progressing.reason);
  if (isOnItsWay) byType.Progressing = { value: "Unknown", reason: "", message: "on its way" };
  return {
    sizes,
    services,
    runs,
    spec,
    status: { ...status, duration: undefined, workloadObservedGeneration: undefined },
    byType,
    annotations: withoutGeneration(metadata.annotations),
    workloads: [...world.workloads.values()].map((item) => item.spec),
    traffic: world.published,
  };
}

/** How often a Deployment was scaled on the way is no part of the end. */
function withoutGeneration(
  annotations: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const { [WORKLOAD_GENERATION_ANNOTATION]: _, ...others } = annotations;
  return others;
}
