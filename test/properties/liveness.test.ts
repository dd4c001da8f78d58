// Nothing is stuck for good: whatever has happened, an update comes to its end once everybody does as asked: pods become ready, proxies
// acknowledge, analyses succeed, somebody promotes what is paused and retries what was aborted. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import type { World } from "../support/world.ts";
import { comeToAnEnd, LAST_DELAY_MS } from "./ends.ts";
import { type History, histories, NAMES, play, STRATEGIES, worldOf } from "./histories.ts";
import { HISTORY_OPTIONS } from "./options.ts";

/** More than any of the specs has steps, and a retry. */
const MAX_TURNS = 24;

for (const strategy of STRATEGIES) {
  test(`properties: ${NAMES[strategy]} is healthy in the end, once everybody does as asked`, async (t) => {
    fc.assert(fc.property(histories(strategy), endsHealthy), HISTORY_OPTIONS);
    t.pass("every update came to its end");
  });
}

/** Plays the history, then helps wherever it waits for somebody; throws where it is not healthy in the end. */
function endsHealthy({ events, ...start }: History): void {
  const world = worldOf(start);
  for (const next of events) play(world, next);
  world.editSpec({ paused: null });
  comeToAnEnd(world);
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    world.advance(LAST_DELAY_MS);
    if (isHealthy(world)) return;
    help(world);
  }
  throw new Error(`is not healthy: ${JSON.stringify(world.plan().explanation, null, 1)}`);
}

/** What people and providers do for an update that waits. */
function help(world: World): void {
  for (const name of world.runs.keys()) world.setRun(name, "Successful");
  const { abort, pauseConditions } = world.status();
  if (abort === true) world.patchStatus({ abort: false });
  if (pauseConditions !== undefined) world.patchStatus({ pauseConditions: null });
}

function isHealthy(world: World): boolean {
  const { phase, stableRS, currentPodHash } = world.status();
  return phase === "Healthy" && stableRS === currentPodHash;
}
