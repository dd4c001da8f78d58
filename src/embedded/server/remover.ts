// Deletion with all that follows: preconditions, grace of pods, finalizers, dependents (background, foreground, orphan),
// namespaces with their content. Everything happens within the transaction of the request that caused it, so that a crash
// leaves no half-done cascade. What Kubernetes' garbage collector does later, this does at once.
import type { KubeObject } from "../../api/api.ts";
import { formatTime } from "../../lib/time.ts";
import { conflict, forbidden } from "./errors.ts";
import { numberAt, stringAt } from "./fields.ts";
import { type Kind, kindById, subjectOf } from "./kinds.ts";
import type { Place, Store, Stored } from "./store.ts";

export type PropagationPolicy = "Background" | "Foreground" | "Orphan";

export interface DeleteRequest {
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default `Background`. */
  readonly propagationPolicy?: PropagationPolicy;
  /** Pods only. Default: the pod's terminationGracePeriodSeconds. */
  readonly gracePeriodSeconds?: number;
}

export interface Deleted {
  /** The last state. */
  readonly object: KubeObject;
  /** False while finalizers or a pod's grace keep it. */
  readonly isGone: boolean;
}

/** Namespaces that exist from the start and stay. */
export const INITIAL_NAMESPACES: readonly string[] = ["default", "kube-system", "weir-system"];

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";

export interface Remover {
  delete(kind: Kind, current: KubeObject, request: DeleteRequest): Deleted;
  /** Removes for good what has nothing left to wait for, and settles what depended on it. */
  finish(kind: Kind, last: KubeObject): Stored;
  /** Deletes objects none of whose owners exists; run at start and after writes with owners. */
  sweep(): void;
}

/** True for an object that is being deleted and that nothing holds any more. */
export function isReleased(object: KubeObject): boolean {
  const { deletionTimestamp, finalizers = [], deletionGracePeriodSeconds = 0 } = object.metadata;
  return deletionTimestamp !== undefined && finalizers.length === 0 && deletionGracePeriodSeconds === 0;
}

interface Context {
  readonly store: Store;
  readonly nowMs: () => number;
}

/** Builds the remover; its functions are called within a transaction of `store`. */
export function createRemover(store: Store, nowMs: () => number): Remover {
  const context: Context = { store, nowMs };
  return {
    delete: (kind, current, request) => deleteObject(context, kind, current, request),
    finish: (kind, last) => finish(context, kind, last),
    sweep: () => sweep(context),
  };
}

function load(
  context: Context,
  place: Place,
): { readonly kind: Kind; readonly object: KubeObject } | undefined {
  const kind = kindById(place.kind);
  const stored = kind === undefined ? undefined : context.store.get(kind, place.namespace, place.name);
  return kind === undefined || stored === undefined ? undefined : { kind, object: stored.object };
}

function deleteObject(context: Context, kind: Kind, current: KubeObject, request: DeleteRequest): Deleted {
  checkPreconditions(kind, current, request);
  if (kind.id === "namespaces") return deleteNamespace(context, kind, current);
  const policy = request.propagationPolicy ?? "Background";
  const grace = kind.id === "pods" ? graceOf(current, request) : 0;
  if (policy === "Orphan") for (const place of dependents(context, current)) release(context, place, current);
  const marked = mark(context, kind, current, policy, grace);
  if (isReleased(marked)) return { object: finish(context, kind, marked).object, isGone: true };
  if (marked === current) return { object: current, isGone: false };
  const stored = context.store.put(kind, marked, current);
  if (policy !== "Foreground") return { object: stored.object, isGone: false };
  for (const place of dependents(context, current)) deleteDependent(context, place, current, "Foreground");
  const isGone = endForeground(context, kind, current);
  return { object: stored.object, isGone };
}

function mark(
  context: Context,
  kind: Kind,
  current: KubeObject,
  policy: PropagationPolicy,
  grace: number,
): KubeObject {
  const { deletionTimestamp, generation, deletionGracePeriodSeconds } = current.metadata;
  const held = (current.metadata.finalizers ?? []).filter((name) => name !== ORPHAN);
  const isHeldByDependents = policy === "Foreground" && dependents(context, current).length > 0;
  const finalizers = isHeldByDependents && !held.includes(FOREGROUND) ? [...held, FOREGROUND] : held;
  const isShorter = deletionGracePeriodSeconds === undefined || grace < deletionGracePeriodSeconds;
  const isUnchanged = finalizers.length === (current.metadata.finalizers ?? []).length;
  if (deletionTimestamp !== undefined && !isShorter && isUnchanged) return current;
  const { finalizers: _, ...metadata } = current.metadata;
  return {
    ...current,
    metadata: {
      ...metadata,
      ...(finalizers.length > 0 ? { finalizers } : {}),
      ...(kind.hasGeneration && deletionTimestamp === undefined ? { generation: (generation ?? 0) + 1 } : {}),
      deletionTimestamp:
        deletionTimestamp === undefined || isShorter
          ? formatTime(context.nowMs() + grace * 1000)
          : deletionTimestamp,
      deletionGracePeriodSeconds: isShorter ? grace : deletionGracePeriodSeconds,
    },
  };
}

function finish(context: Context, kind: Kind, last: KubeObject): Stored {
  const left = dependents(context, last);
  const removed = context.store.remove(kind, last);
  for (const place of left) deleteDependent(context, place, last, "Background");
  for (const owner of last.metadata.ownerReferences ?? []) {
    const place = context.store.placeOf(owner.uid);
    const loaded = place === undefined ? undefined : load(context, place);
    if (loaded !== undefined) endForeground(context, loaded.kind, loaded.object);
  }
  if (last.metadata.namespace !== undefined) endNamespace(context, last.metadata.namespace);
  return removed;
}

