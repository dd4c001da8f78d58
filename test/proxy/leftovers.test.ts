// What requests leave behind when peers misbehave at the wrong moment: no copy without an end, no socket that nobody owns, no blame on a bystander.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { BODY, BodyReader } from "../../src/proxy/http1/body.ts";
import { ByteStore } from "../../src/proxy/wire/bytestore.ts";
import { createManualClock } from "../support/clock.ts";
import {
  eventually,
  type Json,
  type Running,
  rawOrigin,
  recordingOrigin,
  scripted,
  startProxy,
} from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD_OF_POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
const MIRRORED: Json = {
  match: { prefix: "/" },
  route: { cluster: "main", timeout: "2s", request_mirror_policies: [{ cluster: "copy" }] },
};

/** A client that stays, and what it got. */
function client(t: Test, port: number): { readonly socket: Socket; text: string } {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  t.teardown(() => socket.destroy());
  const opened = { socket, text: "" };
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    opened.text += chunk.toString("latin1");
  });
  return opened;
}

const cellOf = ({ proxy }: Running, name: string) => {
  const cell = proxy.stats().find(({ cluster }) => cluster === name);
  if (cell === undefined) throw new Error(`no counts of ${name}`);
  return cell;
};

test("leftovers: a connection that is given up while it is being made is gone at once", async (t) => {
  const port = await fullPort(t);
  const running = await startProxy(t, { clusters: { main: [port] }, connectTimeout: "60s" });
  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
  const before = sockets();
  const one = client(t, running.port);
  one.socket.write(GET);
  await eventually(() => cellOf(running, "main").inFlight === 1, "the connection is being made");
  one.socket.destroy();
  await eventually(() => cellOf(running, "main").inFlight === 0, "the request is over");
  // Without the test's own, which ends in a turn of its own.
  await eventually(() => one.socket.closed && sockets() <= before, "its connection is gone");
});

test("leftovers: a copy keeps its pooled connection while the client takes its time with the body", async (t) => {
  const clock = createManualClock();
  const [main, copy] = [await recordingOrigin(t), await recordingOrigin(t)];
  const running = await startProxy(t, {
    clusters: { main: [main.port], copy: [copy.port] },
    routes: [MIRRORED],
    clock,
  });
  const one = client(t, running.port);
  one.socket.write(`${HEAD_OF_POST}abc`);
  await eventually(() => copy.seen.length === 1 && one.text.endsWith("abc"), "the first copy");
  await eventually(() => cellOf(running, "copy").inFlight === 0, "its end");
  one.socket.write(HEAD_OF_POST);
  await eventually(() => cellOf(running, "copy").inFlight === 1, "the second copy begins");
  // Longer than pooled connections are kept.
  await clock.advance(6_000);
  one.socket.write("def");
  await eventually(() => copy.seen.length === 2 && one.text.endsWith("def"), "the second copy");
  t.equal(copy.seen[1]?.body, "def");
  t.equal(copy.seen[1]?.peerPort, copy.seen[0]?.peerPort, "over the same connection");
  await eventually(() => cellOf(running, "copy").inFlight === 0, "its end");
});

test("leftovers: a copy whose mirror stops reading ends when its time is over", async (t) => {
  const clock = createManualClock();
  const main = await recordingOrigin(t, (_seen, response) => response.end("done"));
  const stuck = await rawOrigin(t, (socket) => void socket.pause());
  const running = await startProxy(t, {
    clusters: { main: [main.port], copy: [stuck.port] },
    clusterFields: { per_connection_buffer_limit_bytes: 32 * 1024 * 1024 },
    routes: [MIRRORED],
    clock,
  });
  const length = 16 * 1024 * 1024;
  const one = client(t, running.port);
  one.socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`);
  one.socket.write(Buffer.alloc(length));
  await eventually(() => one.text.endsWith("done"), "the primary answers");
  t.equal(cellOf(running, "copy").inFlight, 1);
  await clock.advance(2_300);
  t.equal(cellOf(running, "copy").values.get("timeout"), 1);
  t.equal(cellOf(running, "copy").inFlight, 0);
});

test("leftovers: a slow client whose time is over does not get an endpoint ejected", async (t) => {
  const clock = createManualClock();
  const origin = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]));
  const reading = await rawOrigin(t, (socket) => void socket.resume());
  const running = await startProxy(t, {
    clusters: { main: [reading.port], other: [origin.port] },
    clusterFields: {
      outlier_detection: { consecutive_5xx: 1, consecutive_gateway_failure: 1, max_ejection_percent: 100 },
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
    },
    hcm: { common_http_protocol_options: { max_stream_duration: "4s" } },
    clock,
  });
  const one = client(t, running.port);
  one.socket.write(`${HEAD_OF_POST}a`);
  await eventually(() => cellOf(running, "main").inFlight === 1, "the request begins");
  await clock.advance(4_300);
  await eventually(() => one.text.startsWith("HTTP/1.1 408 "), "the client is given up");
  const two = client(t, running.port);
  two.socket.write(GET);
  await eventually(() => cellOf(running, "main").inFlight === 1, "the endpoint still gets requests");
  t.equal(two.text, "");
});

test("leftovers: an idle connection does not keep the memory of the largest head that it had", (t) => {
  const store = new ByteStore();
  store.append(Buffer.alloc(60_000, 1), 0, 60_000);
  store.consume(59_999);
  t.equal(store.bytes[store.start], 1);
  store.consume(1);
  t.strictSame([store.length, store.bytes.length], [0, 0]);
  store.append(Buffer.alloc(2_000), 0, 2_000);
  const { bytes } = store;
  store.consume(2_000);
  t.equal(store.bytes, bytes, "what most requests need stays");
  t.end();
});

test("leftovers: trailers are read whole from pieces, and the body behind them too", (t) => {
  const body = new BodyReader();
  const names: string[] = [];
  const sink = {
    onBody: () => undefined,
    onTrailers: (head: { valueAt(index: number): string }) => void names.push(head.valueAt(0)),
  };
  for (const value of ["one", "two"]) {
    body.reset(BODY.CHUNKED, -1);
    for (const piece of ["1\r\na\r\n0\r\nX-T: ", `${value}\r\n`, "\r\nrest"]) {
      const bytes = Buffer.from(piece);
      const used = body.read(bytes, 0, bytes.length, sink);
      t.equal(used, piece.endsWith("rest") ? 2 : bytes.length);
    }
    t.ok(body.isDone);
  }
  t.strictSame(names, ["one", "two"]);
  t.end();
});

/** A port on this machine that accepts no further connection: its server never takes those that it has. */
async function fullPort(t: Test): Promise<number> {
  const program = `const s = require("node:net").createServer();
    s.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      process.stdout.write(s.address().port + "\\n", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000));
    });`;
  const server: ChildProcess = spawn(process.execPath, ["-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => server.kill("SIGKILL"));
  if (server.stdout === null) throw new Error("no output to read");
  const [line] = await once(server.stdout, "data");
  const port = Number(String(line));
  // A queue of one holds two, and whoever comes then waits for ever (Linux: a queue is full beyond its length).
  for (let held = 0; held < 2; held++) {
    const socket = connect({ port, host: "127.0.0.1" });
    t.teardown(() => socket.destroy());
    await once(socket, "connect");
  }
  return port;
}
