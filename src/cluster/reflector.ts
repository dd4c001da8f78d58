// Keeps a store equal to the server's objects of one kind: list, then watch with bookmarks, forever. Survives servers that go away,
// watches that end, break or fall silent, and histories that are gone (410: list again, and tell what changed meanwhile).
//
//   listing --ok--> watching --ended, broken, silent--> watching (after a back-off, from the last version seen)
//      ^                |
//      +--- 410, or MAX_WATCH_FAILURES in a row
import type { ResourceType } from "../api/api.ts";
import { backoffMs } from "../lib/backoff.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { ClusterClient } from "./client.ts";
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
const BACKOFF = { baseMs: 200, maxMs: 10_000 };
const IDLE_TIMEOUT_MS = 180_000;
/** A watch that ends sooner than this without an event counts as a failure, so that it cannot spin. */
const SHORT_WATCH_MS = 1_000;
/** Servers end watches themselves; spread, so that many watches do not end at once. */
const MIN_WATCH_SECONDS = 240;

/** Builds a reflector; nothing is asked of the server before `start`. Several may share a client. */
export function createReflector(options: ReflectorOptions): Reflector {
  const { client, type, clock } = options;
  const random = options.random ?? Math.random;
  const idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
  const log = options.log.child({
    kind: type.kind,
    ...(options.namespace ? { namespace: options.namespace } : {}),
  });
  const selection = {
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
  };
  const store = createStore();
  const listeners = new Set<StoreListener>();
  const stopping = new AbortController();
  const synced = Promise.withResolvers<boolean>();
  let isSynced = false;
  let failures = 0; // in a row; also the exponent of the back-off
  let lastVersion: string | undefined;
  let running: Promise<void> | undefined;

  const tell = (listener: StoreListener, event: StoreEvent): void => {
    try {
      listener(event);
    } catch (error) {
      log.error("a listener of the cache failed", {
        key: event.key,
        event: event.kind,
        error: messageOf(error),
      });
    }
  };
  const publish = (event: StoreEvent | undefined): void => {
    if (event === undefined) return;
    const current = [...listeners]; // one that subscribes meanwhile has been told of the object as `added`
    for (const listener of current) tell(listener, event);
  };

  const listOnce = async (): Promise<void> => {
    const { items, resourceVersion } = await client.list(type, { ...selection, signal: stopping.signal });
    lastVersion = resourceVersion;
    for (const event of store.replace(items)) publish(event);
    if (isSynced) return;
    isSynced = true;
    synced.resolve(true);
    log.debug("cache synced", { objects: store.size, resourceVersion });
  };

  /** Follows one watch to its end. Throws what ended it unless the server did in peace. */
  const watchOnce = async (resourceVersion: string): Promise<void> => {
    const startedMs = clock.nowMs();
    const idle = createIdleTimer(clock, idleTimeoutMs, stopping.signal);
    let hasEvents = false;
    try {
      const timeoutSeconds = Math.round(MIN_WATCH_SECONDS * (1 + random()));
      const watch = client.watch(type, {
        ...selection,
        resourceVersion,
        timeoutSeconds,
        signal: idle.signal,
      });
      for await (const event of watch) {
        idle.touch();
        failures = 0;
        hasEvents = true;
        if (event.type === "BOOKMARK") lastVersion = event.resourceVersion;
        else {
          lastVersion = event.object.metadata.resourceVersion ?? lastVersion;
          publish(event.type === "DELETED" ? store.remove(event.object) : store.put(event.object));
        }
      }
    } finally {
      idle.cancel();
    }
    failures = hasEvents || clock.nowMs() - startedMs >= SHORT_WATCH_MS ? 0 : failures + 1;
  };

  const run = async (): Promise<void> => {
    let mustList = true;
    while (!stopping.signal.aborted) {
      try {
        if (mustList || lastVersion === undefined) {
          await listOnce();
          mustList = false;
        }
        await watchOnce(lastVersion ?? "");
      } catch (error) {
        if (stopping.signal.aborted) break;
        const isExpired = isWeirError(error, CLUSTER_ERRORS.expired);
        failures += 1;
        mustList ||= isExpired || !isWeirError(error, CLUSTER_ERRORS.unavailable);
        log[failures > 1 || !isExpired ? "warn" : "debug"]("watching failed, trying again", {
          error: messageOf(error),
          failures,
        });
        if (isExpired && failures === 1) continue;
      }
      if (failures >= MAX_WATCH_FAILURES) mustList = true;
      if (failures > 0) await sleep(clock, backoffMs(failures - 1, { ...BACKOFF, random }), stopping.signal);
    }
  };

  return {
    type,
    store,
    hasSynced: () => isSynced,
    waitForSync: (signal) => Promise.race([synced.promise, abortedFalse(signal)]),
    lastSyncResourceVersion: () => lastVersion,
    subscribe(listener) {
      listeners.add(listener);
      for (const key of store.keys()) {
        const object = store.get(key);
        if (object !== undefined) tell(listener, { kind: "added", key, object });
      }
      return () => void listeners.delete(listener);
    },
    start() {
      running ??= run().catch((error: unknown) => {
        // run() catches what servers do; what arrives here is a bug in weir and must be seen.
        log.error("the reflector ended by a bug", { error: messageOf(error) });
        throw error;
      });
    },
    async stop() {
      stopping.abort();
      synced.resolve(false);
      await running;
    },
  };
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
