// What a controller puts into a ReplicaSet's template beyond what the user wrote: the metadata of the version's role, and the rule that
// keeps its pods off the stable version's nodes. Both must be told apart from the user's own, or every injection would be a new version.
// Source: Argo: utils/replicaset/replicaset.go, v1.9.
import { asObject, asStrings, isObject, withoutKeys } from "../lib/json.ts";
import { EPHEMERAL_METADATA_ANNOTATION, POD_HASH_LABEL } from "./labels.ts";

/** Labels and annotations that the pods of a role carry. */
export interface RoleMetadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const NO_METADATA: RoleMetadata = { labels: {}, annotations: {} };
const TERMS = [
  "requiredDuringSchedulingIgnoredDuringExecution",
  "preferredDuringSchedulingIgnoredDuringExecution",
] as const;

/** What the ReplicaSet remembers as injected; nothing when the annotation is not there or cannot be read. */
export function injectedMetadata(annotations: Readonly<Record<string, string>> | undefined): RoleMetadata {
  const text = annotations?.[EPHEMERAL_METADATA_ANNOTATION];
  if (text === undefined) return NO_METADATA;
  const { labels, annotations: own } = asObject(parsed(text));
  return { labels: asStrings(labels), annotations: asStrings(own) };
}

/** The annotation that remembers it; undefined when there is nothing to remember. */
export function rememberedMetadata({ labels, annotations }: RoleMetadata): string | undefined {
  const some = (map: Readonly<Record<string, string>>): boolean => Object.keys(map).length > 0;
  if (!some(labels) && !some(annotations)) return undefined;
  return JSON.stringify({
    ...(some(labels) && { labels: sorted(labels) }),
    ...(some(annotations) && { annotations: sorted(annotations) }),
  });
}

/** The template of a ReplicaSet without what was injected: what the user wrote. */
export function plainTemplate(replicaSet: {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly template?: unknown };
}): unknown {
  const { template } = replicaSet.spec;
  if (!isObject(template)) return template;
  const injected = injectedMetadata(replicaSet.metadata.annotations);
  const metadata = asObject(template.metadata);
  const spec = asObject(template.spec);
  return {
    ...template,
    metadata: {
      ...metadata,
      labels: without(metadata.labels, injected.labels),
      annotations: without(metadata.annotations, injected.annotations),
    },
    spec: { ...spec, affinity: plainAffinity(spec.affinity) },
  };
}

/** The version that an injected rule keeps its distance from; undefined without such a rule. */
export function avoidedVersion(affinity: unknown): string | undefined {
  const rules = asObject(asObject(affinity).podAntiAffinity);
  const hash = TERMS.flatMap((kind) => list(rules[kind])).map(avoidedBy);
  return hash.find((value) => value !== undefined);
}

/** The affinity without injected rules; undefined when nothing else was there. */
export function plainAffinity(affinity: unknown): unknown {
  if (avoidedVersion(affinity) === undefined) return affinity;
  const rules = { ...asObject(asObject(affinity).podAntiAffinity) };
  for (const kind of TERMS) {
    const kept = list(rules[kind]).filter((term) => avoidedBy(term) === undefined);
    if (kept.length > 0) rules[kind] = kept;
    else delete rules[kind];
  }
  const rest: Record<string, unknown> = { ...asObject(affinity), podAntiAffinity: rules };
  if (Object.keys(rules).length === 0) delete rest.podAntiAffinity;
  return Object.keys(rest).length === 0 ? undefined : rest;
}

/** The affinity with the rule that keeps a version's pods off the nodes of version `avoided`. `weight`: preferred, else required. */
export function withAvoidance(
  affinity: unknown,
  avoided: { readonly podHash: string; readonly namespace: string; readonly weight?: number },
): unknown {
  const { podHash, namespace, weight } = avoided;
  const term = {
    labelSelector: { matchExpressions: [{ key: POD_HASH_LABEL, operator: "In", values: [podHash] }] },
    namespaces: [namespace],
    topologyKey: "kubernetes.io/hostname",
  };
  const [required, preferred] = TERMS;
  const kind = weight === undefined ? required : preferred;
  const rules = asObject(asObject(affinity).podAntiAffinity);
  const added = weight === undefined ? term : { weight, podAffinityTerm: term };
  return { ...asObject(affinity), podAntiAffinity: { ...rules, [kind]: [...list(rules[kind]), added] } };
}

/** The version that one term avoids; a term about a version is never a user's: the hash is not known when a template is written. */
function avoidedBy(term: unknown): string | undefined {
  const { labelSelector } = asObject(asObject(term).podAffinityTerm ?? term);
  const rule = list(asObject(labelSelector).matchExpressions)
    .map(asObject)
    .find(({ key }) => key === POD_HASH_LABEL);
  const [value] = list(rule?.values);
  return rule === undefined ? undefined : String(value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Somebody else's text: nothing of it is known to be injected.
    return undefined;
  }
}

function without(map: unknown, left: Readonly<Record<string, string>>): unknown {
  return isObject(map) ? withoutKeys(map, left) : map;
}

function sorted(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
