// The framing table over real sockets, plain and over TLS: each case whole, and a sample byte by byte.
import { createServer, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";
import { type Test, test } from "tap";
import { createCertificate } from "../../src/embedded/server/certificate.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { Core } from "../../src/proxy/core.ts";
import { DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { Listener } from "../../src/proxy/http1/listener.ts";
import { ANY_REQUEST, UNCHANGED } from "../../src/proxy/route/table.ts";
import { StreamWire } from "../../src/proxy/wire/streamwire.ts";
import { ACCEPTED, type Accepted, BAD_ANSWERS, REFUSED, RELAYED } from "./framing.cases.ts";
import {
  type Conversation,
  converse,
  eventually,
  listen,
  type Origin,
  portOf,
  rawOrigin,
  recordingOrigin,
  scripted,
  startProxy,
  type TalkOptions,
  talk,
} from "./support.ts";

type Talk = (input: string, options?: TalkOptions) => Promise<Conversation>;

test("framing: refuses what is ambiguous, with a status, a reason and a close", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { lingerMs: 50 } });
  await refuses(t, (input, options) => talk(port, input, options));
  t.strictSame(wholeRequests(origin), [], "no origin read a refused request as whole");
});

test("framing: refuses the same when the bytes come one by one", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { lingerMs: 50 } });
  for (const [name, input, status] of REFUSED.filter(([, text]) => text.length < 300)) {
    const { text } = await talk(port, input, { cuts: everyByte(input) });
    t.equal(statusOf(text), status, name);
  }
  t.strictSame(wholeRequests(origin), []);
});

test("framing: passes on what is clear, as Node's strict parser reads it", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  await accepts(t, origin, (input, options) => talk(port, input, options), false);
});

test("framing: passes on the same when the bytes come one by one", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  await accepts(
    t,
    origin,
    (input, options) => talk(port, input, { ...options, cuts: everyByte(input) }),
    false,
  );
});

test("framing: the table holds over TLS", async (t) => {
  const origin = await recordingOrigin(t);
  const port = await startTlsProxy(t, origin.port);
  const overTls: Talk = (input, options = {}) =>
    converse(connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }), input, options);
  await refuses(t, overTls);
  t.strictSame(wholeRequests(origin), []);
  await accepts(t, origin, overTls, true);
});

test("framing: a malformed answer becomes a 502 and its connection is not used again", async (t) => {
  for (const [name, answer] of BAD_ANSWERS) {
    const origin = await rawOrigin(t, scripted([answer]));
    const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
    const { text } = await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", { until: /malformed\n$/ });
    t.match(text, /HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*x-weir-reason: upstream answer was malformed/, name);
    await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", { until: /malformed\n$/ });
    t.equal(origin.connections(), 2, `${name}: a new connection`);
  }
});

test("framing: relays answers with framing of its own, and pools only clean connections", async (t) => {
  for (const [name, answer, want, request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] of RELAYED) {
    for (const cuts of [false, true]) {
      const origin = await rawOrigin(t, cuts ? byteByByte(answer) : scripted([answer]));
      const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
      const label = cuts ? `${name}, byte by byte` : name;
      const until = cuts && want.joined !== undefined ? /\r\n0\r\n(?:.+\r\n)*\r\n$/ : want.text;
      for (const turn of ["first", "second"]) {
        const { text } = await talk(port, request, { until, isUndated: true });
        if (until === want.text) t.match(text, want.text, `${label}: ${turn}`);
        else t.equal(joinChunks(text), want.joined, `${label}: ${turn}`);
      }
      // Bytes behind the part that the client waits for are seen before or after it has gone.
      if (!cuts || (want.isReused && !name.includes("to HTTP/1.0")))
        t.equal(origin.connections(), want.isReused ? 1 : 2, `${label}: connections`);
    }
  }
});

test("framing: a body that ends with the upstream's connection ends the client's, clean only if that was clean", async (t) => {
  const head = "HTTP/1.1 200 OK\r\n\r\n";
  const closing = await rawOrigin(t, scripted([`${head}all of it`], true));
  const clean = await startProxy(t, { clusters: { a: [closing.port] } });
  const whole = await talk(clean.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", { isUndated: true });
  t.equal(whole.text, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it");
  t.equal(whole.end, "fin");

  const resetting = await rawOrigin(t, (socket) => {
    socket.once("data", () =>
      socket.write(`${head}part`, () => setTimeout(() => socket.resetAndDestroy(), 20)),
    );
  });
  const cut = await startProxy(t, { clusters: { a: [resetting.port] } });
  const part = await talk(cut.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  t.equal(part.end, "reset");
});

test("framing: a cut body reaches the client as a reset", async (t) => {
  const cases: readonly (readonly [string, string, string?])[] = [
    ["by length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart"],
    ["chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"],
    [
      "chunked to HTTP/1.0",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
      "GET / HTTP/1.0\r\n\r\n",
    ],
    ["bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n"],
  ];
  for (const [name, answer, request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] of cases) {
    const origin = await rawOrigin(t, scripted([answer], true));
    const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
    const { text, end } = await talk(port, request);
    t.match(text, /^(?:HTTP\/1\.1 200 OK[\s\S]*)?$/, name);
    t.equal(end, "reset", name);
  }
});

test("framing: a bad chunk resets the upstream and never ends the request there", async (t) => {
  let received = "";
  let ended = "open";
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
    });
    socket.on("end", () => {
      ended = "fin";
    });
    socket.on("error", () => {
      ended = "reset";
    });
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { lingerMs: 50 } });
  const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const input = `${head}3\r\nabc\r\nXX\r\n0\r\n\r\n`;
  const { text } = await talk(port, input, { cuts: [head.length + 8] });
  t.equal(statusOf(text), 400);
  await eventually(() => ended !== "open", "the upstream connection ended");
  t.equal(ended, "reset");
  t.notMatch(received, /0\r\n\r\n$/, "no last chunk");
});

