// Arithmetic and comparison: beside each operator's type rule stands what it computes.
import { fail } from "./error.ts";
import type { Meter } from "./meter.ts";
import { compareText } from "./text.ts";
import { addDuration, durationOf, isDurationValue, Moment, subtractMoments } from "./time/moment.ts";
import {
  BOOL,
  DURATION,
  FLOAT,
  goName,
  INT,
  isAssignable,
  isBool,
  isComparable,
  isDuration,
  isInteger,
  isList,
  isMap,
  isNumber,
  isString,
  isTime,
  isUnknown,
  listOf,
  mayFit,
  STRING,
  TIME,
  type Type,
  type TypeTest,
  typeName,
  UNKNOWN,
} from "./types.ts";
import { goType, isNumberValue, toFloat, type Value } from "./values.ts";

/** The type of `left operator right`; undefined when the operator does not take such operands. */
export function binaryType(operator: string, left: Type, right: Type): Type | undefined {
  const when = (is: boolean, type: Type): Type | undefined => (is ? type : undefined);
  const both = (fits: TypeTest): boolean => fits(left) && fits(right);
  switch (operator) {
    case "==":
    case "!=":
      return when(isComparable(left, right), BOOL);
    case "or":
    case "||":
    case "and":
    case "&&":
      return when(both(isBool) || mayFit(left, right, isBool), BOOL);
    case "<":
    case ">":
    case ">=":
    case "<=":
      return when(ORDERED.some((fits) => both(fits)) || mayFit(left, right, ...ORDERED), BOOL);
    case "+":
    case "-":
    case "*":
      return arithmeticType(operator, left, right);
    case "/":
    case "**":
    case "^":
      return when(both(isNumber) || mayFit(left, right, isNumber), FLOAT);
    case "%":
      return when(both(isInteger) || mayFit(left, right, isInteger), INT);
    case "in":
      return inType(left, right);
    case "matches":
      if (typeName(left) === "[]uint8" && isString(right)) return BOOL;
      return when(both(isString) || mayFit(left, right, isString), BOOL);
    case "contains":
    case "startsWith":
    case "endsWith":
      return when(both(isString) || mayFit(left, right, isString), BOOL);
    case "..":
      return when(both(isInteger) || mayFit(left, right, isInteger), listOf(INT));
    case "??":
      if (left.kind === "nil") return right;
      if (right.kind === "nil" || isAssignable(right, left)) return left;
      return UNKNOWN;
    default:
      return fail(`unknown operator (${operator})`);
  }
}

const ORDERED: readonly TypeTest[] = [isNumber, isString, isTime, isDuration];

/** What + - * take and give besides two numbers. */
const ARITHMETIC: Readonly<
  Record<string, readonly (readonly [left: TypeTest, right: TypeTest, result: Type])[]>
> = {
  "+": [
    [isString, isString, STRING],
    [isTime, isDuration, TIME],
    [isDuration, isTime, TIME],
    [isDuration, isDuration, DURATION],
  ],
  "-": [
    [isTime, isTime, DURATION],
    [isTime, isDuration, TIME],
    [isDuration, isDuration, DURATION],
  ],
  "*": [
    [isNumber, isDuration, DURATION],
    [isDuration, isNumber, DURATION],
    [isDuration, isDuration, DURATION],
  ],
};
/** With one operand unknown. */
const MAY_BE: Readonly<Record<string, readonly TypeTest[]>> = {
  "+": [isNumber, isString, isTime, isDuration],
  "-": [isNumber, isTime, isDuration],
  "*": [isNumber, isDuration],
};

function arithmeticType(operator: string, left: Type, right: Type): Type | undefined {
  if (isNumber(left) && isNumber(right)) return left.kind === "float" || right.kind === "float" ? FLOAT : INT;
  const rule = ARITHMETIC[operator]?.find(([fitsLeft, fitsRight]) => fitsLeft(left) && fitsRight(right));
  if (rule !== undefined) return rule[2];
  return mayFit(left, right, ...(MAY_BE[operator] ?? [])) ? UNKNOWN : undefined;
}

function inType(left: Type, right: Type): Type | undefined {
  if ((isString(left) || isUnknown(left)) && isTime(right)) return BOOL;
  if (isMap(right) && right.kind === "map") {
    const isKey = right.keys === "any" || isUnknown(left) || isString(left);
    if (!isKey) fail(`cannot use ${typeName(left)} as type string in map key`);
    return BOOL;
  }
  if (right.kind === "array") {
    if (!isComparable(left, right.element))
      fail(`cannot use ${typeName(left)} as type ${elementName(right.element)} in array`);
    return BOOL;
  }
  if (isUnknown(right) || (isUnknown(left) && (isString(right) || isList(right)))) return BOOL;
  return undefined;
}

