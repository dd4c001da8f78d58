// Strict looks at manifests: what a tolerant read would drop or ignore, what Argo holds invalid, and what weir does not carry
// out yet, each with its place, what is wrong, and how to mend it.

import { assertNever } from "../lib/assert.ts";
import { isObject } from "../lib/json.ts";
import { abortSettingErrors } from "./abortsettings.ts";
import type { AnalysisTemplateSpec, Metric } from "./analysisschema.ts";
import { type Issue, isMisspelt, isReadableKind, schemaIssues } from "./check.ts";
import { formatPath, type Path } from "./decode.ts";
import type { Experiment } from "./experimentschema.ts";
import { experimentShareNotes, experimentStepErrors } from "./experimentstep.ts";
import { type FieldError, fieldErrorText, invalid } from "./fielderror.ts";
import { WEIR_ROUTER, WEIR_TRAFFIC_METRIC } from "./labels.ts";
import { managedRouteErrors } from "./managedroutes.ts";
import type { KubeObject } from "./meta.ts";
import { negativeExperimentTimeNotes, negativeSizeErrors, negativeTimeNotes } from "./negatives.ts";
import { notYetErrors, notYetMetricErrors } from "./notyet.ts";
import { readAnalysisRun, readAnalysisTemplate, readExperiment, readRollout } from "./read.ts";
import type { Rollout } from "./rolloutschema.ts";
import type { CapabilityTable } from "./routers.ts";
import { readTrafficMetric } from "./trafficmetric.ts";
import { validateRollout } from "./validate.ts";
import { type MetricError, validateMetricRules, validateMetrics } from "./validatemetrics.ts";
import { validatePodTemplate } from "./validatepod.ts";
import { webhookStepErrors } from "./webhookstep.ts";
import { readProxyRouting } from "./weirsettings.ts";

/** Everything to mend in an object of any kind; kinds that weir does not read have no issues. */
export function lint(object: KubeObject, capabilities: CapabilityTable): readonly Issue[] {
  if (!isObject(object))
    return [{ path: [], message: "is not an object", mend: "write one object per document" }];
  const { kind } = object;
  if (!isReadableKind(kind)) return [];
  const issues = schemaIssues(kind, object);
  // The rules would only say what follows from the misspelt name.
  if (isMisspelt(["spec"], issues)) return issues;
  const rules = ruleIssues(object, capabilities).filter(({ path }) => !isMisspelt(path, issues));
  return once([...issues, ...rules]);
}

/** Argo looks at some things twice, or once for every step. */
function once(issues: readonly Issue[]): readonly Issue[] {
  const byText = new Map(issues.map((issue) => [`${formatPath(issue.path)}: ${issue.message}`, issue]));
  return [...byText.values()];
}

/** Why `rollout` is InvalidSpec, in order: Argo's rules, weir's router settings, what is not carried out yet. */
export function rolloutErrors(rollout: Rollout, capabilities: CapabilityTable): readonly FieldError[] {
  return [
    ...validateRollout(rollout, capabilities),
    ...routerSettingsErrors(rollout),
    ...managedRouteErrors(rollout),
    ...experimentStepErrors(rollout),
    ...negativeSizeErrors(rollout),
    ...abortSettingErrors(rollout),
    ...webhookStepErrors(rollout),
    ...notYetErrors(rollout),
  ];
}

/** Why an analysis with these metrics is in error, in order. */
export function metricErrors(spec: AnalysisTemplateSpec): readonly MetricError[] {
  const metrics = spec.metrics ?? [];
  return [
    ...validateMetrics(metrics),
    ...validateMetricRules(spec),
    ...metrics.flatMap(trafficMetricErrors),
    ...notYetMetricErrors(metrics),
  ];
}

