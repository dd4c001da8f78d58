// Why a Rollout cannot be carried out: what is wrong in itself (found by validation), or an object that it names and that is missing or
// does not fit. The first reason counts; nothing is touched until it is gone.
// Source: Argo pkg/apis/rollouts/validation/validation_references.go, rollout/controller.go getRolloutReferencedResources, v1.9.
import { metricsProblem, metricsWithoutSecrets, rulesProblem, runsIndefinitely } from "../analysis/assess.ts";
import {
  type AnalysisArgument,
  type AnalysisRunSpec,
  type FieldError,
  fieldErrorText,
  formatPath,
  MANAGED_BY_ANNOTATION,
  type MemberOf,
  type Metric,
  type Path,
  POD_HASH_LABEL,
  type RolloutAnalysis,
  type Service,
  type StepMember,
} from "../api/api.ts";
import { type Context, contextOf } from "./context.ts";
import { workloadProblem } from "./pods/workload.ts";
import type { Snapshot } from "./snapshot.ts";
import { isUnknownYet, resolveAnalysis } from "./steps/analysistemplates.ts";

/** What is wrong about one object that the Rollout names. */
export interface ReferenceProblem {
  /** At the field of the Rollout that names it. */
  readonly error: FieldError;
  /** The object's kind and name when it is not there at all: `service "web"`. */
  readonly missing?: string;
}

/** The first reason, worded as a Kubernetes field error; undefined for a Rollout that can be carried out. */
export function invalidReason(context: Context): string | undefined {
  const [first] = context.snapshot.validation.errors;
  const early = workloadProblem(context) ?? first;
  if (early !== undefined) return early;
  const [problem] = referenceProblems(context);
  return problem === undefined ? undefined : fieldErrorText(problem.error);
}

/** The same of a snapshot, for those who only look. */
export function findReferenceProblems(snapshot: Snapshot, nowMs: number): readonly ReferenceProblem[] {
  return referenceProblems(contextOf(snapshot, nowMs));
}

/** All that is wrong about the objects that the Rollout names, in Argo's order: Services, analyses, objects of routers. */
export function referenceProblems(context: Context): readonly ReferenceProblem[] {
  const routers = context.snapshot.traffic.routers ?? [];
  return [
    ...serviceProblems(context),
    ...analysisProblems(context),
    ...routers.flatMap(({ problems }) => problems),
  ];
}

/** A problem at `path`, which Argo spells in full here. */
function problem(path: Path, value: string, detail: string, missing?: string): ReferenceProblem {
  const field = formatPath(path);
  const error: FieldError = { type: "Invalid value", path, field, value: JSON.stringify(value), detail };
  return missing === undefined ? { error } : { error, missing };
}

/** One that may be mended on either side. */
function analysisProblem(path: Path, value: string, detail: string): ReferenceProblem {
  const { error } = problem(path, value, detail);
  return { error: { ...error, mend: "correct the analysis here, or its templates" } };
}

const BLUE_GREEN: Path = ["spec", "strategy", "blueGreen"];

function serviceProblems(context: Context): readonly ReferenceProblem[] {
  const at: Path = ["spec", "strategy", "canary"];
  const { stable, canary, active, preview } = context.snapshot.services;
  const { services } = context;
  const { activeService, previewService } = context.blueGreen;
  const { pingPong } = context.canary;
  const named: readonly (readonly [Path, string | undefined, Service | undefined])[] = [
    [[...BLUE_GREEN, "activeService"], activeService, active],
    [[...BLUE_GREEN, "previewService"], previewService, preview],
    // The stable side is the one or the other of the two.
    ...(pingPong === undefined
      ? ([
          [[...at, "stableService"], services.stable, stable],
          [[...at, "canaryService"], services.canary, canary],
        ] as const)
      : (["pingService", "pongService"] as const).map(
          (field) =>
            [
              [...at, "pingPong", field],
              pingPong[field],
              pingPong[field] === services.stable ? stable : canary,
            ] as const,
        )),
  ];
  return named.flatMap(([path, name, service]) => oneServiceProblem(context, path, name, service));
}

/** What is wrong about the Service that the field at `path` names; `service` is undefined when it is not there. */
export function oneServiceProblem(
  context: Context,
  path: Path,
  name: string | undefined,
  service: Service | undefined,
): readonly ReferenceProblem[] {
  if (name === undefined || name === "") return [];
  if (service === undefined) return [problem(path, name, `service "${name}" not found`, `service "${name}"`)];
  const labels = context.rollout.spec.template?.metadata?.labels ?? {};
  const problems = Object.entries(service.spec.selector ?? {})
    .filter(([key, value]) => key !== POD_HASH_LABEL && labels[key] !== value)
    .map(([key]) => problem(path, name, `Service "${name}" has unmatch label "${key}" in rollout`));
  const owner = service.metadata.annotations?.[MANAGED_BY_ANNOTATION];
  if (owner !== undefined && owner !== context.name)
    problems.push(problem(path, name, `Service "${name}" is managed by another Rollout`));
  return problems;
}

