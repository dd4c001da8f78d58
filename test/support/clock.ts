// A clock that tests hold and move: timers fire only inside `advance`, in the order of their times.
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/lib/clock.ts";

export interface ManualClock extends Clock {
  /**
   * Moves time on by `ms`, stopping at every timer on the way: it fires, and what it set off in promises runs to its end
   * before time goes on. Timers that fire may set new ones; those that fall into the span fire too.
   */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  readonly pending: number;
}

/** A clock that begins at `startMs` (default 2026-01-01T00:00:00Z). */
export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let nowMs = startMs;
  let nextId = 0;
  const timers = new Map<number, { readonly atMs: number; readonly fire: () => void }>();
  const earliest = (untilMs: number): number | undefined => {
    let found: number | undefined;
    for (const [id, { atMs }] of timers) {
      if (atMs <= untilMs && (found === undefined || atMs < (timers.get(found)?.atMs ?? 0))) found = id;
    }
    return found;
  };
  return {
    nowMs: () => nowMs,
    steadyMs: () => nowMs,
    after(delayMs, fire) {
      const id = nextId++;
      timers.set(id, { atMs: nowMs + Math.max(0, delayMs), fire });
      return { cancel: () => void timers.delete(id) };
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      await settle();
      for (let id = earliest(untilMs); id !== undefined; id = earliest(untilMs)) {
        const timer = timers.get(id);
        timers.delete(id);
        nowMs = Math.max(nowMs, timer?.atMs ?? nowMs);
        timer?.fire();
        await settle();
      }
      nowMs = untilMs;
    },
    get pending() {
      return timers.size;
    },
  };
}

/** Lets promise chains that need no I/O run to their end. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await setImmediate();
}
