// [hot] Phase "mirror": a copy of a request to another cluster, whose answer is read and thrown away. A mirror has a life of its own: whatever it
// does (refuses, hangs, resets, is slow) the exchange it was copied from never waits for it and never hears of it. Its bytes are bounded: what
// its connection has not taken is held up to a limit and within the proxy's budget, beyond that the copy is given up and counted.
//
//   waiting (copies.ts) -> connecting -> open -> over          nothing is retried

import type { Core } from "../core.ts";
import type { Head } from "../http1/head.ts";
import type { UpstreamConnection, UpstreamUser } from "../http1/upstream.ts";
import { COUNTER } from "../observe/stats.ts";
import type { MirrorRule, Route } from "../route/table.ts";
import { COLON, isSameName } from "../wire/bytes.ts";
import { ByteStore } from "../wire/bytestore.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Cluster } from "./pool.ts";

/** An endpoint whose connections fail gets no copies for so long at first, and at most. */
const PAUSE_MS = { first: 100, longest: 1_000 };
/** For an answer, where the route sets no time. */
const TIMEOUT_MS = 15_000;
const HOST = Buffer.from("host");
const SUFFIX = Buffer.from("-shadow");
const MARK = Buffer.from("x-weir-shadow: 1\r\n\r\n");
const [CR, SPACE, BRACKET] = [0x0d, 0x20, 0x5b];

/** What is copied. */
export interface Original {
  readonly route: Route;
  /** The request head as it goes to the primary, valid only during the call. */
  readonly head: ByteStore;
  /** BODY of the request. */
  readonly body: number;
  readonly isHeadRequest: boolean;
}

/** See the head of this file. */
export class Mirror implements UpstreamUser {
  readonly cluster: Cluster;
  readonly endpoint: Endpoint;
  readonly #core: Core;
  readonly #cell: number;
  readonly #body: number;
  readonly #isHeadRequest: boolean;
  readonly #timeoutMs: number;
  /** The head until it is sent. */
  readonly #head = new ByteStore();
  /** Payload that could not be sent yet. */
  readonly #held = new ByteStore();
  /** Bytes of it that the connection holds, and has not sent either. */
  #lent = 0;
  #startMs = 0;
  /** Null before and after. */
  #up: UpstreamConnection | null = null;
  #isConnected = false;
  #isHeadSent = false;
  #isBehind = false;
  #isRequestDone = false;
  #status = 0;

