// [hot] What an access log knows of one request. What a line needs of the heads is copied, escaped, as they pass. Values come from strangers:
// control bytes, quotes, backslashes and what is no ASCII are written as escapes (`\xNN` in text, `\u00NN` in JSON), so that no value
// can end a line or a string. Records are used again and again.
import type { ClientFacts } from "../admit/forwarded.ts";
import { findTraceId } from "../admit/trace.ts";
import { FIELD, type Head } from "../http1/head.ts";
import type { Reply } from "../http1/reply.ts";
import { type LogPart, PART, STYLE } from "./logformat.ts";

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const HTTP_0 = text("HTTP/1.0");
const HTTP_1 = text("HTTP/1.1");
const SCHEME_HTTP = text("http");
const SCHEME_HTTPS = text("https");
const COMMA_SPACE = text(", ");
const SLASH = text("/");
const NO_BYTES = Buffer.alloc(0);
/** A record begins with so many bytes for values; more than MOST_BYTES are given back after use. */
const FIRST_BYTES = 1024;
const MOST_BYTES = 16 * 1024;
/** Bytes of an escape, at most. */
const ESCAPE_BYTES = 6;
const HEX = text("0123456789abcdef");
const TEXT_ESCAPE = text("\\x");
const JSON_ESCAPE = text("\\u00");
/** 1 for bytes that are written as they are. */
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c ? 1 : 0,
);

/** An address and port. */
export interface LoggedEndpoint {
  readonly address: string;
  readonly port: number;
}

/** What is known of one request. Whoever learns something writes it here. */
export class LogRecord {
  /** On the monotonic clock; 0: not known. */
  startMs = 0;
  endMs = 0;
  /** Of the answer; 0: none was sent. */
  status = 0;
  /** Envoy's letters for what went wrong; empty: nothing. */
  flags = "";
  /** The proxy's words for it. */
  details = "";
  /** A further try was wanted, and none was left. */
  isRetrySpent = false;
  bytesReceived = 0;
  bytesSent = 0;
  route = "";
  cluster = "";
  endpoint: LoggedEndpoint | null = null;
  attempts = 0;
  /** Captured values, one behind the other. */
  values: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  length = 0;
  /** Begin and end of each slot; begin -1: it has none. */
  readonly bounds: Int32Array;

  constructor(slots: number) {
    this.bounds = new Int32Array(slots * 2);
  }

  reset(): void {
    if (this.values.length > MOST_BYTES) this.values = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.startMs = 0;
    this.endMs = 0;
    this.status = 0;
    this.flags = "";
    this.details = "";
    this.isRetrySpent = false;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.route = "";
    this.cluster = "";
    this.endpoint = null;
    this.attempts = 0;
    this.length = 0;
    this.bounds.fill(-1);
  }

  /** Where the request goes. */
  begin(route: string, cluster: string, startMs: number): void {
    this.route = route;
    this.cluster = cluster;
    this.startMs = startMs;
  }

  /** It is sent there, for the first time or once more. */
  attempt(endpoint: LoggedEndpoint): void {
    this.endpoint = endpoint;
    this.attempts += 1;
  }

  /** Says what went wrong; the first word counts. */
  fail(flags: string, details: string): void {
    if (this.flags !== "") return;
    this.flags = flags;
    this.details = details;
  }

  /** An answer of the proxy's own. */
  reply({ status, reason, flag }: Reply, isHeadRequest: boolean, bodyBytes = reason.length + 1): void {
    this.status = status;
    this.bytesSent = isHeadRequest ? 0 : bodyBytes;
    this.flags ||= flag ?? "";
    this.details = reason;
  }
}

/** Takes what a part stands for from a request. */
export function captureRequest(
  record: LogRecord,
  slot: number,
  first: LogPart,
  head: Head,
  client: ClientFacts,
): void {
  for (let part: LogPart | null = first; part !== null; part = part.alternative)
    if (captureOne(record, slot, part, head, client)) return;
}

