// `weir down`: stops the local cluster on a state folder and all of its pods, whether or not `weir up` still runs.
import { resolve } from "node:path";
import type { Command } from "commander";
import { SERVER_ERRORS } from "../embedded/embedded.ts";
import { sleep, systemClock } from "../lib/clock.ts";
import { isWeirError, WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type LogFlags, levelFlag, loggerFor } from "./flags.ts";
import { startLocal } from "./local.ts";
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
      const log = loggerFor(cli, { ...flags, logFormat: "text" });
      try {
        // Nobody holds the folder: pods of an earlier run are adopted and then stopped.
        const local = await startLocal({ stateDir: flags.state, clock: systemClock, log });
        await local.stop({ keepPods: false });
      } catch (error) {
        if (!isWeirError(error, SERVER_ERRORS.stateLocked)) throw error;
        await stopHolder(cli, resolve(flags.state), Number(error.context.pid));
      }
      cli.out(`stopped ${resolve(flags.state)}`);
    });
}

/** Asks the process that holds the folder to stop, and waits for its end. */
async function stopHolder(cli: Cli, stateDir: string, pid: number): Promise<void> {
  const deadlineMs = systemClock.nowMs() + STOP_WAIT_MS;
  process.kill(pid, "SIGTERM");
  while (isAlive(pid) && !cli.signal.aborted) {
    if (systemClock.nowMs() >= deadlineMs) {
      const message = `process ${pid}, which holds ${stateDir}, is still stopping after ${STOP_WAIT_MS / 1000} s`;
      throw new WeirError({ code: CLI_ERRORS.timeout, source: "user", message });
    }
    await sleep(systemClock, POLL_MS, cli.signal);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // ESRCH: it is gone
  }
}
