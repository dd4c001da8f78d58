// Counts over a change of the control plane's leader: exact from a mark on, or the answer says what it lacks.
import fc from "fast-check";
import { test } from "tap";
import {
  createProviders,
  type MeasureContext,
  RETURN_GRACE_MS,
  readCheckpoint,
  type TrafficCheckpoint,
  type TrafficReport,
  TrafficStore,
  type TrafficWindow,
} from "../../src/providers/providers.ts";

const T0 = Date.parse("2026-01-02T03:04:05Z");
const SCOPE = { namespace: "default", service: "web" };
const CLUSTER = "default/web:80/abc";

function aReport(atMs: number, requests: number, fields: Partial<TrafficReport> = {}): TrafficReport {
  const cumulative = new Map([
    ["r/requests", requests],
    ["r/le_4", requests],
  ]);
  const clusters = [{ cluster: CLUSTER, cumulative, delta: { succeeded: 0, failed: 0 } }];
  return { nodeId: "gw-0", epoch: `${T0 + 1}-7`, atMs, clusters, ...fields };
}

function since(store: TrafficStore, mark: string, toMs: number): TrafficWindow {
  return store.window({ ...SCOPE, podHash: "abc", fromMs: T0, toMs, mark });
}

/** The checkpoint as the next leader reads it. */
function written(store: TrafficStore, atMs: number): TrafficCheckpoint {
  const checkpoint = readCheckpoint(JSON.parse(JSON.stringify(store.checkpoint(SCOPE, atMs))));
  if (checkpoint === undefined) throw new Error("the checkpoint is not read back");
  return checkpoint;
}

/** A store with 100 requests before the mark `step` (at T0 + 1500) and 20 after it, and the checkpoint written at the mark. */
function aLeader(): { readonly store: TrafficStore; readonly checkpoint: TrafficCheckpoint } {
  const store = new TrafficStore(T0);
  store.accept(aReport(T0 + 1000, 100));
  store.mark("step", SCOPE, T0 + 1500);
  const checkpoint = written(store, T0 + 1500);
  store.accept(aReport(T0 + 2000, 120));
  return { store, checkpoint };
}

test("takeover: a window begins at its mark to the request, however long ago that was", async (t) => {
  const { store } = aLeader();
  const late = T0 + 3_600_000;
  store.accept(aReport(late, 150));
  t.match(since(store, "step", late), { kind: "counts", requests: 50, fromMs: T0 + 1500, uncounted: [] });
  t.equal(store.markedAtMs("step"), T0 + 1500);
  store.unmark("step");
  t.match(
    since(store, "step", late),
    { fromMs: late - 599_000 },
    "without its mark it begins as far back as seconds go",
  );
});

test("takeover: the next leader counts on from the mark, nothing lost and nothing twice", async (t) => {
  const { checkpoint } = aLeader();
  const next = new TrafficStore(T0 + 60_000, [checkpoint]);
  next.accept(aReport(T0 + 61_000, 170));
  next.accept(aReport(T0 + 62_000, 175));
  const window = since(next, "step", T0 + 62_000);
  t.match(window, {
    requests: 75,
    fromMs: T0 + 1500,
    uncounted: [],
    latency: { boundsMs: [4], counts: [75] },
  });
  const last = { ...SCOPE, podHash: "abc", fromMs: T0 + 32_000, toMs: T0 + 62_000 };
  t.match(next.window(last), { requests: 5, fromMs: T0 + 60_000 }, "the last 30 s begin with this leader");
  const third = new TrafficStore(T0 + 70_000, [written(next, T0 + 63_000)]);
  third.accept(aReport(T0 + 71_000, 180));
  t.match(since(third, "step", T0 + 71_000), { requests: 80, fromMs: T0 + 1500 }, "and the one after it");
});

