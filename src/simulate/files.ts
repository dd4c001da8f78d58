// A model world from a user's own objects: a Rollout and what the files around it hold, with the rules that the controller holds them against.
import { fieldErrorText, type KubeObject, type Rollout, rolloutErrors, WORKLOAD_TYPES } from "../api/api.ts";
import { CAPABILITIES, routerSettingsErrors } from "../routers/routers.ts";
import { START_MS, type Store, World } from "./world.ts";

/** The namespace of objects that name none. */
export const DEFAULT_NAMESPACE = "default";

/** How long the first version is there when the script begins: versions of one second have no order, and none could be rolled back to another. */
const FIRST_MS = 1000;

/** The kinds that the model holds, and where. */
const STORES: Readonly<Record<string, Store>> = {
  Service: "services",
  AnalysisTemplate: "templates",
  ClusterAnalysisTemplate: "clusterTemplates",
  Ingress: "ingresses",
};

const WORKLOADS: ReadonlySet<string> = new Set(Object.values(WORKLOAD_TYPES).map(({ kind }) => kind));

/** The namespace of an object, with the default for what names none. */
export function namespaceOf({ metadata }: KubeObject): string {
  return metadata.namespace ?? DEFAULT_NAMESPACE;
}

/** A world in which nothing has happened yet. `objects`: all there are; those of other namespaces are left out. */
export function worldOfFiles(rollout: KubeObject, objects: readonly KubeObject[]): World {
  const namespace = namespaceOf(rollout);
  const placed = (object: KubeObject): KubeObject => ({
    ...object,
    metadata: { ...object.metadata, namespace },
  });
  const near = objects.filter(
    (object) => namespaceOf(object) === namespace || object.kind === "ClusterAnalysisTemplate",
  );
  const world = new World(placed({ ...rollout, status: {} }), START_MS - FIRST_MS);
  for (const object of near) {
    const store = STORES[object.kind];
    if (store !== undefined) world.add(store, placed(object));
    else if (WORKLOADS.has(object.kind)) world.editWorkload(placed(object));
  }
  world.validate = errorsBySpec();
  world.isOfFiles = true;
  return world;
}

/** Specs, and the annotations that are settings too, change seldom and are looked at in every pass. */
function errorsBySpec(): (rollout: Rollout) => readonly string[] {
  const known = new WeakMap<object, { readonly settings: string; readonly errors: readonly string[] }>();
  return (rollout) => {
    const settings = JSON.stringify(rollout.metadata.annotations ?? {});
    const last = known.get(rollout.spec);
    if (last?.settings === settings) return last.errors;
    const errors = errorsOf(rollout);
    known.set(rollout.spec, { settings, errors });
    return errors;
  };
}

/** Why the controller would call it InvalidSpec, whatever stands around it. */
function errorsOf(rollout: Rollout): readonly string[] {
  return [...rolloutErrors(rollout, CAPABILITIES), ...routerSettingsErrors(rollout)].map(fieldErrorText);
}
