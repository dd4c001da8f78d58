// One bootstrap file, two programs: weir's proxy and a stock Envoy are started in turn from the same text, get the same requests over raw
// sockets, and must answer and forward alike. Where weir differs on purpose, the difference has a name in docs/reference/bootstrap.md.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, createServer as createHttpServer, get } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { requireEnvoy, startEnvoy } from "../support/envoy.ts";
import { run } from "../support/up.ts";
import { CASES, CHECKED, ejecting, LOGGED, MIRRORED, type Request, WEIGHTED } from "./envoy.cases.ts";
import { MATCH_CASES } from "./envoy.matchcases.ts";
import { REWRITE_CASES } from "./envoy.rewritecases.ts";

const TALK_MS = 8_000;
const START_MS = 30_000;
const START_TRIES = 4;

/** Fields that only one of the two adds, sent upstream or to the client; each is named in docs/reference/bootstrap.md. */
const OWN_FIELDS =
  /^(x-envoy-.*|x-request-id|x-weir-reason|server|date|connection|keep-alive|content-length|transfer-encoding)$/;

interface Seen {
  readonly status: number;
  readonly backend?: string;
  /** What the backend got: method, target, fields, body. */
  readonly forwarded?: unknown;
  readonly fields?: readonly string[];
}

type Ports = Readonly<Record<string, number>>;

async function listen(t: Test, server: Server): Promise<number> {
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
function echo(t: Test, backend: string): Promise<number> {
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
function recorder(t: Test, backend: string, tell: (copy: string) => void): Promise<number> {
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

async function backends(t: Test): Promise<Ports> {
  const ports: Record<string, number> = {
    dead: await freePort(),
    port: await freePort(),
    admin: await freePort(),
  };
  for (const name of ["a", "b", "c", "d"]) ports[name] = await echo(t, name);
  for (const kind of ["slow", "reset", "garbage", "error"] as const) ports[kind] = await broken(t, kind);
  return ports;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const bound = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof bound === "object" ? (bound?.port ?? 0) : 0;
}

function filled(text: string, ports: Ports): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in ports ? `${ports[name]}` : whole));
}

