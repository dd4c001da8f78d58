// Nodes of the trees that `get` shows: ReplicaSets with their pods, analysis runs. Pure. Words and icons are those of Argo's plugin.
import {
  type AnalysisRun,
  type Pod,
  type ReplicaSet,
  type Rollout,
  SCALE_DOWN_DEADLINE_ANNOTATION,
} from "../api/api.ts";
import { humanDuration } from "../lib/duration.ts";

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

/** A phase behind its icon. */
export function withIcon(word: string): string {
  return `${ICONS[word] ?? "?"} ${word}`;
}

/** A ReplicaSet with its pods; `roles` are shown beside it. */
export function replicaSetNode(
  set: ReplicaSet,
  pods: readonly Pod[],
  roles: readonly string[],
  nowMs: number,
): TreeNode {
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

/** An AnalysisRun with its counts. */
export function analysisRunNode(run: AnalysisRun, nowMs: number): TreeNode {
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

/** How long ago the object was created. */
export function ageOf(object: { readonly metadata: Rollout["metadata"] }, nowMs: number): string {
  const created = object.metadata.creationTimestamp;
  return created === undefined ? "" : humanDuration(nowMs - Date.parse(created));
}

/**
 * The images that run, each with the tags of the ReplicaSets that run it: `image (stable, Σ:baseline)`. By name, as are the tags of more than
 * one ReplicaSet.
 */
export function imageLines(
  sets: readonly { readonly set: ReplicaSet; readonly tags: readonly string[] }[],
): readonly string[] {
  const images = new Map<string, readonly string[]>();
  for (const { set, tags } of sets.filter((one) => (one.set.spec.replicas ?? 0) > 0)) {
    for (const { image = "" } of set.spec.template?.spec?.containers ?? []) {
      const known = images.get(image);
      images.set(image, known === undefined ? tags : [...new Set([...known, ...tags])].sort());
    }
  }
  return [...images]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([image, tags]) => (tags.length > 0 ? `${image} (${tags.join(", ")})` : image));
}