test("takeover: a process that began meanwhile counts whole, on an old node and on a new one", async (t) => {
  const { checkpoint } = aLeader();
  const next = new TrafficStore(T0 + 60_000, [checkpoint]);
  next.accept(aReport(T0 + 61_000, 110));
  next.accept(aReport(T0 + 61_000, 7, { nodeId: "gw-1", epoch: `${T0 + 30_000}-8` }));
  t.match(since(next, "step", T0 + 61_000), { requests: 17, uncounted: [] });
});

test("takeover: a process that does not come back is waited for, then named as not counted", async (t) => {
  const { store } = aLeader();
  store.accept(aReport(T0 + 2500, 40, { nodeId: "gw-1" }));
  const next = new TrafficStore(T0 + 60_000, [written(store, T0 + 3000)]);
  next.accept(aReport(T0 + 61_000, 130));
  t.match(since(next, "step", T0 + 61_000), {
    kind: "unavailable",
    reason: "the control plane has changed hands: waiting for gw-1 to report again",
  });
  const over = T0 + 60_000 + RETURN_GRACE_MS;
  next.accept(aReport(over, 140));
  t.match(
    since(next, "step", over),
    { requests: 80, uncounted: ["gw-1"] },
    "what it had counted until then stays",
  );
  const other = new TrafficStore(T0 + 60_000, [written(store, T0 + 3000)]);
  other.accept(aReport(T0 + 61_000, 130));
  other.accept(aReport(T0 + 61_000, 3, { nodeId: "gw-1", epoch: `${T0 + 59_000}-9` }));
  t.match(
    since(other, "step", T0 + 61_000),
    { requests: 73, uncounted: ["gw-1"] },
    "its successor ends the wait",
  );
});

test("takeover: without a checkpoint the first report is a baseline, and windows say where they begin", async (t) => {
  const next = new TrafficStore(T0 + 60_000);
  next.mark("step", SCOPE, T0 + 60_000);
  next.accept(aReport(T0 + 61_000, 170));
  next.accept(aReport(T0 + 62_000, 175));
  t.match(since(next, "step", T0 + 62_000), { requests: 5, fromMs: T0 + 61_000 });
});

test("takeover: a mark of the new leader's own takes nothing of what was counted before it", async (t) => {
  const { checkpoint } = aLeader();
  const next = new TrafficStore(T0 + 60_000, [checkpoint]);
  next.mark("step 2", SCOPE, T0 + 60_500);
  next.accept(aReport(T0 + 61_000, 170));
  next.accept(aReport(T0 + 62_000, 175));
  t.match(since(next, "step 2", T0 + 62_000), { requests: 5, fromMs: T0 + 61_000 });
  t.match(since(next, "step", T0 + 62_000), { requests: 75 });
});

test("takeover: clients that report increments are said to begin anew", async (t) => {
  const { store } = aLeader();
  const clusters = [{ cluster: CLUSTER, cumulative: new Map(), delta: { succeeded: 8, failed: 1 } }];
  store.accept({ nodeId: "envoy", atMs: T0 + 2100, clusters });
  const next = new TrafficStore(T0 + 60_000, [written(store, T0 + 2200)]);
  next.accept(aReport(T0 + 61_000, 125));
  t.match(since(next, "step", T0 + 61_000), { requests: 34, errors: 1, fromMs: T0 + 60_000 });
});

test("takeover: a measurement says since when it counts, and whose counts are missing", async (t) => {
  const { store } = aLeader();
  store.accept(aReport(T0 + 2500, 40, { nodeId: "gw-1" }));
  const next = new TrafficStore(T0 + 60_000, [written(store, T0 + 3000)]);
  const nowMs = T0 + 60_000 + RETURN_GRACE_MS;
  next.accept(aReport(nowMs, 140));
  const measured = (fields: Partial<MeasureContext>) => {
    const settings = { metric: "requests", since: "step" };
    const context: MeasureContext = {
      ...SCOPE,
      nowMs,
      podHashes: { canary: "abc" },
      runStartedAtMs: T0,
      evaluate: () => ({ phase: "Successful" }),
      ...fields,
    };
    const provider = createProviders({ traffic: next })["weir.dev/traffic"];
    return provider?.measure(settings, context, AbortSignal.timeout(1000));
  };
  t.strictSame(await measured({ stepStartedAtMs: T0 + 1500, marks: { step: "step" } }), {
    phase: "Successful",
    value: "80",
    metadata: { notCounted: "gw-1" },
  });
  t.strictSame(await measured({ stepStartedAtMs: T0 + 1500 }), {
    phase: "Successful",
    value: "0",
    metadata: { countedSince: "2026-01-02T03:05:05.000Z" },
  });
});

