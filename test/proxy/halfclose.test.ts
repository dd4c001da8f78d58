// Clients that end their side of a connection (FIN) behind a request: given up, unless the listener says `half_close`; then the answer is
// theirs, and nothing after it.
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { createManualClock } from "../support/clock.ts";
import {
  eventually,
  type Json,
  type ProxyOptions,
  type Running,
  rawOrigin,
  recordingOrigin,
  startProxy,
  talk,
} from "./support.ts";

const HOUR_MS = 3_600_000;
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED =
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: t\r\n\r\n";
const SIZED = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

const half = (value: Json): Readonly<Record<string, Json>> => ({
  metadata: { filter_metadata: { "weir.dev": { half_close: value } } },
});

/** A proxy that lets FIN through, with a route `/probe` to an origin of its own. */
async function letting(t: Test, port: number, more: Partial<ProxyOptions> = {}): Promise<Running> {
  const probe = await recordingOrigin(t, (_seen, response) => response.end("there"));
  return startProxy(t, {
    clusters: { probe: [probe.port], a: [port] },
    routes: [
      { match: { prefix: "/probe" }, route: { cluster: "probe" } },
      { match: { prefix: "/" }, route: { cluster: "a" } },
    ],
    listenerFields: half(true),
    ...more,
  });
}

interface Client {
  readonly socket: Socket;
  text: string;
  end: "" | "fin" | "reset";
}

function client(t: Test, port: number, input: string): Client {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  t.teardown(() => socket.destroy());
  const found: Client = { socket, text: "", end: "" };
  socket.on("data", (chunk: Buffer) => {
    found.text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    found.end ||= "fin";
  });
  socket.on("error", () => {
    found.end ||= "reset";
  });
  socket.write(Buffer.from(input, "latin1"));
  return found;
}

/** Sends FIN; the proxy has it once this is over: it was there before the request that is answered meanwhile. */
async function finish(socket: Socket, port: number): Promise<void> {
  await new Promise<void>((resolve) => socket.end(resolve));
  await talk(port, GET.replace("/", "/probe"), ANSWERED);
}

const counted = ({ proxy }: Running, cluster: string, name: string): number =>
  proxy
    .stats()
    .find((cell) => cell.cluster === cluster)
    ?.values.get(name) ?? 0;

for (const [name, input, body, trailer] of [
  ["a request without a body", GET, "", undefined],
  ["a client of HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "", undefined],
  ["a sized body", SIZED, "hello", undefined],
  ["a chunked body with trailers", CHUNKED, "hello", "t"],
] as const)
  test(`half close: ${name} is answered, and the connection ends behind it`, async (t) => {
    const answers: (() => void)[] = [];
    const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
    const running = await letting(t, origin.port);
    const one = client(t, running.port, input);
    await eventually(() => answers.length === 1, "the request arrived");
    await finish(one.socket, running.port);
    t.strictSame([one.text, one.end], ["", ""]);
    answers[0]?.();
    await eventually(() => one.end !== "", "the connection ends");
    t.match(one.text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*ok/);
    t.equal(one.end, "fin");
    t.strictSame([origin.seen[0]?.body, origin.seen[0]?.trailers["x-t"]], [body, trailer]);
    t.equal(counted(running, "a", "aborted"), 0);
    t.equal(running.proxy.counts.connections, 2);
  });

test("half close: what is held until there is a connection counts when it is whole, and is given up when it is not", async (t) => {
  const sockets: { readonly socket: Socket; text: string; end: string }[] = [];
  const origin = await rawOrigin(t, (socket) => {
    const one = { socket, text: "", end: "" };
    sockets.push(one);
    socket.on("data", (chunk: Buffer) => {
      one.text += chunk.toString("latin1");
    });
    socket.on("error", () => {
      one.end ||= "reset";
    });
    socket.on("end", () => {
      one.end ||= "fin";
    });
  });
  const running = await letting(t, origin.port, {
    clusterFields: { circuit_breakers: { thresholds: [{ max_connections: 1 }] } },
  });
  const first = client(t, running.port, GET);
  await eventually(() => sockets[0]?.text.endsWith("\r\n\r\n") === true, "the only connection is in use");
  const waiting: Client[] = [];
  for (const input of [SIZED + GET, CHUNKED, SIZED.slice(0, -1), CHUNKED.slice(0, -2)]) {
    const one = client(t, running.port, input);
    waiting.push(one);
    await finish(one.socket, running.port);
  }
  t.strictSame([...new Set(waiting.map(({ end }) => end))], [""], "all of them wait");
  sockets[0]?.socket.write(OK);
  await eventually(() => first.text.endsWith("ok"), "the first answer");
  for (const body of ["\r\n\r\nhello", "0\r\nX-T: t\r\n\r\n"]) {
    await eventually(() => sockets[0]?.text.endsWith(body) === true, "the next request is whole");
    sockets[0]?.socket.write(OK);
  }
  await eventually(() => waiting.every(({ end }) => end !== ""), "all of them ended");
  t.strictSame(
    waiting.map(({ end }) => end),
    ["fin", "fin", "reset", "reset"],
  );
  for (const { text } of waiting.slice(0, 2)) t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/);
  await eventually(() => sockets.every(({ end }) => end === "reset"), "no part of a request looks whole");
  t.equal(counted(running, "a", "aborted"), 2);
  t.equal(
    sockets.flatMap(({ text }) => text.match(/^GET/gm) ?? []).length,
    1,
    "what stood behind is not read",
  );
});

