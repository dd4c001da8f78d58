// Writes the files that are generated from code, deploy/crds/*.yaml and the pages of scripts/docs.ts; with `--check` it writes nothing
// and fails when one of them differs. With `--go` also what Go makes (struct table, golden vectors), for which Go must be installed.
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { crdFiles } from "./crds.ts";
import { referencePages } from "./docs.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const VALIDATION = ["test/compat/validation.vectors.json", "test/compat/podrules.vectors.json"];
const GO_FILES: readonly (readonly [file: string, mode: string])[] = [
  ["src/api/gen/gostructs.ts", "table"],
  ["test/compat/podhash.vectors.json", "vectors"],
  ["test/compat/stephash.vectors.json", "stepvectors"],
];
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

async function go(folder: string, mode: string, input = ""): Promise<string> {
  const options = { cwd: join(ROOT, "scripts/go", folder), maxBuffer: MAX_OUTPUT_BYTES };
  const running = promisify(execFile)("go", ["run", ".", ...(mode === "" ? [] : [mode])], options);
  running.child.stdin?.end(input);
  return (await running).stdout;
}

async function outputs(withGo: boolean): Promise<Map<string, string>> {
  const files = new Map([...crdFiles()].map(([name, text]) => [`deploy/crds/${name}`, text]));
  for (const [name, text] of await referencePages(ROOT)) files.set(`docs/reference/${name}`, text);
  if (!withGo) return files;
  for (const [file, mode] of GO_FILES) files.set(file, await go("podtemplate", mode));
  // The vectors are their own cases: Go rewrites the answers.
  for (const file of VALIDATION)
    files.set(file, await go("validation", "", await readFile(join(ROOT, file), "utf8")));
  files.set("test/compat/replicas.vectors.json", await go("replicas", ""));
  return files;
}

async function main(args: readonly string[]): Promise<number> {
  const isCheck = args.includes("--check");
  let stale = 0;
  for (const [file, text] of await outputs(args.includes("--go"))) {
    const path = join(ROOT, file);
    const before = await readFile(path, "utf8").catch(() => "");
    if (before === text) continue;
    stale += 1;
    if (isCheck) console.error(`${file} is not what its source generates: run npm run generate`);
    else {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
  }
  return isCheck && stale > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
