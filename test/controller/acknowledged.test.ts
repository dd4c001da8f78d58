// "Acknowledged weights": a weight counts as set only when every proxy that must follow it says that it does. Each test holds one
// sentence of the rule, over a real API server, a real controller and real gRPC.
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { jsonEqual } from "../../src/lib/json.ts";
import {
  BOUNDED,
  isAt,
  isPromoted,
  isVerified,
  raised,
  silenced,
  twoProxies,
  weightOf,
} from "./acknowledged.ts";
import { canaryWeight, controllerBed, NAMESPACE, RECORD, SYSTEM } from "./bed.ts";

test(
  "acknowledged: a weight is verified when the last proxy has it in force, and then the steps go on",
  BOUNDED,
  async (t) => {
    const { bed, a, b, stable } = await twoProxies(t);
    b.hang();
    await raised(bed, a);
    await bed.holds("unverified at step 0", isAt(0, 20, false));
    b.accept();
    const done = await bed.untilRollout("promoted", isPromoted(stable));
    t.equal(isVerified(done), true);
    t.strictSame(a.weights(), { [done.status.stableRS ?? ""]: 100 });
    t.strictSame(b.weights(), a.weights());
    const seen = a.taken.map(() => 0).length;
    t.ok(seen > 0);
  },
);

test(
  "acknowledged: without a router nothing is gated and nothing is said about verification",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, {
      canary: { trafficRouting: undefined, scaleDownDelaySeconds: undefined },
    });
    await bed.lead();
    const stable = await bed.ready();
    await bed.image("2");
    const done = await bed.untilRollout("promoted", isPromoted(stable));
    t.equal(done.status.canary?.weights, undefined);
  },
);

test(
  "acknowledged: a refusal by one of two proxies holds raising until the deadline, which gives its words",
  BOUNDED,
  async (t) => {
    const { bed, a, b, stable } = await twoProxies(t, { progressDeadlineSeconds: 20 });
    b.refuse("weighted_clusters: not today");
    await raised(bed, a);
    await bed.holds("held at step 0", isAt(0, 20, false));
    await bed.clock.leap(15_000);
    await bed.holds(
      "held before the deadline",
      (now) => isAt(0, 20, false)(now) && now.status.phase === "Progressing",
    );
    await bed.clock.leap(6_000);
    const late = await bed.untilRollout("degraded", ({ status }) => status.phase === "Degraded");
    t.match(late.status.message, /^ProgressDeadlineExceeded: .*b: refused: .*weighted_clusters: not today/);
    t.notOk(late.status.abort, "it is not aborted");
    t.equal(weightOf(late), 20);
    t.equal(late.status.stableRS, stable);
    t.strictSame(b.weights(), { [stable]: 100 }, "the refusing proxy keeps what it had");
  },
);

test("acknowledged: only with progressDeadlineAbort does the deadline abort", BOUNDED, async (t) => {
  const { bed, a, b, stable } = await twoProxies(t, {
    progressDeadlineSeconds: 20,
    progressDeadlineAbort: true,
  });
  b.refuse("no such cluster");
  await raised(bed, a);
  await bed.clock.leap(21_000);
  const aborted = await bed.untilRollout(
    "aborted",
    ({ status }) => status.abort === true && status.phase === "Degraded",
  );
  t.match(aborted.status.message, /^RolloutAborted: .*b: refused: .*no such cluster/);
  t.equal(weightOf(aborted), 0);
  await bed.until("the other is back on stable", () => a.weights()?.[stable] === 100);
});

test("acknowledged: an open but silent stream holds raising, longer than any grace", BOUNDED, async (t) => {
  const { bed, relay, a, b, stable } = await silenced(t);
  await bed.image("2");
  const clusters = a.taken.length;
  // The canary's cluster, at weight 0, is the first thing to be acknowledged.
  await bed.until("one knows the canary", () => a.taken.length > clusters);
  await bed.untilRollout("begun", isAt(0, 0, false));
  await bed.clock.leap(60_000);
  await bed.holds("held at step 0", isAt(0, 0, false));
  t.strictSame(b.weights(), { [stable]: 100 }, "the silent proxy has what it had");
  relay.resume();
  const done = await bed.untilRollout("promoted", isPromoted(stable));
  t.strictSame(b.weights(), { [done.status.stableRS ?? ""]: 100 });
  t.strictSame(a.weights(), b.weights());
});

test(
  "acknowledged: a closed stream starts the grace, and after it the proxy is forgotten",
  BOUNDED,
  async (t) => {
    const { bed, b, stable } = await twoProxies(t);
    b.close();
    await bed.image("2");
    const waiting = await bed.untilRollout(
      "20 % decided or held",
      ({ status }) => status.currentPodHash !== stable,
    );
    await bed.clock.leap(28_000);
    await bed.holds("held within the grace", (now) => now.status.currentStepIndex === 0);
    t.not(waiting.status.currentPodHash, stable);
    await bed.clock.leap(3_000);
    await bed.untilRollout("promoted", isPromoted(stable));
  },
);

