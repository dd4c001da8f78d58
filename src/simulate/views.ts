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
import { oncePerObject } from "../lib/once.ts";

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
  return oncePerObject((object) => read(object).value);
}
