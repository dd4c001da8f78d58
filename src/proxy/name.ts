// One host name of a cluster's endpoints: its lookups one after another, what they found, and what is wrong with them, told once.
import type { Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { isIpAddress } from "../lib/ip.ts";
import type { Core } from "./core.ts";
import type { Version } from "./lookup.ts";
import { TALLIES } from "./observe/tallies.ts";

/** What a lookup finds later is ignored. More than a resolver takes that asks several servers, most of them silent. */
const LOOKUP_MS = 30_000;
/** Each holds a thread, and log files are written by the same few threads. */
const MAX_LOOKUPS = 2;

/** Which addresses of a name count. */
export type LookupFamily = "auto" | "v4" | "v6" | "v4Preferred" | "all";

/** What is looked up, and how. */
export interface NameOptions {
  readonly cluster: string;
  readonly host: string;
  readonly family: LookupFamily;
  /** From the end of one lookup to the next. */
  readonly refreshMs: number;
  /** What stood for it before: what that found holds until there is an answer. */
  readonly last: Name | undefined;
  readonly onAnswer: () => void;
}

/** One name and its lookups, one after another. */
export class Name {
  /** Those of the last answer, in an order of their own: servers shuffle them. */
  addresses: readonly string[];
  /** What is wrong; empty: nothing. */
  trouble: string;
  /** Resolves when a new name was looked up once, well or not. */
  readonly first: Promise<void>;
  readonly #core: Core;
  readonly #options: NameOptions;
  #onFirst: () => void = () => undefined;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(core: Core, queue: LookupQueue | null, options: NameOptions) {
    const { host, last } = options;
    this.#core = core;
    this.#options = options;
    const isAddress = isIpAddress(host);
    this.addresses = isAddress ? [host] : (last?.addresses ?? []);
    this.trouble = last?.trouble ?? "";
    this.first = new Promise((resolve) => {
      this.#onFirst = resolve;
    });
    const isLookedUp = queue !== null && !isAddress;
    if (!isLookedUp || last !== undefined) this.#onFirst();
    if (isLookedUp) this.#wait(queue);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#onFirst();
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("lookup", error);
  }

  #wait(queue: LookupQueue): void {
    queue.add(() => this.#look(queue).catch((error: unknown) => this.onInternalError(error)));
  }

  /** Resolves when the thread is free again: the next one begins no earlier, even if this one's time is over. */
  async #look(queue: LookupQueue): Promise<void> {
    if (this.#isClosed) return;
    const { host, family, refreshMs } = this.#options;
    let isLate = false;
    this.#timer = this.#core.after(LOOKUP_MS, this, () => {
      isLate = true;
      this.#take([], `no answer within ${LOOKUP_MS / 1_000} s`);
    });
    let addresses: readonly string[] = [];
    let why = "it has no address";
    try {
      addresses = chosen(family, await this.#core.lookUp(host, VERSION[family]));
    } catch (error) {
      why = messageOf(error);
    }
    if (this.#isClosed) return;
    this.#timer.cancel();
    this.#timer = this.#core.after(refreshMs, this, () => this.#wait(queue));
    if (!isLate) this.#take(addresses, why);
  }

  /** Without addresses all stays as it is. */
  #take(addresses: readonly string[], why: string): void {
    const { cluster, host, onAnswer } = this.#options;
    const { log, tallies } = this.#core;
    const wasTrouble = this.trouble !== "";
    this.trouble = addresses.length > 0 ? "" : why;
    if (addresses.length > 0) {
      this.addresses = addresses;
      if (wasTrouble) log.info("name of an upstream is known again", { cluster, host });
      onAnswer();
    } else if (!wasTrouble) {
      tallies.add(tallies.place(TALLIES.namesFailed, cluster), 1);
      log.warn("name of an upstream cannot be looked up", { cluster, host, why });
    }
    this.#onFirst();
  }
}

/** Lookups that wait for others to be over. */
export class LookupQueue {
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;

  /** `work` never rejects. */
  add(work: () => Promise<void>): void {
    this.#waiting.push(work);
    this.#next();
  }

  #next(): void {
    if (this.#running === MAX_LOOKUPS) return;
    const work = this.#waiting.shift();
    if (work === undefined) return;
    this.#running += 1;
    void work().then(() => {
      this.#running -= 1;
      this.#next();
    });
  }
}

/** Source: Envoy: config/cluster/v3/cluster.proto, DnsLookupFamily. */
const VERSION: Readonly<Record<LookupFamily, Version>> = { auto: 0, v4: 4, v6: 6, v4Preferred: 0, all: 0 };

/** The addresses that count, sorted. */
function chosen(family: LookupFamily, found: readonly string[]): readonly string[] {
  const all = [...new Set(found)].sort();
  const preferred = all.filter((address) => address.includes(":") === (family === "auto"));
  return (family === "auto" || family === "v4Preferred") && preferred.length > 0 ? preferred : all;
}
