// Fields, elements and slices: beside each type rule stands what it gives. Positions in text count bytes.
import { mapKey } from "./equality.ts";
import { fail } from "./error.ts";
import type { Meter } from "./meter.ts";
import { byteAt, byteLength, byteSlice } from "./text.ts";
import { methodOf, methodSignature } from "./time/methods.ts";
import {
  isAssignable,
  isInteger,
  isList,
  isString,
  isUnknown,
  STRING,
  type Type,
  typeName,
  UNKNOWN,
} from "./types.ts";
import {
  BYTES_TYPE,
  formatValue,
  GenericMap,
  GoList,
  GoObject,
  goType,
  isListValue,
  isMapValue,
  NIL_LIST,
  toInt,
  type Value,
} from "./values.ts";

/** The type of `base.name` or `base[property]`; `name` where the property is a literal text. */
export function memberType(base: Type, property: Type, name: string | undefined, isMethod: boolean): Type {
  if (isUnknown(base)) return UNKNOWN;
  if (base.kind === "nil" && name !== undefined) return fail(`type nil has no field ${name}`);
  if (base.kind === "named" && name !== undefined) {
    const signature = methodSignature(base.go, name);
    if (signature !== undefined) return { kind: "function", signature };
  }
  if (base.kind === "map") {
    const key = base.keys === "any" ? UNKNOWN : STRING;
    if (!isAssignable(property, key) && !isUnknown(property))
      fail(`cannot use ${typeName(property)} to get an element from ${typeName(base)}`);
    return base.element;
  }
  if (base.kind === "array") {
    if (!isInteger(property) && !isUnknown(property))
      fail(`array elements can only be selected using an integer (got ${typeName(property)})`);
    return base.element;
  }
  // Pointers are looked through for fields.
  const shown = typeName(base).replace("*", "");
  if (name !== undefined) fail(`type ${shown} has no ${isMethod ? "method" : "field"} ${name}`);
  return fail(`type ${shown}[${typeName(property)}] is undefined`);
}

/** Whether `base[from:to]` compiles: text and lists. */
export function checkSliced(base: Type): void {
  if (!isString(base) && !isList(base)) fail(`cannot slice ${typeName(base)}`);
}

/** `from[key]`. */
export function fetch(from: Value, key: Value, meter: Meter): Value {
  if (isListValue(from) || typeof from === "string") return elementAt(from, toInt(key), meter);
  if (from instanceof GenericMap)
    return from.get(key) ?? (from.goType.endsWith("[]interface {}") ? NIL_LIST : null);
  if (isMapValue(from)) {
    const name = mapKey(key);
    return Object.hasOwn(from, name) ? (from[name] ?? null) : null;
  }
  const method = from instanceof GoObject && typeof key === "string" ? methodOf(from, key) : undefined;
  return method ?? fail(`cannot fetch ${formatValue(key, meter)} from ${goType(from)}`);
}

/** The element at an index, from the end where it is negative. */
export function elementAt(from: string | readonly Value[], wanted: bigint, meter: Meter): Value {
  if (typeof from === "string") meter.spendText(from.length);
  const length = typeof from === "string" ? byteLength(from) : from.length;
  const index = wanted < 0n ? BigInt(length) + wanted : wanted;
  if (index < 0n || index >= BigInt(length)) fail(`index out of range: ${index} (array length is ${length})`);
  return typeof from === "string" ? BigInt(byteAt(from, Number(index))) : (from[Number(index)] ?? null);
}

/** `value[from:to]`, ends clamped, negative ones counted from the end. */
export function slice(value: Value, from: Value, to: Value | undefined, meter: Meter): Value {
  if (typeof value !== "string" && !isListValue(value)) {
    const isLengthless = to === undefined && !isMapValue(value) && !(value instanceof GenericMap);
    return fail(
      isLengthless
        ? `invalid argument for len (type ${goType(value)})`
        : `cannot slice ${formatValue(from, meter)}`,
    );
  }
  if (typeof value === "string") meter.spendText(value.length);
  const length = typeof value === "string" ? byteLength(value) : value.length;
  const clamp = (end: bigint): number => {
    const index = end < 0n ? BigInt(length) + end : end;
    return index < 0n ? 0 : index > BigInt(length) ? length : Number(index);
  };
  const end = clamp(to === undefined ? BigInt(length) : toInt(to));
  const start = Math.min(clamp(toInt(from)), end);
  if (typeof value === "string") return byteSlice(value, start, end);
  meter.spend(end - start);
  const part = value.slice(start, end);
  return value instanceof GoList && value.goType === BYTES_TYPE ? new GoList(BYTES_TYPE, part) : part;
}
