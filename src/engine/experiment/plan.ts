// What decideExperiment() returns: all that one pass does about an Experiment, as data. Carried out in this order: actions, status, events.
import type { ExperimentStatus } from "../../api/api.ts";
import type { Action, Plan, PlannedEvent, Wait } from "../plan.ts";

export interface ExperimentPlan extends Pick<Plan, "actions" | "events" | "requeueAtMs" | "warnings"> {
  /** The whole status wanted; Experiments have no status subresource, so it is written with the object. */
  readonly status: ExperimentStatus;
  /** News that the Rollout whose step it is has to tell as well. */
  readonly rolloutEvents: readonly PlannedEvent[];
  /** What it waits for; empty when it waits for nothing. */
  readonly waits: readonly Wait[];
}

/** What one planner adds to a plan. */
export interface ExperimentPart {
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
  readonly requeueAtMs: readonly number[];
}

/** A part that does nothing. */
export const NO_PART: ExperimentPart = { actions: [], events: [], waits: [], requeueAtMs: [] };

/** Several parts in order. */
export function together(parts: readonly ExperimentPart[]): ExperimentPart {
  return {
    actions: parts.flatMap((part) => part.actions),
    events: parts.flatMap((part) => part.events),
    waits: parts.flatMap((part) => part.waits),
    requeueAtMs: parts.flatMap((part) => part.requeueAtMs),
  };
}

/** How soon to look again while an object is on its way out. */
const RECHECK_MS = 1000;

/** What stands under the wanted name is on its way out: waited for, since it keeps the name until its finalizers are through. */
export function beingDeleted(
  { nowMs }: { readonly nowMs: number },
  kind: "ReplicaSet" | "Service",
  name: string,
): ExperimentPart {
  const wait = { code: "replicas", text: `${kind} ${name} is being deleted` } as const;
  return { ...NO_PART, waits: [wait], requeueAtMs: [nowMs + RECHECK_MS] };
}
