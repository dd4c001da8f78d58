// `weir lint -f FILE…`: checks manifests without a server. Prints file:line:column of everything to mend; exit code 1 when something is
// wrong. Notes alone are no fault.
import type { Command } from "commander";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type LintFinding, lintObjects } from "./lintfiles.ts";
import { manifestError, nothingIn, placeText, readObjects } from "./manifests.ts";

interface LintFlags {
  readonly filename?: readonly string[];
  readonly output?: string;
}

/** Adds the command. */
export function addLint(program: Command, cli: Cli): void {
  program
    .command("lint")
    .description("check manifests without a server: Rollouts and what stands around them")
    .option("-f, --filename <path...>", "files, folders, or - for standard input")
    .option("-o, --output <format>", "text or json", "text")
    .action((flags: LintFlags) => runLint(cli, flags));
}

async function runLint(cli: Cli, { filename, output = "text" }: LintFlags): Promise<void> {
  if (filename === undefined)
    throw usage("say what to check: `weir lint -f FILE` (a folder, or - for standard input)");
  if (output !== "text" && output !== "json") throw usage(`-o ${output}: the formats are text and json`);
  const paths = await readObjects(filename, process.stdin, cli.signal);
  const read = paths.flatMap(({ files }) => files);
  const objects = read.flatMap((file) => file.objects).length;
  const findings = lintObjects(read);
  const errors = findings.filter(({ severity }) => severity === "error").length;
  if (output === "json") cli.out(JSON.stringify({ objects, errors, findings }, null, 2));
  if (objects === 0 && errors === 0) throw manifestError(`nothing to check\n${nothingIn(paths)}`);
  if (output === "json") {
    if (errors > 0) cli.exitWith(1);
    return;
  }
  for (const line of findings.map(lineOf)) cli.out(line);
  const found = errors === 0 ? "no errors" : counted(errors, "error");
  cli.out(`${found} in ${counted(objects, "object")} of ${counted(read.length, "file")}`);
  if (errors > 0) cli.exitWith(1);
}

/** `web.yaml:12:7: error: spec.x: Invalid value: … (correct the value)`. */
export function lineOf(found: LintFinding): string {
  const { severity, field, message, mend } = found;
  const words = [field, message].filter((part) => part !== "").join(": ");
  return `${placeText(found)}: ${severity}: ${words}${mend === "" ? "" : ` (${mend})`}`;
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function usage(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.usage, source: "user", message });
}
