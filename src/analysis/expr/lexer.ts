// Turns the text of a condition into tokens, all at once. Oddities kept: `true?.5:1` reads `?.`, `007` is 7, `1_` is 1,
// comments of both kinds, `#` glued to a name, and `not` followed by a word operator.
import { fail, locate } from "./error.ts";
import { unescapeBytes, unescapeString } from "./text.ts";

export type TokenKind = "Identifier" | "Number" | "String" | "Bytes" | "Operator" | "Bracket" | "EOF";

export interface Token {
  readonly kind: TokenKind;
  readonly value: string;
  /** Characters before it. */
  readonly at: number;
}

/** Longest condition read; Kubernetes objects bound it too, this keeps a hostile one cheap. */
export const MAX_CONDITION_CHARS = 65_536;

const WORD_OPERATORS = new Set([
  "in",
  "or",
  "and",
  "matches",
  "contains",
  "startsWith",
  "endsWith",
  "let",
  "if",
  "else",
]);
const AFTER_NOT = new Set(["in", "matches", "contains", "startsWith", "endsWith"]);
const SPACE = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;
const NAME_CHAR = /[\p{L}\p{Nd}_$]/u;

/** Tells whether a character may stand in a name. */
export function isNameChar(char: string): boolean {
  return char !== "" && NAME_CHAR.test(char);
}

/** Words as the parser names a token in its errors. */
export function describeToken(token: Token): string {
  return token.value === "" ? token.kind : `${token.kind}(${JSON.stringify(token.value)})`;
}

class Scanner {
  readonly #chars: readonly string[];
  readonly tokens: Token[] = [];
  #at = 0;

  constructor(text: string) {
    this.#chars = Array.from(text);
  }

  peek(): string {
    return this.#chars[this.#at] ?? "";
  }

  next(): string {
    const char = this.peek();
    this.#at += 1;
    return char;
  }

  accept(valid: string): boolean {
    const char = this.peek();
    if (char === "" || !valid.includes(char)) return false;
    this.#at += 1;
    return true;
  }

  acceptRun(valid: string): undefined {
    while (this.accept(valid)) {
      // accept() moves on
    }
  }

  mark(): number {
    return this.#at;
  }

  reset(mark: number): undefined {
    this.#at = mark;
  }

  since(mark: number): string {
    return this.#chars.slice(mark, this.#at).join("");
  }

  emit(kind: TokenKind, value: string, at: number): undefined {
    this.tokens.push({ kind, value, at });
  }

