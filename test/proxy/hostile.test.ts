// Peers that mean harm or break down: upstreams that answer too early or break their framing late, clients that go on sending, a request that
// waits for leave to continue.
import { connect, type Socket } from "node:net";
import { test } from "tap";
import { createManualClock } from "../support/clock.ts";
import { MemoryProxy } from "./inprocess.ts";
import { readAnswers } from "./reference.ts";
import { eventually, rawOrigin, startProxy, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
const TOO_LARGE = "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong";

test("hostile: an answer that breaks its framing late is cut, and its connection reset", (t) => {
  const broken: readonly (readonly [string, string])[] = [
    ["size that overflows", "10000000000000001\r\nx\r\n"],
    ["size with a sign", "+1\r\nx\r\n0\r\n\r\n"],
    ["size with a prefix", "0x1\r\nx\r\n0\r\n\r\n"],
    ["size ended by LF", "1\nx\r\n0\r\n\r\n"],
    ["data longer than stated", "1\r\nxy\r\n0\r\n\r\n"],
    ["data ended by LF", "1\r\nx\n0\r\n\r\n"],
    ["NUL in an extension", "1;\0\r\nx\r\n0\r\n\r\n"],
    ["endless extensions", `1;${"e".repeat(17_000)}\r\nx\r\n0\r\n\r\n`],
    ["folded trailer", "0\r\nA: b\r\n c\r\n\r\n"],
    ["endless trailers", `0\r\n${"A: b\r\n".repeat(200)}\r\n`],
    ["large trailer", `0\r\nA: ${"b".repeat(70_000)}\r\n\r\n`],
  ];
  const proxy = new MemoryProxy();
  for (const [name, bytes] of broken) {
    const { client, upstreams } = proxy.run([Buffer.from(GET)], () => [CHUNKED, bytes]);
    t.match(client.text, /^HTTP\/1\.1 200 OK[\s\S]*4\r\npart\r\n/, `${name}: had begun`);
    t.notMatch(client.text, /0\r\n\r\n$/, `${name}: no clean end`);
    t.strictSame([client.end, upstreams.map(({ end }) => end)], ["reset", ["reset"]], name);
  }
  t.end();
});

test("hostile: bodies where none may be reach nobody, and end their connection", (t) => {
  const proxy = new MemoryProxy();
  const body = "Content-Length: 5\r\n\r\nextra";
  for (const [status, method] of [
    ["204 No Content", "GET"],
    ["304 Not Modified", "GET"],
    ["200 OK", "HEAD"],
  ] as const) {
    const requests = [GET.replace("GET", method), GET];
    const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const { client, upstreams } = proxy.run(
      requests.map((text) => Buffer.from(text)),
      (() => {
        const answers = [`HTTP/1.1 ${status}\r\n${body}`, ok];
        return () => [answers.shift() ?? ""];
      })(),
    );
    const { messages, wrong } = readAnswers(client.text, [method, "GET"], false);
    t.equal(wrong, "");
    t.strictSame(
      messages.map(({ body }) => body),
      ["", "ok"],
      `${status} to ${method}`,
    );
    t.equal(upstreams.length, 2, "the second request went over another connection");
  }
  t.end();
});

test("hostile: nothing behind a client's last request is processed, in one piece or in many", (t) => {
  const proxy = new MemoryProxy();
  const lasts = [
    "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /last HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n",
    "GET /last HTTP/1.0\r\n\r\n",
    "POST /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "GET /last HTTP/1.1\r\nHost : a\r\n\r\n",
  ];
  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  for (const last of lasts) {
    for (const pieces of [[last + GET], [last, GET], [...(last + GET)]]) {
      const { client, upstreams } = proxy.run(
        pieces.map((piece) => Buffer.from(piece)),
        () => [ok],
      );
      t.equal(client.text.match(/^HTTP/gm)?.length, 1, last);
      t.not(client.end, "open", last);
      t.ok(upstreams.every(({ text }) => !text.startsWith("GET / ") && !text.includes("\nGET / ")));
    }
  }
  t.end();
});

test("hostile: an answer before the body was sent is delivered, while the client goes on sending", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", () => socket.end(TOO_LARGE));
    socket.resume();
  });
  const { port } = await startProxy(t, { clusters: { a: [origin.port] } });
  for (let turn = 0; turn < 20; turn++) {
    const body = "x".repeat(700_000);
    const { text, end } = await talk(
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n${body}`,
    );
    t.match(text, /^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*long$/i);
    t.equal(end, "fin", "the client can read all of it");
  }
});

test("hostile: what a client sends behind its last answer is thrown away up to 1 MiB, or for 1 s", async (t) => {
  const clock = createManualClock();
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", () => socket.write(TOO_LARGE));
  });
  const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] }, clock });
  const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
  const start = () => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const state = { socket, text: "", isClosed: false };
    socket.on("data", (chunk: Buffer) => {
      state.text += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      state.isClosed = true;
    });
    socket.write(post);
    return state;
  };
  const talkative = start();
  await eventually(() => talkative.text.endsWith("long"), "answered");
  t.equal(talkative.isClosed, false, "it is read on");
  const flood = setInterval(() => talkative.socket.write(Buffer.alloc(65_536)), 1);
  t.teardown(() => clearInterval(flood));
  await eventually(() => talkative.isClosed, "closed beyond 1 MiB");
  clearInterval(flood);

  const silent = start();
  await eventually(() => silent.text.endsWith("long"), "answered");
  await clock.advance(900);
  t.equal(proxy.counts.connections, 2);
  t.equal(silent.isClosed, false);
  await clock.advance(400);
  silent.socket.write("x");
  await eventually(() => {
    silent.socket.write("x");
    return silent.isClosed;
  }, "closed after 1 s");
});

test("hostile: a request that expects 100-continue and gets nothing is given up in time", async (t) => {
  const clock = createManualClock();
  let got = "";
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString("latin1");
    });
  });
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    routes: [{ match: { prefix: "/" }, route: { cluster: "a", timeout: "0s" } }],
  });
  const head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  const asking = talk(port, head);
  await eventually(() => got.includes("\r\n\r\n"), "the upstream is asked");
  t.match(got, /Expect: 100-continue\r\n/);
  await clock.advance(19_000);
  await clock.advance(2_000);
  const { text } = await asking;
  t.match(text, /^HTTP\/1\.1 408 [\s\S]*connection: close/);
});

test("hostile: where no connection can be opened, as when local ports are used up, the answer is 503", async (t) => {
  const proxy = new MemoryProxy({ isUnreachable: true });
  const { client } = proxy.run([Buffer.from(GET)], () => []);
  t.match(client.text, /^HTTP\/1\.1 503 [\s\S]*upstream connection failed/);
  t.equal(client.end, "open", "the client's connection goes on");
});

test("hostile: an answer that is cut off, by FIN or reset, reaches the client as a reset, however it is framed", async (t) => {
  const framings = [
    ["by length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart", GET],
    ["chunked", CHUNKED, GET],
    ["chunked, to HTTP/1.0", CHUNKED, "GET / HTTP/1.0\r\n\r\n"],
    ["until the connection ends", "HTTP/1.1 200 OK\r\n\r\npart", GET],
  ] as const;
  for (const [name, answer, request] of framings) {
    for (const leave of ["fin", "reset"] as const) {
      // There FIN is the end of the body.
      if (leave === "fin" && name === "until the connection ends") continue;
      let origin: Socket | undefined;
      const { port: originPort } = await rawOrigin(t, (socket) => {
        origin = socket;
        socket.once("data", () => socket.write(answer));
      });
      const { port } = await startProxy(t, { clusters: { a: [originPort] } });
      const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      let text = "";
      let end = "";
      client.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      client.on("end", () => {
        end ||= "fin";
      });
      client.on("error", () => {
        end ||= "reset";
      });
      client.write(request);
      await eventually(() => text.includes("part"), `${name}: the first part came`);
      if (leave === "fin") origin?.end();
      else origin?.resetAndDestroy();
      await eventually(() => end !== "", `${name}, ${leave}: the client's connection ended`);
      t.equal(end, "reset", `${name}, ${leave}`);
      client.destroy();
    }
  }
});
