// Hedged requests: a try whose time is over goes on beside the next one, and the first good answer is the client's. As in Envoy
// (hedge_on_per_try_timeout); test/e2e/envoy-hedging.test.ts holds the two side by side.
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Test, test } from "tap";
import { createManualClock, type ManualClock } from "../support/clock.ts";
import {
  closedPort,
  eventually,
  listen,
  type ProxyOptions,
  portOf,
  type Running,
  rawOrigin,
  startProxy,
  talk,
} from "./support.ts";

type Json = NonNullable<ProxyOptions["clusterFields"]>[string];

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const WHOLE = { until: /\r\n0\r\n\r\n$/ };
const HEDGE = { hedge_on_per_try_timeout: true };
/** More than the second that a try has, and than the wait before the next one. */
const LATE_MS = 1_400;

/** A request that an origin holds until the test answers it. */
interface Held {
  readonly response: ServerResponse;
  readonly body: string;
  /** The proxy's connection went before it was answered. */
  isGone: boolean;
}

/** An origin that answers nothing by itself. */
async function holdingOrigin(t: Test): Promise<{ readonly port: number; readonly held: Held[] }> {
  const held: Held[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const one: Held = { response, body, isGone: false };
    response.on("close", () => {
      one.isGone = !response.writableEnded;
    });
    held.push(one);
  });
  await listen(server);
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: portOf(server), held };
}

interface Hedged extends Running {
  readonly clock: ManualClock;
}

async function startHedged(
  t: Test,
  ports: readonly number[],
  policy: Readonly<Record<string, Json>> = {},
  more: Partial<ProxyOptions> & { readonly route?: Readonly<Record<string, Json>> } = {},
): Promise<Hedged> {
  const clock = createManualClock();
  const { route: fields, ...options } = more;
  const predicate = {
    name: "envoy.retry_host_predicates.previous_hosts",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    },
  };
  const retry = { retry_on: "5xx", per_try_timeout: "1s", retry_host_predicate: [predicate], ...policy };
  const route = { cluster: "a", timeout: "60s", retry_policy: retry, hedge_policy: HEDGE, ...fields };
  const running = await startProxy(t, {
    clusters: { a: ports },
    routes: [{ match: { prefix: "/" }, route }],
    clock,
    ...options,
  });
  return { ...running, clock };
}

/** A request that was late at the first of two origins and waits at both. */
async function hedgedOnce(t: Test, policy: Readonly<Record<string, Json>> = {}, until = ANSWERED) {
  const first = await holdingOrigin(t);
  const second = await holdingOrigin(t);
  const running = await startHedged(t, [first.port, second.port], policy);
  const answered = talk(running.port, GET, until);
  await eventually(() => first.held.length + second.held.length === 1, "the first try waits");
  const [early, late] = first.held.length === 1 ? [first, second] : [second, first];
  t.equal(stat(running, "retries"), 0);
  await running.clock.advance(LATE_MS);
  await eventually(() => late.held.length === 1, "the second try waits beside it");
  const [one, two] = [early.held[0], late.held[0]];
  if (one === undefined || two === undefined) throw new Error("both have the request");
  t.notOk(one.isGone, "the first try goes on");
  return { ...running, answered, one, two, early, late };
}

function stat({ proxy }: Pick<Running, "proxy">, name: string): number {
  return proxy.stats()[0]?.values.get(name) ?? 0;
}

test("hedge: the late try's answer is the client's if it comes first, and the other try ends", async (t) => {
  const { answered, one, two, proxy } = await hedgedOnce(t);
  one.response.end("from the first");
  t.match((await answered).text, /^HTTP\/1\.1 200 [\s\S]*from the first$/);
  await eventually(() => two.isGone, "the second one is reset");
  t.equal(stat({ proxy }, "retries"), 1);
  t.equal(stat({ proxy }, "timeout"), 0, "nobody waited in vain");
  t.equal(proxy.stats()[0]?.inFlight, 0);
});

test("hedge: so is that of the try beside it, and the late one ends", async (t) => {
  const { answered, one, two } = await hedgedOnce(t);
  two.response.end("from the second");
  t.match((await answered).text, /^HTTP\/1\.1 200 [\s\S]*from the second$/);
  await eventually(() => one.isGone, "the first one is reset");
});

