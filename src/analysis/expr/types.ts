// Static types of the condition language: what is known before anything runs. A JSON value has a type at its top level only;
// everything below it is unknown, and an unknown operand moves a fault from compile time to run time.

export type Type =
  | { readonly kind: "unknown" | "nil" | "bool" | "int" | "int64" | "float" | "string" | "bytes" }
  | { readonly kind: "array"; readonly element: Type }
  | { readonly kind: "map" }
  | { readonly kind: "function"; readonly signature: Signature };

/** A function of the environment or a builtin with fixed parameters. */
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
export const BYTES: Type = { kind: "bytes" };
export const MAP: Type = { kind: "map" };
export const ANY_LIST: Type = { kind: "array", element: UNKNOWN };

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
  float: "float64",
  string: "string",
  bytes: "[]uint8",
  map: "map[string]interface {}",
} as const;

/** Go's spelling, as the reference's messages have it. */
export function typeName(type: Type): string {
  if (type.kind === "array")
    return type.element.kind === "unknown" ? "[]interface {}" : `[]${typeName(type.element)}`;
  if (type.kind === "function") {
    const { parameters = [], result = UNKNOWN } = type.signature.overloads[0] ?? {};
    return `func(${parameters.map(goName).join(", ")}) ${goName(result)}`;
  }
  return GO_NAMES[type.kind];
}

/** As `typeName`, with an unknown as the interface that it is in a signature. */
export function goName(type: Type): string {
  return type.kind === "unknown" ? "interface {}" : typeName(type);
}

export const isInteger = (type: Type): boolean => type.kind === "int" || type.kind === "int64";
export const isNumber = (type: Type): boolean => isInteger(type) || type.kind === "float";
export const isUnknown = (type: Type): boolean => type.kind === "unknown";

/** Go's assignability, for the types that occur. */
export function isAssignable(from: Type, to: Type): boolean {
  if (from.kind === "nil") return to.kind === "array" || to.kind === "map" || to.kind === "unknown";
  if (from.kind === "unknown") return to.kind === "unknown";
  if (to.kind === "unknown") return true;
  if (from.kind === "array" && to.kind === "array") return typeName(from.element) === typeName(to.element);
  return from.kind === to.kind;
}

/** Whether `==` compiles. */
export function isComparable(a: Type, b: Type): boolean {
  const loose = (type: Type): boolean => type.kind === "unknown" || type.kind === "nil";
  if (loose(a) || loose(b)) return true;
  return (isNumber(a) && isNumber(b)) || (a.kind === "array" && b.kind === "array") || isAssignable(a, b);
}

/** Whether an operator may apply at run time: one operand unknown, the other unknown or of a fitting kind. */
export function mayFit(a: Type, b: Type, ...fits: readonly ((type: Type) => boolean)[]): boolean {
  const fitting = (type: Type): boolean => fits.some((fit) => fit(type));
  if (isUnknown(a)) return isUnknown(b) || fitting(b);
  return isUnknown(b) && fitting(a);
}
