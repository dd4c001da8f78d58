// Keeps a store equal to the server's objects of one kind: list, then watch with bookmarks, forever. Survives servers that go away,
// watches that end, break or fall silent, and histories that are gone (410: list again, and tell what changed meanwhile).
// What a new list lacks was deleted unseen, but for a list that is in doubt (doubt.ts): that deletes nothing.
//
//   listing --ok--> watching --ended, broken, silent--> watching (after a back-off, from the last version seen)
//      ^                |
//      +--- 410, or MAX_WATCH_FAILURES in a row
import type { ResourceType } from "../api/api.ts";
import { backoffMs } from "../lib/backoff.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { ClusterClient, ListOptions, WatchEvent } from "./client.ts";
import { createListDoubt, type ListVerdict } from "./doubt.ts";
import { CLUSTER_ERRORS } from "./errors.ts";
import { createStore, type ObjectStore, type StoreEvent, type StoreListener } from "./store.ts";

export interface ReflectorOptions {
  readonly client: ClusterClient;
  readonly type: ResourceType;
  /** Default: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** For back-off jitter. Default `Math.random`. */
  readonly random?: () => number;
  /** A watch that says nothing for so long, not even a bookmark, is opened anew. Default 180 000. */
  readonly idleTimeoutMs?: number;
}

export interface Reflector {
  readonly type: ResourceType;
  readonly store: ObjectStore;
  /** True from the end of the first list on. */
  hasSynced(): boolean;
  /** Resolves true when the first list is in the store, false when the reflector stops or `signal` aborts before. */
  waitForSync(signal?: AbortSignal): Promise<boolean>;
  /** Newest version that the store reflects, bookmarks included; undefined before the first list. */
  lastSyncResourceVersion(): string | undefined;
  /** Calls `listener` with an `added` for every object there is, then with every change in order. Returns how to end it. */
  subscribe(listener: StoreListener): () => void;
  /** Begins; a second call does nothing. */
  start(): void;
  /** Ends the watch and waits until nothing runs any more. The store stays readable. Idempotent. */
  stop(): Promise<void>;
}

/** Watch failures in a row after which the reflector lists again: the server may have lost its history or its data. */
export const MAX_WATCH_FAILURES = 5;
const KEPT =
  "the server's history has gone back: what it no longer holds is kept as it was; restart weir once the server is right";
const BACKOFF = { baseMs: 200, maxMs: 10_000 };
const IDLE_TIMEOUT_MS = 180_000;
/** A watch that ends sooner than this without an event counts as a failure, so that it cannot spin. */
const SHORT_WATCH_MS = 1_000;
/** Servers end watches themselves; spread, so that many watches do not end at once. */
const MIN_WATCH_SECONDS = 240;

/** Builds a reflector; nothing is asked of the server before `start`. Several may share a client. */
export function createReflector(options: ReflectorOptions): Reflector {
  return new ListWatch(options);
}

