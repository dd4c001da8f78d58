// Watches: every change goes once to the watchers of its kind, serialised once per format. A watcher that reads too slowly is
// ended (it lists or continues anew), so that nobody's buffer grows without bound.
import type { KubeObject } from "../../api/api.ts";
import type { Selector } from "./selectors.ts";
import type { Change } from "./store.ts";

/** A watcher with more than this waiting is ended. */
export const WATCH_QUEUE_BYTES = 16 * 1024 * 1024;
export const WATCH_QUEUE_EVENTS = 8192;

export type EventType = Change["type"];

/** How one watcher wants its events written. */
export interface EventFormat {
  /** Watchers of equal keys share what was rendered; undefined: shared with nobody. */
  readonly key: string | undefined;
  /** One line without line feed. */
  event(type: EventType, object: KubeObject, text: string): string;
  /** The object of a bookmark at `version`. */
  bookmark(version: number, isInitialEnd: boolean): string;
}

export interface WatchOptions {
  /** Kind.id */
  readonly kind: string;
  /** All namespaces when undefined. */
  readonly namespace: string | undefined;
  readonly selector: Selector;
  readonly format: EventFormat;
  readonly wantsBookmarks: boolean;
}

/** One open watch: a bounded queue of lines. */
export class Watcher {
  readonly options: WatchOptions;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #queuedEvents = 0;
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Queues a line, or ends the watch when the queue is full. */
  send(line: Uint8Array): void {
    if (this.#isEnded) return;
    this.#queue.push(line);
    this.#queuedBytes += line.byteLength;
    this.#queuedEvents += 1;
    const isFull = this.#queuedBytes > WATCH_QUEUE_BYTES || this.#queuedEvents > WATCH_QUEUE_EVENTS;
    if (isFull) this.end();
    else this.#wake?.();
  }

  /** Queues what the watch begins with; its bound is what is stored. */
  sendInitial(line: Uint8Array): void {
    this.#queue.push(line);
  }

  /** What is queued is still delivered. Idempotent. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  /** Takes everything queued; waits while there is nothing; undefined at the end. */
  async take(): Promise<Uint8Array | undefined> {
    while (this.#queue.length === 0) {
      if (this.#isEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const lines = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#queuedEvents = 0;
    return lines.length === 1 ? lines[0] : Buffer.concat(lines);
  }
}

export interface WatchHub {
  add(watcher: Watcher): void;
  remove(watcher: Watcher): void;
  publish(change: Change): void;
  /** Sends a bookmark to every watcher that wants them. */
  bookmarkAll(version: number): void;
  count(): number;
  /** Ends all watches. */
  close(): void;
}

/** Builds the hub that connects the store's changes with the open watches. */
export function createWatchHub(): WatchHub {
  const byKind = new Map<string, Set<Watcher>>();
  const all = (): Watcher[] => [...byKind.values()].flatMap((watchers) => [...watchers]);
  return {
    add: (watcher) => {
      const watchers = byKind.get(watcher.options.kind) ?? new Set();
      byKind.set(watcher.options.kind, watchers.add(watcher));
    },
    remove: (watcher) => void byKind.get(watcher.options.kind)?.delete(watcher),
    publish: (change) => {
      const rendered = new Map<string, Uint8Array>();
      for (const watcher of byKind.get(change.kind) ?? []) tell(watcher, change, rendered);
    },
    bookmarkAll: (version) => {
      for (const watcher of all())
        if (watcher.options.wantsBookmarks)
          watcher.send(bookmarkLine(watcher.options.format, version, false));
    },
    count: () => all().length,
    close: () => {
      for (const watcher of all()) watcher.end();
      byKind.clear();
    },
  };
}

function tell(watcher: Watcher, change: Change, rendered: Map<string, Uint8Array>): void {
  try {
    const line = changeLine(watcher.options, change, rendered);
    if (line !== undefined) watcher.send(line);
  } catch {
    // An object that cannot be shown in this watcher's format must not keep the change from the others: its client lists anew.
    watcher.end();
  }
}

/** The line that tells a watcher of a change, undefined where it is not about what is watched; `rendered` shares lines. */
export function changeLine(
  options: WatchOptions,
  change: Change,
  rendered: Map<string, Uint8Array>,
): Uint8Array | undefined {
  const { namespace, format, selector } = options;
  if (namespace !== undefined && namespace !== change.namespace) return undefined;
  const type = eventType(change, selector);
  if (type === undefined) return undefined;
  const key = format.key === undefined ? undefined : `${type} ${format.key}`;
  const known = key === undefined ? undefined : rendered.get(key);
  const line = known ?? Buffer.from(`${format.event(type, change.object, change.text)}\n`);
  if (key !== undefined && known === undefined) rendered.set(key, line);
  return line;
}

export function bookmarkLine(format: EventFormat, version: number, isInitialEnd: boolean): Uint8Array {
  return Buffer.from(`{"type":"BOOKMARK","object":${format.bookmark(version, isInitialEnd)}}\n`);
}

/** A change as a selector sees it: an object that enters the selection is added, one that leaves it deleted. */
function eventType(change: Change, selector: Selector): EventType | undefined {
  if (selector.isEverything) return change.type;
  const matches = selector.matches(change.object);
  if (change.type !== "MODIFIED") return matches ? change.type : undefined;
  const matched = change.previous === undefined ? matches : selector.matches(change.previous);
  if (matches) return matched ? "MODIFIED" : "ADDED";
  return matched ? "DELETED" : undefined;
}
