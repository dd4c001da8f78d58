// When the proxy has more to do than it can, it says so to some of the requests that come new, so that those it has begun and the others are
// served in time: the event loop is late, or memory is nearly used up. Looked at with every sweep of the deadlines. What was admitted is
// never touched; a request that is turned away gets 503 with `retry-after`, and the reason.
//
//   loop late  ──▶ a share of the new requests, more while it stays late and less while it does not, until it has been on time for a while
//   memory     ──▶ a share that grows from `memoryHigh` to `memoryFull`; there new connections are closed too
import type { Logger } from "../../lib/log.ts";
import { SWEEP_MS } from "../deadlines.ts";
import { REPLY, type Reply } from "../http1/reply.ts";

/** How much is used, as shares of what there is. */
export interface MemoryUse {
  readonly heap: number;
  /** Resident memory of the process, of what its machine or container has. */
  readonly resident: number;
}

export interface OverloadLimits {
  /** Lateness of the event loop from which on it is too late, and below which it is on time. */
  readonly loopHighMs: number;
  readonly loopLowMs: number;
  readonly memoryHigh: number;
  readonly memoryLow: number;
  readonly memoryFull: number;
}

export const DEFAULT_OVERLOAD_LIMITS: OverloadLimits = {
  loopHighMs: 500,
  loopLowMs: 200,
  memoryHigh: 0.9,
  memoryLow: 0.85,
  memoryFull: 0.97,
};

export interface OverloadDeps {
  readonly log: Logger;
  readonly monotonicMs: () => number;
  readonly memory: () => MemoryUse;
  readonly limits: OverloadLimits;
}

/** So many late looks in a row begin it: one stall, of a collection of garbage or of the machine, is no overload. */
const LATE_LOOKS = 3;
/** So many in time end it. */
const CALM_LOOKS = 10;
/** Memory is looked at with every so many sweeps. */
const MEMORY_EVERY = 5;
const FIRST_SHARE = 0.3;
const STEP = 0.1;
const MOST = 0.95;

/** See the head of this file. */
export class Overload {
  /** Share of new requests that is turned away. */
  share = 0;
  refusesConnections = false;
  readonly #deps: OverloadDeps;
  #lastMs: number;
  #looks = 0;
  #late = 0;
  #calm = 0;
  #loopShare = 0;
  #memoryShare = 0;

  constructor(deps: OverloadDeps) {
    this.#deps = deps;
    this.#lastMs = deps.monotonicMs();
  }

  /** What a new request is told; null: it is admitted. `chance` is random in [0, 1). */
  verdict(chance: number): Reply | null {
    if (chance >= this.share) return null;
    return this.#memoryShare >= this.#loopShare ? REPLY.memoryLow : REPLY.loopLate;
  }

  /** Called with every sweep. */
  look(): void {
    const nowMs = this.#deps.monotonicMs();
    const lateMs = nowMs - this.#lastMs - SWEEP_MS;
    this.#lastMs = nowMs;
    const before = this.share;
    this.#lookAtLoop(lateMs);
    if (this.#looks++ % MEMORY_EVERY === 0) this.#lookAtMemory();
    this.share = Math.max(this.#loopShare, this.#memoryShare);
    if (before === 0 && this.share > 0)
      this.#deps.log.warn("overloaded: new requests get 503", {
        cause: this.#memoryShare > 0 ? "memory" : "event loop",
        lateMs: Math.round(lateMs),
      });
    else if (before > 0 && this.share === 0) this.#deps.log.info("not overloaded any more");
  }

  #lookAtLoop(lateMs: number): void {
    const { loopHighMs, loopLowMs } = this.#deps.limits;
    this.#late = lateMs >= loopHighMs ? this.#late + 1 : 0;
    this.#calm = lateMs < loopLowMs ? this.#calm + 1 : 0;
    if (this.#loopShare === 0) {
      if (this.#late >= LATE_LOOKS) this.#loopShare = FIRST_SHARE;
      return;
    }
    if (this.#calm >= CALM_LOOKS) this.#loopShare = 0;
    else if (this.#late > 0) this.#loopShare = Math.min(MOST, this.#loopShare + STEP);
    else if (this.#calm > 0) this.#loopShare = Math.max(STEP, this.#loopShare - STEP);
  }

  #lookAtMemory(): void {
    const { memoryHigh, memoryLow, memoryFull } = this.#deps.limits;
    const { heap, resident } = this.#deps.memory();
    const used = Math.max(heap, resident);
    const isOn = used >= (this.#memoryShare > 0 ? memoryLow : memoryHigh);
    const scaled = Math.min(1, (used - memoryHigh) / (memoryFull - memoryHigh));
    this.#memoryShare = isOn ? Math.max(STEP, scaled) : 0;
    this.refusesConnections = used >= (this.refusesConnections ? memoryHigh : memoryFull);
  }
}
