// The format of an access log: text with %COMMANDS% as in Envoy, or a JSON object whose strings are such texts → parts that accesslog.ts
// writes line by line. Pure; what a line cannot hold is an error by name, never a silent blank.
import { type LogCommand, type LogJson, logFormatProblems, logTokens } from "../../xds/types.ts";

/** What a part of a line stands for. From REQUEST_HEADER on it is taken from the request's head, from RESPONSE_HEADER on from the answer's. */
export const PART = {
  TEXT: 0,
  START_TIME: 1,
  STATUS: 2,
  DETAILS: 3,
  FLAGS: 4,
  BYTES_RECEIVED: 5,
  BYTES_SENT: 6,
  DURATION: 7,
  ROUTE: 8,
  CLUSTER: 9,
  ENDPOINT: 10,
  ATTEMPTS: 11,
  REQUEST_HEADER: 20,
  METHOD: 21,
  PATH: 22,
  AUTHORITY: 23,
  SCHEME: 24,
  PROTOCOL: 25,
  FORWARDED_FOR: 26,
  REQUEST_ID: 27,
  CLIENT_ADDRESS: 28,
  PEER_ADDRESS: 29,
  TRACE_ID: 30,
  RESPONSE_HEADER: 40,
} as const;

/** How a part is written: as text, inside a JSON string, or as a JSON value of its own. */
export const STYLE = { TEXT: 0, STRING: 1, VALUE: 2 } as const;

export interface LogPart {
  /** PART */
  readonly code: number;
  /** STYLE */
  readonly style: number;
  /** Literal text as it is written, or the name of a field in lower case. */
  readonly text: Buffer;
  /** What is taken when the first has nothing: null for none. */
  readonly alternative: LogPart | null;
  /** Most bytes of the value. */
  readonly limit: number;
}

export interface LogFormat {
  readonly parts: readonly LogPart[];
  /** Parts that are taken from heads, in order; the position of a part in this list is its slot. */
  readonly requestParts: readonly LogPart[];
  readonly responseParts: readonly LogPart[];
}

/** Most bytes of one value in a line; more is cut. */
export const MAX_VALUE_BYTES = 4096;
const NEWLINE = "\n";

/** Envoy's format, less what only Envoy has. */
export const DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

const COMMANDS: Readonly<Record<LogCommand, number>> = {
  START_TIME: PART.START_TIME,
  RESPONSE_CODE: PART.STATUS,
  RESPONSE_CODE_DETAILS: PART.DETAILS,
  RESPONSE_FLAGS: PART.FLAGS,
  BYTES_RECEIVED: PART.BYTES_RECEIVED,
  BYTES_SENT: PART.BYTES_SENT,
  DURATION: PART.DURATION,
  ROUTE_NAME: PART.ROUTE,
  UPSTREAM_CLUSTER: PART.CLUSTER,
  UPSTREAM_HOST: PART.ENDPOINT,
  UPSTREAM_REQUEST_ATTEMPT_COUNT: PART.ATTEMPTS,
  PROTOCOL: PART.PROTOCOL,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: PART.CLIENT_ADDRESS,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: PART.PEER_ADDRESS,
  TRACE_ID: PART.TRACE_ID,
};
const OWN_FIELDS: Readonly<Record<string, number>> = {
  ":method": PART.METHOD,
  ":path": PART.PATH,
  ":authority": PART.AUTHORITY,
  host: PART.AUTHORITY,
  ":scheme": PART.SCHEME,
  "x-forwarded-for": PART.FORWARDED_FOR,
  "x-request-id": PART.REQUEST_ID,
};
const NOTHING = Buffer.alloc(0);

/** Reads a text format; a line end is added where there is none. `refuse` is told what it cannot say. */
export function textFormat(format: string, refuse: (why: string) => void): LogFormat {
  for (const why of logFormatProblems(format)) refuse(why);
  return assembled(partsOf(format.endsWith(NEWLINE) ? format : `${format}\n`, STYLE.TEXT));
}

