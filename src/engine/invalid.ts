// Why a Rollout cannot be carried out: what is wrong in itself (found by validation), or an object that it names and that is missing or
// does not fit. The first reason counts; nothing is touched until it is gone.
import { metricsProblem, metricsWithoutSecrets, runsIndefinitely } from "../analysis/assess.ts";
import { MANAGED_BY_ANNOTATION, POD_HASH_LABEL, type RolloutAnalysis, type Service } from "../api/api.ts";
import { resolveAnalysis } from "./analysistemplates.ts";
import type { Context } from "./context.ts";

/** The first reason, worded as a Kubernetes field error; undefined for a Rollout that can be carried out. */
export function invalidReason(context: Context): string | undefined {
  const [first] = context.snapshot.validation.errors;
  return first ?? serviceProblem(context) ?? analysisProblem(context);
}

function serviceProblem(context: Context): string | undefined {
  const { stable, canary } = context.snapshot.services;
  const { stableService, canaryService } = context.canary;
  return (
    oneServiceProblem(context, "stableService", stableService, stable) ??
    oneServiceProblem(context, "canaryService", canaryService, canary)
  );
}

function oneServiceProblem(
  context: Context,
  field: string,
  name: string | undefined,
  service: Service | undefined,
): string | undefined {
  if (name === undefined || name === "") return undefined;
  const invalid = (detail: string): string =>
    `spec.strategy.canary.${field}: Invalid value: ${JSON.stringify(name)}: ${detail}`;
  if (service === undefined) return invalid(`service "${name}" not found`);
  const owner = service.metadata.annotations?.[MANAGED_BY_ANNOTATION];
  if (owner !== undefined && owner !== context.name)
    return invalid(`Service "${name}" is managed by another Rollout: ${owner}`);
  const labels = context.rollout.spec.template?.metadata?.labels ?? {};
  const foreign = Object.entries(service.spec.selector ?? {}).find(
    ([key, value]) => key !== POD_HASH_LABEL && labels[key] !== value,
  );
  if (foreign === undefined) return undefined;
  return invalid(`Service "${name}" has unmatch label "${foreign[0]}" in rollout`);
}

function analysisProblem(context: Context): string | undefined {
  const background = context.canary.analysis;
  const problem =
    background === undefined
      ? undefined
      : oneAnalysisProblem(context, "spec.strategy.canary.analysis", background, true);
  if (problem !== undefined) return problem;
  for (const [index, step] of context.steps.entries()) {
    if (step.kind !== "analysis") continue;
    const path = `spec.strategy.canary.steps[${index}].analysis`;
    const found = oneAnalysisProblem(context, path, step.analysis, false);
    if (found !== undefined) return found;
  }
  return undefined;
}

function oneAnalysisProblem(
  context: Context,
  path: string,
  analysis: RolloutAnalysis,
  isBackground: boolean,
): string | undefined {
  const names = (analysis.templates ?? []).map((ref) => ref.templateName ?? "").join(", ");
  const invalid = (detail: string): string =>
    `${path}.templates: Invalid value: ${JSON.stringify(names)}: ${detail}`;
  const hashes = { stable: context.status.stableRS ?? "", latest: context.podHash };
  const resolved = resolveAnalysis(context.snapshot, analysis, hashes);
  if (resolved.kind === "error") return invalid(resolved.message);
  // Limits, counts and times may be arguments. A tag that stays is the run's to complain about.
  const filled = metricsWithoutSecrets(resolved);
  const metrics = filled.kind === "ok" ? filled.value : resolved.spec.metrics;
  const problem = filled.kind === "ok" ? metricsProblem(metrics) : undefined;
  if (problem !== undefined) return invalid(problem);
  const endless = isBackground ? undefined : metrics.find(runsIndefinitely);
  return endless === undefined
    ? undefined
    : invalid(`metric '${endless.name}' runs indefinitely: set a count for it to end the step`);
}
