// The snapshot of an Experiment sorted out: which ReplicaSet and Service belong to which template, and whether it is to end. Facts that
// follow from the snapshot alone. Source: Argo: utils/experiment, v1.9.

import { isCompleted } from "../../analysis/assess.ts";
import {
  apiVersionOf,
  EXPERIMENT_NAME_ANNOTATION,
  EXPERIMENT_TEMPLATE_ANNOTATION,
  type Experiment,
  type ExperimentAnalysisRunStatus,
  type ExperimentStatus,
  type OwnerReference,
  RESOURCES,
  type ReplicaSet,
  type Service,
} from "../../api/api.ts";
import { parseDuration } from "../../lib/duration.ts";
import { isObject } from "../../lib/json.ts";
import { parseTime } from "../../lib/time.ts";
import { isOwnedBy } from "../context.ts";
import { byAge } from "../pods/replicaset.ts";
import type { ExperimentSnapshot } from "../snapshot.ts";

export interface ExperimentContext {
  readonly snapshot: ExperimentSnapshot;
  readonly nowMs: number;
  readonly experiment: Experiment;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** The status that the pass starts from. */
  readonly status: ExperimentStatus;
  /** Nothing is begun any more, pods and runs go: it was told to, or has its verdict. */
  readonly isEnding: boolean;
  /** Since when all templates were available; undefined before. */
  readonly availableMs: number | undefined;
  /** When its duration is over; undefined without a duration, and before it is available. */
  readonly endMs: number | undefined;
  /** Living ReplicaSets that it controls, by template. */
  readonly replicaSets: ReadonlyMap<string, ReplicaSet>;
  /** Services that it controls, by template. */
  readonly services: ReadonlyMap<string, Service>;
}

/** Sorts the snapshot out. */
export function experimentContextOf(snapshot: ExperimentSnapshot, nowMs: number): ExperimentContext {
  const { experiment, workload } = snapshot;
  const { namespace = "", name, uid = "" } = experiment.metadata;
  const availableMs = parseTime(experiment.status.availableAt);
  const durationMs = parseDuration(experiment.spec.duration ?? "");
  const isSorted = durationMs !== undefined && availableMs !== undefined;
  const replicaSets = [...workload.replicaSets].sort(byAge);
  return {
    snapshot,
    nowMs,
    experiment,
    namespace,
    name,
    uid,
    status: experiment.status,
    isEnding: isEnding(experiment),
    availableMs,
    endMs: isSorted ? availableMs + durationMs : undefined,
    replicaSets: byTemplate(replicaSets, experiment),
    services: byTemplate(snapshot.services, experiment),
  };
}

/** Whether all required analyses have succeeded, of which there is at least one. */
export function areRequiredRunsSuccessful(
  spec: Experiment["spec"],
  runs: readonly ExperimentAnalysisRunStatus[],
): boolean {
  const required = (spec.analyses ?? []).filter((analysis) => analysis.requiredForCompletion === true);
  const isSuccessful = ({ name }: { readonly name: string }): boolean =>
    runs.find((run) => run.name === name)?.phase === "Successful";
  return required.length > 0 && required.every(isSuccessful);
}

/** The annotations by which ReplicaSets and Services are told apart. */
export function templateAnnotations(experiment: string, template: string): Record<string, string> {
  return { [EXPERIMENT_NAME_ANNOTATION]: experiment, [EXPERIMENT_TEMPLATE_ANNOTATION]: template };
}

/** The pod template as it is written: no field of it is lost. */
export function rawPodTemplate({ snapshot }: ExperimentContext, name: string): unknown {
  const spec = isObject(snapshot.raw.spec) ? snapshot.raw.spec : {};
  const templates: readonly unknown[] = Array.isArray(spec.templates) ? spec.templates : [];
  const found = templates.find((template) => isObject(template) && template.name === name);
  return isObject(found) ? found.template : undefined;
}

/** The Experiment as the controller of what it makes. */
export function experimentReference({ name, uid }: ExperimentContext): OwnerReference {
  const { kind } = RESOURCES.experiment;
  const apiVersion = apiVersionOf(RESOURCES.experiment);
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

function isEnding({ spec, status }: Experiment): boolean {
  const runs = status.analysisRuns ?? [];
  return (
    spec.terminate === true ||
    isCompleted(status.phase) ||
    (status.templateStatuses ?? []).some((template) => isBad(template.status)) ||
    runs.some(({ phase }) => isBad(phase) || phase === "Inconclusive") ||
    areRequiredRunsSuccessful(spec, runs)
  );
}

function isBad(status: string | undefined): boolean {
  return status === "Failed" || status === "Error";
}

function byTemplate<T extends ReplicaSet | Service>(
  objects: readonly T[],
  { metadata }: Experiment,
): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  for (const object of objects) {
    const { annotations = {}, deletionTimestamp } = object.metadata;
    const template = annotations[EXPERIMENT_TEMPLATE_ANNOTATION];
    const isOurs = isOwnedBy(object, metadata.uid ?? "") && deletionTimestamp === undefined;
    if (isOurs && template !== undefined && !found.has(template)) found.set(template, object);
  }
  return found;
}
