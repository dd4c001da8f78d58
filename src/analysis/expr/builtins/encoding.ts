// JSON and Base64, as Go's libraries write and read them.
import { Buffer } from "node:buffer";
import { fail } from "../error.ts";
import type { Meter } from "../meter.ts";
import { compareText } from "../text.ts";
import { formatCivil } from "../time/layout.ts";
import { Moment } from "../time/moment.ts";
import { STRING, UNKNOWN } from "../types.ts";
import {
  asText,
  BYTES_TYPE,
  GenericMap,
  GoList,
  goType,
  isListValue,
  isMapValue,
  NamedInt,
  NIL_LIST,
  type Value,
} from "../values.ts";
import { at, type Builtins, overloads } from "./builtin.ts";

const RFC3339_NANO = "2006-01-02T15:04:05.999999999Z07:00";
/** Nesting of JSON that is written and read. */
const MAX_JSON_DEPTH = 1000;

/** Indented by two, keys sorted, < > & escaped. */
function toJson(value: Value, meter: Meter, indent = ""): string {
  meter.spend(1);
  if (indent.length > 2 * MAX_JSON_DEPTH) fail("json: unsupported value: nested too deep");
  if (value === null || value === NIL_LIST) return "null";
  if (typeof value === "string") return quoteJson(value, meter);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return numberJson(value);
  if (value instanceof NamedInt) return String(value.value);
  if (value instanceof Moment) return `"${formatCivil(value.civil(), RFC3339_NANO)}"`;
  if (value instanceof GoList && value.goType === BYTES_TYPE)
    return `"${Buffer.from(value.map(Number)).toString("base64")}"`;
  const inner = `${indent}  `;
  meter.spendText(indent.length);
  const wrap = (open: string, close: string, parts: readonly string[]): string =>
    parts.length === 0 ? open + close : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
  if (isListValue(value))
    return wrap(
      "[",
      "]",
      value.map((item) => toJson(item, meter, inner)),
    );
  if (!isMapValue(value))
    return value instanceof GenericMap || typeof value === "function"
      ? fail(`json: unsupported type: ${goType(value)}`)
      : "{}";
  const keys = Object.keys(value).sort(compareText);
  return wrap(
    "{",
    "}",
    keys.map((key) => `${quoteJson(key, meter)}: ${toJson(value[key] ?? null, meter, inner)}`),
  );
}

function quoteJson(text: string, meter: Meter): string {
  meter.spendText(text.length);
  return JSON.stringify(text).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

function numberJson(value: number): string {
  if (!Number.isFinite(value)) {
    const name = Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    return fail(`json: unsupported value: ${name}`);
  }
  return Object.is(value, -0) ? "-0" : String(value);
}

function fromJson(text: string, meter: Meter): Value {
  meter.spend(text.length);
  let value: Value;
  try {
    // JSON holds no other values than these.
    value = JSON.parse(text) as Value;
  } catch (error) {
    return fail(`fromJSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return plain(value, 0);
}

/** The value without what Go refuses or replaces: numbers beyond a float, halves of surrogate pairs. */
function plain(value: Value, depth: number): Value {
  if (depth > MAX_JSON_DEPTH) fail("fromJSON: nested too deep");
  if (typeof value === "number" && !Number.isFinite(value))
    fail("fromJSON: a number is beyond the range of a float64");
  if (typeof value === "string") return value.toWellFormed();
  if (isListValue(value)) return value.map((item) => plain(item, depth + 1));
  if (!isMapValue(value)) return value;
  const map: Record<string, Value> = Object.create(null);
  for (const [key, held] of Object.entries(value)) map[key.toWellFormed()] = plain(held, depth + 1);
  return map;
}

const BASE64_CHAR = /[A-Za-z0-9+/]/;

function fromBase64(text: string, meter: Meter): string {
  meter.spend(text.length);
  const corrupt = (index: number): never => fail(`illegal base64 data at input byte ${index}`);
  const digits: string[] = [];
  let padding = 0;
  for (let index = 0; index < text.length; index++) {
    const char = text[index] ?? "";
    if (char === "\n" || char === "\r") continue;
    if (padding > 0) {
      // After the first of two `=` only the second may come, after that nothing.
      if (char !== "=" || padding + (digits.length % 4) >= 4) corrupt(index);
      padding += 1;
    } else if (char === "=") {
      if (digits.length % 4 < 2) corrupt(index);
      padding = 1;
    } else if (BASE64_CHAR.test(char)) digits.push(char);
    else corrupt(index);
  }
  // What is missing is told from where the last four began, unless its padding has.
  if ((digits.length + padding) % 4 !== 0) corrupt(text.length - (padding === 0 ? digits.length % 4 : 0));
  return Buffer.from(digits.join(""), "base64").toString("utf8");
}

export const ENCODING_BUILTINS: Builtins = {
  toJSON: {
    rule: overloads("toJSON", [[UNKNOWN], STRING]),
    run: (args, { meter }) => toJson(at(args, 0), meter),
  },
  fromJSON: {
    rule: overloads("fromJSON", [[STRING], UNKNOWN]),
    run: (args, { meter }) => fromJson(asText(at(args, 0)), meter),
  },
  toBase64: {
    rule: overloads("toBase64", [[STRING], STRING]),
    run: (args, { meter }) => {
      meter.spendText(asText(at(args, 0)).length);
      return Buffer.from(asText(at(args, 0)), "utf8").toString("base64");
    },
  },
  fromBase64: {
    rule: overloads("fromBase64", [[STRING], STRING]),
    run: (args, { meter }) => fromBase64(asText(at(args, 0)), meter),
  },
};
