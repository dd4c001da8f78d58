// What `get experiment` and `list experiments` show, as data. Pure. Source: argo-rollouts, pkg/kubectl-argo-rollouts/info, cmd/list, v1.9.
import {
  type AnalysisRun,
  CONDITION_TYPES,
  EXPERIMENT_TEMPLATE_ANNOTATION,
  type Experiment,
  type Pod,
  type ReplicaSet,
} from "../api/api.ts";
import { humanDuration, parseDuration } from "../lib/duration.ts";
import { ageOf, analysisRunNode, imageLines, replicaSetNode, type TreeNode, withIcon } from "./treenodes.ts";

/** The objects that a view is made of. */
export interface ExperimentParts {
  readonly experiment: Experiment;
  /** Those that the Experiment owns. */
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  readonly analysisRuns: readonly AnalysisRun[];
}

export interface ExperimentView {
  readonly name: string;
  readonly namespace: string;
  /** With its icon. */
  readonly status: string;
  readonly message: string;
  /** `image (Σ:baseline)`. */
  readonly images: readonly string[];
  readonly tree: TreeNode;
}

/** Makes the view as of `nowMs`. */
export function viewExperiment(parts: ExperimentParts, nowMs: number): ExperimentView {
  const { metadata, status } = parts.experiment;
  const invalid = status.conditions?.find(({ type }) => type === CONDITION_TYPES.invalidSpec);
  const messages = [status.message, invalid?.message].filter((text) => text !== undefined && text !== "");
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? "",
    status: withIcon(status.phase ?? "Pending"),
    message: messages.join("; "),
    images: imageLines(experimentImages(parts)),
    tree: experimentNode(parts, nowMs),
  };
}

/** The Experiment with its ReplicaSets, pods and runs. */
export function experimentNode(parts: ExperimentParts, nowMs: number): TreeNode {
  const { experiment, replicaSets, pods, analysisRuns } = parts;
  return {
    name: `Σ ${experiment.metadata.name}`,
    kind: "Experiment",
    status: withIcon(experiment.status.phase ?? "Pending"),
    age: ageOf(experiment, nowMs),
    info: [],
    children: [
      ...[...replicaSets].sort(byName).map((set) => replicaSetNode(set, pods, [], nowMs)),
      ...analysisRuns.map((run) => analysisRunNode(run, nowMs)),
    ],
  };
}

/** Its ReplicaSets with the tag of their template. */
export function experimentImages({
  replicaSets,
}: ExperimentParts): readonly { readonly set: ReplicaSet; readonly tags: readonly string[] }[] {
  return replicaSets.map((set) => {
    const template = set.metadata.annotations?.[EXPERIMENT_TEMPLATE_ANNOTATION];
    return { set, tags: template === undefined ? [] : [`Σ:${template}`] };
  });
}

/** The cells of one line of `list experiments`: name, status, duration, what is left of it, age. */
export function experimentCells(experiment: Experiment, nowMs: number): readonly string[] {
  const { metadata, spec, status } = experiment;
  const durationMs = parseDuration(spec.duration ?? "");
  const startMs = Date.parse(status.availableAt ?? "");
  const isOver = !["Pending", "Running", undefined].includes(status.phase);
  const leftMs = durationMs === undefined || isOver ? 0 : startMs + durationMs - nowMs;
  return [
    metadata.name,
    status.phase ?? "",
    durationMs === undefined ? "-" : humanDuration(durationMs),
    leftMs > 0 ? humanDuration(leftMs) : "-",
    ageOf(experiment, nowMs),
  ];
}

function byName(a: ReplicaSet, b: ReplicaSet): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
