// Fixtures of the proxy's tests: a proxy on static resources, raw clients, scripted and recording origins. Everything listens on port 0.
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { createProxy, type Limits, type ProxyServer } from "../../src/proxy/server.ts";
import { type Bootstrap, BootstrapSchema, fromJson, registry } from "../../src/xds/types.ts";

/** A JSON value in Envoy's configuration spelling. */
export type Json = Parameters<typeof fromJson>[1];

export interface ProxyOptions {
  /** Clusters by name: ports on 127.0.0.1. */
  readonly clusters: Readonly<Record<string, readonly number[]>>;
  /** Routes of the one virtual host; default: everything to the first cluster. */
  readonly routes?: readonly Json[];
  /** Replaces the one virtual host `*`. */
  readonly virtualHosts?: readonly Json[];
  readonly connectTimeout?: string;
  /** Further fields of every cluster. */
  readonly clusterFields?: Readonly<Record<string, Json>>;
  readonly limits?: Partial<Limits>;
  readonly hcm?: Readonly<Record<string, Json>>;
  readonly hasAdmin?: boolean;
  readonly memory?: Parameters<typeof createProxy>[1]["memory"];
  /** Further fields of the listener. */
  readonly listenerFields?: Readonly<Record<string, Json>>;
  /** Connections that a filter before the connection manager allows. */
  readonly connectionLimit?: number;
  readonly clock?: Parameters<typeof createProxy>[1]["clock"];
}

export interface Running {
  readonly proxy: ProxyServer;
  readonly port: number;
}

/** The bootstrap of those options, as JSON. */
export function bootstrapOf(options: ProxyOptions): Json {
  const names = Object.keys(options.clusters);
  const routes = options.routes ?? [{ match: { prefix: "/" }, route: { cluster: names[0] ?? "" } }];
  const virtualHosts = options.virtualHosts ?? [{ name: "all", domains: ["*"], routes: [...routes] }];
  return {
    node: { id: "test", cluster: "test" },
    ...(options.hasAdmin ? { admin: { address: socket(0) } } : {}),
    static_resources: {
      listeners: [
        {
          name: "main",
          address: socket(0),
          ...options.listenerFields,
          filter_chains: [
            {
              filters: [
                ...(options.connectionLimit === undefined ? [] : [connectionLimit(options.connectionLimit)]),
                { name: "hcm", typed_config: hcmOf([...virtualHosts], options.hcm) },
              ],
            },
          ],
        },
      ],
      clusters: names.map((name) => ({
        name,
        type: "STATIC",
        connect_timeout: options.connectTimeout ?? "1s",
        load_assignment: {
          cluster_name: name,
          endpoints: [
            {
              lb_endpoints: (options.clusters[name] ?? []).map((port) => ({
                endpoint: { address: socket(port) },
              })),
            },
          ],
        },
        ...options.clusterFields,
      })),
    },
  };
}

/** Starts a proxy; after the test it must have caught no internal error. */
export async function startProxy(t: Test, options: ProxyOptions): Promise<Running> {
  return startBootstrap(t, fromJson(BootstrapSchema, bootstrapOf(options), { registry }), "main", options);
}

/** The same from a bootstrap; `port` is that of the listener so named. */
export async function startBootstrap(
  t: Test,
  bootstrap: Bootstrap,
  listener: string,
  options: Pick<ProxyOptions, "limits" | "clock" | "memory"> = {},
): Promise<Running> {
  const problems: string[] = [];
  const log = createLogger({ level: "error", write: (line) => problems.push(line) });
  const limits = { drainMs: 200, ...options.limits };
  const proxy = createProxy(bootstrap, {
    clock: options.clock ?? systemClock,
    log,
    limits,
    seed: 7,
    ...(options.memory && { memory: options.memory }),
  });
  await proxy.start();
  t.teardown(async () => {
    await proxy.stop();
    if (proxy.internalErrors > 0) throw new Error(`internal errors: ${problems.join("\n")}`);
  });
  const port = proxy.listenerPort(listener);
  if (port === undefined) throw new Error(`the listener is not open: ${problems.join("\n")}`);
  return { proxy, port };
}

/** How a raw connection ended. */
export interface Conversation {
  readonly text: string;
  /** `fin`: clean; `reset`: by RST; `open`: neither within the time. */
  readonly end: "fin" | "reset" | "open";
}

export interface TalkOptions {
  /** Cuts the input into writes at these positions; each goes out in a turn of its own. */
  readonly cuts?: readonly number[];
  /** Ends when the received text matches, and closes. */
  readonly until?: RegExp;
  /** Sends FIN behind the input. */
  readonly isEnded?: boolean;
  /** Leaves out the Date that answers get on their way. */
  readonly isUndated?: boolean;
  /** How long it may take. Default 3 s. */
  readonly patienceMs?: number;
}

