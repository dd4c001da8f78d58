// Which Rollouts a change concerns: every event of the caches becomes keys for the work queue. Nothing else travels with a key.
import {
  canaryServicesOf,
  controllerOf,
  type KubeObject,
  RESOURCES,
  type ResourceType,
  workloadTypeOf,
} from "../api/api.ts";
import type { StoreEvent } from "../cluster/client.ts";
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
  const named = ({ object }: StoreEvent): void => {
    const { namespace, name } = object.metadata;
    ofNamespace(namespace, (rollout) => {
      const read = caches.rollouts.read(rollout);
      const { stable, canary } = canaryServicesOf(read);
      const { activeService, previewService } = read.spec.strategy?.blueGreen ?? {};
      return [stable, canary, activeService, previewService].includes(name);
    });
  };
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
  const endings = [
    caches.rollouts.subscribe(({ key }) => wake(key)),
    caches.replicaSets.subscribe(owned),
    caches.pods.subscribe(ofPod),
    caches.analysisRuns.subscribe(owned),
    caches.services.subscribe(named),
    caches.workloads.subscribe(referenced),
    caches.analysisTemplates.subscribe(({ object }) => ofNamespace(object.metadata.namespace, () => true)),
    caches.clusterAnalysisTemplates.subscribe(() => ofNamespace(undefined, () => true)),
  ];
  return () => {
    for (const end of endings) end();
  };
}

function restartsOf({ pods }: Caches, pod: KubeObject): number {
  const { status } = pods.read(pod);
  return (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
}
