// The quick-start's application: an HTTP server that says which version answered, and fails or dawdles as it is told. It stands for any
// service that reads PORT, has a health check, and ends gracefully on SIGTERM. Needs nothing but Node.
//
//   PORT        where to listen (POD_IP, or all addresses)       ERROR_RATE  share of answers with status 500, 0 to 1
//   VERSION     what it calls itself, e.g. a colour               LATENCY_MS  mean time an answer takes
//   SEED        makes the choice of failures repeatable           LINGER_MS   still served for so long after SIGTERM
//   DRAIN_MS    longest wait for requests under way after that
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

interface Settings {
  readonly port: number;
  readonly host: string | undefined;
  readonly version: string;
  readonly errorRate: number;
  readonly latencyMs: number;
  readonly lingerMs: number;
  readonly drainMs: number;
  readonly random: () => number;
}

function main(): void {
  const settings = readSettings(process.env);
  const server = createServer((request, response) => answer(settings, request, response));
  // Longer than any proxy in front keeps an idle connection, so that it is the proxy that closes.
  server.keepAliveTimeout = 120_000;
  server.on("error", (error) => {
    console.error(`cannot listen on port ${settings.port}: ${error.message}`);
    process.exit(1);
  });
  server.listen(settings.port, settings.host, () => {
    console.log(`${settings.version} listens on ${settings.host ?? "*"}:${settings.port}`);
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => drain(server, settings));
}

function answer(settings: Settings, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const path = (request.url ?? "/").split("?")[0];
  if (path === "/healthz") {
    send(response, 200, "text/plain", "ok\n", settings.version);
    return;
  }
  const isError = settings.random() < settings.errorRate;
  // Between half and one and a half of the mean: tails as of a real service.
  const delayMs = settings.latencyMs * (0.5 + settings.random());
  const reply = (): void => {
    if (response.destroyed) return;
    if (isError)
      send(
        response,
        500,
        "application/json",
        `{"version":"${settings.version}","error":true}\n`,
        settings.version,
      );
    // The Argo Rollouts demo answers /color with the colour as a JSON string.
    else if (path === "/color")
      send(response, 200, "application/json", `"${settings.version}"\n`, settings.version);
    else send(response, 200, "application/json", `{"version":"${settings.version}"}\n`, settings.version);
  };
  if (settings.latencyMs > 0) setTimeout(reply, delayMs);
  else reply();
}

function send(response: ServerResponse, status: number, type: string, body: string, version: string): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "x-version": version,
  });
  response.end(body);
}

/** Serves on until everybody has heard that it goes, closing connections with their answers; then ends what is left, and exits. */
function drain(server: Server, settings: Settings): void {
  console.log(`${settings.version} drains`);
  server.prependListener("request", (_request, response) => response.setHeader("connection", "close"));
  setTimeout(() => close(server, settings), settings.lingerMs);
}

function close(server: Server, settings: Settings): void {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  // Keep-alive connections become idle one by one as their answers go out.
  setInterval(() => server.closeIdleConnections(), 20).unref();
  setTimeout(() => process.exit(0), settings.drainMs).unref();
}

function readSettings(env: NodeJS.ProcessEnv): Settings {
  const version = (env.VERSION ?? "unknown").replace(/[^\w.-]/g, "");
  return {
    port: number(env, "PORT", 8080, 65_535),
    host: env.POD_IP === "" ? undefined : env.POD_IP,
    version,
    errorRate: number(env, "ERROR_RATE", 0, 1),
    latencyMs: number(env, "LATENCY_MS", 0, 60_000),
    lingerMs: number(env, "LINGER_MS", 500, 600_000),
    drainMs: number(env, "DRAIN_MS", 10_000, 600_000),
    random: env.SEED === undefined ? Math.random : seeded(number(env, "SEED", 0, 2 ** 32)),
  };
}

function number(env: NodeJS.ProcessEnv, name: string, fallback: number, max: number): number {
  const text = env[name];
  const value = text === undefined || text === "" ? fallback : Number(text);
  if (value >= 0 && value <= max) return value;
  console.error(`${name} must be a number from 0 to ${max}, not ${JSON.stringify(text)}`);
  process.exit(2);
}

/** A small repeatable generator (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

main();