const elementName = (type: Type): string => goName(type);

/** The type of `-x`, `+x`, `!x`. */
export function unaryType(operator: string, type: Type): Type {
  if (operator === "!" || operator === "not") {
    if (isBool(type) || isUnknown(type)) return BOOL;
  } else if (isNumber(type) || isUnknown(type)) {
    return type;
  }
  return fail(`invalid operation: ${operator} (mismatched type ${operandName(type)})`);
}

/** Operators look through pointers. */
export const operandName = (type: Type): string => typeName(type).replace("*", "");

/** The binary operators of arithmetic. */
export function arithmetic(operator: string, a: Value, b: Value, meter: Meter | undefined): Value {
  if (operator === "**" || operator === "^") return power(toFloat(a), toFloat(b));
  if (isNumberValue(a) && isNumberValue(b)) {
    if (operator === "/") return Number(a) / Number(b);
    if (typeof a === "bigint" && typeof b === "bigint") return integerArithmetic(operator, a, b);
    if (operator === "+") return Number(a) + Number(b);
    if (operator === "-") return Number(a) - Number(b);
    if (operator === "*") return Number(a) * Number(b);
  }
  if (operator === "+" && typeof a === "string" && typeof b === "string") {
    meter?.spendText(a.length + b.length);
    return a + b;
  }
  const value = timeArithmetic(operator, a, b);
  return value ?? fail(`invalid operation: ${goType(a)} ${operator} ${goType(b)}`);
}

function integerArithmetic(operator: string, a: bigint, b: bigint): bigint {
  const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);
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

function timeArithmetic(operator: string, a: Value, b: Value): Value | undefined {
  if (isDurationValue(a) && isDurationValue(b) && (operator === "+" || operator === "-" || operator === "*"))
    return durationOf(integerArithmetic(operator, a.value, b.value));
  switch (operator) {
    case "+":
      if (a instanceof Moment && isDurationValue(b)) return addDuration(a, b.value);
      return isDurationValue(a) && b instanceof Moment ? addDuration(b, a.value) : undefined;
    case "-":
      if (a instanceof Moment && b instanceof Moment) return subtractMoments(a, b);
      return a instanceof Moment && isDurationValue(b) ? addDuration(a, -b.value) : undefined;
    case "*": {
      const [one, other] = isDurationValue(a) ? [a, b] : [b, a];
      if (!isDurationValue(one)) return undefined;
      if (typeof other === "bigint") return durationOf(one.value * other);
      // A float makes a float of it, whatever the type check foretold.
      return typeof other === "number" ? Number(one.value) * other : undefined;
    }
    default:
      return undefined;
  }
}

/** Go's math.Pow differs from JavaScript's in one case: 1 (and -1 to an infinity) to anything is 1. */
export function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && (exponent === Infinity || exponent === -Infinity))) return 1;
  return base ** exponent;
}

/** `-x`. */
export function negate(value: Value): Value {
  if (typeof value === "bigint") return BigInt.asIntN(64, -value);
  return typeof value === "number" ? -value : fail(`invalid operation: - ${goType(value)}`);
}

/** `<`, `>`, `<=`, `>=`. */
export function compare(operator: string, a: Value, b: Value, meter: Meter): boolean {
  if (isNumberValue(a) && isNumberValue(b)) {
    // Int against int is exact; with a float on one side both are floats.
    const isExact = typeof a === "bigint" && typeof b === "bigint";
    return isExact ? holds(operator, a, b) : holds(operator, Number(a), Number(b));
  }
  if (typeof a === "string" && typeof b === "string") {
    meter.spendText(Math.min(a.length, b.length));
    return holds(operator, compareText(a, b), 0);
  }
  if (a instanceof Moment && b instanceof Moment) return holds(operator, a.ns, b.ns);
  if (isDurationValue(a) && isDurationValue(b)) return holds(operator, a.value, b.value);
  return fail(`invalid operation: ${goType(a)} ${operator} ${goType(b)}`);
}

function holds<T extends bigint | number>(operator: string, a: T, b: T): boolean {
  if (operator === "<") return a < b;
  if (operator === ">") return a > b;
  return operator === "<=" ? a <= b : a >= b;
}
