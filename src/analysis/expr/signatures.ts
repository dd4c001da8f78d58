// Static side of the builtins: which are carried out, what arguments they take, what they give. The words of the errors are the
// reference's.
import { fail } from "./error.ts";
import {
  ANY_LIST,
  FLOAT,
  INT,
  isNumber,
  isUnknown,
  listOf,
  type Signature,
  STRING,
  type Type,
  typeName,
  UNKNOWN,
} from "./types.ts";

export type BuiltinCheck = Signature | { readonly validate: (args: readonly Type[]) => Type };

/** Recognised functions that conditions may not use yet, each refused by name. */
const NOT_YET = new Set(
  (
    "toJSON fromBase64 toBase64 now duration date timezone groupBy toPairs fromPairs splitAfter bitand bitor bitxor " +
    "bitnand bitshl bitshr bitushr bitnot"
  ).split(" "),
);

/** Whether the evaluator carries the function out. */
export function isCarriedOut(name: string): boolean {
  return !NOT_YET.has(name);
}

/** How the arguments of a builtin without closure are checked. */
export function builtinResult(name: string): BuiltinCheck {
  return CHECKS[name] ?? fail(`unknown builtin ${name}`);
}

type Test = (type: Type) => boolean;
const isText: Test = (type) => type.kind === "string";
const isList: Test = (type) => type.kind === "array";
const isMap: Test = (type) => type.kind === "map";

/** One argument of certain kinds; an unknown is let through. */
function one(accepts: Test, refusal: (type: Type) => string, result: (type: Type) => Type): BuiltinCheck {
  return {
    validate(args) {
      const [arg] = args;
      if (arg === undefined || args.length !== 1)
        return fail(`invalid number of arguments (expected 1, got ${args.length})`);
      if (!isUnknown(arg) && !accepts(arg)) fail(refusal(arg));
      return result(arg);
    },
  };
}

const invalid = (name: string) => (type: Type) => `invalid argument for ${name} (type ${shownType(type)})`;
const cannot = (what: string) => (type: Type) => `cannot ${what} ${shownType(type)}`;
const shownType = (type: Type): string => (type.kind === "nil" ? GO_NIL : typeName(type));
/** The reference prints a missing type so. */
const GO_NIL = "%!s(<nil>)";
const elementOf = (type: Type): Type => (type.kind === "array" ? type.element : UNKNOWN);

function overloads(name: string, ...forms: readonly (readonly [readonly Type[], Type])[]): BuiltinCheck {
  return { name, overloads: forms.map(([parameters, result]) => ({ parameters, result })) };
}

/** max, min, mean, median: numbers up to the first list or unknown, whose content is looked at when it runs. */
function aggregate(name: string): BuiltinCheck {
  return {
    validate(args) {
      const [first] = args;
      if (first === undefined) return fail(`not enough arguments to call ${name}`);
      for (const arg of args) {
        if (isUnknown(arg) || isList(arg)) return UNKNOWN;
        if (!isNumber(arg)) fail(invalid(name)(arg));
      }
      return first;
    },
  };
}

function get(args: readonly Type[]): Type {
  const [base, property] = args;
  if (base === undefined || property === undefined || args.length !== 2)
    return fail(`invalid number of arguments (expected 2, got ${args.length})`);
  if (isUnknown(base)) return UNKNOWN;
  const isLoose = isUnknown(property);
  if (base.kind === "array") {
    if (!isLoose && property.kind !== "int" && property.kind !== "int64")
      fail(`non-integer slice index ${typeName(property)}`);
    return base.element;
  }
  if (base.kind !== "map") return fail(`type ${typeName(base)} does not support indexing`);
  if (!isLoose && !isText(property))
    fail(`cannot use ${typeName(property)} to get an element from ${typeName(base)}`);
  return UNKNOWN;
}

