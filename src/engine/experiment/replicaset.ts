// The ReplicaSet of an Experiment's template, as it is created, and whether one that exists still is what the template says.
import {
  apiVersionOf,
  type ExperimentTemplate,
  type KubeObject,
  type LabelSelector,
  POD_HASH_LABEL,
  podTemplateHash,
  RESOURCES,
  type ReplicaSet,
  semanticallyEqualTemplates,
} from "../../api/api.ts";
import { isObject, jsonEqual } from "../../lib/json.ts";
import {
  type ExperimentContext,
  experimentReference,
  rawPodTemplate,
  templateAnnotations,
} from "./context.ts";

/** `<experiment>-<template>`; with a number behind it where that name is taken. */
export function templateReplicaSetName(
  { name }: ExperimentContext,
  template: ExperimentTemplate,
  collisionCount: number | undefined,
): string {
  const base = `${name}-${template.name}`;
  return collisionCount === undefined ? base : `${base}-${collisionCount}`;
}

/** The object to create, with 0 pods. */
export function newTemplateReplicaSet(
  context: ExperimentContext,
  template: ExperimentTemplate,
  collisionCount: number | undefined,
): KubeObject {
  const raw = rawPodTemplate(context, template.name);
  const whole = isObject(raw) ? raw : {};
  const metadata = isObject(whole.metadata) ? whole.metadata : {};
  const { [POD_HASH_LABEL]: _, ...labels } = isObject(metadata.labels) ? metadata.labels : {};
  const annotations = templateAnnotations(context.name, template.name);
  const hashLabel = {
    [POD_HASH_LABEL]: hashOf({ ...whole, metadata: { ...metadata, labels } }, annotations, collisionCount),
  };
  const minReadySeconds = template.minReadySeconds ?? 0;
  return {
    apiVersion: apiVersionOf(RESOURCES.replicaSet),
    kind: RESOURCES.replicaSet.kind,
    metadata: {
      name: templateReplicaSetName(context, template, collisionCount),
      namespace: context.namespace,
      labels: hashLabel,
      annotations,
      ownerReferences: [experimentReference(context)],
    },
    spec: {
      replicas: 0,
      ...(minReadySeconds === 0 ? {} : { minReadySeconds }),
      selector: { ...template.selector, matchLabels: { ...template.selector.matchLabels, ...hashLabel } },
      template: { ...whole, metadata: { ...metadata, labels: { ...labels, ...hashLabel } } },
    },
  };
}

/**
 * The hash that tells these pods from all others. The names of Experiment and template have a part in it: two templates of equal pods, and a
 * template that is the stable version once more, must not share a Service's selector or a share of the traffic. With Argo they do unless
 * their labels differ.
 */
function hashOf(
  template: { readonly metadata: Readonly<Record<string, unknown>> },
  annotations: Readonly<Record<string, string>>,
  collisionCount: number | undefined,
): string {
  const { metadata } = template;
  const own = isObject(metadata.annotations) ? metadata.annotations : {};
  const salted = { ...template, metadata: { ...metadata, annotations: { ...own, ...annotations } } };
  return podTemplateHash(salted, collisionCount);
}

/** Whether the ReplicaSet runs what the template says: pods and selector, but for the hash. */
export function isSameTemplate(template: ExperimentTemplate, raw: unknown, replicaSet: ReplicaSet): boolean {
  return (
    semanticallyEqualTemplates(replicaSet.spec.template, raw) &&
    jsonEqual(withoutHash(replicaSet.spec.selector), withoutHash(template.selector))
  );
}

function withoutHash({ matchLabels = {}, matchExpressions = [] }: LabelSelector): unknown {
  const { [POD_HASH_LABEL]: _, ...labels } = matchLabels;
  return { labels, matchExpressions };
}
