// Builtins on numbers: conversion, rounding, extremes and means, bits.
import { fail } from "../error.ts";
import { compare } from "../operators.ts";
import { FLOAT, INT, isList, isNumeric, isString, isUnknown, type TypeTest, UNKNOWN } from "../types.ts";
import { floatToInt, goType, isListValue, isNumberValue, NamedInt, type Value } from "../values.ts";
import {
  at,
  type Builtin,
  type Builtins,
  invalid,
  one,
  overloads,
  type Rule,
  type Run,
  type RunContext,
} from "./builtin.ts";

/** Nesting that max, min, mean and median follow; the reference's is 10 000, more than the stack bears here. */
export const MAX_LIST_DEPTH = 1000;

const isTextOrNumber: TypeTest = (type) => isString(type) || isNumeric(type);

function abs([value = null]: readonly Value[]): Value {
  if (typeof value === "bigint") return value < 0n ? BigInt.asIntN(64, -value) : value;
  if (typeof value === "number") return value < 0 ? -value : value;
  return fail(`invalid argument for abs (type ${goType(value)})`);
}

function rounding(name: string, round: (value: number) => number): Builtin {
  return {
    rule: one(isNumeric, invalid(name), () => FLOAT),
    run: ([value = null]) =>
      isNumberValue(value)
        ? round(Number(value))
        : fail(`invalid argument for ${name} (type ${goType(value)})`),
  };
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
  // Leading zeros aside, longer text fits in no case; BigInt would take its time over it.
  if (!INTEGER_TEXT.test(value) || value.replace(/^[+-]?0*/, "").length > 19) return undefined;
  const number = BigInt(value.startsWith("+") ? value.slice(1) : value);
  return number === BigInt.asIntN(64, number) ? number : undefined;
}

const FLOAT_TEXT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const HEX_FLOAT_TEXT = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)$/;

/** Decimal, hexadecimal or infinite float text, or undefined when it is none or out of range. */
export function parseFloatText(value: string): number | undefined {
  if (/^[+-]?(?:inf|infinity)$/i.test(value)) return value.startsWith("-") ? -Infinity : Infinity;
  if (/^nan$/i.test(value)) return Number.NaN;
  // An underscore may stand between two digits, and after 0x.
  if (/_(?![0-9a-fA-F])|(?<![0-9a-fA-F]|0[xX])_/.test(value)) return undefined;
  const digits = value.replaceAll("_", "");
  const number = FLOAT_TEXT.test(digits) ? Number(digits) : hexFloat(digits);
  return number !== undefined && Number.isFinite(number) ? number : undefined;
}

function hexFloat(value: string): number | undefined {
  const [, sign, whole = "", fraction = "", exponent = "0"] = HEX_FLOAT_TEXT.exec(value) ?? [];
  const digits = whole + fraction;
  if (digits === "") return undefined;
  const size = Number(`0x${digits}`) * 2 ** (Number(exponent) - 4 * fraction.length);
  return sign === "-" ? -size : size;
}

function int([value = null]: readonly Value[]): Value {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return floatToInt(value);
  if (typeof value === "string") return parseInteger(value) ?? fail(`invalid operation: int(${value})`);
  if (value instanceof NamedInt) return value.value;
  return fail(`invalid operation: int(${goType(value)})`);
}

function float([value = null]: readonly Value[]): Value {
  if (isNumberValue(value)) return Number(value);
  if (typeof value === "string") return parseFloatText(value) ?? fail(`invalid operation: float(${value})`);
  return fail(`invalid operation: float(${goType(value)})`);
}

/** Numbers up to the first list or unknown, whose content is looked at when it runs. */
function aggregate(name: string): Rule {
  return {
    validate(args) {
      const [first] = args;
      if (first === undefined) return fail(`not enough arguments to call ${name}`);
      for (const arg of args) {
        if (isUnknown(arg) || isList(arg)) return UNKNOWN;
        if (!isNumeric(arg)) fail(invalid(name)(arg));
      }
      return first;
    },
  };
}

