// Retries by policy: after what, how often, with which body, within which bounds, and never once the client has seen a byte.
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { RetryState } from "../../src/proxy/forward/retry.ts";
import { Head } from "../../src/proxy/http1/head.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import { createManualClock } from "../support/clock.ts";
import {
  closedPort,
  eventually,
  type ProxyOptions,
  rawOrigin,
  recordingOrigin,
  scripted,
  startProxy,
  talk,
} from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

function answerOf(status: number): string {
  return `HTTP/1.1 ${status} X\r\nContent-Length: 3\r\n\r\n${status}`;
}

type RetryJson = NonNullable<ProxyOptions["clusterFields"]>[string];

function withRetry(
  ports: readonly number[],
  policy: RetryJson,
  more: Partial<ProxyOptions> = {},
): ProxyOptions {
  return {
    clusters: { a: ports },
    routes: [{ match: { prefix: "/" }, route: { cluster: "a", retry_policy: policy } }],
    ...more,
  };
}

/** What a client gets when the upstream answers a first request with `first` and then 200. */
async function onceThenOk(
  t: Test,
  first: string,
  retryOn: string,
  more: Readonly<Record<string, RetryJson>> = {},
) {
  const origin = await rawOrigin(t, scripted([first, OK]));
  const { port, proxy } = await startProxy(t, withRetry([origin.port], { retry_on: retryOn, ...more }));
  const { text } = await talk(port, GET, ANSWERED);
  return { status: Number(text.slice(9, 12)), connections: origin.connections(), proxy };
}

test("retry: each condition stands for its statuses", async (t) => {
  const cases: readonly (readonly [retryOn: string, retried: readonly number[], not: readonly number[]])[] = [
    ["5xx", [500, 501, 503, 599], [404, 409, 429]],
    ["gateway-error", [502, 503, 504], [500, 501, 409]],
    ["retriable-4xx", [409], [404, 429, 500]],
    ["retriable-status-codes", [425, 500], [503, 409]],
    ["reset, connect-failure, refused-stream", [], [500, 503]],
  ];
  for (const [retryOn, retried, not] of cases) {
    for (const status of retried)
      t.equal(
        (await onceThenOk(t, answerOf(status), retryOn, { retriable_status_codes: [425, 500] })).status,
        200,
        `${retryOn}: ${status}`,
      );
    for (const status of not)
      t.equal(
        (await onceThenOk(t, answerOf(status), retryOn, { retriable_status_codes: [425, 500] })).status,
        status,
        `${retryOn}: ${status}`,
      );
  }
});

test("retry: fields of the answer may ask for it, fields of the request may be needed for it", async (t) => {
  const origin = await recordingOrigin(t, (seen, response) => {
    if (seen.headers["x-again"] !== undefined) response.setHeader("x-again", seen.headers["x-again"]);
    response.end("answer");
  });
  const field = (name: string, more: Readonly<Record<string, RetryJson>>): RetryJson => ({ name, ...more });
  const { port } = await startProxy(
    t,
    withRetry([origin.port], {
      retry_on: "retriable-headers",
      num_retries: 2,
      retriable_headers: [field("X-Again", { string_match: { prefix: "yes" } })],
      retriable_request_headers: [
        field("x-may", { present_match: true }),
        field(":method", { string_match: { exact: "HEAD" } }),
      ],
    }),
  );
  const tries = async (method: string, ...fields: string[]): Promise<number> => {
    origin.seen.length = 0;
    await talk(
      port,
      `${method} / HTTP/1.1\r\nHost: a\r\n${fields.map((one) => `${one}\r\n`).join("")}Connection: close\r\n\r\n`,
    );
    return origin.seen.length;
  };
  t.equal(await tries("GET", "x-again: yes please", "x-may: 1"), 3);
  t.equal(await tries("HEAD", "x-again: yes"), 3);
  t.equal(await tries("GET", "x-again: yes"), 1, "the request has none of the fields");
  t.equal(await tries("GET", "x-again: no", "x-may: 1"), 1);
});

