// Kubernetes objects in protobuf, as Go clients write built-in kinds by default, read into what they would be in JSON. Reading only:
// answers are JSON, which the same clients take.
// Source: Kubernetes: docs/reference/using-api/api-concepts, "Kubernetes Protobuf encoding"; the messages are in prototable.ts.

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { messageOf } from "../../lib/errors.ts";
import { badRequest } from "./errors.ts";
import { PROTO_TABLE } from "./prototable.ts";

interface Field {
  readonly name: string;
  readonly type: string;
  readonly shape: "one" | "list" | "map";
  /** Its own fields stand in its place. */
  readonly isInline: boolean;
  /** Go writes it although it is not set. */
  readonly isZeroNothing: boolean;
}
type Fields = ReadonlyMap<number, Field>;
type Values = Record<string, unknown>;
type Raw = ReadonlyMap<number, readonly unknown[]>;

/** What every body begins with. */
const MAGIC = "k8s\0";
/** Deeper nesting than any kind has, but for the schemas of definitions, which are not read here. */
const MAX_DEPTH = 32;

let table: ReadonlyMap<string, Fields> | undefined;

/** The JSON of a body in protobuf; undefined: it is empty, or of a kind that is not read here. */
export function jsonOfProtobuf(body: Uint8Array): string | undefined {
  if (body.byteLength === 0) return undefined;
  try {
    return JSON.stringify(objectOf(body));
  } catch (error) {
    throw badRequest(`the body is not Kubernetes' protobuf: ${messageOf(error)}`);
  }
}

function objectOf(body: Uint8Array): Values | undefined {
  if (Buffer.from(body.subarray(0, MAGIC.length)).toString("latin1") !== MAGIC)
    throw new Error("it does not begin with `k8s` and a zero");
  table ??= parseTable();
  const envelope = rawOf(body.subarray(MAGIC.length));
  const type = rawOf(bytesAt(envelope, 1));
  const [apiVersion, kind] = [textOf(bytesAt(type, 1)), textOf(bytesAt(type, 2))];
  if (!table.has(kind)) return undefined;
  return { apiVersion, kind, ...valuesOf(kind, bytesAt(envelope, 2), 0) };
}

/** The fields of a message as they would stand in JSON. */
function valuesOf(message: string, bytes: Uint8Array, depth: number): Values {
  const fields = table?.get(message);
  if (fields === undefined || depth > MAX_DEPTH) throw new Error(`${message} is nested too deeply`);
  const values: Values = {};
  for (const [number, found] of rawOf(bytes)) {
    const field = fields.get(number);
    // Of a newer Kubernetes: as with JSON, fields that are not known are left out.
    if (field === undefined) continue;
    const value = jsonValue(field, found, depth + 1);
    if (field.isInline) Object.assign(values, value);
    else if (!(field.isZeroNothing && isZero(value))) values[field.name] = value;
  }
  return values;
}

function jsonValue({ shape, type }: Field, found: readonly unknown[], depth: number): unknown {
  switch (shape) {
    case "one":
      return single(type, found.at(-1), depth);
    case "list":
      return found.map((one) => single(type, one, depth));
    case "map":
      return Object.fromEntries(
        found.map((one) => {
          const entry = rawOf(bytesIn(one));
          return [textOf(bytesAt(entry, 1)), single(type, entry.get(2)?.at(-1) ?? EMPTY, depth)];
        }),
      );
  }
}

function single(type: string, raw: unknown, depth: number): unknown {
  switch (type) {
    case "int":
      return Number(raw);
    case "bool":
      return Number(raw) !== 0;
    case "string":
      return textOf(bytesIn(raw));
    case "bytes":
      return Buffer.from(bytesIn(raw)).toString("base64");
    case "quantity":
      return textOf(bytesAt(rawOf(bytesIn(raw)), 1));
    case "json": {
      const text = textOf(bytesAt(rawOf(bytesIn(raw)), 1));
      return text === "" ? null : JSON.parse(text);
    }
    case "time":
    case "microtime":
      return timeOf(rawOf(bytesIn(raw)), type);
    case "intorstring": {
      const { 1: kind = 0, 2: int = 0, 3: text = EMPTY } = last(rawOf(bytesIn(raw)));
      return Number(kind) === 0 ? Number(int) : textOf(bytesIn(text));
    }
    default:
      return valuesOf(type, bytesIn(raw), depth);
  }
}

/** RFC 3339, with microseconds where the type has them; null: not set. */
function timeOf(raw: Raw, type: "time" | "microtime"): string | null {
  if (raw.size === 0) return null;
  const { 1: seconds = 0, 2: nanos = 0 } = last(raw);
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const micros = String(Math.floor(Number(nanos) / 1000)).padStart(6, "0");
  return type === "time" ? `${whole}Z` : `${whole}.${micros}Z`;
}

const EMPTY = new Uint8Array();

/** What is on the wire, by number of field: bytes, or bigints. */
function rawOf(bytes: Uint8Array): Raw {
  const reader = new BinaryReader(bytes);
  const found = new Map<number, unknown[]>();
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (wire !== WireType.Varint && wire !== WireType.LengthDelimited) {
      reader.skip(wire, number);
      continue;
    }
    const value = wire === WireType.Varint ? BigInt(reader.int64()) : reader.bytes();
    const before = found.get(number);
    if (before === undefined) found.set(number, [value]);
    else before.push(value);
  }
  return found;
}

function last(raw: Raw): Readonly<Record<number, unknown>> {
  return Object.fromEntries([...raw].map(([number, found]) => [number, found.at(-1)]));
}

function bytesAt(raw: Raw, number: number): Uint8Array {
  return bytesIn(raw.get(number)?.at(-1) ?? EMPTY);
}

function bytesIn(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new Error("a number stands where bytes belong");
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}

function isZero(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === "" || value === 0 || value === false;
}

function parseTable(): ReadonlyMap<string, Fields> {
  const lines = PROTO_TABLE.trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [name = "", ...fields] = line.split(", ");
      return [name, new Map(fields.map(parseField))] as const;
    }),
  );
}

function parseField(text: string): readonly [number, Field] {
  const [number = "", name = "", type = ""] = text.split(" ");
  const shape = type.startsWith("[]") ? "list" : type.startsWith("{}") ? "map" : "one";
  const field: Field = {
    name: name.replace("?", ""),
    type: type.replace(/^(\[\]|\{\})/, ""),
    shape,
    isInline: name === ".",
    isZeroNothing: name.endsWith("?"),
  };
  return [Number(number), field];
}
