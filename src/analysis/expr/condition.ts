// The frame around the language: what a condition may name (`result` and six functions), and how success and failure conditions
// together make an outcome. Argo: utils/evaluate.

import { parseFloatText, parseInteger } from "./builtins/numbers.ts";
import { check } from "./check.ts";
import { ConditionError, fail, placeOf } from "./error.ts";
import { evaluate } from "./evaluate.ts";
import { hintFor } from "./hints.ts";
import { Meter } from "./meter.ts";
import { optimize } from "./optimize.ts";
import { parse } from "./parser.ts";
import { Patterns } from "./pattern.ts";
import { ANY_LIST, BOOL, FLOAT, FLOATS, INT64, MAP, NIL, STRING, type Type, UNKNOWN } from "./types.ts";
import { assertion, floatToInt, formatValue, GoList, goType, type Value } from "./values.ts";

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
  /** What `now()` gives. */
  readonly nowMs: number;
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
    return { kind: isTrue(condition, input) ? "true" : "false" };
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    const isEmpty = input.result === null || (Array.isArray(input.result) && input.result.length === 0);
    const why = isEmpty
      ? "metric result is nil or empty: no data returned from the metric provider"
      : explain(error, condition);
    return { kind: "error", message: `could not evaluate ${name} "${condition}": ${why}` };
  }
}

/** Whether a condition holds for a result; throws ConditionError when it cannot be told. */
export function isTrue(
  condition: string,
  { result, resultType = "json", nowMs }: Pick<ConditionInput, "result" | "resultType" | "nowMs">,
): boolean {
  const resultStaticType = typeOfResult(result, resultType);
  const parsed = parse(condition, OVERRIDDEN);
  const meter = new Meter();
  const patterns = new Patterns(meter);
  const checked = check(parsed, new Map([["result", resultStaticType], ...FUNCTION_TYPES]), patterns);
  const environment = environmentOf(resultType === "floats" ? floatsOf(result) : result);
  const value = bounded(() =>
    evaluate({ ...optimize(parsed, checked), environment, nowMs, meter, patterns }),
  );
  if (typeof value !== "boolean") fail(`expected bool, but got ${goType(value)}`);
  return value;
}

/** Values nested deeper than the stack bears are an error of the condition like any other. */
function bounded(work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) return fail(`condition cannot be evaluated: ${error.message}`);
    throw error;
  }
}

/** Reports what is wrong with a condition whatever it will be given: syntax, names, calls. Undefined when nothing is. */
export function conditionProblem(condition: string): string | undefined {
  try {
    const names = new Map([["result", UNKNOWN], ...FUNCTION_TYPES]);
    check(parse(condition, OVERRIDDEN), names, new Patterns(new Meter()));
    return undefined;
  } catch (error) {
    if (error instanceof ConditionError) return explain(error, condition);
    throw error;
  }
}

/** What is wrong, where, and how to mend it. */
function explain({ message, at }: ConditionError, condition: string): string {
  const hint = hintFor(message);
  const where = at === undefined ? "" : placeWords(condition, at);
  return `${message}${where}${hint === undefined ? "" : `; ${hint}`}`;
}

function placeWords(condition: string, at: number): string {
  const { line, column } = placeOf(condition, at);
  return condition.includes("\n") ? ` at line ${line}, column ${column}` : ` at column ${column}`;
}

function typeOfResult(result: ConditionResult, resultType: "json" | "floats"): Type {
  if (result === null) return NIL;
  if (Array.isArray(result)) return resultType === "floats" ? FLOATS : ANY_LIST;
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

/** A list that the language shall know as one of floats. */
function floatsOf(result: ConditionResult): Value {
  return Array.isArray(result) ? new GoList("[]float64", result) : result;
}

function environmentOf(result: Value): Readonly<Record<string, Value>> {
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
  return typeof value === "number" ? value : fail(assertion(value, "float64"));
}

function asInt(value: Value): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return floatToInt(value);
  if (typeof value === "string") return parseInteger(value) ?? fail(unparsable("ParseInt", value));
  return fail(`asInt() not supported on ${goType(value)} ${formatValue(value, new Meter())}`);
}

function asFloat(value: Value): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string") return parseFloatText(value) ?? fail(unparsable("ParseFloat", value));
  return fail(`asFloat() not supported on ${goType(value)} ${formatValue(value, new Meter())}`);
}

function unparsable(parser: string, value: string): string {
  return `strconv.${parser}: parsing ${JSON.stringify(value)}: invalid syntax`;
}
