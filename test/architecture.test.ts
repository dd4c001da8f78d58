// The import table of src/: which room may import which, that rooms are entered through their doors, that there are no cycles, that pure
// rooms and all that they reach touch no clock, random, environment or I/O; and the bounds of files and functions everywhere. Names the
// offending line.
import { readFile } from "node:fs/promises";
import { test } from "tap";
import { readSources, type Source } from "./support/sources.ts";

interface Room {
  /** Rooms that it may import. */
  readonly imports: readonly string[];
  /** Files (within the room) that other rooms may import; `*` for a room of small modules that stand alone. */
  readonly doors: readonly string[] | "*";
  /** Of a pure room: the packages that it may import. */
  readonly packages?: readonly string[];
}

const words = (text: string): string[] => text.split(" ").filter((word) => word !== "");
const room = (imports: string, doors: readonly string[] | "*"): Room => ({ imports: words(imports), doors });
const pure = (imports: string, doors: readonly string[], packages = ""): Room => ({
  ...room(imports, doors),
  packages: words(packages),
});

const ROOMS: Readonly<Record<string, Room>> = {
  lib: room("", "*"),
  api: pure("lib", ["api.ts"], "zod"),
  engine: pure("api lib analysis", ["decide.ts"]),
  analysis: pure("api lib", ["assess.ts"], "node:buffer"),
  simulate: pure("api lib engine analysis routers", ["simulate.ts"]),
  providers: room("api lib", ["providers.ts"]),
  routers: pure("api lib", ["routers.ts"]),
  translate: pure("api lib xds", ["translate.ts"]),
  cluster: room("lib api", ["client.ts"]),
  embedded: room("api lib cluster", ["embedded.ts"]),
  xds: room("lib", ["client.ts", "server.ts", "types.ts"]),
  controller: room("api lib engine analysis providers routers translate cluster embedded xds", [
    "controller.ts",
  ]),
  proxy: room("lib xds", ["server.ts", "workers/worker.ts"]),
  cli: room("api lib engine analysis routers simulate cluster embedded controller proxy xds translate", [
    "main.ts",
  ]),
};
/** What pure code may reach through other files: these do nothing but compute. */
const PURE_PACKAGES = words(
  "zod node:assert node:buffer node:util @bufbuild/protobuf @bufbuild/protobuf/codegenv2 @bufbuild/protobuf/reflect @bufbuild/protobuf/wkt",
);
/** Where one file of those may use more. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  // To load its engine, when it is first needed, without waiting.
  "src/lib/re2.ts": ["node:module"],
  // It parses addresses.
  "src/lib/ip.ts": ["node:net"],
};
const IMPURE =
  /\b(?:Date\.now|new Date\(\)|Math\.random|process\.(?!\w*Error)|setTimeout|setInterval|setImmediate|performance\.now|console\.)/;
const MAX_FILE_LINES = 600;
const MAX_FUNCTION_LINES = 80;
const HAND_WRITTEN = ["src/**/*.ts", "test/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts", "deploy/**/*.ts"];

const all = await readSources(...HAND_WRITTEN);
const byFile = new Map(all.map((source) => [source.file, source]));
const isGenerated = ({ file }: Source): boolean => file.includes("/gen/");
const written = all.filter((source) => !isGenerated(source));
const sources = written.filter(({ file }) => file.startsWith("src/"));
const rooms = sources.filter(({ file }) => file.split("/").length > 2);
const roomOf = (file: string): string => file.split("/")[1] ?? "";

test("architecture: every room is in the table", async (t) => {
  t.ok(rooms.length > 100, `${rooms.length} files`);
  t.strictSame(
    rooms.map(({ file }) => file).filter((file) => ROOMS[roomOf(file)] === undefined),
    [],
  );
});

test("architecture: rooms import only rooms that the table allows, through their doors", async (t) => {
  const wrong: string[] = [];
  for (const { file, imports } of rooms) {
    for (const { line, target = file } of imports) {
      const from = roomOf(file);
      const to = roomOf(target);
      if (from === to) continue;
      const where = `${file}:${line} imports ${target}`;
      if (!ROOMS[from]?.imports.includes(to)) wrong.push(`${where}: ${from}/ may not import ${to}/`);
      const doors = ROOMS[to]?.doors ?? [];
      const inner = target.split("/").slice(2).join("/");
      if (doors !== "*" && !doors.includes(inner))
        wrong.push(`${where}: not a door of ${to}/ (${doors.join(", ")})`);
    }
  }
  t.strictSame(wrong, []);
});

