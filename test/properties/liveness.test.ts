// Nothing is stuck for good: whatever has happened, an update comes to its end once everybody does as asked: pods become ready, proxies
// acknowledge, analyses succeed, somebody promotes what is paused and retries what was aborted. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import { ingressManifest } from "../../src/simulate/routing.ts";
import type { World } from "../support/world.ts";
import { helpToTheEnd } from "./ends.ts";
import { type History, histories, NAMES, play, STRATEGIES, type Start, worldOf } from "./histories.ts";
import { HISTORY_OPTIONS } from "./options.ts";

for (const strategy of STRATEGIES) {
  test(`properties: ${NAMES[strategy]} is healthy in the end, once everybody does as asked`, async (t) => {
    fc.assert(
      fc.property(histories(strategy), (history) => endsHealthy(history, worldOf)),
      HISTORY_OPTIONS,
    );
    t.pass("every update came to its end");
  });
}

const ROUTERS: Readonly<Record<string, object>> = {
  nginx: { nginx: { stableIngress: "web" } },
  alb: { alb: { ingress: "web", servicePort: 80 } },
};

for (const [name, trafficRouting] of Object.entries(ROUTERS)) {
  test(`properties: a canary behind ${name} is healthy in the end, once everybody does as asked`, async (t) => {
    fc.assert(
      fc.property(histories("routed"), (history) => endsHealthy(history, behind(trafficRouting))),
      HISTORY_OPTIONS,
    );
    t.pass("every update came to its end");
  });
}

function endsHealthy({ events, ...start }: History, begin: (start: Start) => World): void {
  const world = begin(start);
  // What holds of every pass is the matter of other properties.
  for (const next of events) play(world, next, (one) => one.plan());
  helpToTheEnd(world);
}

/** The same with another router than weir's own. */
function behind(trafficRouting: object): (start: Start) => World {
  return ({ shape, ...start }) => {
    const canary = { ...shape.canary, trafficRouting };
    const world = worldOf({ ...start, shape: { ...shape, isPingPong: false, canary } });
    world.add("ingresses", ingressManifest("web", "web-stable"));
    return world;
  };
}
