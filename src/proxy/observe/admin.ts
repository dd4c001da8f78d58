// The admin port: readiness, metrics, what is in force, for operators and probes. It should listen on loopback; where it does not, others than
// programs on this machine get readiness and metrics only.
//
// | path | answer |
// |---|---|
// | /ready | 200 once the first complete configuration is in force and the proxy does not drain, else 503 and why |
// | /metrics, /stats/prometheus, /stats?format=prometheus | Prometheus text (exposition.ts) |
// | /stats, /stats?format=json | all counters and latency buckets, as lines or JSON (adminstats.ts) |
// | /clusters, /clusters?format=json | clusters and endpoints with health, bounds and counts (adminclusters.ts) |
// | /config_dump | listeners, routes, clusters and endpoints in force, as JSON without secrets (configdump.ts) |
// | POST /reopen_logs | opens the files of access logs anew, as SIGUSR1 does |
// | POST /drain_listeners | stops accepting; connections end with their next answer |
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf, WeirError } from "../../lib/errors.ts";
import type { Core } from "../core.ts";
import { LISTEN_FAILED } from "../http1/listener.ts";
import { clustersJson, clustersText } from "./adminclusters.ts";
import { statsJson, statsText } from "./adminstats.ts";
import { type ConfigSource, configDump } from "./configdump.ts";
import { expose } from "./exposition.ts";

const PROMETHEUS = "text/plain; version=0.0.4";
const JSON_TYPE = "application/json";
/** Paths that change something: POST only. */
const CHANGES = new Set(["/drain_listeners", "/reopen_logs"]);
/** What tells nothing about the configuration but names. */
const FOR_ALL = new Set(["/ready", "/metrics", "/stats/prometheus"]);
const PATHS = "/ready /metrics /stats /clusters /config_dump, POST /drain_listeners /reopen_logs";
/** A reader that takes nothing for so long is given up. */
const STALLED_READER_MS = 10_000;

export interface AdminDeps extends ConfigSource {
  readonly core: Core;
  /** Empty when ready, else why not. */
  readonly unreadyReason: () => string;
  /** Brings counts that others keep up to date. */
  readonly refresh: () => Promise<void>;
  readonly reopenLogs: () => void;
  /** Begins to drain; idempotent. */
  readonly drain: () => void;
}

/** A running admin port. */
export interface Admin {
  readonly port: number;
  close(): void;
}

/** Opens the admin port. Rejects with LISTEN_FAILED. */
export function openAdmin(deps: AdminDeps, address: string, port: number): Promise<Admin> {
  const server = createServer((request, response) => {
    answer(deps, request, response).catch((error: unknown) => {
      deps.core.log.warn("admin request failed", { url: request.url ?? "", error: messageOf(error) });
      response.destroy();
    });
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const message = `the admin port ${address}:${port} cannot be opened: ${messageOf(error)}; choose another port or end what uses it`;
      reject(new WeirError({ code: LISTEN_FAILED, source: "user", message, cause: error }));
    });
    server.listen({ host: address, port }, () => {
      server.unref();
      resolve({ port: portOf(server), close: () => closeAll(server) });
    });
  });
}

async function answer(deps: AdminDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { core } = deps;
  const send = (status: number, body: string): void => {
    response.writeHead(status, { "content-type": "text/plain", "cache-control": "no-store" }).end(body);
  };
  const url = URL.parse(request.url ?? "/", "http://admin");
  if (url === null) return send(400, "malformed target\n");
  const { pathname: path, searchParams } = url;
  const mayRead = request.method === "GET" || request.method === "HEAD";
  if (CHANGES.has(path) ? request.method !== "POST" : !mayRead)
    return send(405, `${path} takes ${CHANGES.has(path) ? "POST" : "GET"}\n`);
  const { origin } = request.headers;
  if (!mayAsk(path, request.socket.remoteAddress ?? "", origin !== undefined))
    return send(403, `${path} is for programs on this machine\n`);
  const isReady = deps.unreadyReason() === "";
  switch (path) {
    case "/ready":
      return send(isReady ? 200 : 503, isReady ? "ready\n" : `not ready: ${deps.unreadyReason()}\n`);
    case "/metrics":
    case "/stats/prometheus":
      await deps.refresh();
      return sendSlices(response, PROMETHEUS, expose(core, isReady));
    case "/stats":
      await deps.refresh();
      switch (searchParams.get("format") ?? "text") {
        case "prometheus":
          return sendSlices(response, PROMETHEUS, expose(core, isReady));
        case "json":
          return sendSlices(response, JSON_TYPE, statsJson(core));
        case "text":
          return sendSlices(response, "text/plain", statsText(core));
        default:
          return send(400, "format is text, json or prometheus\n");
      }
    case "/clusters": {
      await deps.refresh();
      const clusters = [...core.clusters.values()];
      return searchParams.get("format") === "json"
        ? sendSlices(response, JSON_TYPE, clustersJson(clusters))
        : sendSlices(response, "text/plain", clustersText(clusters));
    }
    case "/config_dump":
      return sendSlices(response, JSON_TYPE, configDump(deps));
    case "/drain_listeners":
      deps.drain();
      return send(200, "draining\n");
    case "/reopen_logs":
      deps.reopenLogs();
      return send(200, "reopened\n");
    default:
      return send(404, `paths: ${PATHS}\n`);
  }
}

/** Probes and scrapes may come from anywhere, the rest from this machine only, and changes not from a page in a browser on it. */
export function mayAsk(path: string, from: string, hasOrigin: boolean): boolean {
  if (FOR_ALL.has(path)) return true;
  const isLocal = /^(?:::ffff:)?127\./.test(from) || from === "::1";
  return isLocal && !(hasOrigin && CHANGES.has(path));
}

/** Sends piece by piece: other work runs in between, and no more is made than the reader takes. */
async function sendSlices(response: ServerResponse, type: string, slices: Iterable<string>): Promise<void> {
  response.writeHead(200, { "content-type": type, "cache-control": "no-store" });
  for (const slice of slices) {
    if (response.destroyed) return;
    if (response.write(slice)) await nextTurn();
    else await once(response, "drain", { signal: AbortSignal.timeout(STALLED_READER_MS) });
  }
  response.end();
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function closeAll(server: Server): void {
  server.close();
  server.closeAllConnections();
}
