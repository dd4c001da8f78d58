// `weir version`: the version of weir and of the Node that runs it.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Cli } from "./cli.ts";

/** Adds the command. */
export function addVersion(program: Command, cli: Cli): void {
  program
    .command("version")
    .description("print the version")
    .option("--short", "print the number alone")
    .action((options: { readonly short?: boolean }) => {
      const version = packageVersion();
      cli.out(options.short === true ? version : `weir ${version} (node ${process.versions.node})`);
    });
}

/** The version in the nearest package.json above this file: the checkout's, or the installed package's. */
export function packageVersion(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    const version = versionIn(join(at, "package.json"));
    if (version !== undefined) return version;
    if (dirname(at) === at) return "unknown";
  }
}

function versionIn(file: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(file, "utf8")) as { name?: unknown; version?: unknown }; // JSON.parse gives any; both are checked
    return name === "weir" && typeof version === "string" ? version : undefined;
  } catch {
    return undefined; // no package.json in this folder
  }
}
