// What a listener allows its clients: size of heads, connections, requests and age of a connection, length of an exchange; and what the proxy
// allows all of them together.
import { connect, type Socket } from "node:net";
import { test } from "tap";
import { createManualClock } from "../support/clock.ts";
import { eventually, type Json, rawOrigin, recordingOrigin, scripted, startProxy, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

const common = (options: Readonly<Record<string, Json>>) => ({ common_http_protocol_options: options });

/** A client that keeps its connection and what it got. */
function client(port: number): { readonly socket: Socket; text: string; isEnded: boolean } {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const found = { socket, text: "", isEnded: false };
  socket.on("data", (chunk: Buffer) => {
    found.text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    found.isEnded = true;
  });
  socket.on("error", () => undefined);
  return found;
}

test("limits: a listener's own bounds on heads hold, below and above the usual ones", async (t) => {
  const origin = await recordingOrigin(t);
  const small = await startProxy(t, {
    clusters: { a: [origin.port] },
    hcm: { max_request_headers_kb: 2, ...common({ max_headers_count: 5 }) },
  });
  const head = (bytes: number, fields: number): string =>
    `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(fields - 2)}Z: ${"z".repeat(bytes)}\r\n\r\n`;
  t.match((await talk(small.port, head(1_900, 5), { until: /\r\n\r\n/ })).text, /^HTTP\/1\.1 200 /);
  t.match((await talk(small.port, head(2_100, 5))).text, /^HTTP\/1\.1 431 [\s\S]*head too large\n$/);
  t.match((await talk(small.port, head(10, 6))).text, /^HTTP\/1\.1 431 [\s\S]*too many fields\n$/);
  // Node's own server takes 16 KiB: a raw one stands behind the large head.
  let got = "";
  const raw = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString("latin1");
      if (got.endsWith("\r\n\r\n")) socket.write(OK);
    });
  });
  const large = await startProxy(t, {
    clusters: { a: [raw.port] },
    hcm: { max_request_headers_kb: 512, ...common({ max_headers_count: 400 }) },
  });
  t.match((await talk(large.port, head(300_000, 400), ANSWERED)).text, /^HTTP\/1\.1 200 /);
  t.equal(got.match(/^X: y\r$/gm)?.length, 398, "every field went on");
  t.match(got, `Z: ${"z".repeat(300_000)}\r\n`);
  t.match((await talk(large.port, head(600_000, 3))).text, /^HTTP\/1\.1 431 /);
});

test("limits: bounds that cannot be carried out are refused with their path", async (t) => {
  const cases: readonly (readonly [Readonly<Record<string, Json>>, RegExp])[] = [
    [{ max_request_headers_kb: 4096 }, /max_request_headers_kb is not between 1 and 1024/],
    [common({ max_headers_count: 0 }), /max_headers_count is not between 1 and 1000/],
  ];
  for (const [hcm, words] of cases) await t.rejects(startProxy(t, { clusters: { a: [1] }, hcm }), words);
});

test("limits: the last of the requests that a connection may carry is answered with close", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    hcm: common({ max_requests_per_connection: 2 }),
  });
  const { text, end } = await talk(port, GET.repeat(3));
  t.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
  t.equal(text.match(/connection: close/g)?.length, 1);
  t.match(text, /HTTP\/1\.1 200 OK(?![\s\S]*HTTP)[\s\S]*connection: close/, "the second says so");
  t.equal(end, "fin");
  t.equal(origin.seen.length, 2, "the third is not processed");
});

test("limits: a connection that is old enough ends when idle, or with its next answer", async (t) => {
  const clock = createManualClock();
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    clock,
    hcm: common({ max_connection_duration: "30s" }),
    routes: [{ match: { prefix: "/" }, route: { cluster: "a", timeout: "0s", idle_timeout: "0s" } }],
  });
  const idle = client(port);
  idle.socket.write(GET);
  await eventually(() => answers.length === 1, "the first request arrived");
  answers[0]?.();
  await eventually(() => idle.text.includes("ok"), "the first answer");
  t.notMatch(idle.text, /connection: close/);
  const busy = client(port);
  busy.socket.write(GET);
  await eventually(() => answers.length === 2, "the second request arrived");
  await clock.advance(29_000);
  t.equal(idle.isEnded, false);
  await clock.advance(1_500);
  await eventually(() => idle.isEnded, "the idle one ends");
  t.equal(busy.isEnded, false, "the busy one goes on");
  answers[1]?.();
  await eventually(() => busy.isEnded, "the busy one ends with its answer");
  t.match(busy.text, /^HTTP\/1\.1 200 OK[\s\S]*connection: close/);
  for (const { socket } of [idle, busy]) socket.destroy();
});

