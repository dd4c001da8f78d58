// The closed list of kinds that the embedded server stores, with what sets each apart. See docs/adr/0006-embedded-kinds.md.
import { RESOURCES, type ResourceType } from "../../api/api.ts";
import type { Subject } from "./errors.ts";

export interface Kind {
  /** `pods`, `apps/replicasets`: the key in the database. */
  readonly id: string;
  readonly type: ResourceType;
  /** A kind that Kubernetes serves from a CRD: no strategic merge patch, and updates must name a resourceVersion. */
  readonly isCustom: boolean;
  /** metadata.generation is kept. */
  readonly hasGeneration: boolean;
  /** Whether a PUT without resourceVersion replaces whatever is there. */
  readonly mayUpdateBlindly: boolean;
  /** Field selectors beside metadata.name and metadata.namespace. */
  readonly selectableFields: readonly string[];
  /** Part of `kubectl get all`. */
  readonly isInAll: boolean;
}

interface Extras {
  readonly hasGeneration?: boolean;
  readonly mayUpdateBlindly?: boolean;
  readonly selectableFields?: string;
  readonly isInAll?: boolean;
}

const CUSTOM_GROUPS: ReadonlySet<string> = new Set(["argoproj.io", "gateway.networking.k8s.io", "weir.dev"]);

const EXTRAS: Readonly<Record<string, Extras>> = {
  pods: {
    hasGeneration: true,
    isInAll: true,
    selectableFields:
      "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName spec.hostNetwork status.phase status.podIP status.nominatedNodeName",
  },
  services: { isInAll: true, selectableFields: "spec.clusterIP spec.type" },
  secrets: { selectableFields: "type" },
  namespaces: { selectableFields: "status.phase" },
  nodes: { selectableFields: "spec.unschedulable" },
  events: {
    selectableFields:
      "involvedObject.kind involvedObject.namespace involvedObject.name involvedObject.uid involvedObject.apiVersion involvedObject.resourceVersion involvedObject.fieldPath reason reportingComponent source type",
  },
  "apps/replicasets": { hasGeneration: true, isInAll: true, selectableFields: "status.replicas" },
  "discovery.k8s.io/endpointslices": { hasGeneration: true },
  "coordination.k8s.io/leases": { mayUpdateBlindly: false },
  "argoproj.io/rollouts": { isInAll: true },
};

/** All kinds, core group first. */
export const KINDS: readonly Kind[] = Object.values<ResourceType>(RESOURCES)
  .map(kindOf)
  .sort((a, b) => (a.type.group < b.type.group ? -1 : a.type.group > b.type.group ? 1 : 0));

/**
 * Of these there are none, and they are not in the discovery; a list or a watch is answered all the same. Argo's kubectl plugin looks at
 * Deployments beside Rollouts with every command, and prints each 404.
 */
const ABSENT: readonly Kind[] = [
  kindOf({
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    shortNames: [],
    isNamespaced: true,
    subresources: [],
  }),
];

const BY_PATH: ReadonlyMap<string, Kind> = new Map(
  [...KINDS, ...ABSENT].map((kind) => [`${kind.type.group}/${kind.type.version}/${kind.type.plural}`, kind]),
);
const BY_ID: ReadonlyMap<string, Kind> = new Map(KINDS.map((kind) => [kind.id, kind]));

/** Whether there are no objects of the kind, and cannot be. */
export function isAbsent(kind: Kind): boolean {
  return ABSENT.includes(kind);
}

/** The kind served under a group, version and plural. */
export function findKind(group: string, version: string, plural: string): Kind | undefined {
  return BY_PATH.get(`${group}/${version}/${plural}`);
}

/** The kind stored under a database key; undefined for rows of a kind that this version does not serve. */
export function kindById(id: string): Kind | undefined {
  return BY_ID.get(id);
}

/** What an error message calls the object. */
export function subjectOf(kind: Kind, name: string): Subject {
  return { plural: kind.type.plural, group: kind.type.group, kind: kind.type.kind, name };
}

function kindOf(type: ResourceType): Kind {
  const id = type.group === "" ? type.plural : `${type.group}/${type.plural}`;
  const isCustom = CUSTOM_GROUPS.has(type.group);
  const extras = EXTRAS[id] ?? {};
  return {
    id,
    type,
    isCustom,
    hasGeneration: extras.hasGeneration ?? isCustom,
    mayUpdateBlindly: extras.mayUpdateBlindly ?? !isCustom,
    selectableFields: extras.selectableFields?.split(" ") ?? [],
    isInAll: extras.isInAll ?? false,
  };
}
