// Carrying a plan out twice is carrying it out once, after every history. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import type { Action } from "../../src/engine/decide.ts";
import type { World } from "../support/world.ts";
import { endOf } from "./ends.ts";
import { histories, NAMES, play, STRATEGIES, worldOf } from "./histories.ts";
import { equal } from "./invariants.ts";
import { HISTORY_OPTIONS } from "./options.ts";

for (const strategy of STRATEGIES) {
  test(`properties: carrying a plan out twice for ${NAMES[strategy]} is carrying it out once`, async (t) => {
    fc.assert(
      fc.property(histories(strategy), ({ events, ...start }) => {
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

/** The same action again: done already, or refused for its precondition. */
function repeat(world: World, action: Action): void {
  try {
    world.write(action);
  } catch (error) {
    if (!String(error).includes("conflict")) throw error;
  }
}
