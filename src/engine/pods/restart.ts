// Restarting pods: those older than spec.restartAt are evicted, the stable version's first, as many at a time as may be missing. Disruption
// budgets have the last word: who is refused is asked for again later. Source: Argo: rollout/restart.go, v1.9.
import type { Pod } from "../../api/api.ts";
import { controllerOf } from "../../api/api.ts";
import { parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import type { Decision } from "../decision.ts";
import type { Action, EvictPod, Wait } from "../plan.ts";
import { countsOf } from "./replicaset.ts";

/** How long to wait before a pod whose eviction was refused is asked for again, and between looks at a restart that is under way. */
export const RESTART_RETRY_MS = 30_000;

export interface RestartPlan {
  /** `status.restartedAt` as the pass leaves it. */
  readonly restartedAt: string | undefined;
  readonly actions: readonly Action[];
  readonly waits: readonly Wait[];
  readonly requeueAtMs: readonly number[];
}

/** What the restart needs now. A new version's pods are new: it needs no restart, and neither does what it replaces. */
export function planRestart(context: Context, decision: Decision, isNewVersion: boolean): RestartPlan {
  const { restartAt } = context.rollout.spec;
  const { restartedAt } = context.status;
  const idle = { actions: [], waits: [], requeueAtMs: [] };
  const dueMs = parseTime(restartAt);
  if (dueMs === undefined || dueMs === parseTime(restartedAt)) return { ...idle, restartedAt };
  if (isNewVersion) return { ...idle, restartedAt: restartAt };
  if (context.nowMs < dueMs) {
    const wait: Wait = { code: "restart", text: `pods are restarted at ${restartAt}`, untilMs: dueMs };
    return { restartedAt, actions: [], waits: [wait], requeueAtMs: [dueMs] };
  }
  const { pods } = context.snapshot.workload;
  if (pods === undefined) {
    const wait: Wait = { code: "restart", text: "the pods to restart are not known yet" };
    return { restartedAt, actions: [], waits: [wait], requeueAtMs: [context.nowMs + RESTART_RETRY_MS] };
  }
  const old = livingOf(context, pods).filter((pod) => createdMs(pod) < dueMs);
  if (old.length === 0) return { ...idle, restartedAt: restartAt };
  return { restartedAt, ...evictions(context, decision, old) };
}

/** Evicts what may be missing now; nothing in a pass that scales, whose counts are about to change. */
function evictions(
  context: Context,
  decision: Decision,
  old: readonly Pod[],
): Pick<RestartPlan, "actions" | "waits" | "requeueAtMs"> {
  const refusals = context.snapshot.workload.refusedEvictions ?? {};
  const retryMs = (pod: Pod): number | undefined => {
    const refusal = refusals[pod.metadata.uid ?? ""];
    const atMs = refusal === undefined ? undefined : refusal.atMs + RESTART_RETRY_MS;
    return atMs !== undefined && atMs > context.nowMs ? atMs : undefined;
  };
  const isScaling = decision.actions.some(({ kind }) => kind === "scaleReplicaSet");
  const budget = isScaling ? 0 : mayBeMissing(context);
  const actions = old
    .filter((pod) => retryMs(pod) === undefined)
    .slice(0, budget)
    .map((pod) => evict(pod, context.rollout.spec.restartAt ?? ""));
  const refused = old.flatMap((pod): Wait[] => {
    const untilMs = retryMs(pod);
    const words = refusals[pod.metadata.uid ?? ""]?.words ?? "";
    const text = `pod ${pod.metadata.name} may not be evicted: ${words}`;
    return untilMs === undefined ? [] : [{ code: "restart", text, untilMs }];
  });
  const text = `restarting: pods older than ${context.rollout.spec.restartAt}: ${old.length}`;
  const times = refused.map(({ untilMs = 0 }) => untilMs);
  return {
    actions,
    waits: [{ code: "restart", text }, ...refused],
    requeueAtMs: [Math.min(context.nowMs + RESTART_RETRY_MS, ...times)],
  };
}

/** Pods that may go now. At a share that does not divide evenly there are more pods than spec.replicas: then these are kept. */
function mayBeMissing(context: Context): number {
  const { replicas, roles, maxUnavailable, nowMs } = context;
  const minReadyMs = (context.rollout.spec.minReadySeconds ?? 0) * 1000;
  const available = livingOf(context, context.snapshot.workload.pods ?? []).filter((pod) =>
    isAvailable(pod, minReadyMs, nowMs),
  );
  const total = roles.owned.reduce((sum, replicaSet) => sum + countsOf(replicaSet).spec, 0);
  const atLeast = Math.max(replicas, total) - Math.max(maxUnavailable, 1);
  return Math.max(0, available.length - atLeast);
}

/** The Rollout's pods that are not on their way out: the stable version's, the wanted one's, then those of older ones. */
function livingOf(context: Context, pods: readonly Pod[]): readonly Pod[] {
  const { stable, current, others } = context.roles;
  const order = [stable, current, ...others].map((replicaSet) => replicaSet?.metadata.uid);
  const rank = (pod: Pod): number => order.indexOf(controllerOf(pod)?.uid);
  return pods
    .filter((pod) => pod.metadata.deletionTimestamp === undefined && rank(pod) >= 0)
    .sort((a, b) => rank(a) - rank(b) || byAge(a, b));
}

function byAge(a: Pod, b: Pod): number {
  return createdMs(a) - createdMs(b) || (a.metadata.name < b.metadata.name ? -1 : 1);
}

function isAvailable(pod: Pod, minReadyMs: number, nowMs: number): boolean {
  const ready = pod.status.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status !== "True") return false;
  return minReadyMs === 0 || (parseTime(ready.lastTransitionTime) ?? 0) + minReadyMs <= nowMs;
}

function createdMs(pod: Pod): number {
  return parseTime(pod.metadata.creationTimestamp) ?? 0;
}

function evict(pod: Pod, restartAt: string): EvictPod {
  const { namespace = "", name, uid = "" } = pod.metadata;
  return { kind: "evictPod", namespace, name, uid, reason: `it is older than the restart of ${restartAt}` };
}
