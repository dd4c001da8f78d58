// A work queue of keys with the promises of client-go's: a key waits at most once, one worker per key at a time, a key added while
// it is worked on is worked on again afterwards, failures back off per key. Its length is bounded by the number of distinct keys.
import { type BackoffOptions, backoffMs } from "../lib/backoff.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

/** What a pass asks for: nothing, or another pass later although nothing may happen until then. */
// biome-ignore lint/suspicious/noConfusingVoidType: a process function that returns nothing is the usual one
export type WorkResult = void | { readonly requeueAfterMs: number };

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** One pass over one key. A throw puts the key back after its back-off. */
  readonly process: (key: string, signal: AbortSignal) => Promise<WorkResult>;
  /** Most passes at once. Default 1. */
  readonly workers?: number;
  /** Back-off after the first failure in a row; doubles with each. Default 1. */
  readonly baseDelayMs?: number;
  /** Default 10 000. */
  readonly maxDelayMs?: number;
}

export interface WorkQueue {
  /** Asks for a pass over `key` as soon as may be. Ignored after `stop`. */
  add(key: string): void;
  /** Asks for a pass after `delayMs`; of several pending asks the earliest holds. Zero or less: now. */
  addAfter(key: string, delayMs: number): void;
  /** Passes begin. Keys added before wait for this. */
  start(): void;
  /** No pass begins any more; aborts the signal of those that run and waits for them. Idempotent. */
  stop(): Promise<void>;
  /** Resolves when no key waits and no pass runs. Keys that wait for their time do not count. */
  idle(): Promise<void>;
  /** Keys that wait for a worker. */
  readonly length: number;
  /** Failures in a row of `key`. */
  failuresOf(key: string): number;
}

const BASE_DELAY_MS = 1;
const MAX_DELAY_MS = 10_000;
/** Taken keys are cut off the list in lots of at least so many. */
const MIN_TRIM = 1024;

interface Delayed {
  readonly atMs: number;
  readonly timer: Timer;
}

/** Builds a queue; call `start` to work it. */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new KeyQueue(options);
}

class KeyQueue implements WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #workers: number;
  readonly #delays: BackoffOptions;
  /** In order; every key of it is in #dirty. The part before #head is taken: shift() would cost the whole length every time. */
  readonly #waiting: string[] = [];
  #head = 0;
  /** Keys that need a pass: waiting, or added while they are worked on. */
  readonly #dirty = new Set<string>();
  readonly #processing = new Map<string, Promise<void>>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  readonly #idlers: (() => void)[] = [];
  readonly #stopping = new AbortController();
  #isStarted = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#workers = options.workers ?? 1;
    this.#delays = {
      baseMs: options.baseDelayMs ?? BASE_DELAY_MS,
      maxMs: options.maxDelayMs ?? MAX_DELAY_MS,
    };
  }

  add(key: string): void {
    if (this.#stopping.signal.aborted || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    if (this.#processing.has(key)) return;
    this.#waiting.push(key);
    this.#next();
  }

  addAfter(key: string, delayMs: number): void {
    const { clock } = this.#options;
    if (this.#stopping.signal.aborted) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const atMs = clock.nowMs() + delayMs;
    const known = this.#delayed.get(key);
    if (known !== undefined && known.atMs <= atMs) return;
    known?.timer.cancel();
    const timer = clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { atMs, timer });
  }

  start(): void {
    this.#isStarted = true;
    this.#next();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { timer } of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    await Promise.all(this.#processing.values());
  }

  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idlers.push(resolve);
      this.#next();
    });
  }

  get length(): number {
    return this.#waiting.length - this.#head;
  }

  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Begins as many passes as there are free workers, and tells those who wait for idleness. */
  #next(): void {
    const { signal } = this.#stopping;
    while (this.#isStarted && !signal.aborted && this.#processing.size < this.#workers && this.length > 0) {
      const key = this.#takeFirst();
      this.#dirty.delete(key);
      const pass = this.#pass(key).finally(() => {
        this.#processing.delete(key);
        if (this.#dirty.has(key)) this.#waiting.push(key);
        this.#next();
      });
      this.#processing.set(key, pass);
    }
    if (this.#processing.size > 0 || (this.length > 0 && !signal.aborted)) return;
    for (const resolve of this.#idlers.splice(0)) resolve();
  }

  #takeFirst(): string {
    const key = this.#waiting[this.#head] ?? "";
    this.#head += 1;
    if (this.#head >= MIN_TRIM && this.#head * 2 > this.#waiting.length)
      this.#head -= this.#waiting.splice(0, this.#head).length;
    return key;
  }

  async #pass(key: string): Promise<void> {
    await Promise.resolve(); // add() returns before its pass begins
    try {
      const result = await this.#options.process(key, this.#stopping.signal);
      this.#failures.delete(key);
      if (result !== undefined) this.addAfter(key, result.requeueAfterMs);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const failures = this.failuresOf(key) + 1;
      this.#failures.set(key, failures);
      const retryInMs = backoffMs(failures - 1, this.#delays);
      const fields = { key, error: messageOf(error), failures, retryInMs };
      this.#options.log.warn("a pass failed, trying again", fields);
      this.addAfter(key, retryInMs);
    }
  }
}
