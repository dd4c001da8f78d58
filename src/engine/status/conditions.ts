// status.conditions: what each says, and when its times move. Source: Argo: rollout/sync.go calculateRolloutConditions and
// checkPausedConditions, v1.9.
import { isCompleted } from "../../analysis/assess.ts";
import {
  CONDITION_TYPES,
  type ConditionType,
  MESSAGES,
  REASONS,
  type RolloutCondition,
  type RolloutStatus,
} from "../../api/api.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import { crashLoopOf } from "../pods/crashloop.ts";
import { podHashOf } from "../pods/replicaset.ts";
import { isGate } from "../steps/gate.ts";

/** What the conditions are made from; everything else is in the context and the draft. */
export interface ConditionFacts {
  readonly isAborted: boolean;
  /** Why this pass aborts. */
  readonly abortMessage: string | undefined;
  readonly isPaused: boolean;
  /** The last pass left nothing in flight: a pause then holds no progress up. */
  readonly wasComplete: boolean;
  readonly isHealthy: boolean;
  /** This pass creates the ReplicaSet of the wanted version. */
  readonly isCreating: boolean;
  /** The API refuses it, in these words. */
  readonly refused: string | undefined;
  readonly revision: number;
  /** The name of the wanted version's ReplicaSet. */
  readonly replicaSet: string;
  /** The deadline has passed: the words. */
  readonly timedOut: string | undefined;
}

export interface Conditions {
  readonly list: readonly RolloutCondition[];
  readonly becameAborted: boolean;
  readonly becameIncomplete: boolean;
  readonly becameRefused: boolean;
}

type Draft = RolloutStatus;
type Status = RolloutCondition["status"];

/** The condition of one type. */
export function conditionOf(
  list: readonly RolloutCondition[] | undefined,
  type: ConditionType,
): RolloutCondition | undefined {
  return list?.find((condition) => condition.type === type);
}

/** The conditions that go with `draft`, the new status without them. */
export function nextConditions(context: Context, draft: Draft, facts: ConditionFacts): Conditions {
  const board = new ConditionBoard(context.status.conditions ?? [], context.nowMs);
  board.remove(CONDITION_TYPES.invalidSpec);
  userConditions(board, facts);

  const wasHealthy = board.get(CONDITION_TYPES.healthy);
  if (facts.isHealthy && !facts.isPaused)
    board.set(CONDITION_TYPES.healthy, "True", REASONS.rolloutHealthy, MESSAGES.healthy);
  else if (wasHealthy !== undefined)
    board.set(CONDITION_TYPES.healthy, "False", REASONS.rolloutHealthy, MESSAGES.notHealthy);
  const becameUnhealthy = wasHealthy?.status === "True" && !(facts.isHealthy && !facts.isPaused);

  const isComplete = draft.stableRS !== undefined && draft.stableRS === draft.currentPodHash;
  const becameIncomplete =
    board.set(
      CONDITION_TYPES.completed,
      isComplete ? "True" : "False",
      REASONS.rolloutCompleted,
      REASONS.rolloutCompleted,
    ) && !isComplete;

  const becameAborted = facts.isAborted && abort(board, facts);
  const becameRefused = refuse(board, facts);
  if (!facts.isAborted && facts.refused === undefined)
    progress(board, context, draft, facts, becameUnhealthy);

  const failure = replicaFailure(context);
  if (failure === undefined) board.remove(CONDITION_TYPES.replicaFailure);
  else board.set(CONDITION_TYPES.replicaFailure, "True", failure.reason, failure.message);

  const isAvailable = isServed(context, draft) && (draft.availableReplicas ?? 0) >= context.replicas;
  board.set(
    CONDITION_TYPES.available,
    isAvailable ? "True" : "False",
    REASONS.available,
    isAvailable ? MESSAGES.available : MESSAGES.notAvailable,
  );
  return { list: board.list(), becameAborted, becameIncomplete, becameRefused };
}

/** Whether there are pods behind a blue-green Rollout's active Service. Source: Argo: rollout/sync.go calculateRolloutConditions, v1.9. */
function isServed({ roles }: Context, { blueGreen }: Draft): boolean {
  const { activeSelector = "" } = blueGreen ?? {};
  return activeSelector === "" || roles.owned.some((replicaSet) => podHashOf(replicaSet) === activeSelector);
}

/** The conditions of a Rollout that cannot be carried out: the others stay as they were. */
export function invalidConditions(context: Context, message: string): readonly RolloutCondition[] {
  const board = new ConditionBoard(context.status.conditions ?? [], context.nowMs);
  board.set(CONDITION_TYPES.invalidSpec, "True", REASONS.invalidSpec, message);
  return board.list();
}

