// Reads manifests from files, folders and standard input: YAML or JSON, several documents a file, Lists taken apart.
// Every object remembers where it stands, so that an error can name file, line, column and field.
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { addAbortSignal } from "node:stream";
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments } from "yaml";
import { type KubeObject, nearestName, RESOURCES, type ResourceType } from "../api/api.ts";
import { isWeirError, messageOf, WeirError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import { CLI_ERRORS } from "./cli.ts";
import { kindOfManifest } from "./cluster.ts";

/** Files and standard input beyond this size are refused. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Words of the YAML parser beyond this length are cut: it quotes what it stumbled over, which in a binary file is all of it. */
const MAX_WORDS = 200;
const TOP_LEVEL = ["apiVersion", "kind", "metadata", "spec", "status", "data"];
const EXTENSIONS = new Set([".yaml", ".yml", ".json"]);

export type FieldPath = readonly PropertyKey[];
/** What of a field: its value (the default), or the key before it. */
export type FieldPart = "key" | "value";

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
  /** It has a generateName alone, which stands for its name here: every `kubectl create` makes another object of it. */
  readonly isUnnamed?: boolean;
  readonly type: ResourceType;
  /** The place of a field, or of the nearest thing around it that is there. */
  place(path: FieldPath, part?: FieldPart): Place;
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
  locate(path: FieldPath, part?: FieldPart): string;
}

/** What one path of the command line leads to. */
export interface PathRead {
  readonly path: string;
  readonly files: readonly FileRead[];
  /** Folders in the folder `path`; they are not read. */
  readonly folders: readonly string[];
}

/** What one file holds; one that cannot be read is a fault of it, so that it hides nothing of the others. */
export interface FileRead extends FileObjects {
  readonly file: string;
}

/** Manifests to be sent as they are, and every reason, one a line, not to send any. */
export interface StrictRead {
  readonly manifests: readonly Manifest[];
  readonly faults: readonly string[];
}

/** Reads what the paths lead to, in order; `-` is standard input, a folder means its files. Throws when `signal` ends the reading. */
export async function readObjects(
  paths: readonly string[],
  stdin: NodeJS.ReadableStream,
  signal?: AbortSignal,
): Promise<readonly PathRead[]> {
  const found: PathRead[] = [];
  for (const path of paths) found.push(await readPath(path, stdin, signal));
  return found;
}

/** Reads all manifests that the paths lead to, as `readObjects` does. Throws `manifest` where there is none, and with all that is wrong. */
export async function readManifests(
  paths: readonly string[],
  stdin: NodeJS.ReadableStream,
  signal?: AbortSignal,
): Promise<Manifest[]> {
  const { manifests, faults } = await readStrictly(paths, stdin, signal);
  if (faults.length > 0) throw manifestError(faults.join("\n"));
  return [...manifests];
}

/** As `readManifests`, with what is wrong in the answer. Throws `manifest` where there is nothing at all. */
export async function readStrictly(
  paths: readonly string[],
  stdin: NodeJS.ReadableStream,
  signal?: AbortSignal,
): Promise<StrictRead> {
  const read = await readObjects(paths, stdin, signal);
  const all = read.flatMap(({ files }) => files.map(strictly));
  const manifests = all.flatMap((file) => file.manifests);
  const faults = all.flatMap((file) => file.faults);
  if (manifests.length === 0 && faults.length === 0)
    throw manifestError(`no manifest found\n${nothingIn(read)}`);
  return { manifests, faults };
}

/** Reads the manifests in one text. Throws `manifest` with the first fault. */
export function parseManifests(file: string, content: string): readonly Manifest[] {
  const { manifests, faults } = strictly(parseObjects(file, content));
  if (faults[0] !== undefined) throw manifestError(faults[0]);
  return manifests;
}

function strictly({ objects, foreign, faults }: FileObjects): StrictRead {
  const unknown = foreign.map(({ apiVersion, kind, place }): FileFault => {
    return { place, words: `${apiVersion} ${kind} is not a kind that weir handles` };
  });
  const unnamed = objects
    .filter(({ isUnnamed }) => isUnnamed)
    .map(({ place }): FileFault => ({ place: place(["metadata"]), words: NEEDS_NAME }));
  const all = [...faults, ...unknown, ...unnamed].sort((a, b) => a.place.line - b.place.line);
  return {
    faults: all.map(faultText),
    manifests: objects.map(({ object, type, place }) => ({
      object,
      type,
      locate: (path, part) => placeText(place(path, part)),
    })),
  };
}