test("half close: an answer that began before is delivered to its end", async (t) => {
  let upstream: Socket | undefined;
  const origin = await rawOrigin(t, (socket) => {
    upstream = socket;
    socket.once("data", () =>
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
    );
  });
  const running = await letting(t, origin.port);
  const one = client(t, running.port, GET);
  await eventually(() => one.text.endsWith("\r\na\r\n"), "the answer begins");
  t.notMatch(one.text, /connection: close/);
  await finish(one.socket, running.port);
  upstream?.write("1\r\nb\r\n0\r\n\r\n");
  await eventually(() => one.end !== "", "the connection ends");
  t.equal(one.end, "fin");
  t.match(one.text, /1\r\na\r\n1\r\nb\r\n0\r\n\r\n$/);
});

test("half close: a request behind the one at hand is not read", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
  const { port } = await letting(t, origin.port);
  const one = client(t, port, GET + SIZED);
  await eventually(() => answers.length === 1, "the first arrived");
  await finish(one.socket, port);
  answers[0]?.();
  await eventually(() => one.end !== "", "the connection ends");
  t.equal(one.end, "fin");
  t.equal(one.text.match(/^HTTP/gm)?.length, 1);
  t.equal(origin.seen.length, 1);
});

test("half close: a copy is whole, too", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
  const copy = await recordingOrigin(t);
  const probe = await recordingOrigin(t, (_seen, response) => response.end("there"));
  const { port } = await letting(t, origin.port, {
    clusters: { probe: [probe.port], a: [origin.port], copy: [copy.port] },
    routes: [
      { match: { prefix: "/probe" }, route: { cluster: "probe" } },
      { match: { prefix: "/" }, route: { cluster: "a", request_mirror_policies: [{ cluster: "copy" }] } },
    ],
  });
  const one = client(t, port, CHUNKED);
  await eventually(() => answers.length === 1, "the request arrived");
  await finish(one.socket, port);
  answers[0]?.();
  await eventually(() => one.end === "fin" && copy.seen.length === 1, "the answer and the copy");
  t.equal(copy.seen[0]?.body, "hello");
});

