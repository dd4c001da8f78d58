// The process as the CLI's outside: its streams, its terminal, and Ctrl-C as a signal that aborts.
import type { CliIo } from "./cli.ts";

/** A signal to a terminal's group may arrive twice, from the terminal and passed on by a parent: within this time it is one. */
const ONE_SIGNAL_MS = 500;
/** Exit code of a program that Ctrl-C ended. */
export const INTERRUPTED = 130;

export interface Outside {
  readonly io: CliIo;
  /** Gives the signals back to Node. */
  readonly release: () => void;
}

/**
 * Takes over the signals and streams of the process. A second SIGINT ends it at once, a second SIGTERM tells it to hurry. With `writes`, a
 * closed standard output does not stop the work: what a command changes must not depend on who reads its words.
 */
export function processOutside(writes: boolean): Outside {
  const stopping = new AbortController();
  const hurrying = new AbortController();
  let stoppedAtMs = 0;
  const stop = (signal: NodeJS.Signals): void => {
    if (!stopping.signal.aborted) {
      stoppedAtMs = performance.now();
      stopping.abort();
    } else if (performance.now() > stoppedAtMs + ONE_SIGNAL_MS) {
      if (signal === "SIGINT") process.exit(INTERRUPTED);
      if (signal === "SIGTERM") hurrying.abort();
    }
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, stop);
  const { stdout, stderr } = process;
  let isTold = false;
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader of the pipe has seen enough (`weir get … -w | head`): the work for it ends, and that is no failure.
    if (error.code !== "EPIPE" && !isTold) {
      isTold = true;
      stderr.write(`weir: standard output cannot be written: ${error.message}\n`);
      process.exitCode = 1;
    }
    if (!writes) stopping.abort();
  });
  // Nobody is left to be told.
  stderr.on("error", () => undefined);
  const io: CliIo = {
    out: (line) => void stdout.write(`${line}\n`),
    err: (line) => void stderr.write(`${line}\n`),
    write: (text) => void stdout.write(text),
    env: process.env,
    signal: stopping.signal,
    hurry: hurrying.signal,
    ...(stdout.isTTY && {
      terminal: {
        get columns() {
          return stdout.columns;
        },
        get rows() {
          return stdout.rows;
        },
      },
    }),
  };
  return {
    io,
    release: () => {
      for (const signal of signals) process.off(signal, stop);
    },
  };
}
