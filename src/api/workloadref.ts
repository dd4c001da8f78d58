// The pod template that a Rollout takes from another object: a Deployment, a ReplicaSet or a PodTemplate. It is looked up for every decision
// and put into the Rollout as it is read, never into the one that the API holds.
// Source: Argo: rollout/templateref.go, v1.9.
import { isObject } from "../lib/json.ts";
import type { KubeObject } from "./meta.ts";
import { readRollout } from "./read.ts";
import { RESOURCES, type ResourceType } from "./resources.ts";
import type { Rollout } from "./rolloutschema.ts";

/** The object that `spec.workloadRef` names. */
export type WorkloadReference =
  | {
      readonly kind: "found";
      readonly type: ResourceType;
      readonly name: string;
      readonly uid: string;
      /** `metadata.generation` as text, as the Rollout's annotation and status carry it. */
      readonly generation: string;
      /** `spec.replicas` of a Deployment; undefined for others. */
      readonly replicas: number | undefined;
    }
  /** It cannot be used: why. */
  | { readonly kind: "missing"; readonly words: string };

/** A Rollout with the template and the selector that it runs with. */
export interface ResolvedRollout {
  readonly rollout: Rollout;
  readonly raw: KubeObject;
  /** Absent for a Rollout with a template of its own. */
  readonly reference?: WorkloadReference;
  /** The Rollout to hold against the rules: a template that was looked up counts as its own. */
  readonly checked: Rollout;
}

function appsType(kind: string): ResourceType {
  const singular = kind.toLowerCase();
  return { ...RESOURCES.replicaSet, kind, plural: `${singular}s`, singular, shortNames: [] };
}

/** The kinds that may be referenced, beside ReplicaSets, with the columns of RESOURCES: weir stores none of them itself. */
export const WORKLOAD_TYPES = {
  deployment: { ...appsType("Deployment"), shortNames: ["deploy"] },
  podTemplate: {
    group: "",
    version: "v1",
    kind: "PodTemplate",
    plural: "podtemplates",
    singular: "podtemplate",
    shortNames: [],
    isNamespaced: true,
    subresources: [],
  },
  replicaSet: RESOURCES.replicaSet,
} as const satisfies Readonly<Record<string, ResourceType>>;

/** The kind that a reference names; undefined for one that weir takes no template from. */
export function workloadTypeOf(ref: NonNullable<Rollout["spec"]["workloadRef"]>): ResourceType | undefined {
  const group = groupOf(ref.apiVersion);
  const types: readonly ResourceType[] = Object.values(WORKLOAD_TYPES);
  return types.find((type) => type.group === group && type.kind === ref.kind);
}

/** Reads a Rollout with the template that it refers to. `lookup` finds an object of the Rollout's namespace. */
export function resolveWorkload(
  raw: KubeObject,
  rollout: Rollout,
  lookup: (type: ResourceType, name: string) => KubeObject | undefined,
): ResolvedRollout {
  const ref = rollout.spec.workloadRef;
  if (ref === undefined) return { rollout, raw, checked: rollout };
  const missing = (words: string): ResolvedRollout => ({
    rollout,
    raw,
    checked: rollout,
    reference: { kind: "missing", words },
  });
  if (hasTemplate(rollout)) return missing("template must be empty for workload reference rollout");
  const type = workloadTypeOf(ref);
  if (type === undefined)
    return missing(`workload of type ${groupOf(ref.apiVersion)}/${ref.kind ?? ""} is not supported`);
  const { namespace = "" } = raw.metadata;
  const { name = "" } = ref;
  const workload = lookup(type, name);
  if (workload === undefined) {
    const plural = type.group === "" ? type.plural : `${type.plural}.${type.group}`;
    return missing(`${plural} "${namespace}/${name}" not found`);
  }
  const resolved = withTemplateOf(raw, workload);
  const { value } = readRollout(resolved);
  const { workloadRef: _, ...own } = value.spec;
  const spec: unknown = workload.spec;
  const replicas = isObject(spec) && typeof spec.replicas === "number" ? spec.replicas : 1;
  return {
    rollout: value,
    raw: resolved,
    checked: { ...value, spec: own },
    reference: {
      kind: "found",
      type,
      name,
      uid: workload.metadata.uid ?? "",
      generation: String(workload.metadata.generation ?? 0),
      replicas: type.kind === WORKLOAD_TYPES.deployment.kind ? replicas : undefined,
    },
  };
}

/** Where the pod template of a workload stands: `spec.template`, or `template` of a PodTemplate. */
export function templateOfWorkload(workload: KubeObject): unknown {
  if (workload.kind === WORKLOAD_TYPES.podTemplate.kind) return workload.template;
  return isObject(workload.spec) ? workload.spec.template : undefined;
}

function withTemplateOf(raw: KubeObject, workload: KubeObject): KubeObject {
  const own = isObject(raw.spec) ? raw.spec : {};
  const theirs = isObject(workload.spec) ? workload.spec : {};
  const selector = own.selector ?? theirs.selector;
  return {
    ...raw,
    spec: {
      ...own,
      template: templateOfWorkload(workload),
      ...(selector === undefined ? {} : { selector }),
    },
  };
}

/** A template counts as given when it has labels or annotations, as in Argo. */
function hasTemplate({ spec }: Rollout): boolean {
  const { labels = {}, annotations = {} } = spec.template?.metadata ?? {};
  return Object.keys(labels).length + Object.keys(annotations).length > 0;
}

function groupOf(apiVersion: string | undefined): string {
  const [group, version] = (apiVersion ?? "").split("/");
  return version === undefined ? "" : (group ?? "");
}
