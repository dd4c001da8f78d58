// Reasons and messages of Experiments' conditions and events, exactly as Argo Rollouts writes them. Where a message begins with "weir" in its
// comment, Argo has none. Source: Argo experiments/{experiment,replicaset,conditions}.go, utils/conditions/experiments.go, v1.9.
import type { AnalysisPhase } from "./analysisschema.ts";
import type { TemplateStatusCode } from "./experimentschema.ts";
import { analysisRunReason, REASONS } from "./reasons.ts";

/** Reasons of the conditions and events of an Experiment that Rollouts do not have. */
export const EXPERIMENT_REASONS = {
  completed: "ExperimentCompleted",
  /** All templates are available. */
  running: REASONS.newReplicaSetAvailable,
  progressing: REASONS.replicaSetUpdated,
  runTerminating: "AnalysisRunTerminating",
  /** Of the event of an analysis whose run changed its phase: `AnalysisRunFailed`. */
  run: analysisRunReason,
  /** Of the event of a template whose status changed: `TemplateRunning`. */
  template: (status: TemplateStatusCode): string => `Template${status}`,
} as const;

const withCause = (text: string, cause: string): string => (cause === "" ? text : `${text}: ${cause}`);

/** Messages of an Experiment's status, conditions and events. */
export const EXPERIMENT_MESSAGES = {
  progressing: (name: string): string => `Experiment ${JSON.stringify(name)} is progressing.`,
  running: (name: string): string => `Experiment ${JSON.stringify(name)} is running.`,
  completed: (name: string): string =>
    `Experiment ${JSON.stringify(name)} has successfully ran and completed.`,
  missingField: (field: string): string => `Rollout has missing field '${field}'`,
  selectsAll: (index: number): string =>
    `This experiment is selecting all pods at index ${index}. A non-empty selector is required.`,
  minReadyLongerThanDeadline: (index: number): string =>
    `MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index ${index}`,
  emptyTemplateName: (name: string, index: number): string =>
    `Experiment ${name} has empty template name at index ${index}`,
  repeatedTemplateName: (name: string, template: string): string =>
    `Experiment ${name} has repeated template name '${template}' in templates`,
  /** weir: Argo ignores the change. */
  changed: (path: string): string =>
    `${path}: Forbidden: it has begun with another one, and goes on with that; retry the Experiment to run it as it is now`,
  templateChanged: (
    template: string,
    before: string | undefined,
    after: string,
    why: string | undefined,
  ): string => withCause(`Template '${template}' transitioned from ${before ?? ""} -> ${after}`, why ?? ""),
  templateTimedOut: (template: string, seconds: number): string =>
    `Template '${template}' exceeded its progressDeadlineSeconds (${seconds})`,
  replicaSetRefused: (template: string, error: string): string =>
    `Failed to create ReplicaSet for template '${template}': ${error}`,
  serviceRefused: (service: string, template: string, error: string): string =>
    `Failed to create Service ${service} for template '${template}': ${error}`,
  serviceTaken: (service: string, template: string): string =>
    `service ${service} already exists and is not owned by experiment template ${template}`,
  scaled: (direction: string, replicaSet: string, from: number, to: number): string =>
    `Scaled ${direction} ReplicaSet ${replicaSet} from ${from} to ${to}`,
  templateMissing: (
    kind: "AnalysisTemplate" | "ClusterAnalysisTemplate",
    run: string,
    name: string,
  ): string =>
    `${kind} verification failed for analysis '${run}': ${kind.toLowerCase()}.argoproj.io "${name}" not found`,
  runFailed: (analysis: string, error: string): string =>
    `Failed to create AnalysisRun for analysis '${analysis}': ${error}`,
  runMissing: (run: string): string => `analysisrun.argoproj.io "${run}" not found`,
  runChanged: (
    analysis: string,
    before: AnalysisPhase | undefined,
    after: AnalysisPhase,
    why: string | undefined,
  ): string =>
    withCause(`AnalysisRun '${analysis}' transitioned from ${before ?? ""} -> ${after}`, why ?? ""),
  runTerminating: (analysis: string, run: string): string => `Terminating ${analysis} (${run})`,
  requiredCompleted: "Required AnalysisRuns completed",
  /** On the Rollout whose step it is. */
  created: (name: string): string => `Created Experiment '${name}'`,
} as const;
