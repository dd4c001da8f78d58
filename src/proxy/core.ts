// What all connections of one event loop share: output, timers, statistics, buffers, clusters, bounds.
import type { Clock, Timer } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { memoryUse } from "../lib/memory.ts";
import { DEFAULT_OVERLOAD_LIMITS, type MemoryUse, Overload, type OverloadLimits } from "./admit/overload.ts";
import { RandomIds } from "./admit/requestid.ts";
import { type DeadlineOwner, Deadlines } from "./deadlines.ts";
import { ByteBudget } from "./forward/budget.ts";
import { Copies } from "./forward/copies.ts";
import type { Cluster } from "./forward/pool.ts";
import { DateLine } from "./http1/dateline.ts";
import type { MinRate } from "./http1/minrate.ts";
import { HeadParser } from "./http1/parse.ts";
import { REPLY, type Reply } from "./http1/reply.ts";
import { type LookUp, machineLookUp } from "./lookup.ts";
import { LogFiles } from "./observe/logfile.ts";
import { Stats } from "./observe/stats.ts";
import { Tallies } from "./observe/tallies.ts";
import { Dice } from "./route/split.ts";
import { StickyPicker } from "./route/sticky.ts";
import { ALONE, limitsOf, type Seat } from "./seat.ts";
import { ReadBuffers } from "./wire/buffers.ts";
import { connectWire } from "./wire/netwire.ts";
import { Outbox } from "./wire/outbox.ts";

/** Named bounds and waits of the data plane. */
export interface Limits {
  /** Client connections, of all listeners together; more are closed at once. A listener may have a bound of its own. */
  readonly maxConnections: number;
  /** Requests in progress, copies for mirrors included; more get 503. */
  readonly maxRequests: number;
  /** What makes the proxy turn new requests away (overload.ts). */
  readonly overload: OverloadLimits;
  /** Slowest request body, and slowest reader of an answer; routes without a limit on silence are exempt. */
  readonly uploadRate: MinRate;
  readonly readerRate: MinRate;
  /** From the first byte of a request head to its last. */
  readonly headTimeoutMs: number;
  /** Silence on a client connection between requests. */
  readonly idleTimeoutMs: number;
  /** Silence within an exchange; a route or listener may set another. */
  readonly streamIdleMs: number;
  /** Age at which an unused upstream connection is closed; below the keep-alive of common servers (5 s). */
  readonly poolIdleMs: number;
  /** A client that takes nothing of a finished answer. */
  readonly stalledWriteMs: number;
  /** Discarding what a client still sends after its last answer. */
  readonly lingerMs: number;
  readonly lingerBytes: number;
  /** Bytes of later requests, or of a body whose upstream is not connected yet, before reading is paused. */
  readonly heldBytes: number;
  /** Request bodies kept for a second try and bytes that mirrors have not taken yet, all together. */
  readonly copyBytes: number;
  /** While draining: how long new connections are still taken, since others need time to learn that this proxy is not ready. */
  readonly drainDelayMs: number;
  /** From then to the end of everything. */
  readonly drainMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxConnections: 20_000,
  maxRequests: 10_000,
  overload: DEFAULT_OVERLOAD_LIMITS,
  uploadRate: { bytesPerS: 1024, graceMs: 20_000, mostMs: 20_000 },
  // What the kernel took in one go of a large buffer may stand for a while: a reader that took much is waited for longer.
  readerRate: { bytesPerS: 1024, graceMs: 20_000, mostMs: 60_000 },
  headTimeoutMs: 10_000,
  idleTimeoutMs: 3_600_000,
  streamIdleMs: 300_000,
  poolIdleMs: 4_000,
  stalledWriteMs: 60_000,
  lingerMs: 1_000,
  lingerBytes: 1024 * 1024,
  heldBytes: 16 * 1024,
  copyBytes: 32 * 1024 * 1024,
  drainDelayMs: 0,
  drainMs: 5_000,
};

export interface CoreDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Monotonic milliseconds with fractions, for latencies. Default: the machine's. */
  readonly monotonicMs?: () => number;
  readonly limits?: Partial<Limits>;
  /** How connections to endpoints are opened. Default: over TCP. */
  readonly connect?: Core["connect"];
  /** How host names of endpoints are looked up. Default: as the machine does it. */
  readonly lookUp?: LookUp;
  /** Default: that of this process. */
  readonly memory?: () => MemoryUse;
  /** Default: alone. */
  readonly seat?: Seat;
  /** Seed of the dice. Default: random. */
  readonly seed?: number;
}

/** Counts that belong to no route. */
export interface ProxyCounts {
  connections: number;
  connectionsRefused: number;
  /** Requests refused before a route was looked for. */
  refused: number;
  noRoute: number;
  internalErrors: number;
}

const MAX_FREE_PARSERS = 64;
/** How often the monotonic clock is held against the wall's. */
const EPOCH_EVERY_MS = 10_000;

