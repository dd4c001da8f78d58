// Typed views of the model's objects, each read once: they are replaced when they change, never written to.
import {
  type KubeObject,
  readAnalysisRun,
  readAnalysisTemplate,
  readClusterAnalysisTemplate,
  readExperiment,
  readPod,
  readReplicaSet,
  readRollout,
  readService,
} from "../api/api.ts";

/** Readers that remember. */
export function createViews() {
  return {
    rollout: once(readRollout),
    replicaSet: once(readReplicaSet),
    pod: once(readPod),
    service: once(readService),
    run: once(readAnalysisRun),
    template: once(readAnalysisTemplate),
    clusterTemplate: once(readClusterAnalysisTemplate),
    experiment: once(readExperiment),
  };
}
export type Views = ReturnType<typeof createViews>;

function once<T>(read: (object: KubeObject) => { readonly value: T }): (object: KubeObject) => T {
  const known = new WeakMap<KubeObject, { readonly value: T }>();
  return (object) => {
    const found = known.get(object) ?? read(object);
    known.set(object, found);
    return found.value;
  };
}
