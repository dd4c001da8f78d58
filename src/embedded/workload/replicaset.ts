// The ReplicaSet controller of the embedded server: keeps as many pods of a template as a ReplicaSet wants, and its status true.
import { controllerOf, type KubeObject, keyOf, type ObjectMeta, RESOURCES } from "../../api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createWorkQueue,
  type RecordEvent,
  type Reflector,
  type StoreEvent,
  subjectOf,
  type WorkResult,
} from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import { isWeirError, messageOf } from "../../lib/errors.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Logger } from "../../lib/log.ts";
import type { Pod } from "../agent/podspec.ts";
import { createExpectations, type Expectations } from "./expectations.ts";
import {
  claimPods,
  nextAvailableInMs,
  podFromTemplate,
  podsToDelete,
  type ReplicaFailure,
  type ReplicaSet,
  readReplicaSet,
  replicaSetStatus,
} from "./replicaplan.ts";
import { selectorMatches } from "./selector.ts";

export interface ReplicaSetDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly record: RecordEvent;
  readonly replicaSets: Reflector;
  readonly pods: Reflector;
}

export interface Controller {
  /** Begins; the reflectors must have synced. */
  start(): void;
  stop(): Promise<void>;
}

/** Pods created or deleted in one pass at most. Source: Kubernetes BurstReplicas. */
const BURST_REPLICAS = 500;
const WORKERS = 4;

/** Makes the controller. */
export function createReplicaSetController(deps: ReplicaSetDeps): Controller {
  const expectations = createExpectations();
  const queue = createWorkQueue({
    clock: deps.clock,
    log: deps.log.child({ controller: "replicaset" }),
    process: (key) => sync(deps, expectations, key),
    workers: WORKERS,
    baseDelayMs: 20,
  });
  const unsubscribe = [
    deps.replicaSets.subscribe(({ key }) => queue.add(key)),
    deps.pods.subscribe((event) => {
      for (const key of concernedBy(deps, expectations, event)) queue.add(key);
    }),
  ];
  return {
    start: () => queue.start(),
    async stop() {
      for (const end of unsubscribe) end();
      await queue.stop();
    },
  };
}

/** The sets to look at after a change of a pod; tells the expectations what was seen. */
function concernedBy(deps: ReplicaSetDeps, expectations: Expectations, event: StoreEvent): readonly string[] {
  const { metadata } = event.object;
  const owner = ownerKey(event.object);
  const uid = metadata.uid ?? "";
  if (owner !== undefined) {
    if (event.kind === "added") expectations.creationObserved(owner);
    if (event.kind === "deleted" || metadata.deletionTimestamp !== undefined)
      expectations.deletionObserved(owner, uid);
  }
  const earlier = event.kind === "updated" ? ownerKey(event.old) : undefined;
  const keys = [owner, earlier].filter((key) => key !== undefined);
  if (keys.length > 0) return keys;
  return deps.replicaSets.store
    .list(metadata.namespace)
    .filter((set) => selectorMatches(readReplicaSet(set).selector, metadata.labels))
    .map(keyOf);
}

function ownerKey(pod: KubeObject): string | undefined {
  const owner = controllerOf(pod);
  return owner?.kind === "ReplicaSet" ? `${pod.metadata.namespace}/${owner.name}` : undefined;
}

async function sync(deps: ReplicaSetDeps, expectations: Expectations, key: string): Promise<WorkResult> {
  const object = deps.replicaSets.store.get(key);
  if (object === undefined) return expectations.forget(key);
  const set = readReplicaSet(object);
  const isFresh = expectations.isSatisfied(key, deps.clock.nowMs());
  const claim = claimPods(set, deps.pods.store.list(set.metadata.namespace));
  for (const pod of claim.release) await releasePod(deps, set, pod);
  const adopted: Pod[] = [];
  for (const pod of claim.adopt) if (await adoptPod(deps, set, pod)) adopted.push(pod);
  const active = [...claim.active, ...adopted];
  let failure: ReplicaFailure | undefined;
  if (isFresh && set.metadata.deletionTimestamp === undefined) {
    failure = await manage(deps, expectations, key, object, set, active);
  }
  await writeStatus(deps, set, active, failure);
  if (failure !== undefined) throw new Error(failure.message);
  const waitMs = nextAvailableInMs(set, active, deps.clock.nowMs());
  return waitMs === undefined ? undefined : { requeueAfterMs: waitMs };
}

async function manage(
  deps: ReplicaSetDeps,
  expectations: Expectations,
  key: string,
  object: KubeObject,
  set: ReplicaSet,
  active: readonly Pod[],
): Promise<ReplicaFailure | undefined> {
  const missing = Math.min(set.replicas - active.length, BURST_REPLICAS);
  if (missing > 0) {
    expectations.expect(key, missing, [], deps.clock.nowMs());
    return createPods(deps, expectations, key, object, set, missing);
  }
  const doomed = podsToDelete(active, Math.min(-missing, BURST_REPLICAS));
  if (doomed.length === 0) return undefined;
  const uids = doomed.map(({ metadata }) => metadata.uid ?? "");
  expectations.expect(key, 0, uids, deps.clock.nowMs());
  return deletePods(deps, expectations, key, object, doomed);
}

