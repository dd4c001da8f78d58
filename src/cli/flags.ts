// Parsers of flag values, with words for those that do not fit.
import { isIP } from "node:net";
import { InvalidArgumentError } from "commander";
import { parseDuration } from "../lib/duration.ts";
import { createLogger, type Logger, type LogLevel } from "../lib/log.ts";
import type { Cli } from "./cli.ts";

/** A TCP port, 0 to 65535. */
export function portFlag(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("a port is a number from 0 to 65535.");
}

/** An IP address to listen on. */
export function addressFlag(text: string): string {
  if (isIP(text) !== 0) return text;
  throw new InvalidArgumentError("an address is an IP address such as 127.0.0.1.");
}

/** The group and version of an API, as in an object's `apiVersion`. */
export function groupVersionFlag(text: string): string {
  if (/^[^/]+\/[^/]+$/.test(text)) return text;
  throw new InvalidArgumentError("a group with its version looks like elbv2.k8s.aws/v1beta1.");
}

/** A duration of 0 or more, in milliseconds. */
export function durationFlag(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== undefined && durationMs >= 0) return durationMs;
  throw new InvalidArgumentError("a duration looks like 90s, 5m or 250ms.");
}

/** A log level. */
export function levelFlag(text: string): LogLevel {
  if (text === "error" || text === "warn" || text === "info" || text === "debug") return text;
  throw new InvalidArgumentError("levels are error, warn, info and debug.");
}

/** `text` or `json`. */
export function formatFlag(text: string): "text" | "json" {
  if (text === "text" || text === "json") return text;
  throw new InvalidArgumentError("formats are text and json.");
}

export interface LogFlags {
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
}

/** The logger that the flags ask for, on standard error. */
export function loggerFor(cli: Cli, { logLevel, logFormat }: LogFlags): Logger {
  return createLogger({ level: logLevel, format: logFormat, write: cli.err });
}
