// Writes JSON values as Go's encoding/json writes the typed structs that they decode into: field order, omitempty, zero values,
// escapes, canonical quantities. Fields that the structs lack vanish. The struct table is generated (gen/gostructs.ts).
import { isObject } from "../lib/json.ts";
import { canonicalQuantity } from "../lib/quantity.ts";
import { formatTime, parseTime } from "../lib/time.ts";
import { GO_STRUCTS } from "./gen/gostructs.ts";

/** How a Go type is written. */
interface Encoder {
  /** Undefined: a nil pointer, slice or map, written as null unless it is left out. */
  encode(value: unknown): string | undefined;
  /** Whether omitempty leaves out what `encode` gave. Structs are never empty. */
  isEmpty(text: string | undefined): boolean;
}

interface Field {
  readonly name: string;
  /** The name as JSON with its colon. */
  readonly key: string;
  readonly encoder: Encoder;
  readonly omitEmpty: boolean;
  readonly omitZero: boolean;
}

// Made once each: the table never changes.
const encoders = new Map<string, Encoder>();
const structs = new Map<string, ReadonlyMap<string, string>>();

/** The JSON that Go writes for `value` as `type`: a struct of the table, or `[` before one for a list. */
export function goJson(type: string, value: unknown): string {
  return encoderOf(type).encode(value) ?? "null";
}

/** The names of the JSON fields of a Go struct, and their types in the table's codes. */
export function goFields(struct: string): ReadonlyMap<string, string> {
  const known = structs.get(struct);
  if (known !== undefined) return known;
  const row = GO_STRUCTS[struct];
  if (row === undefined) throw new TypeError(`${struct} is not in gen/gostructs.ts`);
  const fields = row === "" ? [] : row.split(" ").map((part) => part.replace(/[?0]*$/, "").split(":"));
  const made = new Map(fields.map(([name = "", type = ""]) => [name, type]));
  structs.set(struct, made);
  return made;
}

function encoderOf(type: string): Encoder {
  const known = encoders.get(type);
  if (known !== undefined) return known;
  const encoder = build(type);
  encoders.set(type, encoder);
  return encoder;
}

function build(type: string): Encoder {
  switch (type.charAt(0)) {
    case "*":
      return pointerTo(type.slice(1));
    case "[":
      return listOf(type.slice(1));
    case "{":
      return mapOf(type.slice(1));
    default:
      return SCALARS[type] ?? structOf(type);
  }
}

function scalar(encode: (value: unknown) => string, empty: string): Encoder {
  return { encode, isEmpty: (text) => text === empty };
}

const SCALARS: Readonly<Record<string, Encoder>> = {
  s: scalar((value) => goString(typeof value === "string" ? value : ""), '""'),
  b: scalar((value) => (value === true ? "true" : "false"), "false"),
  i: scalar((value) => (typeof value === "number" ? String(Math.trunc(value)) : "0"), "0"),
  q: scalar((value) => goString(quantityText(value)), ""),
  t: scalar((value) => timeText(value), ""),
  x: scalar((value) => (typeof value === "string" ? goString(value) : String(Number(value ?? 0))), ""),
  r: {
    encode: (value) => (value === undefined ? undefined : rawText(value)),
    isEmpty: (text) => text === undefined,
  },
};

function structOf(name: string): Encoder {
  let fields: readonly Field[] | undefined;
  return {
    isEmpty: () => false,
    encode(value) {
      fields ??= structFields(name);
      const object = isObject(value) ? value : {};
      let text = "";
      for (const field of fields) {
        const inner = field.encoder.encode(object[field.name]);
        if (field.omitEmpty && field.encoder.isEmpty(inner)) continue;
        if (field.omitZero && inner === "null") continue;
        text += `${text === "" ? "" : ","}${field.key}${inner ?? "null"}`;
      }
      return `{${text}}`;
    },
  };
}

function structFields(name: string): readonly Field[] {
  const row = GO_STRUCTS[name];
  if (row === undefined) throw new TypeError(`${name} is not in gen/gostructs.ts`);
  const parts = row === "" ? [] : row.split(" ");
  return parts.map((part) => {
    const [, field = "", type = "", marks = ""] = /^([^:]+):([^?0]+)([?0]*)$/.exec(part) ?? [];
    return {
      name: field,
      key: `${goString(field)}:`,
      encoder: encoderOf(type),
      omitEmpty: marks.includes("?"),
      omitZero: marks.includes("0"),
    };
  });
}

function pointerTo(type: string): Encoder {
  let inner: Encoder | undefined;
  return {
    isEmpty: (text) => text === undefined,
    encode(value) {
      if (value === undefined || value === null) return undefined;
      inner ??= encoderOf(type);
      return inner.encode(value);
    },
  };
}

function listOf(type: string): Encoder {
  let inner: Encoder | undefined;
  return {
    isEmpty: (text) => text === undefined || text === "[]",
    encode(value) {
      if (!Array.isArray(value)) return undefined;
      inner ??= encoderOf(type);
      const items: string[] = [];
      for (const item of value) items.push(inner.encode(item) ?? "null");
      return `[${items.join(",")}]`;
    },
  };
}

function mapOf(type: string): Encoder {
  let inner: Encoder | undefined;
  return {
    isEmpty: (text) => text === undefined || text === "{}",
    encode(value) {
      if (!isObject(value)) return undefined;
      inner ??= encoderOf(type);
      const items: string[] = [];
      for (const key of Object.keys(value).sort(compareKeys)) {
        items.push(`${goString(key)}:${inner.encode(value[key]) ?? "null"}`);
      }
      return `{${items.join(",")}}`;
    },
  };
}

const ESCAPED: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

/** A string as Go writes it: `< > &` and the two line separators escaped, what is no Unicode replaced. */
function goString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(
    /[<>&\u2028\u2029]/g,
    (found) => ESCAPED[found] ?? found,
  );
}

/** Go sorts keys by their bytes in UTF-8, which is the order of code points. */
function compareKeys(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const difference = (left[index]?.codePointAt(0) ?? 0) - (right[index]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** What is no quantity counts as zero: Argo does not refuse such a template either. */
function quantityText(value: unknown): string {
  if (typeof value !== "string" && typeof value !== "number") return "0";
  return canonicalQuantity(String(value)) ?? "0";
}

/** In UTC and whole seconds; `null` for Go's zero time and for what is no time. */
function timeText(value: unknown): string {
  const atMs = typeof value === "string" ? parseTime(value) : undefined;
  if (atMs === undefined) return "null";
  const text = formatTime(atMs);
  return text === "0001-01-01T00:00:00Z" ? "null" : `"${text}"`;
}

/** Raw JSON as the API server hands it on: keys sorted, no spaces, strings escaped as above. */
function rawText(value: unknown): string {
  if (typeof value === "string") return goString(value);
  if (Array.isArray(value)) return `[${value.map(rawText).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value ?? null);
  const keys = Object.keys(value).sort(compareKeys);
  return `{${keys.map((key) => `${goString(key)}:${rawText(value[key])}`).join(",")}}`;
}
