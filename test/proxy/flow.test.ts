// Bodies, backpressure, early answers, aborts, pipelining and time limits over real sockets.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { createManualClock } from "../support/clock.ts";
import { startRoundTrips } from "../support/roundtrips.ts";
import {
  eventually,
  listen,
  portOf,
  rawOrigin,
  recordingOrigin,
  scripted,
  startProxy,
  talk,
} from "./support.ts";

const MIB = 1024 * 1024;
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

test("flow: bodies of 1 MiB arrive unchanged both ways, by length and chunked", async (t) => {
  const origin = await hashingOrigin(t);
  const { port } = await startProxy(t, { clusters: { a: [origin] } });
  const payload = randomBytes(MIB);
  for (const isChunked of [false, true]) {
    const headers: Record<string, string> = { "x-answer": isChunked ? "chunked" : "length" };
    if (!isChunked) headers["content-length"] = String(payload.length);
    const answers = await Promise.all([1, 2, 3, 4].map(() => exchange(port, payload, headers)));
    for (const { hash, body } of answers) {
      t.equal(hash, sha(payload), "the origin got what was sent");
      t.equal(sha(body), sha(payload), "the client got what came back");
    }
  }
});

test("flow: a slow reader holds back its upstream, and gets all of a large body", async (t) => {
  const payload = randomBytes(24 * MIB);
  let writtenBytes = 0;
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${payload.length}\r\n\r\n`);
      const next = (at: number): void => {
        writtenBytes = at;
        if (at >= payload.length || socket.destroyed) return;
        if (socket.write(payload.subarray(at, at + 65_536))) setImmediate(() => next(at + 65_536));
        else socket.once("drain", () => next(at + 65_536));
      };
      next(0);
    });
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  const client = connect(port, "127.0.0.1");
  client.pause();
  client.write(GET);
  await stalls(t, () => writtenBytes);
  t.ok(writtenBytes < payload.length, `the origin was held back at ${writtenBytes} bytes`);
  const hash = createHash("sha256");
  let seen = 0;
  client.on("data", (chunk: Buffer) => {
    const body = seen === 0 ? chunk.subarray(chunk.indexOf("\r\n\r\n") + 4) : chunk;
    seen += body.length;
    hash.update(body);
  });
  client.resume();
  await eventually(() => seen >= payload.length, "the whole body arrived");
  t.equal(hash.digest("hex"), sha(payload));
  client.destroy();
});

test("flow: a slow origin holds back the client's upload, and gets all of it", async (t) => {
  const payload = randomBytes(24 * MIB);
  let upstream: Socket | undefined;
  const origin = await rawOrigin(t, (socket) => {
    upstream = socket;
    socket.pause();
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  const client = connect(port, "127.0.0.1");
  t.teardown(() => client.destroy());
  let writtenBytes = 0;
  const next = (at: number): void => {
    writtenBytes = at;
    if (at >= payload.length) return;
    if (client.write(payload.subarray(at, at + 65_536))) setImmediate(() => next(at + 65_536));
    else client.once("drain", () => next(at + 65_536));
  };
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${payload.length}\r\n\r\n`);
  next(0);
  await stalls(t, () => writtenBytes);
  t.ok(writtenBytes < payload.length, `the client was held back at ${writtenBytes} bytes`);
  const hash = createHash("sha256");
  let seen = 0;
  upstream?.on("data", (chunk: Buffer) => {
    const body = seen === 0 ? chunk.subarray(chunk.indexOf("\r\n\r\n") + 4) : chunk;
    seen += body.length;
    hash.update(body);
  });
  upstream?.resume();
  await eventually(() => seen >= payload.length, "the whole body arrived");
  t.equal(hash.digest("hex"), sha(payload));
});

test("flow: an answer that comes before the body ended is delivered, and the connections are not used again", async (t) => {
  const origin = await rawOrigin(t, scripted(["HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nbig\n"]));
  const { port } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { lingerMs: 100 } });
  const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n";
  for (let turn = 1; turn <= 3; turn++) {
    const { text, end } = await talk(port, head + "x".repeat(400_000));
    t.match(text, /^HTTP\/1\.1 413 Too Large\r\n[\s\S]*connection: close\r\n\r\nbig\n$/);
    t.not(end, "open");
    t.equal(origin.connections(), turn, "a new upstream connection each time");
  }
});

test("flow: pipelined requests are answered in order, bodies and all", async (t) => {
  const origin = await recordingOrigin(t, (seen, response) => response.end(`${seen.url}:${seen.body};`));
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  const input = [
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
    `POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n${"z".repeat(40_000)}`,
    "GET /5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /6 HTTP/1.1\r\nHost: a\r\n\r\n",
  ].join("");
  const { text, end } = await talk(port, input);
  t.strictSame(
    [...text.matchAll(/\/(\d):(\w*);/g)].map(([, path, body]) => [path, body?.length]),
    [
      ["1", 0],
      ["2", 3],
      ["3", 3],
      ["4", 40_000],
      ["5", 0],
    ],
  );
  t.equal(end, "fin");
  t.equal(origin.seen.length, 5, "nothing is processed behind Connection: close");
});