test("hedge: an answer's head decides, however long its body takes", async (t) => {
  const { answered, one, two, clock } = await hedgedOnce(t, {}, WHOLE);
  one.response.write("begin ");
  await eventually(() => two.isGone, "the other one is reset");
  await clock.advance(LATE_MS);
  one.response.end("end");
  t.match((await answered).text, /begin [\s\S]*end\r\n0\r\n\r\n$/);
});

test("hedge: an early hint decides as a head does", async (t) => {
  const policy = {
    retry_on: "5xx,retriable-headers",
    retriable_headers: [{ name: "link", present_match: true }],
  };
  const { answered, one, two } = await hedgedOnce(t, policy, { until: /busy/ });
  one.response.writeEarlyHints({ link: "</x>; rel=preload" });
  await eventually(() => two.isGone, "the other one is reset");
  one.response.writeHead(503).end("busy");
  t.match((await answered).text, /^HTTP\/1\.1 103 [\s\S]*HTTP\/1\.1 503 [\s\S]*busy/);
});

test("hedge: an answer that the policy would not have is left for the other try's, whichever comes first", async (t) => {
  for (const [bad, good] of [
    ["one", "two"],
    ["two", "one"],
  ] as const) {
    const hedged = await hedgedOnce(t);
    const { response } = hedged[bad];
    const { socket } = response;
    response.writeHead(503, { "content-length": "4" }).end("busy");
    await eventually(() => response.writableFinished, "answered, and no further try is left");
    hedged[good].response.end("good");
    t.match((await hedged.answered).text, /^HTTP\/1\.1 200 [\s\S]*good$/);
    t.equal(socket?.destroyed, false, "the connection of the other one may serve again");
  }
});

test("hedge: of answers that are all unwanted the last one is the client's", async (t) => {
  for (const order of [
    ["one", "two"],
    ["two", "one"],
  ] as const) {
    const hedged = await hedgedOnce(t);
    for (const name of order) {
      hedged[name].response.writeHead(503).end(name);
      await eventually(() => hedged[name].response.writableFinished, `${name} answered`);
      await hedged.clock.advance(300);
    }
    const { text } = await hedged.answered;
    t.match(text, new RegExp(`^HTTP/1\\.1 503 [^]*\r\n${order[1]}\r\n`));
    t.equal(hedged.proxy.stats()[0]?.inFlight, 0);
  }
});

test("hedge: a try beside the late one that fails is repeated while there are tries left", async (t) => {
  const { answered, two, late, early, one, clock } = await hedgedOnce(t, { num_retries: 2 });
  two.response.writeHead(503).end("busy");
  await eventually(() => two.response.writableFinished, "answered");
  await clock.advance(300);
  await eventually(() => late.held.length + early.held.length === 3, "a third try");
  t.notOk(one.isGone);
  (late.held[1] ?? early.held[1])?.response.end("third");
  t.match((await answered).text, /^HTTP\/1\.1 200 [\s\S]*third$/);
});

test("hedge: each late try gets another one beside it, on another endpoint, as many as the policy allows", async (t) => {
  const origins = await Promise.all([1, 2, 3, 4].map(() => holdingOrigin(t)));
  const ports = origins.map(({ port }) => port);
  const { port, clock } = await startHedged(
    t,
    ports,
    { num_retries: 3 },
    // Without a word on those that were tried all would go to one.
    {
      clusterFields: { lb_policy: "RING_HASH" },
      route: { hash_policy: [{ header: { header_name: "host" } }] },
    },
  );
  for (let request = 0; request < 3; request++) {
    for (const { held } of origins) held.length = 0;
    const tries = (): Held[] => origins.flatMap(({ held }) => held);
    const answered = talk(port, GET, ANSWERED);
    for (const count of [1, 2, 3, 4, 4]) {
      await eventually(() => tries().length === count, `${count} tries wait`);
      await clock.advance(LATE_MS);
    }
    t.strictSame(
      origins.map(({ held }) => held.length),
      [1, 1, 1, 1],
    );
    tries()[request]?.response.end("any of them");
    t.match((await answered).text, /^HTTP\/1\.1 200 [\s\S]*any of them$/);
    await eventually(() => tries().filter(({ isGone }) => isGone).length === 3, "the others are reset");
  }
});

