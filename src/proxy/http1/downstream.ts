// [hot] One HTTP/1.1 connection of a client: parses requests strictly, one exchange at a time, and writes answers. Stays read-armed while an
// exchange runs, so that a FIN or reset of the client is seen; bytes that arrive early are held up to a bound.
//
//   head -> body -> wait -> head            pipelined requests wait in `held`
//   any  -> discard -> closed               after the last answer: what the client still sends is thrown away, for a while

import { ClientFacts, type ClientRules } from "../admit/forwarded.ts";
import type { ClientLimits } from "../admit/limits.ts";
import type { Core } from "../core.ts";
import type { DeadlineOwner } from "../deadlines.ts";
import { type ClientSide, Exchange } from "../forward/exchange.ts";
import type { AccessLog } from "../observe/accesslog.ts";
import { TALLIES } from "../observe/tallies.ts";
import type { AnswerChanges } from "../route/edits.ts";
import { respell, type Spelling } from "../route/normalise.ts";
import type { HostTable, OwnAnswer } from "../route/table.ts";
import { ByteStore } from "../wire/bytestore.ts";
import { NO_WIRE, type Wire, type WireOwner } from "../wire/wire.ts";
import { AnswerWriter } from "./answer.ts";
import { BODY, BodyReader, type BodySink } from "./body.ts";
import { ClientWatch } from "./clientwatch.ts";
import { type Head, METHOD } from "./head.ts";
import { type HeadParser, KIND, PARSED, type Refusal } from "./parse.ts";
import { REPLY, type Reply } from "./reply.ts";

/** What a client connection needs of its listener. */
export interface ListenerView {
  /** In force for requests that begin now. */
  readonly hosts: HostTable;
  /** From the first byte of a head to its last, and between requests; milliseconds. */
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Longest silence within an exchange, where its route sets none. */
  readonly streamIdleMs: number;
  readonly clientRules: ClientRules;
  readonly clientLimits: ClientLimits;
  /** Whether a client that sent FIN behind its request still gets the answer. */
  readonly isHalfCloseAllowed: boolean;
  /** Null: requests are not logged. */
  readonly accessLog: AccessLog | null;
  readonly spelling: Spelling;
  /** Where it listens. */
  readonly port: number;
  /** True once connections are to end with their next answer. */
  readonly isDraining: boolean;
  onGone(connection: Downstream): void;
}

const STATE = { HEAD: 0, BODY: 1, WAIT: 2, DISCARD: 3, CLOSED: 4 } as const;
const CLIENT_GONE = "the client closed the connection";

/** See the head of this file. */
export class Downstream implements WireOwner, BodySink, ClientSide, DeadlineOwner {
  readonly #core: Core;
  readonly #listener: ListenerView;
  readonly #slot: number;
  readonly #exchange: Exchange;
  readonly #body = new BodyReader();
  readonly #answer: AnswerWriter;
  readonly #held = new ByteStore();
  #wire: Wire = NO_WIRE;
  #facts: ClientFacts;
  /** Where the request at hand is logged; null: nowhere, or there is none. */
  #log: AccessLog | null = null;
  #state: number = STATE.HEAD;
  #parser: HeadParser | null = null;
  #isProcessing = false;
  #isPaused = false;
  /** The upstream is behind. */
  #isBlocked = false;
  /** The client sent FIN, and what it had sent before is still served. */
  #hasEnded = false;
  #discarded = 0;
  #requests = 0;
  readonly #watch: ClientWatch;

  constructor(core: Core, listener: ListenerView) {
    this.#core = core;
    this.#listener = listener;
    this.#answer = new AnswerWriter(core);
    this.#exchange = new Exchange(core, this);
    this.#facts = new ClientFacts("", false, core.ids);
    this.#slot = core.deadlines.add(this);
    this.#watch = new ClientWatch(core, this.#slot, listener, this.#exchange);
  }

  /** Sets the wire, once, before anything is delivered. */
  attach(wire: Wire): void {
    this.#wire = wire;
    this.#answer.attach(wire);
    this.#facts = new ClientFacts(wire.peerAddress, wire.isSecure, this.#core.ids);
  }

  /** True between requests, with nothing of the next one there. */
  get isIdle(): boolean {
    return (
      this.#state === STATE.HEAD && this.#parser === null && this.#held.length === 0 && !this.#wire.isPending
    );
  }

  /** Ends the connection at the drain deadline: clean when idle, else by reset. */
  close(): void {
    if (this.isIdle || this.#state === STATE.DISCARD) {
      this.#wire.destroy();
      return;
    }
    this.#abort("LR", "the proxy is closing");
    this.#wire.reset();
  }

  // From the wire.

  get expectedBytes(): number {
    return this.#state === STATE.BODY ? this.#body.expectedBytes : 0;
  }

