// The new status, built once from the snapshot and the decision, with the events that its changes bring.
import { MESSAGES, REASONS, type RolloutStatus, selectorText } from "../../api/api.ts";
import { type Context, replicaSetName } from "../context.ts";
import type { Decision } from "../decision.ts";
import type { PlannedEvent } from "../plan.ts";
import { workloadGeneration } from "../pods/workload.ts";
import { isPaused, isSettled, type Stage } from "../stage.ts";
import { type ConditionFacts, firstConditions, invalidConditions, nextConditions } from "./conditions.ts";
import { type Deadline, deadlineOf } from "./deadline.ts";
import { nextDuration } from "./duration.ts";
import { phaseOf } from "./phase.ts";

/** What the status tells besides the decision. */
export interface Pass {
  readonly revision: number;
  /** It creates the wanted version's ReplicaSet. */
  readonly isCreating: boolean;
  /** The API refuses that ReplicaSet, in these words. */
  readonly refused: string | undefined;
  /** Until when pods were restarted. */
  readonly restartedAt: string | undefined;
  /** The deadline is not called over before. */
  readonly deadlineHeldUntilMs?: number | undefined;
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
export function buildStatus(context: Context, decision: Decision, pass: Pass): BuiltStatus {
  const { stage, unsettled } = decision;
  const draft = draftOf(context, decision, pass);
  const isDone = unsettled === undefined && draft.stableRS === draft.currentPodHash;
  const deadline = deadlineOf(context, stage, { draft, isDone, heldUntilMs: pass.deadlineHeldUntilMs });
  const facts: ConditionFacts = {
    isAborted: stage.isAborted,
    abortMessage: stage.abortMessage,
    isPaused: isPaused(context, stage),
    wasComplete: isSettled(context.status),
    isHealthy: isDone && !hasOldPods(context, draft),
    isCreating: pass.isCreating,
    refused: pass.refused,
    revision: pass.revision,
    replicaSet: replicaSetName(context.name, context.podHash),
    timedOut: deadline.timedOut,
  };
  const conditions = nextConditions(context, draft, facts);
  const withConditions = { ...draft, conditions: conditions.list };
  const { phase, message } = phaseOf(context, withConditions, unsettled);
  return {
    status: { ...withConditions, phase, ...(message === "" ? {} : { message }) },
    deadline,
    events: {
      incomplete:
        conditions.becameIncomplete && !isBegun(context) ? [notCompleted(context, pass.revision)] : [],
      aborted: conditions.becameRefused
        ? [refusedEvent(facts)]
        : conditions.becameAborted
          ? [abortedEvent(stage, pass.revision)]
          : [],
      paused: pauseEvents(context, decision),
    },
  };
}

/** The status of a Rollout that cannot be carried out: as it was, with the reason. */
export function invalidStatus(context: Context, reason: string): RolloutStatus {
  const conditions = invalidConditions(context, MESSAGES.invalidRollout(context.name, reason));
  const status = { ...context.rollout.status, observedGeneration: observed(context), conditions };
  return clean({ ...status, ...phaseOf(context, status, undefined) });
}

/** The status while the wanted version's name is being found anew. The first status of all carries phase and conditions, as any does. */
export function collisionStatus(context: Context, collisionCount: number): RolloutStatus {
  const status = { ...context.rollout.status, collisionCount };
  if (status.phase !== undefined && status.conditions !== undefined) return clean(status);
  const conditions = firstConditions(context);
  return clean({ ...status, conditions, ...phaseOf(context, { ...status, conditions }, undefined) });
}

/** Whether pods of older versions are still there: a canary's Healthy condition waits for their end, as Argo's does, its phase does not. */
function hasOldPods(context: Context, draft: RolloutStatus): boolean {
  return context.strategy.kind !== "blueGreen" && (draft.replicas ?? 0) !== context.replicas;
}

function draftOf(context: Context, decision: Decision, { restartedAt }: Pass): RolloutStatus {
  const { rollout, roles } = context;
  const { stage, stableHash } = decision;
  const sum = (count: (of: (typeof roles.owned)[number]["status"]) => number | undefined): number =>
    roles.owned.reduce((total, replicaSet) => total + (count(replicaSet.status) ?? 0), 0);
  const replicas = sum((status) => status.replicas);
  const selector = rollout.spec.selector;
  return clean({
    ...context.status,
    // What the other strategy left behind goes; both are always there, as Argo writes them.
    canary: {},
    blueGreen: {},
    // These follow from all the rest.
    phase: undefined,
    message: undefined,
    // Only a router whose load balancers are asked tells these; Argo keeps them when that router is taken out.
    alb: undefined,
    albs: undefined,
    abort: stage.isAborted ? true : undefined,
    abortedAt: stage.abortedAt,
    promoteFull: stage.promoteFull ? true : undefined,
    pauseConditions: stage.pauses.length === 0 ? undefined : stage.pauses,
    controllerPause: stage.controllerPause ? true : undefined,
    currentPodHash: context.podHash,
    currentStepHash: context.stepHash === "" ? undefined : context.stepHash,
    currentStepIndex: stage.index,
    stableRS: stableHash === "" ? undefined : stableHash,
    replicas,
    updatedReplicas: roles.current?.status.replicas ?? 0,
    readyReplicas: sum((status) => status.readyReplicas),
    availableReplicas: sum((status) => status.availableReplicas),
    HPAReplicas: replicas,
    ...(selector === undefined ? {} : { selector: selectorText(selector) }),
    observedGeneration: observed(context),
    restartedAt,
    workloadObservedGeneration: workloadGeneration(context),
    ...decision.status,
    duration: nextDuration(context, {
      stage,
      stableHash,
      isPromoted: decision.promotion !== undefined,
      isFast: decision.mode === "promoteFull" || decision.mode === "rollback" || decision.isFast === true,
    }),
  });
}

/** A blue-green Rollout's first version is complete as soon as it is scaled: Argo's list of events has none of its beginning. */
function isBegun({ status, strategy }: Context): boolean {
  return strategy.kind === "blueGreen" && (status.stableRS ?? "") === "";
}

function refusedEvent({ replicaSet, refused = "" }: ConditionFacts): PlannedEvent {
  const message = MESSAGES.replicaSetCreateError(replicaSet, refused);
  return { type: "Warning", reason: REASONS.replicaSetCreateError, message };
}

function notCompleted(context: Context, revision: number): PlannedEvent {
  return {
    type: "Normal",
    reason: REASONS.rolloutNotCompleted,
    message: MESSAGES.rolloutNotCompleted(revision, context.podHash),
  };
}

function abortedEvent(stage: Stage, revision: number): PlannedEvent {
  const message = MESSAGES.aborted(revision, stage.abortMessage ?? "");
  return { type: "Warning", reason: REASONS.rolloutAborted, message };
}

/**
 * An event when the first pause comes and when the last one goes; a second pause beside the first is none. An abort ends pauses in silence.
 * Source: Argo: rollout/sync.go sendStateChangeEvents, v1.9. A pass that ends one pause and begins another says both.
 */
function pauseEvents(context: Context, { stage, events }: Decision): readonly PlannedEvent[] {
  const before = context.status.pauseConditions ?? [];
  const [first] = stage.pauses;
  const isKept = before.some((pause) => hasSame(stage.pauses, pause));
  if (first !== undefined) {
    if (isKept) return [];
    return [{ type: "Normal", reason: REASONS.rolloutPaused, message: MESSAGES.pausedFor(first.reason) }];
  }
  const isTold = events.steps.some(({ reason }) => reason === REASONS.rolloutResumed);
  if (before.length === 0 || stage.isAborted || isTold) return [];
  return [{ type: "Normal", reason: REASONS.rolloutResumed, message: MESSAGES.resumed }];
}

function hasSame(pauses: Stage["pauses"], pause: Stage["pauses"][number]): boolean {
  return pauses.some(({ reason, startTime }) => reason === pause.reason && startTime === pause.startTime);
}

function observed(context: Context): string {
  return String(context.rollout.metadata.generation ?? 0);
}

/** Leaves out what is undefined: the status is compared and written as JSON. */
export function clean<T extends object>(value: { readonly [Key in keyof T]: T[Key] | undefined }): T {
  const kept: Partial<T> = {};
  for (const key in value) if (value[key] !== undefined) kept[key] = value[key];
  // Only keys without a value go, and those are optional in the status.
  return kept as T;
}
