// The door of cli/: parses the command line, runs one command, turns what went wrong into words and an exit code.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 broken off by Ctrl-C.
import { Command, CommanderError } from "commander";
import { isWeirError, messageOf } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli, type CliIo } from "./cli.ts";
import { INTERRUPTED, processOutside } from "./outside.ts";

/** Runs `weir` with these arguments; resolves with the exit code. */
export async function main(args: readonly string[], io?: CliIo): Promise<number> {
  const own = io === undefined ? processOutside(CHANGING.has(args[0] ?? "")) : undefined;
  const outside = io ?? own?.io;
  if (outside === undefined) throw new TypeError("no outside to run in");
  let exitCode = 0;
  const exitWith = (code: number): void => {
    exitCode = code;
  };
  const cli: Cli = { ...outside, exitWith };
  // Clocks and idle connections do not keep a process alive; a command that still runs does.
  const alive = setInterval(() => undefined, 60_000);
  try {
    const program = await createProgram(cli, args[0]);
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return explainFailure(cli, error);
  } finally {
    clearInterval(alive);
    own?.release();
  }
}

/** A command's file: its `add<Name>` under the name `add`. */
type AddCommand = (program: Command, cli: Cli) => void;

/**
 * In the order in which help lists them. A command is loaded when it is called: a proxy must not carry the control plane in its memory.
 */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  quickstart: async () => (await import("./quickstart/quickstart.ts")).addQuickstart,
  up: async () => (await import("./up.ts")).addUp,
  down: async () => (await import("./down.ts")).addDown,
  apply: async () => (await import("./apply.ts")).addApply,
  lint: async () => (await import("./lint.ts")).addLint,
  delete: async () => (await import("./delete.ts")).addDelete,
  get: async () => (await import("./get.ts")).addGet,
  list: async () => (await import("./list.ts")).addList,
  status: async () => (await import("./status.ts")).addStatus,
  promote: async () => (await import("./promote.ts")).addPromote,
  abort: async () => (await import("./abort.ts")).addAbort,
  retry: async () => (await import("./retry.ts")).addRetry,
  pause: async () => (await import("./pause.ts")).addPause,
  restart: async () => (await import("./restart.ts")).addRestart,
  undo: async () => (await import("./undo.ts")).addUndo,
  set: async () => (await import("./set.ts")).addSet,
  terminate: async () => (await import("./terminate.ts")).addTerminate,
  explain: async () => (await import("./explain.ts")).addExplain,
  simulate: async () => (await import("./simulate.ts")).addSimulate,
  controller: async () => (await import("./controller.ts")).addController,
  proxy: async () => (await import("./proxy.ts")).addProxy,
  agent: async () => (await import("./agent.ts")).addAgent,
  version: async () => (await import("./version.ts")).addVersion,
};

/** Commands that change a cluster and then end: they finish what they began, whoever reads their output. */
const CHANGING: ReadonlySet<string> = new Set(
  "down apply delete promote abort retry pause restart undo set terminate".split(" "),
);

/** The program with the command named, or with all of them. */
export async function createProgram(cli: Cli, wanted?: string): Promise<Command> {
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
  const only = wanted !== undefined && Object.hasOwn(COMMANDS, wanted) ? COMMANDS[wanted] : undefined;
  const loads = only === undefined ? Object.values(COMMANDS) : [only];
  for (const add of await Promise.all(loads.map((load) => load()))) add(program, cli);
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
