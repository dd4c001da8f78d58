// The functions of expr-lang/expr v1.17 by name: a name of this list is a builtin to the parser and the checker, also where
// weir does not carry it out (then the condition is refused with a message that names the function).

/** Functions that take a closure. */
export const PREDICATE_NAMES: ReadonlySet<string> = new Set(
  "all none any one filter map count sum find findIndex findLast findLastIndex groupBy sortBy reduce".split(
    " ",
  ),
);

/** All functions. */
export const BUILTIN_NAMES: ReadonlySet<string> = new Set([
  ...PREDICATE_NAMES,
  ...(
    "len type abs ceil floor round int float string trim trimPrefix trimSuffix upper lower split splitAfter replace " +
    "repeat join indexOf lastIndexOf hasPrefix hasSuffix max min mean median toJSON fromJSON toBase64 fromBase64 now " +
    "duration date timezone first last get take keys values toPairs fromPairs reverse uniq concat flatten sort bitand " +
    "bitor bitxor bitnand bitshl bitshr bitushr bitnot"
  ).split(" "),
]);