test("flow: a client that goes away aborts its request at the upstream by reset", async (t) => {
  for (const leave of ["fin", "reset"] as const) {
    let end = "";
    let isThere = false;
    const origin = await rawOrigin(t, (socket) => {
      socket.on("data", () => {
        isThere = true;
      });
      socket.on("end", () => {
        end ||= "fin";
      });
      socket.on("error", () => {
        end ||= "reset";
      });
    });
    const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] } });
    const client = connect(port, "127.0.0.1");
    client.on("error", () => undefined);
    client.write(GET);
    await eventually(() => isThere, "the request reached the origin");
    if (leave === "fin") client.end();
    else client.resetAndDestroy();
    await eventually(() => end !== "", "the upstream connection ended");
    t.equal(end, "reset", leave);
    const [cell] = proxy.stats();
    t.equal(cell?.values.get("aborted"), 1);
    t.equal(cell?.values.get("requests"), undefined, "an aborted request is no failed one");
    t.equal(cell?.inFlight, 0);
  }
});

test("flow: a client that ends inside a body never makes a whole request at the upstream", async (t) => {
  let end = "";
  let received = "";
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
    });
    socket.on("end", () => {
      end ||= "fin";
    });
    socket.on("error", () => {
      end ||= "reset";
    });
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  const client = connect(port, "127.0.0.1");
  client.on("error", () => undefined);
  client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await eventually(() => received.includes("abc"), "the begin of the body reached the origin");
  client.end();
  await eventually(() => end !== "", "the upstream connection ended");
  t.equal(end, "reset");
});

test("flow: 100-continue passes through, and the body follows it", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      if (text.endsWith("hello")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  const client = connect(port, "127.0.0.1");
  let text = "";
  client.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    if (text === "HTTP/1.1 100 Continue\r\n\r\n") client.write("hello");
  });
  client.write("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  await eventually(() => text.endsWith("ok"), "the final answer arrived");
  client.destroy();
});

test("flow: time limits end slow heads, stalled bodies and late answers, by an injected clock", async (t) => {
  const clock = createManualClock();
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    routes: [
      { match: { prefix: "/timeout" }, route: { cluster: "a", timeout: "2s" } },
      { match: { prefix: "/idle" }, route: { cluster: "a", timeout: "0s", idle_timeout: "3s" } },
    ],
  });
  const cases: readonly (readonly [name: string, input: string, seconds: number, status: number])[] = [
    ["slow head", "GET / HTTP/1.1\r\nHo", 10, 408],
    ["route timeout", "GET /timeout HTTP/1.1\r\nHost: a\r\n\r\n", 2, 504],
    ["silent upstream", "GET /idle HTTP/1.1\r\nHost: a\r\n\r\n", 3, 504],
    ["stalled body", "POST /idle HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", 3, 408],
  ];
  for (const [name, input, seconds, status] of cases) {
    const before = origin.connections();
    const client = connect(port, "127.0.0.1");
    let text = "";
    client.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    client.write(input);
    if (status === 408 && seconds === 10) await once(client, "connect");
    else await eventually(() => origin.connections() > before, `${name}: reached the origin`);
    await settled();
    await clock.advance(seconds * 1000 - 200);
    await settled();
    t.equal(text, "", `${name}: not before its time`);
    await clock.advance(600);
    await eventually(() => text.includes("\r\n\r\n"), `${name}: answered`);
    t.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), name);
    client.destroy();
  }
  const timeouts = proxy.stats().reduce((sum, { values }) => sum + (values.get("timeout") ?? 0), 0);
  t.equal(timeouts, 3);
});

test("flow: an answer that stops in the middle is reset at the route's silence limit", async (t) => {
  const clock = createManualClock();
  const origin = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]));
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    routes: [{ match: { prefix: "/" }, route: { cluster: "a", timeout: "0s", idle_timeout: "3s" } }],
  });
  const client = connect(port, "127.0.0.1");
  let text = "";
  let end = "";
  client.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  client.on("error", () => {
    end = "reset";
  });
  client.write(GET);
  await eventually(() => text.endsWith("abc"), "the begin arrived");
  await clock.advance(3_500);
  await eventually(() => end !== "", "the client's connection ended");
  t.equal(end, "reset");
});

interface Answer {
  /** What the origin computed over the body it got. */
  readonly hash: string;
  readonly body: Buffer;
}

function exchange(port: number, payload: Buffer, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: "127.0.0.1", method: "POST", headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ hash: String(response.headers["x-hash"]), body: Buffer.concat(chunks) }),
      );
      response.on("error", reject);
    });
    request.on("error", reject);
    for (let at = 0; at < payload.length; at += 50_000) request.write(payload.subarray(at, at + 50_000));
    request.end();
  });
}

/** Answers with the body it got and its hash, by length or chunked as asked. */
async function hashingOrigin(t: Test): Promise<number> {
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const framing = request.headers["x-answer"] === "length" ? { "content-length": body.length } : {};
      response.writeHead(200, { "x-hash": sha(body), ...framing });
      for (let at = 0; at < body.length; at += 30_000) response.write(body.subarray(at, at + 30_000));
      response.end();
    });
  });
  await listen(server);
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return portOf(server);
}

function sha(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Resolves once `value()` has grown, and then not any more while others come and go. */
async function stalls(t: Test, value: () => number): Promise<void> {
  const roundTrips = await startRoundTrips(t);
  for (let last = -1; last <= 0 || value() !== last; ) {
    last = value();
    await roundTrips(500);
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
