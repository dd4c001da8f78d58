// What makes the spec of an AnalysisRun invalid whatever is measured. Argo: ValidateMetrics and its neighbours.
import { effectiveCountOf, type Metric, validateMetrics } from "../api/api.ts";

interface Rule {
  readonly metricName: string;
}

/** The first fault, or undefined. Argument tags must have been replaced. */
export function metricsProblem(metrics: readonly Metric[]): string | undefined {
  return validateMetrics(metrics)[0]?.message;
}

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