test("hedge: a late try that is lost, or breaks its framing, is not missed; nor is the one beside it", async (t) => {
  for (const failed of ["one", "two"] as const)
    for (const bytes of ["", "HTTQ/9 no\r\n\r\n"]) {
      const hedged = await hedgedOnce(t);
      const { socket } = hedged[failed].response;
      if (bytes === "") socket?.resetAndDestroy();
      else socket?.write(bytes);
      await eventually(() => stat(hedged, "reset") + stat(hedged, "protocol") === 1, "it is counted");
      hedged[failed === "one" ? "two" : "one"].response.end("good");
      t.match((await hedged.answered).text, /^HTTP\/1\.1 200 [\s\S]*good$/, `${failed} ${bytes}`);
      t.equal(hedged.proxy.stats()[0]?.inFlight, 0);
    }
});

test("hedge: when no try beside it can be made the late one may still answer", async (t) => {
  const origin = await holdingOrigin(t);
  const dead = await closedPort();
  const running = await startHedged(t, [origin.port, dead], { num_retries: 1 });
  for (let request = 0; request < 2; request++) {
    const answered = talk(running.port, GET, ANSWERED);
    await eventually(() => origin.held.length === request + 1, "the first try waits");
    await running.clock.advance(LATE_MS);
    await eventually(() => stat(running, "connect") > request, "the other endpoint refused");
    await running.clock.advance(LATE_MS);
    origin.held[request]?.response.end("late");
    t.match((await answered).text, /^HTTP\/1\.1 200 [\s\S]*late$/);
  }
});

test("hedge: the route's time ends them all", async (t) => {
  const first = await holdingOrigin(t);
  const second = await holdingOrigin(t);
  const running = await startHedged(t, [first.port, second.port], {}, { route: { timeout: "4s" } });
  const answered = talk(running.port, GET, ANSWERED);
  await eventually(() => first.held.length + second.held.length === 1, "the first try waits");
  await running.clock.advance(LATE_MS);
  await eventually(() => first.held.length + second.held.length === 2, "the second too");
  await running.clock.advance(LATE_MS);
  t.notOk(first.held[0]?.isGone, "both are late, and go on");
  t.notOk(second.held[0]?.isGone);
  await running.clock.advance(LATE_MS);
  t.match((await answered).text, /^HTTP\/1\.1 504 /);
  await eventually(() => first.held[0]?.isGone === true && second.held[0]?.isGone === true, "both are reset");
  t.equal(stat(running, "timeout"), 1);
  t.equal(running.proxy.stats()[0]?.inFlight, 0);
});

test("hedge: an endpoint hears of a late try once, for outlier detection", async (t) => {
  const first = await holdingOrigin(t);
  const second = await holdingOrigin(t);
  const outliers = { consecutive_5xx: 2, interval: "0.1s", max_ejection_percent: 50 };
  const running = await startHedged(
    t,
    [first.port, second.port],
    {},
    { route: { timeout: "4s" }, clusterFields: { outlier_detection: outliers } },
  );
  const all = (): Held[] => [...first.held, ...second.held];
  const answered = talk(running.port, GET, ANSWERED);
  for (let ms = 0; ms < 4_400; ms += 200) {
    await running.clock.advance(200);
    await eventually(() => all().length >= (ms < 1_400 ? 1 : 2) || ms < 200, "the tries wait");
  }
  t.match((await answered).text, /^HTTP\/1\.1 504 /);
  // Each was late once for its own time; the end of the route's time is no second failure.
  for (let request = 0; request < 4; request++) {
    const next = talk(running.port, GET, ANSWERED);
    await eventually(() => all().length === 3 + request, "answered by either");
    for (const { response } of all()) if (!response.writableEnded && !response.destroyed) response.end("ok");
    t.match((await next).text, /^HTTP\/1\.1 200 /);
  }
  t.strictSame([first.held.length, second.held.length], [3, 3], "neither was ejected");
});

