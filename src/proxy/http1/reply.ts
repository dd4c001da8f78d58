// Phase "reply": answers that the proxy gives itself. Short text bodies in words that a user can act on, the same words in one
// `x-weir-reason` field, and nothing that names a product or version.
import { STATUS_CODES } from "node:http";
import { type AnswerChanges, writeEdited } from "../route/edits.ts";
import type { FieldEdits, OwnAnswer } from "../route/table.ts";
import { isSameName } from "../wire/bytes.ts";
import type { Outbox } from "../wire/outbox.ts";
import { HeadParser, KIND } from "./parse.ts";

/** An answer without an upstream. */
export interface Reply {
  readonly status: number;
  readonly reason: string;
  /** What the access log says of it, in Envoy's letters; absent: nothing. */
  readonly flag?: string;
  /** Value of Retry-After. */
  readonly retryAfterS?: number;
}

const reply = (status: number, reason: string, flag = ""): Reply => ({ status, reason, flag });
export const REPLY = {
  noRoute: reply(404, "no route for this host and path", "NR"),
  notConnect: reply(405, "CONNECT is not served here"),
  notTrace: reply(405, "TRACE ends here"),
  options: reply(200, "Max-Forwards reached"),
  slowHead: reply(408, "request head took too long", "SI"),
  slowBody: reply(408, "request body stalled", "SI"),
  slowRate: reply(408, "request body came too slowly", "SI"),
  unknownCluster: reply(503, "no such cluster", "NC"),
  noEndpoint: reply(503, "no healthy upstream", "UH"),
  overflow: reply(503, "upstream connection limit reached", "UO"),
  connectFailed: reply(503, "upstream connection failed", "UF"),
  connectTimeout: reply(503, "upstream connect timeout", "UF"),
  upstreamReset: reply(502, "upstream closed the connection before it answered", "UC"),
  upstreamProtocol: reply(502, "upstream answer was malformed", "UPE"),
  upstreamTimeout: reply(504, "upstream request timeout", "UT"),
  tooManyRequests: { ...reply(503, "too many requests in progress", "OM"), retryAfterS: 1 },
  loopLate: { ...reply(503, "overloaded: the event loop is late", "OM"), retryAfterS: 1 },
  memoryLow: { ...reply(503, "overloaded: memory is nearly used up", "OM"), retryAfterS: 1 },
  internal: reply(500, "internal error", "LR"),
} as const satisfies Record<string, Reply>;

/** What an answer of the proxy's own depends on besides. */
export interface ReplyOptions {
  readonly isHead: boolean;
  readonly isLast: boolean;
  readonly isOldClient: boolean;
  /** The line that states it. */
  readonly date: Buffer;
  /** Stated unless it is empty. */
  readonly requestId: Buffer;
  /** The route's, or null. */
  readonly changes: AnswerChanges | null;
}

const NO_DROPS = new Uint8Array(32);
const NO_BYTES = new Uint8Array(0);
const CRLF = Buffer.from("\r\n");
const TYPE_NAME = Buffer.from("content-type");
const CONTENT_TYPE = Buffer.from("content-type: text/plain\r\n");

/** Appends a whole answer. */
export function composeReply(
  out: Outbox,
  { status, reason, retryAfterS }: Reply,
  options: ReplyOptions,
): void {
  const body = Buffer.from(`${reason}\n`, "latin1");
  const allow = status === 405 ? "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "";
  const retry = retryAfterS === undefined ? "" : `retry-after: ${retryAfterS}\r\n`;
  const fields = `content-length: ${body.length}\r\nx-weir-reason: ${reason}\r\n${allow}${retry}`;
  compose(out, status, fields, body, options);
}

/** Appends a route's own answer; `location` is where a redirect leads. */
export function composeAnswer(
  out: Outbox,
  { status, body }: OwnAnswer,
  location: string | null,
  options: ReplyOptions,
): void {
  const hasLength = status !== 204 && status !== 304;
  const length = hasLength ? `content-length: ${body.length}\r\n` : "";
  const where = location === null ? "" : `location: ${location}\r\n`;
  compose(out, status, `${length}${where}`, body, options);
}

function compose(out: Outbox, status: number, fields: string, body: Buffer, options: ReplyOptions): void {
  const kept = options.isOldClient ? "connection: keep-alive\r\n" : "";
  const connection = options.isLast ? "connection: close\r\n" : kept;
  const id = options.requestId.length > 0 ? `x-request-id: ${options.requestId.toString("latin1")}\r\n` : "";
  const head = Buffer.from(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Other"}\r\n${options.date.toString("latin1")}` +
      `${fields}${connection}${id}\r\n`,
    "latin1",
  );
  const edits = options.changes === null ? null : options.changes.edits;
  const type = body.length > 0 && (edits === null || !isTypeStated(edits)) ? CONTENT_TYPE : NO_BYTES;
  if (options.changes === null || edits === null) out.append(head, 0, head.length - 2);
  else writeEditedLines(out, head, edits, options.changes.address);
  out.text(type);
  out.text(CRLF);
  if (!options.isHead && body.length > 0) out.bytes(body, 0, body.length);
}

/** As in Envoy the type of a body is the last to be stated, where edits did not. */
function isTypeStated({ names, whenMissing }: FieldEdits): boolean {
  return names.some((name, i) => whenMissing[i]!.length > 0 && isSameName(name, 0, name.length, TYPE_NAME));
}

/** Our own head, read like anyone's, so that edits have one meaning; without the empty line behind it. Such answers are rare enough. */
function writeEditedLines(out: Outbox, bytes: Buffer, edits: FieldEdits, address: Uint8Array): void {
  const parser = new HeadParser();
  parser.reset(KIND.RESPONSE);
  parser.run(bytes, 0, bytes.length);
  const { head } = parser;
  out.append(bytes, 0, head.lineEnd);
  writeEdited(out, head, NO_DROPS, edits, address);
}
