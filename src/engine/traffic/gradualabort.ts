// How fast the traffic goes back to stable, after an abort and after the spec went back to stable. By default as in Argo (routedsizes.ts). With
// the annotations weir.dev/abort-step and weir.dev/abort-interval an abort is gradual: so much at a time, and no more than stable's available
// pods can take, so that pods that have just started, caches that are cold and autoscalers can follow (pain 3 of the specification).
import {
  type GradualAbort,
  gradualAbortOf,
  progressDeadlineSecondsOf,
  TRAFFIC_LOWERED_ANNOTATION,
  type TrafficWeights,
} from "../../api/api.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import type { AnnotationChanges, Wait } from "../plan.ts";
import { availableOfVersion, holderOf, returningShare } from "../pods/routedsizes.ts";
import type { Mode } from "../stage.ts";

/** The share that the version which is to have none keeps for now. */
export interface Returning {
  readonly share: number;
  readonly waits: readonly Wait[];
  /** When more goes back though nothing else changes. */
  readonly requeueAtMs?: number;
}

/** What stays where it is in this pass. */
export function returningTraffic(context: Context, mode: Mode): Returning {
  const gradual = mode === "aborted" ? gradualAbortOf(context.rollout) : undefined;
  if (gradual !== undefined) return gradualReturn(context, gradual);
  const share = returningShare(context);
  return { share, waits: share === 0 ? [] : [capacityWait(context, share)] };
}

/** The mark of a step back, for the ReplicaSet of the aborted version: the next step counts from it, whoever leads by then. */
export function loweredMark(
  context: Context,
  mode: Mode,
  decided: TrafficWeights | undefined,
): AnnotationChanges {
  const before = context.status.canary?.weights?.canary.weight ?? 0;
  const isLowered = mode === "aborted" && decided !== undefined && decided.canary.weight < before;
  if (!isLowered || gradualAbortOf(context.rollout) === undefined) return {};
  return { [TRAFFIC_LOWERED_ANNOTATION]: formatTime(context.nowMs) };
}

function gradualReturn(context: Context, { stepPercent, intervalMs }: GradualAbort): Returning {
  const { nowMs, maxWeight, status } = context;
  const current = status.canary?.weights?.canary.weight ?? 0;
  // Nobody is there to keep it.
  if (current === 0 || availableOfVersion(context, holderOf(context)) === 0) return { share: 0, waits: [] };
  const dueMs = dueAt(context, intervalMs);
  const untilMs = capacityEndsAt(context);
  const least = nowMs >= untilMs ? 0 : uncarriedShare(context);
  const next = Math.max(least, current - Math.ceil((stepPercent * maxWeight) / 100), 0);
  const share = nowMs >= dueMs ? Math.min(current, next) : current;
  if (share === 0) return { share, waits: [] };
  if (least >= share) return { share, waits: [capacityWait(context, share)], requeueAtMs: untilMs };
  const atMs = share < current ? nowMs + intervalMs : dueMs;
  const more = percent(context, Math.min(share, Math.ceil((stepPercent * maxWeight) / 100)));
  const kept = `${percent(context, share)} of the traffic stays with version ${holderOf(context) ?? ""}`;
  const text = `${kept}, the next ${more} go back at ${formatTime(atMs)}`;
  return { share, waits: [{ code: "retry", text, untilMs: atMs }], requeueAtMs: atMs };
}

/** When the next step back may be taken: at once, or an interval after the last one of this abort. */
function dueAt({ nowMs, roles, status }: Context, intervalMs: number): number {
  const loweredMs = parseTime(roles.current?.metadata.annotations?.[TRAFFIC_LOWERED_ANNOTATION]);
  const abortedMs = parseTime(status.abortedAt);
  // A mark that is yet to come is of a clock that was ahead: nobody knows how long ago it was.
  const isKnown = loweredMs !== undefined && loweredMs <= nowMs;
  const isOfThisAbort = isKnown && abortedMs !== undefined && loweredMs >= abortedMs;
  return isOfThisAbort ? loweredMs + intervalMs : nowMs;
}

/** Until when an aborted version keeps traffic because stable has too few pods: a version that is bad is not to keep it for good. */
function capacityEndsAt({ nowMs, rollout, status }: Context): number {
  return (parseTime(status.abortedAt) ?? nowMs) + progressDeadlineSecondsOf(rollout) * 1000;
}

/** What stable's available pods cannot take, pod by pod. */
function uncarriedShare(context: Context): number {
  const { replicas, maxWeight, status } = context;
  if (replicas === 0) return 0;
  const available = Math.min(availableOfVersion(context, status.stableRS), replicas);
  return maxWeight - Math.floor((maxWeight * available) / replicas);
}

/** What stays for want of stable's pods, in words. */
export function capacityWait(context: Context, share: number): Wait {
  const { replicas, status } = context;
  const available = availableOfVersion(context, status.stableRS);
  const kept = `${percent(context, share)} of the traffic stays with version ${holderOf(context) ?? ""}`;
  const text = `${kept} until stable can carry it: ${available} of ${replicas} pods available`;
  return { code: "replicas", text };
}

function percent({ maxWeight }: Context, share: number): string {
  return `${Math.round((share * 100) / maxWeight)} %`;
}
