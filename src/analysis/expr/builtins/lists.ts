// Builtins on lists and maps.

import { elementAt } from "../access.ts";
import { equal, mapKey } from "../equality.ts";
import { fail } from "../error.ts";
import type { Meter } from "../meter.ts";
import { compare } from "../operators.ts";
import { byteLength } from "../text.ts";
import {
  ANY_LIST,
  FLOATS,
  INT,
  INTS,
  isAssignable,
  isInteger,
  isIntegerKind,
  isList,
  isMap,
  isString,
  isUnknown,
  STRING,
  STRINGS,
  type Type,
  typeName,
  UNKNOWN,
} from "../types.ts";
import {
  GenericMap,
  GoObject,
  goType,
  isListValue,
  isMapValue,
  kindOf,
  NamedInt,
  NIL_LIST,
  toInt,
  type Value,
} from "../values.ts";
import {
  at,
  type Builtins,
  cannot,
  elementOf,
  invalid,
  one,
  overloads,
  type Rule,
  type Run,
  type RunContext,
  shownType,
} from "./builtin.ts";
import { ENTRY_STEPS } from "./maps.ts";
import { MAX_LIST_DEPTH } from "./numbers.ts";

function list(value: Value, refusal: string, { meter }: RunContext): readonly Value[] {
  if (!isListValue(value)) return fail(`${refusal} ${kindOf(value)}`);
  meter.spend(value.length);
  return value;
}

function len([value = null]: readonly Value[], { meter }: RunContext): Value {
  if (typeof value === "string") {
    meter.spendText(value.length);
    let count = value.length;
    // Each pair of surrogates is one character.
    for (let index = 0; index < value.length; index++)
      if ((value.charCodeAt(index) & 0xfc00) === 0xdc00) count--;
    return BigInt(count);
  }
  if (isListValue(value)) return BigInt(value.length);
  if (value instanceof GenericMap) return BigInt(value.entries.size);
  if (isMapValue(value)) return BigInt(keyCount(value, meter));
  return fail(`invalid argument for len (type ${goType(value)})`);
}

function typeOf([value = null]: readonly Value[]): Value {
  if (value === null) return "nil";
  if (isListValue(value)) return "array";
  if (value instanceof GenericMap || isMapValue(value)) return "map";
  if (value instanceof GoObject) return value.goType.replace("*", "");
  return typeof value === "number" ? "float" : goType(value);
}

/** An end of a list; nil instead of an error where there is none. */
function end(index: bigint): Run {
  return ([value = null], { meter }) => {
    if (value instanceof GenericMap) return value.get(index) ?? null;
    if (typeof value !== "string" && !isListValue(value)) return null;
    const length = typeof value === "string" ? byteLength(value) : value.length;
    return length === 0 ? null : elementAt(value, index, meter);
  };
}

function getType(args: readonly Type[]): Type {
  const [base, property] = args;
  if (base === undefined || property === undefined || args.length !== 2)
    return fail(`invalid number of arguments (expected 2, got ${args.length})`);
  if (isUnknown(base)) return UNKNOWN;
  if (base.kind === "array") {
    if (!isUnknown(property) && !isInteger(property)) fail(`non-integer slice index ${typeName(property)}`);
    return base.element;
  }
  if (base.kind !== "map") return fail(`type ${typeName(base)} does not support indexing`);
  const key = base.keys === "any" ? UNKNOWN : STRING;
  if (!isUnknown(property) && !isAssignable(property, key))
    fail(`cannot use ${typeName(property)} to get an element from ${typeName(base)}`);
  return base.element;
}

function get(args: readonly Value[], { meter }: RunContext): Value {
  const [from = null, key = null] = args;
  if (typeof from === "string" || isListValue(from)) {
    const length = BigInt(typeof from === "string" ? byteLength(from) : from.length);
    const index = toInt(key);
    return index >= length || index < -length ? null : elementAt(from, index, meter);
  }
  if (from instanceof GenericMap) return from.get(key) ?? null;
  if (!isMapValue(from)) return null;
  const name = mapKey(key);
  return Object.hasOwn(from, name) ? (from[name] ?? null) : null;
}

function takeType(args: readonly Type[]): Type {
  const [items, count] = args;
  if (items === undefined || count === undefined || args.length !== 2)
    return fail(`invalid number of arguments (expected 2, got ${args.length})`);
  if (!isUnknown(items) && !isList(items)) fail(`cannot take from ${shownType(items)}`);
  if (!isUnknown(count) && !isIntegerKind(count)) fail(`cannot take ${shownType(count)} elements`);
  return items;
}

