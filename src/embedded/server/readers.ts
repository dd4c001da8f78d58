// Reading: get, list with pages, and watch, as JSON or as Tables. Pages are of one moment: what is left after the first page is
// kept under a token, bounded in number and time; a token that is gone is answered with 410, and the client lists anew.
import { randomUUID } from "node:crypto";
import { apiVersionOf } from "../../api/api.ts";
import type { Clock } from "../../lib/clock.ts";
import { type Answer, answerStream, answerText } from "./answer.ts";
import { apiError, expired, notFound } from "./errors.ts";
import { type Kind, subjectOf } from "./kinds.ts";
import { parseVersion, type Query } from "./query.ts";
import { parseSelector, type Selector } from "./selectors.ts";
import { parsed, type Store } from "./store.ts";
import { isTableWanted, jsonFormat, tableFormat, tableText } from "./tables.ts";
import { bookmarkLine, changeLine, type EventFormat, Watcher, type WatchHub } from "./watch.ts";

/** Lists of which further pages may be asked for, at most. */
const MAX_OPEN_LISTS = 32;
const OPEN_LIST_MS = 5 * 60_000;
/** Open watches at most; beyond it clients are told to try again. */
export const MAX_WATCHES = 2048;

export interface ReaderContext {
  readonly store: Store;
  readonly hub: WatchHub;
  readonly clock: Clock;
}

/** One read, parsed. */
export interface ReadRequest {
  readonly kind: Kind;
  /** All namespaces when undefined. */
  readonly namespace: string | undefined;
  readonly query: Query;
  readonly accept: string;
  readonly signal: AbortSignal | undefined;
}

export interface Readers {
  get(request: ReadRequest, name: string): Answer;
  list(request: ReadRequest): Answer;
  watch(request: ReadRequest): Answer;
}

interface OpenList {
  readonly texts: readonly string[];
  readonly version: number;
  readonly atMs: number;
}

/** Builds the readers over a store. */
export function createReaders(context: ReaderContext): Readers {
  const { store, clock } = context;
  const open = new Map<string, OpenList>();

  const get: Readers["get"] = ({ kind, namespace, accept, query }, name) => {
    const stored = store.get(kind, namespace ?? "", name);
    if (stored === undefined) throw notFound(subjectOf(kind, name));
    if (!isTableWanted(accept)) return answerText(200, stored.text);
    const list = { texts: [stored.text], version: stored.object.metadata.resourceVersion ?? "" };
    return answerText(200, tableText(kind, list, query.includeObject, clock.nowMs()));
  };

  const list: Readers["list"] = (request) => {
    const { kind, query, accept } = request;
    const { texts, version } =
      query.continueToken === undefined ? select(request) : resume(query.continueToken);
    const isCut = query.limit > 0 && texts.length > query.limit;
    const page = isCut ? texts.slice(0, query.limit) : texts;
    const metadata = {
      resourceVersion: String(version),
      ...(isCut ? keep(texts.slice(query.limit), version) : {}),
    };
    if (isTableWanted(accept)) {
      const shown = { texts: page, version: String(version), metadata };
      return answerText(200, tableText(kind, shown, query.includeObject, clock.nowMs()));
    }
    const head = `{"kind":"${kind.type.kind}List","apiVersion":"${apiVersionOf(kind.type)}"`;
    return answerText(200, `${head},"metadata":${JSON.stringify(metadata)},"items":[${page.join(",")}]}`);
  };

  const select = ({ kind, namespace, query }: ReadRequest): OpenList => {
    const selector = parseSelector(kind, query.labelSelector, query.fieldSelector);
    checkListVersion(query, store.version());
    const texts = selectTexts(store, kind, namespace, selector);
    return { texts, version: store.version(), atMs: clock.nowMs() };
  };

  const keep = (
    texts: readonly string[],
    version: number,
  ): { continue: string; remainingItemCount: number } => {
    const atMs = clock.nowMs();
    for (const [token, list] of open)
      if (atMs - list.atMs > OPEN_LIST_MS || open.size >= MAX_OPEN_LISTS) open.delete(token);
    const token = randomUUID();
    open.set(token, { texts, version, atMs });
    return { continue: token, remainingItemCount: texts.length };
  };

  // The token stays valid, so that a client may ask for the same page again.
  const resume = (token: string): OpenList => {
    const list = open.get(token);
    if (list === undefined || clock.nowMs() - list.atMs > OPEN_LIST_MS)
      throw expired("the provided continue parameter is too old: start the list again without it");
    return list;
  };

  return { get, list, watch: (request) => openWatch(context, request) };
}

