// The %COMMANDS% that weir's proxy knows in the format of an access log, as in Envoy. The proxy compiles them, translate/ checks what users write.
// Pure.
import type { JsonValue } from "@bufbuild/protobuf";

/** Commands without arguments. */
export const LOG_COMMANDS = [
  "START_TIME",
  "RESPONSE_CODE",
  "RESPONSE_CODE_DETAILS",
  "RESPONSE_FLAGS",
  "BYTES_RECEIVED",
  "BYTES_SENT",
  "DURATION",
  "ROUTE_NAME",
  "UPSTREAM_CLUSTER",
  "UPSTREAM_HOST",
  "UPSTREAM_REQUEST_ATTEMPT_COUNT",
  "PROTOCOL",
  "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
  "TRACE_ID",
] as const;
export type LogCommand = (typeof LOG_COMMANDS)[number];
/** Of the request's own fields, those that REQ knows. */
export const LOG_PSEUDO_FIELDS = [":method", ":path", ":authority", ":scheme"] as const;

export type LogToken =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "command"; readonly name: LogCommand; readonly limit?: number }
  /** The first of the fields that is there; names in lower case. */
  | {
      readonly kind: "field";
      readonly of: "request" | "response";
      readonly names: readonly string[];
      readonly limit?: number;
    };

/** Any JSON. */
export type LogJson = JsonValue;

/** Most commands in one format. */
const MAX_LOG_COMMANDS = 64;

const COMMAND = /%%|%(?<name>[A-Z_]+)(?:\((?<fields>[^()%]*)\))?(?::(?<limit>\d{1,5}))?%|%/g;
const FIELD_NAME = /^:?[-!#$&'*+.^_`|~0-9a-z]+$/;
const MAX_NAMES = 2;

/** Cuts a format into its parts; `refuse` is told what this proxy does not know, and that part is left out. */
export function logTokens(format: string, refuse: (why: string) => void): readonly LogToken[] {
  const tokens: LogToken[] = [];
  let from = 0;
  const add = (text: string): void => {
    if (text !== "") tokens.push({ kind: "text", text });
  };
  for (const match of format.matchAll(COMMAND)) {
    add(format.slice(from, match.index));
    from = match.index + match[0].length;
    const token = match[0] === "%%" ? ({ kind: "text", text: "%" } as const) : tokenOf(match);
    if (typeof token === "string") refuse(token);
    else tokens.push(token);
  }
  add(format.slice(from));
  return tokens;
}

/** What is wrong with the commands in any string of a format, as `has …`; empty: nothing. */
export function logFormatProblems(format: LogJson): readonly string[] {
  const problems: string[] = [];
  const texts = textsIn(format);
  const tokens = texts.flatMap((text) => logTokens(text, (why) => problems.push(why)));
  if (tokens.filter(({ kind }) => kind !== "text").length > MAX_LOG_COMMANDS)
    problems.push(`has more than ${MAX_LOG_COMMANDS} commands`);
  return problems;
}

function textsIn(format: LogJson): readonly string[] {
  if (typeof format === "string") return [format];
  return typeof format === "object" && format !== null ? Object.values(format).flatMap(textsIn) : [];
}

/** The token, or why there is none. */
function tokenOf(match: RegExpMatchArray): LogToken | string {
  const { name = "", fields, limit: digits } = match.groups ?? {};
  const limit = digits === undefined ? {} : { limit: Number(digits) };
  const unknown = `has ${match[0]}, which this proxy does not know`;
  if (name === "") return "has a % that begins no command";
  if (name !== "REQ" && name !== "RESP") {
    const command = LOG_COMMANDS.find((candidate) => candidate === name);
    return command === undefined || fields !== undefined
      ? unknown
      : { kind: "command", name: command, ...limit };
  }
  const names = (fields ?? "").toLowerCase().split("?");
  if (names.length > MAX_NAMES || !names.every((one) => FIELD_NAME.test(one)))
    return `has ${match[0]}, which names no field`;
  const isKnown = (one: string): boolean =>
    !one.startsWith(":") || (name === "REQ" && LOG_PSEUDO_FIELDS.some((pseudo) => pseudo === one));
  return names.every(isKnown)
    ? { kind: "field", of: name === "REQ" ? "request" : "response", names, ...limit }
    : unknown;
}