test("hedge: an endpoint hears what became of its late try, though no client did", async (t) => {
  for (const isAnswered of [true, false]) {
    const first = await holdingOrigin(t);
    const second = await holdingOrigin(t);
    const outliers = { consecutive_5xx: 2, max_ejection_percent: 50, enforcing_consecutive_5xx: 100 };
    const { port, clock } = await startHedged(
      t,
      [first.port, second.port],
      {},
      { clusterFields: { outlier_detection: outliers } },
    );
    const answered = talk(port, GET, ANSWERED);
    await eventually(() => first.held.length + second.held.length === 1, "the first try waits");
    const [late, other] = first.held.length === 1 ? [first, second] : [second, first];
    await clock.advance(LATE_MS);
    await eventually(() => other.held.length === 1, "the second too");
    const { response } = late.held[0] ?? {};
    if (isAnswered) response?.writeHead(503).end("busy");
    else response?.socket?.resetAndDestroy();
    await eventually(() => response?.destroyed === true || response?.writableFinished === true, "it failed");
    other.held[0]?.response.end("good");
    t.match((await answered).text, /^HTTP\/1\.1 200 /);
    for (let request = 2; request <= 4; request++) {
      const next = talk(port, GET, ANSWERED);
      await eventually(() => other.held.length === request, "late and failed: it is ejected");
      other.held.at(-1)?.response.end("good");
      t.match((await next).text, /^HTTP\/1\.1 200 /);
    }
    t.equal(late.held.length, 1);
  }
});

test("hedge: the access log names the endpoint whose answer it was, and counts the tries", async (t) => {
  const path = join(await mkdtemp(join(tmpdir(), "weir-hedge-")), "access.log");
  t.teardown(() => rm(dirname(path), { recursive: true, force: true }));
  const first = await holdingOrigin(t);
  const second = await holdingOrigin(t);
  const type = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";
  const format = {
    text_format_source: { inline_string: "%UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%\n" },
  };
  const log = { name: "file", typed_config: { "@type": type, path, log_format: format } };
  const { port, proxy, clock } = await startHedged(
    t,
    [first.port, second.port],
    {},
    { hcm: { access_log: [log] } },
  );
  const answered = talk(port, GET, ANSWERED);
  await eventually(() => first.held.length + second.held.length === 1, "the first try waits");
  const [late] = first.held.length === 1 ? [first] : [second];
  await clock.advance(LATE_MS);
  await eventually(() => first.held.length + second.held.length === 2, "the second too");
  late?.held[0]?.response.end("late");
  t.match((await answered).text, /late$/);
  await proxy.stop();
  t.equal(await readFile(path, "latin1"), `127.0.0.1:${late?.port} 2\n`);
});

test("hedge: a body goes to each try whole; one that could not be kept has one try, without end", async (t) => {
  const body = "0123456789".repeat(20);
  for (const [copyBytes, tries] of [
    [100_000, 2],
    [100, 1],
  ] as const) {
    const first = await holdingOrigin(t);
    const second = await holdingOrigin(t);
    const running = await startHedged(t, [first.port, second.port], {}, { limits: { copyBytes } });
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const answered = talk(running.port, post, ANSWERED);
    const all = (): Held[] => [...first.held, ...second.held];
    await eventually(() => all().length === 1, "the first try waits");
    await running.clock.advance(LATE_MS);
    await eventually(() => all().length === tries, "as many as may be");
    await running.clock.advance(LATE_MS);
    t.strictSame(
      all().map((one) => [one.body, one.isGone]),
      Array.from({ length: tries }, () => [body, false]),
    );
    all().at(-1)?.response.end("good");
    t.match((await answered).text, /^HTTP\/1\.1 200 [\s\S]*good$/);
  }
});

test("hedge: within the cluster's bounds on retries, which every end of a request gives back", async (t) => {
  const bounded = (retries: number): Partial<ProxyOptions> => ({
    clusterFields: { circuit_breakers: { thresholds: [{ max_retries: retries }] } },
  });
  const none = await holdingOrigin(t);
  const unhedged = await startHedged(t, [none.port, none.port], {}, bounded(0));
  const patient = talk(unhedged.port, GET, ANSWERED);
  await eventually(() => none.held.length === 1, "the try waits");
  await unhedged.clock.advance(LATE_MS);
  t.equal(none.held.length, 1, "no retry is allowed");
  none.held[0]?.response.end("late");
  t.match((await patient).text, /^HTTP\/1\.1 200 [\s\S]*late$/, "and the late try is not ended");

  const origin = await holdingOrigin(t);
  const running = await startHedged(t, [origin.port], { num_retries: 2 }, bounded(2));
  const ends: readonly ((tries: readonly Held[], leave: () => void) => void)[] = [
    ([first]) => first?.response.end("good"),
    ([, second]) => second?.response.end("good"),
    ([, , third]) => third?.response.end("good"),
    (_tries, leave) => leave(),
    (tries) => {
      for (const { response } of tries) response.socket?.resetAndDestroy();
    },
    (tries) => {
      for (const { response } of tries) response.writeHead(500).end("bad");
    },
  ];
  for (const [index, end] of [...ends, ...ends].entries()) {
    origin.held.length = 0;
    const client = connect(running.port, "127.0.0.1", () => client.write(GET));
    client.on("error", () => undefined).resume();
    for (let tries = 1; tries <= 3; tries++) {
      await eventually(() => origin.held.length === tries, `end ${index}: ${tries} tries at once`);
      await running.clock.advance(LATE_MS);
    }
    end(origin.held, () => client.destroy());
    await eventually(() => running.proxy.stats()[0]?.inFlight === 0, `end ${index}: the request is over`);
    client.destroy();
    t.equal(origin.held.length, 3);
  }
});

