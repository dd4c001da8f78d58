// Turns a zod schema into a tolerant decoder: keeps what fits, drops and reports what does not, fills in Go's zero values,
// copies only along the paths where something had to change.
import { z } from "zod";
import { isObject } from "../lib/json.ts";
import { TIME_PATTERN, time } from "./shapes.ts";

/** Keys and indexes from the root of an object. */
export type Path = readonly (string | number)[];

/** Something a schema has to say about a place in an object. */
export interface Finding {
  readonly path: Path;
  /** What is wrong, beginning with the value: `is "three", expected an integer`. */
  readonly message: string;
  /** It is about the key at the end of the path, not about the value. */
  readonly isKey?: true;
  /** The name that was probably meant by an unknown key. */
  readonly meant?: string;
}

export interface Inspection {
  /** Values that do not decode. */
  readonly dropped: readonly Finding[];
  /** Required fields that are absent. */
  readonly missing: readonly Finding[];
  /** Fields that the schema does not name. */
  readonly unknown: readonly Finding[];
}

export interface Decoder {
  /** Never throws. `value` is the input itself when nothing had to change. */
  read(input: unknown): { readonly value: unknown; readonly dropped: readonly Finding[] };
}

/** Where the pass stands, and what it found. */
interface Pass {
  readonly path: (string | number)[];
  readonly dropped: Finding[];
  /** Only a strict pass collects these. */
  readonly missing: Finding[] | undefined;
  readonly unknown: Finding[] | undefined;
}

interface Node {
  /** What the value should be, for messages: `an integer`. */
  readonly expected: string;
  readonly isOptional: boolean;
  /** DROPPED when the value as a whole does not fit. */
  decode(value: unknown, pass: Pass): unknown;
  /** Go's zero value of the type. */
  zero(): unknown;
}

const DROPPED = Symbol("dropped");
const NO_FINDINGS: readonly Finding[] = [];
const nodes = new WeakMap<z.core.$ZodType, Node>();

/** The decoder of a schema; built once per schema. */
export function decoderOf(schema: z.ZodType): Decoder {
  const root = nodeOf(schema);
  return {
    read(input) {
      const pass: Pass = { path: [], dropped: [], missing: undefined, unknown: undefined };
      const value = decodeAt(root, input, pass);
      const dropped = pass.dropped.length === 0 ? NO_FINDINGS : pass.dropped;
      return { value: value === DROPPED ? root.zero() : value, dropped };
    },
  };
}

/** Everything the schema has to say about `input`. */
export function inspect(schema: z.ZodType, input: unknown): Inspection {
  const pass = { path: [], dropped: [], missing: [], unknown: [] };
  decodeAt(nodeOf(schema), input, pass);
  return pass;
}

