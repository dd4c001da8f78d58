// Tells what a manifest asks for and does not get: in the log, and as an event on the object. Each once, for as long as it holds.
import { type EventRecorder, type ObjectStore, subjectOf } from "../cluster/client.ts";
import { jsonEqual } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import type { Problem } from "../translate/translate.ts";
import type { Caches } from "./caches.ts";

export interface ProblemDeps {
  readonly caches: Pick<Caches, "gateways" | "httpRoutes" | "trafficPolicies">;
  readonly events: EventRecorder;
  readonly log: Logger;
}

/** Makes the teller of one group; it is given all problems of a rendering. */
export function createProblemTeller(deps: ProblemDeps): (now: readonly Problem[]) => void {
  let before: readonly Problem[] = [];
  return (now) => {
    for (const problem of now) if (!before.some((known) => jsonEqual(known, problem))) tell(deps, problem);
    before = now;
  };
}

function tell(deps: ProblemDeps, { about, field, message }: Problem): void {
  deps.log.warn("not carried out", { about, field, why: message });
  const [kind = "", key = ""] = about.split(" ");
  const object = storeOf(deps, kind).get(key);
  if (object !== undefined)
    void deps.events.record(subjectOf(object), "Warning", "NotCarriedOut", `${field}: ${message}`);
}

/** The store of a kind that problems are about. */
function storeOf({ caches }: ProblemDeps, kind: string): ObjectStore {
  if (kind === "Gateway") return caches.gateways.store;
  return kind === "TrafficPolicy" ? caches.trafficPolicies.store : caches.httpRoutes.store;
}
