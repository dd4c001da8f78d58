// The two patch formats of the Kubernetes API: JSON merge patch (RFC 7396) and JSON patch (RFC 6902). Pure; inputs stay as they are.
import { WeirError } from "./errors.ts";
import { isObject, type JsonValue, jsonEqual } from "./json.ts";

export interface JsonPatchOperation {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  /** JSON pointer (RFC 6901). */
  readonly path: string;
  readonly from?: string;
  readonly value?: JsonValue;
}

/** Code of a JSON patch that cannot be applied: a pointer that leads nowhere, or a `test` that does not hold. */
export const PATCH_FAILED = "WEIR_ERR_LIB_PATCH";

/** Applies a merge patch: null deletes, objects merge, everything else replaces. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else if (value !== undefined) merged[key] = applyMergePatch(merged[key], value);
  }
  return merged;
}

/** The merge patch that turns `before` into `after`; undefined when nothing differs. Lists are replaced whole. */
export function diffMergePatch(before: unknown, after: unknown): unknown {
  if (jsonEqual(before, after)) return undefined;
  if (!isObject(before) || !isObject(after)) return after;
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (after[key] === undefined) {
      if (before[key] !== undefined) patch[key] = null;
      continue;
    }
    const inner = diffMergePatch(before[key], after[key]);
    if (inner !== undefined) patch[key] = inner;
  }
  return patch;
}

/** Applies JSON patch operations in order; throws PATCH_FAILED and changes nothing when one of them does not apply. */
export function applyJsonPatch(target: unknown, operations: readonly JsonPatchOperation[]): unknown {
  let root = structuredClone(target);
  for (const operation of operations) root = applyOne(root, operation);
  return root;
}

function applyOne(root: unknown, operation: JsonPatchOperation): unknown {
  const path = pointer(operation.path);
  switch (operation.op) {
    case "add":
      return put(root, path, operation.value, true);
    case "replace":
      read(root, path);
      return put(root, path, operation.value, false);
    case "remove":
      return take(root, path);
    case "move": {
      const from = pointer(operation.from ?? "");
      const value = read(root, from);
      return put(take(root, from), path, value, true);
    }
    case "copy":
      return put(root, path, structuredClone(read(root, pointer(operation.from ?? ""))), true);
    case "test":
      if (jsonEqual(read(root, path), operation.value)) return root;
      throw failed(`test of ${operation.path} does not hold`);
    default:
      throw failed(`unknown operation ${JSON.stringify(operation.op)}`);
  }
}

function failed(what: string): WeirError {
  return new WeirError({
    code: PATCH_FAILED,
    source: "user",
    message: `the JSON patch does not apply: ${what}`,
  });
}

function pointer(text: string): string[] {
  if (text === "") return [];
  if (!text.startsWith("/")) throw failed(`path ${JSON.stringify(text)} does not begin with "/"`);
  return text
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function read(root: unknown, path: readonly string[]): unknown {
  let at = root;
  for (const key of path) {
    if (Array.isArray(at)) at = at[indexOf(at, key, false)];
    else if (isObject(at) && Object.hasOwn(at, key)) at = at[key];
    else throw failed(`there is nothing at /${path.join("/")}`);
  }
  return at;
}

function put(root: unknown, path: readonly string[], value: unknown, isInsert: boolean): unknown {
  const key = path.at(-1);
  if (key === undefined) return value;
  const parent = read(root, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(indexOf(parent, key, isInsert), isInsert ? 0 : 1, value);
  else if (isObject(parent)) define(parent, key, value);
  else throw failed(`the parent of /${path.join("/")} is neither object nor list`);
  return root;
}

function take(root: unknown, path: readonly string[]): unknown {
  const key = path.at(-1);
  if (key === undefined) return null;
  read(root, path);
  const parent = read(root, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(indexOf(parent, key, false), 1);
  else Reflect.deleteProperty(Object(parent), key);
  return root;
}

/** Sets an own property, also one named `__proto__`. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function indexOf(list: readonly unknown[], key: string, isInsert: boolean): number {
  if (key === "-" && isInsert) return list.length;
  const index = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : Number.NaN;
  if (!(index < list.length + (isInsert ? 1 : 0)))
    throw failed(`index ${JSON.stringify(key)} is outside the list`);
  return index;
}
