// Patterns of routes, in the syntax of RE2, always about a whole string. What is plain text in them can be compared as it is; the rest runs on a
// linear engine (re2.ts), which the first pattern that needs it loads: no configured pattern ever runs on a backtracking engine.
import { compileRe2 } from "./re2.ts";

/** Longest pattern, and largest compiled program: the time of one match is bounded by its product with the string, here a tenth of a second or two. */
export const MAX_PATTERN_CHARS = 4096;
export const MAX_PROGRAM_SIZE = 1024;

/** A compiled pattern. */
export interface Pattern {
  /** As configured. */
  readonly source: string;
  /** Whether all of `text` matches. */
  matches(text: string): boolean;
}

/** What a pattern comes down to. Strings that are matched hold no line breaks, so that `.*` is anything. */
export type PatternShape =
  | { readonly kind: "exact" | "prefix" | "suffix" | "contains"; readonly text: string }
  /** Every match begins with `text`, which may be empty. */
  | { readonly kind: "pattern"; readonly text: string; readonly pattern: Pattern };

/** Reads a pattern; a string says what is wrong with it. */
export function readPattern(regex: string): PatternShape | string {
  if (regex === "") return "is an empty pattern";
  if (regex.length > MAX_PATTERN_CHARS) return `is longer than ${MAX_PATTERN_CHARS} characters`;
  const plain = plainShape(regex);
  if (plain !== undefined) return plain;
  const compiled = compileRe2(regex);
  if ("problem" in compiled) return `is no pattern in RE2's syntax: ${compiled.problem}`;
  if (compiled.instructions > MAX_PROGRAM_SIZE)
    return `is a pattern too large to run on every request: ${compiled.instructions} instructions, at most ${MAX_PROGRAM_SIZE}`;
  const text = hasAlternatives(regex) ? "" : literalPrefix(unanchored(regex)).text;
  return { kind: "pattern", text, pattern: { source: regex, matches: compiled.accepts } };
}

/** A pattern of literal text, perhaps with `.*` before or behind it; undefined for others. */
function plainShape(regex: string): PatternShape | undefined {
  const anchored = unanchored(regex);
  const isOpen = /^\.\*(?![?+*{])/.test(anchored);
  const body = isOpen ? anchored.slice(2) : anchored;
  const { text, rest } = literalPrefix(body);
  if (rest === "" || rest === "$") return { kind: isOpen ? "suffix" : "exact", text };
  if (rest === ".*" || rest === ".*$") return { kind: isOpen ? "contains" : "prefix", text };
  return undefined;
}

/** Without a `^` at its begin, which says nothing of a whole string. */
function unanchored(regex: string): string {
  return /^\^(?![?+*{])/.test(regex) ? regex.slice(1) : regex;
}

const META = "\\.+*?()|[]{}^$";
const ESCAPED_TEXT = /^[!-/:-@[-^`{-~]$/;

/** The text that a pattern without alternatives at its top begins with, and what follows it. */
function literalPrefix(regex: string): { readonly text: string; readonly rest: string } {
  const chars = Array.from(regex);
  const literals: string[] = [];
  let at = 0;
  // Where the last literal begins: a quantifier behind it takes it back.
  let lastAt = at;
  for (;;) {
    const char = chars[at];
    if (char === undefined) break;
    const next = chars[at + 1];
    const isEscape = char === "\\" && next !== undefined && ESCAPED_TEXT.test(next);
    if (!isEscape && META.includes(char)) {
      if ("*+?{".includes(char) && literals.length > 0) {
        literals.pop();
        at = lastAt;
      }
      break;
    }
    lastAt = at;
    literals.push(isEscape ? next : char);
    at += isEscape ? 2 : 1;
  }
  return { text: literals.join(""), rest: chars.slice(at).join("") };
}

/** Whether a `|` may stand outside all groups. Classes and quotations with one are taken for that, to be safe. */
function hasAlternatives(regex: string): boolean {
  if (!regex.includes("|")) return false;
  if (/\[|\\Q/.test(regex)) return true;
  let depth = 0;
  for (let at = 0; at < regex.length; at++) {
    const char = regex[at];
    if (char === "\\") at++;
    else if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === "|" && depth === 0) return true;
  }
  return false;
}
