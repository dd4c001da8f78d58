// Reads manifests from files, folders and standard input: YAML or JSON, several documents a file, Lists taken apart.
// Every object remembers where it stands, so that an error can name file, line, column and field.
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { type Document, LineCounter, parseAllDocuments } from "yaml";
import type { KubeObject, ResourceType } from "../api/api.ts";
import { isWeirError, messageOf, WeirError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import { CLI_ERRORS } from "./cli.ts";
import { kindOfManifest } from "./cluster.ts";

/** Files and standard input beyond this size are refused. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Words of the YAML parser beyond this length are cut: it quotes what it stumbled over, which in a binary file is all of it. */
const MAX_WORDS = 200;
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
      const words = `is not YAML: ${printable(problem.message)}`;
      throw manifestError(
        `${position(file, lines, problem.pos[0])}: ${words} (mind indentation and brackets)`,
      );
    }
    const value = contentOf(file, lines, document);
    return value === null ? [] : take(file, lines, document, value, []);
  });
}

/** What a document says; refuses aliases that grow beyond measure. */
function contentOf(file: string, lines: LineCounter, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw manifestError(`${locateIn(file, lines, document, [])}: ${printable(messageOf(error))}`);
  }
}

/** The first line of a parser's words, bounded, and without characters that a terminal would act on. */
function printable(words: string): string {
  return (words.split("\n")[0] ?? "").replaceAll(/\p{Cc}/gu, "\uFFFD").slice(0, MAX_WORDS);
}

async function sources(path: string, stdin: NodeJS.ReadableStream): Promise<[string, string][]> {
  if (path === "-") return [["standard input", await readInput(stdin)]];
  try {
    if (!(await stat(path)).isDirectory()) return [[path, await readBounded(path)]];
    const names = (await readdir(path)).filter((name) => EXTENSIONS.has(extname(name))).sort();
    return Promise.all(names.map(async (name) => [join(path, name), await readBounded(join(path, name))]));
  } catch (error) {
    if (isWeirError(error)) throw error;
    throw manifestError(`${path} cannot be read: ${messageOf(error)}`);
  }
}

async function readBounded(file: string): Promise<string> {
  if ((await stat(file)).size > MAX_BYTES) throw manifestError(`${file}: larger than ${MAX_BYTES} bytes`);
  return readFile(file, "utf8");
}

async function readInput(stdin: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_BYTES) throw manifestError(`standard input: larger than ${MAX_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString("utf8");
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