/** Reads a JSON format: commands that are a string of their own become numbers or null where that is what they are. */
export function jsonFormat(format: LogJson, isSorted: boolean, refuse: (why: string) => void): LogFormat {
  for (const why of logFormatProblems(format)) refuse(why);
  return assembled([...jsonParts(format, isSorted), literal(NEWLINE, STYLE.TEXT)]);
}

function assembled(all: readonly LogPart[]): LogFormat {
  const parts = merged(all);
  const isOfRequest = ({ code }: LogPart): boolean =>
    code >= PART.REQUEST_HEADER && code < PART.RESPONSE_HEADER;
  return {
    parts,
    requestParts: parts.filter(isOfRequest),
    responseParts: parts.filter(({ code }) => code === PART.RESPONSE_HEADER),
  };
}

function* jsonParts(format: LogJson, isSorted: boolean): Generator<LogPart> {
  if (typeof format === "string") {
    const parts = partsOf(format, STYLE.STRING);
    const [only] = parts;
    if (only !== undefined && parts.length === 1 && only.code !== PART.TEXT) {
      yield withStyle(only, STYLE.VALUE);
      return;
    }
    yield literal('"', STYLE.TEXT);
    yield* parts;
    yield literal('"', STYLE.TEXT);
    return;
  }
  if (typeof format !== "object" || format === null) {
    yield literal(JSON.stringify(format), STYLE.TEXT);
    return;
  }
  const isList = Array.isArray(format);
  const entries = Object.entries(format);
  if (isSorted && !isList) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  yield literal(isList ? "[" : "{", STYLE.TEXT);
  for (const [index, [key, value]] of entries.entries()) {
    const comma = index === 0 ? "" : ",";
    yield literal(isList ? comma : `${comma}${JSON.stringify(key)}:`, STYLE.TEXT);
    yield* jsonParts(value, isSorted);
  }
  yield literal(isList ? "]" : "}", STYLE.TEXT);
}

/** What this proxy does not know is left out; `logFormatProblems` has named it. */
function partsOf(format: string, style: number): LogPart[] {
  return logTokens(format, () => undefined).map((token) => {
    if (token.kind === "text") return literal(token.text, style);
    const limit = Math.min(token.limit ?? MAX_VALUE_BYTES, MAX_VALUE_BYTES);
    if (token.kind === "command") return part(COMMANDS[token.name], style, NOTHING, null, limit);
    const isRequest = token.of === "request";
    const fieldPart = (name: string, alternative: LogPart | null): LogPart => {
      const code = isRequest ? (OWN_FIELDS[name] ?? PART.REQUEST_HEADER) : PART.RESPONSE_HEADER;
      return part(code, style, Buffer.from(name, "latin1"), alternative, limit);
    };
    const [first = "", second] = token.names;
    return fieldPart(first, second === undefined ? null : fieldPart(second, null));
  });
}

function part(
  code: number,
  style: number,
  text: Buffer,
  alternative: LogPart | null,
  limit: number,
): LogPart {
  return { code, style, text, alternative, limit };
}

function withStyle(one: LogPart, style: number): LogPart {
  const alternative = one.alternative === null ? null : withStyle(one.alternative, style);
  return part(one.code, style, one.text, alternative, one.limit);
}

function literal(text: string, style: number): LogPart {
  const shown = style === STYLE.STRING ? JSON.stringify(text).slice(1, -1) : text;
  return part(PART.TEXT, STYLE.TEXT, Buffer.from(shown), null, 0);
}

/** Neighbouring texts as one. */
function merged(parts: readonly LogPart[]): LogPart[] {
  const result: LogPart[] = [];
  for (const one of parts) {
    const last = result.at(-1);
    if (one.code === PART.TEXT && last?.code === PART.TEXT)
      result[result.length - 1] = part(PART.TEXT, STYLE.TEXT, Buffer.concat([last.text, one.text]), null, 0);
    else result.push(one);
  }
  return result;
}
