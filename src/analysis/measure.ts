// Writes the outcome of a measurement into the status of a run: counters, the list of measurements, redaction of secrets.
import type { AnalysisPhase, AnalysisRunStatus, Measurement, MetricResult } from "../api/api.ts";
import { formatTime } from "../lib/time.ts";
import { redact } from "./arguments.ts";
import { isCompleted } from "./metricphase.ts";

/** What came of starting, resuming or terminating a measurement. */
export interface MeasurementOutcome {
  /** Running: it goes on and is resumed, at `resumeAtMs` or with the next pass. */
  readonly phase: Exclude<AnalysisPhase, "Pending">;
  /** The result as text. */
  readonly value?: string;
  readonly message?: string;
  /** Kept on the measurement, given back when it is resumed. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly resumeAtMs?: number;
}

export interface MeasuredMetric {
  readonly name: string;
  readonly isDryRun?: boolean;
  /** When the measurement was started; for one that is resumed what the measurement says. */
  readonly startedAtMs: number;
  /** Never shown. */
  readonly secrets?: readonly string[];
  /** Kept on the metric, from its first measurement on (`ResolvedPrometheusQuery`). */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * The status with the outcome in it. An unfinished last measurement of the metric is the one that the outcome belongs to; an
 * outcome for a metric that is completed is dropped (it came after the run had ended).
 */
export function applyMeasurement(
  status: AnalysisRunStatus,
  metric: MeasuredMetric,
  outcome: MeasurementOutcome,
  nowMs: number,
): AnalysisRunStatus {
  const results = status.metricResults ?? [];
  const known = results.find(({ name }) => name === metric.name);
  if (isCompleted(known?.phase) || isCompleted(status.phase)) return status;
  const result = known ?? newResult(metric);
  const last = result.measurements?.at(-1);
  const open = last !== undefined && !isCompleted(last.phase) ? last : undefined;
  const measurement = measurementOf(open, metric, outcome, nowMs);
  const earlier = result.measurements ?? [];
  const changed: MetricResult = {
    ...result,
    ...counters(result, outcome.phase),
    measurements: [...(open === undefined ? earlier : earlier.slice(0, -1)), measurement],
  };
  return {
    ...status,
    metricResults:
      known === undefined ? [...results, changed] : results.map((each) => (each === known ? changed : each)),
  };
}

function newResult(metric: MeasuredMetric): MetricResult {
  return {
    name: metric.name,
    phase: "Running",
    ...(metric.isDryRun === true ? { dryRun: true } : {}),
    ...(metric.metadata === undefined ? {} : { metadata: metric.metadata }),
  };
}

function measurementOf(
  open: Measurement | undefined,
  metric: MeasuredMetric,
  outcome: MeasurementOutcome,
  nowMs: number,
): Measurement {
  const { message, value, metadata, resumeAtMs, phase } = outcome;
  const isDone = isCompleted(phase);
  const kept = metadata ?? open?.metadata;
  return {
    phase,
    startedAt: open?.startedAt ?? formatTime(metric.startedAtMs),
    ...(message === undefined || message === "" ? {} : { message: redact(message, metric.secrets ?? []) }),
    ...(value === undefined ? {} : { value: redact(value, metric.secrets ?? []) }),
    ...(kept === undefined ? {} : { metadata: kept }),
    ...(isDone ? { finishedAt: formatTime(nowMs) } : {}),
    ...(isDone || resumeAtMs === undefined ? {} : { resumeAt: formatTime(resumeAtMs) }),
  };
}

/** Errors count apart: they are no measurement, and only their streak has a limit. */
function counters(result: MetricResult, phase: AnalysisPhase): Partial<MetricResult> {
  const plus = (value: number | undefined): number => (value ?? 0) + 1;
  const counted = { count: plus(result.count), consecutiveError: 0 };
  switch (phase) {
    case "Successful":
      return {
        ...counted,
        successful: plus(result.successful),
        consecutiveSuccess: plus(result.consecutiveSuccess),
      };
    case "Failed":
      return { ...counted, failed: plus(result.failed), consecutiveSuccess: 0 };
    case "Inconclusive":
      return { ...counted, inconclusive: plus(result.inconclusive), consecutiveSuccess: 0 };
    case "Error":
      return {
        error: plus(result.error),
        consecutiveError: plus(result.consecutiveError),
        consecutiveSuccess: 0,
      };
    case "Pending":
    case "Running":
      return {};
  }
}
