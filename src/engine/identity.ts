// Which ReplicaSet runs the wanted version. The label that the status remembers comes first, a hash of the template second, the meaning of
// the template last; so a controller of another make, or a hash table that moved, renames and redeploys nothing.
import { plainTemplate, type ReplicaSet, type Rollout, semanticallyEqualTemplates } from "../api/api.ts";
import { podHashOf } from "./pods/replicaset.ts";
import { conditionOf } from "./status/conditions.ts";

/** What is wanted: the pod template as written, its hash, and whether the status was written for the very spec that asks for it. */
export interface Wanted {
  readonly template: unknown;
  readonly hash: string;
  readonly isObserved: boolean;
}

/** The wanted version's among the Rollout's own ReplicaSets, oldest first; undefined when it has none yet. */
export function currentAmong(
  owned: readonly ReplicaSet[],
  rollout: Rollout,
  wanted: Wanted,
): ReplicaSet | undefined {
  const labelled = (hash: string | undefined): ReplicaSet | undefined =>
    hash === undefined || hash === "" ? undefined : owned.find((item) => podHashOf(item) === hash);
  const isEqual = (item: ReplicaSet): boolean =>
    semanticallyEqualTemplates(plainTemplate(item), wanted.template);
  const { currentPodHash } = rollout.status;
  const remembered = labelled(currentPodHash);
  if (
    remembered !== undefined &&
    (wanted.isObserved || currentPodHash === wanted.hash || isEqual(remembered))
  )
    return remembered;
  return labelled(wanted.hash) ?? owned.find((item) => podHashOf(item) !== "" && isEqual(item));
}

/**
 * Whether the status tells of the spec as it stands. Then its hashes are the spec's, by whomever and however they were computed. The status of
 * an invalid Rollout tells of the version before: its generation was seen, but nothing was done about it.
 */
export function isSpecObserved({ metadata, status }: Rollout): boolean {
  return (
    metadata.generation !== undefined &&
    status.observedGeneration === String(metadata.generation) &&
    conditionOf(status.conditions, "InvalidSpec") === undefined
  );
}
