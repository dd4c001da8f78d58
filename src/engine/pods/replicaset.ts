// What the engine reads off a ReplicaSet, in one place.
import {
  type ObjectMeta,
  ON_TRIAL_ANNOTATION,
  POD_HASH_LABEL,
  REVISION_ANNOTATION,
  type ReplicaSet,
  replicasOf,
  SCALE_DOWN_DEADLINE_ANNOTATION,
} from "../../api/api.ts";
import { parseTime } from "../../lib/time.ts";
import type { PodCounts } from "./replicas.ts";

/** The version that its pods are; empty when it has no such label. */
export function podHashOf(replicaSet: ReplicaSet): string {
  return replicaSet.metadata.labels?.[POD_HASH_LABEL] ?? "";
}

/** Its revision; 0 when it has none yet. */
export function revisionOf(replicaSet: ReplicaSet): number {
  const revision = Number.parseInt(replicaSet.metadata.annotations?.[REVISION_ANNOTATION] ?? "", 10);
  return Number.isNaN(revision) ? 0 : revision;
}

/** Pods asked for and pods available; none of a version that is not there. */
export function countsOf(replicaSet: ReplicaSet | undefined): PodCounts {
  const spec = replicaSet === undefined ? 0 : replicasOf(replicaSet);
  return { spec, available: availableOf(replicaSet) };
}

export function availableOf(replicaSet: ReplicaSet | undefined): number {
  return replicaSet?.status.availableReplicas ?? 0;
}

/** When it may go down to 0; undefined without that annotation, or when it cannot be read. */
export function deadlineMsOf(replicaSet: ReplicaSet): number | undefined {
  return parseTime(replicaSet.metadata.annotations?.[SCALE_DOWN_DEADLINE_ANNOTATION]);
}

/** Whether it was not promoted since it was last wanted: going back to it is no rollback. */
export function isOnTrial({ metadata }: ReplicaSet): boolean {
  return metadata.annotations?.[ON_TRIAL_ANNOTATION] !== undefined;
}

/** Name, place and identity, as every action on an object carries them. */
export function identityOf({ metadata }: { readonly metadata: ObjectMeta }): {
  namespace: string;
  name: string;
  uid: string;
} {
  const { namespace = "", name, uid = "" } = metadata;
  return { namespace, name, uid };
}

export function versionOf(replicaSet: ReplicaSet): string {
  return replicaSet.metadata.resourceVersion ?? "";
}

/** When it was created, epoch milliseconds in whole seconds: two of one second are of one age. */
export function createdMs(replicaSet: ReplicaSet): number {
  return parseTime(replicaSet.metadata.creationTimestamp) ?? 0;
}

/** Order of creation, then of name. */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const difference = createdMs(a) - createdMs(b);
  return difference !== 0 ? difference : a.metadata.name < b.metadata.name ? -1 : 1;
}
