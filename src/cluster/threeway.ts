// The three-way merge of `apply`: what the user applied last, what is applied now, what the server holds. Fields that left the
// manifest go, fields of the manifest win, everything else on the object stays. Lists of built-in kinds merge by key, as kubectl's
// strategic merge does; lists of other kinds are replaced whole. Pure.
import { isObject, jsonEqual } from "../lib/json.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Whether lists have merge keys (built-in kinds) or are values (custom kinds). Source: kubectl, strategic or JSON merge patch. */
export type ListMerge = "byKey" | "whole";

/** The object as it should be on the server. `last` is undefined when nothing was applied before: then nothing is deleted. */
export function mergeThreeWay(
  last: unknown,
  wanted: unknown,
  live: unknown,
  lists: ListMerge,
  field = "",
): unknown {
  if (isObject(wanted)) {
    // An object where the server holds none replaces it; nulls in it mean "not there".
    return mergeObjects(isObject(last) ? last : {}, wanted, isObject(live) ? live : {}, lists, field);
  }
  if (Array.isArray(wanted) && Array.isArray(live) && lists === "byKey") {
    const before: readonly unknown[] = Array.isArray(last) ? last : [];
    if (SETS.has(field)) return mergeSets(before, wanted, live);
    const keyOf = keyFunction(field, [...wanted, ...live]);
    if (keyOf !== undefined) return mergeLists(before, wanted, live, keyOf, field);
  }
  return wanted;
}

function mergeObjects(last: Fields, wanted: Fields, live: Fields, lists: ListMerge, field: string): Fields {
  const isRetained = lists === "byKey" && RETAIN_KEYS.has(field);
  const merged: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(live)) {
    const isForeign = wanted[key] === undefined && last[key] === undefined;
    if (isForeign && !isRetained) merged[key] = value;
  }
  for (const [key, value] of Object.entries(wanted)) {
    if (value === null || value === undefined) continue;
    const inner = mergeThreeWay(last[key], value, live[key], lists, key);
    if (inner !== undefined) merged[key] = inner;
  }
  return merged;
}

/** Merge keys of the built-in kinds' lists by field name. Source: the patchMergeKey tags of k8s.io/api. */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  ephemeralContainers: ["name"],
  env: ["name"],
  volumes: ["name"],
  imagePullSecrets: ["name"],
  secrets: ["name"],
  resourceClaims: ["name"],
  volumeMounts: ["mountPath"],
  volumeDevices: ["devicePath"],
  hostAliases: ["ip"],
  topologySpreadConstraints: ["topologyKey", "whenUnsatisfiable"],
  ownerReferences: ["uid"],
  conditions: ["type"],
};
/** Lists of plain values that merge as sets. */
const SETS: ReadonlySet<string> = new Set(["finalizers"]);
/** Objects of which exactly the keys of the manifest stay, such as the source of a volume: patchStrategy retainKeys. */
const RETAIN_KEYS: ReadonlySet<string> = new Set(["volumes", "strategy"]);

type KeyOf = (item: Fields) => string;

/** How items of the list are told apart; undefined for a list that is a value, such as args and tolerations. */
function keyFunction(field: string, items: readonly unknown[]): KeyOf | undefined {
  if (!items.every(isObject)) return undefined;
  const keys = LIST_KEYS[field];
  if (keys !== undefined) return (item) => JSON.stringify(keys.map((key) => item[key]));
  if (field !== "ports") return undefined;
  // A container's ports and a Service's; the protocol is part of the key so that 53/UDP and 53/TCP stay two.
  return (item) => JSON.stringify([item.containerPort ?? item.port, item.protocol ?? "TCP"]);
}

function mergeLists(
  last: readonly unknown[],
  wanted: readonly unknown[],
  live: readonly unknown[],
  keyOf: KeyOf,
  field: string,
): readonly unknown[] {
  const byKey = (list: readonly unknown[]): Map<string, Fields> =>
    new Map(list.filter(isObject).map((item) => [keyOf(item), item]));
  const [lastItems, wantedItems, liveItems] = [byKey(last), byKey(wanted), byKey(live)];
  const isKept = (key: string): boolean => wantedItems.has(key) || !lastItems.has(key);
  const merged = (key: string): unknown => {
    const item = wantedItems.get(key);
    return item === undefined
      ? liveItems.get(key)
      : mergeThreeWay(lastItems.get(key), item, liveItems.get(key), "byKey", field);
  };
  return orderOf([...wantedItems.keys()], [...liveItems.keys()].filter(isKept)).map(merged);
}

/**
 * The server's order where it agrees with the manifest's, with new items after the one that precedes them there, so that an item
 * that someone put between them moves nothing; the manifest's order, foreign items last, where it was rearranged.
 */
function orderOf(wanted: readonly string[], kept: readonly string[]): readonly string[] {
  const known = wanted.filter((key) => kept.includes(key));
  const isSameOrder = jsonEqual(
    known,
    kept.filter((key) => known.includes(key)),
  );
  if (!isSameOrder) return [...wanted, ...kept.filter((key) => !wanted.includes(key))];
  const order = [...kept];
  wanted.forEach((key, index) => {
    if (order.includes(key)) return;
    const before = index === 0 ? -1 : order.indexOf(wanted[index - 1] ?? "");
    order.splice(before + 1, 0, key);
  });
  return order;
}

function mergeSets(
  last: readonly unknown[],
  wanted: readonly unknown[],
  live: readonly unknown[],
): readonly unknown[] {
  const kept = live.filter((value) => wanted.includes(value) || !last.includes(value));
  return [...kept, ...wanted.filter((value) => !kept.includes(value))];
}
