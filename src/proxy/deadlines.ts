// [hot] Deadlines of all connections in one array, swept every SWEEP_MS: setting one is a store, and nothing is allocated.
import type { Clock, Timer } from "../lib/clock.ts";

/** A deadline never fires early, and at most twice this late. */
export const SWEEP_MS = 100;

export interface DeadlineOwner {
  onDeadline(): void;
  onInternalError(error: unknown): void;
}

/** The timer of one event loop. */
export class Deadlines {
  /** Time of the last sweep, steady milliseconds: coarse on purpose, and free to read. No deadline moves when the machine's clock is set. */
  nowMs: number;
  readonly #clock: Clock;
  readonly #afterEach: () => void;
  readonly #afterSweep: () => void;
  #at = new Float64Array(64).fill(Number.POSITIVE_INFINITY);
  readonly #owners: (DeadlineOwner | null)[] = [];
  readonly #free: number[] = [];
  #timer: Timer | null = null;

  /** `afterEach` runs after every deadline that fired (it flushes what was written), `afterSweep` after every sweep. */
  constructor(clock: Clock, afterEach: () => void, afterSweep: () => void = () => undefined) {
    this.#clock = clock;
    this.#afterEach = afterEach;
    this.#afterSweep = afterSweep;
    this.nowMs = clock.steadyMs();
  }

  start(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(SWEEP_MS, () => {
      this.sweep();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** A slot for `owner`, without a deadline yet. */
  add(owner: DeadlineOwner): number {
    const slot = this.#free.pop() ?? this.#owners.length;
    this.#owners[slot] = owner;
    if (slot >= this.#at.length) {
      const grown = new Float64Array(this.#at.length * 2).fill(Number.POSITIVE_INFINITY);
      grown.set(this.#at);
      this.#at = grown;
    }
    this.#at[slot] = Number.POSITIVE_INFINITY;
    return slot;
  }

  remove(slot: number): void {
    if (this.#owners[slot] == null) return;
    this.#owners[slot] = null;
    this.#at[slot] = Number.POSITIVE_INFINITY;
    this.#free.push(slot);
  }

  /** Fires `afterMs` from now (0 or less: never). Replaces the slot's deadline. */
  set(slot: number, afterMs: number): void {
    this.#at[slot] = afterMs > 0 ? this.nowMs + afterMs + SWEEP_MS : Number.POSITIVE_INFINITY;
  }

  /** Fires at `atMs`, a time made of `nowMs`; infinity: never. Replaces the slot's deadline. */
  setAt(slot: number, atMs: number): void {
    this.#at[slot] = atMs;
  }

  clear(slot: number): void {
    this.#at[slot] = Number.POSITIVE_INFINITY;
  }

  /** Fires what is due. */
  sweep(): void {
    const nowMs = this.#clock.steadyMs();
    this.nowMs = nowMs;
    for (let slot = 0; slot < this.#owners.length; slot++) if (this.#at[slot]! <= nowMs) this.#fire(slot);
    this.#afterSweep();
  }

  #fire(slot: number): void {
    this.#at[slot] = Number.POSITIVE_INFINITY;
    const owner = this.#owners[slot];
    if (owner == null) return;
    try {
      owner.onDeadline();
    } catch (error) {
      owner.onInternalError(error);
    }
    this.#afterEach();
  }
}
