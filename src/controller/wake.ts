// Which Rollouts and Experiments a change concerns: every event of the caches becomes keys for the work queue. Nothing else travels with a key.
import {
  controllerOf,
  type KubeObject,
  RESOURCES,
  type ResourceType,
  SERVICE_NAME_LABEL,
  servicesNamedBy,
  workloadTypeOf,
} from "../api/api.ts";
import type { StoreEvent } from "../cluster/client.ts";
import { routerObjects } from "../routers/routers.ts";
import type { Caches } from "./caches.ts";

/** Subscribes to all caches that decisions about Rollouts depend on; returns how to stop. */
export function wakeRollouts(caches: Caches, wake: (key: string) => void): () => void {
  const ofNamespace = (namespace: string | undefined, concerns: (rollout: KubeObject) => boolean): void => {
    for (const rollout of caches.rollouts.store.list(namespace)) {
      if (concerns(rollout)) wake(`${rollout.metadata.namespace}/${rollout.metadata.name}`);
    }
  };
  /** The owner; without one, whoever may adopt the object or stumble over its name. */
  const owned = ({ object }: StoreEvent): void => {
    const { namespace } = object.metadata;
    const owner = controllerOf(object);
    if (owner?.kind === RESOURCES.rollout.kind) wake(`${namespace}/${owner.name}`);
    else
      ofNamespace(
        namespace,
        (rollout) => owner === undefined || object.metadata.name.startsWith(`${rollout.metadata.name}-`),
      );
  };
  const ofService = (namespace: string | undefined, name: string): void =>
    ofNamespace(namespace, (rollout) => servicesNamedBy(caches.rollouts.read(rollout)).includes(name));
  const named = ({ object: { metadata } }: StoreEvent): void => ofService(metadata.namespace, metadata.name);
  const bound = ({ object }: StoreEvent): void => {
    const binding = caches.targetGroupBindings?.read(object);
    ofService(object.metadata.namespace, binding?.spec.serviceRef.name ?? "");
  };
  const sliced = ({ object: { metadata } }: StoreEvent): void =>
    ofService(metadata.namespace, metadata.labels?.[SERVICE_NAME_LABEL] ?? "");
  const referenced = (type: ResourceType, { metadata }: KubeObject): void => {
    ofNamespace(metadata.namespace, (rollout) => {
      const ref = caches.rollouts.read(rollout).spec.workloadRef;
      return ref?.name === metadata.name && workloadTypeOf(ref)?.kind === type.kind;
    });
  };
  /** A pod that comes, goes, or whose container began anew; readiness is told by its ReplicaSet. */
  const ofPod = (event: StoreEvent): void => {
    if (event.kind === "updated" && restartsOf(caches, event.old) === restartsOf(caches, event.object))
      return;
    const { namespace = "" } = event.object.metadata;
    const set = caches.replicaSets.get(namespace, controllerOf(event.object)?.name ?? "");
    const owner = set === undefined ? undefined : controllerOf(set);
    if (owner?.kind === RESOURCES.rollout.kind) wake(`${namespace}/${owner.name}`);
  };
  /** Whoever's routers read or write the object. */
  const routed = ({ object }: StoreEvent): void => {
    const { namespace, name } = object.metadata;
    ofNamespace(namespace, (rollout) =>
      routerObjects(caches.rollouts.read(rollout)).some(
        (one) => one.name === name && one.type.kind === object.kind,
      ),
    );
  };
  const endings = [
    caches.rollouts.subscribe(({ key }) => wake(key)),
    caches.replicaSets.subscribe(owned),
    caches.pods.subscribe(ofPod),
    caches.analysisRuns.subscribe(owned),
    caches.experiments.subscribe(owned),
    caches.services.subscribe(named),
    caches.workloads.subscribe(referenced),
    ...caches.routed.map((view) => view.subscribe(routed)),
    ...(caches.targetGroupBindings === undefined
      ? []
      : [caches.targetGroupBindings.subscribe(bound), caches.endpointSlices.subscribe(sliced)]),
    caches.analysisTemplates.subscribe(({ object }) => ofNamespace(object.metadata.namespace, () => true)),
    caches.clusterAnalysisTemplates.subscribe(() => ofNamespace(undefined, () => true)),
  ];
  return () => {
    for (const end of endings) end();
  };
}

/** Subscribes to all caches that decisions about Experiments depend on; returns how to stop. */
export function wakeExperiments(caches: Caches, wake: (key: string) => void): () => void {
  const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.name}`;
  const owned = ({ object }: StoreEvent): void => {
    const owner = controllerOf(object);
    const { namespace, name } = object.metadata;
    if (owner?.kind === RESOURCES.experiment.kind) wake(`${namespace}/${owner.name}`);
    else
      for (const experiment of caches.experiments.store.list(namespace))
        if (name.startsWith(`${experiment.metadata.name}-`)) wake(keyOf(experiment));
  };
  const all = (namespace: string | undefined): void => {
    for (const experiment of caches.experiments.store.list(namespace)) wake(keyOf(experiment));
  };
  const endings = [
    caches.experiments.subscribe(({ key }) => wake(key)),
    caches.replicaSets.subscribe(owned),
    caches.services.subscribe(owned),
    caches.analysisRuns.subscribe(owned),
    caches.analysisTemplates.subscribe(({ object }) => all(object.metadata.namespace)),
    caches.clusterAnalysisTemplates.subscribe(() => all(undefined)),
  ];
  return () => {
    for (const end of endings) end();
  };
}

/** The Experiments of the Rollout under `key`: its proxies' news concern them too. */
export function experimentsOf({ experiments, rollouts }: Caches, key: string): readonly string[] {
  const uid = rollouts.store.get(key)?.metadata.uid ?? "";
  return experiments.store.byOwner(uid).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

function restartsOf({ pods }: Caches, pod: KubeObject): number {
  const { status } = pods.read(pod);
  return (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
}
