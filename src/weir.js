#!/usr/bin/env node
// Launcher, in plain JavaScript that any Node since 18 reads: runs the CLI on a Node that is new enough (24 for type
// stripping and node:sqlite), re-executing itself under the one that the package brings when the present one is too old.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_MAJOR = 24;

/** The Node binary that an optional dependency put into a node_modules/.bin at or above this file. */
function bundledNode() {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    const candidate = join(at, "node_modules", ".bin", "node");
    if (existsSync(candidate)) return candidate;
    if (dirname(at) === at) return undefined;
  }
}

/**
 * Starts a proxy anew, as the same process, when types had to be stripped on the way here: the stripper would keep some 25 MiB for the
 * proxy's life, and the second start finds everything in the compile cache. Only the first start from changed sources comes this way.
 */
async function shedTypeStripper(module) {
  if (process.env.WEIR_RESTARTED !== undefined) return;
  await Promise.all([import("./cli/main.ts"), import("./cli/proxy.ts"), import("./cli/runproxy.ts")]);
  const hasStripped = process.moduleLoadList?.some((name) => name.includes("deps/amaro/")) ?? false;
  const isCached = module.getCompileCacheDir?.() !== undefined;
  if (!hasStripped || !isCached || !process.execve) return;
  module.flushCompileCache();
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, command, { ...process.env, WEIR_RESTARTED: "1" });
}

async function start() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= OLDEST_MAJOR) {
    const module = await import("node:module");
    module.enableCompileCache?.();
    if (process.argv[2] === "proxy") await shedTypeStripper(module);
    const { main } = await import("./cli/main.ts");
    process.exitCode = await main(process.argv.slice(2));
    return;
  }
  const node = bundledNode();
  if (node === undefined || process.env.WEIR_LAUNCHED !== undefined) {
    console.error(
      `weir: this is Node ${process.versions.node}; weir needs ${OLDEST_MAJOR} or newer. ` +
        "Run `npm install` without --omit=optional (it brings one), or install a newer Node.",
    );
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, WEIR_LAUNCHED: "1" },
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}

await start();
