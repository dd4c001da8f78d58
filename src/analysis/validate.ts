// What makes the spec of an AnalysisRun invalid whatever is measured. Argo: ValidateMetrics and its neighbours.
import { type AnalysisRunSpec, effectiveCountOf, type Metric, validateMetrics } from "../api/api.ts";

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

/** The first fault of the rules about metrics: what ends a run before anything is measured. */
export function rulesProblem(
  { dryRun = [], measurementRetention = [] }: Pick<AnalysisRunSpec, "dryRun" | "measurementRetention">,
  metrics: readonly Metric[],
): string | undefined {
  const dry = rulesByMetric("dryRun", dryRun, metrics);
  if (dry.kind === "error") return dry.message;
  const retention = rulesByMetric("measurementRetention", measurementRetention, metrics);
  return retention.kind === "error" ? retention.message : undefined;
}

/** A rule that is no regular expression is taken as the name itself. */
function compiled(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, "u");
  } catch {
    return undefined;
  }
}
