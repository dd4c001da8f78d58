// What is wrong with a bootstrap, by path: finds the innermost value that does not have the form that its field asks for. Pure.
import type { DescMessage, JsonValue } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { messageOf } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import { registry } from "./messages.ts";

/** Code of every bootstrap that is refused. */
export const BOOTSTRAP_INVALID = "WEIR_ERR_XDS_BOOTSTRAP";

/** Something that a bootstrap may not say. */
export interface Problem {
  /** Field names with dots and indexes; empty: the bootstrap as a whole. */
  readonly path: string;
  /** Continues a sentence that begins with the path. */
  readonly why: string;
}

/** Finds the innermost value that does not have the form its field asks for. */
export function locate(schema: DescMessage, json: JsonValue, at: string): Problem {
  if (isObject(json) && !schema.typeName.startsWith("google.protobuf.")) {
    for (const [key, value] of Object.entries(json)) {
      const field = schema.fields.find((one) => one.name === key || one.jsonName === key);
      if (field === undefined) continue;
      // A part of a JSON value is a JSON value.
      const part = { [key]: value } as JsonValue;
      if (problemOf(schema, part) === undefined) continue;
      const path = at === "" ? field.name : `${at}.${field.name}`;
      if (field.message === undefined) return { path, why: problemOf(schema, part) ?? "" };
      if (field.fieldKind === "message") return locateAny(field.message, value as JsonValue, path);
      if (field.fieldKind === "list" && Array.isArray(value)) {
        const items: readonly JsonValue[] = value;
        const message = field.message;
        const index = items.findIndex((item) => problemOf(message, item) !== undefined);
        if (index >= 0) return locateAny(message, items[index] ?? null, `${path}[${index}]`);
      }
      return { path, why: problemOf(schema, part) ?? "" };
    }
  }
  return { path: at, why: problemOf(schema, json) ?? "is not what proto-JSON allows here" };
}

/** As `locate`, and through an Any into what it holds. */
function locateAny(schema: DescMessage, json: JsonValue, at: string): Problem {
  if (schema.typeName !== "google.protobuf.Any" || !isObject(json)) return locate(schema, json, at);
  const { "@type": typeUrl, ...rest } = json;
  const inner =
    typeof typeUrl === "string"
      ? registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1))
      : undefined;
  // What is left of a JSON object is one.
  return inner === undefined ? locate(schema, json, at) : locate(inner, rest as JsonValue, at);
}

function problemOf(schema: DescMessage, json: JsonValue): string | undefined {
  try {
    fromJson(schema, json, { registry });
    return undefined;
  } catch (error) {
    return `has a wrong value: ${messageOf(error)}`;
  }
}
