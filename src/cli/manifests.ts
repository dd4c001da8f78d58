// Reads manifests from files, folders and standard input: YAML or JSON, several documents a file, Lists taken apart.
// Every object remembers where it stands, so that an error can name file, line, column and field.
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { text } from "node:stream/consumers";
import { type Document, LineCounter, parseAllDocuments } from "yaml";
import type { KubeObject, ResourceType } from "../api/api.ts";
import { isWeirError, messageOf, WeirError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import { CLI_ERRORS } from "./cli.ts";
import { kindOfManifest } from "./cluster.ts";

/** Files beyond this size are refused. */
const MAX_BYTES = 16 * 1024 * 1024;
const EXTENSIONS = new Set([".yaml", ".yml", ".json"]);

export type FieldPath = readonly PropertyKey[];

/** One object of a manifest and where it stands. */
export interface Manifest {
  readonly object: KubeObject;
  readonly type: ResourceType;
  /** `file:line:column` of a field, or of the nearest thing around it that is there. */
  locate(path: FieldPath): string;
}

/** Reads all manifests that the paths lead to, in order; `-` is standard input, a folder means its files. Throws `manifest`. */
export async function readManifests(
  paths: readonly string[],
  stdin: NodeJS.ReadableStream,
): Promise<Manifest[]> {
  const manifests: Manifest[] = [];
  for (const path of paths) {
    for (const [name, content] of await sources(path, stdin))
      manifests.push(...parseManifests(name, content));
  }
  if (manifests.length > 0) return manifests;
  throw manifestError(`${paths.join(", ")}: no manifest found (files end in .yaml, .yml or .json)`);
}

/** Reads the manifests in one text. */
export function parseManifests(file: string, content: string): Manifest[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(content, { lineCounter: lines, prettyErrors: false });
  // An empty stream is an object without documents.
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) {
      const words = `is not YAML: ${problem.message.split("\n")[0]}`;
      throw manifestError(
        `${position(file, lines, problem.pos[0])}: ${words} (mind indentation and brackets)`,
      );
    }
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    return value === null ? [] : take(file, lines, document, value, []);
  });
}

async function sources(path: string, stdin: NodeJS.ReadableStream): Promise<[string, string][]> {
  if (path === "-") return [["standard input", await text(stdin)]];
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) {
      const names = (await readdir(path)).filter((name) => EXTENSIONS.has(extname(name))).sort();
      return Promise.all(
        names.map(async (name) => [join(path, name), await readFile(join(path, name), "utf8")]),
      );
    }
    if (facts.size > MAX_BYTES) throw manifestError(`${path}: larger than ${MAX_BYTES} bytes`);
    return [[path, await readFile(path, "utf8")]];
  } catch (error) {
    if (isWeirError(error)) throw error;
    throw manifestError(`${path} cannot be read: ${messageOf(error)}`);
  }
}

function take(
  file: string,
  lines: LineCounter,
  document: Document,
  value: unknown,
  at: FieldPath,
): Manifest[] {
  const locate = (path: FieldPath): string => locateIn(file, lines, document, [...at, ...path]);
  if (!isObject(value))
    throw manifestError(`${locate([])}: a manifest is an object with apiVersion, kind and metadata`);
  const { apiVersion, kind, metadata, items } = value;
  if (typeof apiVersion !== "string") throw manifestError(`${locate([])}: apiVersion is missing`);
  if (typeof kind !== "string") throw manifestError(`${locate([])}: kind is missing`);
  if (kind.endsWith("List") && Array.isArray(items)) {
    return items.flatMap((item, index) => take(file, lines, document, item, [...at, "items", index]));
  }
  const type = kindOfManifest(apiVersion, kind);
  if (type === undefined)
    throw manifestError(`${locate(["kind"])}: ${apiVersion} ${kind} is not a kind that weir handles`);
  if (!isObject(metadata) || typeof metadata.name !== "string" || metadata.name === "") {
    throw manifestError(`${locate(["metadata"])}: metadata.name: is missing`);
  }
  // apiVersion, kind and metadata.name were checked above; the rest is read by schemas.
  return [{ object: value as unknown as KubeObject, type, locate }];
}

/** The error of this file: the message begins with where it is. */
export function manifestError(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.manifest, source: "user", message });
}

function locateIn(file: string, lines: LineCounter, document: Document, path: FieldPath): string {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isObject(node) && Array.isArray(node.range)) return position(file, lines, Number(node.range[0]));
  }
  return position(file, lines, document.contents?.range?.[0] ?? 0);
}

function position(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}