  constructor(core: Core, rule: MirrorRule, original: Original, cluster: Cluster, endpoint: Endpoint) {
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.#core = core;
    this.#cell = rule.cell;
    this.#body = original.body;
    this.#isHeadRequest = original.isHeadRequest;
    this.#timeoutMs = original.route.timeoutMs > 0 ? original.route.timeoutMs : TIMEOUT_MS;
    this.#head.takeFrom(core.spareHeads);
    composeShadow(this.#head, original.head, rule.hasHostSuffix);
  }

  /** Takes a connection, and sends what there is of the request as soon as it stands. */
  start(): void {
    const { cluster, endpoint } = this;
    this.#startMs = this.#core.monotonicMs();
    const idle = endpoint.takeIdle();
    const up = idle ?? cluster.connect(endpoint);
    this.#isConnected = idle !== null;
    // Counted only with the connection: a failure takes it back for a copy that has one.
    this.#core.stats.begin(this.#cell);
    cluster.active += 1;
    endpoint.active += 1;
    this.#up = up;
    up.begin(this);
    // At once, whenever the body comes: until then it would count as idle, and close without a word to this mirror.
    this.#pump();
  }

  /** Instead of `start`: a bound was reached while it waited. */
  drop(counter: number): void {
    this.#core.stats.add(this.#cell, counter, 1);
    this.#head.giveTo(this.#core.spareHeads);
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("mirror", error);
    this.#fail(COUNTER.PROTOCOL);
  }

  /** Payload of the request. */
  sendBody(buf: Buffer, start: number, end: number): void {
    const up = this.#up;
    if (up === null) return;
    if (this.#isConnected && !this.#isBehind) {
      this.#sendHead(up);
      this.#core.stats.add(this.#cell, COUNTER.BYTES_IN, end - start);
      up.sendBody(buf, start, end);
      return;
    }
    const count = end - start;
    const isFull = this.#held.length + count > this.cluster.options.bufferBytes;
    if (isFull || !this.#core.budget.take(count)) this.#fail(COUNTER.BEHIND);
    else this.#held.append(buf, start, end);
  }

  /** Trailers go along only when nothing waits: a mirror that is behind gets its request without them. */
  sendTrailers(head: Head): void {
    if (this.#isConnected && this.#isHeadSent && !this.#isBehind) this.#up?.sendTrailers(head);
  }

  /** The request is complete; the mirror goes on alone. */
  endRequest(): void {
    this.#isRequestDone = true;
    // The time runs also for a peer that takes no more of the request.
    if (this.#isBehind) this.#up?.setTimeout(this.#timeoutMs);
    this.#pump();
  }

  /** The request was given up before it was complete. */
  abandon(): void {
    if (this.#up === null) return;
    this.#core.stats.abort(this.#cell);
    this.#release(false);
  }

  onConnected(): void {
    this.#isConnected = true;
    this.#pump();
  }

  onConnectFailed(counter: number): void {
    this.#pauseCopies();
    this.#fail(counter);
  }

  onLost(_isUnanswered: boolean, isReused: boolean): void {
    // Connections that had served are closed by the best of upstreams.
    if (!isReused) this.#pauseCopies();
    this.#fail(COUNTER.RESET);
  }

  onMalformed(): void {
    this.#fail(COUNTER.PROTOCOL);
  }

  onTimeout(): void {
    this.#fail(COUNTER.TIMEOUT);
  }

  onInterim(): void {
    // Nobody waits for it.
  }

  onHead(head: Head): void {
    this.#status = head.status;
  }

  onBody(_buf: Buffer, start: number, end: number): void {
    this.#core.stats.add(this.#cell, COUNTER.BYTES_OUT, end - start);
  }

  onTrailers(): void {
    // Thrown away with the rest of the answer.
  }

  onEnd(isReusable: boolean): void {
    const { stats, monotonicMs } = this.#core;
    stats.end(this.#cell, this.#status, true, monotonicMs() - this.#startMs);
    this.endpoint.copyPauseMs = 0;
    this.#release(isReusable && this.#isRequestDone);
  }

  onUpstreamPending(): void {
    this.#isBehind = true;
  }

  onUpstreamDrained(): void {
    this.#isBehind = false;
    this.#giveLent();
    this.#pump();
  }

  #giveLent(): void {
    this.#core.budget.give(this.#lent);
    this.#lent = 0;
  }

  /** Sends what waits. */
  #pump(): void {
    const up = this.#up;
    if (up === null || !this.#isConnected || this.#isBehind) return;
    const held = this.#held;
    this.#sendHead(up);
    if (held.length > 0) {
      const { bytes, start, end } = held;
      this.#core.stats.add(this.#cell, COUNTER.BYTES_IN, end - start);
      this.#lent += end - start;
      held.clear();
      up.sendBody(bytes, start, end);
      // The connection may still read from these bytes.
      if (this.#core.outbox.isKept(bytes)) held.detach();
      else this.#giveLent();
    }
    if (!this.#isRequestDone) return;
    up.sendEnd();
    up.setTimeout(this.#timeoutMs);
  }

  #sendHead(up: UpstreamConnection): void {
    if (this.#isHeadSent) return;
    this.#isHeadSent = true;
    const { bytes, start, end } = this.#head;
    up.sendHead(bytes, start, end, this.#body, this.#isHeadRequest);
  }

  /** Connecting in vain costs more than a copy, and would be done for every request. */
  #pauseCopies(): void {
    const endpoint = this.endpoint;
    const { nowMs } = this.#core.deadlines;
    // Those under way when it began to fail count as one.
    if (this.#up === null || endpoint.copiesFromMs > nowMs) return;
    const pauseMs = endpoint.copyPauseMs === 0 ? PAUSE_MS.first : endpoint.copyPauseMs * 2;
    endpoint.copyPauseMs = Math.min(pauseMs, PAUSE_MS.longest);
    endpoint.copiesFromMs = nowMs + endpoint.copyPauseMs;
  }

  #fail(counter: number): void {
    if (this.#up === null) return;
    const { stats, monotonicMs } = this.#core;
    stats.add(this.#cell, counter, 1);
    stats.end(this.#cell, this.#status, false, monotonicMs() - this.#startMs);
    this.#release(false);
  }

  #release(isReusable: boolean): void {
    const up = this.#up;
    if (up === null) return;
    this.#up = null;
    this.cluster.active -= 1;
    this.endpoint.active -= 1;
    this.#core.budget.give(this.#held.length);
    this.#giveLent();
    this.#held.detach();
    this.#held.clear();
    this.#head.giveTo(this.#core.spareHeads);
    if (isReusable) up.release();
    else up.abandon();
  }
}

/** The head of a copy: the same but for the mark `x-weir-shadow` and, if so asked, `-shadow` behind the name of the host (as in Envoy). */
export function composeShadow(out: ByteStore, head: ByteStore, hasHostSuffix: boolean): void {
  const { bytes, start, end } = head;
  const at = hasHostSuffix ? hostNameEnd(bytes, start, end) : -1;
  if (at >= 0) {
    out.append(bytes, start, at);
    out.text(SUFFIX);
  }
  // The mark takes the place of the empty line.
  out.append(bytes, at >= 0 ? at : start, end - 2);
  out.text(MARK);
}

/** Position behind the host's name, before its port; -1 where there is no name to put a suffix on (an IPv6 address, an empty value). */
function hostNameEnd(bytes: Buffer, start: number, end: number): number {
  let line = bytes.indexOf("\r\n", start, "latin1") + 2;
  while (line > 1 && line < end - 2) {
    const colon = line + HOST.length;
    if (bytes[colon] === COLON && isSameName(bytes, line, colon, HOST)) {
      let from = colon + 1;
      while (bytes[from] === SPACE) from += 1;
      let to = from;
      while (bytes[to] !== CR && bytes[to] !== COLON && bytes[to] !== SPACE) to += 1;
      return to === from || bytes[from] === BRACKET ? -1 : to;
    }
    line = bytes.indexOf("\r\n", line, "latin1") + 2;
  }
  return -1;
}