test("acknowledged: a failed keepalive starts the grace as well", BOUNDED, async (t) => {
  const { bed, a, stable } = await silenced(t, {
    keepalive: { keepaliveTimeMs: 200, keepaliveTimeoutMs: 200 },
  });
  await bed.image("2");
  await bed.untilRollout("begun", isAt(0, 0, false));
  // The server's pings are the library's own, in real time; the grace begins when it has noticed.
  await bed.until("noticed, and forgotten after the grace", async () => {
    await bed.clock.leap(10_000);
    return isPromoted(stable)(await bed.rollout());
  });
  t.equal(a.weights()?.[stable], undefined);
});

test("acknowledged: both proxies gone hold raising; both back, it goes on", BOUNDED, async (t) => {
  const { bed, leader, a, b, stable } = await twoProxies(t);
  leader.relay.cut();
  await bed.until("both are gone", () => !a.isConnected() && !b.isConnected());
  await bed.image("2");
  await bed.untilRollout("begun", ({ status }) => status.currentPodHash !== stable);
  await bed.holds("no step", ({ status }) => status.currentStepIndex === 0);
  await bed.clock.leap(40_000);
  await bed.holds(
    "no step after the grace either: no proxy is connected",
    ({ status }) => status.currentStepIndex === 0,
  );
  leader.relay.mend();
  const done = await bed.untilRollout("promoted", isPromoted(stable));
  const all = { [done.status.stableRS ?? ""]: 100 };
  // It goes on with the first that is back: the grace of the other is long over.
  await bed.until("both are back", () => jsonEqual(a.weights(), all) && jsonEqual(b.weights(), all));
  t.strictSame([a.weights(), b.weights()], [all, all]);
});

test(
  "acknowledged: without any proxy no weight is raised, and an abort waits for nothing",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, { progressDeadlineSeconds: 20 });
    await bed.lead();
    // Healthy would claim acknowledged weights: without a proxy the first version is stable and no more.
    const first = await bed.untilRollout(
      "version 1 is stable",
      ({ status }) => (status.stableRS ?? "") !== "",
    );
    const stable = first.status.stableRS;
    await bed.image("2");
    await bed.untilRollout(
      "the canary is up",
      ({ status }) => (status.updatedReplicas ?? 0) > 0 && status.currentPodHash !== stable,
    );
    await bed.holds("no weight", (now) => weightOf(now) === 0 && now.status.currentStepIndex === 0);
    await bed.clock.leap(21_000);
    const late = await bed.untilRollout("degraded", ({ status }) => status.phase === "Degraded");
    t.match(late.status.message, /no proxy connected/);
    await bed.patch(RESOURCES.rollout, "web", { status: { abort: true } }, "status");
    const aborted = await bed.untilRollout("aborted", ({ status }) => status.abortedAt !== undefined);
    t.match(aborted.status.message, /^RolloutAborted: /);
  },
);

test(
  "acknowledged: a lower weight is published though a proxy is silent; completing its step waits",
  BOUNDED,
  async (t) => {
    const { bed, a, b } = await twoProxies(t, {
      canary: { steps: [{ setWeight: 60 }, { pause: {} }, { setWeight: 20 }, { pause: {} }] },
    });
    await bed.image("2");
    const high = await bed.untilRollout(
      "paused at 60",
      (now) => isAt(1, 60, true)(now) && now.status.phase === "Paused",
    );
    b.hang();
    await bed.patch(RESOURCES.rollout, "web", { status: { pauseConditions: null } }, "status");
    await bed.until("the other has the lower weight", () => canaryWeight(a, high) === 20);
    await bed.holds("its step is not complete", isAt(2, 20, false));
    b.accept();
    await bed.untilRollout("complete", isAt(3, 20, true));
    t.equal(canaryWeight(b, high), 20);
  },
);

test(
  "acknowledged: an abort lowers the weight at once though the raise before is not acknowledged",
  BOUNDED,
  async (t) => {
    const { bed, a, b, stable } = await twoProxies(t);
    b.hang();
    await raised(bed, a);
    await bed.patch(RESOURCES.rollout, "web", { status: { abort: true } }, "status");
    const aborted = await bed.untilRollout(
      "aborted",
      (now) => now.status.phase === "Degraded" && weightOf(now) === 0,
    );
    await bed.until("one is back", () => a.weights()?.[stable] === 100);
    t.equal(isVerified(aborted), false);
  },
);

