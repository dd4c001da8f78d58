// Time as a dependency: the shell takes a Clock so that tests can hold and move time.

export interface Timer {
  /** Idempotent. */
  cancel(): void;
}

export interface Clock {
  /** Epoch milliseconds. They jump when somebody sets the machine's clock. */
  nowMs(): number;
  /** Milliseconds that pass evenly whatever is done to the machine's clock; in the beginning those of `nowMs`. For waits, within one process. */
  steadyMs(): number;
  /** Calls `fire` once after `delayMs` (0 or more). The timer does not keep the process alive. */
  after(delayMs: number, fire: () => void): Timer;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  steadyMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects: callers look at the signal. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(delayMs, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}