function checkListVersion(query: Query, version: number): void {
  if (query.resourceVersion === undefined) return;
  const wanted = parseVersion(query.resourceVersion);
  if (query.resourceVersionMatch === "Exact" && wanted !== version)
    throw expired(
      `The provided resource version ${wanted} is not available: only the newest, ${version}, is`,
    );
  if (wanted > version)
    throw apiError(504, "Timeout", `Too large resource version: ${wanted}, current: ${version}`, {
      retryAfterSeconds: 1,
    });
}

function selectTexts(
  store: Store,
  kind: Kind,
  namespace: string | undefined,
  selector: Selector,
): readonly string[] {
  if (selector.isEverything) return store.list(kind, namespace);
  const isDirect = selector.name !== undefined && (namespace !== undefined || !kind.type.isNamespaced);
  if (isDirect) {
    const stored = store.get(kind, namespace ?? "", selector.name ?? "");
    return stored !== undefined && selector.matches(stored.object) ? [stored.text] : [];
  }
  return store.list(kind, namespace).filter((text) => selector.matches(parsed(text).object));
}

/** Opens a watch: what must be replayed is queued at once, in the same turn as the subscription, so nothing is missed. */
function openWatch({ store, hub, clock }: ReaderContext, request: ReadRequest): Answer {
  const { kind, namespace, query, signal } = request;
  if (hub.count() >= MAX_WATCHES)
    throw apiError(429, "TooManyRequests", `${MAX_WATCHES} watches are open: close some`, {
      retryAfterSeconds: 5,
    });
  const selector = parseSelector(kind, query.labelSelector, query.fieldSelector);
  const format = isTableWanted(request.accept)
    ? tableFormat(kind, query.includeObject, () => clock.nowMs())
    : jsonFormat(kind);
  const watcher = new Watcher({
    kind: kind.id,
    namespace,
    selector,
    format,
    wantsBookmarks: query.wantsBookmarks,
  });
  const contentType = "application/json";
  const isFromState =
    query.sendsInitialEvents || query.resourceVersion === undefined || query.resourceVersion === "0";
  const gone =
    query.resourceVersion === undefined
      ? undefined
      : whyExpired(parseVersion(query.resourceVersion), store, isFromState);
  if (gone !== undefined) return answerStream(contentType, once(gone));
  if (isFromState) {
    for (const text of selectTexts(store, kind, namespace, selector))
      watcher.sendInitial(lineOf(format, text));
    if (query.sendsInitialEvents) watcher.sendInitial(bookmarkLine(format, store.version(), true));
  } else {
    for (const change of store.changesAfter(kind, parseVersion(query.resourceVersion ?? ""))) {
      const line = changeLine(watcher.options, change, new Map());
      if (line !== undefined) watcher.sendInitial(line);
    }
  }
  hub.add(watcher);
  const timer =
    query.timeoutSeconds === undefined || query.timeoutSeconds === 0
      ? undefined
      : clock.after(query.timeoutSeconds * 1000, () => {
          if (query.wantsBookmarks) watcher.send(bookmarkLine(format, store.version(), false));
          watcher.end();
        });
  const stop = (): void => {
    timer?.cancel();
    watcher.end();
    hub.remove(watcher);
    signal?.removeEventListener("abort", stop);
  };
  if (signal?.aborted) stop();
  else signal?.addEventListener("abort", stop, { once: true });
  return answerStream(contentType, deliver(watcher, stop, signal));
}

async function* deliver(
  watcher: Watcher,
  stop: () => void,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  try {
    for (;;) {
      const lines = await watcher.take();
      if (lines === undefined || signal?.aborted) return;
      yield lines;
    }
  } finally {
    stop();
  }
}

function lineOf(format: EventFormat, text: string): Uint8Array {
  const { object } = parsed(text);
  return Buffer.from(`${format.event("ADDED", object, text)}\n`);
}

/** The ERROR event for a version that cannot be continued from. A version of the future belongs to a state that is no more. */
function whyExpired(from: number, store: Store, isFromState: boolean): Uint8Array | undefined {
  if ((isFromState || from >= store.oldestVersion()) && from <= store.version()) return undefined;
  const message =
    from > store.version()
      ? `resource version ${from} is not of this state (newest: ${store.version()})`
      : `too old resource version: ${from} (${store.oldestVersion()})`;
  const status = {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason: "Expired",
    code: 410,
  };
  return Buffer.from(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
