// The end of a proxy in steps. At once: not ready, and each connection ends with its next answer, while new ones are still taken, for whoever
// routes around this proxy needs a moment to learn of it (`drainDelayMs`). Then: no new connections. At the deadline (`drainMs` after that), or
// when the last connection is gone: the end. Who is in a hurry skips what is left of both waits.
import { sleep } from "../lib/clock.ts";
import type { Configuration } from "./configuration.ts";
import type { Core } from "./core.ts";

/** Who serves in this one's place (workers/). */
interface Others {
  /** `isEnd`: resolves when they have ended. */
  drain(isEnd: boolean): Promise<void>;
  hurry(): void;
}

/** What is drained. */
type Drained = Pick<Configuration, "sayLast" | "drain">;

/** The one drain of a proxy. */
export class Drain {
  readonly #core: Core;
  readonly #configuration: Drained;
  readonly #others: Others | undefined;
  readonly #hurry = new AbortController();
  #emptied: Promise<void> | undefined;
  #isEnding = false;

  /** `others` drain at the same time. */
  constructor(core: Core, configuration: Drained, others?: Others) {
    this.#others = others;
    this.#core = core;
    this.#configuration = configuration;
  }

  /** True from the moment in which it was asked for. */
  get isBegun(): boolean {
    return this.#emptied !== undefined;
  }

  /** Begins; resolves when all client connections are gone, however long that takes. New ones are taken for `delayMs`. Idempotent. */
  begin(delayMs: number = this.#core.limits.drainDelayMs): Promise<void> {
    this.#emptied ??= this.#empty(delayMs);
    return this.#emptied;
  }

  /** Begins, unless that was done, and resolves when all connections are gone or the deadline has passed. */
  async end(): Promise<void> {
    this.#isEnding = true;
    const ended = this.#others?.drain(true);
    const { clock, limits } = this.#core;
    const deadline = sleep(clock, limits.drainDelayMs + limits.drainMs, this.#hurry.signal);
    await Promise.race([this.begin(), deadline]);
    await ended;
  }

  /** Lets nobody wait any longer. */
  hurry(): void {
    this.#others?.hurry();
    this.#hurry.abort();
  }

  async #empty(delayMs: number): Promise<void> {
    const { clock } = this.#core;
    this.#configuration.sayLast();
    if (!this.#isEnding) void this.#others?.drain(false);
    if (delayMs > 0) await sleep(clock, delayMs, this.#hurry.signal);
    this.#core.isDraining = true;
    await this.#configuration.drain();
  }
}
