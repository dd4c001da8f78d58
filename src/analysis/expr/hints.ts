// How to mend a condition: a few words behind the errors that people meet most. The error itself stays the reference's.

interface Hint {
  readonly when: RegExp;
  readonly advice: string;
}

const HINTS: readonly Hint[] = [
  {
    when: /^invalid operation: % \(mismatched types .*float64/,
    advice: "numbers of a measurement are floats, % takes integers: write int(result) % 2",
  },
  {
    when: /^invalid operation: \S+ \(mismatched types (?:unknown and|\S+ and unknown\))/,
    advice: "one side is nil: give it a value first, as in default(result, 0) or (result.field ?? 0)",
  },
  {
    when: /^invalid operation: \S+ \(mismatched types \[\]/,
    advice: "the result is a list: take an element, as in result[0], or ask all(result, # < 1)",
  },
  {
    when: /^invalid operation: \S+ \(mismatched types map\[/,
    advice: "the result is an object: take a field, as in result.value",
  },
  {
    when: /^invalid operation: \S+ \(mismatched types (?:string and (?:float64|int)|(?:float64|int) and string)\)/,
    advice: "one side is text: write asFloat(result) or asInt(result), or put the other side in quotes",
  },
  {
    when: /^invalid operation: <nil> |^invalid operation: \S+ \S+ <nil>$|^cannot fetch .* from <nil>$/,
    advice: "a field is missing: write (result.field ?? 0), or result?.field before the next dot",
  },
  {
    when: /^unknown name /,
    advice:
      "a condition may name result, asInt, asFloat, isNaN, isInf, isNil, default and the language's functions; text stands in quotes",
  },
  {
    when: /^expected bool, but got /,
    advice: "a condition must come out true or false: compare the value, as in result >= 0.95",
  },
  {
    when: /^index out of range/,
    advice: "test the length first, as in len(result) > 0 && result[0] < 1",
  },
  {
    when: /^interface conversion: interface \{\} is (\S+), not bool$/,
    advice: "&&, ||, ! and closures take true or false: compare the value first",
  },
  {
    when: /^unexpected token EOF$/,
    advice: "something is missing at the end",
  },
  {
    when: /^unexpected token Operator\("="\)/,
    advice: "comparison is written ==",
  },
  {
    when: /^memory budget exceeded$|evaluation steps$/,
    advice: "let the query of the metric do the work and hand a smaller result over",
  },
];

/** Advice for an error, if there is any. */
export function hintFor(message: string): string | undefined {
  return HINTS.find(({ when }) => when.test(message))?.advice;
}
