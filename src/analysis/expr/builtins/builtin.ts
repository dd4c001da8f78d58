// What a builtin without closure is: its type rule and what it computes, side by side. Here are the parts that rules are made of;
// the words of the errors are the reference's.
import { fail } from "../error.ts";
import type { Meter } from "../meter.ts";
import { isUnknown, type Signature, type Type, type TypeTest, typeName } from "../types.ts";
import type { Value } from "../values.ts";

/** What a run may ask of the evaluation. */
export interface RunContext {
  readonly meter: Meter;
  readonly nowMs: number;
}

export type Run = (args: readonly Value[], context: RunContext) => Value;
export type Rule = Signature | { readonly validate: (args: readonly Type[]) => Type };

export interface Builtin {
  readonly rule: Rule;
  readonly run: Run;
  /** Its result counts against the reference's memory budget. */
  readonly grows?: boolean;
}

export type Builtins = Readonly<Record<string, Builtin>>;

/** One argument of certain kinds; an unknown is let through. */
export function one(accepts: TypeTest, refusal: (type: Type) => string, result: (type: Type) => Type): Rule {
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

/** Fixed parameters, in one form or several; the error is that of the last form. */
export function overloads(name: string, ...forms: readonly (readonly [readonly Type[], Type])[]): Rule {
  return { name, overloads: forms.map(([parameters, result]) => ({ parameters, result })) };
}

export const invalid = (name: string) => (type: Type) =>
  `invalid argument for ${name} (type ${shownType(type)})`;
export const cannot = (what: string) => (type: Type) => `cannot ${what} ${shownType(type)}`;
/** The reference prints a missing type as %!s(<nil>). */
export const shownType = (type: Type): string => (type.kind === "nil" ? "%!s(<nil>)" : typeName(type));
export const elementOf = (type: Type): Type => (type.kind === "array" ? type.element : { kind: "unknown" });

export const at = (args: readonly Value[], index: number): Value => args[index] ?? null;
