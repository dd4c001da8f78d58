// Sizes of all ReplicaSets of a Rollout: what each should have now, and the actions that bring it there. Without a router the split of
// pods is the split of traffic (replicas.ts); with one the canary follows its share, stable stays whole, and what no longer serves goes
// after its delay and only when no proxy may still send to it.
import {
  abortScaleDownDelayOf,
  DESIRED_REPLICAS_ANNOTATION,
  MESSAGES,
  ON_TRIAL_ANNOTATION,
  REASONS,
  type ReplicaSet,
  replicasOf,
  SCALE_DOWN_DEADLINE_ANNOTATION,
} from "../../api/api.ts";
import { formatTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import type { Action, AnnotationChanges, PlannedEvent, Wait } from "../plan.ts";
import { hasPause, isHalted, isStepBegun, type Mode, type Stage } from "../stage.ts";
import { loweredMark } from "../traffic/gradualabort.ts";
import { podsToKeep } from "../traffic/inforce.ts";
import { selectedBy } from "../traffic/services.ts";
import { planOld } from "./oldreplicas.ts";
import { nearestSplit, nextSizes } from "./replicas.ts";
import {
  availableOf,
  countsOf,
  deadlineMsOf,
  identityOf,
  isOnTrial,
  podHashOf,
  revisionOf,
  versionOf,
} from "./replicaset.ts";
import { isDynamic, podsHeld, routedSizes, shareInForce } from "./routedsizes.ts";
import { delayWait, emptied, heldBack, type ScalingWishes, type Sizing } from "./scaledown.ts";

export interface ScalingPlan {
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
  readonly warnings: readonly string[];
  readonly requeueAtMs?: number;
}

/** What to scale now. While the update is halted: only what the user's own change of spec.replicas asks for, and what an abort does. */
export function planScaling(context: Context, wishes: ScalingWishes): ScalingPlan {
  const isFrozen = isHalted(context, wishes.stage) && wishes.mode !== "aborted";
  return carryOutAll(context, [...planInUse(context, wishes), ...planOld(context, wishes)], isFrozen);
}

/** The plan that brings ReplicaSets to these sizes; while it `isFrozen`, those alone that the user's own change of spec.replicas asks for. */
export function carryOutAll(context: Context, wanted: readonly Sizing[], isFrozen: boolean): ScalingPlan {
  const sizings = wanted.filter(({ replicaSet }) => !isFrozen || isScaledByUser(context, replicaSet));
  const parts = sizings.map((sizing) => carryOut(context, sizing));
  const times = sizings.map((sizing) => sizing.requeueAtMs).filter((atMs) => atMs !== undefined);
  return {
    actions: parts.flatMap((part) => part.actions),
    events: parts.flatMap((part) => part.events),
    waits: sizings.flatMap((sizing) => sizing.wait ?? []),
    warnings: sizings.flatMap((sizing) => sizing.warning ?? []),
    ...(times.length === 0 ? {} : { requeueAtMs: Math.min(...times) }),
  };
}

/** The sizes that count as reached for the present share: what step completion is measured by. */
export function targetSizes(context: Context, mode: Mode, stage: Stage): { canary: number; stable: number } {
  const { replicas, maxWeight, maxSurge, hasRouter, roles } = context;
  if (roles.stable === undefined || roles.stable === roles.current) return { canary: replicas, stable: 0 };
  if (hasRouter) return routedSizes(context, mode, stage);
  return nearestSplit({ replicas, weight: shareInForce(context, mode, stage), maxWeight, maxSurge });
}

/** Whether the user changed spec.replicas since this ReplicaSet was scaled. */
function isScaledByUser(context: Context, replicaSet: ReplicaSet): boolean {
  const { current, stable } = context.roles;
  const scaledFor = replicaSet.metadata.annotations?.[DESIRED_REPLICAS_ANNOTATION];
  const isActive = podHashOf(replicaSet) === selectedBy(context.snapshot.services.active);
  // A new version that has no pods yet begins when the halt is over; stable serves meanwhile, though it was scaled to nothing.
  const isServing =
    replicaSet === stable || isActive || (replicaSet === current && replicasOf(replicaSet) > 0);
  return isServing && scaledFor !== String(context.replicas);
}

function planInUse(context: Context, wishes: ScalingWishes): readonly Sizing[] {
  const { current, stable } = context.roles;
  const { mode } = wishes;
  const stage = stageDone(wishes.stage);
  const sizes = context.hasRouter ? targetSizes(context, mode, stage) : splitSizes(context, mode, stage);
  const held = stage === wishes.stage || !context.hasRouter ? 0 : podsHeld(context, context.maxWeight);
  const canary = Math.max(sizes.canary, held);
  const parts: Sizing[] = [];
  const isCanary = stable !== undefined && stable !== current;
  if (isCanary) parts.push(kept(context, wishes, stable, sizes.stable));
  if (current === undefined) return parts;
  const sizing = isCanary && mode === "aborted" && context.hasRouter ? abortedCanary : kept;
  return [...parts, sizing(context, wishes, current, canary)];
}

/** What sizes go by: while an inconclusive analysis waits for somebody, the steps that are done, and the current one if it was begun before. */
function stageDone(stage: Stage): Stage {
  const isHeld =
    stage.index !== undefined && hasPause(stage, "InconclusiveAnalysisRun") && !isStepBegun(stage);
  return isHeld ? { ...stage, index: (stage.index ?? 0) - 1 } : stage;
}

function splitSizes(context: Context, mode: Mode, stage: Stage): { canary: number; stable: number } {
  const { replicas, maxSurge, maxUnavailable, maxWeight, roles } = context;
  const { current, stable, others } = roles;
  const counts = {
    ...(current === undefined ? {} : { canary: countsOf(current) }),
    ...(stable === undefined || stable === current ? {} : { stable: countsOf(stable) }),
    others: others.reduce((sum, replicaSet) => sum + replicasOf(replicaSet), 0),
  };
  // While a halt leaves the new version without pods, stable has all of them: nobody else serves.
  const isUnbegun = isHalted(context, stage) && countsOf(current).spec === 0;
  const weight = isUnbegun ? 0 : shareInForce(context, mode, stage);
  return nextSizes(counts, { replicas, weight, maxWeight, maxSurge, maxUnavailable });
}

/** A version in use, brought to `replicas`, but not below what proxies may still send to it. */
function kept(context: Context, wishes: ScalingWishes, replicaSet: ReplicaSet, replicas: number): Sizing {
  const from = replicasOf(replicaSet);
  const inUse: AnnotationChanges = {
    ...(deadlineMsOf(replicaSet) === undefined ? {} : { [SCALE_DOWN_DEADLINE_ANNOTATION]: null }),
    ...(isOnTrial(replicaSet) ? { [ON_TRIAL_ANNOTATION]: null } : {}),
  };
  const annotations = { ...desiredAnnotation(context, replicaSet), ...inUse };
  const reason = `${replicas} of ${context.replicas} pods for this version`;
  if (replicas >= from || !context.hasRouter) return { replicaSet, replicas, annotations, reason };
  const keep = podsToKeep(context, wishes, podHashOf(replicaSet));
  const floor = Math.min(keep.pods, context.replicas);
  const size = Math.min(from, Math.max(replicas, floor));
  const held = heldBack(wishes.inForce, size > replicas, keep);
  return {
    replicaSet,
    replicas: size,
    annotations: held.isHeld === true ? inUse : annotations,
    reason,
    ...held,
  };
}

/**
 * An aborted canary stays for its delay, which begins once stable can take all the traffic back. With dynamicStableScale and no explicit delay it
 * shrinks as stable grows.
 */
function abortedCanary(
  context: Context,
  wishes: ScalingWishes,
  replicaSet: ReplicaSet,
  target: number,
): Sizing {
  const { nowMs, roles } = context;
  const from = replicasOf(replicaSet);
  const delay = abortScaleDownDelayOf(context.rollout);
  const lowered = loweredMark(context, wishes.mode, wishes.weights);
  const annotations = { ...desiredAnnotation(context, replicaSet), ...lowered };
  const stay = {
    replicaSet,
    replicas: Math.min(from, context.replicas),
    annotations,
    reason: "the aborted version stays up",
  };
  if (from === 0 || delay === "never") return stay;
  if (isDynamic(context) && context.canary.abortScaleDownDelaySeconds === undefined)
    return withAnnotations(kept(context, wishes, replicaSet, Math.min(from, target)), lowered);
  const isStableWhole = availableOf(roles.stable) >= context.replicas;
  const deadlineMs = deadlineMsOf(replicaSet);
  if (deadlineMs === undefined) {
    if (!isStableWhole || (wishes.weights?.canary.weight ?? 0) > 0) return stay;
    const dueMs = nowMs + delay * 1000;
    // Where the strategy becomes blue-green meanwhile, it is no version to go back to.
    const abandoned = { [SCALE_DOWN_DEADLINE_ANNOTATION]: formatTime(dueMs), [ON_TRIAL_ANNOTATION]: "true" };
    return {
      ...stay,
      annotations: { ...annotations, ...abandoned },
      reason: `the aborted version stays for ${delay} s`,
      requeueAtMs: dueMs,
      wait: delayWait(replicaSet, dueMs),
    };
  }
  if (nowMs < deadlineMs)
    return { ...stay, requeueAtMs: deadlineMs, wait: delayWait(replicaSet, deadlineMs) };
  return emptied(context, wishes, replicaSet, "the aborted version's delay has passed");
}

function withAnnotations(sizing: Sizing, more: AnnotationChanges): Sizing {
  return { ...sizing, annotations: { ...sizing.annotations, ...more } };
}

function desiredAnnotation(context: Context, replicaSet: ReplicaSet): AnnotationChanges {
  const wanted = String(context.replicas);
  return replicaSet.metadata.annotations?.[DESIRED_REPLICAS_ANNOTATION] === wanted
    ? {}
    : { [DESIRED_REPLICAS_ANNOTATION]: wanted };
}

function carryOut(
  context: Context,
  sizing: Sizing,
): { readonly actions: readonly Action[]; readonly events: readonly PlannedEvent[] } {
  const { replicaSet, replicas, annotations = {}, reason, isHeld = false } = sizing;
  const from = replicasOf(replicaSet);
  const base = { ...identityOf(replicaSet), reason };
  if (replicas === from) {
    if (Object.keys(annotations).length === 0) return { actions: [], events: [] };
    return { actions: [{ kind: "annotateReplicaSet", ...base, annotations }], events: [] };
  }
  const direction = replicas > from ? "up" : "down";
  const { name } = replicaSet.metadata;
  const revision = replicaSet === context.roles.current ? context.revision : revisionOf(replicaSet);
  const message = MESSAGES.scaled(direction, name, revision, from, replicas);
  const action: Action = {
    kind: "scaleReplicaSet",
    ...base,
    ...(direction === "down" ? { resourceVersion: versionOf(replicaSet) } : {}),
    from,
    replicas,
    annotations: isHeld ? annotations : { ...desiredAnnotation(context, replicaSet), ...annotations },
  };
  const of = { kind: action.kind, name };
  return { actions: [action], events: [{ type: "Normal", reason: REASONS.scalingReplicaSet, message, of }] };
}
