// The cluster client over a Transport: builds requests, reads raw JSON, maps failures. One request per call, no retry inside;
// only a list reads several pages. Holds no state but its options.
import { apiVersionOf, type KubeObject, type ResourceType } from "../api/api.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { isWeirError, WeirError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import type {
  ClusterClient,
  DeleteOptions,
  ListOptions,
  ObjectList,
  Patch,
  Transport,
  TransportRequest,
  TransportResponse,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
import { CLUSTER_ERRORS, errorOfResponse, errorOfStatus } from "./errors.ts";
import { readLines, readText } from "./lines.ts";
import { collectionPath, objectPath, query, requireNamespace } from "./paths.ts";

export interface ClusterClientOptions {
  readonly clock?: Clock;
  /** Longest wait for a whole answer, for a watch until its head. Default 30 000. */
  readonly timeoutMs?: number;
  /** Objects per page of a list. Default 500, as kubectl. */
  readonly pageSize?: number;
  /** Default `weir`. */
  readonly userAgent?: string;
}

/** Named in managedFields of every write. */
export const FIELD_MANAGER = "weir";
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_PAGE_SIZE = 500;

const PATCH_TYPES: Readonly<Record<Patch["type"], string>> = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
};

interface Call {
  readonly method: TransportRequest["method"];
  readonly path: string;
  /** Of what the request is, for messages: `get Pod a/b`. */
  readonly what: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Builds the client. It does not own the transport: closing that is the caller's. */
export function createClusterClient(transport: Transport, options: ClusterClientOptions = {}): ClusterClient {
  const send = createSender(transport, options);
  const pageSize = options.pageSize ?? DEFAULT_PAGE_SIZE;
  const json = async (call: Call): Promise<unknown> => {
    const { text } = await send.whole(call);
    return text === "" ? undefined : parseJson(text, call.what);
  };
  const object = async (type: ResourceType, call: Call): Promise<KubeObject> =>
    asObject(type, await json(call), call.what);
  const write = (options?: WriteOptions): string =>
    query({ fieldManager: FIELD_MANAGER, dryRun: options?.dryRun === true ? "All" : undefined });

  return {
    async get(type, ref, signal) {
      const call: Call = {
        method: "GET",
        path: objectPath(type, ref),
        what: named("get", type, ref),
        signal,
      };
      return absent(object(type, call));
    },
    list: (type, options = {}) => listAll(json, type, options, pageSize),
    watch: (type, options) => watchEvents(send, type, options),
    async create(type, created, signal, options) {
      const { namespace, name } = created.metadata;
      requireNamespace(type, namespace);
      const path = collectionPath(type, namespace) + write(options);
      const what = named("create", type, { name, ...(namespace === undefined ? {} : { namespace }) });
      return object(type, { method: "POST", path, what, body: created, signal });
    },
    async update(type, updated, options) {
      const path = objectPath(type, updated.metadata, options?.subresource) + write(options);
      const what = named("update", type, updated.metadata, options?.subresource);
      return object(type, { method: "PUT", path, what, body: updated, signal: options?.signal });
    },
    async patch(type, ref, patch, options) {
      const path = objectPath(type, ref, options?.subresource) + write(options);
      const what = named("patch", type, ref, options?.subresource);
      const contentType = PATCH_TYPES[patch.type];
      return object(type, {
        method: "PATCH",
        path,
        what,
        body: patch.body,
        contentType,
        signal: options?.signal,
      });
    },
    async delete(type, ref, options = {}) {
      const call: Call = {
        method: "DELETE",
        path: objectPath(type, ref),
        what: named("delete", type, ref),
        body: deleteBody(options),
        signal: options.signal,
      };
      await absent(json(call));
    },
    request: (method, path, options = {}) => json({ method, path, what: `${method} ${path}`, ...options }),
  };
}

interface Sender {
  /** The answer's body as text. Throws the error of any status of 400 and above. */
  whole(call: Call): Promise<{ readonly text: string }>;
  /** The answer as it begins; the time limit holds until then, the signal until its end. */
  open(call: Call): Promise<TransportResponse>;
}

function createSender(transport: Transport, options: ClusterClientOptions): Sender {
  const clock = options.clock ?? systemClock;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const userAgent = options.userAgent ?? "weir";

  const exchange = (call: Call, signal: AbortSignal): Promise<TransportResponse> =>
    transport.request({
      method: call.method,
      path: call.path,
      headers: {
        accept: "application/json",
        "user-agent": userAgent,
        ...(call.body === undefined ? {} : { "content-type": call.contentType ?? "application/json" }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      signal,
    });

  /** Runs `read` under the time limit and the caller's signal, and says in the error which of them ended it. */
  const limited = async <T>(
    call: Call,
    abort: AbortController,
    read: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    if (call.signal?.aborted) throw aborted(call.what, call.signal.reason);
    let isLate = false;
    const timer = clock.after(timeoutMs, () => {
      isLate = true;
      abort.abort();
    });
    try {
      return await read(abort.signal);
    } catch (error) {
      if (isLate) throw late(call.what, timeoutMs, error);
      if (call.signal?.aborted) throw aborted(call.what, error);
      if (isWeirError(error)) throw error;
      throw broken(call.what, error);
    } finally {
      timer.cancel();
    }
  };

  return {
    async whole(call) {
      const abort = new AbortController();
      const stop = follow(call.signal, abort);
      try {
        return await limited(call, abort, async (signal) => {
          const response = await exchange(call, signal);
          const text = await readText(response.body);
          if (response.status >= 400) throw errorOfResponse(response.status, text, call.what);
          return { text };
        });
      } finally {
        stop();
      }
    },
    async open(call) {
      const abort = new AbortController();
      follow(call.signal, abort);
      return limited(call, abort, async (signal) => {
        const response = await exchange(call, signal);
        if (response.status < 400) return response;
        throw errorOfResponse(response.status, await readText(response.body), call.what);
      });
    },
  };
}

/** Aborts `abort` with `signal`; returns how to stop following. */
function follow(signal: AbortSignal | undefined, abort: AbortController): () => void {
  if (signal === undefined) return () => undefined;
  const onAbort = (): void => abort.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return () => signal.removeEventListener("abort", onAbort);
}

async function listAll(
  json: (call: Call) => Promise<unknown>,
  type: ResourceType,
  options: ListOptions,
  pageSize: number,
): Promise<ObjectList> {
  const what = named("list", type, { namespace: options.namespace });
  const page = async (limit: number | undefined, token: string | undefined): Promise<Page> => {
    const parameters = { ...selectorsOf(options), limit, continue: token };
    const path = collectionPath(type, options.namespace) + query(parameters);
    return readPage(type, await json({ method: "GET", path, what, signal: options.signal }), what);
  };
  const items: KubeObject[] = [];
  for (let token: string | undefined; ; ) {
    try {
      const read = await page(pageSize, token);
      for (const item of read.items) items.push(item);
      token = read.continueToken;
      if (token === undefined) return { items, resourceVersion: read.resourceVersion };
    } catch (error) {
      // The snapshot behind the token is gone: read everything in one answer, which needs none. Source: client-go pager.
      if (token === undefined || !isWeirError(error, CLUSTER_ERRORS.expired)) throw error;
      const whole = await page(undefined, undefined);
      return { items: whole.items, resourceVersion: whole.resourceVersion };
    }
  }
}

interface Page extends ObjectList {
  readonly continueToken: string | undefined;
}

function readPage(type: ResourceType, body: unknown, what: string): Page {
  const metadata = isObject(body) ? body.metadata : undefined;
  if (!isObject(body) || !isObject(metadata) || typeof metadata.resourceVersion !== "string")
    throw broken(what, new Error("the answer is no list with a resourceVersion"));
  // Go writes no items as null. Anything else without items is no list, and above all no empty one.
  const isEmpty = body.items === null && typeof body.kind === "string" && body.kind.endsWith("List");
  const items = isEmpty ? [] : body.items;
  if (!Array.isArray(items)) throw broken(what, new Error("the answer is a list without items"));
  const token =
    typeof metadata.continue === "string" && metadata.continue !== "" ? metadata.continue : undefined;
  return {
    items: items.map((item: unknown) => asObject(type, item, what)),
    resourceVersion: metadata.resourceVersion,
    continueToken: token,
  };
}

async function* watchEvents(
  send: Sender,
  type: ResourceType,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, void> {
  const { signal } = options;
  const what = named("watch", type, { namespace: options.namespace });
  const parameters = {
    ...selectorsOf(options),
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion: options.resourceVersion,
    timeoutSeconds: options.timeoutSeconds,
    ...(options.sendInitialEvents === true
      ? { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" }
      : {}),
  };
  const path = collectionPath(type, options.namespace) + query(parameters);
  const stop = new AbortController();
  const unfollow = follow(signal, stop);
  try {
    const response = await send.open({ method: "GET", path, what, signal: stop.signal });
    for await (const line of readLines(response.body)) {
      yield readEvent(type, parseJson(line, what), what);
      if (signal?.aborted) return;
    }
  } catch (error) {
    if (signal?.aborted) return;
    if (isWeirError(error)) throw error;
    throw broken(what, error);
  } finally {
    unfollow();
    stop.abort(); // the reader may have left in the middle of the stream
  }
}

function readEvent(type: ResourceType, event: unknown, what: string): WatchEvent {
  if (!isObject(event) || !isObject(event.object)) throw broken(what, new Error("a line is no watch event"));
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type: event.type, object: asObject(type, event.object, what) };
    case "BOOKMARK": {
      const { metadata } = asObject(type, event.object, what);
      const isInitialEnd = metadata.annotations?.["k8s.io/initial-events-end"] === "true";
      return { type: "BOOKMARK", resourceVersion: metadata.resourceVersion ?? "", isInitialEnd };
    }
    case "ERROR": {
      const code = event.object.code;
      throw errorOfStatus(event.object, typeof code === "number" ? code : 500, what);
    }
    default:
      throw broken(what, new Error(`unknown watch event ${JSON.stringify(event.type)}`));
  }
}

function selectorsOf(options: ListOptions): Readonly<Record<string, string | undefined>> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}

function deleteBody(options: DeleteOptions): Readonly<Record<string, unknown>> {
  const { uid, resourceVersion, gracePeriodSeconds } = options;
  const preconditions = {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  return {
    kind: "DeleteOptions",
    apiVersion: "v1",
    propagationPolicy: options.propagationPolicy ?? "Background",
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
    ...(options.dryRun === true ? { dryRun: ["All"] } : {}),
  };
}

/** Undefined for an object that is not there; a kind or path that the server does not know stays an error. */
async function absent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isWeirError(error, CLUSTER_ERRORS.notFound) && isObject(error.context.status)) return undefined;
    throw error;
  }
}

