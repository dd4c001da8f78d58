// Creating and changing objects: what the server fills in, what it ignores (status outside /status), what it refuses, and
// whether anything changed at all. One function per verb; each runs inside a transaction that the caller opened.
import { randomInt, randomUUID } from "node:crypto";
import { apiVersionOf, type KubeObject } from "../../api/api.ts";
import { isObject, jsonEqual } from "../../lib/json.ts";
import { formatTime } from "../../lib/time.ts";
import { initialStatus, withDefaults } from "./defaults.ts";
import {
  alreadyExists,
  badRequest,
  type Cause,
  conflict,
  forbidden,
  invalid,
  invalidValue,
  notFound,
} from "./errors.ts";
import { trimEvents } from "./events.ts";
import { type Json, objectAt, withFields } from "./fields.ts";
import { findKind, type Kind, subjectOf } from "./kinds.ts";
import { validateMetadata, validateMetadataChange } from "./metadata.ts";
import { isReleased, type Remover } from "./remover.ts";
import type { Store, Stored } from "./store.ts";
import { validateObject } from "./validate.ts";

/** Which part of an object a write is about. */
export type WritePart = "main" | "status";

export interface Writer {
  create(kind: Kind, namespace: string, body: unknown): Stored;
  /** Changes an object by `change`, which gets the current state. Returns the stored state, unchanged when nothing differs. */
  update(
    kind: Kind,
    namespace: string,
    name: string,
    part: WritePart,
    change: (current: KubeObject) => unknown,
  ): Stored;
}

const SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
/** Fields of metadata that only the server writes, carried over from state to state. */
const SERVER_FIELDS = [
  "name",
  "namespace",
  "uid",
  "creationTimestamp",
  "generation",
  "resourceVersion",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generateName",
] as const;

/** Builds the writer over a store. */
export function createWriter(store: Store, remover: Remover, nowMs: () => number): Writer {
  const create = (kind: Kind, namespace: string, body: unknown): Stored => {
    const given = checkShape(kind, namespace, body);
    const metadata = { ...given.metadata, name: nameFor(given.metadata) };
    const named = withDefaults(
      kind.id,
      withFields(given, { metadata: clean({ ...metadata }, kind, namespace) }),
    );
    const object = withStatus(kind, named);
    refuse(kind, object, [
      ...validateMetadata(kind, { ...object.metadata }),
      ...validateObject(kind, object, undefined),
    ]);
    if (kind.type.isNamespaced) checkNamespace(namespace, kind, object.metadata.name);
    if (store.get(kind, namespace, object.metadata.name) !== undefined)
      throw alreadyExists(subjectOf(kind, object.metadata.name));
    const stamped = {
      ...object.metadata,
      uid: randomUUID(),
      creationTimestamp: formatTime(nowMs()),
      ...(kind.hasGeneration ? { generation: 1 } : {}),
    };
    const stored = store.put(kind, { ...object, metadata: stamped }, undefined);
    if (kind.id === "events") trimEvents(store, remover, namespace);
    return stored;
  };

  const update: Writer["update"] = (kind, namespace, name, part, change) => {
    const stored = store.get(kind, namespace, name);
    if (stored === undefined) throw notFound(subjectOf(kind, name));
    const current = stored.object;
    const given = checkShape(kind, namespace, change(current));
    checkIdentity(kind, current, given);
    const next = part === "status" ? withStatusOf(kind, current, given) : withSpecOf(kind, current, given);
    refuse(kind, next, [
      ...validateMetadata(kind, { ...next.metadata }),
      ...validateMetadataChange({ ...next.metadata }, { ...current.metadata }),
      ...(part === "status" ? [] : validateObject(kind, next, current)),
    ]);
    if (jsonEqual(next, current)) return stored;
    return isReleased(next) ? remover.finish(kind, next) : store.put(kind, next, current);
  };

  const checkNamespace = (namespace: string, kind: Kind, name: string): void => {
    const namespaces = findKind("", "v1", "namespaces");
    const found = namespaces === undefined ? undefined : store.get(namespaces, "", namespace);
    if (namespaces === undefined || found === undefined)
      throw notFound({ plural: "namespaces", group: "", kind: "Namespace", name: namespace });
    if (found.object.metadata.deletionTimestamp !== undefined)
      throw forbidden(
        subjectOf(kind, name),
        `unable to create new content in namespace ${namespace} because it is being terminated`,
      );
  };

  return { create, update };
}

/** The body as an object of this kind and namespace; 400 when it is something else. */
function checkShape(kind: Kind, namespace: string, body: unknown): KubeObject {
  if (!isObject(body)) throw badRequest("the body must be a JSON object");
  const apiVersion = apiVersionOf(kind.type);
  // Typed clients leave both out for built-in kinds, where the path says them; custom resources must bring them.
  const named = kind.isCustom ? body : { apiVersion, kind: kind.type.kind, ...body };
  if (named.apiVersion !== apiVersion || named.kind !== kind.type.kind)
    throw badRequest(
      `the object provided is ${String(named.apiVersion)}, Kind=${String(named.kind)}, but this path takes ${apiVersion}, Kind=${kind.type.kind}`,
    );
  if (body.metadata !== undefined && !isObject(body.metadata)) throw badRequest("metadata must be an object");
  const metadata = objectAt(body, "metadata");
  const given = metadata.namespace ?? "";
  if (given !== "" && given !== namespace)
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  return asObject({ ...named, metadata });
}