test("retry: the connection of an answer that nobody wants serves again when it ends in time", async (t) => {
  const kept = await onceThenOk(t, answerOf(503), "5xx");
  t.equal(kept.connections, 1);
  t.equal(kept.proxy.stats()[0]?.values.get("retries"), 1);
  const closing = "HTTP/1.1 503 X\r\nConnection: close\r\n\r\nbye";
  t.strictSame(
    await onceThenOk(t, closing, "5xx").then(({ status, connections }) => [status, connections]),
    [200, 2],
  );
  const endless = "HTTP/1.1 503 X\r\nContent-Length: 1000000\r\n\r\n";
  t.strictSame(
    await onceThenOk(t, endless, "5xx").then(({ status, connections }) => [status, connections]),
    [200, 2],
  );
  const surplus = "HTTP/1.1 503 X\r\nContent-Length: 1\r\n\r\n12";
  t.strictSame(
    await onceThenOk(t, surplus, "5xx").then(({ status, connections }) => [status, connections]),
    [200, 2],
  );
});

test("retry: as often as the policy says, then the answer is the client's", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.writeHead(503).end("busy"));
  const { port } = await startProxy(t, withRetry([origin.port], { retry_on: "5xx", num_retries: 3 }));
  const { text } = await talk(port, GET, ANSWERED);
  t.match(text, /^HTTP\/1\.1 503 [\s\S]*busy/);
  t.equal(origin.seen.length, 4);
});

test("retry: a virtual host's policy serves routes without one, and a route's own replaces it", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.writeHead(503).end("busy"));
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    virtualHosts: [
      {
        name: "all",
        domains: ["*"],
        retry_policy: { retry_on: "5xx", num_retries: 2 },
        routes: [
          { match: { prefix: "/own" }, route: { cluster: "a", retry_policy: { retry_on: "reset" } } },
          { match: { prefix: "/" }, route: { cluster: "a" } },
        ],
      },
    ],
  });
  await talk(port, GET.replace("/", "/own"), ANSWERED);
  t.equal(origin.seen.length, 1);
  await talk(port, GET, ANSWERED);
  t.equal(origin.seen.length, 4);
});

for (const [kind, headers, body] of [
  ["by length", "Content-Length: 26", "abcdefghijklmnopqrstuvwxyz"],
  ["chunked", "Transfer-Encoding: chunked", "d\r\nabcdefghijklm\r\nd\r\nnopqrstuvwxyz\r\n0\r\n\r\n"],
] as const)
  test(`retry: a body ${kind} is sent again as it was, also when it comes in pieces`, async (t) => {
    let count = 0;
    const origin = await recordingOrigin(t, (seen, response) => {
      count += 1;
      response.writeHead(count % 2 === 1 ? 503 : 200).end(seen.body);
    });
    const { port } = await startProxy(t, withRetry([origin.port], { retry_on: "5xx" }));
    const head = `POST / HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n`;
    for (const cuts of [[], [head.length, head.length + 10, head.length + 20]]) {
      const { text } = await talk(port, head + body, { ...ANSWERED, cuts });
      t.match(text, /^HTTP\/1\.1 200 [\s\S]*abcdefghijklmnopqrstuvwxyz/);
    }
    t.strictSame(
      origin.seen.map((seen) => seen.body),
      Array.from({ length: 4 }, () => "abcdefghijklmnopqrstuvwxyz"),
    );
  });