/** Kubernetes' spelling of a path: `spec.strategy.canary.steps[0].setWeight`, `metadata.labels[app.kubernetes.io/name]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(key)) text += text === "" ? key : `.${key}`;
    else text += `[${key}]`;
  }
  return text;
}

function nodeOf(schema: z.core.$ZodType): Node {
  const known = nodes.get(schema);
  if (known !== undefined) return known;
  const node = build(schema);
  nodes.set(schema, node);
  return node;
}

function build(schema: z.core.$ZodType): Node {
  // zod gives its classes for narrowing; schemas of this room use only the types listed here.
  if (schema instanceof z.ZodOptional) return { ...nodeOf(schema.def.innerType), isOptional: true };
  if (schema instanceof z.ZodObject) return objectNode(schema.def.shape);
  if (schema instanceof z.ZodArray) return arrayNode(nodeOf(schema.def.element));
  if (schema instanceof z.ZodRecord) return recordNode(nodeOf(schema.def.valueType));
  if (schema instanceof z.ZodUnion) return unionNode(schema.def.options.map(nodeOf));
  if (schema instanceof z.ZodUnknown) return leaf("any value", () => true, null);
  if (schema instanceof z.ZodBoolean)
    return leaf("true or false", (value) => typeof value === "boolean", false);
  if (schema instanceof z.ZodEnum) return enumNode(schema.options);
  if (schema instanceof z.ZodString) return stringNode(schema);
  if (schema instanceof z.ZodNumber) return numberNode(schema);
  throw new TypeError(`a schema of api/ uses ${schema._zod.def.type}, which the decoder does not know`);
}

function leaf(expected: string, fits: (value: unknown) => boolean, zero: unknown): Node {
  return {
    expected,
    isOptional: false,
    decode: (value) => (fits(value) ? value : DROPPED),
    zero: () => zero,
  };
}

function stringNode(schema: z.ZodString): Node {
  if ((schema.def.checks ?? []).length === 0)
    return leaf("a string", (value) => typeof value === "string", "");
  if (schema !== time) throw new TypeError("a schema of api/ checks a string that is no time");
  // Times are many in every status, and the pattern alone is cheaper than zod's way to it.
  return leaf("an RFC 3339 time", (value) => typeof value === "string" && TIME_PATTERN.test(value), "");
}

function numberNode(schema: z.ZodNumber): Node {
  const isWhole = schema.isInt;
  const min = schema.minValue ?? Number.NEGATIVE_INFINITY;
  const max = schema.maxValue ?? Number.POSITIVE_INFINITY;
  const expected = isWhole ? (max === 2147483647 ? "a 32-bit integer" : "an integer") : "a number";
  const fits = (value: unknown): boolean =>
    typeof value === "number" && (isWhole ? Number.isInteger(value) : true) && value >= min && value <= max;
  return leaf(expected, fits, 0);
}

function enumNode(options: readonly (string | number)[]): Node {
  const allowed = new Set<unknown>(options);
  return leaf(`one of ${options.join(", ")}`, (value) => allowed.has(value), options[0] ?? "");
}

function unionNode(options: readonly Node[]): Node {
  return {
    expected: options.map((option) => option.expected).join(" or "),
    isOptional: false,
    decode(value, pass) {
      for (const option of options) {
        const decoded = option.decode(value, pass);
        if (decoded !== DROPPED) return decoded;
      }
      return DROPPED;
    },
    zero: () => options[0]?.zero(),
  };
}

function arrayNode(element: Node): Node {
  return {
    expected: "a list",
    isOptional: false,
    zero: () => [],
    decode(value, pass) {
      if (!Array.isArray(value)) return DROPPED;
      let copy: unknown[] | undefined;
      for (let index = 0; index < value.length; index += 1) {
        const item: unknown = value[index];
        pass.path.push(index);
        const decoded = decodeAt(element, item, pass);
        pass.path.pop();
        if (decoded === item) continue;
        copy ??= value.slice();
        // An item that does not decode keeps its place, so that indexes (of steps, for one) mean what they meant.
        copy[index] = decoded === DROPPED ? element.zero() : decoded;
      }
      return copy ?? value;
    },
  };
}

function recordNode(element: Node): Node {
  return {
    expected: "a map",
    isOptional: false,
    zero: () => ({}),
    decode(value, pass) {
      if (!isObject(value)) return DROPPED;
      let copy: Record<string, unknown> | undefined;
      for (const key of Object.keys(value)) {
        const item = value[key];
        pass.path.push(key);
        const decoded = decodeAt(element, item, pass);
        pass.path.pop();
        if (decoded === item) continue;
        copy ??= { ...value };
        if (decoded === DROPPED) delete copy[key];
        else copy[key] = decoded;
      }
      return copy ?? value;
    },
  };
}

function objectNode(shape: Readonly<Record<string, z.core.$ZodType>>): Node {
  const fields = Object.entries(shape).map(([key, schema]) => ({ key, node: nodeOf(schema) }));
  const names = new Set(fields.map((field) => field.key));
  const zero = (): Record<string, unknown> =>
    Object.fromEntries(
      fields.filter(({ node }) => !node.isOptional).map(({ key, node }) => [key, node.zero()]),
    );
  return {
    expected: "an object",
    isOptional: false,
    zero,
    decode(value, pass) {
      if (!isObject(value)) return DROPPED;
      let copy: Record<string, unknown> | undefined;
      for (const { key, node } of fields) {
        const item = value[key];
        if (item === undefined && node.isOptional) continue;
        pass.path.push(key);
        const decoded = fieldValue(node, item, pass);
        pass.path.pop();
        if (decoded === item) continue;
        copy ??= { ...value };
        if (decoded === DROPPED) delete copy[key];
        else copy[key] = decoded;
      }
      if (pass.unknown !== undefined) reportUnknown(value, names, pass);
      return copy ?? value;
    },
  };
}

/** DROPPED: the field is left out. A null counts as absent, as it does in Kubernetes. */
function fieldValue(node: Node, item: unknown, pass: Pass): unknown {
  if (item === undefined || item === null) {
    if (node.isOptional) return DROPPED;
    pass.missing?.push({ path: [...pass.path], message: `is missing, expected ${node.expected}` });
    return node.zero();
  }
  const decoded = decodeAt(node, item, pass);
  return decoded === DROPPED && !node.isOptional ? node.zero() : decoded;
}

function decodeAt(node: Node, value: unknown, pass: Pass): unknown {
  const decoded = node.decode(value, pass);
  if (decoded === DROPPED) {
    pass.dropped.push({ path: [...pass.path], message: `is ${show(value)}, expected ${node.expected}` });
  }
  return decoded;
}

function reportUnknown(
  value: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
  pass: Pass,
): void {
  for (const key of Object.keys(value)) {
    if (!names.has(key)) pass.unknown?.push(unknownField([...pass.path, key], value, names, "weir"));
  }
}

/** The finding about the key at the end of `path`, in `object`; `reader` is who does not know it. */
export function unknownField(
  path: Path,
  object: Readonly<Record<string, unknown>>,
  names: Iterable<string>,
  reader: "weir" | "Kubernetes",
): Finding {
  const key = String(path.at(-1));
  const all = [...names];
  const absent = all.filter((name) => !Object.hasOwn(object, name));
  const meant = nearestName(key, absent);
  // Then both are written, and the one of them that counts is the other.
  const twin = meant === undefined ? nearestName(key, all) : undefined;
  const guess = twin === undefined ? "" : `; ${twin}, which stands beside it, is`;
  const message = `is not a field that ${reader} knows${meant === undefined ? guess : suggestion(meant)}`;
  return { path, message, isKey: true, ...(meant === undefined ? {} : { meant }) };
}

/** `; did you mean …?` with the nearest of the names; empty when none is near. */
export function didYouMean(key: string, names: Iterable<string>): string {
  const nearest = nearestName(key, names);
  return nearest === undefined ? "" : suggestion(nearest);
}

function suggestion(name: string): string {
  return `; did you mean ${name}?`;
}

/** The name that differs from `key` least: by case, or by at most two letters left out, added, changed or swapped. */
export function nearestName(key: string, names: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  // Of short names, two letters would be most of them.
  let least = key.length > 3 ? 3 : 1;
  for (const name of names) {
    const far = distance(key.toLowerCase(), name.toLowerCase());
    if (far >= least) continue;
    nearest = name;
    least = far;
  }
  return nearest;
}

/** Levenshtein's distance, in which a swap of neighbours counts as one change. */
function distance(a: string, b: string): number {
  let before: readonly number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? (before[j - 2] ?? 0) + 1 : change;
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