test("limits: an exchange ends at its longest duration, however busy it is", async (t) => {
  const clock = createManualClock();
  const silent = await rawOrigin(t, (socket) => socket.resume());
  const dripping = await rawOrigin(
    t,
    scripted(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"]),
  );
  const { port } = await startProxy(t, {
    clusters: { silent: [silent.port], dripping: [dripping.port] },
    clock,
    hcm: common({ max_stream_duration: "4s" }),
    routes: [
      { match: { prefix: "/drip" }, route: { cluster: "dripping", timeout: "0s" } },
      { match: { prefix: "/" }, route: { cluster: "silent", timeout: "0s" } },
    ],
  });
  const cases = [
    ["no answer", GET, /^HTTP\/1\.1 504 /],
    ["body not sent", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", /^HTTP\/1\.1 408 /],
    ["answer not whole", GET.replace("/", "/drip"), /^HTTP\/1\.1 200 OK[\s\S]*\r\nab\r\n$/],
  ] as const;
  for (const [name, input, want] of cases) {
    const before = silent.connections() + dripping.connections();
    const one = client(port);
    let isReset = false;
    one.socket.on("error", () => {
      isReset = true;
    });
    one.socket.write(input);
    await eventually(
      () => silent.connections() + dripping.connections() > before,
      `${name}: reached the origin`,
    );
    if (name === "answer not whole") await eventually(() => one.text.includes("ab"), "the begin came");
    await clock.advance(3_800);
    t.equal(one.isEnded || isReset, false, `${name}: not before its time`);
    await clock.advance(600);
    await eventually(
      () => (name === "answer not whole" ? isReset : one.text.includes("\n\n") || one.text.length > 0),
      `${name}: ended`,
    );
    t.match(one.text, want, name);
    one.socket.destroy();
  }
});

test("limits: a route's own longest duration replaces the listener's, from the head on, tries and answer included", async (t) => {
  const clock = createManualClock();
  const silent = await rawOrigin(t, (socket) => socket.resume());
  const dripping = await rawOrigin(
    t,
    scripted(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"]),
  );
  const route = (
    prefix: string,
    cluster: string,
    most: Readonly<Record<string, Json>>,
    more: Readonly<Record<string, Json>> = {},
  ): Json => ({
    match: { prefix },
    route: { cluster, timeout: "0s", max_stream_duration: { ...most }, ...more },
  });
  const within = (text: string) => ({ max_stream_duration: text });
  const running = await startProxy(t, {
    clusters: { silent: [silent.port], dripping: [dripping.port] },
    clock,
    hcm: common({ max_stream_duration: "4s" }),
    routes: [
      route("/short", "silent", within("2s")),
      route("/drip", "dripping", within("2s")),
      route("/tries", "silent", within("3s"), {
        retry_policy: { retry_on: "reset", num_retries: 9, per_try_timeout: "2s" },
      }),
      route("/long", "silent", within("8s")),
      route("/any", "silent", within("0s")),
      route("/unset", "silent", {}),
    ],
  });
  const ends: [path: string, endMs: number, want: RegExp][] = [
    ["/short", 2_000, /^HTTP\/1\.1 504 /],
    ["/short/body", 2_000, /^HTTP\/1\.1 408 /],
    ["/drip", 2_000, /^HTTP\/1\.1 200 OK[\s\S]*\r\nab\r\n$/],
    ["/tries", 3_000, /^HTTP\/1\.1 504 /],
    ["/unset", 4_000, /^HTTP\/1\.1 504 /],
    ["/long", 8_000, /^HTTP\/1\.1 504 /],
  ];
  const clients = [...ends, ["/any", Number.POSITIVE_INFINITY, /^$/] as const].map(([path, endMs, want]) => {
    const one = client(running.port);
    let isReset = false;
    one.socket.on("error", () => {
      isReset = true;
    });
    t.teardown(() => one.socket.destroy());
    const body = path === "/short/body" ? "Content-Length: 9\r\n\r\nabc" : "\r\n";
    one.socket.write(`${body === "\r\n" ? "GET" : "POST"} ${path} HTTP/1.1\r\nHost: a\r\n${body}`);
    return { path, endMs, want, one, isOver: () => (path === "/drip" ? isReset : one.text !== "") };
  });
  await eventually(() => silent.connections() + dripping.connections() >= 7, "all reached their origins");
  await eventually(() => clients.some(({ one }) => one.text.includes("ab")), "the begin of an answer came");
  let nowMs = 0;
  for (const atMs of [1_800, 2_600, 3_600, 4_600, 7_800, 8_600, 60_000]) {
    await clock.advance(atMs - nowMs);
    nowMs = atMs;
    for (const { path, endMs, want, one, isOver } of clients) {
      if (endMs > atMs) t.equal(isOver(), false, `${path} at ${atMs}`);
      else {
        await eventually(isOver, `${path} ended by ${atMs}`);
        t.match(one.text, want, path);
      }
    }
  }
  const retries = running.proxy.stats().map(({ values }) => values.get("retries") ?? 0);
  t.equal(Math.max(...retries), 1, "one try more");
});

test("limits: of a route's longest duration the part about gRPC, and one below 0, is refused with its path", async (t) => {
  const at = "virtual_hosts\\[0\\]\\.routes\\[0\\]\\.route\\.max_stream_duration";
  for (const [fields, words] of [
    [{ grpc_timeout_header_max: "1s" }, `${at}\\.grpc_timeout_header_max is not supported`],
    [{ grpc_timeout_header_offset: "1s" }, `${at}\\.grpc_timeout_header_offset is not supported`],
    [{ max_stream_duration: "-1s" }, `${at}\\.max_stream_duration is below 0`],
  ] as const)
    await t.rejects(
      startProxy(t, {
        clusters: { a: [1] },
        routes: [{ match: { prefix: "/" }, route: { cluster: "a", max_stream_duration: fields } }],
      }),
      { message: new RegExp(words) },
    );
});

test("limits: connections above a listener's own bound are closed at once, and counted", async (t) => {
  const origin = await recordingOrigin(t, () => undefined);
  const { port, proxy } = await startProxy(t, { clusters: { a: [origin.port] }, connectionLimit: 2 });
  for (const count of [1, 2]) {
    client(port).socket.write(GET);
    await eventually(() => origin.seen.length === count, `connection ${count} is in use`);
  }
  const third = await talk(port, GET);
  t.equal(third.text, "");
  t.not(third.end, "open");
  t.equal(proxy.counts.connectionsRefused, 1);
});

test("limits: requests above the proxy's own bound get 503 with retry-after and a reason, and the connection goes on", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("ok")));
  const { port } = await startProxy(t, { clusters: { a: [origin.port] }, limits: { maxRequests: 1 } });
  const first = talk(port, GET, ANSWERED);
  await eventually(() => answers.length === 1, "one request is in progress");
  const second = client(port);
  second.socket.write(GET);
  await eventually(() => second.text.endsWith("progress\n"), "the second is turned away");
  t.match(second.text, /^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*retry-after: 1\r\n/);
  t.match(second.text, /x-weir-reason: too many requests in progress\r\n/);
  t.notMatch(second.text, /connection: close/);
  answers[0]?.();
  t.match((await first).text, /^HTTP\/1\.1 200 /);
  second.text = "";
  second.socket.write(GET);
  await eventually(() => answers.length === 2, "there is room again");
  answers[1]?.();
  await eventually(() => second.text.endsWith("ok"), "it is answered on the same connection");
});