test("retry: an answer that comes before the body ended is tried again, with all of the body", async (t) => {
  for (const [framing, pieces] of [
    ["Content-Length: 11", ["first", "second"]],
    ["Transfer-Encoding: chunked", ["5\r\nfirst\r\n", "6\r\nsecond\r\n0\r\n\r\n"]],
  ] as const) {
    const got: string[] = [];
    const origin = await rawOrigin(t, (socket, index) => {
      got[index] = "";
      socket.on("data", (chunk: Buffer) => {
        got[index] += chunk.toString("latin1");
        if (index === 0 && got[0]?.includes("first")) socket.write(answerOf(503));
        if (index === 1 && got[1]?.includes("second")) socket.write(OK);
      });
    });
    const { port } = await startProxy(t, withRetry([origin.port], { retry_on: "5xx" }));
    const client = connect({ port, host: "127.0.0.1", noDelay: true });
    let text = "";
    client.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    client.write(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${pieces[0]}`);
    await eventually(
      () => got[1]?.includes("first") ?? false,
      "the second try has what there is of the body",
    );
    client.write(pieces[1]);
    await eventually(() => text.endsWith("ok"), "answered");
    t.match(text, /^HTTP\/1\.1 200 /);
    const body = (got[1] ?? "").replace(/^[\s\S]*?\r\n\r\n/, "");
    t.equal(body.replace(/[0-9]\r\n|\r\n/g, ""), "firstsecond", framing);
    t.notMatch(got[0], /second/);
    client.destroy();
  }
});

test("retry: a body above the bound is not sent again", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.writeHead(503).end("busy"));
  const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n${"x".repeat(2_000)}`;
  const bounds = [
    { limits: { copyBytes: 1_000 } },
    { clusterFields: { per_connection_buffer_limit_bytes: 1_000 } },
  ];
  for (const bound of bounds) {
    origin.seen.length = 0;
    const { port } = await startProxy(t, withRetry([origin.port], { retry_on: "5xx" }, bound));
    t.match((await talk(port, post, ANSWERED)).text, /^HTTP\/1\.1 503 [\s\S]*busy/);
    t.equal(origin.seen.length, 1);
  }
});

test("retry: a lost connection, a malformed answer and a refused connection are tried again", async (t) => {
  const behaviours: readonly ((socket: Socket) => void)[] = [
    (socket) => socket.once("data", () => socket.resetAndDestroy()),
    (socket) => socket.once("data", () => socket.end()),
    scripted(["HTTQ/9 no\r\n\r\n"]),
    scripted(["HTTP/1.1 200 OK\r\nConte"], true),
  ];
  for (const behave of behaviours) {
    const origin = await rawOrigin(t, (socket, index) => (index === 0 ? behave : scripted([OK]))(socket));
    const { port } = await startProxy(t, withRetry([origin.port], { retry_on: "reset" }));
    const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    t.match((await talk(port, post, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  }
  const dead = await closedPort();
  const { port, proxy } = await startProxy(
    t,
    withRetry([dead], { retry_on: "connect-failure", num_retries: 2 }),
  );
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 503 /);
  t.equal(proxy.stats()[0]?.values.get("connect"), 3);
  t.equal(proxy.stats()[0]?.values.get("retries"), 2);
});

test("retry: never once a byte of the answer has gone out", async (t) => {
  const begun = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
  const cut = await rawOrigin(t, scripted([begun], true));
  const { port } = await startProxy(t, withRetry([cut.port], { retry_on: "5xx,reset", num_retries: 3 }));
  t.equal((await talk(port, GET)).end, "reset");
  t.equal(cut.connections(), 1);
  const hinting = await rawOrigin(
    t,
    scripted([`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${answerOf(503)}`]),
  );
  const second = await startProxy(t, withRetry([hinting.port], { retry_on: "5xx", num_retries: 3 }));
  const { text } = await talk(second.port, GET, { until: /503$/ });
  t.match(text, /^HTTP\/1\.1 103 [\s\S]*HTTP\/1\.1 503 /);
});

test("retry: with previous hosts as predicate every try goes to another endpoint", async (t) => {
  const ports: number[] = [];
  const origins = await Promise.all(
    [1, 2, 3].map(() => recordingOrigin(t, (_seen, response) => response.writeHead(503).end("busy"))),
  );
  for (const origin of origins) ports.push(origin.port);
  const predicate = {
    name: "envoy.retry_host_predicates.previous_hosts",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    },
  };
  const { port } = await startProxy(
    t,
    withRetry(
      ports,
      { retry_on: "5xx", num_retries: 3, retry_host_predicate: [predicate] },
      { clusterFields: { lb_policy: "RING_HASH" } },
    ),
  );
  await talk(port, GET, ANSWERED);
  t.strictSame(
    origins.map(({ seen }) => seen.length).sort(),
    [1, 1, 2],
    "the fourth try finds none that is new",
  );
});

test("retry: a try that takes too long is given up for another; the route's time counts them all", async (t) => {
  const clock = createManualClock();
  const origin = await recordingOrigin(t, (seen, response) => {
    if (origin.seen.length > 1 && seen.url === "/") response.end("late but there");
  });
  const policy = { retry_on: "5xx", num_retries: 5, per_try_timeout: "1s" };
  const route = { cluster: "a", timeout: "3s", retry_policy: policy };
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [origin.port] },
    routes: [{ match: { prefix: "/" }, route }],
    clock,
  });
  const answered = talk(port, GET, ANSWERED);
  await eventually(() => origin.seen.length === 1, "the first try waits");
  await clock.advance(1_300);
  t.match((await answered).text, /^HTTP\/1\.1 200 [\s\S]*late but there/);
  t.equal(proxy.stats()[0]?.values.get("timeout"), 1);

  const never = talk(port, GET.replace("/", "/never"), ANSWERED);
  for (let tries = 1; tries <= 3; tries++) {
    await eventually(
      () => origin.seen.filter(({ url }) => url === "/never").length === tries,
      `try ${tries} waits`,
    );
    await clock.advance(1_300);
  }
  t.match((await never).text, /^HTTP\/1\.1 504 /);
  t.ok(origin.seen.filter(({ url }) => url === "/never").length <= 3);
});

