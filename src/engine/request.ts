// The one API call that carries out an Action: what the controller sends and what the tests' model of a cluster applies.
// Pure translation, nothing is decided here.
import {
  type KubeObject,
  MANAGED_BY_ANNOTATION,
  POD_HASH_LABEL,
  RESOURCES,
  type ResourceType,
  WORKLOAD_TYPES,
} from "../api/api.ts";
import { assertNever } from "../lib/assert.ts";
import type { Action, AnnotateReplicaSet, ScaleReplicaSet } from "./plan.ts";

export type ActionRequest =
  | { readonly verb: "create"; readonly type: ResourceType; readonly object: KubeObject }
  | {
      readonly verb: "patch";
      readonly type: ResourceType;
      readonly ref: ObjectName;
      /** JSON merge patch; preconditions are `metadata.uid` and `metadata.resourceVersion` in it. */
      readonly body: Readonly<Record<string, unknown>>;
      /** An object that is gone is no failure: there is nothing left to do. */
      readonly mayBeGone?: true;
    }
  | {
      readonly verb: "delete";
      readonly type: ResourceType;
      readonly ref: ObjectName;
      readonly uid: string;
      readonly resourceVersion?: string;
    }
  /** Asks for an eviction, which may be refused. */
  | { readonly verb: "evict"; readonly type: ResourceType; readonly ref: ObjectName; readonly uid: string };

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** The call of the API that does what `action` says. */
export function requestOf(action: Action): ActionRequest {
  const ref = { namespace: action.namespace, name: action.name };
  const patch = (type: ResourceType, body: Readonly<Record<string, unknown>>): ActionRequest => ({
    verb: "patch",
    type,
    ref,
    body,
  });
  switch (action.kind) {
    case "createReplicaSet":
      return { verb: "create", type: RESOURCES.replicaSet, object: action.object };
    case "createAnalysisRun":
      return { verb: "create", type: RESOURCES.analysisRun, object: action.object };
    case "createService":
      return { verb: "create", type: RESOURCES.service, object: action.object };
    case "createExperiment":
      return { verb: "create", type: RESOURCES.experiment, object: action.object };
    case "deleteReplicaSet": {
      const { uid, resourceVersion } = action;
      return { verb: "delete", type: RESOURCES.replicaSet, ref, uid, resourceVersion };
    }
    case "deleteAnalysisRun":
      return { verb: "delete", type: RESOURCES.analysisRun, ref, uid: action.uid };
    case "deleteService":
      return { verb: "delete", type: RESOURCES.service, ref, uid: action.uid };
    case "deleteExperiment":
      return { verb: "delete", type: RESOURCES.experiment, ref, uid: action.uid };
    case "adoptReplicaSet": {
      const { uid, resourceVersion, ownerReferences } = action;
      return patch(RESOURCES.replicaSet, { metadata: { uid, resourceVersion, ownerReferences } });
    }
    case "scaleReplicaSet": {
      const { uid, resourceVersion, annotations, replicas } = action;
      const version = resourceVersion === undefined ? {} : { resourceVersion };
      const spec = { replicas, ...followed(action) };
      return patch(RESOURCES.replicaSet, { metadata: { uid, ...version, annotations }, spec });
    }
    case "annotateReplicaSet": {
      const { uid, annotations } = action;
      const spec = followed(action);
      const body = { metadata: { uid, annotations }, ...(Object.keys(spec).length > 0 && { spec }) };
      return patch(RESOURCES.replicaSet, body);
    }
    case "selectPods": {
      const metadata = { uid: action.uid, annotations: { [MANAGED_BY_ANNOTATION]: action.managedBy } };
      const spec = { selector: { [POD_HASH_LABEL]: action.podHash } };
      return patch(RESOURCES.service, { metadata, spec });
    }
    case "terminateAnalysisRun":
      return patch(RESOURCES.analysisRun, { metadata: { uid: action.uid }, spec: { terminate: true } });
    case "terminateExperiment":
      return patch(RESOURCES.experiment, { metadata: { uid: action.uid }, spec: { terminate: true } });
    case "scaleWorkload": {
      const { uid, replicas } = action;
      return patch(WORKLOAD_TYPES.deployment, { metadata: { uid }, spec: { replicas } });
    }
    case "evictPod":
      return { verb: "evict", type: RESOURCES.pod, ref, uid: action.uid };
    case "annotateRollout":
      return patch(RESOURCES.rollout, { metadata: { uid: action.uid, annotations: action.annotations } });
    case "defaultReplicas":
      return patch(RESOURCES.rollout, { metadata: { uid: action.uid }, spec: { replicas: action.replicas } });
    case "setPodMetadata": {
      const { uid, labels, annotations } = action;
      const body = { metadata: { uid, labels, annotations } };
      return { verb: "patch", type: RESOURCES.pod, ref, body, mayBeGone: true };
    }
    default:
      return assertNever(action);
  }
}

/** What of a ReplicaSet's spec follows the Rollout, beside its size. */
function followed({
  minReadySeconds,
  template,
}: AnnotateReplicaSet | ScaleReplicaSet): Readonly<Record<string, unknown>> {
  return {
    ...(minReadySeconds !== undefined && { minReadySeconds }),
    ...(template !== undefined && { template }),
  };
}
