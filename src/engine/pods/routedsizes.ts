// With a router: how many pods each version should have for its share of the traffic. The canary follows its share or the setCanaryScale in
// force; stable stays whole or, with dynamicStableScale, follows the share that is left to it, one pass behind the traffic.
// Source of the rules: Argo: utils/replicaset/canary.go, rollout/trafficrouting.go, v1.10.
import { type CanaryScale, gradualAbortOf, lastMemberOf, membersOf } from "../../api/api.ts";
import { type Context, isPromoted } from "../context.ts";
import type { Mode, Stage } from "../stage.ts";
import { weightOf } from "../traffic/inforce.ts";
import { wasHealthy } from "./crashloop.ts";
import type { Split } from "./replicas.ts";
import { availableOf, countsOf, podHashOf } from "./replicaset.ts";

/** The sizes to bring the versions to. */
export function routedSizes(context: Context, mode: Mode, stage: Stage): Split {
  return { canary: canarySize(context, mode, stage), stable: stableSize(context, mode, stage) };
}

/** Whether stable shrinks as its traffic does. */
export function isDynamic(context: Context): boolean {
  return context.hasRouter && context.canary.dynamicStableScale === true;
}

/** The share that the steps give the canary at `index`: that of the last setWeight up to it, all after the last step. */
export function shareAt(context: Context, index: number | undefined): number {
  const { steps, maxWeight } = context;
  if (index === undefined || index >= steps.length) return maxWeight;
  return lastMemberOf(steps, index, "setWeight")?.weight ?? 0;
}

/** The share that the pass is about. */
export function shareInForce(context: Context, mode: Mode, stage: Stage): number {
  if (mode === "steps") return shareAt(context, stage.index);
  return mode === "aborted" && context.roles.stable !== undefined ? 0 : context.maxWeight;
}

/** Pods that the canary needs for a share: rounded up, at least minPodsPerReplicaSet. */
export function canaryPods(context: Context, share: number): number {
  return withMinimum(context, podsFor(context, share));
}

/** Pods that a share takes: rounded up. */
export function podsFor({ replicas, maxWeight }: Context, share: number): number {
  return Math.ceil((Math.max(0, share) * replicas) / maxWeight);
}

/** The canary's size while the steps run: the setCanaryScale in force, else what its share takes. */
export function canarySize(context: Context, mode: Mode, stage: Stage): number {
  if (mode === "aborted" && isDynamic(context)) return abortedCanarySize(context);
  const scale = mode === "steps" ? scaleInForce(context, stage.index) : undefined;
  const share = shareInForce(context, mode, stage);
  if (scale === undefined || scale.kind === "matchTrafficWeight") return canaryPods(context, share);
  const asked = scale.kind === "replicas" ? Math.max(0, scale.replicas) : canaryPods(context, scale.weight);
  // It takes away no pod that this traffic needs, and adds none for it.
  return Math.max(asked, Math.min(countsOf(context.roles.current).spec, podsHeld(context, share)));
}

/** Whether the step at hand leaves the new version no pods: neither Service nor traffic goes to those that it takes away, nobody waits for any. */
export function isTakenAway(context: Context, mode: Mode, stage: Stage): boolean {
  const isRouted = context.hasRouter && context.replicas > 0;
  return isRouted && mode === "steps" && canarySize(context, mode, stage) === 0;
}

/** What the share takes that the wanted version has been given already, as far as it keeps that at `share`. */
export function podsHeld(context: Context, share: number): number {
  const has = weightOf(context.status.canary?.weights, context.podHash);
  return podsFor(context, Math.min(has, share));
}

/** The version that the traffic of the status' canary belongs to; undefined when it has none. */
export function holderOf(context: Context): string | undefined {
  const canary = context.status.canary?.weights?.canary;
  const isHeld =
    canary !== undefined && canary.weight > 0 && canary.podTemplateHash !== context.status.stableRS;
  return isHeld ? canary.podTemplateHash : undefined;
}

/**
 * Whether the way by stable is closed: a first version that has never been there is the stable one, nobody answers under its share, and the rest of
 * the traffic is with a version that is to go. A stable version that has been healthy is waited for.
 */
export function isStableAbsent(context: Context): boolean {
  const holder = holderOf(context);
  const isReplaced = holder !== undefined && holder !== context.podHash && !isPromoted(context);
  return isReplaced && !wasHealthy(context) && availableOfVersion(context, context.status.stableRS) === 0;
}