  deliver(buf: Buffer, start: number, end: number): void {
    const held = this.#held;
    if (held.length === 0) {
      const p = this.#process(buf, start, end);
      if (p < end && this.#state < STATE.DISCARD) held.append(buf, p, end);
    } else {
      held.append(buf, start, end);
      this.#processHeld();
    }
    if (held.length >= this.#core.limits.heldBytes || this.#isPaused) this.#updatePause();
  }

  onConnect(): void {
    // Accepted connections stand already.
  }

  onEnd(): void {
    switch (this.#state) {
      case STATE.BODY:
      case STATE.WAIT:
        if (this.#listener.isHalfCloseAllowed && this.#mayBeWhole) {
          this.#hasEnded = true;
          this.#answer.isLast = true;
          this.#watch.end();
        } else this.#giveUp();
        return;
      case STATE.HEAD:
        this.#linger();
        return;
      default:
        return;
    }
  }

  onPending(): void {
    if (this.#exchange.isActive) {
      this.#exchange.pauseAnswer();
      this.#watch.awaitReader(true);
    } else this.#core.deadlines.set(this.#slot, this.#core.limits.stalledWriteMs);
  }

  onDrain(): void {
    if (this.#exchange.isActive) {
      this.#watch.awaitReader(false);
      this.#exchange.resumeAnswer();
    } else if (this.#state === STATE.DISCARD)
      this.#core.deadlines.set(this.#slot, this.#core.limits.lingerMs);
    else if (this.#state === STATE.HEAD) {
      // The begin of a head may have come before the answer was behind; its time is a total, and short.
      if (this.#parser === null) this.#watch.awaitHead();
      else this.#core.deadlines.set(this.#slot, this.#listener.headTimeoutMs);
      this.#processHeld();
    }
    this.#updatePause();
  }

  onClose(): void {
    this.#abort("DC", CLIENT_GONE);
    this.#exchange.close();
    this.#state = STATE.CLOSED;
    this.#core.deadlines.remove(this.#slot);
    this.#giveParser();
    this.#held.detach();
    this.#listener.onGone(this);
  }

  onDeadline(): void {
    if (!this.#exchange.isActive && this.#wire.isPending) {
      this.#wire.reset();
      return;
    }
    switch (this.#state) {
      case STATE.HEAD:
        if (this.isIdle) this.#linger();
        else this.#refuse(REPLY.slowHead);
        return;
      case STATE.DISCARD:
        this.#wire.destroy();
        return;
      default:
        if (this.#exchange.isActive) this.#onSlow();
        else this.#wire.reset();
    }
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("downstream", error);
    this.#abort("LR", REPLY.internal.reason);
    this.#state = STATE.CLOSED;
    this.#wire.reset();
  }

  // Reading requests.

  #processHeld(): void {
    const held = this.#held;
    if (this.#isProcessing || held.length === 0) return;
    const { bytes, start } = held;
    const p = this.#process(bytes, start, held.end);
    if (this.#core.outbox.isKept(bytes)) held.detach();
    held.consume(p - start);
  }

  /** Returns the position behind the last byte that was used. */
  #process(buf: Buffer, start: number, end: number): number {
    let p = start;
    this.#isProcessing = true;
    while (p < end) {
      const before = p;
      const state = this.#state;
      if (state === STATE.HEAD) p = this.#readHead(buf, p, end);
      else if (state === STATE.BODY) p = this.#readBody(buf, p, end);
      else if (state === STATE.DISCARD) p = this.#discard(p, end);
      else if (state === STATE.CLOSED) p = end;
      if (p === before && this.#state === state) break;
    }
    this.#isProcessing = false;
    return p;
  }

  #readHead(buf: Buffer, start: number, end: number): number {
    // The last answer is still on its way: the next request waits, so that a slow reader bounds what is pending.
    if (this.#wire.isPending) return start;
    let parser = this.#parser;
    if (parser === null) {
      const { headBytes, headFields } = this.#listener.clientLimits;
      parser = this.#core.takeParser(KIND.REQUEST, headBytes, headFields);
      this.#parser = parser;
    }
    const isFresh = parser.isFresh;
    const result = parser.run(buf, start, end);
    if (result === PARSED.DONE) {
      const { length } = parser.head;
      this.#onHead(parser.head);
      this.#giveParser();
      return start + length;
    }
    if (result === PARSED.REFUSED) {
      this.#core.counts.refused += 1;
      this.#facts.forget();
      this.#answer.isHead = parser.head.method === METHOD.HEAD;
      this.#refuse(parser.refused);
      return end;
    }
    if (isFresh) this.#core.deadlines.set(this.#slot, this.#listener.headTimeoutMs);
    return start;
  }

  #onHead(head: Head): void {
    const listener = this.#listener;
    const isEnough = ++this.#requests >= listener.clientLimits.requestsPerConnection;
    const isKept = !head.hasClose && (head.minor === 1 || head.hasKeepAlive);
    this.#answer.begin(head);
    this.#answer.isLast = !isKept || listener.isDraining || isEnough;
    const kind = bodyOf(head);
    this.#body.reset(kind, head.contentLength);
    const isConnect = head.method === METHOD.CONNECT;
    const refused =
      this.#facts.admit(head, listener.clientRules) ??
      (isConnect ? null : respell(head, listener.spelling, listener));
    this.#beginLog(head);
    if (refused !== null) this.#core.counts.refused += 1;
    if (refused !== null || isConnect) {
      this.#refuse(refused ?? REPLY.notConnect);
      return;
    }
    this.#state = kind === BODY.NONE ? STATE.WAIT : STATE.BODY;
    const reply = lastHopReply(head) ?? this.#core.turnAway();
    if (reply !== null) {
      this.sendReply(reply);
      this.onExchangeEnd();
      return;
    }
    this.#exchange.begin(listener.hosts, head, kind, this.#facts, listener);
    if (this.#exchange.isActive) this.#watch.begin(kind !== BODY.NONE);
    else if (this.#state === STATE.WAIT || this.#state === STATE.BODY) this.onExchangeEnd();
  }

  #readBody(buf: Buffer, start: number, end: number): number {
    if (!this.#exchange.canTakeBody) return start;
    const body = this.#body;
    const p = body.read(buf, start, end, this);
    if (this.#state !== STATE.BODY) return p;
    if (body.refused !== null) {
      this.#core.counts.refused += 1;
      this.#exchange.abort();
      this.#facts.record?.fail(body.refused.flag ?? "", body.refused.reason);
      if (this.#answer.hasBegun) this.cut();
      else this.#refuse(body.refused);
      this.#endLog();
      return end;
    }
    if (body.isDone) {
      this.#state = STATE.WAIT;
      this.#isBlocked = false;
      this.#watch.received(0, true);
      this.#exchange.endRequest();
    } else this.#watch.received(p - start, false);
    // The end of the request may have ended the exchange, and with it this connection and its slot.
    if (this.#exchange.isActive) this.#watch.touch();
    return p;
  }

  onBody(buf: Buffer, start: number, end: number): void {
    const { record } = this.#facts;
    if (record !== null) record.bytesReceived += end - start;
    this.#exchange.sendBody(buf, start, end);
  }

  onTrailers(head: Head): void {
    this.#exchange.sendTrailers(head);
  }

  #discard(start: number, end: number): number {
    this.#discarded += end - start;
    if (this.#discarded > this.#core.limits.lingerBytes) this.#wire.destroy();
    return end;
  }

  // From the exchange.

  sendInterim(head: Head): void {
    this.#answer.interim(head);
  }

  sendHead(head: Head, body: number, length: number, changes: AnswerChanges | null): void {
    const { record, answerId } = this.#facts;
    if (!this.#exchange.isRequestDone || this.#listener.isDraining || this.#watch.isOld)
      this.#answer.isLast = true;
    if (record !== null) this.#log?.answer(record, head);
    this.#answer.head(head, body, length, answerId, changes);
  }

  sendBody(buf: Buffer, start: number, end: number): void {
    const { record } = this.#facts;
    if (record !== null) record.bytesSent += end - start;
    this.#answer.body(buf, start, end);
    this.#watch.sent(end - start, this.#wire.isPending);
  }

  sendTrailers(head: Head): void {
    this.#answer.trailers(head);
  }

  sendEnd(): void {
    this.#answer.end();
  }

  sendReply(reply: Reply | Refusal, changes: AnswerChanges | null = null): void {
    this.#beginOwn(reply);
    this.#facts.record?.reply(reply, this.#answer.isHead);
    this.#answer.reply(reply, this.#facts.answerId, changes);
  }

  sendAnswer(answer: OwnAnswer, location: string | null, changes: AnswerChanges): void {
    this.#beginOwn(answer);
    this.#facts.record?.reply(answer, this.#answer.isHead, answer.body.length);
    this.#answer.own(answer, location, this.#facts.answerId, changes);
  }

  /** The next bytes are a whole answer of the proxy's own. */
  #beginOwn({ status, reason }: Reply | Refusal): void {
    const { tallies } = this.#core;
    tallies.add(tallies.place(TALLIES.ownAnswers, `${status}`, reason), 1);
    if (!this.#body.isDone) this.#answer.isLast = true;
  }

  cut(): void {
    this.#state = STATE.CLOSED;
    this.#wire.reset();
  }

  takeBody(): void {
    this.#watch.awaitBody(true);
    this.#processHeld();
    if (this.#hasEnded && !this.#isProcessing && this.#state === STATE.BODY && !this.#mayBeWhole) {
      this.#giveUp();
      return;
    }
    this.#updatePause();
  }

  pauseRequest(): void {
    this.#isBlocked = true;
    this.#watch.awaitBody(false);
    this.#updatePause();
  }

  resumeRequest(): void {
    this.#isBlocked = false;
    this.#watch.awaitBody(true);
    this.#updatePause();
  }

  onExchangeEnd(): void {
    if (this.#log !== null) this.#endLog();
    if (this.#state >= STATE.DISCARD) return;
    this.#isBlocked = false;
    if (this.#answer.isLast || !this.#body.isDone) {
      this.#linger();
      return;
    }
    this.#state = STATE.HEAD;
    // A client that does not take the end of its answer is not an idle one.
    if (this.#wire.isPending) this.#core.deadlines.set(this.#slot, this.#core.limits.stalledWriteMs);
    else this.#watch.awaitHead();
    if (this.#held.length > 0) this.#processHeld();
    if (this.#isPaused) this.#updatePause();
  }

  /** Answers, and reads nothing more of this connection as HTTP. */
  #refuse(why: Reply | Refusal): void {
    this.#answer.isLast = true;
    if (this.#log === null) this.#beginLog(null);
    this.sendReply(why);
    this.#endLog();
    this.#linger();
  }

  /**
   * Sends what is pending, then FIN, and discards what the client still sends: closing at once would reset the connection and could take the
   * answer with it.
   */
  #linger(): void {
    const { outbox, deadlines, limits } = this.#core;
    this.#state = STATE.DISCARD;
    this.#giveParser();
    this.#held.clear();
    outbox.flush();
    this.#wire.end();
    deadlines.set(this.#slot, this.#wire.isPending ? limits.stalledWriteMs : limits.lingerMs);
    this.#updatePause();
  }

  /** Whether the request at hand is here to its end: read, or, while its body waits for an upstream, perhaps in what is held. */
  get #mayBeWhole(): boolean {
    return this.#state === STATE.WAIT || (this.#held.length > 0 && !this.#exchange.canTakeBody);
  }

  /** A client that closes its side has given up, whether or not its request was complete. */
  #giveUp(): void {
    this.#abort("DC", CLIENT_GONE);
    this.#state = STATE.CLOSED;
    this.#wire.reset();
  }

  /** Ends the exchange, if there is one, without an answer. */
  #abort(flags: string, details: string): void {
    this.#exchange.abort();
    this.#facts.record?.fail(flags, details);
    this.#endLog();
  }

  /** `head` null: the request was refused before its head was whole. */
  #beginLog(head: Head | null): void {
    const log = this.#listener.accessLog;
    if (log === null) return;
    this.#log = log;
    this.#facts.record = log.begin(head, this.#facts);
  }

  #endLog(): void {
    const log = this.#log;
    const { record } = this.#facts;
    if (log === null || record === null) return;
    this.#log = null;
    this.#facts.record = null;
    // Where no exchange ended, as when the client went away.
    if (record.endMs === 0) record.endMs = this.#core.monotonicMs();
    if (record.startMs === 0) record.startMs = record.endMs;
    log.end(record);
  }

  /** The exchange's silence, or the patience with its client, came to an end. */
  #onSlow(): void {
    const { tallies } = this.#core;
    const side = this.#watch.slowSide();
    if (side !== null) tallies.add(tallies.place(TALLIES.slowClients, side), 1);
    if (side === "reader") {
      this.#abort("SI", "the client took its answer too slowly");
      this.cut();
    } else if (side === "sender") this.#exchange.giveUp(REPLY.slowRate);
    else this.#exchange.onIdle();
  }

  #updatePause(): void {
    // A head in the making is bounded by its parser, and must go on arriving.
    const isReading = this.#state === STATE.HEAD && !this.#wire.isPending;
    const isHolding = this.#state < STATE.DISCARD && !isReading;
    const isFull = isHolding && this.#held.length >= this.#core.limits.heldBytes;
    const mustPause = isFull || (this.#isBlocked && this.#state === STATE.BODY);
    if (mustPause === this.#isPaused) return;
    this.#isPaused = mustPause;
    if (mustPause) this.#wire.pause();
    else this.#wire.resume();
  }

  #giveParser(): void {
    if (this.#parser !== null) this.#core.giveParser(this.#parser);
    this.#parser = null;
  }
}

/** The BODY that follows the head of a request. */
function bodyOf(head: Head): number {
  if (head.isChunked) return BODY.CHUNKED;
  return head.contentLength > 0 ? BODY.LENGTH : BODY.NONE;
}

/** The answer to a request that may be forwarded no further (RFC 9110 7.6.2), or null. */
function lastHopReply({ method, maxForwards }: Head): Reply | null {
  if (maxForwards !== 0) return null;
  if (method === METHOD.TRACE) return REPLY.notTrace;
  return method === METHOD.OPTIONS ? REPLY.options : null;
}