/** The items of a list and the objects of built-in kinds come without apiVersion and kind: they are filled in. */
function asObject(type: ResourceType, value: unknown, what: string): KubeObject {
  if (!isObject(value) || !isObject(value.metadata)) throw broken(what, new Error("the answer is no object"));
  const { apiVersion, kind } = value;
  const typed = { apiVersion: apiVersion ?? apiVersionOf(type), kind: kind ?? type.kind, ...value };
  return typed as unknown as KubeObject; // the server's own shape: metadata is an object, what is in it is the server's word
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw broken(what, error);
  }
}

function named(
  verb: string,
  type: ResourceType,
  ref: { readonly namespace?: string | undefined; readonly name?: string },
  subresource?: string,
): string {
  const path = [ref.namespace, ref.name].filter((part) => part !== undefined && part !== "").join("/");
  return `${verb} ${type.kind}${path === "" ? "" : ` ${path}`}${subresource === undefined ? "" : ` (${subresource})`}`;
}

function broken(what: string, cause: unknown): WeirError {
  return new WeirError({
    code: CLUSTER_ERRORS.unavailable,
    source: "upstream",
    retry: "yes",
    message: `${what}: the exchange with the API server broke off: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause,
  });
}

function late(what: string, timeoutMs: number, cause: unknown): WeirError {
  return new WeirError({
    code: CLUSTER_ERRORS.unavailable,
    source: "upstream",
    retry: "yes",
    message: `${what}: no answer from the API server within ${timeoutMs} ms`,
    cause,
  });
}

function aborted(what: string, cause: unknown): WeirError {
  return new WeirError({ code: CLUSTER_ERRORS.aborted, message: `${what}: ended by the caller`, cause });
}
