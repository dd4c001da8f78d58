// The ReplicaSet of a new version, as it is created: with 0 pods, the version in its selector and its pods' labels.
import {
  ANNOTATIONS_KEPT_OFF_REPLICA_SETS,
  apiVersionOf,
  DESIRED_REPLICAS_ANNOTATION,
  type KubeObject,
  type OwnerReference,
  POD_HASH_LABEL,
  RESOURCES,
  REVISION_ANNOTATION,
  WORKLOAD_GENERATION_ANNOTATION,
} from "../../api/api.ts";
import { isObject } from "../../lib/json.ts";
import { type Context, replicaSetName, templateOf } from "../context.ts";
import { dressed } from "./ephemeral.ts";
import { workloadGeneration } from "./workload.ts";

/** The object to create for the wanted version. */
export function newReplicaSet(context: Context, revision: number): KubeObject {
  const { rollout, podHash } = context;
  const hashLabel = { [POD_HASH_LABEL]: podHash };
  const template = templateOf(context.snapshot);
  const dressing = dressed(context, isObject(template) ? template : {});
  const whole = dressing.template;
  const metadata = isObject(whole.metadata) ? whole.metadata : {};
  const labels = { ...(isObject(metadata.labels) ? metadata.labels : {}), ...hashLabel };
  const selector = rollout.spec.selector ?? {};
  const minReadySeconds = rollout.spec.minReadySeconds ?? 0;
  return {
    apiVersion: apiVersionOf(RESOURCES.replicaSet),
    kind: RESOURCES.replicaSet.kind,
    metadata: {
      name: replicaSetName(context.name, podHash),
      namespace: context.namespace,
      labels: { ...rollout.spec.template?.metadata?.labels, ...hashLabel },
      annotations: {
        ...inheritedAnnotations(context),
        ...dressing.annotations,
        [REVISION_ANNOTATION]: String(revision),
        [DESIRED_REPLICAS_ANNOTATION]: String(context.replicas),
      },
      ownerReferences: [ownerReference(context)],
    },
    spec: {
      replicas: 0,
      ...(minReadySeconds === 0 ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, ...hashLabel } },
      template: { ...whole, metadata: { ...metadata, labels } },
    },
  };
}

/** Annotations of the Rollout that its ReplicaSets carry as well. */
export function inheritedAnnotations(context: Context): Readonly<Record<string, string>> {
  const generation = workloadGeneration(context);
  const annotations = {
    ...context.rollout.metadata.annotations,
    ...(generation === undefined ? {} : { [WORKLOAD_GENERATION_ANNOTATION]: generation }),
  };
  return Object.fromEntries(
    Object.entries(annotations).filter(([key]) => !ANNOTATIONS_KEPT_OFF_REPLICA_SETS.includes(key)),
  );
}

/** The Rollout as the controller of what it makes. */
export function ownerReference(context: Context): OwnerReference {
  return {
    apiVersion: apiVersionOf(RESOURCES.rollout),
    kind: RESOURCES.rollout.kind,
    name: context.name,
    uid: context.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}
