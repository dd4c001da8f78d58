// Builtins that run a closure over a list: shape of the call, type rule, and what they compute, side by side.

import { sortedBy } from "./builtins/lists.ts";
import { ENTRY_STEPS } from "./builtins/maps.ts";
import { fail } from "./error.ts";
import type { Meter } from "./meter.ts";
import { arithmetic } from "./operators.ts";
import { own } from "./own.ts";
import { BOOL, GROUPS, INT, listOf, type Type, UNKNOWN } from "./types.ts";
import { asBool, entriesOf, GenericMap, goType, hashKey, isListValue, type Value } from "./values.ts";

/** One run over a list, as the evaluator offers it. */
export interface Loop {
  readonly length: number;
  readonly meter: Meter;
  readonly element: (index: number) => Value;
  /** What the closure gives for an element; the element itself where there is no closure. */
  readonly call: (index: number, accumulator?: Value) => Value;
  /** What the optimizer has `filter` and `find` give for an element. */
  readonly mapped: (index: number) => Value;
  /** The argument behind the closure, evaluated now. */
  readonly extra: () => Value | undefined;
  /** Set by the optimizer: `find` errs without a hit; `count` stops at this many. */
  readonly throws: boolean;
  readonly threshold: bigint | undefined;
}

interface ClosureTypes {
  readonly collection: Type;
  readonly element: Type;
  /** Undefined where the call has no closure. */
  readonly result: Type | undefined;
}

export interface Closure {
  /** Arguments: e an expression, p a closure, ? may be left out. */
  readonly shape: readonly string[];
  /** The closure must give a bool. */
  readonly isTest: boolean;
  /** What `#name` may take besides `#`. */
  readonly pointers: Readonly<Record<string, Type>>;
  readonly type: (types: ClosureTypes) => Type;
  readonly run: (loop: Loop) => Value;
}

const NONE = {};

function test(type: (types: ClosureTypes) => Type, run: (loop: Loop) => Value, shape = ["e", "p"]): Closure {
  return { shape, isTest: true, pointers: NONE, type, run };
}

/** The first hit from either end, -1 without one. */
function search({ length, call }: Loop, isLast = false): number {
  for (let step = 0; step < length; step++) {
    const index = isLast ? length - 1 - step : step;
    if (asBool(call(index))) return index;
  }
  return -1;
}

const searching = (isLast: boolean): Closure =>
  test(
    ({ element }) => element,
    (loop) => {
      const hit = search(loop, isLast);
      if (hit >= 0) return loop.mapped(hit);
      return loop.throws ? fail("reflect: slice index out of range") : null;
    },
  );
const searchingIndex = (isLast: boolean): Closure =>
  test(
    () => INT,
    (loop) => {
      const hit = search(loop, isLast);
      return hit < 0 ? null : BigInt(hit);
    },
  );

function count({ length, call, threshold }: Loop): bigint {
  let hits = 0n;
  for (let index = 0; index < length; index++) {
    if (asBool(call(index))) hits += 1n;
    if (threshold !== undefined && hits >= threshold) break;
  }
  return hits;
}

function filter({ length, call, mapped, meter }: Loop): Value {
  const kept: Value[] = [];
  for (let index = 0; index < length; index++) if (asBool(call(index))) kept.push(mapped(index));
  meter.grow(kept.length);
  return kept;
}

function calls({ length, call }: Loop): Value[] {
  return Array.from({ length }, (_, index) => call(index));
}

function sum({ length, call, meter }: Loop): Value {
  let total: Value = 0n;
  for (let index = 0; index < length; index++) total = arithmetic("+", call(index), total, meter);
  return total;
}

function reduce({ length, element, call, extra }: Loop): Value {
  let accumulator = extra();
  let index = 0;
  if (accumulator === undefined) {
    if (length === 0) return fail("reduce of empty array with no initial value");
    accumulator = element(0);
    index = 1;
  }
  for (; index < length; index++) accumulator = call(index, accumulator);
  return accumulator;
}

