// Clients that send or read too slowly are cut off; whoever waits for an upstream, or uses a route that bears any silence, is not.
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { Patience } from "../../src/proxy/http1/minrate.ts";
import { createManualClock, type ManualClock, settle } from "../support/clock.ts";
import { eventually, type ProxyOptions, type Running, rawOrigin, startProxy } from "./support.ts";

const HEAD = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LONG = { match: { prefix: "/" }, route: { cluster: "a", timeout: "0s" } };

interface Client {
  readonly socket: Socket;
  text: string;
  isReset: boolean;
}

function client(t: Test, port: number): Client {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const found: Client = { socket, text: "", isReset: false };
  socket.on("data", (chunk: Buffer) => {
    found.text = (found.text + chunk.toString("latin1")).slice(0, 1_000);
  });
  socket.on("error", () => {
    found.isReset = true;
  });
  t.teardown(() => socket.destroy());
  return found;
}

async function start(t: Test, port: number, options: Partial<ProxyOptions> = {}) {
  const clock = createManualClock();
  const running = await startProxy(t, { clusters: { a: [port] }, clock, routes: [LONG], ...options });
  return { clock, ...running };
}

/** Sends `bytes` a second for so many seconds, each of which the proxy has received before time goes on. */
async function drip(clock: ManualClock, { proxy }: Running, one: Client, bytes: number, seconds: number) {
  const received = (): number => proxy.stats()[0]?.values.get("bytes_in") ?? 0;
  for (let second = 0; second < seconds && one.text === "" && !one.isReset; second++) {
    const before = received();
    one.socket.write(Buffer.alloc(bytes, "x"));
    await eventually(() => received() >= before + bytes, "the bytes went on");
    await clock.advance(1_000);
    await settle();
  }
}

test("minrate: a body below the rate is answered with 408 when its grace is used up", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const { clock, ...running } = await start(t, origin.port);
  const one = client(t, running.port);
  one.socket.write(HEAD);
  await eventually(() => origin.connections() === 1, "the head went on");
  await drip(clock, running, one, 100, 19);
  t.equal(one.text, "", "not before 20 s");
  await drip(clock, running, one, 100, 6);
  await eventually(() => one.text !== "", "answered");
  t.match(one.text, /^HTTP\/1\.1 408 [\s\S]*request body came too slowly/);
  const values = running.proxy.stats()[0]?.values;
  t.equal(values?.get("aborted"), 1, "that is the client's fault, and not counted against the version");
  t.equal(values?.get("error"), undefined);
  one.socket.destroy();
});

test("minrate: a body at the rate lives, and so does any body on a route that bears silence", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const { clock, ...running } = await start(t, origin.port);
  const steady = client(t, running.port);
  steady.socket.write(HEAD);
  await drip(clock, running, steady, 1_100, 60);
  t.strictSame([steady.text, steady.isReset], ["", false]);
  steady.socket.destroy();

  const route = { match: { prefix: "/" }, route: { cluster: "a", timeout: "0s", idle_timeout: "0s" } };
  const streaming = await start(t, origin.port, { routes: [route] });
  const slow = client(t, streaming.port);
  slow.socket.write(HEAD);
  await drip(streaming.clock, streaming, slow, 10, 60);
  t.strictSame([slow.text, slow.isReset], ["", false]);
  slow.socket.destroy();
});

test("minrate: a client that waits for its upstream is not slow: upload held back, long poll, silence between events", async (t) => {
  let held: Socket | undefined;
  const holding = await rawOrigin(t, (socket) => {
    held = socket.pause();
  });
  const upload = await start(t, holding.port);
  const sender = client(t, upload.port);
  sender.socket.write(HEAD);
  let isBehind = false;
  const pump = (): void => {
    while (!sender.socket.destroyed) {
      if (!sender.socket.write(Buffer.alloc(65_536))) {
        isBehind = true;
        sender.socket.once("drain", pump);
        return;
      }
    }
  };
  pump();
  await eventually(
    () => isBehind && (upload.proxy.stats()[0]?.values.get("bytes_in") ?? 0) > 65_536,
    "held back",
  );
  let before = -1;
  await eventually(() => {
    const now = upload.proxy.stats()[0]?.values.get("bytes_in") ?? 0;
    const isStill = now === before;
    before = now;
    return isStill;
  }, "nothing moves any more");
  await upload.clock.advance(100_000);
  t.strictSame([sender.text, sender.isReset], ["", false]);
  sender.socket.destroy();
  // A client that goes is seen as soon as the upstream takes bytes again.
  held?.resume();
  await eventually(() => upload.proxy.stats()[0]?.inFlight === 0, "the upload is over");

  const events = await rawOrigin(t, (socket) => {
    socket.once("data", () =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
    );
  });
  const stream = await start(t, events.port);
  const listener = client(t, stream.port);
  listener.socket.write(GET);
  await eventually(() => listener.text.includes("data: 1"), "the first event");
  await stream.clock.advance(200_000);
  t.equal(listener.isReset, false);
  listener.socket.destroy();
});

test("minrate: a client that leaves its answer is reset when its grace is used up, and counted", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
      const piece = Buffer.alloc(65_536);
      const pump = (): void => {
        while (!socket.destroyed && socket.write(piece));
        socket.once("drain", pump);
      };
      pump();
    });
  });
  const { clock, port, proxy } = await start(t, origin.port, { hasAdmin: true });
  const one = client(t, port);
  one.socket.write(GET);
  one.socket.pause();
  const sent = (): number => proxy.stats()[0]?.values.get("bytes_out") ?? 0;
  let before = -1;
  await eventually(() => {
    const isStill = sent() > 0 && sent() === before;
    before = sent();
    return isStill;
  }, "nothing moves any more");
  // What the kernel took counts as taken: up to a minute's worth.
  await clock.advance(59_000);
  t.equal(proxy.stats()[0]?.values.get("aborted"), undefined);
  await clock.advance(2_000);
  await eventually(() => proxy.stats()[0]?.values.get("aborted") === 1, "given up");
  const metrics = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
  t.match(metrics, 'weir_proxy_slow_clients_total{side="reader"} 1');
  one.socket.resume();
  await eventually(() => one.isReset, "the client sees a reset");
});

test("minrate: patience is used up by waiting alone, and earned back with bytes up to its bound", (t) => {
  const rate = { bytesPerS: 1_000, graceMs: 20_000, mostMs: 30_000 };
  const patience = new Patience();
  patience.begin(rate);
  t.equal(patience.endMs, Number.POSITIVE_INFINITY, "nobody waits yet");
  patience.wait(100_000);
  t.equal(patience.endMs, 120_000);
  patience.earn(5_000, 110_000);
  t.equal(patience.endMs, 125_000);
  patience.rest(115_000);
  t.equal(patience.endMs, Number.POSITIVE_INFINITY);
  patience.wait(900_000);
  t.equal(patience.endMs, 910_000, "10 s were left");
  patience.earn(1_000_000, 905_000);
  t.equal(patience.endMs, 935_000, "30 s at most");
  patience.begin(null);
  patience.wait(0);
  patience.earn(1, 0);
  t.equal(patience.endMs, Number.POSITIVE_INFINITY, "whoever has no rate is never waited for too long");
  t.end();
});