test("takeover: a damaged checkpoint is none", async (t) => {
  const { checkpoint } = aLeader();
  const marks = [{ name: "step", atMs: 1, fromMs: 1, counted: { x: [["requests", "many"]] } }];
  const processes = [{ nodeId: "a", epoch: "1", lastAtMs: 1, values: { x: { y: null } } }];
  for (const damage of [{ scope: {} }, { atMs: "now" }, { marks }, { marks: 1 }, { processes }])
    t.equal(readCheckpoint({ ...checkpoint, ...damage }), undefined, JSON.stringify(damage));
  t.equal(readCheckpoint("x"), undefined);
});

const event = fc.oneof(
  fc.record({ kind: fc.constant("serve" as const), requests: fc.integer({ min: 1, max: 50 }) }),
  fc.record({ kind: fc.constant("report" as const) }),
  fc.record({ kind: fc.constant("restart" as const) }),
  fc.record({ kind: fc.constant("mark" as const) }),
  fc.record({ kind: fc.constant("takeover" as const) }),
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

test("takeover: over any history of restarts and leaders a count is exact, or says what it lacks", async (t) => {
  let exact = 0;
  const property = fc.property(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), event), { maxLength: 100 }),
    (history: readonly (readonly [number, Event])[]) => {
      let nowMs = T0;
      let isNew = false;
      const begin = (checkpoints: readonly TrafficCheckpoint[]): TrafficStore =>
        new TrafficStore(nowMs, checkpoints, () => {
          isNew = true;
        });
      let store = begin([]);
      const proxies = [0, 1, 2].map(() => ({ epoch: T0 + 1, total: 0 }));
      /** What each process had reported: in all, and before the mark. */
      const reported = new Map<string, number>();
      let before = new Map<string, number>();
      store.mark("m", SCOPE, nowMs);
      let checkpoint = written(store, nowMs);
      const report = (index: number): void => {
        const { epoch, total } = proxies[index] ?? { epoch: 0, total: 0 };
        store.accept(aReport(nowMs, total, { nodeId: `gw-${index}`, epoch: `${epoch}-1` }));
        reported.set(`${index} ${epoch}`, total);
        if (isNew) checkpoint = written(store, nowMs);
        isNew = false;
      };
      for (const [index, what] of history) {
        nowMs += 200;
        const proxy = proxies[index];
        if (proxy === undefined) continue;
        if (what.kind === "serve") proxy.total += what.requests;
        if (what.kind === "restart") Object.assign(proxy, { epoch: nowMs, total: 0 });
        if (what.kind === "report") report(index);
        if (what.kind === "takeover") store = begin([checkpoint]);
        if (what.kind !== "mark") continue;
        store.mark("m", SCOPE, nowMs);
        before = new Map(reported);
        checkpoint = written(store, nowMs);
      }
      nowMs += RETURN_GRACE_MS + 1;
      for (const index of proxies.keys()) report(index);
      const window = since(store, "m", nowMs);
      if (window.kind !== "counts") return false;
      const markedAtMs = store.markedAtMs("m") ?? 0;
      const want = [...reported].reduce((sum, [key, total]) => sum + total - (before.get(key) ?? 0), 0);
      const isComplete = window.fromMs === markedAtMs && window.uncounted.length === 0;
      if (isComplete) exact += 1;
      return isComplete ? window.requests === want : window.requests <= want;
    },
  );
  fc.assert(property, { numRuns: 500 });
  t.ok(exact > 100, `most are exact: ${exact} of 500`);
});
