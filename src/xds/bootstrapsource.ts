// The text of a bootstrap with its places: parses YAML (and so JSON), names fields that the schema does not know, and words every refusal
// with file, line and column. Loaded only for what is not plain JSON or not right: it brings the YAML library. Pure.
import type { DescMessage, JsonValue } from "@bufbuild/protobuf";
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node as YamlNode } from "yaml";
import { WeirError } from "../lib/errors.ts";
import { BOOTSTRAP_INVALID, type Problem } from "./bootstrapproblems.ts";
import { BootstrapSchema } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { registry } from "./messages.ts";

/** Problems that one error names. */
const MAX_PROBLEMS = 10;
const MAX_ALIASES = 100;

/** A bootstrap's text as a value. */
export interface Source {
  readonly json: JsonValue;
  /** The error that names these problems where they stand. */
  readonly refuse: (problems: readonly Problem[]) => WeirError;
}

/** Parses. Throws BOOTSTRAP_INVALID when it is no YAML mapping, or says a field that the proxy does not know. */
export function readSource(text: string, file: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const found: Found = { problems: [], offsets: new Map() };
  const refuse = (problems: readonly Problem[]): WeirError => {
    const named = problems.slice(0, MAX_PROBLEMS).map(({ path, why }) => {
      const { line, col } = lines.linePos(offsetOf(path, found.offsets));
      return `${file}:${line}:${col}: ${path === "" ? "the bootstrap" : path} ${why}`;
    });
    if (problems.length > MAX_PROBLEMS) named.push(`and ${problems.length - MAX_PROBLEMS} more`);
    return new WeirError({ code: BOOTSTRAP_INVALID, source: "user", message: named.join("\n") });
  };
  const [syntax] = document.errors;
  if (syntax !== undefined) {
    found.offsets.set("", syntax.pos[0]);
    throw refuse([{ path: "", why: `is not YAML: ${syntax.message}` }]);
  }
  if (isMap(document.contents))
    indexMessage(document.contents, BootstrapSchema, "", found, (node) =>
      isAlias(node) ? node.resolve(document) : node,
    );
  else found.problems.push({ path: "", why: "is no mapping" });
  if (found.problems.length > 0) throw refuse(found.problems);
  // The YAML library types its result as any; proto-JSON takes what JSON can hold and refuses the rest.
  return { json: document.toJS({ maxAliasCount: MAX_ALIASES }) as JsonValue, refuse };
}

interface Found {
  readonly problems: Problem[];
  /** Where each field's key stands, by path. */
  readonly offsets: Map<string, number>;
}

type Resolve = (node: unknown) => unknown;

/** Notes where the fields of a mapping stand, and names those that the schema does not know. */
function indexMessage(node: YamlNode, schema: DescMessage, at: string, found: Found, resolve: Resolve): void {
  if (!isMap(node)) return;
  const typeUrl = schema.typeName === "google.protobuf.Any" ? node.get("@type") : undefined;
  let known: DescMessage | undefined = schema;
  if (typeof typeUrl === "string") {
    known = registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
    if (known === undefined)
      found.problems.push({ path: at, why: `is a ${typeUrl}, which this proxy does not know` });
  }
  // These have a form of their own in JSON.
  if (known === undefined || known.typeName.startsWith("google.protobuf.")) return;
  for (const { key, value } of node.items) {
    if (!isScalar(key) || key.value === "@type") continue;
    const name = String(key.value);
    const field = known.fields.find((one) => one.name === name || one.jsonName === name);
    const path = at === "" ? (field?.name ?? name) : `${at}.${field?.name ?? name}`;
    found.offsets.set(path, key.range?.[0] ?? 0);
    if (field === undefined) {
      found.problems.push({ path, why: `is not a field of ${known.typeName} that this proxy knows` });
      continue;
    }
    const inner = resolve(value);
    const schemaOfValue = field.message;
    if (schemaOfValue === undefined) continue;
    if (field.fieldKind === "message") indexOne(inner, schemaOfValue, path, found, resolve);
    if (field.fieldKind === "list" && isSeq(inner))
      for (const [index, item] of inner.items.entries())
        indexOne(resolve(item), schemaOfValue, `${path}[${index}]`, found, resolve);
    if (field.fieldKind === "map" && isMap(inner))
      for (const pair of inner.items)
        indexOne(
          resolve(pair.value),
          schemaOfValue,
          `${path}[${JSON.stringify(String(pair.key))}]`,
          found,
          resolve,
        );
  }
}

function indexOne(node: unknown, schema: DescMessage, path: string, found: Found, resolve: Resolve): void {
  if (!isMap(node)) return;
  found.offsets.set(path, found.offsets.get(path) ?? node.range?.[0] ?? 0);
  indexMessage(node, schema, path, found, resolve);
}

/** The offset of a path, or of the nearest field around it. */
function offsetOf(path: string, offsets: ReadonlyMap<string, number>): number {
  for (let at = path; at !== ""; at = at.replace(/(\.[^.[\]"]+|\[[^[\]]*\]|^[^.[]+)$/, "")) {
    const offset = offsets.get(at);
    if (offset !== undefined) return offset;
  }
  return offsets.get("") ?? 0;
}
