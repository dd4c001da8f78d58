// From an HTTPRoute's retry and TrafficPolicies on a Service to what the proxy does with requests to its pods.
import type { ServerResponse } from "node:http";
import { type Test, test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { createManualClock } from "../support/clock.ts";
import { bootstrapFor } from "../support/translated.ts";
import { httpRoute, input, slice } from "../translate/support.ts";
import {
  eventually,
  type Origin,
  rawOrigin,
  recordingOrigin,
  type Seen,
  startBootstrap,
  talk,
} from "./support.ts";

type Rule = NonNullable<NonNullable<HttpRoute["spec"]>["rules"]>[number];
type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;

interface Asked {
  readonly rule?: Rule;
  readonly service?: Sections;
  readonly route?: Sections;
  readonly clock?: ReturnType<typeof createManualClock>;
}

/** A proxy for the Gateway `edge` and the Service `web`, whose pods are those origins. */
async function before(t: Test, origins: readonly Origin[], { rule, service = {}, route = {}, clock }: Asked) {
  const pods = origins.map(({ port }, i) => {
    const made = slice(port, ["p".repeat(i + 1)]);
    return {
      ...made,
      endpoints: (made.endpoints ?? []).map((one) => ({ ...one, addresses: ["127.0.0.1"] })),
    };
  });
  const policy = (kind: string, sections: Sections): TrafficPolicy => ({
    apiVersion: "weir.dev/v1alpha1",
    kind: "TrafficPolicy",
    metadata: { name: kind.toLowerCase(), namespace: "shop" },
    spec: { targetRefs: [{ kind, name: "web" }], ...sections },
  });
  const rules = [{ backendRefs: [{ name: "web", port: 80 }], ...rule }];
  const bootstrap = bootstrapFor(
    input({
      httpRoutes: [httpRoute({ rules })],
      slices: () => pods,
      policies: [policy("Service", service), policy("HTTPRoute", route)],
    }),
  );
  const { port } = await startBootstrap(t, bootstrap, "shop/edge:8000", clock === undefined ? {} : { clock });
  return async (...lines: readonly string[]): Promise<string> =>
    (await talk(port, ["GET / HTTP/1.1", "Host: a", ...lines, "Connection: close", "", ""].join("\r\n")))
      .text;
}

/** Pods that answer as said. */
function pods(
  t: Test,
  count: number,
  answer: (pod: number, seen: Seen) => number | undefined,
): Promise<Origin[]> {
  return Promise.all(
    Array.from({ length: count }, (_, pod) =>
      recordingOrigin(t, (seen, response) => {
        const status = answer(pod, seen);
        if (status !== undefined) response.writeHead(status).end(`<${pod}>`);
      }),
    ),
  );
}

const seenBy = (origins: readonly Origin[]): number[] => origins.map(({ seen }) => seen.length);

test("from a service: an HTTPRoute's retry asks another pod after its codes", async (t) => {
  const origins = await pods(t, 2, (pod) => (pod === 0 ? 503 : 200));
  const ask = await before(t, origins, { rule: { retry: { codes: [503], attempts: 2 } } });
  for (let turn = 0; turn < 4; turn++) t.match(await ask(), /^HTTP\/1\.1 200 /);
  t.equal(origins[1]?.seen.length, 4);
  t.ok((origins[0]?.seen.length ?? 0) > 0);
});

test("from a service: a policy's retry on its route, and none without", async (t) => {
  const origins = await pods(t, 1, () => 500);
  const ask = await before(t, origins, {
    route: { retry: { on: ["5xx"], attempts: 2, backoff: { base: "1ms" } } },
  });
  t.match(await ask(), /^HTTP\/1\.1 500 /);
  t.strictSame(seenBy(origins), [3]);
  const plain = await before(t, origins, {});
  await plain();
  t.strictSame(seenBy(origins), [4]);
});

async function boundsATry(t: Test, asked: Asked): Promise<void> {
  const clock = createManualClock();
  const origins = await pods(t, 2, (pod) => (pod === 1 ? undefined : 200));
  const ask = await before(t, origins, { ...asked, clock });
  for (let turn = 0; turn < 2; turn++) {
    const stuck = origins[1]?.seen.length ?? 0;
    const answer = ask();
    await eventually(() => seenBy(origins)[1] !== stuck || seenBy(origins)[0] !== turn, "a pod was asked");
    if ((origins[1]?.seen.length ?? 0) > stuck) await clock.advance(1_400);
    t.match(await answer, /^HTTP\/1\.1 200 /);
  }
}

test("from a service: backendRequest bounds a try, and the next pod gets the next one", (t) =>
  boundsATry(t, { rule: { retry: { attempts: 1 }, timeouts: { backendRequest: "1s" } } }));

test("from a service: a policy's perTry bounds a try as well", (t) =>
  boundsATry(t, { route: { retry: { attempts: 1 }, timeouts: { perTry: "1s" } } }));

test("from a service: with a policy's hedgeOnPerTryTimeout the late pod may still answer", async (t) => {
  const clock = createManualClock();
  const held: ServerResponse[] = [];
  const origins = await Promise.all(
    [0, 1].map((pod) =>
      recordingOrigin(t, (_seen, response) => {
        response.setHeader("x-pod", pod);
        held.push(response);
      }),
    ),
  );
  const ask = await before(t, origins, {
    route: { retry: { hedgeOnPerTryTimeout: true }, timeouts: { perTry: "1s" } },
    clock,
  });
  const answer = ask();
  await eventually(() => held.length === 1, "a pod was asked");
  await clock.advance(1_400);
  await eventually(() => held.length === 2, "the other one too");
  t.strictSame(seenBy(origins), [1, 1]);
  const late = held[0]?.getHeader("x-pod");
  held[0]?.end("late");
  t.match(await answer, new RegExp(`^HTTP/1\\.1 200 [^]*x-pod: ${late}\r\n`));
});

test("from a service: a policy's retry has codes of its own", async (t) => {
  const origins = await pods(t, 1, () => 429);
  const ask = await before(t, origins, {
    route: { retry: { codes: [429], attempts: 3, backoff: { base: "1ms", max: "1ms" } } },
  });
  t.match(await ask(), /^HTTP\/1\.1 429 /);
  t.strictSame(seenBy(origins), [4]);
});

test("from a service: RingHash goes by the sticky key of the route", async (t) => {
  const origins = await pods(t, 4, () => 200);
  const ask = await before(t, origins, {
    service: { loadBalancer: { policy: "RingHash" } },
    route: { sticky: { header: "x-user" } },
  });
  for (let turn = 0; turn < 4; turn++) await ask("x-user: ann");
  t.strictSame(seenBy(origins).sort(), [0, 0, 0, 4]);
});

test("from a service: LeastRequest keeps off a busy pod", async (t) => {
  const origins = await pods(t, 2, (_pod, seen) => (seen.headers["x-hold"] === undefined ? 200 : undefined));
  const ask = await before(t, origins, { service: { loadBalancer: { policy: "LeastRequest", choices: 8 } } });
  void ask("x-hold: 1");
  await eventually(() => seenBy(origins).includes(1), "a pod holds a request");
  const busy = seenBy(origins).indexOf(1);
  for (let turn = 0; turn < 10; turn++) await ask();
  t.ok((seenBy(origins)[busy] ?? 0) <= 2, "but for drawing the busy one eight times");
});

test("from a service: healthChecks keep requests off a pod that fails them", async (t) => {
  const clock = createManualClock();
  const origins = await pods(t, 2, (pod, { url }) => (pod === 0 && url === "/healthz" ? 500 : 200));
  const ask = await before(t, origins, {
    service: { healthChecks: { http: { path: "/healthz" } }, loadBalancer: { panicPercent: 0 } },
    clock,
  });
  await clock.advance(0);
  let answer = "";
  for (let tries = 0; tries < 200 && !answer.startsWith("HTTP/1.1 200"); tries++) answer = await ask();
  for (let turn = 0; turn < 6; turn++) t.match(await ask(), /^HTTP\/1\.1 200 [\s\S]*<1>/);
  t.strictSame([...new Set(origins[0]?.seen.map(({ url }) => url))], ["/healthz"]);
});

test("from a service: outlierDetection takes out a pod that only fails", async (t) => {
  const origins = await pods(t, 3, (pod) => (pod === 2 ? 500 : 200));
  const ask = await before(t, origins, { service: { outlierDetection: { consecutive5xx: 2 } } });
  for (let turn = 0; turn < 20; turn++) await ask();
  t.equal(origins[2]?.seen.length, 2);
});

test("from a service: healthChecks.http says who is asked, how, and what is good", async (t) => {
  const clock = createManualClock();
  const origins = await pods(t, 2, (pod, { url }) => (url === "/healthz" && pod === 1 ? 204 : 200));
  const http = { path: "/healthz", host: "check.test", method: "HEAD", statuses: [204, "300-302"] };
  const ask = await before(t, origins, {
    service: { healthChecks: { http }, loadBalancer: { panicPercent: 0 } },
    clock,
  });
  await clock.advance(0);
  await eventually(async () => (await ask()).startsWith("HTTP/1.1 200"), "one passes");
  for (let turn = 0; turn < 6; turn++) t.match(await ask(), /^HTTP\/1\.1 200 [\s\S]*<1>/);
  t.match(origins[0]?.seen, [{ method: "HEAD", url: "/healthz", headers: { host: "check.test" } }]);
});

test("from a service: healthChecks' thresholds, interval and port", async (t) => {
  const clock = createManualClock();
  const state = { status: 200, checks: 0 };
  const checked = await recordingOrigin(t, (_seen, response) => {
    state.checks += 1;
    response.writeHead(state.status).end();
  });
  const origins = await pods(t, 1, () => 200);
  const ask = await before(t, origins, {
    service: {
      healthChecks: {
        http: { path: "/" },
        interval: "5s",
        // Of a clock that is moved by hand.
        timeout: "1h",
        unhealthyThreshold: 2,
        healthyThreshold: 2,
        port: checked.port,
      },
      loadBalancer: { panicPercent: 0 },
    },
    clock,
  });
  /** What a request gets once one more check was asked for. */
  const afterCheck = async (): Promise<string> => {
    const wanted = state.checks + 1;
    await eventually(async () => {
      await clock.advance(1_000);
      return state.checks === wanted;
    }, "checked");
    return (await ask()).slice(9, 12);
  };
  const eventuallyGets = (status: string): Promise<void> =>
    eventually(async () => (await ask()).slice(9, 12) === status, `requests get ${status}`);
  await clock.advance(0);
  await eventuallyGets("200");
  t.equal(state.checks, 1, "the first check is enough to begin with");
  const beganMs = clock.nowMs();
  state.status = 500;
  t.equal(await afterCheck(), "200", "once is not enough");
  t.equal(clock.nowMs() - beganMs, 5_000, "after the interval");
  await afterCheck();
  await eventuallyGets("503");
  state.status = 200;
  t.equal(await afterCheck(), "503", "nor to come back");
  await afterCheck();
  await eventuallyGets("200");
});

test("from a service: outlierDetection counts what it is told to, for its time", async (t) => {
  const clock = createManualClock();
  const origins = await pods(t, 3, (pod) => (pod === 2 ? 502 : pod === 1 ? 500 : 200));
  const outlierDetection = { consecutive5xx: 0, consecutiveGatewayErrors: 3, baseEjectionTime: "40s" };
  const ask = await before(t, origins, { service: { outlierDetection }, clock });
  for (let turn = 0; turn < 30; turn++) await ask();
  t.equal(origins[2]?.seen.length, 3, "502 three times");
  t.ok((origins[1]?.seen.length ?? 0) > 10, "500 does not count");
  await clock.advance(35_000);
  for (let turn = 0; turn < 6; turn++) await ask();
  t.equal(origins[2]?.seen.length, 3, "still out");
  await clock.advance(20_000);
  for (let turn = 0; turn < 6; turn++) await ask();
  t.ok((origins[2]?.seen.length ?? 0) > 3, "back after its time");

  const resetting = await rawOrigin(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
  const [good] = origins;
  if (good === undefined) throw new Error("no pod");
  const local = await before(t, [good, { port: resetting.port, seen: [] }], {
    service: { outlierDetection: { consecutive5xx: 0, consecutiveLocalFailures: 2 } },
  });
  const statuses: string[] = [];
  for (let turn = 0; turn < 20; turn++) statuses.push((await local()).slice(9, 12));
  t.equal(statuses.filter((status) => status === "502").length, 2, statuses.join(" "));
});

test("from a service: without a timeout a stream of events lives as long as it speaks, and a long poll as long as silence is allowed", async (t) => {
  const clock = createManualClock();
  const answers: ServerResponse[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => void answers.push(response));
  const ask = await before(t, [origin], { clock });
  const stream = ask("accept: text/event-stream");
  await eventually(() => answers.length === 1, "the stream is asked for");
  // Longer than the 15 s that Envoy gives an answer by default, and than any silence that is allowed.
  for (let minute = 0; minute < 20; minute++) {
    const written = new Promise((resolve) => answers[0]?.write(`data: ${minute}\n\n`, resolve));
    await written;
    await clock.advance(60_000);
  }
  answers[0]?.end("data: last\n\n");
  t.match(await stream, /^HTTP\/1\.1 200 [\s\S]*data: 19\n[\s\S]*data: last\n/);
  const poll = ask("x: poll");
  await eventually(() => answers.length === 2, "the poll is asked for");
  await clock.advance(290_000);
  answers[1]?.end("at last");
  t.match(await poll, /^HTTP\/1\.1 200 [\s\S]*at last/);
  const silent = ask("x: silent");
  await eventually(() => answers.length === 3, "the third is asked for");
  await clock.advance(301_000);
  t.match(await silent, /^HTTP\/1\.1 504 /);
});

test("from a service: connection.maxRequests and idle end connections", async (t) => {
  const clock = createManualClock();
  const origins = await pods(t, 1, () => 200);
  const ask = await before(t, origins, { service: { connection: { maxRequests: 3, idle: "2s" } }, clock });
  const used = (): number => new Set(origins[0]?.seen.splice(0).map(({ peerPort }) => peerPort)).size;
  for (let turn = 0; turn < 3; turn++) await ask();
  t.equal(used(), 1);
  for (let turn = 0; turn < 4; turn++) await ask();
  t.equal(used(), 2, "three on one, the fourth on the next");
  const first = origins[0]?.seen.length;
  await clock.advance(1_500);
  await ask();
  await clock.advance(2_300);
  await ask();
  t.equal(first, 0);
  t.equal(used(), 2, "kept for a while, then closed");
});

test("from a service: circuitBreaker bounds the requests in progress", async (t) => {
  const origins = await pods(t, 1, (_pod, seen) => (seen.headers["x-hold"] === undefined ? 200 : undefined));
  const ask = await before(t, origins, { service: { circuitBreaker: { maxRequests: 1 } } });
  void ask("x-hold: 1");
  await eventually(() => origins[0]?.seen.length === 1, "one is in progress");
  t.match(await ask(), /^HTTP\/1\.1 503 /);
});

test("from a service: circuitBreaker bounds connections, and the requests that wait for one", async (t) => {
  const answers: ServerResponse[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => void answers.push(response));
  const ask = await before(t, [origin], {
    service: { circuitBreaker: { maxConnections: 1, maxPendingRequests: 1 } },
  });
  const first = ask("x: 1");
  await eventually(() => answers.length === 1, "one is in progress");
  const others = [ask("x: 2"), ask("x: 3")];
  t.match(await Promise.race(others), /^HTTP\/1\.1 503 [\s\S]*limit reached/, "one waits, the other may not");
  answers[0]?.end("ok");
  t.match(await first, /^HTTP\/1\.1 200 /);
  await eventually(() => answers.length === 2, "who waited is served");
  answers[1]?.end("ok");
  const statuses = (await Promise.all(others)).map((text) => text.slice(9, 12));
  t.strictSame(statuses.sort(), ["200", "503"]);
  t.equal(new Set(origin.seen.map(({ peerPort }) => peerPort)).size, 1, "on one connection");
});

test("from a service: circuitBreaker.maxRetries takes the budget's place", async (t) => {
  const origins = await pods(t, 1, () => 503);
  const retry = { on: ["5xx"], attempts: 3, backoff: { base: "1ms" } };
  for (const [maxRetries, tries] of [
    [0, 1],
    [1, 4],
  ] as const) {
    const ask = await before(t, origins, { service: { circuitBreaker: { maxRetries } }, route: { retry } });
    for (const { seen } of origins) seen.length = 0;
    t.match(await ask(), /^HTTP\/1\.1 503 /);
    t.strictSame(seenBy(origins), [tries], `${maxRetries} at a time`);
  }
});
