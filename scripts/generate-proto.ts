// Writes src/xds/gen from proto/ (buf and protoc-gen-es, no network). With `--check` it writes nothing and exits 1 when the
// files that are checked in differ from what would be written.
import { spawnSync } from "node:child_process";
import { glob, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const GENERATED = join(ROOT, "src/xds/gen");

function generateInto(folder: string): void {
  const template = JSON.stringify({
    version: "v2",
    clean: true,
    plugins: [
      {
        local: "protoc-gen-es",
        out: folder,
        opt: ["target=ts", "import_extension=ts", "erasable_syntax=true"],
      },
    ],
  });
  const path = `${join(ROOT, "node_modules/.bin")}:${process.env.PATH ?? ""}`;
  const result = spawnSync("buf", ["generate", "--template", template], {
    cwd: join(ROOT, "proto"),
    env: { ...process.env, PATH: path },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (result.status !== 0) throw new Error(`buf generate failed: ${result.error?.message ?? result.status}`);
}

async function read(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for await (const file of glob("**/*.ts", { cwd: folder }))
    files.set(file, await readFile(join(folder, file), "utf8"));
  return files;
}

async function check(): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "weir-proto-"));
  try {
    generateInto(folder);
    const [wanted, found] = [await read(folder), await read(GENERATED)];
    const names = new Set([...wanted.keys(), ...found.keys()]);
    return [...names].filter((name) => wanted.get(name) !== found.get(name)).sort();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv.includes("--check")) {
  const differing = await check();
  for (const name of differing) console.error(`src/xds/gen/${name} differs: run npm run generate:proto`);
  if (differing.length > 0) process.exitCode = 1;
} else {
  generateInto(GENERATED);
}
