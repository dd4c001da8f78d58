// ReplicaSets that are neither stable nor wanted: how they go. Without a router they are drained within the minimum of available pods;
// with one a former stable version stays for its delay, so that a rollback is quick, and a version that was never promoted goes at once.
// Source: Argo: rollout/canary.go scaleDownOldReplicaSetsForCanary, v1.9.
import { type ReplicaSet, replicasOf, SCALE_DOWN_DEADLINE_ANNOTATION } from "../../api/api.ts";
import { formatTime } from "../../lib/time.ts";
import { type Context, isPromoted } from "../context.ts";
import { areTargetsAwaited, unregisteredWords } from "../traffic/targets.ts";
import { availableOf, deadlineMsOf, revisionOf } from "./replicaset.ts";
import { isDynamic } from "./routedsizes.ts";
import { delayWait, emptied, type ScalingWishes, type Sizing } from "./scaledown.ts";

/** What becomes of each old ReplicaSet that still has pods. */
export function planOld(context: Context, wishes: ScalingWishes): readonly Sizing[] {
  const running = context.roles.others.filter((replicaSet) => replicasOf(replicaSet) > 0);
  const unknown = areTargetsAwaited(context, "") ? unregisteredWords(context) : undefined;
  if (unknown !== undefined) return running.map((replicaSet, index) => unretired(replicaSet, index, unknown));
  return context.hasRouter ? retire(context, wishes, running) : drain(context, running);
}

/** None goes, nor begins its delay, before load balancers know the pods of the version that took over. */
function unretired(replicaSet: ReplicaSet, index: number, words: string): Sizing {
  const stay = {
    replicaSet,
    replicas: replicasOf(replicaSet),
    reason: "load balancers do not know the pods",
  };
  if (index > 0) return stay;
  return { ...stay, wait: { code: "acknowledgement", text: `keeps pods: ${words}` } };
}

/** Pods that are not available go first, then available ones as far as the others keep the minimum. */
function drain(context: Context, running: readonly ReplicaSet[]): readonly Sizing[] {
  const within = (replicaSet: ReplicaSet): number =>
    Math.min(availableOf(replicaSet), replicasOf(replicaSet));
  const available = context.roles.owned.reduce((sum, replicaSet) => sum + within(replicaSet), 0);
  let budget = Math.max(0, available - (context.replicas - context.maxUnavailable));
  return running.map((replicaSet) => {
    const taken = Math.min(budget, within(replicaSet));
    budget -= taken;
    return { replicaSet, replicas: within(replicaSet) - taken, reason: "an older version makes room" };
  });
}

function retire(context: Context, wishes: ScalingWishes, running: readonly ReplicaSet[]): readonly Sizing[] {
  const limit = context.canary.scaleDownDelayRevisionLimit ?? Number.POSITIVE_INFINITY;
  const newestFirst = [...running].sort((a, b) => revisionOf(b) - revisionOf(a));
  let delayed = 0;
  return newestFirst.map((replicaSet) => {
    if (isDynamic(context))
      return emptied(context, wishes, replicaSet, "its share of the traffic has gone to other versions");
    const deadlineMs = deadlineMsOf(replicaSet);
    if (deadlineMs === undefined && !isPromoted(context))
      return emptied(context, wishes, replicaSet, "this version was replaced before it was promoted");
    delayed += 1;
    if (delayed > limit)
      return emptied(context, wishes, replicaSet, "more old versions are up than are kept");
    if (deadlineMs === undefined) return delay(context, replicaSet);
    if (context.nowMs >= deadlineMs)
      return emptied(context, wishes, replicaSet, "the delay of this old version has passed");
    return {
      replicaSet,
      replicas: replicasOf(replicaSet),
      reason: "an old version stays up for its delay",
      requeueAtMs: deadlineMs,
      wait: delayWait(replicaSet, deadlineMs),
    };
  });
}

function delay(context: Context, replicaSet: ReplicaSet): Sizing {
  const dueMs = context.nowMs + context.scaleDownDelayMs;
  return {
    replicaSet,
    replicas: replicasOf(replicaSet),
    annotations: { [SCALE_DOWN_DEADLINE_ANNOTATION]: formatTime(dueMs) },
    reason: "an old version stays up for its delay",
    requeueAtMs: dueMs + 1,
    wait: delayWait(replicaSet, dueMs),
  };
}