/** As each of `count` equal processes sees it: the others take as much of the machine. */
function sharedMemory(own: () => MemoryUse, count: number): () => MemoryUse {
  return () => {
    const { heap, resident } = own();
    return { heap, resident: resident * count };
  };
}

/** One event loop's shared state. */
export class Core {
  readonly clock: Clock;
  readonly log: Logger;
  readonly seat: Seat;
  /** Of this event loop: its part of the proxy's. */
  readonly limits: Limits;
  readonly monotonicMs: () => number;
  readonly connect: typeof connectWire;
  readonly lookUp: LookUp;
  readonly outbox: Outbox = new Outbox();
  readonly buffers: ReadBuffers = new ReadBuffers();
  /** Memory for heads on their way (`ByteStore.takeFrom`). */
  readonly spareHeads: Buffer[] = [];
  readonly deadlines: Deadlines;
  readonly dateLine: DateLine = new DateLine();
  readonly copies: Copies = new Copies(this);
  /** Bytes kept for replay and for mirrors. */
  readonly budget: ByteBudget;
  readonly stats: Stats = new Stats();
  readonly overload: Overload;
  /** Client connections of all listeners. */
  openConnections = 0;
  readonly tallies: Tallies = new Tallies();
  readonly dice: Dice;
  readonly ids: RandomIds = new RandomIds();
  readonly sticky: StickyPicker;
  readonly clusters: Map<string, Cluster> = new Map();
  readonly counts: ProxyCounts = {
    connections: 0,
    connectionsRefused: 0,
    refused: 0,
    noRoute: 0,
    internalErrors: 0,
  };
  readonly logs: LogFiles;
  isDraining = false;
  #epochOffsetMs = 0;
  #epochDueMs = Number.NEGATIVE_INFINITY;
  readonly #parsers: HeadParser[] = [];

  constructor(deps: CoreDeps) {
    this.clock = deps.clock;
    this.log = deps.log;
    this.seat = deps.seat ?? ALONE;
    this.limits = limitsOf({ ...DEFAULT_LIMITS, ...deps.limits }, this.seat.share);
    this.budget = new ByteBudget(this.limits.copyBytes);
    this.connect = deps.connect ?? connectWire;
    this.lookUp = deps.lookUp ?? machineLookUp;
    this.monotonicMs = deps.monotonicMs ?? (() => performance.now());
    this.overload = new Overload({
      log: deps.log,
      monotonicMs: this.monotonicMs,
      memory: sharedMemory(deps.memory ?? memoryUse, this.seat.share.count),
      limits: this.limits.overload,
    });
    const afterEach = (): void => {
      this.outbox.flush();
      this.outbox.forgetKept();
    };
    this.deadlines = new Deadlines(deps.clock, afterEach, () => {
      this.overload.look();
      this.stats.look(this.deadlines.nowMs);
      this.dateLine.offsetMs = this.clock.nowMs() - this.deadlines.nowMs;
    });
    this.logs = new LogFiles(this);
    this.dice = new Dice(deps.seed ?? Math.floor(Math.random() * 0xffffffff));
    this.sticky = new StickyPicker(this.dice);
  }

  /** Why a new request is turned away; null: it is admitted. */
  turnAway(): Reply | null {
    if (this.stats.inFlightOfAll >= this.limits.maxRequests) return REPLY.tooManyRequests;
    return this.overload.share === 0 ? null : this.overload.verdict(this.dice.below(1000) / 1000);
  }

  /** Epoch milliseconds of an instant on the monotonic clock; true to what a clock drifts in EPOCH_EVERY_MS. */
  epochOf(monotonicMs: number): number {
    const { nowMs } = this.deadlines;
    if (nowMs >= this.#epochDueMs) {
      this.#epochDueMs = nowMs + EPOCH_EVERY_MS;
      this.#epochOffsetMs = this.clock.nowMs() - this.monotonicMs();
    }
    return monotonicMs + this.#epochOffsetMs;
  }

  /** A parser ready for a head of that KIND, and of that size; give it back with `giveParser` when the head is no longer needed. */
  takeParser(kind: number, maxBytes?: number, maxFields?: number): HeadParser {
    const parser = this.#parsers.pop() ?? new HeadParser();
    parser.reset(kind, maxBytes, maxFields);
    return parser;
  }

  giveParser(parser: HeadParser): void {
    if (this.#parsers.length < MAX_FREE_PARSERS) this.#parsers.push(parser);
  }

  /** Calls `work` once after `delayMs`, finer than deadlines are; a throw goes to `owner`. For what is rare: each takes a timer of its own. */
  after(delayMs: number, owner: Pick<DeadlineOwner, "onInternalError">, work: () => void): Timer {
    return this.clock.after(delayMs, () => {
      try {
        work();
      } catch (error) {
        owner.onInternalError(error);
      }
      this.outbox.flush();
      this.outbox.forgetKept();
    });
  }

  /** Counts and logs a bug that one connection's boundary caught. */
  internalError(where: string, error: unknown): void {
    this.counts.internalErrors += 1;
    this.log.error("internal error on a connection", {
      where,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
}
