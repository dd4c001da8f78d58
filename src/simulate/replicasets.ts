// The ReplicaSet controller and the kubelets of the model: as many pods as each ReplicaSet asks for, available by themselves or as a script
// says. They crash and are evicted here too.
import { type KubeObject, readPod } from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import { applyMergePatch } from "../lib/patch.ts";
import { podsFor, withRestarts } from "./pods.ts";
import type { World } from "./world.ts";

/** Pods of one ReplicaSet that have an object; more are only counted. */
const MAX_PODS = 1000;

/** Every pod that is asked for becomes available, or, by hand, none that was not. Tells whether anything changed. */
export function runReplicaSets(world: World): boolean {
  let hasChanged = false;
  for (const replicaSet of world.replicaSets.values()) {
    const value = world.views.replicaSet(replicaSet);
    const wanted = value.spec.replicas ?? 1;
    const available =
      world.readiness === "auto" ? wanted : Math.min(value.status.availableReplicas ?? 0, wanted);
    hasChanged = writeStatus(world, replicaSet, available) || hasChanged;
  }
  return hasChanged;
}

/** Makes `count` of a ReplicaSet's pods available, the others not. */
export function setReady(world: World, name: string, count: number): void {
  const replicaSet = world.replicaSets.get(name);
  if (replicaSet !== undefined) writeStatus(world, replicaSet, count);
}

/** The ReplicaSet is refused its pods, in these words; undefined: it gets them again. */
export function setReplicaFailure(world: World, name: string, message: string | undefined): void {
  const replicaSet = world.replicaSets.get(name);
  if (replicaSet === undefined) throw new Error(`no ReplicaSet ${name}`);
  const failure = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message };
  const conditions = message === undefined ? null : [failure];
  // A merge of an object with an object patch is an object of the same kind.
  world.add("replicaSets", applyMergePatch(replicaSet, { status: { conditions } }) as KubeObject);
}

/** The living pods of a ReplicaSet, oldest first. */
export function podsOf(world: World, replicaSet: string): readonly KubeObject[] {
  return [...world.pods.values()].filter((pod) => pod.metadata.ownerReferences?.[0]?.name === replicaSet);
}

/** One pod's container has ended, `restarts` times in all, and waits to be started again. */
export function crashPod(world: World, name: string, restarts: number): void {
  const pod = world.pods.get(name);
  if (pod === undefined) throw new Error(`no pod ${name}`);
  world.add("pods", withRestarts(pod, restarts, world.nowMs));
}

/** Evicts a pod, unless the disruption budget would then be broken. */
export function evict(world: World, name: string): void {
  const pod = world.pods.get(name);
  const owner = world.replicaSets.get(pod?.metadata.ownerReferences?.[0]?.name ?? "");
  if (pod === undefined || owner === undefined) return;
  const ready = [...world.pods.values()].filter((item) => isReady(item)).length;
  const { uid = "" } = pod.metadata;
  if (isReady(pod) && ready <= world.disruptionBudget) {
    const words = "Cannot evict pod as it would violate the pod's disruption budget.";
    world.refusedEvictions = { ...world.refusedEvictions, [uid]: { atMs: world.nowMs, words } };
    return;
  }
  const { [uid]: _, ...others } = world.refusedEvictions;
  world.refusedEvictions = others;
  world.pods.delete(name);
  const { availableReplicas = 0 } = world.views.replicaSet(owner).status;
  writeStatus(world, owner, isReady(pod) ? availableReplicas - 1 : availableReplicas);
}

function writeStatus(world: World, replicaSet: KubeObject, available: number): boolean {
  const value = world.views.replicaSet(replicaSet);
  const replicas = value.spec.replicas ?? 1;
  const bound = Math.min(available, replicas);
  const haveChanged = writePods(world, replicaSet, replicas, bound);
  const { conditions } = value.status;
  const status = {
    replicas,
    readyReplicas: bound,
    availableReplicas: bound,
    observedGeneration: replicaSet.metadata.generation ?? 0,
    ...(conditions !== undefined && { conditions }),
  };
  if (jsonEqual(replicaSet.status, status)) return haveChanged;
  world.add("replicaSets", { ...replicaSet, status });
  return true;
}

function writePods(world: World, replicaSet: KubeObject, replicas: number, available: number): boolean {
  const living = podsOf(world, replicaSet.metadata.name);
  const wanted = { replicas: Math.min(replicas, MAX_PODS), available: Math.min(available, MAX_PODS) };
  const next = podsFor(replicaSet, living, wanted);
  const names = new Set(next.map(({ metadata }) => metadata.name));
  for (const { metadata } of living) if (!names.has(metadata.name)) world.pods.delete(metadata.name);
  const changed = next.filter((pod) => !jsonEqual(world.pods.get(pod.metadata.name), pod));
  for (const pod of changed) world.add("pods", pod);
  return changed.length > 0 || next.length < living.length;
}

function isReady(pod: KubeObject): boolean {
  return (
    readPod(pod).value.status.conditions?.some(
      ({ type, status }) => type === "Ready" && status === "True",
    ) === true
  );
}
