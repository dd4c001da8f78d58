// The import table of src/: which room may import which, that rooms are entered through their doors, that there are no cycles,
// that pure rooms touch no clock, random, environment or I/O, and that no file outgrows its bound. Names the offending line.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "tap";

interface Room {
  /** Rooms that it may import. */
  readonly imports: readonly string[];
  /** Files (within the room) that other rooms may import; `*` for a room of small modules that stand alone. */
  readonly doors: readonly string[] | "*";
  readonly isPure: boolean;
}

const room = (imports: string, doors: readonly string[] | "*", isPure = false): Room => ({
  imports: imports.split(" ").filter((name) => name !== ""),
  doors,
  isPure,
});

const ROOMS: Readonly<Record<string, Room>> = {
  lib: room("", "*"),
  api: room("lib", ["api.ts"], true),
  engine: room("api lib analysis", ["decide.ts"], true),
  analysis: room("api lib", ["assess.ts"], true),
  providers: room("api lib", ["providers.ts"]),
  translate: room("api lib xds", ["translate.ts"], true),
  cluster: room("lib api", ["client.ts"]),
  embedded: room("api lib cluster", ["embedded.ts"]),
  xds: room("lib", ["client.ts", "server.ts", "types.ts"]),
  controller: room("api lib engine analysis providers translate cluster embedded xds", ["controller.ts"]),
  proxy: room("lib xds", ["server.ts"]),
  cli: room("api lib engine analysis cluster embedded controller proxy xds translate", ["main.ts"]),
};
const MAX_LINES = 600;
const IMPURE =
  /\b(?:Date\.now|new Date\(\)|Math\.random|process\.(?!\w*Error)|setTimeout|setInterval|setImmediate|performance\.now|console\.)|from "node:(?!assert|buffer|util)/;

interface ImportLine {
  readonly file: string;
  readonly line: number;
  readonly target: string;
  readonly isTypeOnly: boolean;
}

async function sources(): Promise<string[]> {
  const files = await Array.fromAsync(glob("src/**/*.ts"));
  return files.filter((file) => !file.includes("/gen/")).sort();
}

function importsOf(file: string): ImportLine[] {
  const text = readFileSync(file, "utf8");
  const found: ImportLine[] = [];
  for (const match of text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;]*?from\s+"(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm,
  )) {
    const specifier = match[2] ?? match[3] ?? "";
    const line = text.slice(0, match.index).split("\n").length;
    const target = relative(".", normalize(join(dirname(file), specifier)));
    found.push({ file, line, target, isTypeOnly: match[1] !== undefined });
  }
  return found;
}

const roomOf = (file: string): string => file.split("/")[1] ?? "";
const isInRoom = (file: string): boolean => file.split("/").length > 2;

test("architecture: every room is in the table", async (t) => {
  const unknown = (await sources()).filter((file) => isInRoom(file) && ROOMS[roomOf(file)] === undefined);
  t.strictSame(unknown, []);
});

test("architecture: rooms import only rooms that the table allows, through their doors", async (t) => {
  const wrong: string[] = [];
  for (const file of (await sources()).filter(isInRoom)) {
    for (const { line, target } of importsOf(file)) {
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

test("architecture: imports form no cycle", async (t) => {
  const edges = new Map<string, string[]>();
  for (const file of await sources()) {
    edges.set(
      file,
      importsOf(file)
        .filter((edge) => !edge.isTypeOnly)
        .map((edge) => edge.target),
    );
  }
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open")
      return void cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
    state.set(file, "open");
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, "done");
  };
  for (const file of edges.keys()) visit(file, []);
  t.strictSame(cycles, []);
});

test("architecture: pure rooms touch no clock, random, environment or I/O", async (t) => {
  const wrong: string[] = [];
  for (const file of (await sources()).filter((name) => ROOMS[roomOf(name)]?.isPure)) {
    const lines = readFileSync(file, "utf8").split("\n");
    lines.forEach((text, index) => {
      if (!/^\s*(\/\/|\*|\/\*)/.test(text) && IMPURE.test(text))
        wrong.push(`${file}:${index + 1} ${text.trim()}`);
    });
  }
  t.strictSame(wrong, []);
});

test("architecture: a file opens with its purpose and stays under 600 lines", async (t) => {
  const wrong: string[] = [];
  for (const file of await sources()) {
    const lines = readFileSync(file, "utf8").split("\n");
    if (lines.length > MAX_LINES) wrong.push(`${file} has ${lines.length} lines`);
    if (!/^(#!|\/\/|\/\*)/.test(lines[0] ?? "")) wrong.push(`${file} does not open with its purpose`);
  }
  t.strictSame(wrong, []);
});
