// [hot] One HTTP/1.1 connection to an endpoint: sends requests of exchanges and mirrors, parses answers strictly, and goes back to its endpoint's pool only
// when nothing at all was unexpected. It stays read-armed while pooled, so that a close or stray bytes are seen at once.

import type { Core } from "../core.ts";
import type { DeadlineOwner } from "../deadlines.ts";
import type { Endpoint } from "../forward/endpoint.ts";
import { COUNTER } from "../observe/stats.ts";
import { ByteStore } from "../wire/bytestore.ts";
import type { Wire, WireOwner } from "../wire/wire.ts";
import { BODY, BodyReader, type BodySink } from "./body.ts";
import { sendLast, sendPiece, sendTrailers } from "./chunked.ts";
import type { Head } from "./head.ts";
import { keptForMs } from "./keepalive.ts";
import { type HeadParser, KIND, MAX_HEAD_BYTES, PARSED } from "./parse.ts";

const STATE = { CONNECTING: 0, IDLE: 1, HEAD: 2, BODY: 3, CLOSED: 4 } as const;
/** An answer that nobody wants is read to its end up to so much, to keep the connection. */
const DISCARD_BYTES = 64 * 1024;
const DISCARD_MS = 1_000;

/** Who sends a request over the connection and gets its answer: an exchange, a mirror. */
export interface UpstreamUser {
  /** The connection that had to be opened stands: send the request now. */
  onConnected(): void;
  /** `counter` says why: COUNTER.CONNECT or COUNTER.TIMEOUT. Nothing of the request was sent. */
  onConnectFailed(counter: number): void;
  /**
   * The connection was lost before the answer was whole. `isUnanswered`: nothing of an answer arrived; `isReused`: the connection had served
   * before, so that the upstream may have closed it just as the request was sent; `isUnsent`: not one byte of the request left this machine.
   */
  onLost(isUnanswered: boolean, isReused: boolean, isUnsent: boolean): void;
  /** The answer breaks its framing. The connection is still held: abandon it. */
  onMalformed(): void;
  /** The time given by `setTimeout` has passed. The connection is still held: abandon it. */
  onTimeout(): void;
  /** A 1xx answer; more follows. */
  onInterim(head: Head): void;
  /** `body` is the BODY of the answer, `length` its Content-Length or -1. */
  onHead(head: Head, body: number, length: number): void;
  onBody(buf: Buffer, start: number, end: number): void;
  onTrailers(head: Head): void;
  /** The answer is whole; `isReusable` says whether the connection may serve again if the request was sent in full. */
  onEnd(isReusable: boolean): void;
  /** The connection has not taken all that was sent. */
  onUpstreamPending(): void;
  onUpstreamDrained(): void;
}

/** See the head of this file. */
export class UpstreamConnection implements WireOwner, BodySink, DeadlineOwner {
  readonly #core: Core;
  readonly #endpoint: Endpoint;
  readonly #wire: Wire;
  readonly #slot: number;
  readonly #body = new BodyReader();
  #state: number = STATE.CONNECTING;
  #user: UpstreamUser | null = null;
  #parser: HeadParser | null = null;
  /** An answer head that has not arrived whole. */
  #store: ByteStore | null = null;
  #requestBody = 0;
  #isHeadRequest = false;
  /** Requests that it served. */
  #served = 0;
  /** How long it may be unused. */
  #idleMs: number;
  #hasBytes = false;
  #isReusable = false;
  #isPaused = false;
  #hasTrailers = false;
  #interimBytes = 0;
  /** The answer is thrown away; what is left of the bound. */
  #discardLeft = 0;