test("framing: TRACE and OPTIONS stop where Max-Forwards is 0", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  const options = "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n";
  t.match((await talk(port, options, { until: /reached\n$/ })).text, /^HTTP\/1\.1 200 /);
  const trace = "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n";
  t.match((await talk(port, trace, { until: /ends here\n$/ })).text, /^HTTP\/1\.1 405 /);
  t.equal(origin.seen.length, 0);
});

async function refuses(t: Test, say: Talk): Promise<void> {
  for (const [name, input, status] of REFUSED) {
    const { text, end } = await say(input);
    t.equal(statusOf(text), status, name);
    t.match(text, /\r\nx-weir-reason: .+\r\n[\s\S]*connection: close\r\n/, `${name}: says why`);
    t.not(end, "open", `${name}: closes`);
  }
}

async function accepts(t: Test, origin: Origin, say: Talk, isSecure: boolean): Promise<void> {
  for (const [name, input, want] of ACCEPTED) {
    origin.seen.length = 0;
    const { text } = await say(input, { until: /\r\n\r\n/ });
    t.equal(statusOf(text), 200, name);
    const [seen] = origin.seen;
    if (seen === undefined) {
      t.fail(`${name}: reached no origin`);
      continue;
    }
    isSeenAs(t, name, want, seen);
    t.equal(seen.version, "1.1", `${name}: goes upstream as HTTP/1.1`);
    t.equal(seen.headers["x-forwarded-proto"], isSecure ? "https" : "http", `${name}: scheme`);
    t.match(seen.headers["x-forwarded-for"], /127\.0\.0\.1$/, `${name}: client address`);
  }
}

function isSeenAs(t: Test, name: string, want: Accepted, seen: Origin["seen"][number]): void {
  const { headers } = seen;
  if (want.method !== undefined) t.equal(seen.method, want.method, `${name}: method`);
  if (want.url !== undefined) t.equal(seen.url, want.url, `${name}: target`);
  if (want.host !== undefined) t.equal(headers.host, want.host, `${name}: host`);
  if (want.body !== undefined) t.equal(seen.body, want.body, `${name}: body`);
  for (const [key, value] of Object.entries(want.has ?? {})) t.equal(headers[key], value, `${name}: ${key}`);
  for (const key of want.lacks ?? []) t.equal(headers[key], undefined, `${name}: no ${key}`);
  if (want.trailers !== undefined) t.strictSame({ ...seen.trailers }, want.trailers, `${name}: trailers`);
}

/** A proxy whose client side is TLS over the same framing. */
async function startTlsProxy(t: Test, originPort: number): Promise<number> {
  const core = new Core({ clock: systemClock, log: silentLogger, limits: { lingerMs: 50 } });
  core.deadlines.start();
  const cluster = new Cluster(core, "a", DEFAULT_CLUSTER_OPTIONS);
  cluster.update([{ address: "127.0.0.1", port: originPort, isHealthy: true }]);
  core.clusters.set("a", cluster);
  const listener = new Listener(core, { name: "tls", address: "127.0.0.1", port: 0 });
  const target = { cluster: "a", weight: 1, cell: core.stats.cell("r", "a"), ...UNCHANGED };
  const route = {
    name: "r",
    match: ANY_REQUEST,
    split: { targets: [target], bounds: Float64Array.of(1), total: 1, sticky: null },
    hash: null,
    answer: null,
    retry: null,
    isHedged: false,
    timeoutMs: 0,
    idleTimeoutMs: 0,
    streamMs: 0,
    mirrors: [],
  };
  listener.hosts = { ...listener.hosts, any: { name: "v", routes: [route], index: null, hasShares: false } };
  const { keyPem, certPem } = await createCertificate(Date.now());
  const secureContext = createSecureContext({ key: keyPem, cert: certPem });
  const server = createServer({ allowHalfOpen: true }, (raw: Socket) => {
    const socket = new TLSSocket(raw, { isServer: true, secureContext });
    raw.on("error", () => undefined);
    listener.accept((owner) => new StreamWire(core, socket, owner, raw));
  });
  await listen(server);
  t.teardown(() => {
    server.close();
    listener.close();
    cluster.update([]);
    core.deadlines.stop();
    if (core.counts.internalErrors > 0) throw new Error("internal errors");
  });
  return portOf(server);
}

function byteByByte(answer: string): (socket: Socket) => void {
  return (socket) => {
    socket.on("data", () => {
      socket.setNoDelay(true);
      const bytes = Buffer.from(answer, "latin1");
      const next = (at: number): void => {
        if (at >= bytes.length || socket.destroyed) return;
        socket.write(bytes.subarray(at, at + 1), () => setImmediate(() => next(at + 1)));
      };
      next(0);
    });
  };
}

/** The payload of the chunks in `text`. */
function joinChunks(text: string): string {
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  return [...body.matchAll(/([1-9a-f][0-9a-f]*)\r\n((?:(?!0\r\n).)*)\r\n/g)]
    .map(([, , data]) => data)
    .join("");
}

function everyByte(input: string): number[] {
  return Array.from({ length: input.length }, (_, index) => index);
}

function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0);
}

function wholeRequests(origin: Origin): readonly string[] {
  return origin.seen.map(({ method, url }) => `${method} ${url}`);
}
