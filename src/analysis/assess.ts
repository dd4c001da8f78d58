// The door of analysis/: how an AnalysisRun stands and what has to be measured next. Pure: the shell measures, writes the outcome
// with `applyMeasurement`, and assesses again. Argo: analysis/analysis.go reconcileAnalysisRun.
import {
  type AnalysisPhase,
  type AnalysisRun,
  type AnalysisRunStatus,
  analysisRunReason,
  DEFAULT_MEASUREMENTS_KEPT,
  type MeasurementRetention,
  type Metric,
  type MetricResult,
  metricReason,
  type RunSummary,
} from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import { oncePerObject } from "../lib/once.ts";
import { formatTime } from "../lib/time.ts";
import { metricsWithoutSecrets } from "./arguments.ts";
import { type DueMeasurement, schedule, unfinished } from "./due.ts";
import { brokenLimit, isCompleted, isWorse, metricPhase } from "./metricphase.ts";
import { metricsProblem, rulesByMetric } from "./validate.ts";

export {
  mergeArgs,
  metricsWithoutSecrets,
  type Rendered,
  type ResolvedMetric,
  redact,
  renderTags,
  resolveMetric,
  type SecretReader,
} from "./arguments.ts";
export type { DueMeasurement } from "./due.ts";
export {
  type ConditionInput,
  type ConditionOutcome,
  type ConditionResult,
  conditionProblem,
  evaluateCondition,
} from "./expr/condition.ts";
export { applyMeasurement, type MeasuredMetric, type MeasurementOutcome } from "./measure.ts";
export { isCompleted, isWorse } from "./metricphase.ts";
export {
  type NamedTemplate,
  type RunSpecRequest,
  type RunSpecResult,
  runSpecFromTemplates,
} from "./runspec.ts";
export { ttlExpiresAtMs } from "./ttl.ts";
export { metricsProblem, rulesProblem, runsIndefinitely } from "./validate.ts";

/** An event on the AnalysisRun, to be written once, after the status. */
export interface RunEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface Assessment {
  /** The status to write; the same object when nothing changed. */
  readonly status: AnalysisRunStatus;
  /** To be started or resumed now. Empty for a run that has ended or is ending. */
  readonly measurementsDue: readonly DueMeasurement[];
  /** Unfinished measurements of a run that is ending: the run ends when their outcomes are in. */
  readonly terminateMeasurements: readonly DueMeasurement[];
  /** When to assess again if nothing else happens. */
  readonly requeueAtMs: number | undefined;
  /** status.message, empty when there is none. */
  readonly message: string;
  readonly events: readonly RunEvent[];
}

/** How the run stands at `nowMs`, and what is to be done. Assessing a completed run changes nothing. */
export function assessRun(run: AnalysisRun, nowMs: number): Assessment {
  if (isCompleted(run.status.phase)) return idle(run.status);
  const prepared = preparedOf(run.spec);
  if (prepared.kind === "error") return ended(run.status, "Error", prepared.message, nowMs, []);
  const { metrics, isDryRun, retention } = prepared;
  const started: AnalysisRunStatus = {
    ...run.status,
    metricResults: run.status.metricResults ?? [],
    startedAt: run.status.startedAt ?? formatTime(nowMs),
  };
  const assessed = assessMetrics(metrics, started, isDryRun, run.spec.terminate === true);
  const status = trim(assessed.status, retention);
  const events = metricEvents(started, status);
  const terminate = assessed.isTerminating ? openMeasurements(status, isDryRun) : [];
  if (assessed.verdict !== undefined && terminate.length === 0)
    return ended(status, assessed.verdict.phase, assessed.verdict.message, nowMs, events);
  const running = keepIfEqual(run.status, { ...status, phase: "Running" });
  const { due, nextAtMs } = schedule(metrics, status, isDryRun, nowMs);
  return {
    status: running,
    measurementsDue: assessed.isTerminating ? [] : due,
    terminateMeasurements: terminate,
    requeueAtMs: assessed.isTerminating ? undefined : nextAtMs,
    message: running.message ?? "",
    events,
  };
}

/** Ends a run whose metric could not be resolved when it was to be measured (a secret that is not there). */
export function failUnresolved(run: AnalysisRun, why: string, nowMs: number): Assessment {
  if (isCompleted(run.status.phase)) return idle(run.status);
  return ended(run.status, "Error", `Unable to resolve metric arguments: ${why}`, nowMs, []);
}

