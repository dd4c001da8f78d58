// Which ReplicaSet runs the wanted version. The label that the status remembers comes first, a hash of the template second, the meaning of
// the template last; so a controller of another make, or a hash table that moved, renames and redeploys nothing.
import {
  EPHEMERAL_METADATA_ANNOTATION,
  POD_HASH_LABEL,
  type ReplicaSet,
  type Rollout,
  semanticallyEqualTemplates,
} from "../api/api.ts";
import { isObject } from "../lib/json.ts";
import { conditionOf } from "./conditions.ts";
import { podHashOf } from "./replicaset.ts";

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
    semanticallyEqualTemplates(templateWithoutInjections(item), wanted.template);
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

/** The ReplicaSet's pod template without what a controller has put into it: metadata of its role, anti-affinity to another version. */
function templateWithoutInjections(replicaSet: ReplicaSet): unknown {
  const template: unknown = replicaSet.spec.template;
  if (!isObject(template)) return template;
  const { metadata, spec } = template;
  return {
    ...template,
    metadata: isObject(metadata) ? withoutRoleMetadata(metadata, replicaSet) : metadata,
    spec: isObject(spec) && isObject(spec.affinity) ? withoutInjectedAffinity(spec, spec.affinity) : spec,
  };
}

type JsonRecord = Readonly<Record<string, unknown>>;

function withoutRoleMetadata(metadata: JsonRecord, replicaSet: ReplicaSet): JsonRecord {
  const injected = parsed(replicaSet.metadata.annotations?.[EPHEMERAL_METADATA_ANNOTATION]);
  const { labels, annotations } = injected;
  return {
    ...metadata,
    labels: withoutKeys(metadata.labels, labels),
    annotations: withoutKeys(metadata.annotations, annotations),
  };
}

function parsed(text: string | undefined): JsonRecord {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return isObject(value) ? value : {};
  } catch {
    return {}; // somebody wrote something else there: nothing is known to be injected
  }
}

function withoutKeys(map: unknown, injected: unknown): unknown {
  if (!isObject(map) || !isObject(injected)) return map;
  return Object.fromEntries(Object.entries(map).filter(([key]) => !Object.hasOwn(injected, key)));
}

/** Anti-affinity to the pods of one version of a Rollout is never a user's: the hash is not known when a template is written. */
function withoutInjectedAffinity(spec: JsonRecord, affinity: JsonRecord): JsonRecord {
  const anti = affinity.podAntiAffinity;
  if (!isObject(anti)) return spec;
  const required = anti.requiredDuringSchedulingIgnoredDuringExecution;
  const preferred = anti.preferredDuringSchedulingIgnoredDuringExecution;
  const left = {
    requiredDuringSchedulingIgnoredDuringExecution: list(required).filter((term) => !isInjected(term)),
    preferredDuringSchedulingIgnoredDuringExecution: list(preferred).filter(
      (item) => !(isObject(item) && isInjected(item.podAffinityTerm)),
    ),
  };
  const count = list(required).length + list(preferred).length;
  const keptCount =
    left.requiredDuringSchedulingIgnoredDuringExecution.length +
    left.preferredDuringSchedulingIgnoredDuringExecution.length;
  if (keptCount === count) return spec;
  const { podAntiAffinity: _, ...others } = affinity;
  if (keptCount > 0) return { ...spec, affinity: { ...others, podAntiAffinity: left } };
  const { affinity: __, ...bare } = spec;
  return Object.values(others).some((part) => part !== undefined) ? { ...bare, affinity: others } : bare;
}

function isInjected(term: unknown): boolean {
  if (!isObject(term) || !isObject(term.labelSelector)) return false;
  return list(term.labelSelector.matchExpressions).some(
    (expression) => isObject(expression) && expression.key === POD_HASH_LABEL,
  );
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
