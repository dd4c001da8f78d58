// What holds for every history of a Rollout: spec edits, readiness, crashing pods, acknowledgements, user actions, analyses, clocks that jump,
// restarts and crashes after any part of a plan, plans that come too late, in any order. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import { comeToAnEnd, LAST_DELAY_MS } from "./ends.ts";
import { histories, NAMES, play, STRATEGIES, worldOf } from "./histories.ts";
import { equal, settleChecked } from "./invariants.ts";
import { HISTORY_OPTIONS } from "./options.ts";

for (const strategy of STRATEGIES) {
  test(`properties: every pass of ${NAMES[strategy]} keeps the invariants, and it comes to rest`, async (t) => {
    fc.assert(
      fc.property(histories(strategy), ({ events, ...start }) => {
        const world = worldOf(start);
        for (const next of events) play(world, next);
        settleChecked(world);
      }),
      HISTORY_OPTIONS,
    );
    t.pass("no history broke them");
  });
}

test("properties: an abort of a routed canary ends with all the traffic on the stable version", async (t) => {
  fc.assert(
    fc.property(histories("routed"), ({ events, ...start }) => {
      const world = worldOf(start);
      for (const next of events) play(world, next);
      comeToAnEnd(world);
      world.editSpec({ paused: null });
      world.settle();
      world.patchStatus({ abort: true, promoteFull: null });
      world.settle();
      world.advance(LAST_DELAY_MS);
      const { stable } = world.status().canary?.weights ?? {};
      equal(stable?.weight, world.plan().traffic?.maxWeight, "stable does not have all the traffic");
    }),
    HISTORY_OPTIONS,
  );
  t.pass("every abort ended there");
});
