// Strategic merge patch for the built-in kinds: lists of objects merge by key, directives ($patch, $deleteFromPrimitiveList,
// $retainKeys, $setElementOrder) are carried out. Pure. Source of keys: patchMergeKey tags of k8s.io/api; of the directives:
// "Strategic Merge Patch" in the Kubernetes API conventions.
import { isObject, jsonEqual } from "../../lib/json.ts";
import { badRequest } from "./errors.ts";
import type { Json } from "./fields.ts";

/** Merge keys by field name, where they do not depend on the place. */
const KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  env: "name",
  volumes: "name",
  imagePullSecrets: "name",
  resourceClaims: "name",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
  conditions: "type",
  ownerReferences: "uid",
  podIPs: "ip",
  hostIPs: "ip",
};
/** Lists of plain values that merge as sets. */
const SETS: ReadonlySet<string> = new Set(["finalizers"]);

/** Applies a strategic merge patch to an object of the kind `id` (Kind.id); 400 for a directive that cannot be read. */
export function applyStrategicPatch(id: string, target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) throw badRequest("a strategic merge patch must be a JSON object");
  return mergeObject(id, isObject(target) ? target : {}, patch, []);
}

function mergeObject(id: string, target: Json, patch: Json, path: readonly string[]): Json {
  const directive = patch.$patch;
  if (directive === "replace") return plain(patch);
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge")
    throw badRequest(`unknown directive $patch: ${JSON.stringify(directive)}`);
  const merged: Record<string, unknown> = retained(target, patch.$retainKeys);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$deleteFromPrimitiveList/")) {
      const field = key.slice(key.indexOf("/") + 1);
      const gone = listOf(value, key);
      merged[field] = asList(merged[field]).filter((item) => !gone.some((other) => jsonEqual(item, other)));
    }
    if (key.startsWith("$")) continue;
    const field = [...path, key];
    if (value === null) delete merged[key];
    else if (Array.isArray(value)) merged[key] = mergeList(id, merged[key], value, field);
    else if (isObject(value)) {
      const before = merged[key];
      if (value.$patch === "delete") delete merged[key];
      else merged[key] = mergeObject(id, isObject(before) ? before : {}, value, field);
    } else merged[key] = value;
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith("$setElementOrder/")) continue;
    const field = key.slice(key.indexOf("/") + 1);
    if (Array.isArray(merged[field]))
      merged[field] = ordered(merged[field], listOf(order, key), keyOf(id, [...path, field]));
  }
  return merged;
}

function mergeList(
  id: string,
  target: unknown,
  patch: readonly unknown[],
  path: readonly string[],
): readonly unknown[] {
  const before = asList(target);
  const field = path.at(-1) ?? "";
  if (SETS.has(field))
    return [...before, ...patch.filter((item) => !before.some((other) => jsonEqual(item, other)))];
  const key = keyOf(id, path);
  if (key === undefined) return patch;
  const items = patch.filter(
    (item) => !(isObject(item) && Object.keys(item).length === 1 && item.$patch === "replace"),
  );
  const result = items.length === patch.length ? [...before] : [];
  for (const item of items) {
    if (!isObject(item)) throw badRequest(`the items of ${path.join(".")} must be objects`);
    const value = item[key];
    if (value === undefined) throw badRequest(`an item of ${path.join(".")} lacks its merge key ${key}`);
    const index = result.findIndex((other) => isObject(other) && jsonEqual(other[key], value));
    const other = result[index];
    if (item.$patch === "delete") {
      if (index >= 0) result.splice(index, 1);
    } else if (index >= 0 && isObject(other)) result[index] = mergeObject(id, other, item, path);
    else result.push(mergeObject(id, {}, item, path));
  }
  return result;
}

/** The merge key of a list; undefined for lists that are replaced whole. */
function keyOf(id: string, path: readonly string[]): string | undefined {
  const field = path.at(-1) ?? "";
  const parent = path.at(-2) ?? "";
  if (field === "ports" && id === "services" && parent === "spec") return "port";
  if (field === "ports" && (parent === "containers" || parent === "initContainers")) return "containerPort";
  if (field === "addresses" && id === "nodes") return "type";
  return KEYS[field];
}

/** Items named by `order` take its order; the others keep their place behind those they followed. */
function ordered(
  list: readonly unknown[],
  order: readonly unknown[],
  key: string | undefined,
): readonly unknown[] {
  const identity = (item: unknown): unknown => (key !== undefined && isObject(item) ? item[key] : item);
  const rank = (item: unknown): number =>
    order.findIndex((other) => jsonEqual(identity(other), identity(item)));
  const named = list.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
  const result: unknown[] = [];
  for (const item of list) result.push(rank(item) >= 0 ? named.shift() : item);
  return result;
}

function retained(target: Json, keys: unknown): Record<string, unknown> {
  if (keys === undefined) return { ...target };
  const kept = new Set(listOf(keys, "$retainKeys"));
  return Object.fromEntries(Object.entries(target).filter(([key]) => kept.has(key)));
}

/** A patch's value without directives, as it stands when nothing is merged. */
function plain(patch: Json): Json {
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith("$")));
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function listOf(value: unknown, directive: string): readonly unknown[] {
  if (!Array.isArray(value)) throw badRequest(`the directive ${directive} takes a list`);
  return value;
}
