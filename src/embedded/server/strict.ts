// The schemas of custom kinds at the server's edge. Values of a wrong type and missing fields are refused, as by a CRD. Unknown
// fields of argoproj.io kinds are refused (fieldValidation=Strict), warned of, or let pass; where they pass they are stored.
import {
  type Finding,
  formatPath,
  type KubeObject,
  type ReadableKind,
  structuralFindings,
  unknownFields,
} from "../../api/api.ts";
import { isObject } from "../../lib/json.ts";
import { badRequest, type Cause, required } from "./errors.ts";
import type { Kind } from "./kinds.ts";
import type { Query } from "./query.ts";

/** Warnings about unknown fields; throws 400 with `Strict`. */
export function checkFields(
  kind: Kind,
  body: unknown,
  validation: Query["fieldValidation"],
): readonly string[] {
  if (validation === "Ignore" || kind.type.group !== "argoproj.io" || !isObject(body)) return [];
  // The schemas' names are the kinds' names; unknownFields asks nothing of metadata.
  const found = unknownFields(kind.type.kind as ReadableKind, body as KubeObject);
  const words = found.map(({ path }) => `unknown field ${JSON.stringify(formatPath(path))}`);
  if (words.length > 0 && validation === "Strict")
    throw badRequest(`strict decoding error: ${words.join(", ")}`);
  return words;
}

/** Findings about the structure of an object, outside its metadata. */
export function validateStructure(kind: Kind, object: unknown): readonly Cause[] {
  // The schemas' names are the kinds' names.
  const { dropped, missing } = structuralFindings(kind.type.kind as ReadableKind, object);
  return [
    // Metadata has rules of its own, so have the fields of built-in kinds, and a status may come later.
    ...dropped.filter(({ path }) => path[0] !== "metadata").map(wrongType),
    ...missing
      .filter(({ path }) => kind.isCustom && path[0] === "spec")
      .map(({ path }) => required(formatPath(path))),
  ];
}

function wrongType({ path, message }: Finding): Cause {
  return { reason: "FieldValueInvalid", field: formatPath(path), message: `Invalid value: ${message}` };
}
