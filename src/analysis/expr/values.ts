// Run-time values and what operators do with them: integers are bigint (64 bits, wrapping), floats are number, nil is null.
// Equality has two regimes, as in the reference: lists element by element with int equal to float, maps strictly in depth.

import { fail } from "./error.ts";
import { byteAt, byteLength, byteSlice, compareText, formatFloat } from "./text.ts";

export type Value = null | boolean | bigint | number | string | readonly Value[] | ValueMap | HostFunction;
export interface ValueMap {
  readonly [key: string]: Value;
}
/** A function of the environment (isNaN, default, ...). */
export type HostFunction = (args: readonly Value[]) => Value;

export function isMapValue(value: Value): value is ValueMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isListValue(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Go's %T. */
export function goType(value: Value): string {
  if (value === null) return "<nil>";
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

/** Go's %v. */
export function formatValue(value: Value): string {
  if (value === null) return "<nil>";
  if (isListValue(value)) return `[${value.map(formatValue).join(" ")}]`;
  if (typeof value === "number") return formatFloat(value);
  if (!isMapValue(value)) return typeof value === "function" ? "func" : String(value);
  const keys = Object.keys(value).sort(compareText);
  return `map[${keys.map((key) => `${key}:${formatValue(value[key] ?? null)}`).join(" ")}]`;
}

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);
const isNumeric = (value: Value): value is bigint | number =>
  typeof value === "bigint" || typeof value === "number";

/** A bool, or the error of Go's failed type assertion. */
export function asBool(value: Value): boolean {
  return typeof value === "boolean" ? value : fail(assertion(value, "bool"));
}

/** A string, or the error of Go's failed type assertion. */
export function asText(value: Value): string {
  return typeof value === "string" ? value : fail(assertion(value, "string"));
}

function assertion(value: Value, wanted: string): string {
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
  return whole === wrap(whole) ? whole : INT64_MIN;
}

/** A float; text is none. */
export function toFloat(value: Value): number {
  return isNumeric(value) ? Number(value) : fail(`invalid operation: float(${goType(value)})`);
}

/** The binary operators of arithmetic. */
export function arithmetic(operator: string, a: Value, b: Value): Value {
  if (operator === "**" || operator === "^") return power(toFloat(a), toFloat(b));
  if (isNumeric(a) && isNumeric(b)) {
    if (operator === "/") return Number(a) / Number(b);
    if (typeof a === "bigint" && typeof b === "bigint") return integerArithmetic(operator, a, b);
    if (operator === "+") return Number(a) + Number(b);
    if (operator === "-") return Number(a) - Number(b);
    if (operator === "*") return Number(a) * Number(b);
  }
  if (operator === "+" && typeof a === "string" && typeof b === "string") return a + b;
  return fail(`invalid operation: ${goType(a)} ${operator} ${goType(b)}`);
}

function integerArithmetic(operator: string, a: bigint, b: bigint): bigint {
  switch (operator) {
    case "+":
      return wrap(a + b);
    case "-":
      return wrap(a - b);
    case "*":
      return wrap(a * b);
    default:
      return b === 0n ? fail("runtime error: integer divide by zero") : wrap(a % b);
  }
}

/** Go's math.Pow differs from JavaScript's in one case: 1 (and -1 to an infinity) to anything is 1. */
export function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && (exponent === Infinity || exponent === -Infinity))) return 1;
  return base ** exponent;
}

/** `-x`. */
export function negate(value: Value): Value {
  if (typeof value === "bigint") return wrap(-value);
  return typeof value === "number" ? -value : fail(`invalid operation: - ${goType(value)}`);
}

/** `<`, `>`, `<=`, `>=`. */
export function compare(operator: string, a: Value, b: Value): boolean {
  if (isNumeric(a) && isNumeric(b)) {
    // Int against int is exact; with a float on one side both are floats.
    const isExact = typeof a === "bigint" && typeof b === "bigint";
    return isExact ? holds(operator, a, b) : holds(operator, Number(a), Number(b));
  }
  if (typeof a === "string" && typeof b === "string") return holds(operator, compareText(a, b), 0);
  return fail(`invalid operation: ${goType(a)} ${operator} ${goType(b)}`);
}

function holds<T extends bigint | number>(operator: string, a: T, b: T): boolean {
  if (operator === "<") return a < b;
  if (operator === ">") return a > b;
  return operator === "<=" ? a <= b : a >= b;
}

/** `==`. */
export function equal(a: Value, b: Value): boolean {
  if (isNumeric(a) && isNumeric(b)) {
    if (typeof a === typeof b) return a === b;
    return Number(a) === Number(b);
  }
  if (isListValue(a) && isListValue(b))
    return a.length === b.length && a.every((item, index) => equal(item, b[index] ?? null));
  return deepEqual(a, b);
}

/** Go's reflect.DeepEqual: the same object is equal to itself whatever it holds, and 1 is not 1.0. */
function deepEqual(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (isListValue(a) && isListValue(b))
    return a.length === b.length && a.every((item, index) => deepEqual(item, b[index] ?? null));
  if (!isMapValue(a) || !isMapValue(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && deepEqual(a[key] ?? null, b[key] ?? null));
}

/** `from[key]`. */
export function fetch(from: Value, key: Value): Value {
  if (isListValue(from) || typeof from === "string") {
    const length = typeof from === "string" ? byteLength(from) : from.length;
    const wanted = toInt(key);
    const index = wanted < 0n ? BigInt(length) + wanted : wanted;
    if (index < 0n || index >= BigInt(length))
      fail(`index out of range: ${index} (array length is ${length})`);
    return typeof from === "string" ? BigInt(byteAt(from, Number(index))) : (from[Number(index)] ?? null);
  }
  if (isMapValue(from)) {
    const name = mapKey(key);
    return Object.hasOwn(from, name) ? (from[name] ?? null) : null;
  }
  return fail(`cannot fetch ${formatValue(key)} from ${goType(from)}`);
}

/** The key of a map; nil counts as the empty string. */
function mapKey(key: Value): string {
  if (key === null) return "";
  if (typeof key === "string") return key;
  return fail(`reflect.Value.MapIndex: value of type ${goType(key)} is not assignable to type string`);
}

/** `needle in haystack`. */
export function isIn(needle: Value, haystack: Value): boolean {
  if (haystack === null) return false;
  if (isListValue(haystack)) return haystack.some((item) => equal(item, needle));
  if (isMapValue(haystack)) return Object.hasOwn(haystack, mapKey(needle));
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

/** `value[from:to]`, ends clamped, negative ones counted from the end. */
export function slice(value: Value, from: Value, to: Value | undefined): Value {
  if (typeof value !== "string" && !isListValue(value)) {
    const isLengthless = to === undefined && !isMapValue(value);
    return fail(
      isLengthless ? `invalid argument for len (type ${goType(value)})` : `cannot slice ${formatValue(from)}`,
    );
  }
  const length = typeof value === "string" ? byteLength(value) : value.length;
  const clamp = (end: bigint): number => {
    const index = end < 0n ? BigInt(length) + end : end;
    return index < 0n ? 0 : index > BigInt(length) ? length : Number(index);
  };
  const end = clamp(to === undefined ? BigInt(length) : toInt(to));
  const start = Math.min(clamp(toInt(from)), end);
  return typeof value === "string" ? byteSlice(value, start, end) : value.slice(start, end);
}
