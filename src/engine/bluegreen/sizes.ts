// Sizes of a blue-green Rollout's ReplicaSets: those that may have the traffic are whole, the preview has its own size, an aborted one and
// old ones go after their delay, and none while a proxy may still send to it. Source: Argo: rollout/bluegreen.go, rollout/replicaset.go, v1.9.
import {
  abortScaleDownDelayOf,
  DESIRED_REPLICAS_ANNOTATION,
  ON_TRIAL_ANNOTATION,
  type ReplicaSet,
  replicasOf,
  SCALE_DOWN_DEADLINE_ANNOTATION,
} from "../../api/api.ts";
import { formatTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import type { AnnotationChanges } from "../plan.ts";
import { availableOf, deadlineMsOf, isOnTrial, podHashOf, revisionOf } from "../pods/replicaset.ts";
import { delayWait, heldBack, type Sizing } from "../pods/scaledown.ts";
import { carryOutAll, type ScalingPlan } from "../pods/scaling.ts";
import { isHalted, type Stage } from "../stage.ts";
import type { InForce } from "../traffic/inforce.ts";
import { type BlueGreenFacts, ofVersion } from "./facts.ts";

export interface BlueGreenWishes {
  readonly stage: Stage;
  readonly facts: BlueGreenFacts;
  /** The version that the preview Service selects once this pass is done. */
  readonly previewHash: string;
  readonly inForce: InForce;
}

/** What to scale now. */
export function planBlueGreenSizes(context: Context, wishes: BlueGreenWishes): ScalingPlan {
  const { current, stable, others } = context.roles;
  const active = ofVersion(context, wishes.facts.activeHash);
  const whole = new Set([active, stable].filter((item) => item !== undefined));
  const sizings = [...whole]
    .filter((replicaSet) => replicaSet !== current)
    .map((replicaSet) => sized(context, replicaSet, context.replicas, true));
  if (current !== undefined) sizings.push(currentSizing(context, wishes, current));
  const old = others.filter((replicaSet) => replicasOf(replicaSet) > 0 && !whole.has(replicaSet));
  if (!isOldKept(context, wishes)) sizings.push(...retire(context, wishes, old));
  return carryOutAll(context, sizings, isHalted(context, wishes.stage) && !wishes.stage.isAborted);
}

/** A size, with the note of what it was made for. In use, a version has no time at which it goes; the stable one has stood its trial. */
function sized(context: Context, replicaSet: ReplicaSet, replicas: number, isInUse: boolean): Sizing {
  const isNoted = replicaSet.metadata.annotations?.[DESIRED_REPLICAS_ANNOTATION] === String(context.replicas);
  const isPassed = replicaSet === context.roles.stable && isOnTrial(replicaSet);
  const annotations: AnnotationChanges = {
    ...(isNoted ? {} : { [DESIRED_REPLICAS_ANNOTATION]: String(context.replicas) }),
    ...(isInUse && deadlineMsOf(replicaSet) !== undefined ? { [SCALE_DOWN_DEADLINE_ANNOTATION]: null } : {}),
    ...(isPassed ? { [ON_TRIAL_ANNOTATION]: null } : {}),
  };
  const reason =
    isPassed && replicas === replicasOf(replicaSet)
      ? "this version has become the stable one"
      : `${replicas} of ${context.replicas} pods for this version`;
  return { replicaSet, replicas, annotations, reason };
}

function currentSizing(context: Context, wishes: BlueGreenWishes, current: ReplicaSet): Sizing {
  const { facts, stage } = wishes;
  const isStable = current === context.roles.stable;
  const isAbandoned = stage.isAborted && !isStable;
  const sizing = isAbandoned ? abandoned(context, wishes, current) : wanted(context, wishes, current);
  const isTried = isAbandoned || (!isStable && facts.fastTrack !== "delay" && facts.fastTrack !== "first");
  if (!isTried || sizing.replicas === 0 || isOnTrial(current)) return sizing;
  return { ...sizing, annotations: { ...sizing.annotations, [ON_TRIAL_ANNOTATION]: "true" } };
}

/** A retry begins with the preview's size again: not before every proxy has heard that the version has the traffic no more. */
function wanted(context: Context, { facts, inForce }: BlueGreenWishes, current: ReplicaSet): Sizing {
  // The time of a rollback's version shows that it is one, until the status says that it is the stable one.
  const isInUse = facts.fastTrack !== "delay";
  const kept = Math.min(replicasOf(current), context.replicas);
  if (inForce.kind !== "no" || facts.size >= kept) return sized(context, current, facts.size, isInUse);
  const size = inForce.isOverdue ? facts.size : kept;
  return { ...sized(context, current, size, isInUse), ...heldBack(inForce, size > facts.size, inForce) };
}

/** The aborted version stays for its delay, which begins once stable has the traffic and can take it. */
function abandoned(context: Context, wishes: BlueGreenWishes, current: ReplicaSet): Sizing {
  const { nowMs, replicas, roles } = context;
  const delay = abortScaleDownDelayOf(context.rollout);
  const stay = sized(context, current, Math.min(replicasOf(current), replicas), false);
  const isNeeded = wishes.facts.activeHash === podHashOf(current);
  if (replicasOf(current) === 0 || delay === "never" || isNeeded) return stay;
  const deadlineMs = deadlineMsOf(current);
  // Only when the status knows of the abort: a version that has a time to go and was not aborted is one to go back to.
  const isNoted = context.status.abortedAt !== undefined;
  if (deadlineMs === undefined)
    return !isNoted || availableOf(roles.stable) < replicas
      ? stay
      : delayed(stay, nowMs + delay * 1000, `the aborted version stays for ${delay} s`);
  if (nowMs < deadlineMs) return waiting(stay, deadlineMs);
  return emptied(wishes, stay, "the aborted version's delay has passed");
}

/** Whether old versions stay for the verdict of the analysis after the switch: unless a delay is set. */
function isOldKept({ blueGreen, roles, podHash }: Context, { stage, facts }: BlueGreenWishes): boolean {
  const isAnalysed = blueGreen.postPromotionAnalysis !== undefined && roles.stable !== roles.current;
  return (
    isAnalysed &&
    blueGreen.scaleDownDelaySeconds === undefined &&
    facts.activeHash === podHash &&
    facts.isSaturated &&
    stage.postPromotionRun?.status !== "Successful"
  );
}

/** Old versions, newest first, each for its delay and no more of them than are kept. */
function retire(context: Context, wishes: BlueGreenWishes, old: readonly ReplicaSet[]): readonly Sizing[] {
  const limit = context.blueGreen.scaleDownDelayRevisionLimit ?? Number.POSITIVE_INFINITY;
  const newestFirst = old
    .filter((replicaSet) => podHashOf(replicaSet) !== wishes.previewHash)
    .sort((a, b) => revisionOf(b) - revisionOf(a));
  return newestFirst.map((replicaSet, index) => {
    const stay = sized(context, replicaSet, sizeKept(context, replicaSet), false);
    const deadlineMs = deadlineMsOf(replicaSet);
    if (index >= limit) return emptied(wishes, stay, "more old versions are up than are kept");
    if (deadlineMs === undefined)
      return delayed(stay, context.nowMs + context.scaleDownDelayMs, "an old version stays up for its delay");
    if (context.nowMs < deadlineMs) return waiting(stay, deadlineMs);
    return emptied(wishes, stay, "the delay of this old version has passed");
  });
}

/** A whole version stays whole when the user scales: the way back is open at once. A preview that was given up does not grow. */
function sizeKept({ replicas }: Context, replicaSet: ReplicaSet): number {
  const from = replicasOf(replicaSet);
  return replicaSet.metadata.annotations?.[DESIRED_REPLICAS_ANNOTATION] === String(from) ? replicas : from;
}

function delayed(stay: Sizing, dueMs: number, reason: string): Sizing {
  const annotations = { ...stay.annotations, [SCALE_DOWN_DEADLINE_ANNOTATION]: formatTime(dueMs) };
  return { ...waiting(stay, dueMs), annotations, reason };
}

function waiting(stay: Sizing, untilMs: number): Sizing {
  return { ...stay, requeueAtMs: untilMs, wait: delayWait(stay.replicaSet, untilMs) };
}

/** To 0, unless a proxy may still send to it. */
function emptied({ inForce }: BlueGreenWishes, stay: Sizing, reason: string): Sizing {
  const annotations = { ...stay.annotations, [SCALE_DOWN_DEADLINE_ANNOTATION]: null };
  const gone = { ...stay, replicas: 0, annotations, reason };
  if (inForce.kind !== "no") return gone;
  return { ...(inForce.isOverdue ? gone : stay), ...heldBack(inForce, true, inForce) };
}
