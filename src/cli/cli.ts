// What every command is given: where to write, the environment, a signal that Ctrl-C aborts. Loads nothing else: the proxy's process has it too.

/** Codes of this room. */
export const CLI_ERRORS = {
  /** The words on the command line do not fit together. */
  usage: "WEIR_ERR_CLI_USAGE",
  /** The object that a command names is not there. */
  notFound: "WEIR_ERR_CLI_NOT_FOUND",
  /** There is no update in progress for a command to act on. */
  noUpdate: "WEIR_ERR_CLI_NO_UPDATE",
  /** A manifest that cannot be read or is not what it should be. */
  manifest: "WEIR_ERR_CLI_MANIFEST",
  /** A wait that ended without what was waited for. */
  timeout: "WEIR_ERR_CLI_TIMEOUT",
  /** A program or port that a command needs is not to be had. */
  environment: "WEIR_ERR_CLI_ENVIRONMENT",
} as const;

/** The outside of one run of the CLI. */
export interface CliIo {
  /** One line to standard output, without its line feed. */
  readonly out: (line: string) => void;
  /** One line to standard error. */
  readonly err: (line: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Aborts on a further SIGTERM: who asks again does not want to wait. */
  readonly hurry?: AbortSignal;
  /** The terminal behind standard output; undefined when it is a pipe or file. */
  readonly terminal?: { readonly columns: number; readonly rows: number };
  /** Raw text to standard output, for what is drawn in place. */
  readonly write: (text: string) => void;
}

export interface Cli extends CliIo {
  /** Sets the exit code that the run ends with unless it fails. */
  exitWith(code: number): void;
}

/** How the user called weir, for commands that are printed to be typed: npm tells which way it was. */
export function calledAs(env: CliIo["env"]): string {
  const { npm_lifecycle_event: script, npm_command: command } = env;
  if (command === "exec") return "npx weir";
  return script === undefined ? "weir" : "npm run -s weir --";
}