test("retry: waits are random below a bound that doubles up to its end", (t) => {
  const state = new RetryState();
  const policy = {
    retries: 100,
    perTryMs: 0,
    baseMs: 25,
    maxMs: 250,
    statuses: new Uint8Array(600),
    headers: [],
    requestHeaders: [],
    isOnReset: true,
    isOnConnectFailure: true,
    isElsewhere: false,
  };
  const longest = [0, 0, 0, 0, 0, 0];
  const sums = [0, 0, 0, 0, 0, 0];
  const dice = new Dice(3);
  for (let turn = 0; turn < 2_000; turn++) {
    state.begin(policy, new Head());
    for (let i = 0; i < longest.length; i++) {
      const wait = state.take(dice);
      longest[i] = Math.max(longest[i] ?? 0, wait);
      sums[i] = (sums[i] ?? 0) + wait;
    }
  }
  t.strictSame(longest, [24, 49, 99, 199, 249, 249]);
  for (const [i, sum] of sums.entries())
    t.ok(Math.abs(sum / 2_000 - (longest[i] ?? 0) / 2) < 8, "uniform from 0");
  t.end();
});

test("retry: a client that goes during a wait leaves nothing behind", async (t) => {
  const clock = createManualClock();
  const origin = await recordingOrigin(t, (_seen, response) => response.writeHead(503).end("busy"));
  const { port, proxy } = await startProxy(t, withRetry([origin.port], { retry_on: "5xx" }, { clock }));
  const client = connect(port, "127.0.0.1", () => client.write(GET));
  await eventually(() => proxy.stats()[0]?.values.get("retries") === 1, "the retry waits");
  client.destroy();
  await eventually(() => proxy.stats()[0]?.inFlight === 0, "the request is over");
  await clock.advance(1_000);
  t.equal(origin.seen.length, 1);
});

for (const [name, breakers, allowed] of [
  ["three retries at once where nothing is said", {}, 0.1],
  ["a budget of a fifth of the requests", { retry_budget: { budget_percent: { value: 20 } } }, 0.25],
  ["none where the bound is 0", { max_retries: 0 }, 0],
] as const)
  test(`retry: an upstream that is down gets few retries: ${name}`, async (t) => {
    const origin = await rawOrigin(t, scripted([answerOf(503)]));
    let attempts = 0;
    const { port, proxy } = await startProxy(
      t,
      withRetry(
        [origin.port],
        { retry_on: "5xx", num_retries: 3 },
        { clusterFields: { circuit_breakers: { thresholds: [breakers] } } },
      ),
    );
    const burst = GET.repeat(19) + GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    const answers = await Promise.all(
      Array.from({ length: 256 }, () => talk(port, burst, { patienceMs: 60_000 })),
    );
    const requests = answers.reduce((sum, { text }) => sum + (text.match(/HTTP\/1\.1 503/g)?.length ?? 0), 0);
    t.equal(requests, 256 * 20);
    attempts = requests + (proxy.stats()[0]?.values.get("retries") ?? 0);
    t.ok(attempts / requests <= 1 + allowed, `${attempts} attempts for ${requests} requests`);
    t.comment(`${attempts} attempts for ${requests} requests`);
    if (allowed > 0) t.ok(attempts > requests, "and some");
  });
