// [hot] Bodies as they are sent, to clients and to endpoints alike: as they are, or in chunks with what stands around them.
import type { Outbox } from "../wire/outbox.ts";
import { BODY } from "./body.ts";
import { composeTrailers } from "./compose.ts";
import type { Head } from "./head.ts";

const CHUNK_END = Buffer.from("\r\n");
const LAST_CHUNK = Buffer.from("0\r\n");

/** Appends bytes [start, end) of `buf` to a body of that BODY. */
export function sendPiece(out: Outbox, body: number, buf: Buffer, start: number, end: number): void {
  if (body !== BODY.CHUNKED) {
    out.bytes(buf, start, end);
    return;
  }
  out.chunkSize(end - start);
  out.bytes(buf, start, end);
  out.text(CHUNK_END);
}

/** Appends the last chunk and the trailers that may be sent on; `sendLast` goes behind them. */
export function sendTrailers(out: Outbox, head: Head): void {
  out.text(LAST_CHUNK);
  composeTrailers(out, head);
}

/** Appends what ends a chunked body. */
export function sendLast(out: Outbox, hasTrailers: boolean): void {
  if (!hasTrailers) out.text(LAST_CHUNK);
  out.text(CHUNK_END);
}