  /** A literal from `start` on, less `skip` characters, as what it stands for. */
  unescaped(decode: (literal: string) => string, start: number, skip = 0): string {
    return locate(Math.max(0, this.#at - 1), () => decode(this.since(start).slice(skip)));
  }

  /** A failure at the character just read. */
  fail(message: string): never {
    return fail(message, Math.max(0, this.#at - 1));
  }
}

/** The tokens of a condition, ending with EOF. */
export function tokenize(text: string): readonly Token[] {
  if (text.length > MAX_CONDITION_CHARS)
    fail(`condition has ${text.length} characters, at most ${MAX_CONDITION_CHARS} are read`);
  const scanner = new Scanner(text);
  while (scanner.peek() !== "") scanToken(scanner);
  scanner.emit("EOF", "", Math.max(0, scanner.mark() - 1));
  return scanner.tokens;
}

function scanToken(scanner: Scanner): undefined {
  const start = scanner.mark();
  const char = scanner.next();
  if (SPACE.test(char)) return;
  if (char === "'" || char === '"') return scanString(scanner, start, char);
  if (char === "`") return scanRawString(scanner, start);
  if ((char === "b" || char === "B") && (scanner.peek() === "'" || scanner.peek() === '"')) {
    scanQuoted(scanner, scanner.next());
    return scanner.emit("Bytes", scanner.unescaped(unescapeBytes, start, 1), start);
  }
  if (char >= "0" && char <= "9") return scanNumber(scanner, start);
  if (char === "/" && (scanner.peek() === "/" || scanner.peek() === "*")) return skipComment(scanner);
  if (char === "#") return scanPointer(scanner, start);
  if ("([{)]}".includes(char)) return scanner.emit("Bracket", char, start);
  if (char === "." && /[0-9]/.test(scanner.peek())) return scanNumber(scanner, start);
  const pairs: Readonly<Record<string, string>> = { "?": ".?", "|": "|", ":": ":", ".": "." };
  if (pairs[char] !== undefined || "/,;%+-^".includes(char) || "&!=*<>".includes(char)) {
    scanner.accept(pairs[char] ?? ("&!=*<>".includes(char) ? "&=*" : ""));
    return scanner.emit("Operator", scanner.since(start), start);
  }
  if (isNameChar(char)) return scanWord(scanner, start);
  const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  scanner.fail(`unrecognized character: U+${code} '${char}'`);
}

function scanWord(scanner: Scanner, start: number): undefined {
  while (isNameChar(scanner.peek())) scanner.next();
  const word = scanner.since(start);
  if (word === "not") {
    scanner.emit("Operator", word, start);
    scanner.acceptRun(" ");
    const after = scanner.mark();
    while (isNameChar(scanner.peek())) scanner.next();
    const operator = scanner.since(after);
    if (AFTER_NOT.has(operator)) return scanner.emit("Operator", operator, after);
    return scanner.reset(after);
  }
  scanner.emit(WORD_OPERATORS.has(word) ? "Operator" : "Identifier", word, start);
}

function scanPointer(scanner: Scanner, start: number): undefined {
  scanner.accept("#");
  scanner.emit("Operator", scanner.since(start), start);
  const name = scanner.mark();
  while (isNameChar(scanner.peek())) scanner.next();
  if (scanner.mark() > name) scanner.emit("Identifier", scanner.since(name), name);
}

function scanNumber(scanner: Scanner, start: number): undefined {
  scanner.reset(start);
  let digits = "0123456789_";
  if (scanner.accept("0")) {
    if (scanner.accept("xX")) digits = "0123456789abcdefABCDEF_";
    else if (scanner.accept("oO")) digits = "01234567_";
    else if (scanner.accept("bB")) digits = "01_";
  }
  scanner.acceptRun(digits);
  const whole = scanner.mark();
  if (scanner.accept(".")) {
    if (scanner.peek() === ".") {
      // 1..2 is a range, not the number 1. followed by .2
      scanner.reset(whole);
      return scanner.emit("Number", scanner.since(start), start);
    }
    scanner.acceptRun(digits);
  }
  if (scanner.accept("eE")) {
    scanner.accept("+-");
    scanner.acceptRun(digits);
  }
  if (isNameChar(scanner.peek())) {
    scanner.next();
    scanner.fail(`bad number syntax: ${JSON.stringify(scanner.since(start))}`);
  }
  scanner.emit("Number", scanner.since(start), start);
}

function scanString(scanner: Scanner, start: number, quote: string): undefined {
  scanQuoted(scanner, quote);
  scanner.emit("String", scanner.unescaped(unescapeString, start), start);
}

function scanQuoted(scanner: Scanner, quote: string): undefined {
  for (let char = scanner.next(); char !== quote; char = scanner.next()) {
    if (char === "\n" || char === "") scanner.fail("literal not terminated");
    if (char === "\\") checkEscape(scanner, quote);
  }
}

/** Only the shape: what an escape stands for is worked out when the whole literal is known. */
function checkEscape(scanner: Scanner, quote: string): undefined {
  const digits = (valid: string, count: number): undefined => {
    for (let read = 0; read < count; read++) if (!scanner.accept(valid)) scanner.fail("invalid char escape");
  };
  const hex = "0123456789abcdefABCDEF";
  const char = scanner.peek();
  if (char !== "" && "01234567".includes(char)) return digits("01234567", 3);
  scanner.next();
  if (char === quote || (char !== "" && "abfnrtv\\".includes(char))) return;
  if (char === "x") return digits(hex, 2);
  if (char === "U") return digits(hex, 8);
  if (char !== "u") scanner.fail("invalid char escape");
  if (!scanner.accept("{")) return digits(hex, 4);
  const start = scanner.mark();
  scanner.acceptRun(hex);
  const count = scanner.mark() - start;
  if (count === 0 || count > 6 || !scanner.accept("}")) scanner.fail("invalid char escape");
}

function scanRawString(scanner: Scanner, start: number): undefined {
  let value = "";
  for (;;) {
    const char = scanner.next();
    if (char === "") scanner.fail("literal not terminated");
    if (char === "`" && !scanner.accept("`")) break;
    value += char;
  }
  scanner.emit("String", value, start);
}

function skipComment(scanner: Scanner): undefined {
  if (scanner.next() === "/") {
    for (let char = scanner.next(); char !== "\n" && char !== ""; ) char = scanner.next();
    return;
  }
  for (;;) {
    const char = scanner.next();
    if (char === "") scanner.fail("unclosed comment");
    if (char === "*" && scanner.accept("/")) return;
  }
}
