// All builtins without closure, by name: the functions of expr-lang/expr v1.17.
import type { Builtins } from "./builtin.ts";
import { DATE_BUILTINS } from "./dates.ts";
import { ENCODING_BUILTINS } from "./encoding.ts";
import { LIST_BUILTINS } from "./lists.ts";
import { MAP_BUILTINS } from "./maps.ts";
import { NUMBER_BUILTINS } from "./numbers.ts";
import { TEXT_BUILTINS } from "./texts.ts";

export const BUILTINS: Builtins = {
  ...LIST_BUILTINS,
  ...MAP_BUILTINS,
  ...NUMBER_BUILTINS,
  ...TEXT_BUILTINS,
  ...ENCODING_BUILTINS,
  ...DATE_BUILTINS,
};
