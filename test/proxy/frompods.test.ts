// From TrafficPolicies and HTTPRoutes to what pods get, where pods come, go, fail and keep silent: what a translation says is brought in force as
// a control plane's snapshot is.
import { test } from "tap";
import { before, origins, portsOf, type Rule, sharesOf } from "./podsupport.ts";
import { closedPort, eventually } from "./support.ts";

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
  const { clock, pods, ask } = await before(t, {
    service: { connection: { timeout: "2s" } },
    portOf: (port) => (port === silentPort ? undefined : port),
  });
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