test("hedge: a client that goes leaves none of the tries behind", async (t) => {
  const first = await holdingOrigin(t);
  const second = await holdingOrigin(t);
  const { port, proxy, clock } = await startHedged(t, [first.port, second.port]);
  const client = connect(port, "127.0.0.1", () => client.write(GET));
  await eventually(() => first.held.length + second.held.length === 1, "the first try waits");
  await clock.advance(LATE_MS);
  await eventually(() => first.held.length + second.held.length === 2, "the second too");
  client.destroy();
  await eventually(() => first.held[0]?.isGone === true && second.held[0]?.isGone === true, "both are reset");
  t.equal(proxy.stats()[0]?.inFlight, 0);
});

test("hedge: a virtual host's policy holds for routes without one; without any a late try ends", async (t) => {
  const origin = await holdingOrigin(t);
  const retry = { retry_on: "5xx", per_try_timeout: "1s" };
  const clock = createManualClock();
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    virtualHosts: [
      {
        name: "hedged",
        domains: ["hedged"],
        hedge_policy: { initial_requests: 1, ...HEDGE },
        retry_policy: retry,
        routes: [
          { match: { prefix: "/own" }, route: { cluster: "a", hedge_policy: {} } },
          { match: { prefix: "/" }, route: { cluster: "a" } },
        ],
      },
      {
        name: "plain",
        domains: ["plain"],
        retry_policy: retry,
        routes: [{ match: { prefix: "/" }, route: { cluster: "a" } }],
      },
    ],
    clock,
  });
  for (const [host, path, isHedged] of [
    ["hedged", "/", true],
    ["hedged", "/own", false],
    ["plain", "/", false],
  ] as const) {
    origin.held.length = 0;
    const answered = talk(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, ANSWERED);
    await eventually(() => origin.held.length === 1, "the first try waits");
    await clock.advance(LATE_MS);
    await eventually(() => origin.held.length === 2, "the second try");
    if (!isHedged) await eventually(() => origin.held[0]?.isGone === true, "the first one ended");
    t.equal(origin.held[0]?.isGone, !isHedged, `${host}${path}`);
    origin.held[1]?.response.end("good");
    t.match((await answered).text, /^HTTP\/1\.1 200 /);
  }
});

test("hedge: an answer that began before the request ended is not held to a try's time", async (t) => {
  for (const hedge of [{}, HEDGE]) {
    const clock = createManualClock();
    const origin = await rawOrigin(t, (socket) => {
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        if (text === "") socket.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsome");
        text += chunk.toString("latin1");
        if (text.endsWith("last")) setImmediate(() => socket.emit("whole"));
      });
      once(socket, "whole").then(async () => {
        await clock.advance(LATE_MS);
        socket.write("more");
      }, t.fail);
    });
    const route = {
      cluster: "a",
      retry_policy: { retry_on: "5xx", per_try_timeout: "1s" },
      hedge_policy: hedge,
    };
    const { port } = await startProxy(t, {
      clusters: { a: [origin.port] },
      routes: [{ match: { prefix: "/" }, route }],
      clock,
    });
    const client = connect(port, "127.0.0.1");
    let text = "";
    client.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    client.on("error", () => undefined);
    client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfirst");
    await eventually(() => text.endsWith("some"), "the answer begins");
    client.write("last");
    await eventually(() => text.endsWith("somemore"), "and comes to its end");
    t.equal(origin.connections(), 1);
    client.destroy();
  }
});
