// Events that no planner has: of the update as a whole, at its beginning and its end.
import { MESSAGES, REASONS } from "../../api/api.ts";
import { isObject } from "../../lib/json.ts";
import { type Context, isPromoted } from "../context.ts";
import type { Decision } from "../decision.ts";
import type { PlannedEvent } from "../plan.ts";
import { canSkipSteps } from "../pods/rollbackwindow.ts";
import type { Stage } from "../stage.ts";

/** That the controller knows of the Rollout now: it has no status yet. */
export function firstSight(context: Context): readonly PlannedEvent[] {
  const { status } = context.snapshot.raw;
  if (isObject(status) && Object.keys(status).length > 0) return [];
  const message = `Rollout resource added to informer: ${context.namespace}/${context.name}`;
  return [{ type: "Normal", reason: REASONS.rolloutAddedToInformer, message }];
}

/** Why an update that begins has no steps to go through. `reset`: the stage that it begins with. */
export function skipped(context: Context, reset: Stage | undefined): readonly PlannedEvent[] {
  if (reset === undefined || context.steps.length === 0) return [];
  const message = isPromoted(context)
    ? MESSAGES.skipStepsToStable
    : canSkipSteps(context)
      ? MESSAGES.skipStepsInWindow
      : undefined;
  return message === undefined ? [] : [{ type: "Normal", reason: REASONS.skipSteps, message }];
}

/** That the wanted version is the stable one. */
export function completed(context: Context, decision: Decision, revision: number): readonly PlannedEvent[] {
  if (decision.promotion === undefined) return [];
  const message = MESSAGES.rolloutCompleted(revision, context.podHash, decision.promotion);
  return [{ type: "Normal", reason: REASONS.rolloutCompleted, message }];
}
