// What `get rollout` shows, as data: the header and the tree of revisions with their ReplicaSets, pods and analysis runs. Pure.
// Words, icons and order are those of Argo's plugin. Source: argo-rollouts, pkg/kubectl-argo-rollouts/info, v1.9.
import {
  type AnalysisRun,
  maxTrafficWeightOf,
  POD_HASH_LABEL,
  type Pod,
  REVISION_ANNOTATION,
  type ReplicaSet,
  type Rollout,
  replicasOf,
  WORKLOAD_GENERATION_ANNOTATION,
} from "../api/api.ts";
import { type ExperimentParts, experimentImages, experimentNode } from "./experimentview.ts";
import { ageOf, analysisRunNode, imageLines, replicaSetNode, type TreeNode, withIcon } from "./treenodes.ts";

/** The objects that a view is made of. */
export interface RolloutParts {
  readonly rollout: Rollout;
  /** Those that the Rollout owns. */
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  readonly analysisRuns: readonly AnalysisRun[];
  readonly experiments?: readonly ExperimentParts[];
}

export interface RolloutView {
  readonly name: string;
  readonly namespace: string;
  readonly status: string;
  readonly message: string;
  readonly strategy: string;
  /** Absent without steps. */
  readonly step?: string;
  readonly setWeight?: number;
  readonly actualWeight?: number;
  /** `image (stable)`, by name. */
  readonly images: readonly string[];
  readonly replicas: {
    readonly [Count in "desired" | "current" | "updated" | "ready" | "available"]: number;
  };
  readonly tree: TreeNode;
}

/** Makes the view as of `nowMs`. */
export function viewRollout(parts: RolloutParts, nowMs: number): RolloutView {
  const { rollout, replicaSets } = parts;
  const { metadata, spec, status } = rollout;
  const canary = spec.strategy?.canary;
  const steps = canary?.steps ?? [];
  const { phase, message } = phaseSeen(rollout);
  const index = status.currentStepIndex ?? 0;
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? "",
    status: withIcon(phase),
    message,
    strategy: canary === undefined ? "BlueGreen" : "Canary",
    ...(canary !== undefined &&
      steps.length > 0 && { step: `${Math.min(index, steps.length)}/${steps.length}` }),
    ...(canary !== undefined && {
      setWeight: setWeight(rollout),
      actualWeight: actualWeight(rollout, replicaSets),
    }),
    images: imagesOf(parts),
    replicas: {
      desired: replicasOf(rollout),
      current: status.replicas ?? 0,
      updated: status.updatedReplicas ?? 0,
      ready: status.readyReplicas ?? 0,
      available: status.availableReplicas ?? 0,
    },
    tree: treeOf(parts, phase, nowMs),
  };
}

/** The phase as a client has to see it: a status that has not caught up with the spec is Progressing. Source: Argo, GetRolloutPhase. */
export function phaseSeen({ metadata, spec, status }: Rollout): {
  readonly phase: string;
  readonly message: string;
} {
  // What is no number, or one from before the Rollout was restored, says nothing.
  if (
    status.observedGeneration === undefined ||
    Number(status.observedGeneration) < (metadata.generation ?? 0)
  ) {
    return { phase: "Progressing", message: "waiting for rollout spec update to be observed" };
  }
  if (status.controllerPause === true && (status.pauseConditions ?? []).length === 0) {
    return { phase: "Progressing", message: "waiting for rollout to unpause" };
  }
  const { [WORKLOAD_GENERATION_ANNOTATION]: generation } = metadata.annotations ?? {};
  const known = spec.workloadRef === undefined ? undefined : status.workloadObservedGeneration;
  if (generation !== undefined && known !== undefined && known !== generation) {
    const message = "waiting for rollout spec update to be observed for the reference workload";
    return { phase: "Progressing", message };
  }
  return { phase: status.phase ?? "Progressing", message: status.message ?? "" };
}

