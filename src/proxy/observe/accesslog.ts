// [hot] Phase "log": one line per request, put together from its record (logrecord.ts) when it is over, straight into the file's batch.

import type { ClientFacts } from "../admit/forwarded.ts";
import type { Head } from "../http1/head.ts";
import { writeDecimal } from "../wire/bytes.ts";
import type { LogFile } from "./logfile.ts";
import { type LogFormat, type LogPart, PART, STYLE } from "./logformat.ts";
import { captureAnswer, captureRequest, escapeInto, type LoggedEndpoint, LogRecord } from "./logrecord.ts";

/** Free records kept per log. */
const MAX_FREE = 256;
/** Names of routes and clusters whose escaped form is remembered. */
const MAX_CACHED = 10_000;
/** More than any part takes that is no captured value and no name. */
const PART_BYTES = 64;
const NAMES: ReadonlySet<number> = new Set([PART.DETAILS, PART.ROUTE, PART.CLUSTER]);

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const DASH = text("-");
const NULL = text("null");
const EMPTY = Buffer.alloc(0);
/** Envoy's letters for a request whose last try failed as well. */
const RETRY_SPENT = "URX";
const QUOTE = 0x22;
/** Pieces shorter than this are copied in a loop: a call costs more. */
const LOOP_BYTES = 64;

/** The access log of a listener. */
export class AccessLog {
  readonly file: LogFile;
  readonly format: LogFormat;
  /** Epoch milliseconds of an instant on the monotonic clock. */
  readonly #epochOf: (monotonicMs: number) => number;
  readonly #free: LogRecord[] = [];
  readonly #names = new Map<string, Buffer>();
  readonly #endpoints = new WeakMap<LoggedEndpoint, Buffer>();
  /** Bytes of a line without names and captured values, at most. */
  readonly #fixedBytes: number;
  /** Bytes per character of the names that a line may show, at most. */
  readonly #nameBytes: number;
  #second = -1;
  #secondText = DASH;

  constructor(file: LogFile, format: LogFormat, epochOf: (monotonicMs: number) => number) {
    this.file = file;
    this.format = format;
    this.#epochOf = epochOf;
    const { parts } = format;
    this.#fixedBytes = parts.reduce((sum, { text: literal }) => sum + literal.length + PART_BYTES, 0);
    // A character has up to four bytes, each written as up to six.
    this.#nameBytes = parts.filter(({ code }) => NAMES.has(code)).length * 4 * 6;
  }

  /** A record of a request whose head arrived; null: it was refused before its head was whole. */
  begin(head: Head | null, client: ClientFacts): LogRecord {
    const { requestParts, responseParts } = this.format;
    const record = this.#free.pop() ?? new LogRecord(requestParts.length + responseParts.length);
    record.reset();
    if (head !== null)
      for (let i = 0; i < requestParts.length; i++) captureRequest(record, i, requestParts[i]!, head, client);
    return record;
  }

  /** The answer's head, as it came. */
  answer(record: LogRecord, head: Head): void {
    const { requestParts, responseParts } = this.format;
    record.status = head.status;
    record.details = "via upstream";
    for (let i = 0; i < responseParts.length; i++)
      captureAnswer(record, requestParts.length + i, responseParts[i]!, head);
  }

  /** Writes the line; the record is free again. */
  end(record: LogRecord): void {
    const { file } = this;
    const names = record.route.length + record.cluster.length + record.details.length;
    const size = this.#fixedBytes + record.length + names * this.#nameBytes;
    if (file.begin(size)) file.end(this.#write(record));
    if (this.#free.length < MAX_FREE) this.#free.push(record);
  }

  /** Writes all parts behind `file.at`; returns the position behind them. */
  #write(record: LogRecord): number {
    const { bytes } = this.file;
    const { parts } = this.format;
    let at = this.file.at;
    let slot = 0;
    let answerSlot = this.format.requestParts.length;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      if (part.code === PART.TEXT) at = put(bytes, at, part.text);
      else if (part.code >= PART.RESPONSE_HEADER) at = putSlot(bytes, at, part, record, answerSlot++);
      else if (part.code >= PART.REQUEST_HEADER) at = putSlot(bytes, at, part, record, slot++);
      else at = this.#known(bytes, at, part, record);
    }
    return at;
  }

