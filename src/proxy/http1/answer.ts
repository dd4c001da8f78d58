// [hot] The answers to one client connection's requests as HTTP/1.1: heads, bodies and trailers of exchanges on their way to the client, and whole
// answers of the proxy's own. It keeps what each depends on; when to answer, and what becomes of the connection, downstream.ts says.
import type { Core } from "../core.ts";
import type { AnswerChanges } from "../route/edits.ts";
import type { OwnAnswer } from "../route/table.ts";
import { NO_WIRE, type Wire } from "../wire/wire.ts";
import { BODY } from "./body.ts";
import { sendLast, sendPiece, sendTrailers } from "./chunked.ts";
import { CONNECTION, composeResponse } from "./compose.ts";
import { type Head, METHOD } from "./head.ts";
import { composeAnswer, composeReply, type Reply, type ReplyOptions } from "./reply.ts";

/** See the head of this file. */
export class AnswerWriter {
  /** No further request is answered on this connection, and the answer says so. */
  isLast = false;
  /** Something of a final answer is on its way. */
  hasBegun = false;
  /** The request at hand is a HEAD. */
  isHead = false;
  readonly #core: Core;
  #wire: Wire = NO_WIRE;
  /** The client speaks HTTP/1.0. */
  #isOldClient = false;
  /** BODY kind of the answer as it is sent. */
  #sending = 0;
  #hasTrailers = false;

  constructor(core: Core) {
    this.#core = core;
  }

  attach(wire: Wire): void {
    this.#wire = wire;
  }

  /** The answer to come is for that request. */
  begin(head: Head): void {
    this.#isOldClient = head.minor === 0;
    this.isHead = head.method === METHOD.HEAD;
    this.hasBegun = false;
    this.#hasTrailers = false;
  }

  /** A 1xx answer. */
  interim(head: Head): void {
    if (this.#isOldClient) return;
    const { outbox } = this.#core;
    outbox.to(this.#wire);
    composeResponse(outbox, head, BODY.NONE, -1, CONNECTION.SILENT);
  }

  /** `body` is the BODY of the answer as it arrived, `length` its Content-Length or -1; `requestId` is stated unless it is empty. */
  head(head: Head, body: number, length: number, requestId: Buffer, changes: AnswerChanges | null): void {
    const { outbox, deadlines, dateLine } = this.#core;
    // A client of HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
    const sending = body === BODY.CHUNKED && this.#isOldClient ? BODY.CLOSE : body;
    if (sending === BODY.CLOSE) this.isLast = true;
    this.#sending = sending;
    this.hasBegun = true;
    outbox.to(this.#wire);
    const kept = this.#isOldClient ? CONNECTION.KEEP : CONNECTION.SILENT;
    const connection = this.isLast ? CONNECTION.CLOSE : kept;
    const date = dateLine.at(deadlines.nowMs);
    composeResponse(outbox, head, sending, length, connection, date, requestId, changes);
  }

  body(buf: Buffer, start: number, end: number): void {
    const { outbox } = this.#core;
    outbox.to(this.#wire);
    sendPiece(outbox, this.#sending, buf, start, end);
  }

  trailers(head: Head): void {
    if (this.#sending !== BODY.CHUNKED) return;
    const { outbox } = this.#core;
    outbox.to(this.#wire);
    sendTrailers(outbox, head);
    this.#hasTrailers = true;
  }

  end(): void {
    if (this.#sending !== BODY.CHUNKED) return;
    const { outbox } = this.#core;
    outbox.to(this.#wire);
    sendLast(outbox, this.#hasTrailers);
  }

  /** A whole answer of the proxy's own. */
  reply(reply: Reply, requestId: Buffer, changes: AnswerChanges | null): void {
    composeReply(this.#core.outbox, reply, this.#beginOwn(requestId, changes));
  }

  /** The same for a route's own answer; `location` is where a redirect leads. */
  own(answer: OwnAnswer, location: string | null, requestId: Buffer, changes: AnswerChanges): void {
    composeAnswer(this.#core.outbox, answer, location, this.#beginOwn(requestId, changes));
  }

  #beginOwn(requestId: Buffer, changes: AnswerChanges | null): ReplyOptions {
    const { outbox, deadlines, dateLine } = this.#core;
    this.hasBegun = true;
    outbox.to(this.#wire);
    return {
      isHead: this.isHead,
      isLast: this.isLast,
      isOldClient: this.#isOldClient,
      date: dateLine.at(deadlines.nowMs),
      requestId,
      changes,
    };
  }
}
