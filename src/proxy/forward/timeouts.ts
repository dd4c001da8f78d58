// [hot] The times of an exchange, in its one deadline: until when all of it must be over (a bound that a slow client can use up), until when the
// whole answer must be there, counted from the end of the request, all tries included, and until when the head of this try's answer must.
import { type Deadlines, SWEEP_MS } from "../deadlines.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** Of one exchange after another. */
export class Timeouts {
  readonly #deadlines: Deadlines;
  readonly #slot: number;
  /** In the time of deadlines. */
  #streamAtMs = NEVER;
  #wholeAtMs = NEVER;
  #tryAtMs = NEVER;

  constructor(deadlines: Deadlines, slot: number) {
    this.#deadlines = deadlines;
    this.#slot = slot;
  }

  /** An exchange begins that may take so long in all; 0: any time. */
  begin(streamMs: number): void {
    this.#streamAtMs = streamMs === 0 ? NEVER : this.#in(streamMs);
    this.#wholeAtMs = NEVER;
    this.#tryAtMs = NEVER;
    if (streamMs > 0) this.#arm();
  }

  /** From now on the whole answer has so long; 0: any time. */
  startWhole(timeoutMs: number): void {
    if (timeoutMs === 0) return;
    this.#wholeAtMs = this.#in(timeoutMs);
    this.#arm();
  }

  /** From now on the head of this try's answer has so long; 0: any time. */
  startTry(perTryMs: number): void {
    if (perTryMs === 0) return;
    this.#tryAtMs = this.#in(perTryMs);
    this.#arm();
  }

  /** This try has its answer, or is given up. */
  endTry(): void {
    if (this.#tryAtMs === NEVER) return;
    this.#tryAtMs = NEVER;
    this.#arm();
  }

  /** The exchange is over. */
  end(): void {
    this.#deadlines.clear(this.#slot);
  }

  /** Of the deadline that fired: whether there is still time for another try. */
  get isTryAlone(): boolean {
    const { nowMs } = this.#deadlines;
    return nowMs < this.#wholeAtMs && nowMs < this.#streamAtMs;
  }

  /** Of the deadline that fired: whether the upstream had its full time, rather than what a client left of the exchange's. */
  get isUpstreamLate(): boolean {
    const { nowMs } = this.#deadlines;
    return nowMs >= this.#wholeAtMs || nowMs >= this.#tryAtMs;
  }

  #in(ms: number): number {
    return this.#deadlines.nowMs + ms + SWEEP_MS;
  }

  #arm(): void {
    this.#deadlines.setAt(this.#slot, Math.min(this.#streamAtMs, this.#wholeAtMs, this.#tryAtMs));
  }
}
