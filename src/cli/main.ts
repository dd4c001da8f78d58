// The door of cli/: parses the command line, runs one command, turns what went wrong into words and an exit code.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 ended by Ctrl-C.
import { Command, CommanderError } from "commander";
import { isWeirError, messageOf } from "../lib/errors.ts";
import { addAbort } from "./abort.ts";
import { addAgent } from "./agent.ts";
import { addApply } from "./apply.ts";
import { CLI_ERRORS, type Cli, type CliIo } from "./cli.ts";
import { addController } from "./controller.ts";
import { addDelete } from "./delete.ts";
import { addDown } from "./down.ts";
import { addExplain } from "./explain.ts";
import { addGet } from "./get.ts";
import { addList } from "./list.ts";
import { INTERRUPTED, processOutside } from "./outside.ts";
import { addPause } from "./pause.ts";
import { addPromote } from "./promote.ts";
import { addProxy } from "./proxy.ts";
import { addQuickstart } from "./quickstart/quickstart.ts";
import { addRetry } from "./retry.ts";
import { addStatus } from "./status.ts";
import { addUp } from "./up.ts";
import { addVersion } from "./version.ts";

/** Runs `weir` with these arguments; resolves with the exit code. */
export async function main(args: readonly string[], io?: CliIo): Promise<number> {
  const own = io === undefined ? processOutside() : undefined;
  const outside = io ?? own?.io;
  if (outside === undefined) throw new TypeError("no outside to run in");
  let exitCode = 0;
  const exitWith = (code: number): void => {
    exitCode = code;
  };
  const cli: Cli = { ...outside, exitWith };
  try {
    await createProgram(cli).parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return explainFailure(cli, error);
  } finally {
    own?.release();
  }
}

/** In the order in which help lists them. */
const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  addQuickstart,
  addUp,
  addDown,
  addApply,
  addDelete,
  addGet,
  addList,
  addStatus,
  addPromote,
  addAbort,
  addRetry,
  addPause,
  addExplain,
  addController,
  addProxy,
  addAgent,
  addVersion,
];

/** The program with all its commands. */
export function createProgram(cli: Cli): Command {
  const program = new Command("weir")
    .description(
      "shifts traffic between versions of a service and decides, from what the traffic shows, whether to go on",
    )
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.out(text.replace(/\n$/, "")),
      writeErr: (text) => cli.err(text.replace(/\n$/, "")),
    })
    .showHelpAfterError("run `weir help` for the commands");
  for (const add of COMMANDS) add(program, cli);
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

function explainFailure(cli: Cli, error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (cli.signal.aborted) return INTERRUPTED;
  cli.err(`weir: ${messageOf(error)}`);
  if (!isWeirError(error)) cli.err(error instanceof Error ? (error.stack ?? "") : "");
  return isWeirError(error, CLI_ERRORS.usage) ? 2 : 1;
}
