// A work queue of keys with the promises of client-go's: a key waits at most once, one worker per key at a time, a key added while
// it is worked on is worked on again afterwards, failures back off per key. Its length is bounded by the number of distinct keys.
import { backoffMs } from "../lib/backoff.ts";
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

interface Delayed {
  readonly atMs: number;
  readonly timer: Timer;
}

/** Builds a queue; call `start` to work it. */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock, log } = options;
  const workers = options.workers ?? 1;
  const delays = { baseMs: options.baseDelayMs ?? BASE_DELAY_MS, maxMs: options.maxDelayMs ?? MAX_DELAY_MS };
  const waiting: string[] = []; // in order; every key of it is in dirty
  const dirty = new Set<string>();
  const processing = new Map<string, Promise<void>>();
  const delayed = new Map<string, Delayed>();
  const failures = new Map<string, number>();
  const idlers: (() => void)[] = [];
  const stopping = new AbortController();
  let isStarted = false;
  let head = 0; // waiting[0..head) is taken: shift() would cost the whole length every time

  const add = (key: string): void => {
    if (stopping.signal.aborted || dirty.has(key)) return;
    dirty.add(key);
    if (processing.has(key)) return;
    waiting.push(key);
    next();
  };
  const addAfter = (key: string, delayMs: number): void => {
    if (stopping.signal.aborted) return;
    if (delayMs <= 0) {
      add(key);
      return;
    }
    const atMs = clock.nowMs() + delayMs;
    const known = delayed.get(key);
    if (known !== undefined && known.atMs <= atMs) return;
    known?.timer.cancel();
    const timer = clock.after(delayMs, () => {
      delayed.delete(key);
      add(key);
    });
    delayed.set(key, { atMs, timer });
  };

  const next = (): void => {
    while (isStarted && !stopping.signal.aborted && processing.size < workers && head < waiting.length) {
      const key = waiting[head] ?? "";
      head += 1;
      if (head > 1024 && head * 2 > waiting.length) head -= waiting.splice(0, head).length;
      dirty.delete(key);
      processing.set(
        key,
        pass(key).finally(() => {
          processing.delete(key);
          if (dirty.has(key)) waiting.push(key);
          next();
        }),
      );
    }
    if (processing.size === 0 && (head === waiting.length || stopping.signal.aborted))
      for (const resolve of idlers.splice(0)) resolve();
  };

  const pass = async (key: string): Promise<void> => {
    await Promise.resolve(); // add() returns before its pass begins
    try {
      const result = await options.process(key, stopping.signal);
      failures.delete(key);
      if (result !== undefined) addAfter(key, result.requeueAfterMs);
    } catch (error) {
      if (stopping.signal.aborted) return;
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      const retryInMs = backoffMs(count, delays);
      log.warn("a pass failed, trying again", {
        key,
        error: messageOf(error),
        failures: count + 1,
        retryInMs,
      });
      addAfter(key, retryInMs);
    }
  };

  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      idlers.push(resolve);
      if (processing.size === 0) next();
    });

  return {
    add,
    addAfter,
    start() {
      isStarted = true;
      next();
    },
    async stop() {
      stopping.abort();
      for (const { timer } of delayed.values()) timer.cancel();
      delayed.clear();
      await Promise.all(processing.values());
    },
    idle,
    get length() {
      return waiting.length - head;
    },
    failuresOf: (key) => failures.get(key) ?? 0,
  };
}
