// Number literals: 1_000, 0x1F, 0b101, 0o17, 1e-2, with the oddities of the reference (007 is 7, 1_ is 1, 0x1e5 is 485).
import type { Node } from "./ast.ts";
import type { Cursor } from "./cursor.ts";
import type { Token } from "./lexer.ts";

const INT64_MAX = 2n ** 63n - 1n;
const RADIX: Readonly<Record<string, string>> = { "0x": "hex", "0b": "binary", "0o": "octal" };

/** The node of a number token, which has been read already. */
export function numberNode(cursor: Cursor, token: Token): Node {
  const value = token.value.replaceAll("_", "").toLowerCase();
  const kind = RADIX[value.slice(0, 2)];
  if (kind !== "hex" && /[.e]/.test(value)) return floatNode(cursor, token, value);
  const name = kind ?? "integer";
  const invalid = (why: string): never =>
    cursor.fail(`invalid ${name} literal: ${quote("ParseInt", value, why)}`);
  if (kind !== undefined && !/^0(?:x[0-9a-f]+|b[01]+|o[0-7]+)$/.test(value)) invalid("invalid syntax");
  const digits = kind === undefined ? value.replace(/^0+(?=\d)/, "") : value;
  // Longer ones do not fit in any case, and BigInt would take its time over them.
  if (digits.length > 70) invalid("value out of range");
  const number = BigInt(digits);
  if (number > INT64_MAX) invalid("value out of range");
  return cursor.make({ kind: "int", value: number }, token.at);
}

function floatNode(cursor: Cursor, token: Token, value: string): Node {
  if (!/^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/.test(value))
    cursor.fail(`invalid float literal: ${quote("ParseFloat", value, "invalid syntax")}`);
  const number = Number(value);
  if (!Number.isFinite(number))
    cursor.fail(`invalid float literal: ${quote("ParseFloat", value, "value out of range")}`);
  return cursor.make({ kind: "float", value: number }, token.at);
}

function quote(parser: string, value: string, why: string): string {
  return `strconv.${parser}: parsing ${JSON.stringify(value)}: ${why}`;
}
