// Defaults of Rollouts and metrics, as functions: nothing writes a default back into a spec.
// Source: Argo utils/defaults, v1.9.
import type { Metric } from "./analysisschema.ts";
import type { Experiment } from "./experimentschema.ts";
import { type IntOrString, intValue, scaledValue } from "./intstr.ts";
import type { ReplicaSet } from "./kubeschema.ts";
import type { Rollout } from "./rolloutschema.ts";

const DEFAULT_REPLICAS = 1;
const DEFAULT_REVISION_HISTORY_LIMIT = 10;
const DEFAULT_RUN_HISTORY_LIMIT = 5;
const DEFAULT_PROGRESS_DEADLINE_SECONDS = 600;
/** With a router, and for blue-green. */
const DEFAULT_SCALE_DOWN_DELAY_SECONDS = 30;
const DEFAULT_ABORT_SCALE_DOWN_DELAY_SECONDS = 30;
/** Of the replicas; both of maxSurge and maxUnavailable. */
export const DEFAULT_MAX_SURGE_AND_UNAVAILABLE = "25%";
export const DEFAULT_MAX_TRAFFIC_WEIGHT = 100;
const DEFAULT_CONSECUTIVE_ERROR_LIMIT = 4;
/** Measurements kept per metric, unless a retention says otherwise. */
export const DEFAULT_MEASUREMENTS_KEPT = 10;
/** Wait before a measurement that errored is tried again. */
export const ERROR_RETRY_INTERVAL_MS = 10_000;

/** spec.replicas, default 1. */
export function replicasOf(object: Pick<Rollout, "spec"> | Pick<ReplicaSet, "spec">): number {
  return object.spec.replicas ?? DEFAULT_REPLICAS;
}

export function minReadySecondsOf(rollout: Rollout): number {
  return rollout.spec.minReadySeconds ?? 0;
}

/** Old ReplicaSets kept, default 10. */
export function revisionHistoryLimitOf(rollout: Rollout): number {
  return rollout.spec.revisionHistoryLimit ?? DEFAULT_REVISION_HISTORY_LIMIT;
}

/** Finished AnalysisRuns kept, default 5; failed, errored and inconclusive ones share the second limit. */
export function runHistoryLimitsOf(rollout: Rollout): {
  readonly successful: number;
  readonly unsuccessful: number;
} {
  return {
    successful: rollout.spec.analysis?.successfulRunHistoryLimit ?? DEFAULT_RUN_HISTORY_LIMIT,
    unsuccessful: rollout.spec.analysis?.unsuccessfulRunHistoryLimit ?? DEFAULT_RUN_HISTORY_LIMIT,
  };
}

/** Default 600. */
export function progressDeadlineSecondsOf(rollout: Rollout): number {
  return rollout.spec.progressDeadlineSeconds ?? DEFAULT_PROGRESS_DEADLINE_SECONDS;
}

/** Seconds in which each template of an Experiment has to become available, default 600. */
export function experimentDeadlineSecondsOf(experiment: Experiment): number {
  return experiment.spec.progressDeadlineSeconds ?? DEFAULT_PROGRESS_DEADLINE_SECONDS;
}

/** Seconds that an ended Experiment's pods stay, default 30. */
export function experimentScaleDownDelaySecondsOf(experiment: Experiment): number {
  return experiment.spec.scaleDownDelaySeconds ?? DEFAULT_SCALE_DOWN_DELAY_SECONDS;
}

/** Default 100, also for what is no weight at all: shares of it are computed before the spec is known to be valid. */
export function maxTrafficWeightOf(rollout: Rollout): number {
  const wanted = rollout.spec.strategy?.canary?.trafficRouting?.maxTrafficWeight ?? 0;
  return wanted > 0 ? wanted : DEFAULT_MAX_TRAFFIC_WEIGHT;
}

/** Seconds before a replaced ReplicaSet goes down: 30 with a router or blue-green, 0 without. */
export function scaleDownDelaySecondsOf(rollout: Rollout): number {
  const { canary, blueGreen } = rollout.spec.strategy ?? {};
  if (canary?.trafficRouting !== undefined)
    return canary.scaleDownDelaySeconds ?? DEFAULT_SCALE_DOWN_DELAY_SECONDS;
  if (blueGreen !== undefined) return blueGreen.scaleDownDelaySeconds ?? DEFAULT_SCALE_DOWN_DELAY_SECONDS;
  return 0;
}

/** Seconds before an aborted canary goes down: 30 with a router or blue-green, 0 without; `never` when set to 0. */
export function abortScaleDownDelayOf(rollout: Rollout): number | "never" {
  const { canary, blueGreen } = rollout.spec.strategy ?? {};
  const isRouted = canary?.trafficRouting !== undefined;
  if (!isRouted && blueGreen === undefined) return 0;
  const seconds = blueGreen?.abortScaleDownDelaySeconds ?? canary?.abortScaleDownDelaySeconds;
  if (seconds === 0) return "never";
  return seconds ?? DEFAULT_ABORT_SCALE_DOWN_DELAY_SECONDS;
}

/** Pods that may exist above, and be missing below, spec.replicas: surge rounds up, unavailable down; both 0 makes one unavailable. */
export function rollingLimitsOf(rollout: Rollout): {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
} {
  const { canary, blueGreen } = rollout.spec.strategy ?? {};
  const replicas = replicasOf(rollout);
  const share = (value: IntOrString | undefined, rounding: "up" | "down"): number =>
    scaledValue(value ?? DEFAULT_MAX_SURGE_AND_UNAVAILABLE, replicas, rounding) ?? 0;
  const maxSurge = share(canary?.maxSurge, "up");
  const maxUnavailable = share(blueGreen?.maxUnavailable ?? canary?.maxUnavailable, "down");
  return { maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable };
}

/** Measurements to take: undefined is without end. One when neither count nor interval is set. */
export function effectiveCountOf(metric: Metric): number | undefined {
  const count = intValue(metric.count ?? 0);
  if (count !== 0) return count;
  return metric.interval === undefined || metric.interval === "" ? 1 : undefined;
}

/** The limits of a metric with their defaults. Argument tags must be replaced before. */
export function metricLimitsOf(metric: Metric): {
  readonly failure: number;
  readonly inconclusive: number;
  readonly consecutiveError: number;
  readonly consecutiveSuccess: number;
} {
  return {
    failure: intValue(metric.failureLimit ?? 0),
    inconclusive: intValue(metric.inconclusiveLimit ?? 0),
    consecutiveError: intValue(metric.consecutiveErrorLimit ?? DEFAULT_CONSECUTIVE_ERROR_LIMIT),
    consecutiveSuccess: intValue(metric.consecutiveSuccessLimit ?? 0),
  };
}
