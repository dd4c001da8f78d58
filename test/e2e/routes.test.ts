// Header and mirror routes and ping-pong on running proxies: requests show where they lead, step by step.
import { test } from "tap";
import type { Rollout } from "../../src/api/api.ts";
import { routedShop } from "../support/routedshop.ts";

const ROUTED = { trafficRouting: { plugins: { "weir.dev/proxy": {} }, managedRoutes: [{ name: "beta" }] } };
const NAMED = { stableService: "shop", canaryService: "shop-canary" };
const BETA = { headers: { "X-Group": "b" } };

const pausedAt =
  (index: number) =>
  ({ status }: Rollout): boolean =>
    status.phase === "Paused" && status.currentStepIndex === index;
const isHealthy = ({ status }: Rollout): boolean => status.phase === "Healthy";

test("setHeaderRoute: users with the header see the canary at weight 0, the others stable", {
  timeout: 170_000,
}, async (t) => {
  const match = [
    { headerName: "X-Group", headerValue: { exact: "b" } },
    { headerName: "Cookie", headerValue: { regex: "(.*; ?)?group=b(;.*)?" } },
  ];
  const shop = await routedShop(t, {
    canary: {
      ...NAMED,
      ...ROUTED,
      steps: [
        { setCanaryScale: { replicas: 1 } },
        { pause: {} },
        { setHeaderRoute: { name: "beta", match } },
        { pause: {} },
        { setHeaderRoute: { name: "beta" } },
        { pause: {} },
      ],
    },
    path: "/shop",
  });
  const path = "/shop/cart";
  await shop.apply([shop.rollout("two")]);
  await shop.until("the canary has its pod", pausedAt(1));
  t.strictSame(await shop.answers(20, { path, ...BETA }), { one: 20 }, "before the step nobody");

  await shop.up.weir(["promote", "shop"]);
  const { status } = await shop.until("the route is acknowledged", pausedAt(3));
  t.equal(status.canary?.weights?.canary.weight, 0);
  t.strictSame(await shop.answers(40, { path, ...BETA }), { two: 40 });
  t.strictSame(await shop.answers(20, { path, headers: { cookie: "a=1; group=b" } }), { two: 20 });
  t.strictSame(await shop.answers(40, { path }), { one: 40 });
  t.strictSame(await shop.answers(10, { path, headers: { "x-group": "bb", cookie: "group=bb" } }), {
    one: 10,
  });
  t.strictSame(await shop.answers(5, { path: "/", ...BETA }), { 404: 5 }, "the HTTPRoute's match holds, too");

  await shop.up.weir(["promote", "shop"]);
  await shop.until("the route is gone", pausedAt(5));
  t.strictSame(await shop.answers(20, { path, ...BETA }), { one: 20 });
});

test("setHeaderRoute: an abort sends its users back to stable without an error", {
  timeout: 170_000,
}, async (t) => {
  const match = [{ headerName: "X-Group", headerValue: { prefix: "b" } }];
  const steps = [{ setWeight: 50 }, { setHeaderRoute: { name: "beta", match } }, { pause: {} }];
  const shop = await routedShop(t, {
    canary: { ...NAMED, ...ROUTED, abortScaleDownDelaySeconds: 1, steps },
  });
  await shop.apply([shop.rollout("two")]);
  await shop.until("the route is acknowledged", pausedAt(2));
  t.strictSame(await shop.answers(20, BETA), { two: 20 });
  let isOver = false;
  const seen = new Set<string>();
  const load = (async () => {
    while (!isOver) for (const answer of Object.keys(await shop.answers(1, BETA))) seen.add(answer);
  })();
  await shop.up.weir(["abort", "shop"]);
  await shop.until("the canary is gone", ({ status }) => status.abort === true && status.replicas === 2);
  t.strictSame(await shop.answers(20, BETA), { one: 20 });
  isOver = true;
  await load;
  t.strictSame([...seen].sort(), ["one", "two"], "and nothing else");
});

test("setMirrorRoute: the canary gets copies, clients get stable's answers", {
  timeout: 170_000,
}, async (t) => {
  const set = (percentage: number) => ({
    setMirrorRoute: {
      name: "beta",
      percentage,
      match: [{ method: { exact: "GET" }, path: { prefix: "/copied" } }],
    },
  });
  const shop = await routedShop(t, {
    canary: {
      ...NAMED,
      ...ROUTED,
      steps: [{ setCanaryScale: { replicas: 1 } }, set(100), { pause: {} }, set(25), { pause: {} }],
    },
  });
  await shop.apply([shop.rollout("two")]);
  await shop.until("the copies are acknowledged", pausedAt(2));
  t.strictSame(await shop.answers(50, { path: "/copied?n=1" }), { one: 50 });
  t.strictSame(await shop.answers(50, { path: "/other" }), { one: 50 });
  const copies = async (path: string): Promise<number> =>
    (await shop.noted()).filter(({ version, url, isCopy }) => version === "two" && isCopy && url === path)
      .length;
  const deadlineMs = Date.now() + 10_000;
  while ((await copies("/copied?n=1")) < 50 && Date.now() < deadlineMs)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(await copies("/copied?n=1"), 50, "all of those that match");
  t.equal(await copies("/other"), 0);
  t.notOk((await shop.noted()).some(({ version, isCopy }) => version === "two" && !isCopy));

  await shop.up.weir(["promote", "shop"]);
  await shop.until("a quarter is acknowledged", pausedAt(4));
  t.strictSame(await shop.answers(400, { path: "/copied?n=2" }), { one: 400 });
  const quarter = await copies("/copied?n=2");
  t.ok(quarter > 60 && quarter < 140, `${quarter} of 400 copied`);
});