function analysisProblems(context: Context): readonly ReferenceProblem[] {
  const at: Path = ["spec", "strategy", "canary"];
  const background = context.canary.analysis;
  const { prePromotionAnalysis, postPromotionAnalysis } = context.blueGreen;
  const inline = (path: Path, analysis: RolloutAnalysis | undefined) =>
    analysis === undefined ? [] : oneAnalysisProblem(context, path, analysis, "inline");
  return [
    ...inline([...BLUE_GREEN, "prePromotionAnalysis"], prePromotionAnalysis),
    ...inline([...BLUE_GREEN, "postPromotionAnalysis"], postPromotionAnalysis),
    ...context.steps.flatMap((step, index) =>
      step.flatMap((member) => memberProblems(context, index, member)),
    ),
    ...(background === undefined
      ? []
      : oneAnalysisProblem(context, [...at, "analysis"], background, "background")),
  ];
}

function memberProblems(context: Context, index: number, member: StepMember): readonly ReferenceProblem[] {
  const path: Path = ["spec", "strategy", "canary", "steps", index, member.kind];
  if (member.kind === "analysis") return oneAnalysisProblem(context, path, member.analysis, "inline");
  return member.kind === "experiment" ? experimentProblems(context, path, member.experiment) : [];
}

/** What is wrong about the analyses of an experiment step. Argo finds out when the step is reached, and aborts. */
function experimentProblems(
  context: Context,
  path: Path,
  { analyses = [], dryRun = [] }: MemberOf<"experiment">["experiment"],
): readonly ReferenceProblem[] {
  return analyses.flatMap(({ templateName, clusterScope, args = [] }, index) => {
    const ref = { templateName, ...(clusterScope === undefined ? {} : { clusterScope }) };
    // They may measure for as long as the Experiment runs.
    return oneAnalysisProblem(
      context,
      [...path, "analyses", index],
      { templates: [ref], args, dryRun },
      "background",
    );
  });
}

/**
 * What is wrong about the templates of the analysis at `path`: the first thing. A `background` one may run until it is stopped.
 * weir holds Argo's rules for metrics against them too, which Argo does only when the run begins and has failed.
 */
export function oneAnalysisProblem(
  context: Context,
  path: Path,
  analysis: RolloutAnalysis,
  place: "background" | "inline",
): readonly ReferenceProblem[] {
  const names = (analysis.templates ?? []).map((ref) => ref.templateName ?? "");
  const at: Path = [...path, "templates"];
  const invalid = (detail: string): readonly ReferenceProblem[] => [
    analysisProblem(at, `templateNames: [${names.join(" ")}]`, detail),
  ];
  const hashes = { stable: context.status.stableRS ?? "", latest: context.podHash };
  // What the Rollout cannot tell yet is the run's to find; what depends on it cannot be judged.
  const isLate = (argument: AnalysisArgument): boolean => isUnknownYet(context.snapshot, argument);
  const given = analysis.args ?? [];
  const args = given.map((argument) => (isLate(argument) ? { name: argument.name, value: "" } : argument));
  const resolved = resolveAnalysis(context.snapshot, { ...analysis, args }, hashes);
  if (resolved.kind === "error") {
    if (resolved.missing === undefined) return invalid(resolved.message);
    const { kind, name } = resolved.missing;
    // Argo names the place within the template for one that another template names.
    const place: Path = names.includes(name) ? at : ["spec", "templates"];
    return [problem(place, name, resolved.message, `${kind} "${name}"`)];
  }
  if (given.some(isLate)) return [];
  // Limits, counts and times may be arguments.
  const filled = metricsWithoutSecrets(resolved);
  if (filled.kind === "error") return [unresolved(context, at, resolved.spec, filled.message)];
  const metrics = filled.value;
  const fault = metricsProblem(metrics) ?? rulesProblem(resolved.spec, metrics);
  if (fault !== undefined) return invalid(fault);
  if (place === "background") return [];
  return metrics.filter(runsIndefinitely).map((metric) => endless(context, at, metric));
}

/** An argument that no template declares: the run would end in phase Error as soon as it begins. */
function unresolved(context: Context, path: Path, spec: AnalysisRunSpec, words: string): ReferenceProblem {
  const isUnresolved = (metric: Metric): boolean =>
    metricsWithoutSecrets({ spec: { ...spec, metrics: [metric] } }).kind === "error";
  const template = templateNameOf(context, spec.metrics.find(isUnresolved)?.name);
  return analysisProblem(path, template, `AnalysisTemplate ${template}: ${words}`);
}

function endless(context: Context, path: Path, { name, count }: Metric): ReferenceProblem {
  const template = templateNameOf(context, name);
  const words = `AnalysisTemplate ${template} has metric ${name} which runs indefinitely. Invalid value for count: ${count ?? "<nil>"}`;
  return analysisProblem(path, template, words);
}

/** Where a metric comes from. */
function templateNameOf({ snapshot }: Context, metric: string | undefined): string {
  const { templates, clusterTemplates } = snapshot.analysis;
  const from = [...templates, ...clusterTemplates].find(({ spec }) =>
    (spec.metrics ?? []).some(({ name }) => name === metric),
  );
  return from?.metadata.name ?? "";
}