/** Names of the metrics of a run that are recorded and do not count; none where the rules themselves are wrong. */
export function dryRunMetrics({ spec }: AnalysisRun): ReadonlySet<string> {
  const matched = rulesByMetric("dryRun", spec.dryRun ?? [], spec.metrics);
  return new Set(matched.kind === "ok" ? matched.rules.keys() : []);
}

type Prepared =
  | { readonly kind: "error"; readonly message: string }
  | {
      readonly kind: "ok";
      readonly metrics: readonly Metric[];
      readonly isDryRun: (metric: string) => boolean;
      readonly retention: ReadonlyMap<string, MeasurementRetention>;
    };

/** A spec is replaced, never written to, and outlives many measurements. */
const preparedOf = oncePerObject(prepare);

function prepare(spec: AnalysisRun["spec"]): Prepared {
  const rendered = metricsWithoutSecrets({ spec });
  if (rendered.kind === "error")
    return { kind: "error", message: `Unable to resolve metric arguments: ${rendered.message}` };
  const metrics = rendered.value;
  const problem = metricsProblem(metrics);
  if (problem !== undefined) return { kind: "error", message: `Analysis spec invalid: ${problem}` };
  const dryRun = rulesByMetric("dryRun", spec.dryRun ?? [], metrics);
  if (dryRun.kind === "error") return { kind: "error", message: `Analysis spec invalid: ${dryRun.message}` };
  const retention = rulesByMetric("measurementRetention", spec.measurementRetention ?? [], metrics);
  if (retention.kind === "error")
    return { kind: "error", message: `Analysis spec invalid: ${retention.message}` };
  const isDryRun = (metric: string): boolean => dryRun.rules.has(metric);
  return { kind: "ok", metrics, isDryRun, retention: retention.rules };
}

interface AssessedMetrics {
  readonly status: AnalysisRunStatus;
  readonly isTerminating: boolean;
  /** Set when the run ends, apart from measurements that are still open. */
  readonly verdict: { readonly phase: AnalysisPhase; readonly message: string } | undefined;
}

/** Phases of all metrics. A metric that fails ends the run, so a second look follows with the rest terminating. */
function assessMetrics(
  metrics: readonly Metric[],
  status: AnalysisRunStatus,
  isDryRun: (metric: string) => boolean,
  isAsked: boolean,
): AssessedMetrics {
  const look = (from: AnalysisRunStatus, isTerminating: boolean): AnalysisRunStatus => ({
    ...from,
    metricResults: (from.metricResults ?? []).map((result) => {
      const metric = metrics.find(({ name }) => name === result.name);
      return metric === undefined
        ? result
        : assessMetric(metric, result, isDryRun(result.name), isTerminating);
    }),
  });
  const first = look(status, isAsked || hasEnded(status));
  const isTerminating = isAsked || hasEnded(first);
  const last = isTerminating ? look(first, true) : first;
  const results = last.metricResults ?? [];
  const resultOf = (metric: Metric): MetricResult | undefined =>
    results.find(({ name }) => name === metric.name);
  const summaries = {
    runSummary: summary(metrics.filter(({ name }) => !isDryRun(name)).map(resultOf)),
    dryRunSummary: summary(metrics.filter(({ name }) => isDryRun(name)).map(resultOf)),
  };
  const isOver = isTerminating || metrics.every((metric) => isCompleted(resultOf(metric)?.phase));
  const verdict = isOver ? worstOf(metrics, resultOf, isDryRun, isAsked) : undefined;
  return { status: { ...last, ...summaries }, isTerminating, verdict };
}

/** Whether a metric that counts has decided against the release. */
function hasEnded(status: AnalysisRunStatus): boolean {
  return (status.metricResults ?? []).some(
    ({ dryRun, phase }) => dryRun !== true && isCompleted(phase) && phase !== "Successful",
  );
}

function assessMetric(
  metric: Metric,
  result: MetricResult,
  isDryRun: boolean,
  isTerminating: boolean,
): MetricResult {
  const phase = metricPhase(metric, result, isTerminating);
  if (phase === result.phase) return result;
  const broken = isCompleted(phase) ? brokenLimit(metric, result) : undefined;
  const own = result.measurements?.at(-1)?.message;
  const message =
    isDryRun && broken !== undefined ? `Metric assessed ${phase} due to ${broken.message}` : own;
  const { message: _stale, ...rest } = result;
  return { ...rest, phase, ...(message === undefined ? {} : { message }) };
}