/** JSON as an object of the API: of a body after `checkShape`, or of a stored object with other fields. */
function asObject(json: Json): KubeObject {
  // checkShape has found apiVersion, kind and metadata, stored objects have them, and withFields removes none of them; what the metadata
  // says is validated before it is stored.
  return json as unknown as KubeObject;
}

function nameFor(metadata: KubeObject["metadata"]): string {
  if (typeof metadata.name === "string" && metadata.name !== "") return metadata.name;
  if (typeof metadata.generateName !== "string" || metadata.generateName === "") return "";
  const suffix = Array.from({ length: 5 }, () => SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)]).join("");
  return `${metadata.generateName.slice(0, 58)}${suffix}`;
}

/** New metadata without what only the server may write. */
function clean(metadata: Json, kind: Kind, namespace: string): Json {
  if (typeof metadata.resourceVersion === "string" && metadata.resourceVersion !== "")
    throw badRequest("resourceVersion should not be set on objects to be created");
  return withFields(metadata, {
    namespace: kind.type.isNamespaced ? namespace : undefined,
    uid: undefined,
    resourceVersion: undefined,
    generation: undefined,
    creationTimestamp: undefined,
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
    managedFields: undefined,
    selfLink: undefined,
  });
}

function withStatus(kind: Kind, object: Json): KubeObject {
  const isSeparate = kind.type.subresources.includes("status");
  // A node registers itself with its status, as under Kubernetes.
  const status = isSeparate && kind.id !== "nodes" ? { status: initialStatus(kind.id) } : {};
  return asObject(withFields(object, status));
}

function checkIdentity(kind: Kind, current: KubeObject, given: KubeObject): void {
  const { name, uid, resourceVersion } = current.metadata;
  const subject = subjectOf(kind, name);
  if (given.metadata.name !== name)
    throw badRequest(
      `the name of the object (${given.metadata.name}) does not match the name on the URL (${name})`,
    );
  if (given.metadata.uid !== undefined && given.metadata.uid !== "" && given.metadata.uid !== uid)
    throw conflict(
      subject,
      `Precondition failed: UID in precondition: ${given.metadata.uid}, UID in object meta: ${uid}`,
    );
  const wanted = given.metadata.resourceVersion ?? "";
  if (wanted === "" && !kind.mayUpdateBlindly)
    throw invalid(subject, [invalidValue("metadata.resourceVersion", 0, "must be specified for an update")]);
  if (wanted !== "" && wanted !== resourceVersion)
    throw conflict(
      subject,
      "the object has been modified; please apply your changes to the latest version and try again",
    );
}

/** `given` with the server's own metadata of `current`. */
function withServerFields(current: KubeObject, given: Json): Json {
  const carried = Object.fromEntries(SERVER_FIELDS.map((key) => [key, current.metadata[key]]));
  return withFields(given, { ...carried, managedFields: undefined, selfLink: undefined });
}

function withSpecOf(kind: Kind, current: KubeObject, given: KubeObject): KubeObject {
  const metadata = dropEmpty(withServerFields(current, { ...given.metadata }));
  const isSeparate = kind.type.subresources.includes("status");
  const merged = withDefaults(
    kind.id,
    withFields(given, { metadata, ...(isSeparate ? { status: current.status } : {}) }),
  );
  const isSpecChanged = !jsonEqual(specOf(merged, isSeparate), specOf(current, isSeparate));
  const generation =
    kind.hasGeneration && isSpecChanged
      ? (current.metadata.generation ?? 0) + 1
      : current.metadata.generation;
  return asObject(withFields(merged, { metadata: withFields(metadata, { generation }) }));
}

function withStatusOf(kind: Kind, current: KubeObject, given: KubeObject): KubeObject {
  if (kind.isCustom) return asObject(withFields(current, { status: given.status }));
  const metadata = withFields(dropEmpty(withServerFields(current, { ...given.metadata })), {
    ownerReferences: current.metadata.ownerReferences,
  });
  return asObject(withFields(current, { metadata, status: given.status }));
}

/** What raises the generation when it changes. */
function specOf(object: Json, isStatusSeparate: boolean): Json {
  const { metadata: _metadata, apiVersion: _apiVersion, kind: _kind, ...rest } = object;
  if (!isStatusSeparate) return rest;
  const { status: _status, ...spec } = rest;
  return spec;
}

/** Empty maps and lists of metadata are as good as absent ones. */
function dropEmpty(metadata: Json): Json {
  return Object.fromEntries(
    Object.entries(metadata).filter(([key, value]) => {
      if (key === "labels" || key === "annotations") return isObject(value) && Object.keys(value).length > 0;
      if (key === "finalizers" || key === "ownerReferences") return !Array.isArray(value) || value.length > 0;
      return true;
    }),
  );
}

function refuse(kind: Kind, object: KubeObject, causes: readonly Cause[]): void {
  if (causes.length > 0) throw invalid(subjectOf(kind, String(object.metadata.name ?? "")), causes);
}