/** Why there is nothing to do in what was read, for each path: an empty file, foreign kinds, a folder without manifests. */
export function nothingIn(read: readonly PathRead[]): string {
  return read
    .map(({ path, files, folders }) => {
      const kinds = files.flatMap(({ foreign }) => foreign.map((one) => `${one.apiVersion} ${one.kind}`));
      if (kinds.length > 0)
        return `${path}: holds only kinds that weir does not handle: ${[...new Set(kinds)].join(", ")}`;
      if (files.length > 0) return files.map(({ file }) => `${file}: holds no object`).join("\n");
      const inner =
        folders.length === 0 ? "" : `; folders in it are not read, name them: ${folders.join(", ")}`;
      return `${path}: is a folder without a .yaml, .yml or .json file${inner}`;
    })
    .join("\n");
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

/** `file:line:column: what is wrong`. */
function faultText({ place, words }: FileFault): string {
  return `${placeText(place)}: ${words}`;
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

/** Kinds that run once, under a new name each time. */
const RUN_ONCE: readonly (ResourceType | undefined)[] = [RESOURCES.analysisRun, RESOURCES.experiment];
const NEEDS_NAME = "metadata.name: is missing (objects with a generateName alone are for kubectl create)";
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

async function readPath(
  path: string,
  stdin: NodeJS.ReadableStream,
  signal: AbortSignal | undefined,
): Promise<PathRead> {
  const alone = async (file: string, text: Promise<string>): Promise<PathRead> => {
    return { path, files: [await readOne(file, text, signal)], folders: [] };
  };
  if (path === "-") return alone("standard input", readInput(stdin, signal));
  try {
    if (!(await stat(path)).isDirectory()) return alone(path, readBounded(path));
    const entries = await readdir(path, { withFileTypes: true });
    const names = entries.map(({ name }) => name).filter((name) => EXTENSIONS.has(extname(name)));
    const within = names.sort().map((name) => join(path, name));
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
    const files = await Promise.all(within.map((file) => readOne(file, readBounded(file), signal)));
    return { path, files, folders: folders.sort() };
  } catch (error) {
    return alone(path, Promise.reject(error));
  }
}

async function readOne(
  file: string,
  text: Promise<string>,
  signal: AbortSignal | undefined,
): Promise<FileRead> {
  try {
    return { file, ...parseObjects(file, await text) };
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const words = isWeirError(error) ? error.message : `cannot be read: ${messageOf(error)}`;
    return { ...NOTHING, file, faults: [{ place: { file, line: 1, column: 1 }, words }] };
  }
}

/** The text of one file, or of standard input as `-`. Throws `manifest` when it cannot be read. */
export async function readText(
  path: string,
  stdin: NodeJS.ReadableStream,
  signal?: AbortSignal,
): Promise<{ readonly file: string; readonly text: string }> {
  const file = path === "-" ? "standard input" : path;
  try {
    return { file, text: await (path === "-" ? readInput(stdin, signal) : readBounded(path)) };
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw manifestError(`${file}: ${isWeirError(error) ? "" : "cannot be read: "}${messageOf(error)}`);
  }
}

async function readBounded(file: string): Promise<string> {
  if ((await stat(file)).size > MAX_BYTES) throw manifestError(`is larger than ${MAX_BYTES} bytes`);
  return readFile(file, "utf8");
}

async function readInput(stdin: NodeJS.ReadableStream, signal: AbortSignal | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Who keeps standard input open must not keep the command from ending.
  for await (const chunk of signal === undefined ? stdin : addAbortSignal(signal, stdin)) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_BYTES) throw manifestError(`is larger than ${MAX_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function take(source: Source, value: unknown, at: FieldPath): FileObjects {
  const place = (path: FieldPath, part?: FieldPart): Place => placeIn(source, [...at, ...path], part);
  const fault = (path: FieldPath, words: string, part?: FieldPart): FileObjects => ({
    ...NOTHING,
    faults: [{ place: place(path, part), words }],
  });
  const missing = (name: string): FileObjects => {
    const wrong = isObject(value) ? misspelt(value, name) : undefined;
    if (wrong === undefined) return fault([], `${name} is missing`);
    return fault([wrong], `${wrong}: is not a field that weir knows; did you mean ${name}?`, "key");
  };
  if (!isObject(value)) return fault([], "a manifest is an object with apiVersion, kind and metadata");
  const { apiVersion, kind, metadata, items } = value;
  if (typeof apiVersion !== "string") return missing("apiVersion");
  if (typeof kind !== "string") return missing("kind");
  if (kind.endsWith("List") && Array.isArray(items))
    return joined(items.map((item, index) => take(source, item, [...at, "items", index])));
  const type = kindOfManifest(apiVersion, kind);
  const named = withName(value, metadata, type);
  if (type === undefined)
    return { ...NOTHING, foreign: [{ apiVersion, kind, place: place(["kind"]), ...named }] };
  if (named === undefined)
    return metadata === undefined && misspelt(value, "metadata") !== undefined
      ? missing("metadata")
      : fault(["metadata"], "metadata.name: is missing");
  return { ...NOTHING, objects: [{ ...named, type, place }] };
}

/** The object when it has a name, or is of a kind that runs once and has a prefix for its names. */
function withName(
  value: Readonly<Record<string, unknown>>,
  metadata: unknown,
  type: ResourceType | undefined,
): Pick<FileObject, "object" | "isUnnamed"> | undefined {
  if (!isObject(metadata)) return undefined;
  const { name, generateName } = metadata;
  // apiVersion, kind and metadata.name were checked; the rest is read by schemas.
  if (typeof name === "string" && name !== "") return { object: value as unknown as KubeObject };
  if (!RUN_ONCE.includes(type) || typeof generateName !== "string" || generateName === "") return undefined;
  const object = { ...value, metadata: { ...metadata, name: generateName } };
  // As above.
  return { object: object as unknown as KubeObject, isUnnamed: true };
}

/** The key that stands in the place of the absent field `name`. */
function misspelt(object: Readonly<Record<string, unknown>>, name: string): string | undefined {
  if (Object.hasOwn(object, name)) return undefined;
  const absent = TOP_LEVEL.filter((known) => !Object.hasOwn(object, known));
  return Object.keys(object).find((key) => !TOP_LEVEL.includes(key) && nearestName(key, absent) === name);
}

/** The error of this file: the message begins with where it is. */
export function manifestError(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.manifest, source: "user", message });
}

function placeIn({ file, lines, document }: Source, path: FieldPath, part: FieldPart = "value"): Place {
  const around: unknown = part === "key" ? document.getIn(path.slice(0, -1), true) : undefined;
  const keys = isMap(around) ? around.items.map(({ key }) => key) : [];
  const own = keys.filter(isScalar).find(({ value }) => String(value) === String(path.at(-1)));
  if (own?.range) return positionOf(file, lines, own.range[0]);
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
