// The new status, built once from the snapshot and the decision, with the events that its changes bring.
import {
  MESSAGES,
  PHASE_MESSAGES,
  REASONS,
  type RolloutStatus,
  selectorText,
  type TrafficWeights,
} from "../api/api.ts";
import { isObject } from "../lib/json.ts";
import { type ConditionFacts, invalidConditions, nextConditions } from "./conditions.ts";
import { type Context, replicaSetName } from "./context.ts";
import { type Deadline, deadlineOf } from "./deadline.ts";
import { phaseOf } from "./phase.ts";
import type { PlannedEvent } from "./plan.ts";
import { availableOf } from "./replicaset.ts";
import type { Stage } from "./stage.ts";
import { isManuallyPaused, nextDuration } from "./timing.ts";

/** What of a decision the status tells. */
export interface Outcome {
  readonly stage: Stage;
  readonly stableHash: string;
  readonly weights: TrafficWeights | undefined;
  readonly areServicesSettled: boolean;
  readonly revision: number;
  readonly isCreating: boolean;
  readonly isNewVersion: boolean;
  /** Past its steps. */
  readonly isFast: boolean;
  /** This pass makes the wanted version the stable one, or finds the spec back at the stable version. */
  readonly isPromoted: boolean;
}

export interface BuiltStatus {
  readonly status: RolloutStatus;
  readonly events: StatusEvents;
  readonly deadline: Deadline;
}

/** Events of changes of the status, by their place among the others. */
export interface StatusEvents {
  readonly incomplete: readonly PlannedEvent[];
  readonly aborted: readonly PlannedEvent[];
  readonly paused: readonly PlannedEvent[];
}

/** The status after a pass that could be carried out. */
export function buildStatus(context: Context, outcome: Outcome): BuiltStatus {
  const draft = draftOf(context, outcome);
  const unsettled = unsettledText(context, draft, outcome);
  const isHealthy = unsettled === undefined && draft.stableRS === draft.currentPodHash;
  const deadline = deadlineOf(context, outcome.stage, draft, isHealthy);
  const facts: ConditionFacts = {
    isAborted: outcome.stage.isAborted,
    abortMessage: outcome.stage.abortMessage,
    isPaused: outcome.stage.pauses.length > 0 || context.rollout.spec.paused === true,
    isHealthy,
    isCreating: outcome.isCreating,
    revision: outcome.revision,
    replicaSet: replicaSetName(context.name, context.podHash),
    timedOut: deadline.timedOut,
  };
  const conditions = nextConditions(context, draft, facts);
  const withConditions = { ...draft, conditions: conditions.list };
  const { phase, message } = phaseOf(context, withConditions, unsettled);
  return {
    status: clean({ ...withConditions, phase, message: message === "" ? undefined : message }),
    deadline,
    events: {
      incomplete: conditions.becameIncomplete ? [notCompleted(context, outcome)] : [],
      aborted: conditions.becameAborted ? [abortedEvent(outcome)] : [],
      paused: pauseEvents(context, outcome.stage),
    },
  };
}

/** The status of a Rollout that cannot be carried out: as it was, with the reason. */
export function invalidStatus(context: Context, reason: string): RolloutStatus {
  const conditions = invalidConditions(context, MESSAGES.invalidRollout(context.name, reason));
  const status = { ...context.status, observedGeneration: observed(context), conditions };
  return clean({ ...status, ...phaseOf(context, status, undefined) });
}

/** The status while the wanted version's name is being found anew. */
export function collisionStatus(context: Context, collisionCount: number): RolloutStatus {
  return clean({ ...context.status, collisionCount });
}