/** The weight of the last setWeight step that was reached. */
function setWeight(rollout: Rollout): number {
  const { spec, status } = rollout;
  const canary = spec.strategy?.canary;
  const full = maxTrafficWeightOf(rollout);
  const steps = canary?.steps ?? [];
  if (status.currentPodHash === status.stableRS) return full;
  const index = status.currentStepIndex ?? steps.length;
  if (steps.length === 0 || index >= steps.length) return full;
  for (let at = index; at >= 0; at -= 1) {
    const weight = steps[at]?.setWeight;
    if (weight !== undefined && status.abort !== true) return weight;
  }
  return 0;
}

function actualWeight(rollout: Rollout, replicaSets: readonly ReplicaSet[]): number {
  const { spec, status } = rollout;
  const canary = spec.strategy?.canary;
  const full = maxTrafficWeightOf(rollout);
  if (status.currentPodHash === status.stableRS) return full;
  if (canary?.trafficRouting !== undefined) return status.canary?.weights?.canary.weight ?? 0;
  const available = status.availableReplicas ?? 0;
  const own = replicaSets.find((set) => hashOf(set) === status.currentPodHash)?.status.availableReplicas ?? 0;
  return available === 0 ? 0 : Math.floor((own * full) / available);
}

function hashOf(object: ReplicaSet | Pod | AnalysisRun): string | undefined {
  return object.metadata.labels?.[POD_HASH_LABEL];
}

function revisionOf(object: { readonly metadata: Rollout["metadata"] }): number {
  return Number(object.metadata.annotations?.[REVISION_ANNOTATION] ?? 0);
}

/** What its version is to the Rollout; with ping-pong and blue-green it may be two things. Source: Argo: pkg/kubectl-argo-rollouts/info, v1.9. */
function rolesOf(set: ReplicaSet, { spec, status }: Rollout): readonly string[] {
  const hash = hashOf(set);
  const stable = hash === status.stableRS ? ["stable"] : [];
  if (spec.strategy?.canary !== undefined) {
    const roles = stable.length === 0 && hash === status.currentPodHash ? ["canary"] : stable;
    const isPaired = roles.length > 0 && spec.strategy.canary.pingPong !== undefined;
    const isPing = (status.canary?.stablePingPong === "ping") === stable.length > 0;
    return isPaired ? [...roles, isPing ? "ping" : "pong"] : roles;
  }
  const { activeSelector, previewSelector } = status.blueGreen ?? {};
  if (hash === activeSelector) return [...stable, "active"];
  return hash === previewSelector ? [...stable, "preview"] : stable;
}

function imagesOf({ rollout, replicaSets, experiments = [] }: RolloutParts): readonly string[] {
  return imageLines([
    ...replicaSets.map((set) => ({ set, tags: rolesOf(set, rollout) })),
    ...experiments.flatMap(experimentImages),
  ]);
}

function treeOf(parts: RolloutParts, phase: string, nowMs: number): TreeNode {
  const { rollout, replicaSets, pods, analysisRuns, experiments = [] } = parts;
  const all = [...replicaSets, ...analysisRuns, ...experiments.map(({ experiment }) => experiment)];
  const revisions = [...new Set(all.map(revisionOf))].sort((a, b) => b - a);
  return {
    name: `⟳ ${rollout.metadata.name}`,
    kind: "Rollout",
    status: withIcon(phase),
    age: ageOf(rollout, nowMs),
    info: [],
    children: revisions.map((revision) => ({
      name: `# revision:${revision}`,
      kind: "",
      status: "",
      age: "",
      info: [],
      children: [
        ...replicaSets
          .filter((set) => revisionOf(set) === revision)
          .map((set) => replicaSetNode(set, pods, rolesOf(set, rollout), nowMs)),
        ...experiments
          .filter(({ experiment }) => revisionOf(experiment) === revision)
          .map((one) => experimentNode(one, nowMs)),
        ...analysisRuns
          .filter((run) => revisionOf(run) === revision)
          .map((run) => analysisRunNode(run, nowMs)),
      ],
    })),
  };
}