/** Starts weir's proxy (`weir`) or Envoy (its path) on the text, runs `work`, and ends it: both bind the same ports. */
async function served<T>(
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
  // Another test file may hold one of the ports for a moment, as the local end of a connection.
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

async function fileOf(t: Test, text: string): Promise<string> {
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

function statusOf(port: number, path: string, agent?: Agent): Promise<number | string> {
  return new Promise((resolve, reject) => {
    get({ port, path, ...(agent !== undefined && { agent }) }, (response) => {
      const backend = response.headers["x-backend"];
      response
        .resume()
        .once("end", () => resolve(typeof backend === "string" ? backend : (response.statusCode ?? 0)));
    }).once("error", reject);
  });
}

/** Sends one request on a connection of its own and reads to the end of the answer. */
async function ask(
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

for (const { name, bootstrap, requests } of [...CASES, ...MATCH_CASES, ...REWRITE_CASES]) {
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

test("bootstrap: weir and Envoy eject the same", { timeout: 180_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const failures = (who: string, text: string): Promise<number> =>
    served(t, who, text, ports, async () => {
      let count = 0;
      for (let sent = 0; sent < 12; sent += 1)
        if ((await ask(ports.port ?? 0, { line: "/" })).status === 500) count += 1;
      return count;
    });
  for (const [detection, expected] of [
    ["consecutive_5xx: 2, max_ejection_percent: 50", 2],
    ["consecutive_5xx: 2, always_eject_one_host: true", 2],
    ["consecutive_5xx: 2, max_ejection_percent: 49", 6],
    ["consecutive_5xx: 2, max_ejection_percent: 50, enforcing_consecutive_5xx: 0", 6],
  ] as const) {
    const text = filled(ejecting(detection), ports);
    const seen = [await failures("weir", text), await failures(program, text)];
    t.strictSame(seen, [expected, expected], detection);
  }
});

test("bootstrap: weir and Envoy keep requests off what fails its health check", {
  timeout: 120_000,
}, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const text = filled(CHECKED, ports);
  for (const who of ["weir", program])
    await served(t, who, text, ports, async () => {
      // Until the first checks are over all may get requests.
      for (let row = 0, sent = 0; row < 6 && sent < 300; sent += 1) {
        const { backend } = await ask(ports.port ?? 0, { line: "/" });
        row = backend === "a" ? row + 1 : 0;
      }
      for (let sent = 0; sent < 8; sent += 1)
        t.equal((await ask(ports.port ?? 0, { line: "/" })).backend, "a", who);
    });
});

test("bootstrap: weir and Envoy split by the same weights", { timeout: 120_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const text = filled(WEIGHTED, ports);
  for (const who of ["weir", program]) {
    const counts = await served(t, who, text, ports, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 4 });
      const found: Record<string, number> = {};
      const lane = async (): Promise<void> => {
        for (let sent = 0; sent < 500; sent += 1) {
          const backend = await statusOf(ports.port ?? 0, "/", agent);
          found[backend] = (found[backend] ?? 0) + 1;
        }
      };
      await Promise.all(Array.from({ length: 4 }, lane));
      agent.destroy();
      return found;
    });
    const { a = 0, b = 0, ...others } = counts;
    t.strictSame(others, {}, "weight 0 gets nothing, and nothing fails");
    t.equal(a + b, 2000);
    // Four standard deviations of 2 000 picks at a quarter.
    t.ok(Math.abs(b - 500) < 78, `${who === "weir" ? "weir" : "Envoy"}: ${b} of 2000 on the quarter`);
  }
});

test("bootstrap: weir and Envoy send the same copies to mirrors", { timeout: 120_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports: Record<string, number> = { ...(await backends(t)) };
  let copies: string[] = [];
  for (const name of ["b", "c", "d"]) ports[name] = await recorder(t, name, (copy) => copies.push(copy));
  const hosts = ["shop.example", "shop.example:8080", "[::1]:80"];
  const text = filled(MIRRORED, ports);
  const copiesOf = (who: string): Promise<readonly string[]> =>
    served(t, who, text, ports, async () => {
      copies = [];
      for (const host of hosts) {
        const seen = await ask(ports.port ?? 0, {
          line: "POST /thing?q=1",
          host,
          headers: ["content-length: 5"],
          body: "hello",
        });
        t.match(seen, { status: 200, backend: "a" });
      }
      for (const untilMs = Date.now() + TALK_MS; copies.length < 2 * hosts.length && Date.now() < untilMs; )
        await new Promise((resolve) => setTimeout(resolve, 20));
      return copies.sort();
    });
  const weir = await copiesOf("weir");
  t.strictSame(weir.slice(0, 2), [
    "b [::1]:80 POST /thing?q=1 hello",
    "b shop.example-shadow POST /thing?q=1 hello",
  ]);
  // Envoy puts the suffix behind an IPv6 address too, which makes it no address.
  t.strictSame(weir, (await copiesOf(program)).map((copy) => copy.replace("[::1]-shadow", "[::1]")).sort());
});

