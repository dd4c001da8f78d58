// When measurements are taken: which are due now, and when to look again. Argo: generateMetricTasks, calculateNextReconcileTime.
import {
  type AnalysisRunStatus,
  ERROR_RETRY_INTERVAL_MS,
  effectiveCountOf,
  type Measurement,
  type Metric,
  type MetricResult,
} from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import { parseTime } from "../lib/time.ts";
import { isCompleted } from "./metricphase.ts";

/** A measurement that the shell is to start, or to go on with (`measurement` is then the unfinished one). */
export interface DueMeasurement {
  readonly metric: string;
  readonly kind: "start" | "resume";
  readonly measurement?: Measurement;
  readonly isDryRun: boolean;
}

export interface Schedule {
  readonly due: readonly DueMeasurement[];
  /** The next instant at which something becomes due. */
  readonly nextAtMs: number | undefined;
}

/** What is due at `nowMs` for the metrics that are not completed. */
export function schedule(
  metrics: readonly Metric[],
  status: AnalysisRunStatus,
  isDryRun: (metric: string) => boolean,
  nowMs: number,
): Schedule {
  const due: DueMeasurement[] = [];
  let nextAtMs: number | undefined;
  for (const metric of metrics) {
    const result = status.metricResults?.find(({ name }) => name === metric.name);
    if (isCompleted(result?.phase)) continue;
    const dueAtMs = dueAt(metric, result, parseTime(status.startedAt) ?? nowMs, nowMs);
    if (dueAtMs === undefined) continue;
    if (dueAtMs > nowMs) {
      nextAtMs = Math.min(nextAtMs ?? dueAtMs, dueAtMs);
      continue;
    }
    const last = unfinished(result);
    const common = { metric: metric.name, isDryRun: isDryRun(metric.name) };
    due.push(
      last === undefined ? { ...common, kind: "start" } : { ...common, kind: "resume", measurement: last },
    );
  }
  return { due, nextAtMs };
}

/** The measurement that has been started and has not ended. */
export function unfinished(result: MetricResult | undefined): Measurement | undefined {
  const last = result?.measurements?.at(-1);
  return last === undefined || isCompleted(last.phase) ? undefined : last;
}

/** When the next measurement of a metric is due; undefined: never again. */
function dueAt(
  metric: Metric,
  result: MetricResult | undefined,
  startedAtMs: number,
  nowMs: number,
): number | undefined {
  const open = unfinished(result);
  if (open !== undefined) return parseTime(open.resumeAt) ?? nowMs;
  const last = result?.measurements?.at(-1);
  if (last === undefined) return startedAtMs + (parseDuration(metric.initialDelay ?? "0") ?? 0);
  const count = effectiveCountOf(metric);
  if (count !== undefined && (result?.count ?? 0) >= count) return undefined;
  const finishedAtMs = parseTime(last.finishedAt) ?? nowMs;
  if (last.phase === "Error") return finishedAtMs + ERROR_RETRY_INTERVAL_MS;
  const intervalMs = parseDuration(metric.interval ?? "");
  return finishedAtMs + (intervalMs ?? ERROR_RETRY_INTERVAL_MS);
}