/** The numbers in the arguments, lists opened in depth. */
function numbersOf(
  args: readonly Value[],
  { meter }: RunContext,
  take: (value: Value, depth: number) => void,
  depth = 0,
): void {
  if (depth > MAX_LIST_DEPTH) fail("recursion depth exceeded");
  meter.spend(args.length);
  for (const arg of args) {
    if (isListValue(arg)) numbersOf(arg, { meter, nowMs: 0 }, take, depth + 1);
    else take(arg, depth);
  }
}

/** The reference hands a single argument that is no number and no list back as it is. */
function extreme(name: string, operator: "<" | ">"): Run {
  return (args, context) => {
    const [only = null] = args;
    if (args.length === 1 && !isListValue(only) && !isNumberValue(only)) return only;
    let best: Value = null;
    numbersOf(args, context, (value, depth) => {
      const fits = isNumberValue(value) || (depth === 0 && value instanceof NamedInt);
      if (!fits) fail(`invalid argument for ${name} (type ${goType(value)})`);
      if (best === null || compare(operator, best, value, context.meter)) best = value;
    });
    return best;
  };
}

function floatsOf(name: string, args: readonly Value[], context: RunContext): number[] {
  const floats: number[] = [];
  numbersOf(args, context, (value) => {
    if (isNumberValue(value)) floats.push(Number(value));
    else if (value instanceof NamedInt) floats.push(Number(value.value));
    else fail(`invalid argument for ${name} (type ${goType(value)})`);
  });
  return floats;
}

function mean(args: readonly Value[], context: RunContext): Value {
  const numbers = floatsOf("mean", args, context);
  return numbers.length === 0 ? 0 : numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}

function median(args: readonly Value[], context: RunContext): Value {
  const less = (a: number, b: number): number => (Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b);
  const numbers = floatsOf("median", args, context).sort(less);
  const half = numbers.length >> 1;
  const upper = numbers[half] ?? 0;
  return numbers.length % 2 === 1 || numbers.length === 0 ? upper : ((numbers[half - 1] ?? 0) + upper) / 2;
}

function bitArgument(name: string, value: Value): bigint {
  return typeof value === "bigint"
    ? value
    : fail(`cannot use ${goType(value)} as argument (type int) to call ${name}`);
}

function bits(name: string, compute: (x: bigint, y: bigint) => bigint): Builtin {
  return {
    rule: overloads(name, [[INT, INT], INT]),
    run: (args) => BigInt.asIntN(64, compute(bitArgument(name, at(args, 0)), bitArgument(name, at(args, 1)))),
  };
}

/** Places to shift by: beyond 64 nothing changes any more. */
function places(count: bigint): bigint {
  if (count < 0n) fail(`invalid operation: negative shift count ${count} (type int)`);
  return count > 64n ? 64n : count;
}

export const NUMBER_BUILTINS: Builtins = {
  abs: { rule: one(isNumeric, invalid("abs"), (type) => type), run: abs },
  ceil: rounding("ceil", Math.ceil),
  floor: rounding("floor", Math.floor),
  round: rounding("round", roundAway),
  int: { rule: one(isTextOrNumber, invalid("int"), () => INT), run: int },
  float: { rule: one(isTextOrNumber, invalid("float"), () => FLOAT), run: float },
  max: { rule: aggregate("max"), run: extreme("max", "<") },
  min: { rule: aggregate("min"), run: extreme("min", ">") },
  mean: { rule: aggregate("mean"), run: mean },
  median: { rule: aggregate("median"), run: median },
  bitand: bits("bitand", (x, y) => x & y),
  bitor: bits("bitor", (x, y) => x | y),
  bitxor: bits("bitxor", (x, y) => x ^ y),
  bitnand: bits("bitnand", (x, y) => x & ~y),
  bitshl: bits("bitshl", (x, y) => x << places(y)),
  bitshr: bits("bitshr", (x, y) => x >> places(y)),
  bitushr: bits("bitushr", (x, y) => BigInt.asUintN(64, x) >> places(y)),
  bitnot: {
    rule: overloads("bitnot", [[INT], INT]),
    run: (args) => ~bitArgument("bitnot", at(args, 0)),
  },
};