test("limits: the longest duration is no fault of the endpoint, a route's and a try's timeout are", async (t) => {
  const clock = createManualClock();
  const silent = await rawOrigin(t, (socket) => socket.resume());
  const ports = [silent.port];
  const longest = { max_stream_duration: { max_stream_duration: "2s" } };
  const perTry = { retry_on: "reset", num_retries: 0, per_try_timeout: "2s" };
  const { port, proxy } = await startProxy(t, {
    clusters: { stream: ports, answer: ports, try: ports },
    clusterFields: { outlier_detection: { consecutive_5xx: 1, max_ejection_percent: 100 } },
    clock,
    hasAdmin: true,
    routes: [
      { match: { prefix: "/stream" }, route: { cluster: "stream", timeout: "5s", ...longest } },
      { match: { prefix: "/answer" }, route: { cluster: "answer", timeout: "2s" } },
      { match: { prefix: "/try" }, route: { cluster: "try", timeout: "0s", retry_policy: perTry } },
    ],
  });
  const clients = ["stream", "answer", "try"].map((path) => {
    const one = client(port);
    t.teardown(() => one.socket.destroy());
    one.socket.write(`GET /${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return one;
  });
  await eventually(() => silent.connections() === 3, "all reached the origin");
  await clock.advance(2_400);
  await eventually(() => clients.every(({ text }) => text !== ""), "all are answered");
  for (const { text } of clients) t.match(text, /^HTTP\/1\.1 504 /);
  const page = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/clusters`)).text();
  t.strictSame(page.match(/^.*::(?:rq_timeout|times_ejected)::\d+$/gm), [
    ...["rq_timeout::0", "times_ejected::0"].map((line) => `stream::127.0.0.1:${silent.port}::${line}`),
    ...["rq_timeout::1", "times_ejected::1"].map((line) => `answer::127.0.0.1:${silent.port}::${line}`),
    ...["rq_timeout::1", "times_ejected::1"].map((line) => `try::127.0.0.1:${silent.port}::${line}`),
  ]);
  const timedOut = proxy.stats().map(({ cluster, values }) => [cluster, values.get("timeout")]);
  t.strictSame(Object.fromEntries(timedOut), { stream: 1, answer: 1, try: 1 });
});
