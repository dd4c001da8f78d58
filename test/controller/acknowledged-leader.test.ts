// "Acknowledged weights" across leaders: a successor knows whom to wait for, and until it has heard of them neither goes on nor takes
// anything away. A leader is killed by cutting all its connections: nothing is released, nobody is told.
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { BOUNDED, isAt, isPromoted, raised } from "./acknowledged.ts";
import { type Bed, controllerBed, type Leader, RECORD, SYSTEM } from "./bed.ts";

const LEASE = { lease: { leaseMs: 15_000, renewMs: 10_000, retryMs: 200 } };

/** Two controllers, the second of them waiting. */
async function two(bed: Bed): Promise<readonly [Leader, Leader]> {
  const first = await bed.lead(LEASE);
  return [first, await bed.lead({ ...LEASE, isLeading: false })];
}

/** Two controllers, and two proxies that know both; `stable` is the version that they serve. */
async function twoAndTwo(t: Test, spec: Parameters<typeof controllerBed>[1] = {}) {
  const bed = await controllerBed(t, spec);
  const [first, second] = await two(bed);
  const a = bed.proxy([first, second], "a");
  const b = bed.proxy([first, second], "b");
  return { bed, first, second, a, b, stable: await bed.ready(a, b) };
}

/** The first dies, and the second leads as soon as the lease has run out. */
async function succeed(bed: Bed, first: Leader, second: Leader): Promise<void> {
  first.kill();
  await bed.clock.leap(16_000);
  await bed.until("the second leads", () => second.controller.isLeading());
}

test(
  "acknowledged: the leader is killed between publication and acknowledgement: its successor waits for the silent proxy",
  BOUNDED,
  async (t) => {
    const { bed, first, second, a, b, stable } = await twoAndTwo(t);
    b.hang();
    await raised(bed, a);
    await succeed(bed, first, second);
    await bed.until("both are back", () => a.isConnected());
    await bed.clock.leap(40_000);
    await bed.holds("held at step 0", isAt(0, 20, false));
    b.accept();
    await bed.untilRollout("promoted", isPromoted(stable));
  },
);

test("acknowledged: a deadline that passes while nobody leads aborts no release", BOUNDED, async (t) => {
  const { bed, first, second, b, stable } = await twoAndTwo(t, {
    progressDeadlineSeconds: 10,
    progressDeadlineAbort: true,
  });
  b.hang();
  await bed.image("2");
  await bed.untilRollout("20 % decided", isAt(0, 20, false));
  // It answers when the leader that asked is gone.
  first.kill();
  b.accept();
  await succeed(bed, first, second);
  const done = await bed.untilRollout("promoted", isPromoted(stable));
  t.notOk(done.status.abortedAt);
});

test(
  "acknowledged: a deadline that passed while nobody led is over when a proxy stays silent for a minute more",
  BOUNDED,
  async (t) => {
    const { bed, first, second, a, b } = await twoAndTwo(t, {
      progressDeadlineSeconds: 10,
      progressDeadlineAbort: true,
    });
    b.hang();
    await raised(bed, a);
    await succeed(bed, first, second);
    await bed.until("both are back", () => a.isConnected() && b.isConnected());
    await bed.clock.leap(50_000);
    await bed.holds("held at step 0", isAt(0, 20, false));
    await bed.clock.leap(11_000);
    const { status } = await bed.untilRollout("aborted", (rollout) => rollout.status.abort === true);
    t.match(status.message, /has timed out progressing\. The proxies have not acknowledged the weights: b: /);
  },
);

test(
  "acknowledged: a proxy that died with the leader is known from the record, and counts until its grace has passed",
  BOUNDED,
  async (t) => {
    const { bed, first, second, a, b, stable } = await twoAndTwo(t);
    b.hang();
    await bed.image("2");
    await bed.untilRollout("20 % decided", isAt(0, 20, false));
    const record = await bed.client.get(RESOURCES.configMap, { namespace: SYSTEM, name: RECORD });
    t.match(JSON.stringify(record?.data), /\\"b\\"/);
    first.kill();
    b.close();
    await succeed(bed, first, second);
    await bed.until("one is back", () => a.isConnected());
    await bed.clock.leap(25_000);
    await bed.holds("held within the grace", isAt(0, 20, false));
    await bed.clock.leap(6_000);
    await bed.untilRollout("promoted", isPromoted(stable));
  },
);

