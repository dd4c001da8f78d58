// One bootstrap file, two programs: weir's proxy and a stock Envoy are started in turn from the same text, get the same requests over raw
// sockets, and must answer and forward alike. Where weir differs on purpose, the difference has a name in docs/reference/bootstrap.md.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type Agent, createServer as createHttpServer, get } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { requireEnvoy, startEnvoy } from "../support/envoy.ts";
import { freePort } from "../support/ports.ts";
import type { Case, Request } from "./envoy.cases.ts";

export const TALK_MS = 8_000;
const START_MS = 30_000;
const START_TRIES = 4;

/** Fields that only one of the two adds, sent upstream or to the client; each is named in docs/reference/bootstrap.md. */
const OWN_FIELDS =
  /^(x-envoy-.*|x-request-id|x-weir-reason|server|date|connection|keep-alive|content-length|transfer-encoding)$/;

export interface Seen {
  readonly status: number;
  readonly backend?: string;
  /** What the backend got: method, target, fields, body. */
  readonly forwarded?: unknown;
  readonly fields?: readonly string[];
}

export type Ports = Readonly<Record<string, number>>;

export async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    if ("closeAllConnections" in server && typeof server.closeAllConnections === "function")
      server.closeAllConnections();
    server.close();
  });
  const bound = server.address();
  return typeof bound === "object" ? (bound?.port ?? 0) : 0;
}

/** A backend that answers with its name and what it got. */
export function echo(t: Test, backend: string): Promise<number> {
  const server = createHttpServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.once("end", () => {
      const { method, url = "", rawHeaders } = request;
      const fields = rawHeaders.flatMap((name, i) =>
        i % 2 === 0 && !OWN_FIELDS.test(name.toLowerCase())
          ? [`${name.toLowerCase()}: ${withoutClient(name, rawHeaders[i + 1] ?? "")}`]
          : [],
      );
      const seen = JSON.stringify({ method, url, fields: fields.sort(), body });
      const status = Number(/^\/status\/(\d+)/.exec(url)?.[1] ?? 200);
      response.writeHead(
        status,
        [
          ["x-backend", backend],
          ["x-seen", Buffer.from(seen).toString("base64")],
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ].flat(),
      );
      response.end([204, 304].includes(status) ? undefined : "ok");
    });
  });
  return listen(t, server);
}

/** Envoy names the machine's own address where the client's is a loopback one; weir names the client's. Spaces behind commas mean nothing. */
function withoutClient(name: string, value: string): string {
  if (!name.toLowerCase().startsWith("x-forwarded-")) return value;
  const spaced = value.replace(/, */g, ", ");
  return name.toLowerCase() === "x-forwarded-for" ? spaced.replace(/[^, ]+$/, "CLIENT") : spaced;
}

/** A backend that tells of each request that it got whole: its name, host, method, target, body. */
export function recorder(t: Test, backend: string, tell: (copy: string) => void): Promise<number> {
  const server = createHttpServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.once("end", () => {
      tell(`${backend} ${request.headers.host} ${request.method} ${request.url} ${body}`);
      response.end();
    });
  });
  return listen(t, server);
}

/** A backend that does with a request what its name says. */
function broken(t: Test, kind: "slow" | "reset" | "garbage" | "error"): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      if (kind === "reset") socket.resetAndDestroy();
      if (kind === "garbage") socket.end("HTTQ/9.9 what\r\n\r\n");
      if (kind === "error") socket.end("HTTP/1.1 500 No\r\nx-backend: error\r\ncontent-length: 0\r\n\r\n");
    });
    t.teardown(() => socket.destroy());
  });
  return listen(t, server);
}

export async function backends(t: Test): Promise<Ports> {
  const ports: Record<string, number> = {
    dead: await freePort(),
    port: await freePort(),
    admin: await freePort(),
  };
  for (const name of ["a", "b", "c", "d"]) ports[name] = await echo(t, name);
  for (const kind of ["slow", "reset", "garbage", "error"] as const) ports[kind] = await broken(t, kind);
  return ports;
}

export function filled(text: string, ports: Ports): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in ports ? `${ports[name]}` : whole));
}

