// Rules of single kinds beyond metadata: required fields, ranges, and fields that must not change. Pure.
// Source: k8s.io/kubernetes pkg/apis/*/validation, as far as weir's kinds and their clients depend on it.
import type { KubeObject } from "../../api/api.ts";
import { isObject, jsonEqual } from "../../lib/json.ts";
import { type Cause, duplicate, forbiddenValue, invalidValue, required } from "./errors.ts";
import { fieldAt, type Json, listAt, numberAt, objectAt, stringAt } from "./fields.ts";
import type { Kind } from "./kinds.ts";
import { validateStructure } from "./strict.ts";
import { validatePod, validateTemplate } from "./validatepods.ts";

/** Findings about an object outside its metadata; `before` is undefined when it is created. */
export function validateObject(kind: Kind, object: KubeObject, before: Json | undefined): readonly Cause[] {
  // The rules below read values of the right types.
  const structure = validateStructure(kind, object);
  return structure.length > 0 ? structure : validateRules(kind, object, before);
}

function validateRules(kind: Kind, object: KubeObject, before: Json | undefined): readonly Cause[] {
  switch (kind.id) {
    case "pods":
      return validatePod(object, before);
    case "apps/replicasets":
      return validateReplicaSet(object, before);
    case "services":
      return validateService(object);
    case "configmaps":
    case "secrets":
      return validateData(kind.id, object, before);
    case "events":
      return validateEvent(object);
    case "discovery.k8s.io/endpointslices":
      return validateEndpointSlice(object, before);
    case "coordination.k8s.io/leases":
      return validateLease(object);
    case "argoproj.io/rollouts":
      return unchanged(object, before, "spec.selector");
    default:
      return [];
  }
}

function validateReplicaSet(object: KubeObject, before: Json | undefined): readonly Cause[] {
  const causes: Cause[] = [...validateReplicas(fieldAt(object, "spec.replicas"))];
  const selector = objectAt(object, "spec.selector");
  const isEmpty =
    listAt(selector, "matchExpressions").length === 0 &&
    Object.keys(objectAt(selector, "matchLabels")).length === 0;
  if (fieldAt(object, "spec.selector") === undefined) causes.push(required("spec.selector"));
  else if (isEmpty)
    causes.push(invalidValue("spec.selector", selector, "empty selector is invalid for replicaset"));
  return [...causes, ...validateTemplate(object, before), ...unchanged(object, before, "spec.selector")];
}

function validateReplicas(replicas: unknown): readonly Cause[] {
  if (replicas === undefined || (Number.isInteger(replicas) && Number(replicas) >= 0)) return [];
  return [invalidValue("spec.replicas", replicas, "must be greater than or equal to 0")];
}

function validateService(object: Json): readonly Cause[] {
  const ports = listAt(object, "spec.ports");
  const isExternal = stringAt(object, "spec.type") === "ExternalName";
  if (ports.length === 0 && !isExternal && stringAt(object, "spec.clusterIP") !== "None")
    return [required("spec.ports")];
  const causes: Cause[] =
    isExternal && stringAt(object, "spec.externalName") === undefined ? [required("spec.externalName")] : [];
  const names = new Set<unknown>();
  const numbers = new Set<string>();
  ports.forEach((port, index) => {
    const field = `spec.ports[${index}]`;
    if (!isObject(port)) {
      causes.push(invalidValue(field, port, "must be an object"));
      return;
    }
    if (!isPort(port.port))
      causes.push(invalidValue(`${field}.port`, port.port, "must be between 1 and 65535, inclusive"));
    const name = port.name ?? "";
    if (name === "" && ports.length > 1) causes.push(required(`${field}.name`));
    else if (names.has(name)) causes.push(duplicate(`${field}.name`, name));
    names.add(name);
    const key = `${String(port.protocol)} ${String(port.port)}`;
    if (numbers.has(key)) causes.push(duplicate(field, port));
    numbers.add(key);
  });
  return causes;
}

function validateData(id: string, object: Json, before: Json | undefined): readonly Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(objectAt(object, "data"))) {
    const field = `data[${key}]`;
    if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key))
      causes.push(
        invalidValue(
          field,
          key,
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        ),
      );
    if (typeof value !== "string") causes.push(invalidValue(field, value, "must be a string"));
    else if (id === "secrets" && Buffer.from(value, "base64").toString("base64") !== value)
      causes.push(invalidValue(field, "", "must be base64"));
  }
  if (before === undefined) return causes;
  if (id === "secrets") causes.push(...unchanged(object, before, "type"));
  const isFrozen = before.immutable === true;
  if (isFrozen && !(jsonEqual(object.data, before.data) && jsonEqual(object.binaryData, before.binaryData)))
    causes.push(forbiddenValue("data", "field is immutable when `immutable` is set"));
  if (isFrozen && object.immutable !== true)
    causes.push(forbiddenValue("immutable", "field is immutable when `immutable` is set"));
  return causes;
}

function validateEvent(object: Json): readonly Cause[] {
  const namespace = stringAt(object, "metadata.namespace") ?? "";
  const involved = stringAt(object, "involvedObject.namespace") ?? "";
  const expected = involved === "" ? "default" : involved;
  if (fieldAt(object, "involvedObject") === undefined) return [required("involvedObject")];
  if (involved === namespace || namespace === expected) return [];
  return [invalidValue("involvedObject.namespace", involved, "does not match event.namespace")];
}

function validateEndpointSlice(object: Json, before: Json | undefined): readonly Cause[] {
  const causes: Cause[] = [];
  const type = object.addressType;
  if (type === undefined) causes.push(required("addressType"));
  else if (type !== "IPv4" && type !== "IPv6" && type !== "FQDN")
    causes.push(invalidValue("addressType", type, 'supported values: "FQDN", "IPv4", "IPv6"'));
  listAt(object, "endpoints").forEach((endpoint, index) => {
    if (listAt(endpoint, "addresses").length === 0) causes.push(required(`endpoints[${index}].addresses`));
  });
  return [...causes, ...unchanged(object, before, "addressType")];
}

function validateLease(object: Json): readonly Cause[] {
  const causes: Cause[] = [];
  const seconds = fieldAt(object, "spec.leaseDurationSeconds");
  if (seconds !== undefined && (numberAt(object, "spec.leaseDurationSeconds") ?? 0) <= 0)
    causes.push(invalidValue("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
  return causes;
}

function unchanged(object: Json, before: Json | undefined, field: string): readonly Cause[] {
  if (before === undefined || jsonEqual(fieldAt(object, field), fieldAt(before, field))) return [];
  return [invalidValue(field, fieldAt(object, field), "field is immutable")];
}

function isPort(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}
