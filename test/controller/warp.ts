// The machine's clock, with leaps: time runs on as it does, so that sockets and processes keep up, and a test leaps over the waits.
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/lib/clock.ts";

export interface WarpClock extends Clock {
  /**
   * Moves time on by `ms`, stopping at every timer on the way: it fires, and what it set off (requests in process included) goes on before
   * time does.
   */
  leap(ms: number): Promise<void>;
}

interface Waiting {
  readonly atMs: number;
  readonly fire: () => void;
  handle: NodeJS.Timeout;
}

/** Turns of the event loop between two timers of a leap: a renewal of the lease, a pass with all its writes. */
const TURNS = 30;

/** A clock that begins at the machine's time. */
export function createWarpClock(): WarpClock {
  let aheadMs = 0;
  const waiting = new Set<Waiting>();
  const nowMs = (): number => Date.now() + aheadMs;
  const arm = (one: Waiting): NodeJS.Timeout =>
    setTimeout(
      () => {
        waiting.delete(one);
        one.fire();
      },
      Math.max(0, one.atMs - nowMs()),
    ).unref();
  return {
    nowMs,
    steadyMs: nowMs,
    after(delayMs, fire) {
      const one: Waiting = {
        atMs: nowMs() + Math.max(0, delayMs),
        fire,
        handle: setTimeout(() => undefined, 0),
      };
      clearTimeout(one.handle);
      one.handle = arm(one);
      waiting.add(one);
      return {
        cancel() {
          clearTimeout(one.handle);
          waiting.delete(one);
        },
      };
    },
    async leap(ms) {
      const untilMs = nowMs() + ms;
      for (;;) {
        let next: Waiting | undefined;
        for (const one of waiting)
          if (one.atMs <= untilMs && one.atMs < (next?.atMs ?? Number.POSITIVE_INFINITY)) next = one;
        if (next === undefined) break;
        clearTimeout(next.handle);
        waiting.delete(next);
        aheadMs += Math.max(0, next.atMs - nowMs());
        next.fire();
        for (let turn = 0; turn < TURNS; turn += 1) await setImmediate();
      }
      aheadMs += Math.max(0, untilMs - nowMs());
      for (const one of waiting) {
        clearTimeout(one.handle);
        one.handle = arm(one);
      }
    },
  };
}