/** Starts weir's proxy (`weir`) or Envoy (its path) on the text, runs `work`, and ends it: both bind the same ports. */
export async function served<T>(
  t: Test,
  program: string,
  text: string,
  ports: Ports,
  work: () => Promise<T>,
): Promise<T> {
  const start = async (): Promise<{ child: ChildProcess; ended: Promise<unknown> }> => {
    const started = program === "weir" ? await startWeir(t, text) : await startEnvoy(t, program, text);
    return { child: started, ended: once(started, "exit") };
  };
  let { child, ended } = await start();
  // Another test file may have been given one of the ports in the meantime.
  for (let tries = 1; !(await isReady(child, ports.admin ?? 0)); tries += 1) {
    if (tries === START_TRIES)
      throw new Error(`${program} does not become ready; exit code ${child.exitCode}`);
    child.kill("SIGKILL");
    await ended;
    ({ child, ended } = await start());
  }
  try {
    return await work();
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

async function startWeir(t: Test, text: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ["src/weir.js", "proxy", "--config", await fileOf(t, text)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  t.teardown(() => void child.kill("SIGKILL"));
  return child;
}

export async function fileOf(t: Test, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-bootstrap-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "bootstrap.yaml");
  await writeFile(file, text);
  return file;
}

/** Waits until the program is ready; false when it ended or took too long. */
async function isReady(child: ChildProcess, adminPort: number): Promise<boolean> {
  const deadlineMs = Date.now() + START_MS;
  while ((await statusOf(adminPort, "/ready").catch(() => 0)) !== 200) {
    if (Date.now() > deadlineMs || child.exitCode !== null) return false;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return true;
}

export function statusOf(port: number, path: string, agent?: Agent): Promise<number | string> {
  return new Promise((resolve, reject) => {
    const asked = get({ port, path, timeout: TALK_MS, ...(agent !== undefined && { agent }) }, (response) => {
      const backend = response.headers["x-backend"];
      response
        .resume()
        .once("end", () => resolve(typeof backend === "string" ? backend : (response.statusCode ?? 0)));
    });
    asked.once("error", reject);
    asked.once("timeout", () => asked.destroy(new Error(`no answer to ${path}`)));
  });
}

/** Sends one request on a connection of its own and reads to the end of the answer. */
export async function ask(
  port: number,
  { line, host = "shop.example", headers = [], body = "", version = "1.1" }: Request,
): Promise<Seen> {
  const start = /^[A-Z]+ /.test(line) ? line : `GET ${line}`;
  const closes = headers.some((field) => /^connection:/i.test(field)) ? [] : ["connection: close"];
  const fields = [...(host === null ? [] : [`host: ${host}`]), ...headers, ...closes];
  const socket = connect({ port, host: "127.0.0.1" });
  let text = "";
  socket.setTimeout(TALK_MS, () => socket.destroy(new Error(`no end of the answer to ${line}`)));
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.write(`${start} HTTP/${version}\r\n${fields.join("\r\n")}\r\n\r\n${body}`);
  await once(socket, "close");
  const [head = ""] = text.split("\r\n\r\n");
  const [statusLine = "", ...lines] = head.split("\r\n");
  const value = (name: string): string | undefined =>
    lines.find((one) => one.toLowerCase().startsWith(`${name}: `))?.slice(name.length + 2);
  const backend = value("x-backend");
  const seen = value("x-seen");
  const status = Number(statusLine.split(" ")[1]);
  if (backend === undefined) return { status };
  const kept = lines
    .map((one) => one.replace(/^[^:]+/, (name) => name.toLowerCase()))
    .filter((one) => !OWN_FIELDS.test(one.split(":")[0] ?? "") && !one.startsWith("x-seen"));
  return {
    status,
    backend,
    fields: kept.sort(),
    ...(seen !== undefined && { forwarded: JSON.parse(Buffer.from(seen, "base64").toString()) }),
  };
}

/** A test that both answer and forward every request of the case alike. */
export function compare({ name, bootstrap, requests }: Case): void {
  test(`bootstrap: weir and Envoy do the same with ${name}`, { timeout: 180_000 }, async (t) => {
    const program = await requireEnvoy(t);
    if (program === undefined) return;
    const ports = await backends(t);
    const text = filled(bootstrap, ports);
    const askAll = async (): Promise<readonly Seen[]> => {
      const seen: Seen[] = [];
      for (const request of requests) {
        const host = typeof request.host === "string" ? { host: filled(request.host, ports) } : {};
        seen.push(await ask(ports.port ?? 0, { ...request, ...host }));
      }
      return seen;
    };
    const weir = await served(t, "weir", text, ports, askAll);
    const envoy = await served(t, program, text, ports, askAll);
    for (const [i, request] of requests.entries()) {
      const { differs, ...asked } = request;
      const what = JSON.stringify(asked);
      if (differs === undefined) t.strictSame(unordered(weir[i]), unordered(envoy[i]), what);
      else
        t.strictSame(
          [weir[i]?.status, envoy[i]?.status],
          [differs.weir, differs.envoy],
          `${what}: ${differs.name}`,
        );
    }
  });
}

/** A cluster's endpoints may be taken in either order. */
function unordered(seen: Seen | undefined): unknown {
  if (seen === undefined || seen.forwarded === undefined) return seen;
  const isEitherOf = /"url":"\/sick/.test(JSON.stringify(seen.forwarded));
  return isEitherOf
    ? { ...seen, backend: "either", fields: seen.fields?.filter((one) => !one.startsWith("x-backend")) }
    : seen;
}