/** The conditions of a Rollout of which nothing is there yet. */
export function firstConditions(context: Context): readonly RolloutCondition[] {
  const board = new ConditionBoard(context.status.conditions ?? [], context.nowMs);
  if (board.get(CONDITION_TYPES.progressing) === undefined)
    board.set(
      CONDITION_TYPES.progressing,
      "True",
      REASONS.replicaSetUpdated,
      MESSAGES.rolloutProgressing(context.name),
    );
  return board.list();
}

/** Paused, resumed and retried: what the user's doing shows as. */
function userConditions(board: ConditionBoard, facts: ConditionFacts): void {
  const { progressing, paused } = CONDITION_TYPES;
  const reason = board.get(progressing)?.reason;
  if (reason === REASONS.rolloutAborted) {
    if (!facts.isAborted) board.set(progressing, "Unknown", REASONS.rolloutRetry, MESSAGES.retry);
    else return;
  }
  if (facts.isAborted) return;
  const showsPause = reason === REASONS.rolloutPaused;
  if (facts.isPaused && !showsPause && !facts.wasComplete)
    board.set(progressing, "Unknown", REASONS.rolloutPaused, MESSAGES.paused);
  if (!facts.isPaused && showsPause && !facts.wasComplete)
    board.set(progressing, "Unknown", REASONS.rolloutResumed, MESSAGES.resumed);
  const wasPaused = board.get(paused)?.status === "True";
  if (facts.isPaused === wasPaused) return;
  board.set(paused, facts.isPaused ? "True" : "False", REASONS.rolloutPaused, MESSAGES.paused);
  // What stood still meanwhile has its whole deadline.
  const known = board.get(progressing);
  if (!facts.isPaused && known !== undefined)
    board.touch(progressing, known.status, known.reason, known.message);
}

function abort(board: ConditionBoard, facts: ConditionFacts): boolean {
  const known = board.get(CONDITION_TYPES.progressing);
  const isKnown = known?.reason === REASONS.rolloutAborted && known.status === "False";
  // The cause is known in the pass that aborts; later ones keep its words.
  if (isKnown && facts.abortMessage === undefined) return false;
  const message = MESSAGES.aborted(facts.revision, facts.abortMessage ?? "");
  return board.set(CONDITION_TYPES.progressing, "False", REASONS.rolloutAborted, message);
}

/** A version that cannot exist is no progress; past the deadline that is what counts. */
function refuse(board: ConditionBoard, facts: ConditionFacts): boolean {
  if (facts.refused === undefined || facts.isAborted) return false;
  const type = CONDITION_TYPES.progressing;
  if (facts.timedOut !== undefined)
    return board.set(type, "False", REASONS.progressDeadlineExceeded, facts.timedOut) && false;
  const message = MESSAGES.replicaSetCreateError(facts.replicaSet, facts.refused);
  return board.set(type, "False", REASONS.replicaSetCreateError, message);
}

function progress(
  board: ConditionBoard,
  context: Context,
  draft: Draft,
  facts: ConditionFacts,
  becameUnhealthy: boolean,
): void {
  const type = CONDITION_TYPES.progressing;
  if (facts.isCreating) {
    board.set(type, "True", REASONS.newReplicaSetCreated, MESSAGES.newReplicaSet(facts.replicaSet));
    return;
  }
  if (facts.isPaused) return;
  const isFound = board.get(type) === undefined && context.roles.current !== undefined;
  if (facts.isHealthy) {
    const message = MESSAGES.replicaSetCompleted(facts.replicaSet);
    board.set(type, "True", REASONS.newReplicaSetAvailable, message);
  } else if (becameUnhealthy && draft.stableRS === draft.currentPodHash) {
    board.touch(type, "True", REASONS.replicaSetNotAvailable, MESSAGES.notAvailable);
  } else if (isFound) {
    board.set(type, "True", REASONS.foundNewReplicaSet, MESSAGES.foundNewReplicaSet(facts.replicaSet));
  } else if (becameUnhealthy || hasProgressed(context, draft) || !hasTime(board.get(type))) {
    board.touch(type, "True", REASONS.replicaSetUpdated, MESSAGES.replicaSetProgressing(facts.replicaSet));
  } else if (facts.timedOut !== undefined) {
    board.set(type, "False", REASONS.progressDeadlineExceeded, facts.timedOut);
  }
}

