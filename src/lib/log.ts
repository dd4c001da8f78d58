// Structured logging: a constant message and fields, one JSON object or one readable line per record on stderr.

export type LogLevel = "error" | "warn" | "info" | "debug";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  /** Someone must act. */
  error(message: string, fields?: LogFields): void;
  /** Degraded, but serving. */
  warn(message: string, fields?: LogFields): void;
  /** A change of state. */
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every record. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Records below this level are dropped. Default `info`. */
  readonly level?: LogLevel;
  /** Default `text`. */
  readonly format?: "json" | "text";
  /** Takes one line without its line feed. Default: standard error. */
  readonly write?: (line: string) => void;
  readonly nowMs?: () => number;
}

const RANK: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

/** Builds a logger. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const threshold = RANK[options.level ?? "info"];
  const write = options.write ?? ((line) => void process.stderr.write(`${line}\n`));
  const nowMs = options.nowMs ?? Date.now;
  const format = options.format === "json" ? formatJson : formatText;
  const withFields = (bound: LogFields): Logger => {
    const record = (level: LogLevel, message: string, fields?: LogFields): void => {
      if (RANK[level] > threshold) return;
      write(format(new Date(nowMs()).toISOString(), level, message, { ...bound, ...fields }));
    };
    return {
      error: (message, fields) => record("error", message, fields),
      warn: (message, fields) => record("warn", message, fields),
      info: (message, fields) => record("info", message, fields),
      debug: (message, fields) => record("debug", message, fields),
      child: (fields) => withFields({ ...bound, ...fields }),
    };
  };
  return withFields({});
}

/** A logger that drops everything. */
export const silentLogger: Logger = createLogger({ write: () => undefined });

function plain(value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

function formatJson(time: string, level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time, level, message, ...fields }, (_key, value: unknown) => plain(value));
}

function formatText(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const words = Object.entries(fields).map(([key, value]) => {
    const shown = plain(value);
    return `${key}=${typeof shown === "string" && /^[^\s"=]+$/.test(shown) ? shown : JSON.stringify(shown)}`;
  });
  return [time, level.padEnd(5), message, ...words].join(" ");
}
