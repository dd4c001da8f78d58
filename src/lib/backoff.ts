// Exponential back-off with full jitter as data: callers wait, this only says how long.

export interface BackoffOptions {
  /** Delay bound of the first retry. */
  readonly baseMs: number;
  /** Upper bound of every delay. */
  readonly maxMs: number;
  /** 0 to 1 exclusive; default: no jitter, the bound itself is the delay. */
  readonly random?: () => number;
}

/** Delay before retry number `attempt` (0 = the first): base * 2^attempt, capped; with `random`, uniform in [base/2, bound]. */
export function backoffMs(attempt: number, options: BackoffOptions): number {
  const boundMs = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempt, 30));
  if (options.random === undefined) return boundMs;
  const floorMs = Math.min(options.baseMs / 2, boundMs);
  return floorMs + options.random() * (boundMs - floorMs);
}
