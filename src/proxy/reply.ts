// Phase "reply": answers that the proxy gives itself. Short text bodies in words that a user can act on, the same words in one
// `x-weir-reason` field, and nothing that names a product or version.
import type { Outbox } from "./outbox.ts";
import type { Refusal } from "./parse.ts";

/** An answer without an upstream. */
export interface Reply {
  readonly status: number;
  readonly reason: string;
  /** What the access log says of it, in Envoy's letters; absent: nothing. */
  readonly flag?: string;
}

const reply = (status: number, reason: string, flag = ""): Reply => ({ status, reason, flag });
export const REPLY = {
  noRoute: reply(404, "no route for this host and path", "NR"),
  notConnect: reply(405, "CONNECT is not served here"),
  notTrace: reply(405, "TRACE ends here"),
  options: reply(200, "Max-Forwards reached"),
  slowHead: reply(408, "request head took too long", "SI"),
  slowBody: reply(408, "request body stalled", "SI"),
  unknownCluster: reply(503, "no such cluster", "NC"),
  noEndpoint: reply(503, "no healthy upstream", "UH"),
  overflow: reply(503, "upstream connection limit reached", "UO"),
  connectFailed: reply(503, "upstream connection failed", "UF"),
  connectTimeout: reply(503, "upstream connect timeout", "UF"),
  upstreamReset: reply(502, "upstream closed the connection before it answered", "UC"),
  upstreamProtocol: reply(502, "upstream answer was malformed", "UPE"),
  upstreamTimeout: reply(504, "upstream request timeout", "UT"),
  internal: reply(500, "internal error", "LR"),
} as const satisfies Record<string, Reply>;

const PHRASES: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  414: "URI Too Long",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

/** Appends a whole answer. */
export function composeReply(
  out: Outbox,
  { status, reason }: Reply | Refusal,
  options: {
    readonly isHead: boolean;
    readonly isLast: boolean;
    readonly isOldClient: boolean;
    readonly nowMs: number;
    /** Stated unless it is empty. */
    readonly requestId: Buffer;
  },
): void {
  const body = `${reason}\n`;
  const connection = options.isLast
    ? "connection: close\r\n"
    : options.isOldClient
      ? "connection: keep-alive\r\n"
      : "";
  const allow = status === 405 ? "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "";
  const id = options.requestId.length > 0 ? `x-request-id: ${options.requestId.toString("latin1")}\r\n` : "";
  const head =
    `HTTP/1.1 ${status} ${PHRASES[status] ?? "Error"}\r\ndate: ${new Date(options.nowMs).toUTCString()}\r\n` +
    `content-type: text/plain\r\ncontent-length: ${body.length}\r\nx-weir-reason: ${reason}\r\n${allow}${connection}${id}\r\n`;
  out.text(Buffer.from(options.isHead ? head : head + body, "latin1"));
}
