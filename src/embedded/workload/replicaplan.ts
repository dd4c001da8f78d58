// What a ReplicaSet needs, as data: which pods to create, delete, adopt and release, and its status. Pure; the shell is replicaset.ts.
// Source of the rules: Kubernetes pkg/controller/replicaset and controller_utils.go (ActivePodsWithRanks).
import { controllerOf, type KubeObject, type ObjectMeta } from "../../api/api.ts";
import { formatTime } from "../../lib/time.ts";
import { conditionOf, isPodFinished, isPodReady, type Pod, readPod } from "../agent/podspec.ts";
import { type LabelSelector, selectorMatches } from "./selector.ts";

export interface ReplicaSet {
  readonly metadata: ObjectMeta;
  readonly replicas: number;
  readonly minReadyMs: number;
  readonly selector: LabelSelector | undefined;
  readonly template: { readonly metadata?: Partial<ObjectMeta>; readonly spec?: unknown };
  readonly status: Readonly<Record<string, unknown>>;
}

export interface Claim {
  /** Pods that the set controls and that still count: neither finished nor being deleted. */
  readonly active: readonly Pod[];
  readonly adopt: readonly Pod[];
  readonly release: readonly Pod[];
}

/** Reads a ReplicaSet object; absent fields take the API's defaults. */
export function readReplicaSet(object: KubeObject): ReplicaSet {
  // The casts hold because the API server validates ReplicaSets before it stores them.
  const spec = (object.spec ?? {}) as {
    readonly replicas?: number;
    readonly minReadySeconds?: number;
    readonly selector?: LabelSelector;
    readonly template?: ReplicaSet["template"];
  };
  return {
    metadata: object.metadata,
    replicas: spec.replicas ?? 1,
    minReadyMs: (spec.minReadySeconds ?? 0) * 1000,
    selector: spec.selector,
    template: spec.template ?? {},
    status: (object.status ?? {}) as Readonly<Record<string, unknown>>,
  };
}

/** Sorts the pods of the namespace: mine, to be adopted (no controller, but fitting), to be released (mine, but no longer fitting). */
export function claimPods(set: ReplicaSet, pods: readonly KubeObject[]): Claim {
  const isLeaving = set.metadata.deletionTimestamp !== undefined;
  const active: Pod[] = [];
  const adopt: Pod[] = [];
  const release: Pod[] = [];
  for (const object of pods) {
    const pod = readPod(object);
    if (isPodFinished(pod) || pod.metadata.deletionTimestamp !== undefined) continue;
    const owner = controllerOf(pod);
    const fits = selectorMatches(set.selector, pod.metadata.labels);
    if (owner === undefined) {
      if (fits && !isLeaving) adopt.push(pod);
    } else if (owner.uid === set.metadata.uid) {
      if (fits) active.push(pod);
      else if (!isLeaving) release.push(pod);
    }
  }
  return { active, adopt, release };
}

/** The pods to delete first, `count` of them: unassigned, pending, not ready, cheap, lately ready, often restarted, young. */
export function podsToDelete(pods: readonly Pod[], count: number): readonly Pod[] {
  return [...pods].sort(compareForDeletion).slice(0, Math.max(0, count));
}

const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
const PHASE_RANK: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

function compareForDeletion(a: Pod, b: Pod): number {
  const ranks = (pod: Pod): readonly number[] => [
    pod.spec.nodeName === undefined ? 0 : 1,
    PHASE_RANK[pod.status.phase ?? "Pending"] ?? 0,
    isPodReady(pod) ? 1 : 0,
    Number(pod.metadata.annotations?.[DELETION_COST] ?? 0),
    isPodReady(pod) ? -readySinceMs(pod) : 0,
    -Math.max(0, ...(pod.status.containerStatuses ?? []).map(({ restartCount }) => restartCount)),
    -Date.parse(pod.metadata.creationTimestamp ?? "1970-01-01T00:00:00Z"),
  ];
  const left = ranks(a);
  const right = ranks(b);
  for (let index = 0; index < left.length; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

function readySinceMs(pod: Pod): number {
  return Date.parse(conditionOf(pod, "Ready")?.lastTransitionTime ?? "1970-01-01T00:00:00Z");
}

/** A pod of the set's template, to be created; the server completes its name. */
export function podFromTemplate(set: ReplicaSet): KubeObject {
  const { labels, annotations, finalizers } = set.template.metadata ?? {};
  const { name, namespace, uid = "" } = set.metadata;
  const metadata: ObjectMeta = {
    // Empty as absent: the server completes the name from generateName.
    name: "",
    generateName: `${name}-`,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(finalizers === undefined ? {} : { finalizers }),
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "ReplicaSet", name, uid, controller: true, blockOwnerDeletion: true },
    ],
  };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: set.template.spec };
}

export interface ReplicaSetStatus {
  readonly replicas: number;
  readonly fullyLabeledReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  readonly observedGeneration: number;
  readonly conditions: readonly StatusCondition[];
}

interface StatusCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

/** A failed creation or deletion. */
export interface ReplicaFailure {
  readonly reason: "FailedCreate" | "FailedDelete";
  readonly message: string;
}

/** The status to write. `failure`: what went wrong in this pass, if anything. */
export function replicaSetStatus(
  set: ReplicaSet,
  active: readonly Pod[],
  failure: ReplicaFailure | undefined,
  nowMs: number,
): ReplicaSetStatus {
  const labels = Object.entries(set.template.metadata?.labels ?? {});
  const ready = active.filter(isPodReady);
  // Written by this function alone, hence the cast; other types of conditions are kept.
  const earlier = (set.status.conditions ?? []) as readonly StatusCondition[];
  const others = earlier.filter(({ type }) => type !== "ReplicaFailure");
  const before = earlier.find(({ type }) => type === "ReplicaFailure");
  const now = formatTime(nowMs);
  // The first words stay until the failure is over: each try names another pod, and a changed status would ask for the next try at once.
  const failed: readonly StatusCondition[] =
    failure === undefined
      ? []
      : [before ?? { type: "ReplicaFailure", status: "True", ...failure, lastTransitionTime: now }];
  return {
    replicas: active.length,
    fullyLabeledReplicas: active.filter(({ metadata }) =>
      labels.every(([key, value]) => metadata.labels?.[key] === value),
    ).length,
    readyReplicas: ready.length,
    availableReplicas: ready.filter((pod) => readySinceMs(pod) + set.minReadyMs <= nowMs).length,
    observedGeneration: set.metadata.generation ?? 0,
    conditions: [...others, ...failed],
  };
}

/** Milliseconds until the next ready pod becomes available; undefined when none waits. */
export function nextAvailableInMs(
  set: ReplicaSet,
  active: readonly Pod[],
  nowMs: number,
): number | undefined {
  const waits = active
    .filter(isPodReady)
    .map((pod) => readySinceMs(pod) + set.minReadyMs - nowMs)
    .filter((restMs) => restMs > 0);
  return waits.length === 0 ? undefined : Math.min(...waits);
}