test(
  "acknowledged: a successor without any stream raises nothing and scales nothing down within the bound",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, { canary: { steps: [{ setWeight: 20 }], scaleDownDelaySeconds: 5 } });
    const [first, second] = await two(bed);
    const a = bed.proxy([first], "a");
    const stable = await bed.ready(a);
    await bed.image("2");
    await bed.untilRollout("promoted", isPromoted(stable));
    t.equal(await bed.replicasOf(stable), 2);
    first.kill();
    await succeed(bed, first, second);
    t.equal(await bed.replicasOf(stable), 2, "its delay has passed, nobody says that no proxy sends there");
    await bed.image("3");
    await bed.untilRollout(
      "the third is up",
      ({ status }) => status.currentPodHash !== status.stableRS && (status.updatedReplicas ?? 0) > 0,
    );
    await bed.clock.leap(25_000);
    await bed.holds("no weight, no step", isAt(0, 0, false));
    t.equal(await bed.replicasOf(stable), 2);
    await bed.clock.leap(6_000);
    await bed.until(
      "the scale-down has waited its longest",
      async () => (await bed.replicasOf(stable)) === 0,
    );
    await bed.holds("still no proxy to raise a weight in", isAt(0, 0, false));
  },
);

test("acknowledged: a standby answers with UNAVAILABLE, and reconciles nothing", BOUNDED, async (t) => {
  const bed = await controllerBed(t);
  const [first, second] = await two(bed);
  const a = bed.proxy([second, first], "a");
  await bed.ready(a);
  const client = bed.bare(second, "curious");
  client.ask("listeners");
  const ended = await client.ended;
  t.match(ended, { code: 14, details: "not the leader" });
  const writes = second.requests.filter((line) => !line.startsWith("GET") && !line.includes("/leases"));
  t.strictSame(writes, []);
  await first.controller.stop();
  await bed.until("the second leads", () => second.controller.isLeading());
  await bed.until("its proxy has moved", () => a.isConnected());
  const stable = (await bed.rollout()).status.stableRS ?? "";
  await bed.image("2");
  await bed.untilRollout("promoted", isPromoted(stable));
});

test(
  "acknowledged: xDS is served only when the caches have synced and every Rollout has been reconciled",
  BOUNDED,
  async (t) => {
    const bed = await controllerBed(t, { canary: { steps: [{ setWeight: 20 }, { pause: {} }] } });
    const [first, second] = await two(bed);
    const a = bed.proxy([first, second], "a");
    await bed.ready(a);
    await bed.image("2");
    await bed.untilRollout("paused at 20", isAt(1, 20, true));
    const taken = a.taken.length;
    second.fail((request) => request.method === "PATCH" && request.path.includes("/rollouts/web"));
    first.kill();
    // The spec changes while nobody leads: the first pass has something to write, and cannot.
    await bed.patch(RESOURCES.rollout, "web", { spec: { replicas: 3 } });
    await bed.clock.leap(15_500);
    await bed.until("the second has tried", () =>
      second.requests.some((line) => line.startsWith("PATCH") && line.includes("/rollouts/web")),
    );
    t.equal(second.controller.isLeading(), false);
    second.fail();
    await bed.clock.leap(5_000);
    await bed.until("it leads", () => second.controller.isLeading());
    await bed.until("the proxy is back", () => a.isConnected());
    await bed.holds("nothing was lost", ({ status }) => status.canary?.weights?.canary.weight === 20);
    t.ok(
      a.taken.slice(taken).every((update) => update.clusters.length === 2),
      "never a configuration without the versions",
    );
  },
);
