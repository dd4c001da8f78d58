// [hot] Heads as they are sent on: end-to-end fields are copied line by line, hop-by-hop fields go, framing is written anew
// (RFC 9110 7.6.1, RFC 9112 6). Runs of lines that stay are one copy.

import type { ClientFacts } from "../admit/forwarded.ts";
import { type AnswerChanges, isEdited, writeEdited } from "../route/edits.ts";
import { isSameName } from "../wire/bytes.ts";
import type { ByteStore } from "../wire/bytestore.ts";
import type { Outbox } from "../wire/outbox.ts";
import { BODY } from "./body.ts";
import { FIELD, type Head, METHOD } from "./head.ts";

const text = (value: string): Buffer => Buffer.from(value, "latin1");
const CRLF = text("\r\n");
const REQUEST_VERSION = text(" HTTP/1.1\r\n");
const RESPONSE_VERSION = text("HTTP/1.1");
const SPACE = text(" ");
const SLASH_PATH = text("/");
const ASTERISK = text("*");
const COLON_SPACE = text(": ");
const HOST = text("host: ");
const UNKNOWN_HOST = text("localhost");
const CONTENT_LENGTH = text("content-length: ");
const CHUNKED = text("transfer-encoding: chunked\r\n");
const MAX_FORWARDS = text("max-forwards: ");
const CONNECTION_CLOSE = text("connection: close\r\n");
const REQUEST_ID = text("x-request-id: ");
const NOTHING = Buffer.alloc(0);
const DATE = text("date");
const CONNECTION_KEEP = text("connection: keep-alive\r\n");

/** 1 for each FIELD that is not copied to the client. */
const RESPONSE_DROPS = dropTable([]);
const ANSWER_ID_DROPS = dropTable([FIELD.X_REQUEST_ID]);
const REQUEST_DROPS = [false, true].flatMap((isForDropped) =>
  [false, true].map((isProtoDropped) =>
    dropTable([
      FIELD.X_REQUEST_ID,
      ...(isForDropped ? [FIELD.X_FORWARDED_FOR] : []),
      ...(isProtoDropped ? [FIELD.X_FORWARDED_PROTO] : []),
    ]),
  ),
);
/** Fields that may not stand in a trailer (RFC 9110 6.5.1). */
const TRAILER_DROPS = dropTable([
  FIELD.HOST,
  FIELD.MAX_FORWARDS,
  FIELD.X_FORWARDED_FOR,
  FIELD.X_FORWARDED_PROTO,
  FIELD.X_REQUEST_ID,
  FIELD.X_WEIR,
]);
const TRAILER_FORBIDDEN = [
  "authorization",
  "set-cookie",
  "content-encoding",
  "content-type",
  "content-range",
  "cookie",
].map((name) => text(name));

/** 1 for each FIELD that is not copied to the upstream; X-Forwarded-For and -Proto on demand. */
export function requestDrops(isForDropped: boolean, isProtoDropped: boolean): Uint8Array {
  // The table has all four.
  return REQUEST_DROPS[(isForDropped ? 2 : 0) + (isProtoDropped ? 1 : 0)]!;
}

/** Appends the request head for the upstream. */
export function composeRequest(
  out: ByteStore,
  head: Head,
  client: ClientFacts,
  hasChunkedBody: boolean,
): void {
  const { bytes, base } = head;
  const { drops } = client;
  const hasNewHost = head.isAbsolute || head.isRespelt;
  const isRewritten = hasNewHost || head.minor === 0;
  if (isRewritten) requestLine(out, head);
  const hasCounter =
    head.maxForwards >= 0 && (head.method === METHOD.OPTIONS || head.method === METHOD.TRACE);
  let from = isRewritten ? head.lineEnd : head.lineStart;
  if (head.hasSpecial || hasNewHost) {
    for (let i = 0; i < head.fieldCount; i++) {
      const kind = head.kinds[i]!;
      const isDropped =
        drops[kind] === 1 ||
        (kind === FIELD.HOST && hasNewHost) ||
        (kind === FIELD.MAX_FORWARDS && hasCounter);
      if (!isDropped) continue;
      const line = head.lineOf(i);
      if (line > from) out.append(bytes, base + from, base + line);
      from = head.lineOf(i + 1);
    }
  }
  if (head.length - 2 > from) out.append(bytes, base + from, base + head.length - 2);
  requestEnd(out, head, client, hasChunkedBody);
}

/** Appends what ends a request head: framing, the counter of hops, what is said about the client. */
export function requestEnd(out: ByteStore, head: Head, client: ClientFacts, hasChunkedBody: boolean): void {
  const hasCounter =
    head.maxForwards >= 0 && (head.method === METHOD.OPTIONS || head.method === METHOD.TRACE);
  if (head.contentLength >= 0) {
    out.text(CONTENT_LENGTH);
    out.decimal(head.contentLength);
    out.text(CRLF);
  } else if (hasChunkedBody) out.text(CHUNKED);
  if (hasCounter) {
    out.text(MAX_FORWARDS);
    out.decimal(head.maxForwards - 1);
    out.text(CRLF);
  }
  client.compose(out, head);
  out.text(CRLF);
}