test("architecture: an import leads to a file of src/ or names a package, and nothing is exported by star", async (t) => {
  const wrong: string[] = [];
  for (const { file, imports } of sources) {
    for (const { line, specifier, target, isStar } of imports) {
      const where = `${file}:${line} ${specifier === "" ? "imports what only running it tells" : specifier}`;
      if (specifier === "" || (target !== undefined && !byFile.has(target))) wrong.push(where);
      if (isStar) wrong.push(`${where}: export *`);
    }
  }
  t.strictSame(wrong, []);
});

test("architecture: imports form no cycle", async (t) => {
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open")
      return void cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
    state.set(file, "open");
    for (const next of runtimeTargets(file)) visit(next, [...path, file]);
    state.set(file, "done");
  };
  for (const { file } of sources) visit(file, []);
  t.strictSame(cycles, []);
});

test("architecture: a pure room imports no packages but those the table names", async (t) => {
  const wrong: string[] = [];
  for (const { file, imports } of rooms) {
    const { packages } = ROOMS[roomOf(file)] ?? {};
    for (const { line, specifier, target } of imports)
      if (packages !== undefined && target === undefined && !packages.includes(specifier))
        wrong.push(`${file}:${line} ${specifier}`);
  }
  t.strictSame(wrong, []);
});

test("architecture: pure rooms, and all that they reach, touch no clock, random, environment or I/O", async (t) => {
  const wrong: string[] = [];
  const reached = reachedFrom(
    rooms.filter(({ file }) => ROOMS[roomOf(file)]?.packages !== undefined).map(({ file }) => file),
  );
  for (const source of reached) {
    const { file, imports, text } = source;
    for (const { line, specifier, target, isTypeOnly } of imports)
      if (
        !isTypeOnly &&
        target === undefined &&
        ![...PURE_PACKAGES, ...(ALSO[file] ?? [])].includes(specifier)
      )
        wrong.push(`${file}:${line} ${specifier}`);
    if (isGenerated(source)) continue;
    text.split("\n").forEach((line, index) => {
      if (!/^\s*(\/\/|\*|\/\*)/.test(line) && IMPURE.test(line))
        wrong.push(`${file}:${index + 1} ${line.trim()}`);
    });
  }
  t.strictSame(wrong, []);
});

test("architecture: on the way of a request no pattern is compiled for V8's engine, which may backtrack without end", (t) => {
  const wrong = written.flatMap(({ file, text }) => {
    if (!/^src\/(proxy|translate|xds)\//.test(file)) return [];
    return text
      .split("\n")
      .flatMap((line, index) => (/\bRegExp\(/.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : []));
  });
  t.strictSame(wrong, []);
  t.end();
});

test("architecture: a file opens with its purpose and stays within its bound", async (t) => {
  const wrong = [...written, ...(await plainScripts())].flatMap(({ file, text, lines }) => [
    ...(lines > MAX_FILE_LINES ? [`${file} has ${lines} lines`] : []),
    ...(/^(#!|\/\/|\/\*)/.test(text) ? [] : [`${file} does not open with its purpose`]),
  ]);
  t.strictSame(wrong, []);
});

test("architecture: no function outgrows its bound", async (t) => {
  const found = written.flatMap(({ file, functions }) =>
    functions
      .filter(({ lines }) => lines > MAX_FUNCTION_LINES)
      .map(({ name, line, lines }) => `${file}:${line} ${name} has ${lines} lines`),
  );
  t.strictSame(found, []);
});

/** Files that the file loads when it runs. */
function runtimeTargets(file: string): readonly string[] {
  const { imports = [] } = byFile.get(file) ?? {};
  return imports.flatMap(({ target, isTypeOnly }) => (isTypeOnly || target === undefined ? [] : [target]));
}

function reachedFrom(files: readonly string[]): readonly Source[] {
  const reached = new Set(files);
  for (const file of reached) for (const next of runtimeTargets(file)) reached.add(next);
  return [...reached].flatMap((file) => byFile.get(file) ?? []);
}

/** What is not TypeScript: the launcher. */
async function plainScripts(): Promise<readonly Pick<Source, "file" | "text" | "lines">[]> {
  const text = await readFile("src/weir.js", "utf8");
  return [{ file: "src/weir.js", text, lines: text.split("\n").length - 1 }];
}
