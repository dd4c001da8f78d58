// The phase of one metric from its counters and limits. Argo: analysis/analysis.go assessMetricStatus; the order of the checks is
// its contract: failure, inconclusive, error (the last that matches wins), streak, count, termination.
import {
  type AnalysisPhase,
  effectiveCountOf,
  type Metric,
  type MetricResult,
  metricLimitsOf,
} from "../api/api.ts";

/** From best to worst. */
const PHASE_ORDER: readonly AnalysisPhase[] = [
  "Successful",
  "Running",
  "Pending",
  "Inconclusive",
  "Error",
  "Failed",
];

/** Whether `phase` is worse than `than`. */
export function isWorse(phase: AnalysisPhase, than: AnalysisPhase): boolean {
  return PHASE_ORDER.indexOf(phase) > PHASE_ORDER.indexOf(than);
}

/** Successful, Failed, Error or Inconclusive: nothing changes any more. */
export function isCompleted(phase: AnalysisPhase | undefined): boolean {
  return phase === "Successful" || phase === "Failed" || phase === "Error" || phase === "Inconclusive";
}

/** The limit that a metric has broken, with the words for it. */
export function brokenLimit(
  metric: Metric,
  result: MetricResult,
): { readonly phase: "Failed" | "Inconclusive" | "Error"; readonly message: string } | undefined {
  const limits = metricLimitsOf(metric);
  const failed = result.failed ?? 0;
  const inconclusive = result.inconclusive ?? 0;
  const errors = result.consecutiveError ?? 0;
  if (errors > limits.consecutiveError)
    return {
      phase: "Error",
      message: `consecutiveErrors (${errors}) > consecutiveErrorLimit (${limits.consecutiveError})`,
    };
  if (inconclusive > limits.inconclusive)
    return {
      phase: "Inconclusive",
      message: `inconclusive (${inconclusive}) > inconclusiveLimit (${limits.inconclusive})`,
    };
  // -1 switches the limit off.
  if (limits.failure >= 0 && failed > limits.failure)
    return { phase: "Failed", message: `failed (${failed}) > failureLimit (${limits.failure})` };
  return undefined;
}

/** The phase that the counters of a metric ask for. A completed metric stays what it is. */
export function metricPhase(metric: Metric, result: MetricResult, isTerminating: boolean): AnalysisPhase {
  if (isCompleted(result.phase)) return result.phase;
  const last = result.measurements?.at(-1);
  if (last === undefined) return isTerminating ? "Successful" : "Pending";
  if (!isCompleted(last.phase)) return "Running";
  const broken = brokenLimit(metric, result);
  if (broken !== undefined) return broken.phase;
  const limits = metricLimitsOf(metric);
  const hasStreak = limits.consecutiveSuccess > 0;
  if (hasStreak && (result.consecutiveSuccess ?? 0) >= limits.consecutiveSuccess) return "Successful";
  const count = effectiveCountOf(metric);
  if (count !== undefined && (result.count ?? 0) >= count) {
    if (!hasStreak) return "Successful";
    return limits.failure >= 0 ? "Inconclusive" : "Failed";
  }
  return isTerminating ? "Successful" : "Running";
}
