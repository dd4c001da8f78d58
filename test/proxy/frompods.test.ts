// From TrafficPolicies and HTTPRoutes to what pods get, where pods come, go, fail and keep silent: what a translation says is brought in force as
// a control plane's snapshot is.
import { type Test, test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { createLogger } from "../../src/lib/log.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { connectWire } from "../../src/proxy/wire/netwire.ts";
import { NO_WIRE } from "../../src/proxy/wire/wire.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import { createManualClock } from "../support/clock.ts";
import { httpRoute, input, slice } from "../translate/support.ts";
import { closedPort, eventually, type Origin, recordingOrigin, type Seen, talk } from "./support.ts";

type Rule = NonNullable<NonNullable<HttpRoute["spec"]>["rules"]>[number];
type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;

interface Asked {
  readonly rule?: Rule;
  readonly service?: Sections;
  readonly route?: Sections;
  /** Connections to this port are neither made nor refused. */
  readonly silentPort?: number;
}

/** A proxy for the Gateway `edge` and the Service `web`. */
async function before(t: Test, { rule, service = {}, route = {}, silentPort }: Asked) {
  const clock = createManualClock();
  const bugs: string[] = [];
  const core = new Core({
    clock,
    log: createLogger({ level: "error", write: (line) => bugs.push(line) }),
    seed: 7,
    connect: (context, host, others, port, owner) =>
      port === silentPort ? { ...NO_WIRE, owner } : connectWire(context, host, others, port, owner),
  });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  core.deadlines.start();
  t.teardown(() => {
    configuration.close();
    core.deadlines.stop();
    if (core.counts.internalErrors > 0) throw new Error(`internal errors: ${bugs.join("\n")}`);
  });
  const policy = (kind: string, sections: Sections): TrafficPolicy => ({
    apiVersion: "weir.dev/v1alpha1",
    kind: "TrafficPolicy",
    metadata: { name: kind.toLowerCase(), namespace: "shop" },
    spec: { targetRefs: [{ kind, name: "web" }], ...sections },
  });
  /** The pods that there are from now on, by the ports on which they listen. */
  const pods = async (...ports: readonly number[]): Promise<void> => {
    const { snapshot, problems } = translateGateway(
      input({
        httpRoutes: [httpRoute({ rules: [{ backendRefs: [{ name: "web", port: 80 }], ...rule }] })],
        slices: (_namespace, name) => {
          const own = name === "web" ? ports : [];
          return own.map((port) => ({
            ...slice(port, ["p"]),
            endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: true } }],
          }));
        },
        policies: [policy("Service", service), policy("HTTPRoute", route)],
      }),
    );
    if (problems.length > 0) throw new Error(JSON.stringify(problems));
    for (const { address } of snapshot.listeners)
      if (address?.address.case === "socketAddress")
        address.address.value.portSpecifier = { case: "portValue", value: 0 };
    const versions = { listeners: "1", routes: "1", clusters: "1", endpoints: "1" };
    await configuration.apply({ ...snapshot, changed: "endpoints", versions });
  };
  const ask = async (...lines: readonly string[]): Promise<string> => {
    const request = ["GET / HTTP/1.1", "Host: a", ...lines, "Connection: close", "", ""].join("\r\n");
    return (await talk(configuration.listeners[0]?.port ?? 0, request)).text;
  };
  return { clock, pods, ask };
}

const origins = (
  t: Test,
  count: number,
  answer: (pod: number, seen: Seen) => number = () => 200,
): Promise<Origin[]> =>
  Promise.all(
    Array.from({ length: count }, (_, pod) =>
      recordingOrigin(t, (seen, response) => response.writeHead(answer(pod, seen)).end(`<${pod}>`)),
    ),
  );

const portsOf = (pods: readonly Origin[]): number[] => pods.map(({ port }) => port);

/** How many of so many requests each pod got. */
async function sharesOf(
  pods: readonly Origin[],
  ask: () => Promise<string>,
  requests: number,
): Promise<number[]> {
  for (const { seen } of pods) seen.length = 0;
  for (let turn = 0; turn < requests; turn++) await ask();
  return pods.map(({ seen }) => seen.filter(({ url }) => url === "/").length);
}

test("from pods: loadBalancer.slowStart lets a pod that comes later in bit by bit", async (t) => {
  const all = await origins(t, 2);
  const { clock, pods, ask } = await before(t, {
    service: { loadBalancer: { slowStart: { window: "100s", minimumPercent: 20 } } },
  });
  const [first = 0, second = 0] = portsOf(all);
  await pods(first);
  await clock.advance(200_000);
  t.strictSame(await sharesOf(all, ask, 5), [5, 0]);
  await pods(first, second);
  t.strictSame(await sharesOf(all, ask, 24), [20, 4], "a fifth of the other's share at the begin");
  await clock.advance(50_000);
  t.strictSame(await sharesOf(all, ask, 30), [20, 10], "half of it at half time");
  await clock.advance(51_000);
  t.strictSame(await sharesOf(all, ask, 20), [10, 10], "then the same");
});

