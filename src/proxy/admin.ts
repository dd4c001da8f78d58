// The admin port: readiness, metrics, what is in force. For operators and probes on this machine; it changes nothing.
//
// | path | answer |
// |---|---|
// | /ready | 200 once the first complete configuration is in force and the proxy does not drain, else 503 and why |
// | /metrics | Prometheus text (exposition.ts) |
// | /config_dump | listeners, routes, clusters and endpoints in force, as JSON |
// | /stats | counters and latency buckets by route and cluster, as JSON |
import { createServer, type Server, type ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf, WeirError } from "../lib/errors.ts";
import type { XdsClientStatus } from "../xds/client.ts";
import type { Configuration } from "./configuration.ts";
import type { Core } from "./core.ts";
import { expose } from "./exposition.ts";
import { LISTEN_FAILED } from "./listener.ts";
import { snapshotStats } from "./stats.ts";
import { type HeaderRule, type HostTable, PATH, type PairRule, type Route } from "./table.ts";
import { VALUE, type ValueTest } from "./valuetest.ts";

export interface AdminDeps {
  readonly core: Core;
  readonly configuration: Configuration;
  /** Empty when ready, else why not. */
  readonly unreadyReason: () => string;
  /** Undefined: there is no control plane. */
  readonly controlPlaneStatus: () => XdsClientStatus | undefined;
}

/** A running admin port. */
export interface Admin {
  readonly port: number;
  close(): void;
}

/** Opens the admin port. Rejects with LISTEN_FAILED. */
export function openAdmin(deps: AdminDeps, address: string, port: number): Promise<Admin> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://admin").pathname;
    answer(deps, path, response).catch((error: unknown) => {
      deps.core.log.warn("admin request failed", { path, error: messageOf(error) });
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

async function answer(deps: AdminDeps, path: string, response: ServerResponse): Promise<void> {
  const { core } = deps;
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
  };
  switch (path) {
    case "/ready": {
      const reason = deps.unreadyReason();
      return send(
        reason === "" ? 200 : 503,
        "text/plain",
        reason === "" ? "ready\n" : `not ready: ${reason}\n`,
      );
    }
    case "/metrics":
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" });
      for (const slice of expose(core.stats, core.counts, deps.unreadyReason() === "")) {
        response.write(slice);
        await nextTurn();
      }
      response.end();
      return;
    case "/config_dump":
      return send(200, "application/json", `${JSON.stringify(configDump(deps), undefined, 1)}\n`);
    case "/stats": {
      const cells = snapshotStats(core.stats).map(({ values, ...cell }) => ({
        ...cell,
        ...Object.fromEntries(values),
      }));
      return send(200, "application/json", `${JSON.stringify({ counts: core.counts, cells })}\n`);
    }
    default:
      return send(404, "text/plain", "paths: /ready /metrics /config_dump /stats\n");
  }
}

function configDump({ core, configuration, controlPlaneStatus }: AdminDeps): unknown {
  return {
    controlPlane: controlPlaneStatus() ?? null,
    listeners: configuration.listeners.map((listener) => ({
      name: listener.name,
      address: listener.options.address,
      port: listener.port,
      routes: listener.hosts.name,
      connections: listener.connectionCount,
    })),
    routes: configuration.routes.map(dumpTable),
    clusters: [...core.clusters.values()].map((cluster) => ({
      name: cluster.name,
      ...cluster.options,
      connections: cluster.connections,
      active: cluster.active,
      endpoints: cluster.endpoints.map(({ address, port, isUsable, active, idleCount }) => ({
        address,
        port,
        isHealthy: isUsable,
        active,
        idleCount,
      })),
    })),
  };
}

function dumpTable(table: HostTable): unknown {
  const entries = ({ entries }: HostTable["exact"], spell: (part: string) => string) =>
    entries.map(([part, host]) => ({ domain: spell(Buffer.from(part).toString("latin1")), host }));
  const hosts = [
    ...entries(table.exact, (part) => part),
    ...entries(table.suffixes, (part) => `*${part}`),
    ...entries(table.prefixes, (part) => `${part}*`),
    ...(table.any === null ? [] : [{ domain: "*", host: table.any }]),
  ];
  return {
    name: table.name,
    version: table.version,
    hosts: hosts.map(({ domain, host }) => ({ domain, name: host.name, routes: host.routes.map(dumpRoute) })),
  };
}

function dumpRoute(route: Route): unknown {
  const { match } = route;
  return {
    name: route.name,
    match: ["prefix", "exact", "separated prefix", "pattern"][match.pathKind],
    ...(match.pathKind === PATH.VALUE
      ? dumpTest(match.pathTest)
      : { path: Buffer.from(match.path).toString() }),
    headers: match.headers.map(dumpRule),
    query: match.query.map(dumpRule),
    cookies: match.cookies.map(dumpRule),
    timeoutMs: route.timeoutMs,
    clusters: route.split.targets.map(({ cluster, weight }) => ({ cluster, weight })),
  };
}

function dumpRule({ name, test, isInverted }: HeaderRule | PairRule): unknown {
  return { name, ...dumpTest(test), isInverted };
}

function dumpTest(test: ValueTest): Readonly<Record<string, unknown>> {
  const kind = ["present", "exact", "prefix", "suffix", "contains", "range", "pattern"][test.kind];
  if (test.kind === VALUE.RANGE) return { kind, from: test.from, to: test.to };
  return {
    kind,
    text: test.pattern?.source ?? Buffer.from(test.text).toString(),
    isCaseIgnored: test.isCaseIgnored,
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function closeAll(server: Server): void {
  server.close();
  server.closeAllConnections();
}
