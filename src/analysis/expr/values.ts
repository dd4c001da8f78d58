// Run-time values: integers are bigint (64 bits, wrapping), floats are number, nil is null. What Go tells apart and JSON does not
// (times, durations, lists of another type than []interface {}, maps with any key) has a class here.
import { fail } from "./error.ts";
import type { Meter } from "./meter.ts";
import { compareText, formatFloat } from "./text.ts";

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | readonly Value[]
  | ValueMap
  | HostFunction
  | GoObject
  | GenericMap;
export interface ValueMap {
  readonly [key: string]: Value;
}
/** A function of the environment (isNaN, default, ...) or a method bound to its receiver. */
export type HostFunction = (args: readonly Value[]) => Value;

/** A value of one of Go's named types. */
export abstract class GoObject {
  abstract readonly goType: string;
  /** Go's %v. */
  abstract format(): string;
  /** What tells two values of the type apart. */
  abstract identity(): bigint | string;
}

/** A duration (in nanoseconds), month or weekday. */
export class NamedInt extends GoObject {
  readonly goType: string;
  readonly value: bigint;
  readonly #format: (value: bigint) => string;

  constructor(goType: string, value: bigint, format: (value: bigint) => string) {
    super();
    this.goType = goType;
    this.value = BigInt.asIntN(64, value);
    this.#format = format;
  }

  format(): string {
    return this.#format(this.value);
  }

  identity(): bigint {
    return this.value;
  }
}

/** A map whose keys may be anything that Go can hash. */
export class GenericMap {
  readonly goType: string;
  /** By `hashKey`. */
  readonly entries = new Map<unknown, readonly [key: Value, value: Value]>();

  constructor(goType: string) {
    this.goType = goType;
  }

  get(key: Value): Value | undefined {
    return this.entries.get(hashKey(key))?.[1];
  }

  set(key: Value, value: Value): void {
    this.entries.set(hashKey(key), [key, value]);
  }
}

/** A list whose type is not []interface {}: bytes, pairs, and the nil list. */
export class GoList extends Array<Value> {
  readonly goType: string;

  constructor(goType: string, items: Iterable<Value>) {
    super();
    this.goType = goType;
    for (const item of items) this.push(item);
  }

  /** What `map`, `slice` and their kin make is an ordinary list. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

export const BYTES_TYPE = "[]uint8";
/** The empty list that Go holds for nil: what groupBy's map gives for a key that it lacks. */
export const NIL_LIST: readonly Value[] = new GoList("[]interface {}", []);

/** Whether `??` and `?.` pass over the value. */
export function isNilValue(value: Value): boolean {
  return value === null || value === NIL_LIST;
}

/** A map with text keys. */
export function isMapValue(value: Value): value is ValueMap {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof GoObject) &&
    !(value instanceof GenericMap)
  );
}

export function isListValue(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isNumberValue(value: Value): value is bigint | number {
  return typeof value === "bigint" || typeof value === "number";
}

/** A map of either sort as pairs; undefined for anything else. */
export function entriesOf(value: Value): readonly (readonly [key: Value, value: Value])[] | undefined {
  if (value instanceof GenericMap) return [...value.entries.values()];
  return isMapValue(value) ? Object.entries(value) : undefined;
}

/** Go's %T. */
export function goType(value: Value): string {
  if (value === null) return "<nil>";
  if (value instanceof GoList || value instanceof GoObject || value instanceof GenericMap)
    return value.goType;
  if (isListValue(value)) return "[]interface {}";
  return GO_TYPES[typeof value] ?? "map[string]interface {}";
}

const GO_TYPES: Readonly<Record<string, string>> = {
  boolean: "bool",
  bigint: "int",
  number: "float64",
  string: "string",
  function: "func",
};

/** Go's reflect kind, for the errors that name it. */
export function kindOf(value: Value): string {
  if (value === null) return "invalid";
  if (isListValue(value)) return goType(value).startsWith("[2]") ? "array" : "slice";
  if (value instanceof NamedInt) return value.goType === "time.Duration" ? "int64" : "int";
  if (value instanceof GoObject) return value.goType.startsWith("*") ? "ptr" : "struct";
  return value instanceof GenericMap || isMapValue(value) ? "map" : goType(value);
}

/** Go's %v; maps by their sorted keys. */
export function formatValue(value: Value, meter: Meter): string {
  meter.spend(1);
  if (typeof value === "string") {
    meter.spendText(value.length);
    return value;
  }
  if (value === null) return "<nil>";
  if (isListValue(value)) return `[${value.map((item) => formatValue(item, meter)).join(" ")}]`;
  if (typeof value === "number") return formatFloat(value);
  if (value instanceof GoObject) return value.format();
  const entries = entriesOf(value);
  if (entries === undefined)
    return typeof value === "boolean" || typeof value === "bigint" ? `${value}` : "func";
  const shown = entries.map(([key, held]) => [formatValue(key, meter), formatValue(held, meter)] as const);
  shown.sort(([a], [b]) => compareText(a, b));
  return `map[${shown.map(([key, held]) => `${key}:${held}`).join(" ")}]`;
}

/** What stands for a key in a Map; Go tells 1 from 1.0 and never finds NaN again. */
export function hashKey(key: Value, refusal = "runtime error: hash of unhashable type"): unknown {
  if (key instanceof GoObject) return `${key.goType} ${key.identity()}`;
  if (typeof key === "object" && key !== null) return fail(`${refusal} ${goType(key)}`);
  if (Number.isNaN(key)) return Symbol("NaN");
  // Text must not meet the names that stand for objects.
  return typeof key === "string" ? `"${key}` : key;
}

/** A bool, or the error of Go's failed type assertion. */
export function asBool(value: Value): boolean {
  return typeof value === "boolean" ? value : fail(assertion(value, "bool"));
}

/** A string, or the error of Go's failed type assertion. */
export function asText(value: Value): string {
  return typeof value === "string" ? value : fail(assertion(value, "string"));
}

/** Words of Go's failed type assertion. */
export function assertion(value: Value, wanted: string): string {
  const actual = value === null ? "nil" : goType(value);
  return `interface conversion: interface {} is ${actual}, not ${wanted}`;
}

/** An integer for an index or a range end; floats are cut. */
export function toInt(value: Value): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return floatToInt(value);
  return fail(`invalid operation: int(${goType(value)})`);
}

const INT64_MIN = -(2n ** 63n);

/** Go's int64(f) on amd64: cut, and the smallest integer for what does not fit. */
export function floatToInt(value: number): bigint {
  if (!Number.isFinite(value)) return INT64_MIN;
  const whole = BigInt(Math.trunc(value));
  return whole === BigInt.asIntN(64, whole) ? whole : INT64_MIN;
}

/** A float; text is none. */
export function toFloat(value: Value): number {
  return isNumberValue(value) ? Number(value) : fail(`invalid operation: float(${goType(value)})`);
}