for (const [name, input, leave] of [
  ["FIN inside a sized body", SIZED.slice(0, -1), "fin"],
  ["FIN inside a chunked body", CHUNKED.slice(0, -2), "fin"],
  ["a reset", GET, "reset"],
] as const)
  test(`half close: ${name} aborts the exchange and its upstream`, async (t) => {
    let text = "";
    let end = "";
    const origin = await rawOrigin(t, (socket) => {
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      socket.on("end", () => {
        end ||= "fin";
      });
      socket.on("error", () => {
        end ||= "reset";
      });
    });
    const running = await letting(t, origin.port);
    const one = client(t, running.port, input);
    await eventually(
      () => text.includes("\r\n\r\n") && (input === GET || text.includes("hell")),
      "it arrived",
    );
    if (leave === "fin") one.socket.end();
    else one.socket.resetAndDestroy();
    await eventually(() => end !== "", "the upstream connection ended");
    t.equal(end, "reset");
    t.equal(counted(running, "a", "aborted"), 1);
    if (leave === "fin") await eventually(() => one.end === "reset", "the client's connection, too");
  });

test("half close: a client that goes away behind its FIN is noticed when its answer is written", async (t) => {
  let upstream: Socket | undefined;
  let isGone = false;
  const origin = await rawOrigin(t, (socket) => {
    upstream = socket;
    socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    socket.on("error", () => {
      isGone = true;
    });
  });
  const running = await letting(t, origin.port);
  const one = client(t, running.port, GET);
  await eventually(() => one.text.endsWith("\r\n\r\n"), "the answer begins");
  await finish(one.socket, running.port);
  one.socket.destroy();
  await eventually(() => {
    if (!isGone) upstream?.write("1\r\na\r\n");
    return isGone;
  }, "the upstream is aborted");
  t.equal(counted(running, "a", "aborted"), 1);
});

for (const [name, hcm, limitMs] of [
  ["5 min", {}, 300_000],
  ["what its listener says", { stream_idle_timeout: "20s" }, 20_000],
  ["5 min where its listener bears any silence", { stream_idle_timeout: "0s" }, 300_000],
] as const)
  test(`half close: on a route that bears any silence, it may last ${name}`, async (t) => {
    const clock = createManualClock();
    let [reached, lost] = [0, 0];
    const origin = await rawOrigin(t, (socket) => {
      socket.once("data", () => {
        reached += 1;
      });
      socket.on("error", () => {
        lost += 1;
      });
    });
    const probe = await recordingOrigin(t, (_seen, response) => response.end("there"));
    const running = await letting(t, origin.port, {
      clusters: { probe: [probe.port], a: [origin.port] },
      routes: [
        { match: { prefix: "/probe" }, route: { cluster: "probe" } },
        { match: { prefix: "/" }, route: { cluster: "a", timeout: "0s", idle_timeout: "0s" } },
      ],
      clock,
      hcm,
    });
    const [gone, there, open] = [1, 2, 3].map(() => client(t, running.port, GET));
    await eventually(() => reached === 3, "all arrived");
    await finish(gone!.socket, running.port);
    gone!.socket.destroy();
    await finish(there!.socket, running.port);
    await clock.advance(limitMs - 300);
    t.strictSame([lost, there?.text], [0, ""], "not before its time");
    await clock.advance(700);
    await eventually(() => there?.end === "fin" && lost === 2, "both ended, and their upstream connections");
    t.match(there?.text, /^HTTP\/1\.1 504 [\s\S]*connection: close/, "who is there is told");
    await clock.advance(HOUR_MS);
    t.strictSame([lost, open?.text], [2, ""], "who has not ended may wait as long as before");
    open?.socket.resetAndDestroy();
    await eventually(() => lost === 3, "all upstream connections ended");
  });

test("half close: only true and false are taken, and no option that is not known", async (t) => {
  const own = (fields: Json) => ({
    metadata: { filter_metadata: { "weir.dev": fields, other: { any: 1 } } },
  });
  const at = 'metadata.filter_metadata["weir.dev"]';
  for (const [fields, words] of [
    [{ half_close: "yes" }, `${at}.half_close is neither true nor false`],
    [{ half_open: true }, `${at}.half_open is not supported by this proxy`],
  ] as const)
    await t.rejects(startProxy(t, { clusters: { a: [1] }, listenerFields: own(fields) }), {
      message: new RegExp(words.replaceAll(/[[\].]/g, "\\$&")),
    });
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    listenerFields: own({ half_close: false }),
  });
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
});
