// Conditions of metrics that do not compile: each of their measurements is an error, whatever is measured, which ends the run in phase Error.
// Nothing refuses them, as in Argo: lint says it before an update is aborted. Those with an argument's tag are left to the run.
import { conditionProblem, rulesProblem } from "../analysis/assess.ts";
import {
  type KubeObject,
  type Metric,
  type Path,
  readAnalysisRun,
  readAnalysisTemplate,
} from "../api/api.ts";
import { isObject } from "../lib/json.ts";

export interface ConditionFault {
  readonly path: Path;
  readonly message: string;
  /** A dry-run rule covers the metric, so that its errors do not count. */
  readonly isDryRun: boolean;
}

const FIELDS = ["successCondition", "failureCondition"] as const;
/** Kinds in which dry-run rules stand. */
const ANALYSED = ["Rollout", "Experiment", "AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun"];

/** What is wrong with the conditions of an object's metrics. `all`: the objects whose dry-run rules may be about them. */
export function conditionFaults(object: KubeObject, all: readonly KubeObject[]): readonly ConditionFault[] {
  return metricsOf(object).flatMap((metric, index) =>
    FIELDS.flatMap((field) => {
      const condition = metric[field] ?? "";
      const message = condition === "" || condition.includes("{{") ? undefined : conditionProblem(condition);
      if (message === undefined) return [];
      return [{ path: ["spec", "metrics", index, field], message, isDryRun: isDryRun(metric, all) }];
    }),
  );
}

function metricsOf(object: KubeObject): readonly Metric[] {
  switch (object.kind) {
    case "AnalysisTemplate":
    case "ClusterAnalysisTemplate":
      return readAnalysisTemplate(object).value.spec.metrics ?? [];
    case "AnalysisRun":
      return readAnalysisRun(object).value.spec.metrics;
    default:
      return [];
  }
}

function isDryRun(metric: Metric, all: readonly KubeObject[]): boolean {
  const rules = all.filter(({ kind }) => ANALYSED.includes(kind)).flatMap(dryRunNames);
  return rules.some((metricName) => rulesProblem({ dryRun: [{ metricName }] }, [metric]) === undefined);
}

/** Metric names of all rules at any depth: steps, strategies, templates. */
function dryRunNames(node: unknown): readonly string[] {
  if (Array.isArray(node)) return node.flatMap(dryRunNames);
  if (!isObject(node)) return [];
  const rules: readonly unknown[] = Array.isArray(node.dryRun) ? node.dryRun : [];
  const own = rules.flatMap((rule) =>
    isObject(rule) && typeof rule.metricName === "string" ? [rule.metricName] : [],
  );
  return [...own, ...Object.values(node).flatMap(dryRunNames)];
}