test("ping-pong: two releases, each answered without an error, and no selector moves at a promotion", {
  timeout: 170_000,
}, async (t) => {
  const shop = await routedShop(t, {
    services: ["shop-ping", "shop-pong"],
    canary: {
      pingPong: { pingService: "shop-ping", pongService: "shop-pong" },
      // Weights in parts of a thousand.
      trafficRouting: { plugins: { "weir.dev/proxy": {} }, maxTrafficWeight: 1000 },
      steps: [{ setWeight: 500 }, { pause: {} }],
    },
  });
  const roles = async () => ({
    ping: await shop.selected("shop-ping"),
    pong: await shop.selected("shop-pong"),
  });
  const { status: first } = await shop.until("healthy", isHealthy);
  t.equal(first.canary?.stablePingPong, "ping");
  t.equal((await roles()).ping, first.stableRS);

  for (const [version, side, other] of [
    ["two", "pong", "ping"],
    ["three", "ping", "pong"],
  ] as const) {
    const before = await roles();
    await shop.apply([shop.rollout(version)]);
    const { status } = await shop.until(`${version} has its half`, pausedAt(1));
    const during = await roles();
    t.equal(during[side], status.currentPodHash, `${side} leads to ${version}`);
    t.equal(during[other], before[other], `${other} stays`);
    const half = await shop.answers(60);
    t.strictSame(Object.keys(half).sort(), [version === "two" ? "one" : "two", version].sort());
    t.match(status.canary?.weights, { canary: { weight: 500 }, stable: { weight: 500 } });
    const seen = new Set<string>();
    let isOver = false;
    const load = (async () => {
      while (!isOver) for (const answer of Object.keys(await shop.answers(1))) seen.add(answer);
    })();
    await shop.up.weir(["promote", "shop"]);
    const { status: after } = await shop.until(`${version} is promoted`, isHealthy);
    await shop.until("the old version is gone", (rollout) => rollout.status.replicas === 2);
    t.equal(after.canary?.stablePingPong, side);
    t.strictSame(await roles(), during, "no selector has moved");
    t.strictSame(await shop.answers(30), { [version]: 30 });
    isOver = true;
    await load;
    t.strictSame([...seen].sort(), Object.keys(half).sort(), "no errors");
  }
});

test("experiment: its templates get their shares beside stable and canary, and give them back", {
  timeout: 170_000,
}, async (t) => {
  const template = (name: string, specRef: string) => ({ name, specRef, replicas: 1, weight: 25 });
  const templates = [template("baseline", "stable"), template("trial", "canary")];
  const steps = [
    { setWeight: 20 },
    { experiment: { templates, duration: "8s", scaleDownDelaySeconds: 1 } },
    { pause: {} },
  ];
  const shop = await routedShop(t, { canary: { ...NAMED, ...ROUTED, steps } });
  await shop.apply([shop.rollout("two")]);
  const { status } = await shop.until("the experiment has its shares", ({ status: { canary } }) => {
    const { additional = [], verified } = canary?.weights ?? {};
    return verified === true && additional.length === 2 && additional.every(({ weight }) => weight === 25);
  });
  t.match(status.canary?.weights, { canary: { weight: 20 }, stable: { weight: 30 } });
  t.strictSame(
    Object.keys(await shop.answers(600, { path: "/measured" })).sort(),
    ["one", "two"],
    "no errors",
  );
  const noted = (await shop.noted()).filter(({ url }) => url === "/measured");
  const by = Object.groupBy(noted, ({ pod }) => /-(baseline|trial)-/.exec(pod)?.[1] ?? "rollout");
  const near = (share: number, wanted: number): boolean => Math.abs(share / 600 - wanted) < 0.08;
  t.ok(near(by.baseline?.length ?? 0, 0.25), `baseline ${by.baseline?.length} of 600`);
  t.ok(near(by.trial?.length ?? 0, 0.25), `trial ${by.trial?.length} of 600`);
  const canary = (by.rollout ?? []).filter(({ version }) => version === "two");
  t.ok(near(canary.length, 0.2), `canary ${canary.length} of 600`);
  // The shares are given back when every proxy says so, which may be after the step is done.
  const after = await shop.until(
    "the experiment is over",
    (rollout) => pausedAt(2)(rollout) && rollout.status.canary?.weights?.verified === true,
  );
  t.match(after.status.canary?.weights, { canary: { weight: 20 }, stable: { weight: 80 } });
  t.strictSame(Object.keys(await shop.answers(50, { path: "/after" })).sort(), ["one", "two"]);
  const late = (await shop.noted()).filter(
    ({ url, pod }) => url === "/after" && /-(baseline|trial)-/.test(pod),
  );
  t.strictSame(late, []);
});