test(
  "acknowledged: scale-down waits for acknowledgement, and no longer than the grace",
  BOUNDED,
  async (t) => {
    for (const isBounded of [false, true]) {
      const { bed, b } = await twoProxies(t, {
        canary: {
          abortScaleDownDelaySeconds: 1,
          scaleDownDelaySeconds: 2,
          steps: [{ setWeight: 20 }, { pause: {} }],
        },
      });
      await bed.image("2");
      const paused = await bed.untilRollout("paused at 20", isAt(1, 20, true));
      const canary = paused.status.currentPodHash;
      b.hang();
      await bed.patch(RESOURCES.rollout, "web", { status: { abort: true } }, "status");
      await bed.untilRollout("aborted", (now) => weightOf(now) === 0);
      await bed.clock.leap(20_000);
      await bed.holds("still unverified", (now) => isVerified(now) === false);
      t.equal(await bed.replicasOf(canary), 1, "it stays though its delay has passed");
      if (isBounded) await bed.clock.leap(12_000);
      else b.accept();
      await bed.until("scaled down", async () => (await bed.replicasOf(canary)) === 0);
      t.equal((await bed.rollout()).status.canary?.weights?.verified, !isBounded);
    }
  },
);

test(
  "acknowledged: a later joiner is given the newest version first and holds nothing",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, { canary: { steps: [{ setWeight: 20 }, { pause: {} }] } });
    const leader = await bed.lead();
    const a = bed.proxy([leader], "a");
    await bed.ready(a);
    a.hang();
    await bed.image("2");
    const waiting = await bed.untilRollout("20 % decided", isAt(0, 20, false));
    const c = bed.proxy([leader], "c");
    c.hang();
    await bed.until("the joiner is asked", () => c.taken.some((update) => update.changed === "listeners"));
    a.accept();
    await bed.untilRollout("verified without the joiner", isAt(1, 20, true));
    t.equal(c.weights(), undefined);
    c.accept();
    await bed.until("the joiner has routes", () => c.weights() !== undefined);
    t.equal(canaryWeight(c, waiting), 20);
    const routes = c.taken.filter((update) => update.changed === "routes");
    t.equal(routes.length, 1, "never an older version");
  },
);

test("acknowledged: a client of the group that takes no routes is not waited for", BOUNDED, async (t) => {
  const bed = await controllerBed(t);
  const leader = await bed.lead();
  const a = bed.proxy([leader], "a");
  const stable = await bed.ready(a);
  const watcher = bed.bare(leader, "watcher");
  watcher.ask("clusters");
  watcher.ack(await watcher.next());
  await bed.image("2");
  await bed.untilRollout("promoted", isPromoted(stable));
  const record = await bed.client.get(RESOURCES.configMap, { namespace: SYSTEM, name: RECORD });
  t.notMatch(JSON.stringify(record?.data), /watcher/);
});

test("acknowledged: membership is written when it changes, and then only", BOUNDED, async (t) => {
  const bed = await controllerBed(t);
  const leader = await bed.lead();
  const writes = (): readonly string[] =>
    leader.requests.filter((line) => !line.startsWith("GET") && line.includes("/configmaps"));
  const a = bed.proxy([leader], "a");
  const b = bed.proxy([leader], "b");
  const stable = await bed.ready(a, b);
  const record = async () => {
    const object = await bed.client.get(RESOURCES.configMap, { namespace: SYSTEM, name: RECORD });
    const data = object?.data as { readonly group: string; readonly nodes: string } | undefined;
    return { group: data?.group, ids: JSON.parse(data?.nodes ?? "[]").map(({ id }: { id: string }) => id) };
  };
  t.strictSame(await record(), { group: "gateway/default/edge", ids: ["a", "b"] });
  const before = writes().length;
  t.ok(before <= 3, writes().join("\n"));
  await bed.image("2");
  const done = await bed.untilRollout("promoted", isPromoted(stable));
  t.equal(writes().length, before, "weights, acknowledgements and time write nothing");
  b.close();
  await bed.clock.leap(25_000);
  t.equal(writes().length, before, "nor does a stream that closes");
  await bed.clock.leap(6_000);
  await bed.until("one is forgotten", async () => (await record()).ids.length === 1);
  t.equal(writes().length, before + 1);
  t.equal(done.metadata.namespace, NAMESPACE);
});

test("acknowledged: a reconnect proves what is in force without a push", BOUNDED, async (t) => {
  const bed = await controllerBed(t, {
    canary: { steps: [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }, { pause: {} }] },
  });
  const leader = await bed.lead();
  const a = bed.proxy([leader], "a");
  await bed.ready(a);
  await bed.image("2");
  await bed.untilRollout("paused at 20", isAt(1, 20, true));
  const taken = a.taken.length;
  leader.relay.cut();
  await bed.until("gone", () => !a.isConnected());
  leader.relay.mend();
  await bed.until("back", () => a.isConnected());
  await bed.holds("verified", isAt(1, 20, true));
  t.equal(a.taken.length, taken, "nothing was sent");
  await bed.patch(RESOURCES.rollout, "web", { status: { pauseConditions: null } }, "status");
  await bed.untilRollout("and the next raise goes through", isAt(3, 60, true));
});
