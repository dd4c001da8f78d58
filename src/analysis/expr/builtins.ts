// What the builtins without closure compute. Arguments have passed the type check, so anything unknown there is looked at here.
import { fail } from "./error.ts";
import { byteIndexOf, byteLength, mapCase, trimText } from "./text.ts";
import {
  asText,
  compare,
  equal,
  fetch,
  floatToInt,
  formatValue,
  goType,
  isListValue,
  isMapValue,
  toInt,
  type Value,
} from "./values.ts";

/** Most characters that `repeat` may make, and the reference's bound on its count. */
const MAX_REPEAT = 1_000_000;
/** Nesting that min, max, mean, median and flatten follow. */
const MAX_LIST_DEPTH = 10_000;

type Run = (args: readonly Value[]) => Value;

/** Calls a builtin that has no closure. */
export function callBuiltin(name: string, args: readonly Value[]): Value {
  const run = BUILTINS[name] ?? fail(`function ${name} is not carried out yet`);
  return run(args);
}

const at = (args: readonly Value[], index: number): Value => args[index] ?? null;
const text = (args: readonly Value[], index: number): string => asText(at(args, index));
const isNumber = (value: Value): value is bigint | number =>
  typeof value === "bigint" || typeof value === "number";

/** Go's reflect kind, for the errors that name it. */
function kindOf(value: Value): string {
  if (value === null) return "invalid";
  if (isListValue(value)) return "slice";
  if (isMapValue(value)) return "map";
  return goType(value);
}

function list(value: Value, refusal: string): readonly Value[] {
  return isListValue(value) ? value : fail(`${refusal} ${kindOf(value)}`);
}

function len([value = null]: readonly Value[]): Value {
  if (typeof value === "string") return BigInt(Array.from(value).length);
  if (isListValue(value)) return BigInt(value.length);
  if (isMapValue(value)) return BigInt(Object.keys(value).length);
  return fail(`invalid argument for len (type ${goType(value)})`);
}

function abs([value = null]: readonly Value[]): Value {
  if (typeof value === "bigint") return value < 0n ? BigInt.asIntN(64, -value) : value;
  if (typeof value === "number") return value < 0 ? -value : value;
  return fail(`invalid argument for abs (type ${goType(value)})`);
}

function rounding(name: string, round: (value: number) => number): Run {
  return ([value = null]) =>
    isNumber(value) ? round(Number(value)) : fail(`invalid argument for ${name} (type ${goType(value)})`);
}

/** Half away from zero, by digits rather than by adding 0.5, which is wrong just below a half. */
function roundAway(value: number): number {
  const whole = Math.trunc(value);
  if (Math.abs(value - whole) < 0.5) return Object.is(whole, -0) || value < 0 ? whole || -0 : whole;
  return whole + Math.sign(value);
}

const INTEGER_TEXT = /^[+-]?\d+$/;

/** Decimal text that fits 64 bits, or undefined. */
export function parseInteger(value: string): bigint | undefined {
  if (!INTEGER_TEXT.test(value)) return undefined;
  const number = BigInt(value.startsWith("+") ? value.slice(1) : value);
  return number === BigInt.asIntN(64, number) ? number : undefined;
}

