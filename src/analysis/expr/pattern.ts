// `matches`: RE2's regular expressions, which take time linear in the text. A pattern of plain text, anchored or not, needs no
// engine; for any other the engine is loaded when the first one is met.
import { compileRe2, type Re2Pattern } from "../../lib/re2.ts";
import { fail } from "./error.ts";
import type { Meter } from "./meter.ts";
import { bytesToText } from "./text.ts";
import { assertion, BYTES_TYPE, GoList, type Value } from "./values.ts";

/** Matching costs instructions times characters; so many of these are one step. */
const WORK_PER_STEP = 16;
/** What compiling costs at the least, and for each unit of `compileCost`; in steps. */
const COMPILE_STEPS = 200;
const STEPS_PER_COST = 10;
/** Characters that a class of Unicode's or ignoring case is as dear as. */
const WIDE_CHARS = 100;
/** Longest pattern that is compiled; the engine's own limits bound what a short one may expand to. */
const MAX_PATTERN_CHARS = 4096;

interface LiteralPattern {
  readonly text: string;
  readonly isAtStart: boolean;
  readonly isAtEnd: boolean;
}

const META = /[\\^$.|?*+()[\]{}]/;

/** Patterns of one evaluation, each compiled once. */
export class Patterns {
  readonly #compiled = new Map<string, Re2Pattern | LiteralPattern>();
  readonly #meter: Meter;

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  /** Throws ConditionError, with RE2's words, for a pattern that does not compile. */
  compile(pattern: string): Re2Pattern | LiteralPattern {
    const known = this.#compiled.get(pattern);
    if (known !== undefined) return known;
    const literal = literalPattern(pattern);
    if (literal === undefined) this.#meter.spend(COMPILE_STEPS + STEPS_PER_COST * compileCost(pattern));
    const compiled = literal ?? compile(pattern);
    this.#compiled.set(pattern, compiled);
    return compiled;
  }

  /** Whether `text` matches somewhere; throws ConditionError for a pattern that is none. */
  matches(text: string, pattern: string): boolean {
    const compiled = this.compile(pattern);
    if (!("instructions" in compiled)) {
      this.#meter.spendText(text.length);
      return matchesLiteral(text, compiled);
    }
    this.#meter.spend(Math.ceil((compiled.instructions * text.length) / WORK_PER_STEP));
    return compiled.matches(text);
  }
}

/** At most this many times its length is what a pattern becomes: repeats are written out, and RE2 allows no more in all. */
function compileCost(pattern: string): number {
  const repeats = [...pattern.matchAll(/\{(\d{1,4})(?:,(\d{1,4}))?/g)].map(([, from, to]) =>
    Number(to ?? from),
  );
  const wide = pattern.match(/\\[pP]|\(\?\w*i|\[\^/g)?.length ?? 0;
  return (pattern.length + WIDE_CHARS * wide) * Math.max(1, ...repeats);
}

function compile(pattern: string): Re2Pattern {
  if (pattern.length > MAX_PATTERN_CHARS)
    return fail(`pattern has ${pattern.length} characters, at most ${MAX_PATTERN_CHARS} are compiled`);
  const compiled = compileRe2(pattern);
  return "problem" in compiled ? fail(compiled.problem) : compiled;
}

/** The pattern as text and anchors, or undefined when it is a real regular expression. */
function literalPattern(pattern: string): LiteralPattern | undefined {
  const isAtStart = pattern.startsWith("^");
  const isAtEnd = pattern.endsWith("$") && pattern.length > (isAtStart ? 1 : 0);
  const text = pattern.slice(isAtStart ? 1 : 0, isAtEnd ? -1 : undefined);
  return META.test(text) ? undefined : { text, isAtStart, isAtEnd };
}

function matchesLiteral(text: string, pattern: LiteralPattern): boolean {
  if (pattern.isAtStart && pattern.isAtEnd) return text === pattern.text;
  if (pattern.isAtStart) return text.startsWith(pattern.text);
  return pattern.isAtEnd ? text.endsWith(pattern.text) : text.includes(pattern.text);
}

/** Text, or the bytes that `matches` takes too. */
export function matchedText(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof GoList && value.goType === BYTES_TYPE) return bytesToText(value);
  return fail(assertion(value, BYTES_TYPE));
}
