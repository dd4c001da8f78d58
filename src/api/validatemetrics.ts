// Argo's rules for the metrics of an analysis, in its words and order. Source: Argo utils/analysis ValidateMetrics, helpers.go, v1.9.
import { parseDuration } from "../lib/duration.ts";
import type { AnalysisTemplateSpec, Metric } from "./analysisschema.ts";
import type { Path } from "./decode.ts";
import { intValue } from "./intstr.ts";

/** What is wrong with a metric or a rule about metrics. */
export interface MetricError {
  /** From the object's root. */
  readonly path: Path;
  /** Argo's text: `metrics[0]: no provider specified`. */
  readonly message: string;
  /** It is about the key at the end of the path, not about the value. */
  readonly isKey?: true;
}

/** Argo stops at the first of these; all are given. Numbers in which an argument's tag stands count as 0, as they do there. */
export function validateMetrics(metrics: readonly Metric[]): readonly MetricError[] {
  if (metrics.length === 0) return [{ path: ["spec", "metrics"], message: "no metrics specified" }];
  const names = new Set<string>();
  return metrics.flatMap((metric, index) => {
    const errors: (readonly [string, string])[] = [];
    if (names.has(metric.name)) errors.push(["name", `duplicate name '${metric.name}'`]);
    names.add(metric.name);
    errors.push(...validateLimits(metric), ...validateTimes(metric), ...validateProvider(metric));
    return errors.map(([field, words]) => ({
      path: ["spec", "metrics", index, field],
      message: `metrics[${index}]: ${words}`,
    }));
  });
}

/** Rules of dryRun and measurementRetention that match no metric, or stand there twice. */
export function validateMetricRules(spec: AnalysisTemplateSpec): readonly MetricError[] {
  const metrics = spec.metrics ?? [];
  return (["dryRun", "measurementRetention"] as const).flatMap((field) => {
    const seen = new Set<string>();
    return (spec[field] ?? []).flatMap(({ metricName }, index) => {
      const path = ["spec", field, index, "metricName"];
      if (seen.has(metricName))
        return [{ path, message: `${field}[${index}]: duplicate rule '${metricName}'` }];
      seen.add(metricName);
      const isMatch = matcherOf(metricName);
      if (isMatch === undefined)
        return [{ path, message: `${field}[${index}]: '${metricName}' is not a regular expression` }];
      if (metrics.some(({ name }) => isMatch(name))) return [];
      return [{ path, message: `${field}[${index}]: Rule didn't match any metric name(s)` }];
    });
  });
}

type Complaint = readonly [field: string, words: string];

function validateLimits(metric: Metric): Complaint[] {
  const count = intValue(metric.count ?? 0);
  const failure = intValue(metric.failureLimit ?? 0);
  const success = intValue(metric.consecutiveSuccessLimit ?? 0);
  const inconclusive = intValue(metric.inconclusiveLimit ?? 0);
  const errors: Complaint[] = [];
  if (success < 0) errors.push(["consecutiveSuccessLimit", "consecutiveSuccessLimit must be >= 0"]);
  if (failure < -1) errors.push(["failureLimit", "failureLimit must be >= 0, or -1 to be disabled"]);
  if (success === 0 && failure === -1)
    errors.push(["failureLimit", "failureLimit and consecutiveSuccessLimit cannot both be disabled"]);
  if (inconclusive < 0) errors.push(["inconclusiveLimit", "inconclusiveLimit must be >= 0"]);
  if (intValue(metric.consecutiveErrorLimit ?? 0) < 0)
    errors.push(["consecutiveErrorLimit", "consecutiveErrorLimit must be >= 0"]);
  if (count > 0 && success >= 0 && failure >= 0 && count < failure + success) {
    const sum = `(${failure} + ${success})`;
    const words = `count (${count}) must be >= failureLimit + consecutiveSuccessLimit ${sum} if both >= 0`;
    errors.push(["count", words]);
  }
  if (count > 0 && success >= 0 && failure < 0 && count < success)
    errors.push(["count", "count must be >= consecutiveSuccessLimit"]);
  if (count > 0 && count < inconclusive) errors.push(["count", "count must be >= inconclusiveLimit"]);
  return errors;
}

function validateTimes({ count = 0, interval = "", initialDelay = "" }: Metric): Complaint[] {
  const errors: Complaint[] = [];
  if (intValue(count) > 1 && interval === "")
    errors.push(["interval", "interval must be specified when count > 1"]);
  const intervalError = durationError(interval);
  if (intervalError !== undefined) errors.push(["interval", `invalid interval string: ${intervalError}`]);
  const delayError = durationError(initialDelay);
  if (delayError !== undefined) errors.push(["initialDelay", `invalid startDelay string: ${delayError}`]);
  return errors;
}

function validateProvider({ provider }: Metric): Complaint[] {
  const { plugin = {}, ...builtIn } = provider;
  const known = ["prometheus", "kayenta", "web", "datadog", "wavefront", "newRelic", "job", "cloudWatch"];
  const others = ["graphite", "influxdb", "skywalking"];
  const isSet = (name: string): boolean => Object.hasOwn(builtIn, name);
  const count = [...known, ...others].filter(isSet).length + Object.keys(plugin).length;
  if (count === 1) return [];
  return [["provider", count === 0 ? "no provider specified" : "multiple providers specified"]];
}

/** Go's words for what time.ParseDuration does not take; undefined when it does, for an empty text, and before an argument is filled in. */
function durationError(text: string): string | undefined {
  if (text === "" || text.includes("{{") || parseDuration(text) !== undefined) return undefined;
  const quoted = JSON.stringify(text);
  if (/^[+-]?\d+(?:\.\d*)?$/.test(text)) return `time: missing unit in duration ${quoted}`;
  const unit = /^[+-]?(?:[\d.]+(?:ns|us|µs|μs|ms|s|m|h))*[\d.]+([^\d.]+)/.exec(text)?.[1];
  return unit === undefined
    ? `time: invalid duration ${quoted}`
    : `time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`;
}

function matcherOf(pattern: string): ((name: string) => boolean) | undefined {
  try {
    const regexp = new RegExp(pattern);
    return (name) => regexp.test(name);
  } catch {
    // A pattern that does not compile is reported by the caller.
    return undefined;
  }
}
