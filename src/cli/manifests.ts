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

/** A place in a file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One object of a file and where it stands. */
export interface FileObject {
  /** With apiVersion, kind and metadata.name; the rest is read by schemas. */
  readonly object: KubeObject;
  readonly type: ResourceType;
  /** The place of a field, or of the nearest thing around it that is there. */
  place(path: FieldPath): Place;
}

/** Why a file, or a document of it, gives no object. */
export interface FileFault {
  readonly place: Place;
  readonly words: string;
}

/** An object of a kind that weir does not handle. */
export interface ForeignObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Of the kind. */
  readonly place: Place;
  /** Absent when it has no name. */
  readonly object?: KubeObject;
}

export interface FileObjects {
  readonly objects: readonly FileObject[];
  readonly foreign: readonly ForeignObject[];
  readonly faults: readonly FileFault[];
}

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
  for (const [name, content] of await readSources(paths, stdin))
    manifests.push(...parseManifests(name, content));
  if (manifests.length > 0) return manifests;
  throw manifestError(`${paths.join(", ")}: no manifest found (files end in .yaml, .yml or .json)`);
}

/** Reads the manifests in one text. Throws `manifest` with the first fault. */
export function parseManifests(file: string, content: string): Manifest[] {
  const { objects, foreign, faults } = parseObjects(file, content);
  const unknown = foreign.map(({ apiVersion, kind, place }): FileFault => {
    return { place, words: `${apiVersion} ${kind} is not a kind that weir handles` };
  });
  const [first] = [...faults, ...unknown].sort((a, b) => a.place.line - b.place.line);
  if (first !== undefined) throw manifestError(`${placeText(first.place)}: ${first.words}`);
  return objects.map(({ object, type, place }) => ({
    object,
    type,
    locate: (path) => placeText(place(path)),
  }));
}

/** The objects in one text, and what is not one. Never throws. */
export function parseObjects(file: string, content: string): FileObjects {
  const lines = new LineCounter();
  const documents = parseAllDocuments(content, { lineCounter: lines, prettyErrors: false });
  // An empty stream is an object without documents.
  if (!Array.isArray(documents)) return NOTHING;
  return joined(documents.map((document) => oneDocument({ file, lines, document })));
}

function joined(all: readonly FileObjects[]): FileObjects {
  return {
    objects: all.flatMap(({ objects }) => objects),
    foreign: all.flatMap(({ foreign }) => foreign),
    faults: all.flatMap(({ faults }) => faults),
  };
}

/** `file:line:column`. */
export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

interface Source {
  readonly file: string;
  readonly lines: LineCounter;
  readonly document: Document;
}

const NOTHING: FileObjects = { objects: [], foreign: [], faults: [] };

function oneDocument(source: Source): FileObjects {
  const { file, lines, document } = source;
  const [problem] = document.errors;
  if (problem !== undefined) {
    const words = `is not YAML: ${printable(problem.message)} (mind indentation and brackets)`;
    return { ...NOTHING, faults: [{ place: positionOf(file, lines, problem.pos[0]), words }] };
  }
  try {
    // Refuses aliases that grow beyond measure.
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    return value === null || value === undefined ? NOTHING : take(source, value, []);
  } catch (error) {
    return { ...NOTHING, faults: [{ place: placeIn(source, []), words: printable(messageOf(error)) }] };
  }
}

/** The first line of a parser's words, bounded, and without characters that a terminal would act on. */
function printable(words: string): string {
  return (words.split("\n")[0] ?? "").replaceAll(/\p{Cc}/gu, "\uFFFD").slice(0, MAX_WORDS);
}

/** Names and texts of all files that the paths lead to. Throws `manifest` for what cannot be read. */
export async function readSources(
  paths: readonly string[],
  stdin: NodeJS.ReadableStream,
): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const path of paths) found.push(...(await sources(path, stdin)));
  return found;
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

function take(source: Source, value: unknown, at: FieldPath): FileObjects {
  const place = (path: FieldPath): Place => placeIn(source, [...at, ...path]);
  const fault = (path: FieldPath, words: string): FileObjects => ({
    ...NOTHING,
    faults: [{ place: place(path), words }],
  });
  if (!isObject(value)) return fault([], "a manifest is an object with apiVersion, kind and metadata");
  const { apiVersion, kind, metadata, items } = value;
  if (typeof apiVersion !== "string") return fault([], "apiVersion is missing");
  if (typeof kind !== "string") return fault([], "kind is missing");
  if (kind.endsWith("List") && Array.isArray(items))
    return joined(items.map((item, index) => take(source, item, [...at, "items", index])));
  const type = kindOfManifest(apiVersion, kind);
  const isNamed = isObject(metadata) && typeof metadata.name === "string" && metadata.name !== "";
  // apiVersion, kind and metadata.name were checked; the rest is read by schemas.
  const named = isNamed ? { object: value as unknown as KubeObject } : undefined;
  if (type === undefined)
    return { ...NOTHING, foreign: [{ apiVersion, kind, place: place(["kind"]), ...named }] };
  if (named === undefined) return fault(["metadata"], "metadata.name: is missing");
  return { ...NOTHING, objects: [{ ...named, type, place }] };
}

/** The error of this file: the message begins with where it is. */
export function manifestError(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.manifest, source: "user", message });
}

function placeIn({ file, lines, document }: Source, path: FieldPath): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isObject(node) && Array.isArray(node.range)) return positionOf(file, lines, Number(node.range[0]));
  }
  return positionOf(file, lines, document.contents?.range?.[0] ?? 0);
}

function positionOf(file: string, lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line, column: col };
}
