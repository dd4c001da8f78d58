// Builtins on text. Positions count bytes, as in Go; `split(s, "")` counts characters.
import { fail } from "../error.ts";
import { byteIndexOf, byteLength, mapCase, trimText } from "../text.ts";
import { ANY_LIST, BOOL, INT, STRING, STRINGS, UNKNOWN } from "../types.ts";
import { asText, formatValue, goType, isListValue, toInt, type Value } from "../values.ts";
import { at, type Builtin, type Builtins, overloads, type RunContext } from "./builtin.ts";

/** Most repetitions, and most bytes, that `repeat` may make: the reference's. */
const MAX_REPEAT = 1_000_000;

const text = (args: readonly Value[], index: number): string => asText(at(args, index));
const limitOf = (args: readonly Value[], index: number): number =>
  args.length > index ? Number(toInt(at(args, index))) : -1;

/** Parts between separators; `isAfter`: each keeps the separator that ends it. */
function split(args: readonly Value[], { meter }: RunContext, isAfter = false): Value {
  const whole = text(args, 0);
  const separator = text(args, 1);
  const limit = limitOf(args, 2);
  meter.spend(whole.length);
  if (limit === 0) return [];
  const parts = separator === "" ? Array.from(whole) : whole.split(separator);
  const kept = limit < 0 || parts.length <= limit ? parts : parts.slice(0, limit - 1);
  const pieces = kept.length === parts.length ? parts : [...kept, parts.slice(limit - 1).join(separator)];
  return isAfter
    ? pieces.map((piece, index) => (index < pieces.length - 1 ? piece + separator : piece))
    : pieces;
}

function replace(args: readonly Value[], { meter }: RunContext): Value {
  const whole = text(args, 0);
  const old = text(args, 1);
  const by = text(args, 2);
  const limit = limitOf(args, 3);
  if (limit === 0) return whole;
  meter.spend(whole.length);
  const parts = old === "" ? ["", ...Array.from(whole), ""] : whole.split(old);
  const hits = limit < 0 ? parts.length - 1 : Math.min(limit, parts.length - 1);
  meter.spendText(whole.length + hits * by.length);
  if (hits === parts.length - 1) return parts.join(by);
  return parts.slice(0, hits + 1).join(by) + old + parts.slice(hits + 1).join(old);
}

function repeat(args: readonly Value[], { meter }: RunContext): Value {
  const whole = text(args, 0);
  const times = toInt(at(args, 1));
  if (times < 0n) fail(`invalid argument for repeat (expected positive integer, got ${times})`);
  if (times > BigInt(MAX_REPEAT) || byteLength(whole) * Number(times) >= MAX_REPEAT)
    fail("memory budget exceeded");
  meter.spendText(whole.length * Number(times));
  return whole.repeat(Number(times));
}

function join(args: readonly Value[], { meter }: RunContext): Value {
  const items = at(args, 0);
  const glue = args.length > 1 ? text(args, 1) : "";
  if (!isListValue(items)) return fail(`invalid argument for join (type ${goType(items)})`);
  const texts = items.map(asText);
  meter.spend(texts.length);
  meter.spendText(texts.reduce((sum, each) => sum + each.length + glue.length, 0));
  return texts.join(glue);
}

/** A builtin on two texts. */
function onTwo(name: string, result: typeof BOOL, run: (whole: string, part: string) => Value): Builtin {
  return {
    rule: overloads(name, [[STRING, STRING], result]),
    run: (args, { meter }) => {
      const whole = text(args, 0);
      meter.spendText(whole.length);
      return run(whole, text(args, 1));
    },
  };
}

/** A builtin on a text and what to cut, a space where that is not given. */
function cutting(name: string, run: (whole: string, part: string) => string): Builtin {
  return {
    rule: overloads(name, [[STRING, STRING], STRING], [[STRING], STRING]),
    run: (args, { meter }) => {
      meter.spendText(text(args, 0).length);
      return run(text(args, 0), args.length > 1 ? text(args, 1) : " ");
    },
  };
}

function mapping(name: "upper" | "lower"): Builtin {
  return {
    rule: overloads(name, [[STRING], STRING]),
    run: (args, { meter }) => {
      meter.spend(text(args, 0).length);
      return mapCase(text(args, 0), name);
    },
  };
}

function splitting(name: string, isAfter: boolean): Builtin {
  return {
    rule: overloads(name, [[STRING, STRING], STRINGS], [[STRING, STRING, INT], STRINGS]),
    run: (args, context) => split(args, context, isAfter),
  };
}

export const TEXT_BUILTINS: Builtins = {
  string: {
    rule: overloads("string", [[UNKNOWN], STRING]),
    run: ([value = null], { meter }) => formatValue(value, meter),
  },
  trim: {
    rule: overloads("trim", [[STRING], STRING], [[STRING, STRING], STRING]),
    run: (args, { meter }) => {
      meter.spend(text(args, 0).length);
      return trimText(text(args, 0), args.length > 1 ? text(args, 1) : undefined);
    },
  },
  trimPrefix: cutting("trimPrefix", (whole, part) =>
    whole.startsWith(part) ? whole.slice(part.length) : whole,
  ),
  trimSuffix: cutting("trimSuffix", (whole, part) =>
    whole.endsWith(part) ? whole.slice(0, whole.length - part.length) : whole,
  ),
  upper: mapping("upper"),
  lower: mapping("lower"),
  split: splitting("split", false),
  splitAfter: splitting("splitAfter", true),
  replace: {
    rule: overloads("replace", [[STRING, STRING, STRING, INT], STRING], [[STRING, STRING, STRING], STRING]),
    run: replace,
  },
  repeat: { rule: overloads("repeat", [[STRING, INT], STRING]), run: repeat, grows: true },
  join: {
    rule: overloads(
      "join",
      [[STRINGS, STRING], STRING],
      [[ANY_LIST, STRING], STRING],
      [[ANY_LIST], STRING],
      [[STRINGS, STRING], STRING],
      [[STRINGS], STRING],
    ),
    run: join,
  },
  indexOf: onTwo("indexOf", INT, (whole, part) => BigInt(byteIndexOf(whole, part))),
  lastIndexOf: onTwo("lastIndexOf", INT, (whole, part) => BigInt(byteIndexOf(whole, part, true))),
  hasPrefix: onTwo("hasPrefix", BOOL, (whole, part) => whole.startsWith(part)),
  hasSuffix: onTwo("hasSuffix", BOOL, (whole, part) => whole.endsWith(part)),
};
