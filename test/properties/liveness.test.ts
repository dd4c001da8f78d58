// Nothing is stuck for good: whatever has happened, an update comes to its end once everybody does as asked: pods become ready, proxies
// acknowledge, analyses succeed, somebody promotes what is paused and retries what was aborted. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import { helpToTheEnd } from "./ends.ts";
import { type History, histories, NAMES, play, STRATEGIES, worldOf } from "./histories.ts";
import { HISTORY_OPTIONS } from "./options.ts";

for (const strategy of STRATEGIES) {
  test(`properties: ${NAMES[strategy]} is healthy in the end, once everybody does as asked`, async (t) => {
    fc.assert(fc.property(histories(strategy), endsHealthy), HISTORY_OPTIONS);
    t.pass("every update came to its end");
  });
}

function endsHealthy({ events, ...start }: History): void {
  const world = worldOf(start);
  for (const next of events) play(world, next);
  helpToTheEnd(world);
}
