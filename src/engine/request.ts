// The one API call that carries out an Action: what the controller sends and what the tests' model of a cluster applies.
// Pure translation, nothing is decided here.
import {
  type KubeObject,
  MANAGED_BY_ANNOTATION,
  POD_HASH_LABEL,
  RESOURCES,
  type ResourceType,
} from "../api/api.ts";
import { assertNever } from "../lib/assert.ts";
import type { Action } from "./plan.ts";

export type ActionRequest =
  | { readonly verb: "create"; readonly type: ResourceType; readonly object: KubeObject }
  | {
      readonly verb: "patch";
      readonly type: ResourceType;
      readonly ref: ObjectName;
      /** JSON merge patch; preconditions are `metadata.uid` and `metadata.resourceVersion` in it. */
      readonly body: Readonly<Record<string, unknown>>;
    }
  | {
      readonly verb: "delete";
      readonly type: ResourceType;
      readonly ref: ObjectName;
      readonly uid: string;
      readonly resourceVersion?: string;
    };

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** The call of the API that does what `action` says. */
export function requestOf(action: Action): ActionRequest {
  const ref = { namespace: action.namespace, name: action.name };
  switch (action.kind) {
    case "createReplicaSet":
      return { verb: "create", type: RESOURCES.replicaSet, object: action.object };
    case "createAnalysisRun":
      return { verb: "create", type: RESOURCES.analysisRun, object: action.object };
    case "deleteReplicaSet": {
      const { uid, resourceVersion } = action;
      return { verb: "delete", type: RESOURCES.replicaSet, ref, uid, resourceVersion };
    }
    case "deleteAnalysisRun":
      return { verb: "delete", type: RESOURCES.analysisRun, ref, uid: action.uid };
    case "adoptReplicaSet": {
      const { uid, resourceVersion, ownerReferences } = action;
      return {
        verb: "patch",
        type: RESOURCES.replicaSet,
        ref,
        body: { metadata: { uid, resourceVersion, ownerReferences } },
      };
    }
    case "scaleReplicaSet": {
      const { uid, resourceVersion, annotations, replicas, minReadySeconds } = action;
      const metadata = {
        uid,
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        annotations,
      };
      const spec = { replicas, ...(minReadySeconds === undefined ? {} : { minReadySeconds }) };
      return { verb: "patch", type: RESOURCES.replicaSet, ref, body: { metadata, spec } };
    }
    case "annotateReplicaSet": {
      const { uid, annotations, minReadySeconds } = action;
      const spec = minReadySeconds === undefined ? {} : { spec: { minReadySeconds } };
      return {
        verb: "patch",
        type: RESOURCES.replicaSet,
        ref,
        body: { metadata: { uid, annotations }, ...spec },
      };
    }
    case "selectPods": {
      const metadata = { uid: action.uid, annotations: { [MANAGED_BY_ANNOTATION]: action.managedBy } };
      const spec = { selector: { [POD_HASH_LABEL]: action.podHash } };
      return { verb: "patch", type: RESOURCES.service, ref, body: { metadata, spec } };
    }
    case "terminateAnalysisRun":
      return {
        verb: "patch",
        type: RESOURCES.analysisRun,
        ref,
        body: { metadata: { uid: action.uid }, spec: { terminate: true } },
      };
    case "annotateRollout": {
      const { uid, annotations } = action;
      return { verb: "patch", type: RESOURCES.rollout, ref, body: { metadata: { uid, annotations } } };
    }
    case "defaultReplicas": {
      const { uid, replicas } = action;
      return { verb: "patch", type: RESOURCES.rollout, ref, body: { metadata: { uid }, spec: { replicas } } };
    }
    default:
      return assertNever(action);
  }
}