function take(args: readonly Type[]): Type {
  const [list, count] = args;
  if (list === undefined || count === undefined || args.length !== 2)
    return fail(`invalid number of arguments (expected 2, got ${args.length})`);
  if (!isUnknown(list) && !isList(list)) fail(`cannot take from ${shownType(list)}`);
  if (!isUnknown(count) && count.kind !== "int" && count.kind !== "int64")
    fail(`cannot take ${shownType(count)} elements`);
  return list;
}

function concat(args: readonly Type[]): Type {
  if (args.length === 0) fail("invalid number of arguments (expected at least 1, got 0)");
  for (const arg of args) if (!isUnknown(arg) && !isList(arg)) fail(`cannot concat ${shownType(arg)}`);
  return ANY_LIST;
}

const isTextOrNumber: Test = (type) => isText(type) || isNumber(type);
const STRINGS = listOf(STRING);
const SORTABLE: readonly Type[] = [ANY_LIST, listOf(INT), listOf(FLOAT), STRINGS];

const CHECKS: Readonly<Record<string, BuiltinCheck>> = {
  len: one(
    (type) => isText(type) || isList(type) || isMap(type),
    invalid("len"),
    () => INT,
  ),
  type: overloads("type", [[UNKNOWN], STRING]),
  abs: one(isNumber, invalid("abs"), (type) => type),
  ceil: one(isNumber, invalid("ceil"), () => FLOAT),
  floor: one(isNumber, invalid("floor"), () => FLOAT),
  round: one(isNumber, invalid("round"), () => FLOAT),
  int: one(isTextOrNumber, invalid("int"), () => INT),
  float: one(isTextOrNumber, invalid("float"), () => FLOAT),
  string: overloads("string", [[UNKNOWN], STRING]),
  trim: overloads("trim", [[STRING], STRING], [[STRING, STRING], STRING]),
  trimPrefix: overloads("trimPrefix", [[STRING, STRING], STRING], [[STRING], STRING]),
  trimSuffix: overloads("trimSuffix", [[STRING, STRING], STRING], [[STRING], STRING]),
  upper: overloads("upper", [[STRING], STRING]),
  lower: overloads("lower", [[STRING], STRING]),
  split: overloads("split", [[STRING, STRING], STRINGS], [[STRING, STRING, INT], STRINGS]),
  replace: overloads("replace", [[STRING, STRING, STRING, INT], STRING], [[STRING, STRING, STRING], STRING]),
  repeat: overloads("repeat", [[STRING, INT], STRING]),
  join: overloads(
    "join",
    [[STRINGS, STRING], STRING],
    [[ANY_LIST, STRING], STRING],
    [[ANY_LIST], STRING],
    [[STRINGS], STRING],
  ),
  indexOf: overloads("indexOf", [[STRING, STRING], INT]),
  lastIndexOf: overloads("lastIndexOf", [[STRING, STRING], INT]),
  hasPrefix: overloads("hasPrefix", [[STRING, STRING], { kind: "bool" }]),
  hasSuffix: overloads("hasSuffix", [[STRING, STRING], { kind: "bool" }]),
  max: aggregate("max"),
  min: aggregate("min"),
  mean: aggregate("mean"),
  median: aggregate("median"),
  fromJSON: overloads("fromJSON", [[STRING], UNKNOWN]),
  first: one(isList, cannot("get first element from"), elementOf),
  last: one(isList, cannot("get last element from"), elementOf),
  get: { validate: get },
  take: { validate: take },
  keys: one(isMap, cannot("get keys from"), () => ANY_LIST),
  values: one(isMap, cannot("get values from"), () => ANY_LIST),
  reverse: one(isList, cannot("reverse"), () => ANY_LIST),
  uniq: one(isList, cannot("uniq"), () => ANY_LIST),
  concat: { validate: concat },
  flatten: one(isList, cannot("flatten"), () => ANY_LIST),
  sort: overloads(
    "sort",
    ...SORTABLE.map((list) => [[list, STRING], ANY_LIST] as const),
    ...SORTABLE.map((list) => [[list], ANY_LIST] as const),
  ),
};
