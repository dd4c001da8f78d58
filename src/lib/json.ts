// JSON values as types, and comparison, copying and freezing of them. Numbers compare by value; key order is no difference.

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Narrows to a plain object (not null, not an array). */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object, or an empty one for anything else. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

/** The entries of an object whose values are strings: a map of labels as somebody else may have written it. */
export function asStrings(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(asObject(value));
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** The object without the keys that `left` has. */
export function withoutKeys<T>(
  object: Readonly<Record<string, T>>,
  left: Readonly<Record<string, unknown>>,
): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !Object.hasOwn(left, key)));
}

/** Deep equality of JSON values; an absent key and a key with value `undefined` are equal. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => jsonEqual(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const defined = (of: Readonly<Record<string, unknown>>): string[] =>
    Object.keys(of).filter((key) => of[key] !== undefined);
  const keys = defined(a);
  return (
    keys.length === defined(b).length &&
    keys.every((key) => b[key] !== undefined && jsonEqual(a[key], b[key]))
  );
}

/** JSON text with sorted keys: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isObject(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** Freezes a JSON value in depth and returns it: what caches hand out is shared and must not be written to. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/** The value that a JSON text stands for; undefined for a text that is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the text is somebody else's: what is no JSON holds no value
  }
}