  #known(bytes: Buffer, at: number, part: LogPart, record: LogRecord): number {
    switch (part.code) {
      case PART.STATUS:
        return writeDecimal(bytes, at, record.status);
      case PART.BYTES_RECEIVED:
        return writeDecimal(bytes, at, record.bytesReceived);
      case PART.BYTES_SENT:
        return writeDecimal(bytes, at, record.bytesSent);
      case PART.DURATION:
        return writeDecimal(bytes, at, Math.max(0, Math.round(record.endMs - record.startMs)));
      case PART.ATTEMPTS:
        return writeDecimal(bytes, at, record.attempts);
      case PART.START_TIME:
        return this.#time(bytes, at, part, record.startMs);
      case PART.FLAGS:
        // As in Envoy, never null.
        return putName(bytes, at, part, this.#flags(record, part.style));
      case PART.DETAILS:
        return putName(bytes, at, part, this.#name(record.details, part.style));
      case PART.ROUTE:
        return putName(bytes, at, part, this.#name(record.route, part.style));
      case PART.CLUSTER:
        return putName(bytes, at, part, this.#name(record.cluster, part.style));
      default: {
        const { endpoint } = record;
        return putName(bytes, at, part, endpoint === null ? EMPTY : this.#endpoint(endpoint));
      }
    }
  }

  /** ISO 8601 with milliseconds; the text of the second is made once per second. */
  #time(bytes: Buffer, start: number, part: LogPart, startMs: number): number {
    const epochMs = Math.floor(this.#epochOf(startMs));
    const second = Math.floor(epochMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = text(new Date(second * 1000).toISOString().slice(0, 20));
    }
    let at = start;
    if (part.style === STYLE.VALUE) bytes[at++] = QUOTE;
    at = put(bytes, at, this.#secondText);
    const ms = epochMs - second * 1000;
    bytes[at++] = 48 + Math.floor(ms / 100);
    bytes[at++] = 48 + (Math.floor(ms / 10) % 10);
    bytes[at++] = 48 + (ms % 10);
    bytes[at++] = 0x5a;
    if (part.style === STYLE.VALUE) bytes[at++] = QUOTE;
    return at;
  }

  #flags({ flags, isRetrySpent }: LogRecord, style: number): Buffer {
    if (!isRetrySpent) return flags === "" ? DASH : this.#name(flags, style);
    return this.#name(flags === "" ? RETRY_SPENT : `${RETRY_SPENT},${flags}`, style);
  }

  #endpoint(endpoint: LoggedEndpoint): Buffer {
    const known = this.#endpoints.get(endpoint);
    if (known !== undefined) return known;
    const { address, port } = endpoint;
    const made = text(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
    this.#endpoints.set(endpoint, made);
    return made;
  }

  /** The escaped form of a name; empty for none. */
  #name(name: string, style: number): Buffer {
    if (name === "") return EMPTY;
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_CACHED) this.#names.clear();
    // Spaces would shift the columns of a text.
    const raw = Buffer.from(style === STYLE.TEXT ? name.replaceAll(" ", "_") : name);
    const room = Buffer.alloc(raw.length * 6);
    const escaped = Buffer.from(room.subarray(0, escapeInto(room, 0, raw, 0, raw.length, style)));
    // A log is text or JSON: the style of its names is one.
    this.#names.set(name, escaped);
    return escaped;
  }
}

function putSlot(bytes: Buffer, at: number, part: LogPart, record: LogRecord, slot: number): number {
  const start = record.bounds[slot * 2]!;
  if (start < 0) return putNothing(bytes, at, part);
  return putQuoted(bytes, at, part, record.values, start, record.bounds[slot * 2 + 1]!);
}

function putName(bytes: Buffer, at: number, part: LogPart, name: Buffer): number {
  return name.length === 0 ? putNothing(bytes, at, part) : putQuoted(bytes, at, part, name, 0, name.length);
}

function putNothing(bytes: Buffer, at: number, part: LogPart): number {
  return put(bytes, at, part.style === STYLE.VALUE ? NULL : DASH);
}

function putQuoted(
  bytes: Buffer,
  at: number,
  part: LogPart,
  from: Buffer,
  start: number,
  end: number,
): number {
  if (part.style !== STYLE.VALUE) return putRange(bytes, at, from, start, end);
  bytes[at] = QUOTE;
  const next = putRange(bytes, at + 1, from, start, end);
  bytes[next] = QUOTE;
  return next + 1;
}

function put(bytes: Buffer, at: number, what: Buffer): number {
  return putRange(bytes, at, what, 0, what.length);
}

function putRange(bytes: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const count = end - start;
  if (count < LOOP_BYTES) for (let i = 0; i < count; i++) bytes[at + i] = from[start + i]!;
  else from.copy(bytes, at, start, end);
  return at + count;
}