/** Whether the deadline can be counted from the condition; one that others wrote may lack its time. */
function hasTime(condition: RolloutCondition | undefined): boolean {
  return parseTime(condition?.lastUpdateTime) !== undefined;
}

/** Whether the new status is a step ahead of the old one, in pods, versions, steps, analyses or weights. */
export function hasProgressed(context: Context, draft: Draft): boolean {
  const { status } = context;
  const old = (of: Draft): number => (of.replicas ?? 0) - (of.updatedReplicas ?? 0);
  const weights = (of: Draft): string => JSON.stringify(of.canary?.weights ?? null);
  // What may come and go with the readiness of pods: with dynamicStableScale traffic does, and stable's pods with it.
  const gains =
    (draft.readyReplicas ?? 0) > (status.readyReplicas ?? 0) ||
    (draft.availableReplicas ?? 0) > (status.availableReplicas ?? 0) ||
    old(draft) < old(status) ||
    weights(draft) !== weights(status);
  // What comes after an analysis has all of the deadline that it has rested.
  const analysed = ({ canary, blueGreen }: Draft): number =>
    [
      canary?.currentStepAnalysisRunStatus,
      blueGreen?.prePromotionAnalysisRunStatus,
      blueGreen?.postPromotionAnalysisRunStatus,
    ].filter((run) => run !== undefined && isCompleted(run.status)).length;
  // A gate that was at work and errs has its deadline from then on.
  const phases = (of: Draft): string =>
    (of.canary?.stepPluginStatuses ?? [])
      .filter(({ name }) => isGate(name))
      .map(({ phase }) => phase)
      .join();
  return (
    phases(draft) !== phases(status) ||
    analysed(draft) > analysed(status) ||
    (gains && crashLoopOf(context) === undefined) ||
    (draft.updatedReplicas ?? 0) !== (status.updatedReplicas ?? 0) ||
    draft.currentStepIndex !== status.currentStepIndex ||
    (draft.currentStepHash ?? "") !== (status.currentStepHash ?? "") ||
    draft.stableRS !== status.stableRS ||
    draft.currentPodHash !== status.currentPodHash
  );
}

/** What keeps one of the Rollout's ReplicaSets from having its pods; that of the wanted version before others. */
export function replicaFailure(
  context: Context,
): { readonly name: string; readonly reason: string; readonly message: string } | undefined {
  const { current, stable, others } = context.roles;
  for (const replicaSet of [current, stable, ...others]) {
    const failure = replicaSet?.status.conditions?.find(
      (condition) => condition.type === CONDITION_TYPES.replicaFailure && condition.status === "True",
    );
    const { reason = "", message = "" } = failure ?? {};
    if (replicaSet !== undefined && failure !== undefined)
      return { name: replicaSet.metadata.name, reason, message };
  }
  return undefined;
}

/** The list while it is being built: order and times as Argo keeps them. */
export class ConditionBoard {
  readonly #conditions: RolloutCondition[];
  readonly #now: string;

  constructor(conditions: readonly RolloutCondition[], nowMs: number) {
    // One of each type: more can only come from others, and would never be brought up to date.
    const seen = new Set<string>();
    this.#conditions = conditions.filter(({ type }) => !seen.has(type) && seen.add(type));
    this.#now = formatTime(nowMs);
  }

  get(type: ConditionType): RolloutCondition | undefined {
    return conditionOf(this.#conditions, type);
  }

  /** Tells whether anything changed. lastTransitionTime moves with the status alone. */
  set(type: ConditionType, status: Status, reason: string, message: string): boolean {
    const known = this.get(type);
    if (known?.status === status && known.reason === reason && known.message === message) return false;
    this.touch(type, status, reason, message);
    return true;
  }

  /** As `set`, and lastUpdateTime moves in any case. */
  touch(type: ConditionType, status: Status, reason: string, message: string): void {
    const index = this.#conditions.findIndex((condition) => condition.type === type);
    const known = this.#conditions[index];
    const now = this.#now;
    const lastTransitionTime = known?.status === status ? (known.lastTransitionTime ?? now) : now;
    const next = { ...known, type, status, reason, message, lastUpdateTime: now, lastTransitionTime };
    if (index < 0) this.#conditions.push(next);
    else this.#conditions[index] = next;
  }

  remove(type: ConditionType): void {
    const index = this.#conditions.findIndex((condition) => condition.type === type);
    if (index >= 0) this.#conditions.splice(index, 1);
  }

  list(): readonly RolloutCondition[] {
    return this.#conditions;
  }
}
