// Text as Go has it: UTF-8 bytes. Escapes of string literals, byte lengths and slices, order by code point, and Go's way of
// printing values (%v).

import { Buffer } from "node:buffer";
import { fail } from "./error.ts";
import { own } from "./own.ts";

const SIMPLE: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "`": "`",
  "?": "?",
};
const ESCAPE =
  /\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|([\s\S]))/gu;
const MAX_CODE_POINT = 0x10ffff;

/** What a quoted literal (quotes included) stands for. */
export function unescapeString(literal: string): string {
  return decodeEscapes(literal, (code) => {
    if (code > MAX_CODE_POINT) fail("unable to unescape string");
    // Halves of surrogate pairs do not join: each is the replacement character.
    return code >= 0xd800 && code <= 0xdfff ? "\ufffd" : String.fromCodePoint(code);
  });
}

/** The same for b"...": a string with one character per byte. */
export function unescapeBytes(literal: string): string {
  const bytes = Buffer.from(literal, "utf8").toString("latin1");
  if (/\\[uU]/.test(literal.replaceAll("\\\\", ""))) fail("unable to unescape string");
  return decodeEscapes(bytes, (code) => String.fromCharCode(code));
}

function decodeEscapes(literal: string, ofCode: (code: number) => string): string {
  const body = literal.replaceAll("\r\n", "\n").replaceAll("\r", "\n").slice(1, -1);
  return body.replaceAll(ESCAPE, (_all, braced, four, eight, two, octal, simple) => {
    const hex: string | undefined = braced ?? four ?? eight ?? two;
    if (hex !== undefined) return ofCode(Number.parseInt(hex, 16));
    if (octal !== undefined) {
      if (octal > "377") fail("unable to unescape string");
      return ofCode(Number.parseInt(octal, 8));
    }
    return own(SIMPLE, simple) ?? fail("unable to unescape string");
  });
}

/** Length in bytes. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

/** Byte at `index`, which must lie inside. */
export function byteAt(text: string, index: number): number {
  return Buffer.from(text, "utf8")[index] ?? 0;
}

/** The bytes from `from` up to `to`; a character cut in two becomes the replacement character. */
export function byteSlice(text: string, from: number, to: number): string {
  return Buffer.from(text, "utf8").subarray(from, to).toString("utf8");
}

/** Text of a list of bytes. */
export function bytesToText(bytes: readonly unknown[]): string {
  return Buffer.from(bytes.map(Number)).toString("utf8");
}

/** Go's quoting in the errors of its time library: quotes and backslashes escaped, bytes beyond ASCII as \x. */
export function quoteBytes(text: string): string {
  const escaped = Buffer.from(text, "utf8")
    .toString("latin1")
    .replaceAll(/["\\]/g, "\\$&")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    .replaceAll(/[\0-\x1f\x7f-\xff]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return `"${escaped}"`;
}

/** Byte offset of `part` in `text`, -1 without a hit. */
export function byteIndexOf(text: string, part: string, isLast = false): number {
  const index = isLast ? text.lastIndexOf(part) : text.indexOf(part);
  return index < 0 ? -1 : byteLength(text.slice(0, index));
}

/** Negative, zero or positive: order by bytes, which is order by code point, not by UTF-16 unit. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  if (at === length) return a.length - b.length;
  return codeOrder(a.charCodeAt(at)) - codeOrder(b.charCodeAt(at));
}

/** Halves of surrogate pairs stand for the highest code points. */
const codeOrder = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);

/** Go's %v of a float64: shortest digits, exponent form (of two digits at least) below 1e-4 and from 1e+06 on. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const [mantissa = "", exponentText = "0"] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  if (value !== 0 && (exponent < -4 || exponent >= 6)) {
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return String(value);
}

const CASE_EXCEPTIONS: Readonly<Record<string, string>> = { ß: "ß", İ: "i" };

/** Go maps rune by rune: a character whose case form is longer than one character stays as it is. */
export function mapCase(text: string, to: "upper" | "lower"): string {
  return Array.from(text)
    .map((char) => {
      if (to === "lower" && own(CASE_EXCEPTIONS, char) !== undefined) return CASE_EXCEPTIONS[char];
      const mapped = to === "upper" ? char.toUpperCase() : char.toLowerCase();
      return Array.from(mapped).length === 1 ? mapped : char;
    })
    .join("");
}

const GO_SPACE = "\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const IS_SPACE = new RegExp(`^[${GO_SPACE}]$`, "u");

/** Removes Go's white space (U+0085 is, U+FEFF is not) at both ends, or the characters of `cutset`. */
export function trimText(text: string, cutset?: string): string {
  const cut = new Set(cutset);
  const isCut = (char = ""): boolean => (cutset === undefined ? IS_SPACE.test(char) : cut.has(char));
  const chars = Array.from(text);
  let from = 0;
  let to = chars.length;
  while (from < to && isCut(chars[from])) from += 1;
  while (to > from && isCut(chars[to - 1])) to -= 1;
  return chars.slice(from, to).join("");
}