/** A dependent goes with its last owner; with another owner left, only its reference goes. */
function deleteDependent(context: Context, place: Place, owner: KubeObject, policy: PropagationPolicy): void {
  const loaded = load(context, place);
  if (loaded === undefined) return;
  const references = loaded.object.metadata.ownerReferences ?? [];
  const hasOther = references.some(
    (reference) => reference.uid !== owner.metadata.uid && context.store.placeOf(reference.uid) !== undefined,
  );
  if (hasOther) release(context, place, owner);
  else if (loaded.object.metadata.deletionTimestamp === undefined)
    deleteObject(context, loaded.kind, loaded.object, { propagationPolicy: policy });
}

function release(context: Context, place: Place, owner: KubeObject): void {
  const loaded = load(context, place);
  if (loaded === undefined) return;
  const { ownerReferences = [], ...metadata } = loaded.object.metadata;
  const left = ownerReferences.filter((reference) => reference.uid !== owner.metadata.uid);
  const next = { ...metadata, ...(left.length > 0 ? { ownerReferences: left } : {}) };
  context.store.put(loaded.kind, { ...loaded.object, metadata: next }, loaded.object);
}

/** Lets go of an owner deleted in the foreground once no dependent blocks it; true when it is gone. */
function endForeground(context: Context, kind: Kind, owner: KubeObject): boolean {
  const current = context.store.get(kind, owner.metadata.namespace ?? "", owner.metadata.name)?.object;
  if (current === undefined || current.metadata.uid !== owner.metadata.uid) return true;
  if (!current.metadata.finalizers?.includes(FOREGROUND)) return false;
  const isBlocked = dependents(context, current).some((place) =>
    blocks(load(context, place)?.object, current),
  );
  if (isBlocked) return false;
  const { finalizers = [], ...metadata } = current.metadata;
  const left = finalizers.filter((name) => name !== FOREGROUND);
  const next = { ...current, metadata: { ...metadata, ...(left.length > 0 ? { finalizers: left } : {}) } };
  if (isReleased(next)) finish(context, kind, next);
  else context.store.put(kind, next, current);
  return isReleased(next);
}

function deleteNamespace(context: Context, kind: Kind, current: KubeObject): Deleted {
  const { name } = current.metadata;
  if (INITIAL_NAMESPACES.includes(name))
    throw forbidden(subjectOf(kind, name), "this namespace may not be deleted");
  const deletionTimestamp = current.metadata.deletionTimestamp ?? formatTime(context.nowMs());
  if (current.metadata.deletionTimestamp === undefined) {
    const metadata = { ...current.metadata, deletionTimestamp };
    context.store.put(kind, { ...current, metadata, status: { phase: "Terminating" } }, current);
  }
  for (const place of context.store.inNamespace(name)) {
    const loaded = load(context, place);
    if (loaded !== undefined && loaded.object.metadata.deletionTimestamp === undefined)
      deleteObject(context, loaded.kind, loaded.object, {});
  }
  endNamespace(context, name);
  const left = context.store.get(kind, "", name);
  return { object: left?.object ?? current, isGone: left === undefined };
}

function endNamespace(context: Context, name: string): void {
  const loaded = load(context, { kind: "namespaces", namespace: "", name });
  if (loaded?.object.metadata.deletionTimestamp === undefined || context.store.inNamespace(name).length > 0)
    return;
  const finalizers = loaded.object.metadata.finalizers ?? [];
  if (finalizers.length === 0) finish(context, loaded.kind, loaded.object);
}

function dependents(context: Context, owner: KubeObject): readonly Place[] {
  return context.store.dependentsOf(owner.metadata.uid ?? "");
}

function sweep(context: Context): void {
  for (const place of context.store.withMissingOwner()) {
    const loaded = load(context, place);
    const missing = loaded?.object.metadata.ownerReferences?.find(
      ({ uid }) => context.store.placeOf(uid) === undefined,
    );
    if (loaded === undefined || missing === undefined) continue;
    const owner = { ...loaded.object, metadata: { name: missing.name, uid: missing.uid } };
    deleteDependent(context, place, owner, "Background");
  }
}

function checkPreconditions(kind: Kind, current: KubeObject, request: DeleteRequest): void {
  const { uid, resourceVersion, name } = current.metadata;
  const differs = (what: string, wanted: string, found: string | undefined): Error =>
    conflict(
      subjectOf(kind, name),
      `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${found}). The object might have been deleted and then recreated`,
    );
  if (request.uid !== undefined && request.uid !== uid) throw differs("UID", request.uid, uid);
  if (request.resourceVersion !== undefined && request.resourceVersion !== resourceVersion)
    throw differs("ResourceVersion", request.resourceVersion, resourceVersion);
}

/** A pod that never ran or has ended needs no grace: nothing is left to stop. */
function graceOf(pod: KubeObject, request: DeleteRequest): number {
  const phase = stringAt(pod, "status.phase");
  if (stringAt(pod, "spec.nodeName") === undefined || phase === "Succeeded" || phase === "Failed") return 0;
  const grace = numberAt(pod, "spec.terminationGracePeriodSeconds") ?? 30;
  // As Kubernetes takes a negative one.
  const own = grace < 0 ? 1 : grace;
  return Math.max(0, request.gracePeriodSeconds ?? own);
}

function blocks(dependent: KubeObject | undefined, owner: KubeObject): boolean {
  return (dependent?.metadata.ownerReferences ?? []).some(
    (reference) => reference.uid === owner.metadata.uid && reference.blockOwnerDeletion === true,
  );
}
