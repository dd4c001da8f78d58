// fieldValidation of argoproj.io kinds: fields that the schema does not know are refused (Strict), warned of, or let pass.
// They are stored in any case but Strict: unknown fields survive.
import { formatPath, type KubeObject, type ReadableKind, unknownFields } from "../../api/api.ts";
import { isObject } from "../../lib/json.ts";
import { badRequest } from "./errors.ts";
import type { Kind } from "./kinds.ts";
import type { Query } from "./query.ts";

/** Warnings about unknown fields; throws 400 with `Strict`. */
export function checkFields(
  kind: Kind,
  body: unknown,
  validation: Query["fieldValidation"],
): readonly string[] {
  if (validation === "Ignore" || kind.type.group !== "argoproj.io" || !isObject(body)) return [];
  // The schemas' names are the kinds' names; metadata was not checked yet, which unknownFields does not ask for.
  const found = unknownFields(kind.type.kind as ReadableKind, body as KubeObject);
  const words = found.map(({ path }) => `unknown field ${JSON.stringify(formatPath(path))}`);
  if (words.length > 0 && validation === "Strict")
    throw badRequest(`strict decoding error: ${words.join(", ")}`);
  return words;
}
