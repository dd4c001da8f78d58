// [hot] How long a client connection may go on as it is: between requests by silence and age, within an exchange by silence and by the rate at
// which the client sends its body and takes its answer (minrate.ts). One deadline per connection, set anew with what happens.

import type { ClientLimits } from "../admit/limits.ts";
import type { Core } from "../core.ts";
import { SWEEP_MS } from "../deadlines.ts";
import { Patience } from "./minrate.ts";

/** What a listener sets. */
export interface WatchBounds {
  /** Longest silence between requests; 0: any. */
  readonly idleTimeoutMs: number;
  /** Longest silence within an exchange, where its route sets none; 0: any. */
  readonly streamIdleMs: number;
  readonly clientLimits: ClientLimits;
}

/** The exchange of the connection. */
export interface WatchedExchange {
  /** Longest silence of the exchange at hand; 0: any, and at any rate. */
  readonly idleTimeoutMs: number;
  readonly canTakeBody: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;

/** See the head of this file. */
export class ClientWatch {
  readonly #core: Core;
  readonly #bounds: WatchBounds;
  readonly #exchange: WatchedExchange;
  readonly #slot: number;
  /** From when on the connection ends with its next answer, or when idle. */
  readonly #endMs: number;
  /** With a client that owes bytes of its request, and with one that leaves bytes of its answer. */
  readonly #sender = new Patience();
  readonly #reader = new Patience();
  /** Bytes of the answer that were written last: not known to be taken yet. */
  #written = 0;
  /** Longest silence where the exchange bears any; 0: any. */
  #endedIdleMs = 0;

  constructor(core: Core, slot: number, bounds: WatchBounds, exchange: WatchedExchange) {
    this.#core = core;
    this.#slot = slot;
    this.#bounds = bounds;
    this.#exchange = exchange;
    const { connectionMs } = bounds.clientLimits;
    this.#endMs = connectionMs > 0 ? core.deadlines.nowMs + connectionMs + SWEEP_MS : NEVER;
    this.awaitHead();
  }

  /** The connection is older than it may get. */
  get isOld(): boolean {
    return this.#core.deadlines.nowMs >= this.#endMs;
  }

  /** Between requests. */
  awaitHead(): void {
    this.#set(this.#bounds.idleTimeoutMs, this.#endMs);
  }

  /** An exchange began. */
  begin(hasBody: boolean): void {
    const { limits, deadlines } = this.#core;
    const isMeasured = this.#exchange.idleTimeoutMs > 0;
    this.#sender.begin(isMeasured && hasBody ? limits.uploadRate : null);
    this.#reader.begin(isMeasured ? limits.readerRate : null);
    this.#written = 0;
    if (this.#exchange.canTakeBody) this.#sender.wait(deadlines.nowMs);
    this.touch();
  }

  /**
   * The client sent FIN, and still gets its answer. No more is read of it, so that its reset would not be seen before something is written:
   * silence has an end from now on, whatever its route bears.
   */
  end(): void {
    this.#endedIdleMs = this.#bounds.streamIdleMs || this.#core.limits.streamIdleMs;
    this.touch();
  }

  /** Something happened: silence begins anew. */
  touch(): void {
    this.#set(
      this.#exchange.idleTimeoutMs || this.#endedIdleMs,
      Math.min(this.#sender.endMs, this.#reader.endMs),
    );
  }

  /** The client is to send more of its body, or somebody else is in its way. */
  awaitBody(isAwaited: boolean): void {
    const { nowMs } = this.#core.deadlines;
    if (isAwaited) this.#sender.wait(nowMs);
    else this.#sender.rest(nowMs);
    this.touch();
  }

  received(bytes: number, isAll: boolean): void {
    if (isAll) this.#sender.begin(null);
    else this.#sender.earn(bytes, this.#core.deadlines.nowMs);
  }

  /** Bytes of the answer were written; `isPending`: those before them are not all taken. */
  sent(bytes: number, isPending: boolean): void {
    if (!isPending) {
      this.#reader.earn(this.#written, this.#core.deadlines.nowMs);
      this.#written = 0;
    }
    this.#written += bytes;
    this.touch();
  }

  /** The client leaves bytes of its answer, or has taken all. */
  awaitReader(isAwaited: boolean): void {
    const { nowMs } = this.#core.deadlines;
    if (isAwaited) this.#reader.wait(nowMs);
    else this.#reader.rest(nowMs);
    this.touch();
  }

  /** The deadline passed: which side of the client was too slow, if one was. */
  slowSide(): "sender" | "reader" | null {
    const { nowMs } = this.#core.deadlines;
    if (nowMs >= this.#reader.endMs) return "reader";
    return nowMs >= this.#sender.endMs ? "sender" : null;
  }

  #set(idleMs: number, orAtMs: number): void {
    const { deadlines } = this.#core;
    const idleAtMs = idleMs > 0 ? deadlines.nowMs + idleMs + SWEEP_MS : NEVER;
    deadlines.setAt(this.#slot, idleAtMs < orAtMs ? idleAtMs : orAtMs);
  }
}