function ruleIssues(object: KubeObject, capabilities: CapabilityTable): readonly Issue[] {
  switch (object.kind) {
    case "Rollout": {
      const rollout = readRollout(object).value;
      const errors = rolloutErrors(rollout, capabilities);
      return [
        ...errors.map((error) => fieldIssue(error, "a Rollout with it is Degraded (InvalidSpec)")),
        ...negativeTimeNotes(rollout),
        ...experimentShareNotes(rollout),
      ];
    }
    case "Experiment":
      return experimentIssues(readExperiment(object).value);
    case "AnalysisRun":
      return metricErrors(readAnalysisRun(object).value.spec).map(metricIssue);
    case "AnalysisTemplate":
    case "ClusterAnalysisTemplate": {
      const { spec } = readAnalysisTemplate(object).value;
      const isComposed = (spec.metrics ?? []).length === 0 && (spec.templates ?? []).length > 0;
      return isComposed ? [] : metricErrors(spec).map(metricIssue);
    }
    default:
      return [];
  }
}

function experimentIssues(experiment: Experiment): readonly Issue[] {
  const errors = experiment.spec.templates.flatMap(({ template, selector }, index) =>
    validatePodTemplate(template, selector, ["spec", "templates", index, "template"]),
  );
  return [
    ...errors.map((error) => fieldIssue(error, "its pods would be refused")),
    ...negativeExperimentTimeNotes(experiment),
  ];
}

/** `outcome`: what comes of it as it stands. */
function fieldIssue(error: FieldError, outcome: string): Issue {
  const message = fieldErrorText({ ...error, field: "" });
  return { path: error.path, message, mend: mendOf(error, outcome), ...(error.isKey && { isKey: true }) };
}

function metricIssue(error: MetricError): Issue {
  return { ...error, mend: "correct the metric; a run of it would end in phase Error" };
}

function mendOf({ type, mend }: FieldError, outcome: string): string {
  if (mend !== undefined) return mend;
  switch (type) {
    case "Required value":
      return "add the field";
    case "Forbidden":
      return "leave the field out";
    case "Duplicate value":
      return "give each its own";
    case "Not found":
      return "correct the name, or add what it names";
    case "Invalid value":
    case "Unsupported value":
    case "Internal error":
      return `correct the value; ${outcome}`;
    default:
      return assertNever(type);
  }
}

function routerSettingsErrors(rollout: Rollout): readonly FieldError[] {
  const settings = rollout.spec.strategy?.canary?.trafficRouting?.plugins?.[WEIR_ROUTER];
  if (settings === undefined) return [];
  const read = readProxyRouting(settings);
  if (read.kind === "valid") return [];
  const path = ["spec", "strategy", "canary", "trafficRouting", "plugins", WEIR_ROUTER];
  return read.findings.map(({ path: inner, message, isKey }) => ({
    ...invalid([...path, ...inner], JSON.stringify(valueAt(settings, inner)) ?? "null", message),
    ...(isKey && { isKey }),
  }));
}

/** Of settings in which an argument's tag stands only the keys can be judged before it is replaced. */
function trafficMetricErrors({ provider }: Metric, index: number): readonly MetricError[] {
  const settings = provider.plugin?.[WEIR_TRAFFIC_METRIC];
  if (settings === undefined) return [];
  const read = readTrafficMetric(settings);
  if (read.kind === "valid") return [];
  const at = ["spec", "metrics", index, "provider", "plugin", WEIR_TRAFFIC_METRIC];
  const isTemplate = JSON.stringify(settings).includes("{{");
  const findings = isTemplate ? read.findings.filter(({ isKey }) => isKey) : read.findings;
  return findings.map(({ path, message, isKey }) => ({
    ...(isKey && { isKey }),
    path: [...at, ...path],
    message: `metrics[${index}]: ${[WEIR_TRAFFIC_METRIC, ...path].join(" ")}: ${message}`,
  }));
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path) at = isObject(at) || Array.isArray(at) ? Reflect.get(at, key) : undefined;
  return at;
}
