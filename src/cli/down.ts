// `weir down`: stops the local cluster on a state folder and all of its pods, whether or not `weir up` still runs. Starts nothing.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { SERVER_ERRORS } from "../embedded/embedded.ts";
import { sleep, systemClock } from "../lib/clock.ts";
import { isWeirError, messageOf, WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type LogFlags, levelFlag, loggerFor } from "./flags.ts";
import { stopLeftovers } from "./local.ts";
import { defaultStateDir } from "./up.ts";

const STOP_WAIT_MS = 90_000;
const POLL_MS = 100;

interface DownFlags extends LogFlags {
  readonly state: string;
}

/** Adds the command. */
export function addDown(program: Command, cli: Cli): void {
  program
    .command("down")
    .description("stop the local cluster and its pods; the state is kept")
    .option("--state <dir>", "folder of the state", defaultStateDir(cli.env))
    .option("--log-level <level>", "error, warn, info or debug", levelFlag, "warn")
    .action(async (flags: DownFlags) => {
      const stateDir = resolve(flags.state);
      if (!existsSync(join(stateDir, "weir.db"))) {
        cli.out(`nothing to stop: ${stateDir} holds no state`);
        return;
      }
      await stop(cli, stateDir, flags);
      cli.out(`stopped ${stateDir}`);
    });
}

/** Asks whoever holds the folder to stop, and then ends what is left. */
async function stop(cli: Cli, stateDir: string, flags: DownFlags): Promise<void> {
  const log = loggerFor(cli, { ...flags, logFormat: "text" });
  const deadlineMs = systemClock.nowMs() + STOP_WAIT_MS;
  const asked = new Set<number>();
  for (;;) {
    try {
      return await stopLeftovers({ stateDir, clock: systemClock, log });
    } catch (error) {
      if (!isWeirError(error, SERVER_ERRORS.stateLocked)) throw error;
      // A holder that is only just starting has not said yet who it is.
      const { pid } = error.context;
      if (typeof pid === "number" && !asked.has(pid)) ask(stateDir, pid);
      if (typeof pid === "number") asked.add(pid);
      if (systemClock.nowMs() >= deadlineMs) {
        const message = `process ${String(pid)}, which holds ${stateDir}, is still stopping after ${STOP_WAIT_MS / 1000} s`;
        throw new WeirError({ code: CLI_ERRORS.timeout, source: "user", message });
      }
    }
    await sleep(systemClock, POLL_MS, cli.signal);
    cli.signal.throwIfAborted();
  }
}

function ask(stateDir: string, pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    // ESRCH: it has ended meanwhile.
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return;
    const message = `process ${pid}, which holds ${stateDir}, cannot be asked to stop: ${messageOf(error)}`;
    throw new WeirError({ code: CLI_ERRORS.environment, source: "user", message, cause: error });
  }
}
