// From an HTTPRoute's retry and TrafficPolicies on a Service to what the proxy does with requests to its pods.
import type { ServerResponse } from "node:http";
import { type Test, test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { createManualClock } from "../support/clock.ts";
import { bootstrapFor } from "../support/translated.ts";
import { httpRoute, input, slice } from "../translate/support.ts";
import { eventually, type Origin, recordingOrigin, type Seen, startBootstrap, talk } from "./support.ts";

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

test("from a service: backendRequest bounds a try, and the next pod gets the next one", async (t) => {
  const clock = createManualClock();
  const origins = await pods(t, 2, (pod) => (pod === 1 ? undefined : 200));
  const rule = { retry: { attempts: 1 }, timeouts: { backendRequest: "1s" } };
  const ask = await before(t, origins, { rule, clock });
  for (let turn = 0; turn < 2; turn++) {
    const stuck = origins[1]?.seen.length ?? 0;
    const answer = ask();
    await eventually(() => seenBy(origins)[1] !== stuck || seenBy(origins)[0] !== turn, "a pod was asked");
    if ((origins[1]?.seen.length ?? 0) > stuck) await clock.advance(1_400);
    t.match(await answer, /^HTTP\/1\.1 200 /);
  }
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
