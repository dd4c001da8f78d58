// GET pods/NAME/log: checks the request against the pod and streams what the node agent hands out.
import { messageOf, WeirError } from "../../lib/errors.ts";
import { type Answer, answerStream } from "./answer.ts";
import { apiError, badRequest, notFound, SERVER_ERRORS } from "./errors.ts";
import { listAt, stringAt } from "./fields.ts";
import { findKind, subjectOf } from "./kinds.ts";
import type { Query } from "./query.ts";
import type { Store } from "./store.ts";

/** What is asked of the node agent. */
export interface LogRequest {
  readonly namespace: string;
  readonly pod: string;
  /** metadata.uid of the pod. */
  readonly uid: string;
  readonly container: string;
  /** The run before the current one. */
  readonly previous: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  /** Aborts when the client has gone. */
  readonly signal?: AbortSignal;
}

/** Hands out a container's log. A rejection (or a throw of the first read) becomes 400 with its words. */
export type LogProvider = (
  request: LogRequest,
) => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>;

export interface PodLogRequest {
  readonly namespace: string;
  readonly name: string;
  readonly query: Query;
  readonly signal: AbortSignal | undefined;
}

export interface PodLogContext {
  readonly store: Store;
  readonly logProvider: () => LogProvider | undefined;
}

/** Streams a log as plain text; 400 when the container is not named and there are several, or is unknown. */
export async function podLog(context: PodLogContext, request: PodLogRequest): Promise<Answer> {
  const { namespace, name, query, signal } = request;
  const kind = findKind("", "v1", "pods");
  const pod = kind === undefined ? undefined : context.store.get(kind, namespace, name)?.object;
  if (kind === undefined) throw new WeirError({ code: SERVER_ERRORS.api, message: "pods are not served" });
  if (pod === undefined) throw notFound(subjectOf(kind, name));
  const container = chooseContainer(name, pod, query.raw.get("container") ?? "");
  const provider = context.logProvider();
  if (provider === undefined)
    throw apiError(
      503,
      "ServiceUnavailable",
      `no node agent that keeps the logs of pod ${name} runs beside this server`,
    );
  const tailLines = wholeNumber(query, "tailLines");
  const sinceSeconds = wholeNumber(query, "sinceSeconds") ?? sinceTime(query, Date.now());
  const limitBytes = wholeNumber(query, "limitBytes");
  const asked: LogRequest = {
    namespace,
    pod: name,
    uid: pod.metadata.uid ?? "",
    container,
    previous: query.raw.get("previous") === "true",
    follow: query.raw.get("follow") === "true",
    timestamps: query.raw.get("timestamps") === "true",
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
    ...(signal === undefined ? {} : { signal }),
  };
  return answerStream("text/plain; charset=utf-8", limited(await begun(provider, asked), limitBytes));
}

/** The container asked for, or the only one (or the one the pod names as default). */
function chooseContainer(name: string, pod: unknown, asked: string): string {
  const names = [...listAt(pod, "spec.initContainers"), ...listAt(pod, "spec.containers")].map(
    (container) => stringAt(container, "name") ?? "",
  );
  const main = listAt(pod, "spec.containers").map((container) => stringAt(container, "name") ?? "");
  if (asked === "" && main.length === 1) return main[0] ?? "";
  if (asked === "")
    throw badRequest(
      `a container name must be specified for pod ${name}, choose one of: [${names.join(" ")}]`,
    );
  if (!names.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${name}`);
  return asked;
}

/** Waits for the first chunk, so that a log that cannot be read is an error and not an empty answer. */
async function begun(provider: LogProvider, request: LogRequest): Promise<AsyncIterable<Uint8Array>> {
  try {
    const iterator = (await provider(request))[Symbol.asyncIterator]();
    if (request.follow) return { [Symbol.asyncIterator]: () => iterator };
    const first = await iterator.next();
    return resumed(first, iterator);
  } catch (error) {
    throw badRequest(messageOf(error));
  }
}

async function* resumed(
  first: IteratorResult<Uint8Array>,
  iterator: AsyncIterator<Uint8Array>,
): AsyncIterable<Uint8Array> {
  try {
    for (let result = first; result.done !== true; result = await iterator.next()) yield result.value;
  } finally {
    await iterator.return?.();
  }
}

async function* limited(
  body: AsyncIterable<Uint8Array>,
  limitBytes: number | undefined,
): AsyncIterable<Uint8Array> {
  let left = limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const chunk of body) {
    yield chunk.byteLength <= left ? chunk : chunk.subarray(0, left);
    left -= chunk.byteLength;
    if (left <= 0) return;
  }
}

function wholeNumber(query: Query, name: string): number | undefined {
  const text = query.raw.get(name);
  if (text === null || text === "") return undefined;
  if (!/^\d{1,12}$/.test(text))
    throw badRequest(`${name} must be a whole number, not ${JSON.stringify(text)}`);
  return Number(text);
}

function sinceTime(query: Query, nowMs: number): number | undefined {
  const text = query.raw.get("sinceTime");
  if (text === null || text === "") return undefined;
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw badRequest(`sinceTime must be an RFC 3339 time, not ${JSON.stringify(text)}`);
  return Math.max(0, (nowMs - atMs) / 1000);
}