/** False when the request has no such value. */
function captureOne(
  record: LogRecord,
  slot: number,
  part: LogPart,
  head: Head,
  client: ClientFacts,
): boolean {
  const { bytes, base } = head;
  switch (part.code) {
    case PART.METHOD:
      return capture(record, slot, part, bytes, base + head.lineStart, base + head.methodEnd);
    case PART.PATH:
      if (head.pathEnd === 0) return false; // CONNECT has none.
      if (head.pathStart === head.pathEnd) return capture(record, slot, part, SLASH, 0, 1);
      return capture(record, slot, part, bytes, base + head.pathStart, base + head.targetEnd);
    case PART.AUTHORITY:
      return capture(record, slot, part, bytes, base + head.authorityStart, base + head.authorityEnd);
    case PART.SCHEME: {
      const scheme = client.isSecure ? SCHEME_HTTPS : SCHEME_HTTP;
      return capture(record, slot, part, scheme, 0, scheme.length);
    }
    case PART.PROTOCOL:
      return capture(record, slot, part, head.minor === 0 ? HTTP_0 : HTTP_1, 0, HTTP_1.length);
    case PART.REQUEST_ID:
      return capture(record, slot, part, client.requestId, 0, client.requestId.length);
    case PART.CLIENT_ADDRESS:
      return capture(record, slot, part, client.address, 0, client.address.length);
    case PART.PEER_ADDRESS:
      return capture(record, slot, part, client.peer, 0, client.peer.length);
    case PART.FORWARDED_FOR:
      return captureForwardedFor(record, slot, part, head, client);
    case PART.TRACE_ID: {
      const made = client.trace?.line ?? NO_BYTES;
      return findTraceId(made, head, (from, start, end) => capture(record, slot, part, from, start, end));
    }
    default: {
      const at = head.indexOf(part.text, 0);
      if (at < 0) return false;
      const start = base + head.fields[at * 4 + 2]!;
      return capture(record, slot, part, bytes, start, base + head.fields[at * 4 + 3]!);
    }
  }
}

/** Takes a field of the answer. */
export function captureAnswer(record: LogRecord, slot: number, first: LogPart, head: Head): void {
  for (let part: LogPart | null = first; part !== null; part = part.alternative) {
    const at = head.indexOf(part.text, 0);
    if (at < 0) continue;
    captureField(record, slot, part, head, at);
    return;
  }
}

function captureField(record: LogRecord, slot: number, part: LogPart, head: Head, index: number): void {
  const start = head.base + head.fields[index * 4 + 2]!;
  capture(record, slot, part, head.bytes, start, head.base + head.fields[index * 4 + 3]!);
}

/** What the upstream is told: earlier entries, and the peer where it is appended. */
function captureForwardedFor(
  record: LogRecord,
  slot: number,
  part: LogPart,
  head: Head,
  client: ClientFacts,
): boolean {
  const from = record.length;
  for (let i = 0; head.hasSpecial && i < head.fieldCount; i++) {
    if (head.kinds[i] !== FIELD.X_FORWARDED_FOR) continue;
    const start = head.base + head.fields[i * 4 + 2]!;
    const end = Math.min(head.base + head.fields[i * 4 + 3]!, start + part.limit);
    if (record.length > from) keep(record, COMMA_SPACE, 0, COMMA_SPACE.length, part.style);
    keep(record, head.bytes, start, end, part.style);
  }
  if (client.isPeerAppended) {
    if (record.length > from) keep(record, COMMA_SPACE, 0, COMMA_SPACE.length, part.style);
    keep(record, client.peer, 0, client.peer.length, part.style);
  }
  if (record.length === from) return false;
  record.bounds[slot * 2] = from;
  record.bounds[slot * 2 + 1] = record.length;
  return true;
}

/** Copies a value in; false when it is empty. */
function capture(
  record: LogRecord,
  slot: number,
  part: LogPart,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (end <= start) return false;
  const { bounds } = record;
  bounds[slot * 2] = record.length;
  keep(record, bytes, start, Math.min(end, start + part.limit), part.style);
  bounds[slot * 2 + 1] = record.length;
  return true;
}

function keep(record: LogRecord, bytes: Uint8Array, start: number, end: number, style: number): void {
  const room = (end - start) * ESCAPE_BYTES;
  if (record.length + room > record.values.length) {
    const grown = Buffer.allocUnsafeSlow(2 * (record.length + room));
    record.values.copy(grown, 0, 0, record.length);
    record.values = grown;
  }
  record.length = escapeInto(record.values, record.length, bytes, start, end, style);
}

/**
 * Writes bytes at `at` so that none of them ends a line or a string; needs room for six times as many. Returns the position behind. Byte by
 * byte: values are short, and a call to copy costs more than it saves.
 */
export function escapeInto(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  style: number,
): number {
  let to = at;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (IS_PLAIN[byte] === 1) {
      out[to++] = byte;
      continue;
    }
    const begin = style === STYLE.TEXT ? TEXT_ESCAPE : JSON_ESCAPE;
    for (let e = 0; e < begin.length; e++) out[to++] = begin[e]!;
    out[to++] = HEX[byte >> 4]!;
    out[to++] = HEX[byte & 15]!;
  }
  return to;
}
