// The frame around the language: what a condition may name (`result` and six functions), and how success and failure conditions
// together make an outcome. Argo: utils/evaluate.

import { parseFloatText, parseInteger } from "./builtins.ts";
import { check } from "./check.ts";
import { ConditionError, fail } from "./error.ts";
import { evaluate } from "./evaluate.ts";
import { optimize } from "./optimize.ts";
import { parse } from "./parser.ts";
import { ANY_LIST, BOOL, FLOAT, INT64, listOf, MAP, NIL, STRING, type Type, UNKNOWN } from "./types.ts";
import { floatToInt, formatValue, goType, type Value } from "./values.ts";

/** What a provider measured, as JSON (integers may come as bigint where the provider has them). */
export type ConditionResult =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly ConditionResult[]
  | ConditionResultMap;
export interface ConditionResultMap {
  readonly [key: string]: ConditionResult;
}

export interface ConditionInput {
  /** Absent or empty: no condition of that sort. */
  readonly success?: string | undefined;
  readonly failure?: string | undefined;
  readonly result: ConditionResult;
  /** `floats`: a list of numbers that the language shall know as such (Prometheus); default: JSON, untyped below the top level. */
  readonly resultType?: "json" | "floats";
}

export type ConditionOutcome =
  | { readonly phase: "Successful" | "Failed" | "Inconclusive" }
  | { readonly phase: "Error"; readonly message: string };

/** The outcome of a measurement with this result. Never throws. */
export function evaluateCondition(input: ConditionInput): ConditionOutcome {
  const success = tryCondition("successCondition", input.success, input);
  if (success.kind === "error") return { phase: "Error", message: success.message };
  const failure = tryCondition("failureCondition", input.failure, input);
  if (failure.kind === "error") return { phase: "Error", message: failure.message };
  if (success.kind === "none" && failure.kind === "none") return { phase: "Successful" };
  const hasFailed = failure.kind === "none" ? success.kind === "false" : failure.kind === "true";
  const hasSucceeded = success.kind === "none" ? failure.kind === "false" : success.kind === "true";
  if (hasFailed) return { phase: "Failed" };
  return { phase: hasSucceeded ? "Successful" : "Inconclusive" };
}

type Tried =
  | { readonly kind: "none" | "true" | "false" }
  | { readonly kind: "error"; readonly message: string };

function tryCondition(name: string, condition: string | undefined, input: ConditionInput): Tried {
  if (condition === undefined || condition === "") return { kind: "none" };
  try {
    return { kind: isTrue(condition, input.result, input.resultType) ? "true" : "false" };
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    const isEmpty = input.result === null || (Array.isArray(input.result) && input.result.length === 0);
    const why = isEmpty
      ? "metric result is nil or empty: no data returned from the metric provider"
      : error.message;
    return { kind: "error", message: `could not evaluate ${name} "${condition}": ${why}` };
  }
}

/** Whether a condition holds for a result; throws ConditionError when it cannot be told. */
export function isTrue(
  condition: string,
  result: ConditionResult,
  resultType: "json" | "floats" = "json",
): boolean {
  const resultStaticType = typeOfResult(result, resultType);
  const tree = parse(condition, OVERRIDDEN);
  const checked = check(tree, new Map([["result", resultStaticType], ...FUNCTION_TYPES]));
  const value = evaluate(optimize(tree, checked), environmentOf(result));
  if (typeof value !== "boolean") fail(`expected bool, but got ${goType(value)}`);
  return value;
}

/** Reports what is wrong with a condition whatever it will be given: syntax, names, calls. Undefined when nothing is. */
export function conditionProblem(condition: string): string | undefined {
  try {
    check(parse(condition, OVERRIDDEN), new Map([["result", UNKNOWN], ...FUNCTION_TYPES]));
    return undefined;
  } catch (error) {
    if (error instanceof ConditionError) return error.message;
    throw error;
  }
}

function typeOfResult(result: ConditionResult, resultType: "json" | "floats"): Type {
  if (result === null) return NIL;
  if (Array.isArray(result)) return resultType === "floats" ? listOf(FLOAT) : ANY_LIST;
  return SCALAR_TYPES[typeof result] ?? MAP;
}

const SCALAR_TYPES: Readonly<Record<string, Type>> = {
  boolean: BOOL,
  string: STRING,
  number: FLOAT,
  bigint: INT64,
};

function functionType(name: string, parameters: readonly Type[], result: Type): readonly [string, Type] {
  return [name, { kind: "function", signature: { name, overloads: [{ parameters, result }] } }];
}

const FUNCTION_TYPES: readonly (readonly [string, Type])[] = [
  functionType("asInt", [UNKNOWN], INT64),
  functionType("asFloat", [UNKNOWN], FLOAT),
  functionType("isNaN", [FLOAT], BOOL),
  functionType("isInf", [FLOAT], BOOL),
  functionType("isNil", [UNKNOWN], BOOL),
  functionType("default", [UNKNOWN, UNKNOWN], UNKNOWN),
];
const OVERRIDDEN: ReadonlySet<string> = new Set(["result", ...FUNCTION_TYPES.map(([name]) => name)]);

function environmentOf(result: ConditionResult): Readonly<Record<string, Value>> {
  return {
    result,
    asInt: ([value = null]) => asInt(value),
    asFloat: ([value = null]) => asFloat(value),
    isNaN: ([value = null]) => Number.isNaN(floatOnly(value)),
    isInf: ([value = null]) => Math.abs(floatOnly(value)) === Infinity,
    // Both look at the whole result and never at their first argument: Argo's, and users' conditions rely on it.
    isNil: () => result === null,
    default: ([, otherwise = null]) => (result === null ? otherwise : result),
  };
}

function floatOnly(value: Value): number {
  if (typeof value === "number") return value;
  return fail(`interface conversion: interface {} is ${value === null ? "nil" : goType(value)}, not float64`);
}

function asInt(value: Value): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return floatToInt(value);
  if (typeof value === "string") return parseInteger(value) ?? fail(unparsable("ParseInt", value));
  return fail(`asInt() not supported on ${goType(value)} ${formatValue(value)}`);
}

function asFloat(value: Value): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string") return parseFloatText(value) ?? fail(unparsable("ParseFloat", value));
  return fail(`asFloat() not supported on ${goType(value)} ${formatValue(value)}`);
}

function unparsable(parser: string, value: string): string {
  return `strconv.${parser}: parsing ${JSON.stringify(value)}: invalid syntax`;
}
