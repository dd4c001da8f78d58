// `==` and `in`. Equality has two regimes, as in the reference: lists element by element with int equal to float, everything else
// strictly and in depth. Both walk in depth, and a value may hold the same list many times over, so both count their steps.
import { fail } from "./error.ts";
import type { Meter } from "./meter.ts";
import { Moment } from "./time/moment.ts";
import {
  GenericMap,
  GoList,
  GoObject,
  goType,
  isListValue,
  isMapValue,
  isNilValue,
  isNumberValue,
  type Value,
} from "./values.ts";

/** `==`. */
export function equal(a: Value, b: Value, meter: Meter): boolean {
  meter.spend(1);
  if (isNilValue(a) && isNilValue(b)) return true;
  if (isNumberValue(a) && isNumberValue(b)) {
    if (typeof a === typeof b) return a === b;
    return Number(a) === Number(b);
  }
  if (isListValue(a) && isListValue(b) && isLoose(a) && isLoose(b))
    return a.length === b.length && a.every((item, index) => equal(item, b[index] ?? null, meter));
  return deepEqual(a, b, meter);
}

/** Lists of pairs are compared strictly, so they equal no list that a condition can spell. */
const isLoose = (value: readonly Value[]): boolean =>
  !(value instanceof GoList) || !value.goType.includes("[2]");

/** Go's reflect.DeepEqual: the same object is equal to itself whatever it holds, and 1 is not 1.0. */
function deepEqual(a: Value, b: Value, meter: Meter): boolean {
  meter.spend(1);
  if (typeof a === "string" && typeof b === "string") meter.spendText(Math.min(a.length, b.length));
  if (a === b) return true;
  if (a instanceof Moment && b instanceof Moment) return a.ns === b.ns;
  if (a instanceof GoObject && b instanceof GoObject)
    return a.goType === b.goType && a.identity() === b.identity();
  if (isListValue(a) && isListValue(b)) {
    if (goType(a) !== goType(b) || a.length !== b.length) return false;
    return a.every((item, index) => deepEqual(item, b[index] ?? null, meter));
  }
  if (a instanceof GenericMap && b instanceof GenericMap) {
    if (a.goType !== b.goType || a.entries.size !== b.entries.size) return false;
    return [...a.entries.values()].every(([key, held]) => {
      const other = b.get(key);
      return other !== undefined && deepEqual(held, other, meter);
    });
  }
  if (!isMapValue(a) || !isMapValue(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && deepEqual(a[key] ?? null, b[key] ?? null, meter));
}

/** `needle in haystack`. */
export function isIn(needle: Value, haystack: Value, meter: Meter): boolean {
  if (haystack === null) return false;
  if (isListValue(haystack)) return haystack.some((item) => equal(item, needle, meter));
  if (haystack instanceof GenericMap) return haystack.get(needle) !== undefined;
  if (isMapValue(haystack)) return Object.hasOwn(haystack, mapKey(needle));
  // A time has no exported field.
  if (haystack instanceof Moment)
    return typeof needle === "string"
      ? false
      : fail(`cannot use ${goType(needle)} as field name of ${haystack.goType}`);
  return fail(`operator "in" not defined on ${goType(haystack)}`);
}

/** `needle in [...]` where the list was made a key set. */
export function isInKeys(
  needle: Value,
  keyType: "int" | "string",
  keys: ReadonlySet<bigint | string>,
): boolean {
  if (keyType === "string") return keys.has(mapKey(needle));
  if (typeof needle === "bigint") return keys.has(needle);
  return fail(`reflect.Value.MapIndex: value of type ${goType(needle)} is not assignable to type int`);
}

/** The key of a map with text keys; nil counts as the empty string. */
export function mapKey(key: Value): string {
  if (key === null) return "";
  if (typeof key === "string") return key;
  return fail(`reflect.Value.MapIndex: value of type ${goType(key)} is not assignable to type string`);
}