function take([value = null, wanted = null]: readonly Value[], context: RunContext): Value {
  const items = list(value, "cannot take from", context);
  const count = wanted instanceof NamedInt ? wanted.value : wanted;
  if (typeof count !== "bigint") return fail(`cannot take ${kindOf(count)} elements`);
  if (count < 0n) return fail("reflect.Value.Slice: slice index out of bounds");
  return items.slice(0, count > BigInt(items.length) ? items.length : Number(count));
}

function keyCount(value: object, meter: Meter): number {
  const count = Object.keys(value).length;
  meter.spend(count * ENTRY_STEPS);
  return count;
}

function flatten(items: readonly Value[], context: RunContext, into: Value[], depth = 0): Value[] {
  if (depth > MAX_LIST_DEPTH) fail("recursion depth exceeded");
  context.meter.spend(items.length);
  for (const item of items) {
    if (isListValue(item)) flatten(item, context, into, depth + 1);
    else into.push(item);
  }
  return into;
}

function uniq([value = null]: readonly Value[], context: RunContext): Value {
  const kept: Value[] = [];
  for (const item of list(value, "cannot uniq", context))
    if (!kept.some((other) => equal(item, other, context.meter))) kept.push(item);
  return kept;
}

function concatType(args: readonly Type[]): Type {
  if (args.length === 0) fail("invalid number of arguments (expected at least 1, got 0)");
  for (const arg of args) if (!isUnknown(arg) && !isList(arg)) fail(`cannot concat ${shownType(arg)}`);
  return ANY_LIST;
}

function concat(args: readonly Value[], context: RunContext): Value {
  const joined = args.flatMap((arg) => list(arg, "cannot concat", context));
  return joined.length === 0 ? NIL_LIST : joined;
}

/** Sorted by `keys`, which stand beside `items`. */
export function sortedBy(
  items: readonly Value[],
  keys: readonly Value[],
  order: "asc" | "desc",
  meter: Meter,
): readonly Value[] {
  const key = (index: number): Value => keys[index] ?? null;
  const direction = order === "asc" ? 1 : -1;
  const indexes = items.map((_, index) => index);
  indexes.sort((a, b) => {
    meter.spend(1);
    if (compare("<", key(a), key(b), meter)) return -direction;
    return compare("<", key(b), key(a), meter) ? direction : 0;
  });
  return indexes.map((index) => items[index] ?? null);
}

function sort(args: readonly Value[], { meter }: RunContext): Value {
  const value = at(args, 0);
  const items = isListValue(value) ? value : [];
  const order = args.length > 1 ? at(args, 1) : "asc";
  if (typeof order !== "string") return fail(`sort order argument must be a string (got ${goType(order)})`);
  if (order !== "asc" && order !== "desc") return fail(`invalid order ${order}, expected asc or desc`);
  return sortedBy(items, items, order, meter);
}

const SORTABLE: readonly Type[] = [ANY_LIST, INTS, FLOATS, STRINGS];
/** The forms without an order come in another order, and the last form's error is the one shown. */
const SORTABLE_PLAIN: readonly Type[] = [ANY_LIST, FLOATS, STRINGS, INTS];

const onList = (what: string, result: (type: Type) => Type = () => ANY_LIST): Rule =>
  one(isList, cannot(what), result);

export const LIST_BUILTINS: Builtins = {
  len: {
    rule: one(
      (type) => isString(type) || isList(type) || isMap(type),
      invalid("len"),
      () => INT,
    ),
    run: len,
  },
  type: { rule: overloads("type", [[UNKNOWN], STRING]), run: typeOf },
  first: { rule: onList("get first element from", elementOf), run: end(0n) },
  last: { rule: onList("get last element from", elementOf), run: end(-1n) },
  get: { rule: { validate: getType }, run: get },
  take: { rule: { validate: takeType }, run: take },
  reverse: {
    rule: onList("reverse"),
    run: ([value = null], context) => [...list(value, "cannot reverse", context)].reverse(),
    grows: true,
  },
  uniq: { rule: onList("uniq"), run: uniq },
  concat: { rule: { validate: concatType }, run: concat, grows: true },
  flatten: {
    rule: onList("flatten"),
    run: ([value = null], context) => flatten(list(value, "cannot flatten", context), context, []),
    grows: true,
  },
  sort: {
    rule: overloads(
      "sort",
      ...SORTABLE.map((type) => [[type, STRING], ANY_LIST] as const),
      ...SORTABLE_PLAIN.map((type) => [[type], ANY_LIST] as const),
    ),
    run: sort,
    grows: true,
  },
};
