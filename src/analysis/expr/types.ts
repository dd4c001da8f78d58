// Static types of the condition language: what is known before anything runs. A JSON value has a type at its top level only;
// everything below it is unknown, and an unknown operand moves a fault from compile time to run time.

/** Go's types with a name of their own; a duration, month or weekday is an integer that is none to the operators. */
export type NamedType = "time.Time" | "time.Duration" | "time.Month" | "time.Weekday" | "*time.Location";

export type Type =
  | { readonly kind: "unknown" | "nil" | "bool" | "int" | "int64" | "uint8" | "float" | "string" }
  | { readonly kind: "named"; readonly go: NamedType }
  /** `go`: the name of a list that is not []interface {} at run time. */
  | { readonly kind: "array"; readonly element: Type; readonly go?: string }
  | { readonly kind: "map"; readonly keys: "string" | "any"; readonly element: Type }
  | { readonly kind: "function"; readonly signature: Signature };

/** A function of the environment, a method, or a builtin with fixed parameters. */
export interface Signature {
  readonly name: string;
  readonly overloads: readonly { readonly parameters: readonly Type[]; readonly result: Type }[];
}

export const UNKNOWN: Type = { kind: "unknown" };
export const NIL: Type = { kind: "nil" };
export const BOOL: Type = { kind: "bool" };
export const INT: Type = { kind: "int" };
export const INT64: Type = { kind: "int64" };
export const FLOAT: Type = { kind: "float" };
export const STRING: Type = { kind: "string" };
export const MAP: Type = { kind: "map", keys: "string", element: UNKNOWN };
export const ANY_LIST: Type = { kind: "array", element: UNKNOWN };
export const BYTES: Type = { kind: "array", element: { kind: "uint8" }, go: "[]uint8" };
export const STRINGS: Type = { kind: "array", element: STRING, go: "[]string" };
export const FLOATS: Type = { kind: "array", element: FLOAT, go: "[]float64" };
export const INTS: Type = { kind: "array", element: INT, go: "[]int" };
/** What fromPairs and groupBy give. */
export const ANY_MAP: Type = { kind: "map", keys: "any", element: UNKNOWN };
export const GROUPS: Type = { kind: "map", keys: "any", element: ANY_LIST };
export const TIME: Type = { kind: "named", go: "time.Time" };
export const DURATION: Type = { kind: "named", go: "time.Duration" };
export const LOCATION: Type = { kind: "named", go: "*time.Location" };

/** A list of `element`; of unknown for nil. */
export function listOf(element: Type): Type {
  return { kind: "array", element: element.kind === "nil" ? UNKNOWN : element };
}

const GO_NAMES = {
  unknown: "unknown",
  nil: "unknown",
  bool: "bool",
  int: "int",
  int64: "int64",
  uint8: "uint8",
  float: "float64",
  string: "string",
} as const;

/** Go's spelling, as the reference's messages have it. */
export function typeName(type: Type): string {
  switch (type.kind) {
    case "array":
      return type.go ?? "[]interface {}";
    case "map":
      return `map[${type.keys === "any" ? "interface {}" : "string"}]${goName(type.element)}`;
    case "named":
      return type.go;
    case "function":
      return functionName(type.signature);
    case "unknown":
    case "nil":
    case "bool":
    case "int":
    case "int64":
    case "uint8":
    case "float":
    case "string":
      return GO_NAMES[type.kind];
  }
}

function functionName({ overloads }: Signature): string {
  const [first] = overloads;
  if (first === undefined) return "func(...interface {}) (interface {}, error)";
  return `func(${first.parameters.map(goName).join(", ")}) ${goName(first.result)}`;
}

/** As `typeName`, with an unknown as the interface that it is in a signature. */
export function goName(type: Type): string {
  return type.kind === "unknown" ? "interface {}" : typeName(type);
}

export type TypeTest = (type: Type) => boolean;

export const isBool: TypeTest = (type) => type.kind === "bool";
export const isString: TypeTest = (type) => type.kind === "string";
export const isList: TypeTest = (type) => type.kind === "array";
export const isMap: TypeTest = (type) => type.kind === "map";
export const isInteger: TypeTest = (type) =>
  type.kind === "int" || type.kind === "int64" || type.kind === "uint8";
export const isNumber: TypeTest = (type) => isInteger(type) || type.kind === "float";
export const isUnknown: TypeTest = (type) => type.kind === "unknown";
export const isTime: TypeTest = (type) => type.kind === "named" && type.go === "time.Time";
export const isDuration: TypeTest = (type) => type.kind === "named" && type.go === "time.Duration";
/** A number by Go's kind: durations, months and weekdays too. Builtins ask this, operators do not. */
export const isNumeric: TypeTest = (type) => isNumber(type) || isIntegerKind(type);
export const isIntegerKind: TypeTest = (type) =>
  isInteger(type) || (type.kind === "named" && type.go !== "time.Time" && type.go !== "*time.Location");

/** Go's assignability, for the types that occur. */
export function isAssignable(from: Type, to: Type): boolean {
  if (from.kind === "nil") return to.kind === "array" || to.kind === "map" || to.kind === "unknown";
  if (from.kind === "unknown") return to.kind === "unknown";
  if (to.kind === "unknown") return true;
  return typeName(from) === typeName(to);
}

/** Whether `==` compiles. */
export function isComparable(a: Type, b: Type): boolean {
  const loose = (type: Type): boolean => type.kind === "unknown" || type.kind === "nil";
  if (loose(a) || loose(b)) return true;
  return (isNumber(a) && isNumber(b)) || (isList(a) && isList(b)) || isAssignable(a, b);
}

/** Whether an operator may apply at run time: one operand unknown, the other unknown or of a fitting kind. */
export function mayFit(a: Type, b: Type, ...fits: readonly TypeTest[]): boolean {
  const fitting = (type: Type): boolean => fits.some((fit) => fit(type));
  if (isUnknown(a)) return isUnknown(b) || fitting(b);
  return isUnknown(b) && fitting(a);
}
