// Reading of raw JSON objects by dotted path, tolerant of everything that is not there or of another type.
import { isObject } from "../../lib/json.ts";

export type Json = Readonly<Record<string, unknown>>;

/** The value at `path` ("spec.template.spec"); undefined where there is none. Lists are not entered. */
export function fieldAt(object: unknown, path: string): unknown {
  let at: unknown = object;
  for (const key of path.split(".")) {
    if (!isObject(at)) return undefined;
    at = at[key];
  }
  return at;
}

export function stringAt(object: unknown, path: string): string | undefined {
  const value = fieldAt(object, path);
  return typeof value === "string" ? value : undefined;
}

export function numberAt(object: unknown, path: string): number | undefined {
  const value = fieldAt(object, path);
  return typeof value === "number" ? value : undefined;
}

/** An empty object where there is none. */
export function objectAt(object: unknown, path: string): Json {
  const value = fieldAt(object, path);
  return isObject(value) ? value : {};
}

/** An empty list where there is none. */
export function listAt(object: unknown, path: string): readonly unknown[] {
  const value = fieldAt(object, path);
  return Array.isArray(value) ? value : [];
}

/** `object` with the values of `fields` set, those that are undefined removed. */
export function withFields(object: Json, fields: Json): Json {
  const result: Record<string, unknown> = { ...object };
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) delete result[key];
    else result[key] = value;
  }
  return result;
}
