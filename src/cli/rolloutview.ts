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
  SCALE_DOWN_DEADLINE_ANNOTATION,
} from "../api/api.ts";
import { humanDuration } from "../lib/duration.ts";

/** The objects that a view is made of. */
export interface RolloutParts {
  readonly rollout: Rollout;
  /** Those that the Rollout owns. */
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  readonly analysisRuns: readonly AnalysisRun[];
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
  /** `image (stable)`, in the order of the revisions. */
  readonly images: readonly string[];
  readonly replicas: {
    readonly [Count in "desired" | "current" | "updated" | "ready" | "available"]: number;
  };
  readonly tree: TreeNode;
}

export interface TreeNode {
  /** With its icon. */
  readonly name: string;
  readonly kind: string;
  /** With its icon; empty for revisions. */
  readonly status: string;
  readonly age: string;
  readonly info: readonly string[];
  readonly children: readonly TreeNode[];
}

const ICONS: Readonly<Record<string, string>> = {
  Healthy: "✔",
  Successful: "✔",
  Running: "◌",
  Progressing: "◌",
  Pending: "◷",
  Paused: "॥",
  Degraded: "✖",
  Failed: "✖",
  Error: "⚠",
  Inconclusive: "?",
  ScaledDown: "•",
};
const POD_WARNINGS = /^(CrashLoopBackOff|ImagePullBackOff|ErrImagePull|Err.*|.*Error|OOMKilled|Evicted)$/;

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
    images: imagesOf(rollout, replicaSets),
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
export function phaseSeen({ metadata, status }: Rollout): {
  readonly phase: string;
  readonly message: string;
} {
  if (status.observedGeneration !== String(metadata.generation ?? 0)) {
    return { phase: "Progressing", message: "waiting for rollout spec update to be observed" };
  }
  if (status.controllerPause === true && (status.pauseConditions ?? []).length === 0) {
    return { phase: "Progressing", message: "waiting for rollout to unpause" };
  }
  return { phase: status.phase ?? "Progressing", message: status.message ?? "" };
}

function withIcon(word: string): string {
  return `${ICONS[word] ?? "?"} ${word}`;
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

/** What its version is to the Rollout; blue-green ones may be two things. Source: Argo: pkg/kubectl-argo-rollouts/info, v1.9. */
function rolesOf(set: ReplicaSet, { spec, status }: Rollout): readonly string[] {
  const hash = hashOf(set);
  const stable = hash === status.stableRS ? ["stable"] : [];
  if (spec.strategy?.canary !== undefined)
    return stable.length === 0 && hash === status.currentPodHash ? ["canary"] : stable;
  const { activeSelector, previewSelector } = status.blueGreen ?? {};
  if (hash === activeSelector) return [...stable, "active"];
  return hash === previewSelector ? [...stable, "preview"] : stable;
}

function imagesOf(rollout: Rollout, replicaSets: readonly ReplicaSet[]): string[] {
  const images = new Map<string, string[]>();
  const newestFirst = [...replicaSets].sort((a, b) => revisionOf(b) - revisionOf(a));
  for (const set of newestFirst.filter((candidate) => (candidate.spec.replicas ?? 0) > 0)) {
    for (const { image = "" } of set.spec.template?.spec?.containers ?? []) {
      const known = images.get(image) ?? [];
      images.set(image, [...new Set([...known, ...rolesOf(set, rollout)])]);
    }
  }
  return [...images].map(([image, roles]) => (roles.length > 0 ? `${image} (${roles.join(", ")})` : image));
}

function treeOf(parts: RolloutParts, phase: string, nowMs: number): TreeNode {
  const { rollout, replicaSets, analysisRuns } = parts;
  const revisions = [...new Set([...replicaSets, ...analysisRuns].map(revisionOf))].sort((a, b) => b - a);
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
          .map((set) => replicaSetNode(set, parts, nowMs)),
        ...analysisRuns
          .filter((run) => revisionOf(run) === revision)
          .map((run) => analysisRunNode(run, nowMs)),
      ],
    })),
  };
}

