// [hot] What a value must be: a header's, a query parameter's, a cookie's, or a path as a whole. Compared as bytes; only a pattern needs a string.

import type { Pattern } from "../../lib/pattern.ts";
import { LOWER } from "../wire/bytes.ts";

export const VALUE = {
  PRESENT: 0,
  EXACT: 1,
  PREFIX: 2,
  SUFFIX: 3,
  CONTAINS: 4,
  RANGE: 5,
  PATTERN: 6,
} as const;

/** One test, of one shape whatever its kind. */
export interface ValueTest {
  /** A VALUE; PRESENT holds of every value. */
  readonly kind: number;
  /** Text to compare with, in lower case where case is ignored. Of a PATTERN: what every match begins with. */
  readonly text: Uint8Array;
  readonly isCaseIgnored: boolean;
  /** RANGE: a whole decimal number in [from, to). */
  readonly from: number;
  readonly to: number;
  readonly pattern: Pattern | null;
}

const EMPTY = new Uint8Array(0);
const MAX_RANGE_DIGITS = 15;
/** Values of this length are searched by the engine. */
const LONG_BYTES = 256;

/** Holds of every value. */
export const ANY_VALUE: ValueTest = {
  kind: VALUE.PRESENT,
  text: EMPTY,
  isCaseIgnored: false,
  from: 0,
  to: 0,
  pattern: null,
};

/** Whether the value bytes[start, end) passes. */
export function isValueMatch(test: ValueTest, buf: Buffer, start: number, end: number): boolean {
  const { text } = test;
  const length = text.length;
  switch (test.kind) {
    case VALUE.PRESENT:
      return true;
    case VALUE.EXACT:
      return end - start === length && isAt(test, buf, start);
    case VALUE.PREFIX:
      return end - start >= length && isAt(test, buf, start);
    case VALUE.SUFFIX:
      return end - start >= length && isAt(test, buf, end - length);
    case VALUE.CONTAINS:
      return isWithin(test, buf, start, end);
    case VALUE.RANGE:
      return isInRange(test, buf, start, end);
    default:
      if (end - start < length || !isAt(test, buf, start)) return false;
      // UTF-8, as the pattern's own text is.
      return test.pattern?.matches(buf.toString("utf8", start, end)) ?? false;
  }
}

function isAt(test: ValueTest, buf: Buffer, start: number): boolean {
  const { text } = test;
  let at = 0;
  if (test.isCaseIgnored) while (at < text.length && LOWER[buf[start + at]!] === text[at]) at++;
  else while (at < text.length && buf[start + at] === text[at]) at++;
  return at === text.length;
}

function isWithin(test: ValueTest, buf: Buffer, start: number, end: number): boolean {
  const last = end - test.text.length;
  // The engine's own search has its price once, and is then many times as fast.
  if (!test.isCaseIgnored && end - start > LONG_BYTES) return buf.subarray(start, end).includes(test.text);
  for (let at = start; at <= last; at++) if (isAt(test, buf, at)) return true;
  return false;
}

/** A sign may stand before the digits. */
function isInRange(test: ValueTest, buf: Buffer, start: number, end: number): boolean {
  const isNegative = buf[start] === 0x2d && start < end;
  const first = isNegative || (buf[start] === 0x2b && start < end) ? start + 1 : start;
  if (first === end || end - first > MAX_RANGE_DIGITS) return false;
  let number = 0;
  for (let at = first; at < end; at++) {
    const digit = buf[at]! - 0x30;
    if (digit < 0 || digit > 9) return false;
    number = number * 10 + digit;
  }
  const signed = isNegative ? -number : number;
  return signed >= test.from && signed < test.to;
}