const FLOAT_TEXT = /^[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?$/;

/** Decimal or infinite float text, or undefined when it is none or out of range. */
export function parseFloatText(value: string): number | undefined {
  if (/^[+-]?(?:inf|infinity)$/i.test(value)) return value.startsWith("-") ? -Infinity : Infinity;
  if (/^nan$/i.test(value)) return Number.NaN;
  if (!FLOAT_TEXT.test(value) || value.includes("_")) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

function int([value = null]: readonly Value[]): Value {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return floatToInt(value);
  if (typeof value === "string") return parseInteger(value) ?? fail(`invalid operation: int(${value})`);
  return fail(`invalid operation: int(${goType(value)})`);
}

function float([value = null]: readonly Value[]): Value {
  if (isNumber(value)) return Number(value);
  if (typeof value === "string") return parseFloatText(value) ?? fail(`invalid operation: float(${value})`);
  return fail(`invalid operation: float(${goType(value)})`);
}

function split(args: readonly Value[]): Value {
  const whole = text(args, 0);
  const separator = text(args, 1);
  const limit = args.length > 2 ? Number(toInt(at(args, 2))) : -1;
  if (limit === 0) return [];
  const parts = separator === "" ? Array.from(whole) : whole.split(separator);
  if (limit < 0 || parts.length <= limit) return parts;
  return [...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)];
}

function replace(args: readonly Value[]): Value {
  const whole = text(args, 0);
  const old = text(args, 1);
  const by = text(args, 2);
  const limit = args.length > 3 ? Number(toInt(at(args, 3))) : -1;
  if (limit < 0) return old === "" ? ["", ...Array.from(whole), ""].join(by) : whole.split(old).join(by);
  if (old === "") {
    const chars = Array.from(whole);
    const head = chars.slice(0, limit).map((char) => by + char);
    return head.join("") + (limit > chars.length ? by : chars.slice(limit).join(""));
  }
  const parts = whole.split(old);
  const cut = parts.slice(0, limit + 1).join(by);
  return parts.length > limit + 1 ? `${cut}${old}${parts.slice(limit + 1).join(old)}` : cut;
}

function repeat(args: readonly Value[]): Value {
  const whole = text(args, 0);
  const times = toInt(at(args, 1));
  if (times < 0n) fail(`invalid argument for repeat (expected positive integer, got ${times})`);
  if (times > BigInt(MAX_REPEAT) || byteLength(whole) * Number(times) >= MAX_REPEAT)
    fail("memory budget exceeded");
  return whole.repeat(Number(times));
}

function join(args: readonly Value[]): Value {
  const items = at(args, 0);
  const glue = args.length > 1 ? text(args, 1) : "";
  if (!isListValue(items)) return fail(`invalid argument for join (type ${goType(items)})`);
  return items.map(asText).join(glue);
}

/** The numbers in the arguments, lists opened in depth. */
function numbersOf(name: string, args: readonly Value[], depth = 0): (bigint | number)[] {
  if (depth > MAX_LIST_DEPTH) fail("recursion depth exceeded");
  return args.flatMap((arg) => {
    if (isListValue(arg)) return numbersOf(name, arg, depth + 1);
    return isNumber(arg) ? [arg] : fail(`invalid argument for ${name} (type ${goType(arg)})`);
  });
}

/** The reference hands a single argument that is no number and no list back as it is. */
function extreme(name: string, operator: "<" | ">"): Run {
  return (args) => {
    const [only = null] = args;
    if (args.length === 1 && !isListValue(only) && !isNumber(only)) return only;
    let best: bigint | number | null = null;
    for (const value of numbersOf(name, args))
      if (best === null || compare(operator, best, value)) best = value;
    return best;
  };
}

function mean(args: readonly Value[]): Value {
  const numbers = numbersOf("mean", args).map(Number);
  return numbers.length === 0 ? 0 : numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}

function median(args: readonly Value[]): Value {
  const less = (a: number, b: number): number => (Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b);
  const numbers = numbersOf("median", args).map(Number).sort(less);
  const half = numbers.length >> 1;
  const upper = numbers[half] ?? 0;
  return numbers.length % 2 === 1 || numbers.length === 0 ? upper : ((numbers[half - 1] ?? 0) + upper) / 2;
}

function fromJson(args: readonly Value[]): Value {
  try {
    // JSON holds no other values than these.
    return JSON.parse(text(args, 0)) as Value;
  } catch (error) {
    return fail(`fromJSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** An end of a list; nil instead of an error where there is none. */
function end(index: bigint): Run {
  return ([value = null]) => {
    if (typeof value !== "string" && !isListValue(value)) return isMapValue(value) ? fail(END_OF_MAP) : null;
    const length = typeof value === "string" ? byteLength(value) : value.length;
    return length === 0 ? null : fetch(value, index);
  };
}
const END_OF_MAP = "reflect.Value.MapIndex: value of type int is not assignable to type string";

function get(args: readonly Value[]): Value {
  const [from = null, key = null] = args;
  if (typeof from === "string" || isListValue(from)) {
    const length = BigInt(typeof from === "string" ? byteLength(from) : from.length);
    const index = toInt(key);
    return index >= length || index < -length ? null : fetch(from, index);
  }
  return isMapValue(from) ? fetch(from, key) : null;
}

function take([value = null, count = null]: readonly Value[]): Value {
  const items = list(value, "cannot take from");
  if (typeof count !== "bigint") return fail(`cannot take ${kindOf(count)} elements`);
  if (count < 0n) return fail("reflect.Value.Slice: slice index out of bounds");
  return items.slice(0, count > BigInt(items.length) ? items.length : Number(count));
}

function entries(what: string, pick: (entry: readonly [string, Value]) => Value): Run {
  return ([value = null]) =>
    isMapValue(value) ? Object.entries(value).map(pick) : fail(`cannot get ${what} from ${kindOf(value)}`);
}

function flatten(items: readonly Value[], depth = 0): readonly Value[] {
  if (depth > MAX_LIST_DEPTH) fail("recursion depth exceeded");
  return items.flatMap((item) => (isListValue(item) ? flatten(item, depth + 1) : [item]));
}

function uniq([value = null]: readonly Value[]): Value {
  const kept: Value[] = [];
  for (const item of list(value, "cannot uniq"))
    if (!kept.some((other) => equal(item, other))) kept.push(item);
  return kept;
}

/** Sorted by `keys`, which stand beside `items`; `order` is asc or desc. */
export function sortBy(
  items: readonly Value[],
  keys: readonly Value[],
  order: Value,
  unknown: string,
): Value {
  if (order !== "asc" && order !== "desc") fail(unknown);
  const indexes = items.map((_, index) => index);
  const key = (index: number): Value => keys[index] ?? null;
  const direction = order === "asc" ? 1 : -1;
  indexes.sort((a, b) => {
    if (compare("<", key(a), key(b))) return -direction;
    return compare("<", key(b), key(a)) ? direction : 0;
  });
  return indexes.map((index) => items[index] ?? null);
}

function sort(args: readonly Value[]): Value {
  const value = at(args, 0);
  const items = isListValue(value) ? value : [];
  const order = args.length > 1 ? at(args, 1) : "asc";
  if (typeof order !== "string") return fail(`sort order argument must be a string (got ${goType(order)})`);
  return sortBy(items, items, order, `invalid order ${order}, expected asc or desc`);
}

function typeOf([value = null]: readonly Value[]): Value {
  if (value === null) return "nil";
  if (isListValue(value)) return "array";
  if (isMapValue(value)) return "map";
  return typeof value === "number" ? "float" : goType(value);
}

const BUILTINS: Readonly<Record<string, Run>> = {
  len,
  type: typeOf,
  abs,
  ceil: rounding("ceil", Math.ceil),
  floor: rounding("floor", Math.floor),
  round: rounding("round", roundAway),
  int,
  float,
  string: ([value = null]) => formatValue(value),
  trim: (args) => trimText(text(args, 0), args.length > 1 ? text(args, 1) : undefined),
  trimPrefix(args) {
    const prefix = args.length > 1 ? text(args, 1) : " ";
    return text(args, 0).startsWith(prefix) ? text(args, 0).slice(prefix.length) : text(args, 0);
  },
  trimSuffix(args) {
    const suffix = args.length > 1 ? text(args, 1) : " ";
    return text(args, 0).endsWith(suffix)
      ? text(args, 0).slice(0, text(args, 0).length - suffix.length)
      : text(args, 0);
  },
  upper: (args) => mapCase(text(args, 0), "upper"),
  lower: (args) => mapCase(text(args, 0), "lower"),
  split,
  replace,
  repeat,
  join,
  indexOf: (args) => BigInt(byteIndexOf(text(args, 0), text(args, 1))),
  lastIndexOf: (args) => BigInt(byteIndexOf(text(args, 0), text(args, 1), true)),
  hasPrefix: (args) => text(args, 0).startsWith(text(args, 1)),
  hasSuffix: (args) => text(args, 0).endsWith(text(args, 1)),
  max: extreme("max", "<"),
  min: extreme("min", ">"),
  mean,
  median,
  fromJSON: fromJson,
  first: end(0n),
  last: end(-1n),
  get,
  take,
  keys: entries("keys", ([key]) => key),
  values: entries("values", ([, value]) => value),
  reverse: ([value = null]) => list(value, "cannot reverse").toReversed(),
  uniq,
  concat: (args) => args.flatMap((arg) => list(arg, "cannot concat")),
  flatten: ([value = null]) => flatten(list(value, "cannot flatten")),
  sort,
};
