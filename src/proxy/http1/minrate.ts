// [hot] How slow a peer may be while it is waited for: it has a grace, uses it up as time passes, and earns it back with every byte at the least
// rate. So a peer that keeps the rate lives for ever, one that does not is found out when its grace is used up, and time in which somebody
// else was waited for costs it nothing.

/** The bounds of one direction. */
export interface MinRate {
  /** Bytes that earn a second. */
  readonly bytesPerS: number;
  /** At the begin, milliseconds. */
  readonly graceMs: number;
  /** Most that can be earned. */
  readonly mostMs: number;
}

/** The patience with one peer. Times are those of deadlines. */
export class Patience {
  /** When it ends; infinity: the peer is not waited for. */
  endMs: number = Number.POSITIVE_INFINITY;
  #rate: MinRate | null = null;
  #leftMs = 0;

  /** Makes ready for a message; null: its peer may be as slow as it likes. */
  begin(rate: MinRate | null): void {
    this.#rate = rate;
    this.endMs = Number.POSITIVE_INFINITY;
    this.#leftMs = rate === null ? 0 : rate.graceMs;
  }

  /** The peer is waited for from now on. */
  wait(nowMs: number): void {
    if (this.#rate !== null && this.endMs === Number.POSITIVE_INFINITY) this.endMs = nowMs + this.#leftMs;
  }

  /** It is not waited for any more. */
  rest(nowMs: number): void {
    if (this.endMs === Number.POSITIVE_INFINITY) return;
    this.#leftMs = Math.max(0, this.endMs - nowMs);
    this.endMs = Number.POSITIVE_INFINITY;
  }

  /** So many bytes came, or were taken. */
  earn(bytes: number, nowMs: number): void {
    const rate = this.#rate;
    if (rate === null) return;
    const earnedMs = (bytes * 1000) / rate.bytesPerS;
    if (this.endMs === Number.POSITIVE_INFINITY)
      this.#leftMs = Math.min(rate.mostMs, this.#leftMs + earnedMs);
    else this.endMs = Math.min(nowMs + rate.mostMs, this.endMs + earnedMs);
  }
}