test("from pods: connection.timeout ends a connection that is not made, and another pod is asked", async (t) => {
  const [pod] = await origins(t, 1);
  const silentPort = await closedPort();
  const { clock, pods, ask } = await before(t, { service: { connection: { timeout: "2s" } }, silentPort });
  await pods(silentPort);
  let answer = "";
  void ask().then((text) => {
    answer = text;
  });
  const isAsked = async (): Promise<boolean> => {
    await clock.advance(100);
    return answer !== "";
  };
  await clock.advance(0);
  await eventually(isAsked, "answered");
  t.match(answer, /^HTTP\/1\.1 503 [\s\S]*upstream connect timeout/);
  await pods(silentPort, pod?.port ?? 0);
  for (let turn = 0; turn < 2; turn++) {
    answer = "";
    void ask().then((text) => {
      answer = text;
    });
    await eventually(isAsked, "answered");
    t.match(answer, /^HTTP\/1\.1 200 /);
  }
});

test("from pods: loadBalancer.panicPercent says from when on all pods get requests, healthy or not", async (t) => {
  const all = await origins(t, 2, (pod, { url }) => (pod === 0 && url === "/healthz" ? 500 : 200));
  const healthChecks = { http: { path: "/healthz" } };
  for (const [panicPercent, shares] of [
    [50, [0, 6]],
    [60, [3, 3]],
  ] as const) {
    const { clock, pods, ask } = await before(t, {
      service: { healthChecks, loadBalancer: { panicPercent } },
    });
    for (const { seen } of all) seen.length = 0;
    await pods(...portsOf(all));
    await clock.advance(0);
    await eventually(() => all.every(({ seen }) => seen.length === 1), "both were checked");
    await eventually(async () => (await sharesOf(all, ask, 6)).join() === shares.join(), `${panicPercent} %`);
  }
});

test("from pods: healthChecks.tcp keeps requests off a pod that nobody can connect to", async (t) => {
  const all = await origins(t, 1);
  const gone = await closedPort();
  const { clock, pods, ask } = await before(t, {
    service: { healthChecks: { tcp: {} }, loadBalancer: { panicPercent: 0 } },
  });
  await pods(gone);
  await clock.advance(0);
  t.match(await ask(), /^HTTP\/1\.1 503 [\s\S]*no healthy upstream/, "not even tried");
  await pods(gone, ...portsOf(all));
  await clock.advance(0);
  await eventually(async () => (await ask()).startsWith("HTTP/1.1 200"), "the other one passes");
  for (let turn = 0; turn < 4; turn++) t.match(await ask(), /^HTTP\/1\.1 200 /);
});

test("from pods: circuitBreaker.retryBudget bounds the retries in progress", async (t) => {
  const all = await origins(t, 1, () => 503);
  const retry = { on: ["5xx" as const], attempts: 3, backoff: { base: "1ms" } };
  for (const [minimum, tries] of [
    [3, 4],
    [0, 1],
  ] as const) {
    const retryBudget = { percent: 0, minimum };
    const { clock, pods, ask } = await before(t, {
      service: { circuitBreaker: { retryBudget } },
      route: { retry },
    });
    await pods(...portsOf(all));
    for (const { seen } of all) seen.length = 0;
    let answer = "";
    void ask().then((text) => {
      answer = text;
    });
    await eventually(async () => {
      await clock.advance(10);
      return answer !== "";
    }, "answered");
    t.match(answer, /^HTTP\/1\.1 503 /);
    t.equal(all[0]?.seen.length, tries);
  }
});

test("from pods: a RequestMirror's percent and fraction say how many requests are copied", async (t) => {
  const shares: number[] = [];
  for (const part of [{ percent: 0 }, { fraction: { numerator: 1, denominator: 4 } }, { percent: 100 }]) {
    const rule: Rule = {
      filters: [{ type: "RequestMirror", requestMirror: { backendRef: { name: "web", port: 80 }, ...part } }],
    };
    const { pods, ask } = await before(t, { rule });
    // A pod for each: a copy of the one before may still be on its way.
    const all = await origins(t, 1);
    await pods(...portsOf(all));
    const copies = (): number =>
      all[0]?.seen.filter(({ headers }) => headers["x-weir-shadow"] !== undefined).length ?? 0;
    for (let turn = 0; turn < 40; turn++) await ask();
    if ("percent" in part) await eventually(() => copies() === (part.percent === 0 ? 0 : 40), "copied");
    shares.push(copies());
  }
  const [none, some = 0, every] = shares;
  t.strictSame([none, every], [0, 40]);
  t.ok(some >= 3 && some <= 20, `${some} of 40`);
});
