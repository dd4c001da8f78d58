// When a version's pods count as there: all that are wanted, or the share that canary.replicaProgressThreshold lowers it to.
import type { CanaryStrategy } from "../../api/api.ts";
import type { PodCounts } from "./replicas.ts";

/**
 * Pods that must be available for `wanted` to count as reached: at least one, since no step is done and no weight rises on nothing, and never
 * more than are wanted. Source: Argo: utils/replicaset/canary.go ReplicaProgressThresholdMet, v1.10 (which waits for ever when `value` is
 * above what the step asks for).
 */
export function podsNeeded(canary: CanaryStrategy, wanted: number): number {
  const threshold = canary.replicaProgressThreshold;
  if (threshold === undefined || wanted <= 0) return wanted;
  const { type, value } = threshold;
  const least = type === "Pods" ? value : Math.ceil((wanted * value) / 100);
  return Math.min(Math.max(least, 1), wanted);
}

/** Whether the version has been asked for exactly `wanted` pods and enough of them are available. */
export function isReached(canary: CanaryStrategy, counts: PodCounts, wanted: number): boolean {
  if (counts.spec !== wanted) return false;
  // Without a threshold surplus pods that are still there count as not reached: they share the traffic.
  return canary.replicaProgressThreshold === undefined
    ? counts.available === wanted
    : counts.available >= podsNeeded(canary, wanted);
}