class ListWatch implements Reflector {
  readonly type: ResourceType;
  readonly #options: ReflectorOptions;
  readonly #random: () => number;
  readonly #log: Logger;
  readonly #store = createStore();
  readonly #listeners = new Set<StoreListener>();
  readonly #stopping = new AbortController();
  readonly #synced = Promise.withResolvers<boolean>();
  #isSynced = false;
  readonly #doubt: ReturnType<typeof createListDoubt>;
  /** The next step is a list, not a watch. */
  #mustList = true;
  /** In a row; also the exponent of the back-off. */
  #failures = 0;
  #lastVersion: string | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ReflectorOptions) {
    const { type, namespace } = options;
    this.type = type;
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#doubt = createListDoubt(options);
    this.#log = options.log.child({ kind: type.kind, ...(namespace === undefined ? {} : { namespace }) });
  }

  get store(): ObjectStore {
    return this.#store;
  }

  hasSynced(): boolean {
    return this.#isSynced;
  }

  waitForSync(signal?: AbortSignal): Promise<boolean> {
    return Promise.race([this.#synced.promise, abortedFalse(signal)]);
  }

  lastSyncResourceVersion(): string | undefined {
    return this.#lastVersion;
  }

  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    for (const key of this.#store.keys()) {
      const object = this.#store.get(key);
      if (object !== undefined) this.#tell(listener, { kind: "added", key, object });
    }
    return () => void this.#listeners.delete(listener);
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      // What servers do is caught inside; what arrives here is a bug in weir and must be seen.
      this.#log.error("the reflector ended by a bug", { error: messageOf(error) });
      throw error;
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#synced.resolve(false);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#mustList) await this.#list();
        await this.#watch(this.#lastVersion ?? "");
      } catch (error) {
        if (signal.aborted) return;
        const isFirstExpiry = this.#note(error);
        if (isFirstExpiry) continue; // histories end in the normal course: list again at once
      }
      if (this.#failures >= MAX_WATCH_FAILURES) this.#mustList = true;
      if (this.#failures === 0) continue;
      await sleep(clock, backoffMs(this.#failures - 1, { ...BACKOFF, random: this.#random }), signal);
    }
  }

  /** Counts a failure and decides what comes next; true for an expiry that follows no other failure. */
  #note(error: unknown): boolean {
    const isExpired = isWeirError(error, CLUSTER_ERRORS.expired);
    this.#failures += 1;
    this.#mustList ||= isExpired || !isWeirError(error, CLUSTER_ERRORS.unavailable);
    const isFirstExpiry = isExpired && this.#failures === 1;
    const fields = { error: messageOf(error), failures: this.#failures };
    // The first of a row is news, and the one that costs a new list; the rest of an outage is not.
    const isNews = this.#failures === 1 || this.#failures === MAX_WATCH_FAILURES;
    if (isFirstExpiry) this.#log.debug("the history has ended, listing again", fields);
    else this.#log[isNews ? "warn" : "debug"]("watching failed, trying again", fields);
    return isFirstExpiry;
  }

  async #list(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stopping;
    const list = await client.list(this.type, this.#selection(signal));
    const verdict: ListVerdict = await this.#doubt.judge(list, this.#store, this.#lastVersion, signal);
    const { items, resourceVersion } = list;
    if (verdict.kept.size > 0) this.#log.error(KEPT, { kept: verdict.kept.size, resourceVersion });
    this.#mustList = false;
    this.#lastVersion = resourceVersion;
    for (const event of this.#store.replace(items, verdict.kept)) this.#publish(event);
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#synced.resolve(true);
    this.#log.debug("cache synced", { objects: this.#store.size, resourceVersion });
  }

  /** Follows one watch to its end. Throws what ended it unless the server did in peace. */
  async #watch(resourceVersion: string): Promise<void> {
    const { client, clock } = this.#options;
    const startedMs = clock.nowMs();
    const idle = createIdleTimer(
      clock,
      this.#options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      this.#stopping.signal,
    );
    let hasEvents = false;
    try {
      const timeoutSeconds = Math.round(MIN_WATCH_SECONDS * (1 + this.#random()));
      const options = { ...this.#selection(idle.signal), resourceVersion, timeoutSeconds };
      for await (const event of client.watch(this.type, options)) {
        idle.touch();
        this.#failures = 0;
        hasEvents = true;
        this.#take(event);
      }
    } finally {
      idle.cancel();
    }
    if (!hasEvents && clock.nowMs() - startedMs < SHORT_WATCH_MS) this.#failures += 1;
    else this.#failures = 0;
  }

  #take(event: WatchEvent): void {
    if (event.type === "BOOKMARK") {
      this.#lastVersion = event.resourceVersion;
      return;
    }
    const { object } = event;
    this.#lastVersion = object.metadata.resourceVersion ?? this.#lastVersion;
    this.#publish(event.type === "DELETED" ? this.#store.remove(object) : this.#store.put(object));
  }

  #publish(event: StoreEvent | undefined): void {
    if (event === undefined) return;
    const current = [...this.#listeners]; // one that subscribes meanwhile has been told of the object as `added`
    for (const listener of current) this.#tell(listener, event);
  }

  #tell(listener: StoreListener, event: StoreEvent): void {
    try {
      listener(event);
    } catch (error) {
      const fields = { key: event.key, event: event.kind, error: messageOf(error) };
      this.#log.error("a listener of the cache failed", fields);
    }
  }

  #selection(signal: AbortSignal): ListOptions {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      signal,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }
}

/** A signal that aborts when `touch` is not called for `timeoutMs`, or with `parent`. */
function createIdleTimer(
  clock: Clock,
  timeoutMs: number,
  parent: AbortSignal,
): { readonly signal: AbortSignal; touch(): void; cancel(): void } {
  const abort = new AbortController();
  const onParent = (): void => abort.abort();
  if (parent.aborted) abort.abort();
  else parent.addEventListener("abort", onParent, { once: true });
  let touchedMs = clock.nowMs();
  // One timer that looks how long ago the last event was: no timer is made per event.
  const arm = (delayMs: number): { cancel(): void } =>
    clock.after(delayMs, () => {
      const restMs = touchedMs + timeoutMs - clock.nowMs();
      if (restMs <= 0) abort.abort();
      else timer = arm(restMs);
    });
  let timer = arm(timeoutMs);
  return {
    signal: abort.signal,
    touch() {
      touchedMs = clock.nowMs();
    },
    cancel() {
      timer.cancel();
      parent.removeEventListener("abort", onParent);
    },
  };
}

function abortedFalse(signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal === undefined) return;
    if (signal.aborted) resolve(false);
    else signal.addEventListener("abort", () => resolve(false), { once: true });
  });
}
