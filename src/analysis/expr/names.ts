// The names that are builtins to the parser and the checker: all functions of expr-lang/expr v1.17.
import { BUILTINS } from "./builtins/table.ts";
import { CLOSURES } from "./closures.ts";

export const BUILTIN_NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(CLOSURES),
  ...Object.keys(BUILTINS),
]);
