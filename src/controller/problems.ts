// Tells what a manifest asks for and does not get: in the log, and as an event on the object. Each once, for as long as it holds.
import { type EventRecorder, type ObjectStore, subjectOf } from "../cluster/client.ts";
import type { Clock } from "../lib/clock.ts";
import { jsonEqual } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import type { Problem } from "../translate/translate.ts";
import type { Caches } from "./caches.ts";

export interface ProblemDeps {
  readonly caches: Pick<Caches, "gateways" | "httpRoutes" | "trafficPolicies">;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly log: Logger;
}

/** A problem that may pass by itself is told when it has lasted so long. */
export const PASSING_MS = 3_000;

/** Makes the teller of one group; it is given all problems of a rendering. */
export function createProblemTeller(deps: ProblemDeps): (now: readonly Problem[]) => void {
  let current: readonly Problem[] = [];
  const holds = (problem: Problem): boolean => current.some((known) => jsonEqual(known, problem));
  return (now) => {
    const fresh = now.filter((problem) => !holds(problem));
    current = now;
    for (const problem of fresh) {
      if (problem.mayPass) deps.clock.after(PASSING_MS, () => void (holds(problem) && tell(deps, problem)));
      else tell(deps, problem);
    }
  };
}

function tell(deps: ProblemDeps, { about, field, message }: Problem): void {
  deps.log.warn("not carried out", { about, field, why: message });
  const [kind = "", key = ""] = about.split(" ");
  const object = storeOf(deps, kind)?.get(key);
  if (object !== undefined)
    void deps.events.record(subjectOf(object), "Warning", "NotCarriedOut", `${field}: ${message}`);
}

/** The store of a kind that events are written on; of a Rollout none: it has no events but Argo's. */
function storeOf({ caches }: ProblemDeps, kind: string): ObjectStore | undefined {
  if (kind === "Gateway") return caches.gateways.store;
  if (kind === "Rollout") return undefined;
  return kind === "TrafficPolicy" ? caches.trafficPolicies.store : caches.httpRoutes.store;
}
