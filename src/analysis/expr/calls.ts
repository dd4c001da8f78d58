// How the arguments of a call fit a signature, and what a function is that is named but not called.

import { BUILTINS } from "./builtins/table.ts";
import { own } from "./own.ts";
import {
  goName,
  isAssignable,
  isInteger,
  isNumber,
  isUnknown,
  type Type,
  typeName,
  UNKNOWN,
} from "./types.ts";

export interface ArgumentProblem {
  readonly message: string;
  /** The argument to blame. */
  readonly index?: number;
}

/** Why arguments of these types do not fit the parameters; undefined when they do. */
export function argumentProblem(
  name: string,
  parameters: readonly Type[],
  types: readonly Type[],
): ArgumentProblem | undefined {
  if (types.length > parameters.length) return { message: `too many arguments to call ${name}` };
  if (types.length < parameters.length) return { message: `not enough arguments to call ${name}` };
  for (const [index, type] of types.entries()) {
    const parameter = parameters[index] ?? UNKNOWN;
    if (isInteger(type) && isNumber(parameter)) continue;
    if (type.kind === "nil") {
      if (isUnknown(parameter)) continue;
      return { message: `cannot use nil as argument (type ${goName(parameter)}) to call ${name}`, index };
    }
    if (!isAssignable(type, parameter) && !isUnknown(type))
      return {
        message: `cannot use ${typeName(type)} as argument (type ${goName(parameter)}) to call ${name} `,
        index,
      };
  }
  return undefined;
}

/** A builtin that is named but not called has a type, and nil for its value. */
export function builtinAsValue(name: string): Type {
  const rule = own(BUILTINS, name)?.rule;
  const overloads = rule !== undefined && "overloads" in rule ? rule.overloads : [];
  return { kind: "function", signature: { name, overloads } };
}