const TALK_MS = 3_000;

/** Sends raw bytes and collects the answer until the peer closes, `until` matches or patience ends. */
export function talk(port: number, input: string, options: TalkOptions = {}): Promise<Conversation> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  return converse(socket, input, options);
}

/** The same over a connection that stands or is being made. */
export function converse(socket: Socket, input: string, options: TalkOptions): Promise<Conversation> {
  return new Promise((resolve) => {
    let text = "";
    const done = (end: Conversation["end"]): void => {
      clearTimeout(timer);
      socket.removeAllListeners("data");
      socket.destroy();
      resolve({ text, end });
    };
    const timer = setTimeout(() => done("open"), options.patienceMs ?? TALK_MS);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (options.isUndated === true) text = undated(text);
      if (options.until?.test(text)) done("open");
    });
    socket.on("end", () => done("fin"));
    socket.on("error", () => done("reset"));
    sendCut(socket, Buffer.from(input, "latin1"), options.cuts ?? [], options.isEnded ?? false);
  });
}

/** A text without the Dates that the proxy states. */
export function undated(text: string): string {
  return text.replaceAll(/^date: [^\r\n]+\r\n/gm, "");
}

function sendCut(socket: Socket, bytes: Buffer, cuts: readonly number[], isEnded: boolean): void {
  const bounds = [...new Set([0, ...cuts, bytes.length])].sort((a, b) => a - b);
  const next = (index: number): void => {
    const [from, to] = [bounds[index], bounds[index + 1]];
    if (from === undefined || to === undefined) {
      if (isEnded) socket.end();
      return;
    }
    if (socket.destroyed || socket.writableEnded) return;
    socket.write(bytes.subarray(from, to), () => setImmediate(() => next(index + 1)));
  };
  next(0);
}

/** A request as Node's strict parser read it behind the proxy. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  /** Port of the proxy's connection: tells whether it was reused. */
  readonly peerPort: number;
}

export interface Origin {
  readonly port: number;
  readonly seen: Seen[];
}

/** An HTTP server that records requests and answers each with `answer` (default: 200 and the body it got). */
export async function recordingOrigin(
  t: Test,
  answer: (seen: Seen, response: ServerResponse) => void = (seen, response) => response.end(seen.body),
): Promise<Origin> {
  const seen: Seen[] = [];
  const server = createHttpServer((request, response) => {
    read(request).then(
      (one) => {
        seen.push(one);
        answer(one, response);
      },
      () => undefined, // The request was cut: it counts as not seen.
    );
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  await listen(server);
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: portOf(server), seen };
}

async function read(request: IncomingMessage): Promise<Seen> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // An IncomingMessage without encoding yields Buffers.
  return {
    method: request.method ?? "",
    url: request.url ?? "",
    version: request.httpVersion,
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    body: Buffer.concat(chunks).toString("latin1"),
    trailers: request.trailers,
    peerPort: request.socket.remotePort ?? 0,
  };
}

/** A server of raw sockets: `onConnection` is the whole behaviour. */
export async function rawOrigin(
  t: Test,
  onConnection: (socket: Socket, index: number) => void,
): Promise<{ readonly port: number; readonly connections: () => number }> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    onConnection(socket, count++);
  });
  await listen(server);
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: portOf(server), connections: () => count };
}

/** Answers each request head that arrives with the next of those texts (the last one again and again). */
export function scripted(answers: readonly string[], isEnded = false): (socket: Socket) => void {
  let next = 0;
  return (socket) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      while (text.includes("\r\n\r\n")) {
        text = text.slice(text.indexOf("\r\n\r\n") + 4);
        socket.write(Buffer.from(answers[Math.min(next++, answers.length - 1)] ?? "", "latin1"));
        if (isEnded) socket.end();
      }
    });
  };
}

/** Resolves when `isTrue` holds; rejects after 3 s. */
export async function eventually(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const giveUpMs = Date.now() + TALK_MS;
  while (!(await isTrue())) {
    if (Date.now() > giveUpMs) throw new Error(`did not come true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
}

export function portOf(server: Server): number {
  // A server that listens on TCP has an AddressInfo.
  return (server.address() as AddressInfo).port;
}

function socket(port: number): Json {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

function connectionLimit(connections: number): Json {
  const type = "type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit";
  return {
    name: "limit",
    typed_config: { "@type": type, stat_prefix: "main", max_connections: connections },
  };
}

function hcmOf(virtualHosts: Json[], more: Readonly<Record<string, Json>> = {}): Json {
  return {
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "main",
    route_config: { name: "static", virtual_hosts: virtualHosts },
    http_filters: [
      {
        name: "router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
    ...more,
  };
}