function requestLine(out: ByteStore, head: Head): void {
  const { bytes, base } = head;
  out.append(bytes, base + head.lineStart, base + head.methodEnd);
  out.text(SPACE);
  if (head.pathStart === head.pathEnd) out.text(head.method === METHOD.OPTIONS ? ASTERISK : SLASH_PATH);
  out.append(bytes, base + head.pathStart, base + head.targetEnd);
  out.text(REQUEST_VERSION);
  if (!head.isAbsolute && !head.isRespelt && head.hosts > 0) return;
  out.text(HOST);
  if (head.authorityEnd > head.authorityStart)
    out.append(bytes, base + head.authorityStart, base + head.authorityEnd);
  else out.text(UNKNOWN_HOST);
  out.text(CRLF);
}

/** How an answer's connection goes on: CONNECTION. */
export const CONNECTION = { SILENT: 0, CLOSE: 1, KEEP: 2 } as const;

/**
 * Appends a response head for the client. `body` is the BODY as sent to the client; `length` a Content-Length to state, or -1;
 * `connection` one of CONNECTION; `date` is the line for an answer that has none of its own; `requestId` is stated unless it is empty; `changes`
 * are the route's, or null.
 */
export function composeResponse(
  out: Outbox,
  head: Head,
  body: number,
  length: number,
  connection: number,
  date: Buffer = NOTHING,
  requestId: Buffer = NOTHING,
  changes: AnswerChanges | null = null,
): void {
  const { bytes, base } = head;
  const drops = requestId.length > 0 ? ANSWER_ID_DROPS : RESPONSE_DROPS;
  const isRewritten = head.minor === 0 || !head.hasReason;
  if (isRewritten) {
    out.text(RESPONSE_VERSION);
    out.bytes(bytes, base + head.lineStart + 8, base + head.lineEnd - 2);
    if (!head.hasReason) out.text(SPACE);
    out.text(CRLF);
  }
  const from = isRewritten ? head.lineEnd : head.lineStart;
  if (changes !== null && changes.edits !== null) {
    if (!isRewritten) out.bytes(bytes, base + head.lineStart, base + head.lineEnd);
    writeEdited(out, head, drops, changes.edits, changes.address);
  } else if (head.hasOddLine) {
    if (!isRewritten) out.bytes(bytes, base + head.lineStart, base + head.lineEnd);
    writtenLines(out, head, drops);
  } else if (head.hasSpecial) keptLines(out, head, from, drops);
  else out.copied(bytes, base + from, base + head.length - 2);
  if (length >= 0) {
    out.text(CONTENT_LENGTH);
    out.decimal(length);
    out.text(CRLF);
  } else if (body === BODY.CHUNKED) out.text(CHUNKED);
  if (!head.hasDate && !isDateEdited(changes)) out.text(date);
  if (connection === CONNECTION.CLOSE) out.text(CONNECTION_CLOSE);
  else if (connection === CONNECTION.KEEP) out.text(CONNECTION_KEEP);
  if (requestId.length > 0) {
    out.text(REQUEST_ID);
    out.text(requestId);
    out.text(CRLF);
  }
  if (changes !== null && changes.added !== null) out.text(changes.added);
  out.text(CRLF);
}

function isDateEdited(changes: AnswerChanges | null): boolean {
  return changes !== null && changes.edits !== null && isEdited(changes.edits, DATE);
}

/** Appends the trailer fields that may be sent on, without the empty line behind them. */
export function composeTrailers(out: Outbox, head: Head): void {
  for (let i = 0; i < head.fieldCount; i++) {
    if (TRAILER_DROPS[head.kinds[i]!] === 1) continue;
    const start = head.base + head.fields[i * 4]!;
    const end = head.base + head.fields[i * 4 + 1]!;
    if (TRAILER_FORBIDDEN.some((name) => isSameName(head.bytes, start, end, name))) continue;
    writtenLine(out, head, i);
  }
}

function keptLines(out: Outbox, head: Head, start: number, drops: Uint8Array): void {
  const { bytes, base } = head;
  let from = start;
  for (let i = 0; i < head.fieldCount; i++) {
    if (drops[head.kinds[i]!] !== 1) continue;
    const line = head.lineOf(i);
    if (line > from) out.copied(bytes, base + from, base + line);
    from = head.lineOf(i + 1);
  }
  if (head.length - 2 > from) out.copied(bytes, base + from, base + head.length - 2);
}

/** Lines that were spelt in a way that may not be copied, such as with a space before the colon. */
function writtenLines(out: Outbox, head: Head, drops: Uint8Array): void {
  for (let i = 0; i < head.fieldCount; i++) if (drops[head.kinds[i]!] !== 1) writtenLine(out, head, i);
}

function writtenLine(out: Outbox, head: Head, index: number): void {
  const { bytes, base, fields } = head;
  out.copied(bytes, base + fields[index * 4]!, base + fields[index * 4 + 1]!);
  out.text(COLON_SPACE);
  out.copied(bytes, base + fields[index * 4 + 2]!, base + fields[index * 4 + 3]!);
  out.text(CRLF);
}

function dropTable(more: readonly number[]): Uint8Array {
  const drops = new Uint8Array(32);
  const always = [
    FIELD.CONTENT_LENGTH,
    FIELD.TRANSFER_ENCODING,
    FIELD.CONNECTION,
    FIELD.KEEP_ALIVE,
    FIELD.PROXY_CONNECTION,
    FIELD.TE,
    FIELD.UPGRADE,
    FIELD.NOMINATED,
    FIELD.DROPPED,
  ];
  for (const kind of [...always, ...more]) drops[kind] = 1;
  return drops;
}
