// Rules of metadata that hold for every kind: names, labels, annotations, owners, finalizers. Pure.
// Source: apimachinery pkg/util/validation and pkg/api/validation.
import { isObject } from "../../lib/json.ts";
import { type Cause, duplicate, forbiddenValue, invalidValue, required } from "./errors.ts";
import type { Json } from "./fields.ts";
import type { Kind } from "./kinds.ts";

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME_PART = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
/** Bound of all annotations of an object together. */
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

const SUBDOMAIN_WORDS =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com')";
const LABEL_WORDS =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc')";
const LABEL_1035_WORDS =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name', or 'abc-123')";

/** Whether `text` is a DNS-1123 label of at most 63 characters. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && LABEL.test(text);
}

/** Findings about an object's metadata. */
export function validateMetadata(kind: Kind, metadata: Json): readonly Cause[] {
  return [
    ...validateName(kind, metadata.name),
    ...validateLabels(metadata.labels, "metadata.labels"),
    ...validateAnnotations(metadata.annotations),
    ...validateOwners(metadata.ownerReferences),
    ...validateFinalizers(metadata.finalizers),
  ];
}

/** Findings about a change of metadata: nothing new may hold an object that is being deleted. */
export function validateMetadataChange(metadata: Json, before: Json): readonly Cause[] {
  if (before.deletionTimestamp === undefined) return [];
  const known = new Set(Array.isArray(before.finalizers) ? before.finalizers : []);
  const added = (Array.isArray(metadata.finalizers) ? metadata.finalizers : []).filter(
    (name) => !known.has(name),
  );
  if (added.length === 0) return [];
  const words = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
  return [forbiddenValue("metadata.finalizers", words)];
}

/** Findings about a map of labels at `field`. */
export function validateLabels(labels: unknown, field: string): readonly Cause[] {
  if (labels === undefined || labels === null) return [];
  if (!isObject(labels)) return [invalidValue(field, labels, "must be a map of strings")];
  return Object.entries(labels).flatMap(([key, value]) => {
    const causes: Cause[] = [];
    if (!isQualifiedName(key))
      causes.push(
        invalidValue(
          field,
          key,
          "name part must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain prefix and '/'",
        ),
      );
    if (typeof value !== "string" || value.length > 63 || !LABEL_VALUE.test(value))
      causes.push(
        invalidValue(
          field,
          value,
          "a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', '_' or '.'",
        ),
      );
    return causes;
  });
}

function validateName(kind: Kind, name: unknown): readonly Cause[] {
  const field = "metadata.name";
  if (typeof name !== "string" || name === "") return [required(field, "name or generateName is required")];
  if (kind.id === "services")
    return valid(LABEL_1035.test(name) && name.length <= 63, field, name, LABEL_1035_WORDS);
  if (kind.id === "namespaces") return valid(isDnsLabel(name), field, name, LABEL_WORDS);
  if (kind.id === "events")
    return valid(!/[/%]/.test(name) && name.length <= 253, field, name, SUBDOMAIN_WORDS);
  return valid(SUBDOMAIN.test(name) && name.length <= 253, field, name, SUBDOMAIN_WORDS);
}

function validateAnnotations(annotations: unknown): readonly Cause[] {
  const field = "metadata.annotations";
  if (annotations === undefined || annotations === null) return [];
  if (!isObject(annotations)) return [invalidValue(field, annotations, "must be a map of strings")];
  const causes: Cause[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    if (!isQualifiedName(key.toLowerCase())) causes.push(invalidValue(field, key, "is not a qualified name"));
    if (typeof value !== "string") causes.push(invalidValue(`${field}.${key}`, value, "must be a string"));
    else size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > MAX_ANNOTATIONS_BYTES)
    causes.push({
      reason: "FieldValueInvalid",
      field,
      message: `Too long: may not be more than ${MAX_ANNOTATIONS_BYTES} bytes`,
    });
  return causes;
}

function validateOwners(owners: unknown): readonly Cause[] {
  const field = "metadata.ownerReferences";
  if (owners === undefined || owners === null) return [];
  if (!Array.isArray(owners)) return [invalidValue(field, owners, "must be a list")];
  const causes: Cause[] = [];
  const controllers = owners.filter((owner) => isObject(owner) && owner.controller === true);
  if (controllers.length > 1)
    causes.push(invalidValue(field, owners, "Only one reference can have Controller set to true"));
  owners.forEach((owner: unknown, index) => {
    for (const key of ["apiVersion", "kind", "name", "uid"]) {
      const value = isObject(owner) ? owner[key] : undefined;
      if (typeof value !== "string" || value === "") causes.push(required(`${field}[${index}].${key}`));
    }
  });
  return causes;
}

function validateFinalizers(finalizers: unknown): readonly Cause[] {
  const field = "metadata.finalizers";
  if (finalizers === undefined || finalizers === null) return [];
  if (!Array.isArray(finalizers)) return [invalidValue(field, finalizers, "must be a list of names")];
  const causes: Cause[] = finalizers
    .filter((name) => typeof name !== "string" || !isQualifiedName(name))
    .map((name) => invalidValue(field, name, "is not a qualified name"));
  const repeated = finalizers.find((name, index) => finalizers.indexOf(name) !== index);
  return repeated === undefined ? causes : [...causes, duplicate(field, repeated)];
}

function isQualifiedName(text: string): boolean {
  const parts = text.split("/");
  const name = parts.at(-1) ?? "";
  const prefix = parts.length === 2 ? (parts[0] ?? "") : undefined;
  if (parts.length > 2 || name.length > 63 || !NAME_PART.test(name)) return false;
  return prefix === undefined || (prefix.length <= 253 && SUBDOMAIN.test(prefix));
}

function valid(holds: boolean, field: string, value: unknown, words: string): readonly Cause[] {
  return holds ? [] : [invalidValue(field, value, words)];
}