function draftOf(context: Context, outcome: Outcome): RolloutStatus {
  const { rollout, roles } = context;
  const { stage } = outcome;
  const sum = (count: (of: (typeof roles.owned)[number]["status"]) => number | undefined): number =>
    roles.owned.reduce((total, replicaSet) => total + (count(replicaSet.status) ?? 0), 0);
  const replicas = sum((status) => status.replicas);
  const selector = rollout.spec.selector;
  return clean({
    ...context.status,
    abort: stage.isAborted ? true : undefined,
    abortedAt: stage.abortedAt,
    promoteFull: stage.promoteFull ? true : undefined,
    pauseConditions: stage.pauses.length === 0 ? undefined : stage.pauses,
    controllerPause: stage.controllerPause ? true : undefined,
    currentPodHash: context.podHash,
    currentStepHash: context.stepHash,
    currentStepIndex: stage.index,
    stableRS: outcome.stableHash === "" ? undefined : outcome.stableHash,
    replicas,
    updatedReplicas: roles.current?.status.replicas ?? 0,
    readyReplicas: sum((status) => status.readyReplicas),
    availableReplicas: sum((status) => status.availableReplicas),
    HPAReplicas: replicas,
    ...(selector === undefined ? {} : { selector: selectorText(selector) }),
    observedGeneration: observed(context),
    canary: clean({
      ...context.status.canary,
      currentStepAnalysisRunStatus: stage.stepRun,
      currentBackgroundAnalysisRunStatus: stage.backgroundRun,
      weights: outcome.weights,
    }),
    duration: nextDuration(context, {
      isNewVersion: outcome.isNewVersion,
      isPromoted: outcome.isPromoted,
      isAborted: stage.isAborted,
      isRetried:
        context.status.abortedAt !== undefined && !stage.isAborted && outcome.stableHash !== context.podHash,
      isFast: outcome.isFast,
      isManuallyPaused: isManuallyPaused(context, stage),
    }),
  });
}

/** What is not yet as a healthy Rollout claims it to be; undefined when all is. */
function unsettledText(context: Context, draft: RolloutStatus, outcome: Outcome): string | undefined {
  const { replicas, roles, hasRouter } = context;
  if ((draft.updatedReplicas ?? 0) < replicas) return PHASE_MESSAGES.moreReplicas;
  if (availableOf(roles.current) < replicas) return PHASE_MESSAGES.becomingAvailable;
  if (!hasRouter && (draft.replicas ?? 0) > (draft.updatedReplicas ?? 0)) return PHASE_MESSAGES.oldReplicas;
  if (draft.stableRS !== draft.currentPodHash) return PHASE_MESSAGES.waitingForSteps;
  if (!outcome.areServicesSettled) return "waiting for the Services to be switched";
  if (outcome.weights?.verified === false)
    return `waiting for the proxies to acknowledge the weights${refusals(context)}`;
  return undefined;
}

/** What proxies have refused, which only the user can mend, to be added to a message. */
function refusals({ snapshot }: Context): string {
  const { acknowledgement } = snapshot.traffic;
  if (acknowledgement.kind !== "no") return "";
  const refused = acknowledgement.nodes.filter(({ hasRefused }) => hasRefused === true);
  return refused.map(({ node, why }) => `; ${node} ${why}`).join("");
}

function notCompleted(context: Context, outcome: Outcome): PlannedEvent {
  return {
    type: "Normal",
    reason: REASONS.rolloutNotCompleted,
    message: MESSAGES.rolloutNotCompleted(outcome.revision, context.podHash),
  };
}

function abortedEvent(outcome: Outcome): PlannedEvent {
  const message = MESSAGES.aborted(outcome.revision, outcome.stage.abortMessage ?? "");
  return { type: "Warning", reason: REASONS.rolloutAborted, message };
}

function pauseEvents(context: Context, stage: Stage): readonly PlannedEvent[] {
  const known = new Set(
    (context.status.pauseConditions ?? []).map((pause) => pause.reason + pause.startTime),
  );
  return stage.pauses
    .filter((pause) => !known.has(pause.reason + pause.startTime))
    .map((pause) => ({
      type: "Normal",
      reason: REASONS.rolloutPaused,
      message: MESSAGES.pausedFor(pause.reason),
    }));
}

function observed(context: Context): string {
  return String(context.rollout.metadata.generation ?? 0);
}

/** Leaves out what is undefined: the status is compared and written as JSON. */
function clean<T extends object>(value: { readonly [Key in keyof T]: T[Key] | undefined }): T {
  // Only keys without a value go, and those are optional in the status.
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as T;
}

/** Whether the object has no status yet: it is seen for the first time. */
export function isFirstSight(raw: { readonly [field: string]: unknown }): boolean {
  return !isObject(raw.status) || Object.keys(raw.status).length === 0;
}
