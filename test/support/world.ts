// The model of a cluster that the engine's tests work in: src/simulate/world.ts.
import {
  type AnalysisRun,
  type KubeObject,
  type ReplicaSet,
  readAnalysisRun,
  readReplicaSet,
} from "../../src/api/api.ts";

export { imagePatch, rolloutManifest, worldWith } from "../../src/simulate/manifest.ts";
export { type Acking, type Readiness, START_MS, World } from "../../src/simulate/world.ts";

/** What `readReplicaSet` gives for a stored ReplicaSet. */
export function replicaSetView(object: KubeObject): ReplicaSet {
  return readReplicaSet(object).value;
}

/** What `readAnalysisRun` gives for a stored run. */
export function runView(object: KubeObject): AnalysisRun {
  return readAnalysisRun(object).value;
}