  constructor(core: Core, endpoint: Endpoint) {
    this.#core = core;
    this.#endpoint = endpoint;
    this.#idleMs = endpoint.cluster.options.idleMs ?? core.limits.poolIdleMs;
    endpoint.onOpened();
    this.#slot = core.deadlines.add(this);
    core.deadlines.set(this.#slot, endpoint.cluster.options.connectTimeoutMs);
    this.#wire = core.connect(core, endpoint.address, endpoint.otherAddresses, endpoint.port, this);
  }

  /** Serves `user` from now on: call `sendHead` at once when pooled, else after `user.onConnected`. */
  begin(user: UpstreamUser): void {
    this.#user = user;
  }

  /** Sends a composed head; `body` is the BODY of the request. */
  sendHead(buf: Buffer, start: number, end: number, body: number, isHeadRequest: boolean): void {
    this.#core.deadlines.clear(this.#slot);
    this.#state = STATE.HEAD;
    this.#requestBody = body;
    this.#isHeadRequest = isHeadRequest;
    this.#hasBytes = false;
    this.#hasTrailers = false;
    this.#interimBytes = 0;
    this.#wire.hasWritten = false;
    this.#core.outbox.to(this.#wire);
    this.#core.outbox.copied(buf, start, end);
  }

  sendBody(buf: Buffer, start: number, end: number): void {
    const { outbox } = this.#core;
    outbox.to(this.#wire);
    sendPiece(outbox, this.#requestBody, buf, start, end);
  }

  sendTrailers(head: Head): void {
    const { outbox } = this.#core;
    outbox.to(this.#wire);
    sendTrailers(outbox, head);
    this.#hasTrailers = true;
  }

  sendEnd(): void {
    if (this.#requestBody !== BODY.CHUNKED) return;
    const { outbox } = this.#core;
    outbox.to(this.#wire);
    sendLast(outbox, this.#hasTrailers);
  }

  pause(): void {
    if (this.#isPaused || this.#state === STATE.CLOSED) return;
    this.#isPaused = true;
    this.#wire.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#state !== STATE.CLOSED) this.#wire.resume();
  }

  /** The answer must be whole within this time. */
  setTimeout(timeoutMs: number): void {
    this.#core.deadlines.set(this.#slot, timeoutMs);
  }

  /** Goes back to the pool. */
  release(): void {
    this.#user = null;
    this.resume();
    if (this.#state === STATE.CLOSED) return;
    this.#served += 1;
    const mostServed = this.#endpoint.cluster.options.maxRequestsPerConnection;
    const isUsedUp = mostServed > 0 && this.#served >= mostServed;
    if (isUsedUp || this.#endpoint.isRemoved || this.#core.isDraining || this.#wire.isPending) {
      this.close();
      return;
    }
    this.#state = STATE.IDLE;
    this.#core.deadlines.set(this.#slot, this.#idleMs);
    this.#endpoint.giveIdle(this);
  }

  /** Leaves the exchange in the middle: the upstream sees a reset, never a request that seems complete. */
  abandon(): void {
    this.#user = null;
    this.#shut();
    this.#wire.reset();
  }

  /**
   * The exchange tries again elsewhere and wants nothing of the answer whose head just arrived: what is left of it is read and thrown away,
   * so that the connection can serve again. Only inside `onHead`, whose `length` it is.
   */
  discard(isRequestDone: boolean, length: number): void {
    this.#user = null;
    if (!isRequestDone || !this.#isReusable || length > DISCARD_BYTES) {
      this.abandon();
      return;
    }
    this.resume();
    this.#discardLeft = DISCARD_BYTES;
    this.#core.deadlines.set(this.#slot, DISCARD_MS);
  }

  /** Closes an idle connection. */
  close(): void {
    this.#user = null;
    this.#shut();
    this.#wire.destroy();
  }

  onConnect(): void {
    if (this.#state !== STATE.CONNECTING) return;
    this.#user?.onConnected();
  }

  get expectedBytes(): number {
    return this.#state === STATE.BODY ? this.#body.expectedBytes : 0;
  }

  deliver(buf: Buffer, start: number, end: number): void {
    // Bytes that no request asked for: what they answer is unknown.
    if (this.#state === STATE.IDLE) {
      this.#drop();
      return;
    }
    if (this.#state === STATE.CLOSED) return;
    this.#hasBytes = true;
    const store = this.#store;
    if (store === null) {
      this.#process(buf, start, end);
      return;
    }
    store.append(buf, start, end);
    this.#process(store.bytes, store.start, store.end);
  }

  onBody(buf: Buffer, start: number, end: number): void {
    if (this.#user !== null) this.#user.onBody(buf, start, end);
    else this.#discardLeft -= end - start;
  }

  onTrailers(head: Head): void {
    this.#user?.onTrailers(head);
  }

  onEnd(): void {
    if (this.#state === STATE.IDLE) {
      this.#drop();
      return;
    }
    if (this.#state === STATE.CLOSED) return;
    if (this.#state === STATE.BODY && this.#body.kind === BODY.CLOSE) {
      this.#user?.onEnd(false);
      return;
    }
    this.#lost();
  }

  onPending(): void {
    this.#user?.onUpstreamPending();
  }

  onDrain(): void {
    this.#user?.onUpstreamDrained();
  }

  onClose(): void {
    const state = this.#state;
    if (state === STATE.CLOSED) return;
    if (state === STATE.IDLE) this.#endpoint.dropIdle(this);
    if (state === STATE.CONNECTING) this.#connectFailed(COUNTER.CONNECT);
    else this.#lost();
  }

  onDeadline(): void {
    if (this.#state === STATE.IDLE) this.#drop();
    else if (this.#state === STATE.CONNECTING) this.#connectFailed(COUNTER.TIMEOUT);
    else if (this.#user === null) this.abandon();
    else this.#user.onTimeout();
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("upstream", error);
    const user = this.#user;
    this.#user = null;
    this.#shut();
    this.#wire.reset();
    user?.onMalformed();
  }

  #process(buf: Buffer, start: number, end: number): void {
    let p = start;
    while (this.#state === STATE.HEAD && p < end) {
      const parser = this.#parser ?? this.#core.takeParser(KIND.RESPONSE);
      this.#parser = parser;
      const result = parser.run(buf, p, end);
      if (result === PARSED.REFUSED) {
        this.#malformed();
        return;
      }
      if (result === PARSED.MORE) {
        this.#keep(buf, p, end);
        return;
      }
      p += parser.head.length;
      this.#parser = null;
      const isFine = this.#onHead(parser.head);
      this.#core.giveParser(parser);
      if (!isFine) return;
    }
    if (this.#state !== STATE.BODY) {
      // All that was kept is used: an interim answer ended with the last byte.
      this.#store = null;
      return;
    }
    const body = this.#body;
    if (!body.isDone) p = body.read(buf, p, end, this);
    this.#store = null;
    if (body.refused !== null) {
      this.#malformed();
      return;
    }
    if (this.#user === null) this.#discarded(body.isDone && p === end);
    else if (body.isDone) this.#user.onEnd(this.#isReusable && p === end);
  }

  /** More of an answer that nobody wants was read; `isEnd`: all of it, and nothing behind it. */
  #discarded(isEnd: boolean): void {
    if (this.#state === STATE.CLOSED) return;
    if (isEnd) this.release();
    else if (this.#body.isDone || this.#discardLeft <= 0) this.abandon();
  }

  /** Keeps the begin of a head for the next delivery. */
  #keep(buf: Buffer, from: number, end: number): void {
    const store = this.#store;
    if (store !== null && buf === store.bytes) {
      store.consume(from - store.start);
      return;
    }
    this.#store = new ByteStore();
    this.#store.append(buf, from, end);
  }

  /** False when the answer may not be used. */
  #onHead(head: Head): boolean {
    const user = this.#user;
    if (user === null) return false;
    const { status } = head;
    if (status < 200) {
      this.#interimBytes += head.length;
      // Nobody asked for an upgrade: 101 would turn the connection into something that nobody speaks.
      if (status === 101 || this.#interimBytes > MAX_HEAD_BYTES) {
        this.#malformed();
        return false;
      }
      user.onInterim(head);
      return true;
    }
    const hasNoBody = this.#isHeadRequest || status === 204 || status === 304;
    let kind: number = BODY.CLOSE;
    if (hasNoBody) kind = BODY.NONE;
    else if (head.isChunked) kind = BODY.CHUNKED;
    else if (head.contentLength >= 0) kind = BODY.LENGTH;
    const keptMs = keptForMs(head);
    if (keptMs >= 0) this.#learn(keptMs);
    this.#isReusable =
      keptMs !== 0 && kind !== BODY.CLOSE && !head.hasClose && (head.minor === 1 || head.hasKeepAlive);
    this.#body.reset(kind, head.contentLength);
    this.#state = STATE.BODY;
    user.onHead(head, kind, status === 204 ? -1 : head.contentLength);
    // Closed by the exchange, or its answer is read on to be thrown away.
    return this.#isOpen();
  }

  /** The upstream says how long it keeps the connection. */
  #learn(keptMs: number): void {
    const idleMs = this.#endpoint.cluster.options.idleMs ?? 0;
    this.#idleMs = idleMs > 0 && idleMs < keptMs ? idleMs : keptMs;
  }

  /** The state as it is by now: callbacks may have closed the connection. */
  #isOpen(): boolean {
    return this.#state !== STATE.CLOSED;
  }

  #malformed(): void {
    if (this.#user === null) this.abandon();
    else this.#user.onMalformed();
  }

  #lost(): void {
    const user = this.#user;
    const isUnanswered = !this.#hasBytes;
    const isUnsent = !this.#wire.hasWritten;
    this.#user = null;
    this.#shut();
    this.#wire.destroy();
    user?.onLost(isUnanswered, this.#served > 0, isUnsent);
  }

  #connectFailed(counter: number): void {
    const user = this.#user;
    this.#user = null;
    this.#shut();
    this.#wire.destroy();
    user?.onConnectFailed(counter);
  }

  /** Leaves the pool and closes. */
  #drop(): void {
    this.#endpoint.dropIdle(this);
    this.close();
  }

  #shut(): void {
    if (this.#state === STATE.CLOSED) return;
    this.#state = STATE.CLOSED;
    this.#core.deadlines.remove(this.#slot);
    this.#endpoint.onClosed();
    if (this.#parser !== null) this.#core.giveParser(this.#parser);
    this.#parser = null;
    this.#store = null;
  }
}
