// What makes the spec of an AnalysisRun invalid whatever is measured. Argo: ValidateMetrics and its neighbours.
import { effectiveCountOf, type IntOrString, intValue, type Metric, metricLimitsOf } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";

interface Rule {
  readonly metricName: string;
}

/** The first fault, or undefined. Argument tags must have been replaced. */
export function metricsProblem(metrics: readonly Metric[]): string | undefined {
  if (metrics.length === 0) return "no metrics specified";
  const names = new Set<string>();
  for (const [index, metric] of metrics.entries()) {
    if (names.has(metric.name)) return `metrics[${index}]: duplicate name '${metric.name}`;
    names.add(metric.name);
    const problem = metricProblem(metric);
    if (problem !== undefined) return `metrics[${index}]: ${problem}`;
  }
  return undefined;
}

function metricProblem(metric: Metric): string | undefined {
  const { failure, inconclusive, consecutiveError, consecutiveSuccess } = metricLimitsOf(metric);
  const count = given(metric.count);
  if (count > 0) {
    const needed = Math.max(failure, 0) + consecutiveSuccess;
    if (count < needed)
      return `count must be >= failureLimit${consecutiveSuccess > 0 ? " + consecutiveSuccessLimit" : ""}`;
    if (count < inconclusive) return "count must be >= inconclusiveLimit";
  }
  if (count > 1 && (metric.interval ?? "") === "") return "interval must be specified when count > 1";
  for (const field of ["interval", "initialDelay"] as const) {
    const text = metric[field] ?? "";
    if (text !== "" && parseDuration(text) === undefined)
      return `invalid ${field === "interval" ? "interval" : "startDelay"} string: time: invalid duration ${JSON.stringify(text)}`;
  }
  if (failure < -1) return "failureLimit must be >= 0";
  if (failure === -1 && consecutiveSuccess === 0)
    return "failureLimit and consecutiveSuccessLimit cannot both be disabled";
  if (inconclusive < 0) return "inconclusiveLimit must be >= 0";
  if (consecutiveError < 0) return "consecutiveErrorLimit must be >= 0";
  if (consecutiveSuccess < 0) return "consecutiveSuccessLimit must be >= 0";
  const providers = Object.values(metric.provider).filter((provider) => provider !== undefined);
  if (providers.length === 0) return "no provider specified";
  return providers.length > 1 ? "multiple providers specified" : undefined;
}

const given = (value: IntOrString | undefined): number => intValue(value ?? 0);

/** Whether a metric runs until it is stopped: an inline analysis of such a template never ends. */
export function runsIndefinitely(metric: Metric): boolean {
  return effectiveCountOf(metric) === undefined;
}

/** The rule that applies to each metric (the last that matches), or the fault of a rule that matches none. */
export function rulesByMetric<R extends Rule>(
  field: string,
  rules: readonly R[],
  metrics: readonly Metric[],
):
  | { readonly kind: "ok"; readonly rules: ReadonlyMap<string, R> }
  | { readonly kind: "error"; readonly message: string } {
  const matched = new Map<string, R>();
  for (const [index, rule] of rules.entries()) {
    const pattern = compiled(rule.metricName);
    const hits = metrics.filter(({ name }) => pattern?.test(name) ?? name === rule.metricName);
    if (hits.length === 0)
      return { kind: "error", message: `${field}[${index}]: Rule didn't match any metric name(s)` };
    for (const { name } of hits) matched.set(name, rule);
  }
  return { kind: "ok", rules: matched };
}

/** A rule that is no regular expression is taken as the name itself. */
function compiled(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, "u");
  } catch {
    return undefined;
  }
}