/** Available pods of a version. */
export function availableOfVersion(context: Context, podHash: string | undefined): number {
  return availableOf(context.roles.owned.find((replicaSet) => podHashOf(replicaSet) === podHash));
}

/**
 * The canary's share after an abort, and after the spec went back to stable. A stable version that is whole takes everything at once. One that had
 * shrunk takes it back along the setWeight steps, as far as its available pods carry it; the share never rises again.
 */
export function returningShare(context: Context): number {
  const { steps, maxWeight, status } = context;
  const current = status.canary?.weights?.canary.weight ?? 0;
  if (!isDynamic(context) || availableOfVersion(context, holderOf(context)) === 0) return 0;
  const available = availableOfVersion(context, status.stableRS);
  const rungs = [0, ...membersOf(steps, "setWeight").map(({ weight }) => weight)];
  const carried = rungs.filter((share) => podsFor(context, maxWeight - share) <= available);
  return Math.min(current, ...carried);
}

/** The setCanaryScale that governs at `index`: the last one up to it. One that matches the weight says nothing beside it. */
function scaleInForce({ steps }: Context, index: number | undefined): CanaryScale | undefined {
  if (index === undefined || index >= steps.length) return undefined;
  return lastMemberOf(steps, index, "setCanaryScale")?.scale;
}

/** What stable needs for the traffic that it has and for that which it is to have. */
function stableSize(context: Context, mode: Mode, stage: Stage): number {
  const { replicas, maxWeight, status } = context;
  if (!isDynamic(context)) return replicas;
  const has = status.canary?.weights?.stable.weight ?? maxWeight;
  const isToHave = maxWeight - shareSizedFor(context, mode, stage);
  return withMinimum(context, podsFor(context, Math.max(has, isToHave)));
}

/** The canary's share that stable leaves room for. */
function shareSizedFor(context: Context, mode: Mode, stage: Stage): number {
  // A gradual abort goes by time and by the pods that are there: all of them are wanted.
  if (mode === "aborted") return isGradual(context) ? 0 : nextRung(context);
  // An earlier canary still has traffic, and it will all go to stable first.
  if (![undefined, context.podHash].includes(holderOf(context))) return 0;
  const scale = mode === "steps" ? scaleInForce(context, stage.index) : undefined;
  if (scale?.kind === "replicas") return 0;
  const share = shareInForce(context, mode, stage);
  // Pods that the canary has beyond its share take no traffic off stable, which could not take back what a lower share gives it.
  return scale?.kind === "weight" ? Math.min(scale.weight, share) : share;
}

/** It shrinks with the traffic that it loses, and never grows again: a raised spec.replicas is stable's. */
function abortedCanarySize(context: Context): number {
  const has = context.status.canary?.weights?.canary.weight ?? 0;
  return canaryPods(context, isGradual(context) ? has : Math.max(has, nextRung(context)));
}

function isGradual({ rollout }: Context): boolean {
  return gradualAbortOf(rollout) !== undefined;
}

/**
 * The share that an abort goes to next: the last of the setWeight steps that is below the present one and takes fewer pods than are still the
 * canary's. With an explicit abortScaleDownDelaySeconds the canary's pods stay, so that only what stable lacks can tell how far the return has
 * come. The pods alone would not do: minPodsPerReplicaSet keeps more of them than any share takes.
 */
function nextRung(context: Context): number {
  const { replicas, steps, status, canary } = context;
  const missing = replicas - availableOfVersion(context, status.stableRS);
  const held = availableOfVersion(context, holderOf(context));
  const bound = canary.abortScaleDownDelaySeconds === undefined ? Math.max(missing, held) : missing;
  const share = status.canary?.weights?.canary.weight ?? 0;
  const rungs = membersOf(steps, "setWeight").map(({ weight }) => weight);
  return rungs.findLast((weight) => weight < share && podsFor(context, weight) < bound) ?? 0;
}

/** Raised to minPodsPerReplicaSet, which counts as `replicas` when it is above: no version is larger than the whole service. */
function withMinimum({ replicas, canary }: Context, pods: number): number {
  return pods === 0 ? 0 : Math.max(pods, Math.min(canary.minPodsPerReplicaSet ?? 0, replicas));
}