function sortBy(loop: Loop): Value {
  const order = loop.extra() ?? "asc";
  if (typeof order !== "string") return fail("sortBy order argument must be a string");
  if (order !== "asc" && order !== "desc") return fail("unknown order, use asc or desc");
  const keys = calls(loop);
  const items = Array.from({ length: loop.length }, (_, index) => loop.element(index));
  const sorted = sortedBy(items, keys, order, loop.meter);
  loop.meter.grow(sorted.length);
  return sorted;
}

/** What finding an element's group costs. */
const GROUP_STEPS = 8;

function groupBy({ length, call, element, meter }: Loop): Value {
  const groups = new GenericMap("map[interface {}][]interface {}");
  const items = new Map<unknown, Value[]>();
  for (let index = 0; index < length; index++) {
    meter.spend(GROUP_STEPS);
    const key = call(index);
    const hash = hashKey(key, "hash of unhashable type:");
    const group = items.get(hash);
    if (group !== undefined) group.push(element(index));
    else {
      const created = [element(index)];
      items.set(hash, created);
      groups.entries.set(hash, [key, created]);
    }
  }
  return groups;
}

export const CLOSURES: Readonly<Record<string, Closure>> = {
  all: test(
    () => BOOL,
    ({ length, call }) => {
      for (let index = 0; index < length; index++) if (!asBool(call(index))) return false;
      return true;
    },
  ),
  none: test(
    () => BOOL,
    (loop) => search(loop) < 0,
  ),
  any: test(
    () => BOOL,
    (loop) => search(loop) >= 0,
  ),
  one: test(
    () => BOOL,
    (loop) => count(loop) === 1n,
  ),
  count: test(() => INT, count, ["e", "p?"]),
  filter: test(({ element }) => listOf(element), filter),
  find: searching(false),
  findLast: searching(true),
  findIndex: searchingIndex(false),
  findLastIndex: searchingIndex(true),
  map: {
    shape: ["e", "p"],
    isTest: false,
    pointers: { index: INT },
    type: ({ result = UNKNOWN }) => listOf(result),
    run(loop) {
      const values = calls(loop);
      loop.meter.grow(values.length);
      return values;
    },
  },
  sum: {
    shape: ["e", "p?"],
    isTest: false,
    pointers: NONE,
    type: ({ result, element }) => result ?? element,
    run: sum,
  },
  groupBy: { shape: ["e", "p"], isTest: false, pointers: NONE, type: () => GROUPS, run: groupBy },
  sortBy: {
    shape: ["e", "p", "e?"],
    isTest: false,
    pointers: NONE,
    type: ({ collection }) => collection,
    run: sortBy,
  },
  reduce: {
    shape: ["e", "p", "e?"],
    isTest: false,
    pointers: { index: INT, acc: UNKNOWN },
    type: ({ result = UNKNOWN }) => result,
    run: reduce,
  },
};

export interface Elements {
  readonly length: number;
  readonly at: (index: number) => Value;
}

/** What a closure runs over: a list, the bytes of an untyped text; a map only as long as nobody looks at an element. */
export function elementsOf(value: Value, meter: Meter): Elements {
  if (isListValue(value)) return { length: value.length, at: (index) => value[index] ?? null };
  if (typeof value === "string") {
    meter.spendText(value.length);
    const bytes = new TextEncoder().encode(value);
    return { length: bytes.length, at: (index) => BigInt(bytes[index] ?? 0) };
  }
  const entries = entriesOf(value);
  meter.spend(ENTRY_STEPS * (entries?.length ?? 0));
  if (entries !== undefined)
    return { length: entries.length, at: () => fail("reflect: call of reflect.Value.Index on map Value") };
  return fail(`reflect: call of reflect.Value.Len on ${value === null ? "zero" : goType(value)} Value`);
}

/** What `#` and `#name` stand for inside a closure: the collection's type, and the names beside the element. */
export interface ClosureScope {
  readonly collection: Type;
  readonly pointers: Readonly<Record<string, Type>>;
}

/** The type of `#` or `#name`. */
export function pointerType(name: string, closure: ClosureScope | undefined): Type {
  if (closure === undefined) return fail("cannot use pointer accessor outside predicate");
  const { collection, pointers } = closure;
  if (name === "") return collection.kind === "array" ? collection.element : UNKNOWN;
  return own(pointers, name) ?? fail(`unknown pointer #${name}`);
}
