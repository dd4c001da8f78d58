// A started embedded server and a plain JSON client for it, for the tests of this room.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Transport, TransportRequest } from "../../src/cluster/client.ts";
import {
  createEmbeddedServer,
  type EmbeddedServer,
  type EmbeddedServerOptions,
} from "../../src/embedded/embedded.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
export type Any = any;

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Any;
}

export interface Api {
  call(
    method: TransportRequest["method"],
    path: string,
    body?: unknown,
    contentType?: string,
  ): Promise<Reply>;
  get(path: string, accept?: string): Promise<Reply>;
  post(path: string, body: unknown): Promise<Reply>;
  put(path: string, body: unknown): Promise<Reply>;
  /** A merge patch. */
  patch(path: string, body: unknown): Promise<Reply>;
  delete(path: string, body?: unknown): Promise<Reply>;
  /** Events of a watch as they come; `stop` ends it. */
  watch(path: string, accept?: string): { readonly events: AsyncGenerator<Any, void>; stop(): void };
}

interface Teardown {
  teardown(handler: () => Promise<unknown> | unknown): unknown;
}

export const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/** A server in memory, or with other options; closed at the end of the test. */
export async function startServer(
  t: Teardown,
  options: Partial<EmbeddedServerOptions> = {},
): Promise<{ readonly server: EmbeddedServer; readonly api: Api }> {
  const server = await createEmbeddedServer({
    stateDir: ":memory:",
    clock: systemClock,
    log: silentLogger,
    ...options,
  });
  t.teardown(() => server.close());
  return { server, api: apiOver(server.transport()) };
}

/** A folder of its own, removed at the end of the test. */
export function temporaryFolder(t: Teardown): string {
  const dir = mkdtempSync(join(tmpdir(), "weir-server-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function apiOver(transport: Transport): Api {
  const call = async (
    method: TransportRequest["method"],
    path: string,
    body?: unknown,
    contentType = "application/json",
    accept = "application/json",
  ): Promise<Reply> => {
    const text = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
    const response = await transport.request({
      method,
      path,
      headers: { accept, "content-type": contentType },
      ...text,
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    const whole = Buffer.concat(chunks).toString();
    const isJson = /json/.test(response.headers["content-type"] ?? "");
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(whole) : whole };
  };
  return {
    call,
    get: (path, accept) => call("GET", path, undefined, undefined, accept),
    post: (path, body) => call("POST", path, body),
    put: (path, body) => call("PUT", path, body),
    patch: (path, body) => call("PATCH", path, body, "application/merge-patch+json"),
    delete: (path, body) => call("DELETE", path, body),
    watch: (path, accept = "application/json") => {
      const abort = new AbortController();
      return { events: events(transport, path, accept, abort.signal), stop: () => abort.abort() };
    },
  };
}

async function* events(
  transport: Transport,
  path: string,
  accept: string,
  signal: AbortSignal,
): AsyncGenerator<Any, void> {
  const response = await transport.request({ method: "GET", path, headers: { accept }, signal });
  let rest = "";
  for await (const chunk of response.body) {
    const lines = (rest + Buffer.from(chunk).toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/** The next `count` events. */
export async function take(events: AsyncGenerator<Any, void>, count: number): Promise<Any[]> {
  const taken: Any[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

/** A clock that stands still until it is moved. */
export function manualClock(
  startMs = Date.parse("2026-01-01T00:00:00Z"),
): Clock & { advance(ms: number): void } {
  let nowMs = startMs;
  const timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();
  return {
    nowMs: () => nowMs,
    steadyMs: () => nowMs,
    after: (delayMs, fire) => {
      const timer = { atMs: nowMs + delayMs, fire };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    advance: (ms) => {
      const endMs = nowMs + ms;
      for (;;) {
        const due = [...timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (due === undefined) break;
        timers.delete(due);
        nowMs = due.atMs;
        due.fire();
      }
      nowMs = endMs;
    },
  };
}

export const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
export const PODS = "/api/v1/namespaces/default/pods";
export const ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts";
export const REPLICA_SETS = "/apis/apps/v1/namespaces/default/replicasets";

export function configMap(name: string, more: Readonly<Record<string, unknown>> = {}, metadata = {}): Any {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, ...metadata }, ...more };
}

export function pod(name: string, metadata = {}, spec = {}): Any {
  const containers = [{ name: "main", image: "app:1" }];
  return { apiVersion: "v1", kind: "Pod", metadata: { name, ...metadata }, spec: { containers, ...spec } };
}

export function rollout(name: string, spec = {}, metadata = {}): Any {
  const template = {
    metadata: { labels: { app: name } },
    spec: { containers: [{ name: "main", image: "app:1" }] },
  };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name, ...metadata },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      strategy: { canary: {} },
      template,
      ...spec,
    },
  };
}

export function replicaSet(name: string, metadata = {}, spec = {}): Any {
  const template = {
    metadata: { labels: { app: name } },
    spec: { containers: [{ name: "main", image: "app:1" }] },
  };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name, ...metadata },
    spec: { selector: { matchLabels: { app: name } }, template, ...spec },
  };
}