function replicaSetNode(set: ReplicaSet, { rollout, pods }: RolloutParts, nowMs: number): TreeNode {
  const roles = rolesOf(set, rollout);
  const deadline = set.metadata.annotations?.[SCALE_DOWN_DEADLINE_ANNOTATION];
  const own = pods.filter((pod) =>
    pod.metadata.ownerReferences?.some((owner) => owner.uid === set.metadata.uid),
  );
  return {
    name: `⧉ ${set.metadata.name}`,
    kind: "ReplicaSet",
    status: withIcon(replicaSetPhase(set)),
    age: ageOf(set, nowMs),
    info: [
      ...roles,
      ...(deadline === undefined || (set.spec.replicas ?? 0) === 0 ? [] : [delayOf(deadline, nowMs)]),
    ],
    children: own
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .map((pod) => podNode(pod, nowMs)),
  };
}

function delayOf(deadline: string, nowMs: number): string {
  const leftMs = Date.parse(deadline) - nowMs;
  return leftMs > 0 ? `delay:${humanDuration(leftMs)}` : "delay:passed";
}

function replicaSetPhase({ metadata, spec, status }: ReplicaSet): string {
  if (status.conditions?.some(({ type, status: value }) => type === "ReplicaFailure" && value === "True")) {
    return "Degraded";
  }
  const wanted = spec.replicas ?? 0;
  const isBehind = (status.observedGeneration ?? 0) < (metadata.generation ?? 0);
  if (isBehind || (status.availableReplicas ?? 0) < wanted) return "Progressing";
  return wanted === 0 ? "ScaledDown" : "Healthy";
}

function podNode(pod: Pod, nowMs: number): TreeNode {
  const statuses = pod.status?.containerStatuses ?? [];
  const restarts = statuses.reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  const ready = statuses.filter((status) => status.ready === true).length;
  const word = podWord(pod);
  const icon = word === "Running" || word === "Completed" ? "✔" : POD_WARNINGS.test(word) ? "⚠" : "◌";
  return {
    name: `□ ${pod.metadata.name}`,
    kind: "Pod",
    status: `${icon} ${word}`,
    age: ageOf(pod, nowMs),
    info: [
      `ready:${ready}/${pod.spec?.containers?.length ?? statuses.length}`,
      ...(restarts > 0 ? [`restarts:${restarts}`] : []),
    ],
    children: [],
  };
}

/** One word for the state of a pod, as kubectl's STATUS column has it. */
function podWord(pod: Pod): string {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating";
  for (const { state } of pod.status?.containerStatuses ?? []) {
    if (state?.waiting?.reason !== undefined) return state.waiting.reason;
    if (state?.terminated?.reason !== undefined) return state.terminated.reason;
  }
  return pod.status?.phase ?? "Pending";
}

function analysisRunNode(run: AnalysisRun, nowMs: number): TreeNode {
  const { status } = run;
  const totals = { successful: 0, failed: 0, inconclusive: 0, error: 0 };
  for (const result of status.metricResults ?? []) {
    totals.successful += result.successful ?? 0;
    totals.failed += result.failed ?? 0;
    totals.inconclusive += result.inconclusive ?? 0;
    totals.error += result.error ?? 0;
  }
  const counts: [string, number][] = [
    ["✔", totals.successful],
    ["✖", totals.failed],
    ["?", totals.inconclusive],
    ["⚠", totals.error],
  ];
  const info = counts.filter(([, count]) => count > 0).map(([icon, count]) => `${icon} ${count}`);
  const phase = status.phase ?? "Pending";
  return {
    name: `α ${run.metadata.name}`,
    kind: "AnalysisRun",
    status: withIcon(phase),
    age: ageOf(run, nowMs),
    info,
    children: [],
  };
}

function ageOf(object: { readonly metadata: Rollout["metadata"] }, nowMs: number): string {
  const created = object.metadata.creationTimestamp;
  return created === undefined ? "" : humanDuration(nowMs - Date.parse(created));
}