/** Creates in batches of 1, 2, 4, …: what the server refuses once it will refuse for all. */
async function createPods(
  deps: ReplicaSetDeps,
  expectations: Expectations,
  key: string,
  object: KubeObject,
  set: ReplicaSet,
  count: number,
): Promise<ReplicaFailure | undefined> {
  let left = count;
  for (let batch = 1; left > 0; batch *= 2) {
    const size = Math.min(batch, left);
    const results = await Promise.allSettled(
      Array.from({ length: size }, () => deps.client.create(RESOURCES.pod, podFromTemplate(set))),
    );
    left -= size;
    for (const result of results) {
      if (result.status === "fulfilled") {
        const message = `Created pod: ${result.value.metadata.name}`;
        void deps.record(subjectOf(object), "Normal", "SuccessfulCreate", message);
      } else expectations.creationObserved(key);
    }
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) continue;
    // What was not tried will not be seen either.
    for (; left > 0; left -= 1) expectations.creationObserved(key);
    const message = messageOf(failed.reason);
    void deps.record(subjectOf(object), "Warning", "FailedCreate", `Error creating: ${message}`);
    return { reason: "FailedCreate", message };
  }
  return undefined;
}

async function deletePods(
  deps: ReplicaSetDeps,
  expectations: Expectations,
  key: string,
  object: KubeObject,
  doomed: readonly Pod[],
): Promise<ReplicaFailure | undefined> {
  let failure: ReplicaFailure | undefined;
  for (const { metadata } of doomed) {
    const uid = metadata.uid ?? "";
    try {
      await deps.client.delete(RESOURCES.pod, refOf(metadata), { uid });
      void deps.record(subjectOf(object), "Normal", "SuccessfulDelete", `Deleted pod: ${metadata.name}`);
    } catch (error) {
      expectations.deletionObserved(key, uid);
      // Another pod bears the name by now: this one is gone.
      if (isWeirError(error, CLUSTER_ERRORS.conflict)) continue;
      failure = { reason: "FailedDelete", message: messageOf(error) };
      void deps.record(subjectOf(object), "Warning", "FailedDelete", `Error deleting: ${failure.message}`);
    }
  }
  return failure;
}

async function adoptPod(deps: ReplicaSetDeps, set: ReplicaSet, pod: Pod): Promise<boolean> {
  const { name, uid = "" } = set.metadata;
  // The cache may show a set that is being deleted, or a namesake: ask the server before claiming anything.
  const current = await deps.client.get(RESOURCES.replicaSet, refOf(set.metadata));
  if (current?.metadata.uid !== uid || current.metadata.deletionTimestamp !== undefined) return false;
  const owner = {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  return patchOwners(deps, pod, [...(pod.metadata.ownerReferences ?? []), owner]);
}

async function releasePod(deps: ReplicaSetDeps, set: ReplicaSet, pod: Pod): Promise<void> {
  const others = (pod.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== set.metadata.uid);
  await patchOwners(deps, pod, others);
}

async function patchOwners(
  deps: ReplicaSetDeps,
  pod: Pod,
  ownerReferences: readonly unknown[],
): Promise<boolean> {
  const { uid, resourceVersion } = pod.metadata;
  const body = { metadata: { uid, resourceVersion, ownerReferences } };
  try {
    await deps.client.patch(RESOURCES.pod, refOf(pod.metadata), { type: "merge", body });
    return true;
  } catch (error) {
    // Gone, or changed meanwhile: the watch brings the change and with it another pass.
    if (isWeirError(error, CLUSTER_ERRORS.notFound) || isWeirError(error, CLUSTER_ERRORS.conflict))
      return false;
    throw error;
  }
}

async function writeStatus(
  deps: ReplicaSetDeps,
  set: ReplicaSet,
  active: readonly Pod[],
  failure: ReplicaFailure | undefined,
): Promise<void> {
  const status = replicaSetStatus(set, active, failure, deps.clock.nowMs());
  const before = { conditions: [], ...set.status };
  if (jsonEqual(before, { ...before, ...status })) return;
  const body = { metadata: { uid: set.metadata.uid }, status };
  try {
    const written = { subresource: "status" } as const;
    await deps.client.patch(RESOURCES.replicaSet, refOf(set.metadata), { type: "merge", body }, written);
  } catch (error) {
    // Deleted, perhaps replaced by a namesake: nobody needs this status.
    if (isWeirError(error, CLUSTER_ERRORS.notFound) || isWeirError(error, CLUSTER_ERRORS.conflict)) return;
    throw error;
  }
}

function refOf({ name, namespace }: ObjectMeta): { readonly name: string; readonly namespace?: string } {
  return { name, ...(namespace === undefined ? {} : { namespace }) };
}
