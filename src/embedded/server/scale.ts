// The subresources that look at an object through another kind: Scale of Rollouts and ReplicaSets, Binding of pods. Pure but for bindPod.
import { apiVersionOf, type KubeObject, readReplicaSet, selectorText } from "../../api/api.ts";
import { badRequest, conflict, invalid, invalidValue } from "./errors.ts";
import { fieldAt, type Json, listAt, numberAt, objectAt, stringAt, withFields } from "./fields.ts";
import { type Kind, subjectOf } from "./kinds.ts";
import type { Stored } from "./store.ts";
import type { Writer } from "./writer.ts";

/** An object as autoscaling/v1 Scale. Rollouts keep count and selector where their CRD says: status.HPAReplicas, status.selector. */
export function scaleOf(kind: Kind, object: KubeObject): Json {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const isRollout = kind.id === "argoproj.io/rollouts";
  const selector = isRollout
    ? (stringAt(object, "status.selector") ?? "")
    : selectorText(readReplicaSet(object).value.spec.selector);
  const replicas = numberAt(object, isRollout ? "status.HPAReplicas" : "status.replicas") ?? 0;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(object, "spec.replicas") ?? (isRollout ? 1 : 0) },
    status: { replicas, ...(selector === "" ? {} : { selector }) },
  };
}

/** `current` with the replica count of a Scale; a resourceVersion in the Scale holds for the object. */
export function withScale(kind: Kind, current: KubeObject, scale: unknown): Json {
  const replicas = fieldAt(scale, "spec.replicas") ?? 0;
  const { name } = current.metadata;
  if (!(Number.isInteger(replicas) && Number(replicas) >= 0))
    throw invalid({ ...subjectOf(kind, name), kind: "Scale", group: "autoscaling" }, [
      invalidValue("spec.replicas", replicas, "must be greater than or equal to 0"),
    ]);
  const given = stringAt(scale, "metadata.name") ?? name;
  if (given !== name)
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
  const resourceVersion = stringAt(scale, "metadata.resourceVersion") ?? current.metadata.resourceVersion;
  return {
    ...current,
    apiVersion: apiVersionOf(kind.type),
    metadata: { ...current.metadata, resourceVersion },
    spec: { ...objectAt(current, "spec"), replicas },
  };
}

/** Puts a pod on a node, once. */
export function bindPod(writer: Writer, kind: Kind, namespace: string, name: string, body: Json): Stored {
  const nodeName = stringAt(body, "target.name");
  if (nodeName === undefined || nodeName === "") throw badRequest("target.name must name a node");
  const bound = writer.update(kind, namespace, name, "main", (current) => {
    const before = stringAt(current, "spec.nodeName") ?? "";
    if (before !== "")
      throw conflict(
        subjectOf(kind, name),
        `pod ${name} is already assigned to node ${JSON.stringify(before)}`,
      );
    return { ...current, spec: { ...objectAt(current, "spec"), nodeName } };
  });
  const { creationTimestamp } = bound.object.metadata;
  const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: creationTimestamp };
  return writer.update(kind, namespace, name, "status", (current) => {
    const others = listAt(current, "status.conditions").filter(
      (item) => stringAt(item, "type") !== "PodScheduled",
    );
    return {
      ...current,
      status: withFields(objectAt(current, "status"), { conditions: [...others, scheduled] }),
    };
  });
}