test("bootstrap: weir and Envoy write the same access log", { timeout: 120_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const ports = await backends(t);
  const folder = await mkdtemp(join(tmpdir(), "weir-log-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const linesOf = async (who: string, name: string): Promise<readonly unknown[]> => {
    const path = join(folder, name);
    const text = filled(LOGGED, ports).replace("{log}", path);
    return served(t, who, text, ports, async () => {
      const paths = [
        "/all?q=1",
        "/all/\\",
        "/slow",
        "/missing",
        "/empty",
        "/dead",
        "/none",
        "/error",
        "/again",
      ];
      for (const line of paths)
        await ask(ports.port ?? 0, { line, headers: ["user-agent: me/1", "x-request-id: q1"] });
      await ask(ports.port ?? 0, {
        line: "POST /all",
        headers: ["x-request-id: q2", "content-length: 5"],
        body: "hello",
      });
      await fetch(`http://127.0.0.1:${ports.admin}/reopen_logs`, { method: "POST" });
      let lines: string[] = [];
      for (const untilMs = Date.now() + TALK_MS; lines.length <= paths.length && Date.now() < untilMs; ) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        lines = (await readFile(path, "utf8")).trimEnd().split("\n");
      }
      return lines.map((line) => Object.entries(JSON.parse(line) as object).sort());
    });
  };
  const [weir, envoy] = [await linesOf("weir", "weir.log"), await linesOf(program, "envoy.log")];
  t.equal(weir.length, 10);
  // Where a route names a cluster that is not there, weir says which.
  t.strictSame(JSON.parse(JSON.stringify(weir).replace('["cluster","missing"]', '["cluster",null]')), envoy);
});

test("bootstrap: every deliberate difference stands in the reference", async (t) => {
  const text = await readFile("docs/reference/bootstrap.md", "utf8");
  const section = text.slice(text.indexOf("## Where weir differs from Envoy"));
  for (const { differs } of [...CASES, ...MATCH_CASES].flatMap(({ requests }) => requests))
    if (differs !== undefined) t.match(section, `| ${differs.name} |`);
});

test("bootstrap: what weir does not carry out is refused with file, line, column and field", async (t) => {
  const refusals: readonly (readonly [from: string, to: string, words: RegExp])[] = [
    [
      "timeout: 0.3s",
      "timeout: 0.3s, hedge_policy: {}",
      /bootstrap\.yaml:\d+:\d+: static_resources\.listeners\[0\].*\.routes\[0\]\.route\.hedge_policy is not supported/,
    ],
    [
      "use_remote_address: true",
      "use_remote_address: true\n                path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT",
      /path_with_escaped_slashes_action has a value that this proxy does not support: UNESCAPE_AND_REDIRECT/,
    ],
    [
      "cluster: empty }",
      "cluster: empty, cluster_not_found_response_code: NOT_FOUND }",
      /cluster_not_found_response_code has a value/,
    ],
    ["stat_prefix: main", "stat_prefix: main\n                nonsense: 1", /nonsense is not a field of/],
    [
      "connect_timeout: 1s",
      "connect_timeout: soon",
      /bootstrap\.yaml:\d+:\d+: static_resources\.clusters\[0\]\.connect_timeout has a wrong value/,
    ],
    [
      "validate_clusters: false",
      "validate_clusters: true",
      /bootstrap\.yaml:\d+:\d+: static_resources\.listeners\[0\].*route\.cluster names missing, which is not among static_resources\.clusters/,
    ],
  ];
  const good = CASES.find(({ name }) => name === "failures")?.bootstrap ?? "";
  const ports = Object.fromEntries(
    ["dead", "port", "admin", "a", "b", "slow", "reset", "garbage", "error"].map((name, i) => [
      name,
      20_000 + i,
    ]),
  );
  for (const [from, to, words] of refusals) {
    const file = await fileOf(t, filled(good.replace(from, to), ports));
    const { code, stderr } = await run([process.execPath, "src/weir.js", "proxy", "--config", file]);
    t.not(code, 0, to);
    t.match(stderr, words, to);
  }
});

/** A cluster's endpoints may be taken in either order. */
function unordered(seen: Seen | undefined): unknown {
  if (seen === undefined || seen.forwarded === undefined) return seen;
  const isEitherOf = /"url":"\/sick/.test(JSON.stringify(seen.forwarded));
  return isEitherOf
    ? { ...seen, backend: "either", fields: seen.fields?.filter((one) => !one.startsWith("x-backend")) }
    : seen;
}
