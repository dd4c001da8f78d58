// The pods of the model world: as many as each ReplicaSet asks for, the first `available` of them ready. They keep names, age and restarts
// while they live, so that restart, evictions and crash loops can be told from them.
import type { KubeObject } from "../api/api.ts";
import { asObject, asStrings, isObject } from "../lib/json.ts";

/** What a ReplicaSet's pods should be now: those that live, with the missing ones added and the surplus gone. */
export function podsFor(
  replicaSet: KubeObject,
  living: readonly KubeObject[],
  wanted: { readonly replicas: number; readonly available: number },
): readonly KubeObject[] {
  const pods = [...living].slice(0, wanted.replicas);
  const names = new Set(living.map((pod) => pod.metadata.name));
  for (let at = 0; pods.length < wanted.replicas; at += 1) {
    const name = `${replicaSet.metadata.name}-${at}`;
    if (!names.has(name)) pods.push(newPod(replicaSet, name));
  }
  return pods.map((pod, index) => withReadiness(pod, index < wanted.available));
}

/** The pod after its container ended `restarts` times in all. */
export function withRestarts(pod: KubeObject, restarts: number, nowMs: number): KubeObject {
  const terminated = { exitCode: 1, reason: "Error", finishedAt: new Date(nowMs).toISOString() };
  const waiting = { reason: "CrashLoopBackOff", message: "back-off restarting failed container" };
  const container = {
    ...containerOf(),
    restartCount: restarts,
    state: { waiting },
    lastState: { terminated },
  };
  return {
    ...pod,
    status: { phase: "Running", conditions: readiness(false), containerStatuses: [container] },
  };
}

function newPod(replicaSet: KubeObject, name: string): KubeObject {
  const { namespace, name: owner, uid = "" } = replicaSet.metadata;
  const { labels, annotations } = asObject(asObject(asObject(replicaSet.spec).template).metadata);
  const metadata = {
    labels: asStrings(labels),
    ...(isObject(annotations) && { annotations: asStrings(annotations) }),
  };
  const ownerReferences = [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid, controller: true }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ownerReferences, ...metadata },
    spec: { containers: [{ name: "main", image: "web" }] },
    status: { phase: "Running", conditions: readiness(false), containerStatuses: [containerOf()] },
  };
}

function containerOf(): Readonly<Record<string, unknown>> {
  return { name: "main", image: "web", imageID: "", ready: false, restartCount: 0 };
}

function readiness(isReady: boolean): readonly unknown[] {
  return [{ type: "Ready", status: isReady ? "True" : "False" }];
}

/** A pod that becomes ready no longer waits; its restarts stay counted. */
function withReadiness(pod: KubeObject, isReady: boolean): KubeObject {
  const status = pod.status as { readonly containerStatuses?: readonly object[] }; // As this file writes it.
  const containerStatuses = (status.containerStatuses ?? []).map((container) =>
    isReady ? { ...container, ready: true, state: { running: {} } } : { ...container, ready: false },
  );
  return { ...pod, status: { ...status, conditions: readiness(isReady), containerStatuses } };
}