function worstOf(
  metrics: readonly Metric[],
  resultOf: (metric: Metric) => MetricResult | undefined,
  isDryRun: (metric: string) => boolean,
  isAsked: boolean,
): { readonly phase: AnalysisPhase; readonly message: string } {
  let worst: AnalysisPhase = "Successful";
  let isFirst = true;
  let message = isAsked ? "Run Terminated" : "";
  for (const metric of metrics) {
    const result = resultOf(metric);
    if (result === undefined || !isCompleted(result.phase) || isDryRun(metric.name)) continue;
    if (!isFirst && !isWorse(result.phase, worst)) continue;
    isFirst = false;
    worst = result.phase;
    const broken = brokenLimit(metric, result);
    if (broken === undefined) continue;
    const words = result.message === undefined ? "" : `: "Error Message: ${result.message}"`;
    message = `Metric "${metric.name}" assessed ${result.phase} due to ${broken.message}${words}`;
  }
  return { phase: worst, message };
}

/** Metrics per outcome; `count` is all of them, begun or not. */
function summary(results: readonly (MetricResult | undefined)[]): RunSummary {
  const count = (phase: AnalysisPhase): number => results.filter((result) => result?.phase === phase).length;
  const outcomes = {
    successful: count("Successful"),
    failed: count("Failed"),
    inconclusive: count("Inconclusive"),
    error: count("Error"),
  };
  const shown = Object.entries({ count: results.length, ...outcomes }).filter(([, value]) => value > 0);
  return Object.fromEntries(shown);
}

/** Keeps the newest measurements of each metric. */
function trim(
  status: AnalysisRunStatus,
  retention: ReadonlyMap<string, MeasurementRetention>,
): AnalysisRunStatus {
  const limitOf = (name: string): number => {
    const limit = retention.get(name)?.limit ?? 0;
    return limit > 0 ? limit : DEFAULT_MEASUREMENTS_KEPT;
  };
  const metricResults = (status.metricResults ?? []).map((result) => {
    const measurements = result.measurements ?? [];
    const limit = limitOf(result.name);
    return measurements.length <= limit ? result : { ...result, measurements: measurements.slice(-limit) };
  });
  return { ...status, metricResults };
}

function openMeasurements(
  status: AnalysisRunStatus,
  isDryRun: (metric: string) => boolean,
): readonly DueMeasurement[] {
  return (status.metricResults ?? []).flatMap((result) => {
    const measurement = isCompleted(result.phase) ? undefined : unfinished(result);
    return measurement === undefined
      ? []
      : [{ metric: result.name, kind: "resume" as const, measurement, isDryRun: isDryRun(result.name) }];
  });
}

const eventType = (phase: AnalysisPhase): "Normal" | "Warning" =>
  phase === "Failed" || phase === "Error" ? "Warning" : "Normal";

function metricEvents(before: AnalysisRunStatus, after: AnalysisRunStatus): readonly RunEvent[] {
  return (after.metricResults ?? []).flatMap(({ name, phase }) => {
    const earlier = before.metricResults?.find((result) => result.name === name)?.phase;
    if (!isCompleted(phase) || isCompleted(earlier)) return [];
    const message = `Metric '${name}' Completed. Result: ${phase}`;
    return [{ type: eventType(phase), reason: metricReason(phase), message }];
  });
}

function ended(
  status: AnalysisRunStatus,
  phase: AnalysisPhase,
  message: string,
  nowMs: number,
  events: readonly RunEvent[],
): Assessment {
  const { message: _earlier, ...rest } = status;
  const at = formatTime(nowMs);
  const done: AnalysisRunStatus = {
    ...rest,
    phase,
    startedAt: status.startedAt ?? at,
    completedAt: at,
    ...(message === "" ? {} : { message }),
  };
  const event: RunEvent = {
    type: eventType(phase),
    reason: analysisRunReason(phase),
    message: `Analysis Completed. Result: ${phase}`,
  };
  return { ...idle(done), events: [...events, event] };
}

function idle(status: AnalysisRunStatus): Assessment {
  return {
    status,
    measurementsDue: [],
    terminateMeasurements: [],
    requeueAtMs: undefined,
    message: status.message ?? "",
    events: [],
  };
}

/** The earlier object when the new one says the same, so that callers can tell that there is nothing to write. */
function keepIfEqual(earlier: AnalysisRunStatus, next: AnalysisRunStatus): AnalysisRunStatus {
  return jsonEqual(earlier, next) ? earlier : next;
}
