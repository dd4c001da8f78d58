// The store of load reports: increments from cumulative values, windows, restarts on either side, and quantiles.
import fc from "fast-check";
import { test } from "tap";
import { ABSENT_REPORTS } from "../../src/providers/held.ts";
import { bucketFloorMs, quantileMs } from "../../src/providers/histogram.ts";
import {
  MAX_PROCESSES,
  MAX_SERIES,
  type TrafficReport,
  TrafficStore,
} from "../../src/providers/providers.ts";
import { parseStatName } from "../../src/providers/statnames.ts";
import { bucketName, LATENCY_BOUNDS_MS } from "../../src/proxy/observe/stats.ts";

const T0 = Date.parse("2026-01-02T03:04:05Z");
const CLUSTER = "default/web:80/abc";
const SCOPE = { namespace: "default", service: "web" };

function aReport(
  atMs: number,
  values: Readonly<Record<string, number>>,
  fields: Partial<TrafficReport> = {},
): TrafficReport {
  const clusters = [
    { cluster: CLUSTER, cumulative: new Map(Object.entries(values)), delta: { succeeded: 0, failed: 0 } },
  ];
  return { nodeId: "default/gw-0", epoch: String(T0 + 1), atMs, clusters, ...fields };
}

function requestsIn(store: TrafficStore, fromMs: number, toMs: number, podHash = "abc"): number | string {
  const window = store.window({ namespace: "default", podHash, fromMs, toMs });
  return window.kind === "counts" ? window.requests : window.reason;
}

test("store: increments of cumulative reports are answered by time", async (t) => {
  const store = new TrafficStore(T0);
  t.equal(requestsIn(store, T0, T0 + 1000), "no proxy has reported yet");
  store.accept(
    aReport(T0 + 1000, { "r/requests": 10, "r/error": 1, "r/status_5xx": 1, "r/le_4": 8, "r/le_inf": 2 }),
  );
  store.accept(
    aReport(T0 + 2000, { "r/requests": 25, "r/error": 1, "r/status_5xx": 1, "r/le_4": 20, "r/le_inf": 5 }),
  );
  t.equal(requestsIn(store, T0, T0 + 2000), 25);
  t.equal(requestsIn(store, T0 + 2000, T0 + 2999), 15);
  t.equal(requestsIn(store, T0, T0 + 2000, "other"), 0);
  t.match(
    store.window({
      namespace: "default",
      service: "web",
      podHash: "abc",
      route: "r",
      fromMs: T0,
      toMs: T0 + 2000,
    }),
    {
      kind: "counts",
      fromMs: T0,
      errors: 1,
      statusClasses: { "5xx": 1 },
      latency: { boundsMs: [4, Number.POSITIVE_INFINITY], counts: [20, 5] },
    },
  );
  const elsewhere = { namespace: "default", podHash: "abc", fromMs: T0, toMs: T0 + 2000 };
  t.match(store.window({ ...elsewhere, service: "api" }), { requests: 0 });
  t.match(store.window({ ...elsewhere, route: "q" }), { requests: 0 });
  t.match(store.window({ ...elsewhere, toMs: T0 + 60_000 }), { reason: "no proxy has reported for 58 s" });
});

test("store: repeated and overtaken reports count once", async (t) => {
  const store = new TrafficStore(T0);
  const first = aReport(T0 + 1000, { "r/requests": 10 });
  const second = aReport(T0 + 2000, { "r/requests": 30 });
  for (const report of [first, second, second, first, { ...second, atMs: T0 + 3000 }]) store.accept(report);
  t.equal(requestsIn(store, T0, T0 + 3000), 30);
});

test("store: a process that restarts begins at 0, the old one's late report still counts", async (t) => {
  const store = new TrafficStore(T0);
  store.accept(aReport(T0 + 1000, { "r/requests": 10 }));
  store.accept(aReport(T0 + 5000, { "r/requests": 4 }, { epoch: String(T0 + 4000) }));
  store.accept(aReport(T0 + 6000, { "r/requests": 12 }));
  t.equal(requestsIn(store, T0, T0 + 6000), 16);
});

test("store: after its own restart a process that was there before is a baseline", async (t) => {
  const restartedAtMs = T0 + 10_000;
  const blank = new TrafficStore(restartedAtMs);
  blank.accept(aReport(T0 + 11_000, { "r/requests": 120 }));
  t.equal(requestsIn(blank, T0, T0 + 11_000), 0);
  blank.accept(aReport(T0 + 12_000, { "r/requests": 125, "new/requests": 3 }));
  t.equal(requestsIn(blank, T0, T0 + 12_000), 8);
  const window = blank.window({ namespace: "default", podHash: "abc", fromMs: T0, toMs: T0 + 12_000 });
  t.match(window, { fromMs: restartedAtMs });
});

test("store: a process whose epoch tells no start is a baseline first", async (t) => {
  const store = new TrafficStore(T0);
  store.accept(aReport(T0 + 1000, { "r/requests": 7 }, { epoch: "z9" }));
  t.equal(requestsIn(store, T0, T0 + 1000), 0);
  store.accept(aReport(T0 + 2000, { "r/requests": 9 }, { epoch: "z9" }));
  t.equal(requestsIn(store, T0, T0 + 2000), 2);
});

test("store: a pair that begins anew counts from 0, and late reports of its life before do not", async (t) => {
  const store = new TrafficStore(T0);
  const before = aReport(T0 + 1000, { "r/life": 3, "r/requests": 100, "q/life": 2, "q/requests": 5 });
  const after = aReport(T0 + 2000, { "r/life": 9, "r/requests": 20, "q/life": 2, "q/requests": 6 });
  for (const report of [before, after, before, after]) store.accept(report);
  t.equal(requestsIn(store, T0, T0 + 2000), 126);
  store.accept(aReport(T0 + 3000, { "r/life": 9, "r/requests": 101, "q/life": 2, "q/requests": 6 }));
  t.equal(requestsIn(store, T0, T0 + 3000), 207);
});

test("store: what a process reports no more is forgotten, and a late report does not revive it", async (t) => {
  const store = new TrafficStore(T0);
  const held = (): number =>
    Object.values(store.checkpoint(SCOPE, T0).processes[0]?.values[CLUSTER] ?? {}).length;
  const gone = aReport(T0 + 1000, { "r/life": 1, "r/requests": 100, "r/le_4": 100 });
  store.accept(gone);
  for (let report = 1; report < ABSENT_REPORTS; report++)
    store.accept(aReport(T0 + 1000, { "q/life": 2, "q/requests": report }));
  t.equal(held(), 5, "it may come back");
  for (let report = 1; report <= ABSENT_REPORTS; report++)
    store.accept(aReport(T0 + 1000, { "q/life": 2, "q/requests": ABSENT_REPORTS }));
  t.equal(held(), 2, "what is reported is held");
  store.accept({ ...gone, atMs: T0 + 2000 });
  t.equal(requestsIn(store, T0, T0 + 2000), 100 + ABSENT_REPORTS, "late");
  store.accept(aReport(T0 + 2000, { "r/life": 1, "r/requests": 103 }));
  t.equal(requestsIn(store, T0, T0 + 2000), 103 + ABSENT_REPORTS, "it was not gone: it goes on");
  for (let report = 0; report < 3 * ABSENT_REPORTS; report++)
    store.accept(aReport(T0 + 2000, { "q/life": 2, "q/requests": ABSENT_REPORTS }));
  store.accept(aReport(T0 + 2000, { "r/life": 7, "r/requests": 4 }));
  t.equal(requestsIn(store, T0, T0 + 2000), 107 + ABSENT_REPORTS, "a new life begins at 0");
});

test("store: what processes without lives report is never forgotten", async (t) => {
  const store = new TrafficStore(T0);
  store.accept(aReport(T0 + 1000, { "r/requests": 100 }));
  for (let report = 0; report < 3 * ABSENT_REPORTS; report++)
    store.accept(aReport(T0 + 1000, { "q/requests": 1 }));
  store.accept(aReport(T0 + 1000, { "r/requests": 101 }));
  t.equal(requestsIn(store, T0, T0 + 1000), 102);
});

test("store: lives go on over a change of leader", async (t) => {
  const first = new TrafficStore(T0);
  first.accept(aReport(T0 + 1000, { "r/life": 3, "r/requests": 100, "q/life": 4, "q/requests": 7 }));
  const second = new TrafficStore(T0 + 2000, [first.checkpoint(SCOPE, T0 + 1000)]);
  second.accept(aReport(T0 + 3000, { "r/life": 3, "r/requests": 101, "q/life": 8, "q/requests": 2 }));
  t.match(
    new Map(second.totals().map(({ route, requests }) => [route, requests])),
    new Map([
      ["r", 1],
      ["q", 2],
    ]),
  );
});

test("store: windows reach back ten minutes, totals to the start", async (t) => {
  const store = new TrafficStore(T0);
  for (let second = 1; second <= 1000; second++)
    store.accept(aReport(T0 + second * 1000, { "r/requests": second }));
  const toMs = T0 + 1_000_000;
  t.equal(requestsIn(store, T0, toMs), 600);
  t.match(store.window({ namespace: "default", podHash: "abc", fromMs: T0, toMs }), {
    fromMs: toMs - 599_000,
  });
  t.match(store.totals(), [{ cluster: CLUSTER, route: "r", requests: 1000 }]);
});

test("store: clients that report increments are added up", async (t) => {
  const store = new TrafficStore(T0);
  const clusters = [{ cluster: CLUSTER, cumulative: new Map(), delta: { succeeded: 5, failed: 2 } }];
  store.accept({ nodeId: "envoy", atMs: T0 + 1000, clusters });
  store.accept({ nodeId: "envoy", atMs: T0 + 2000, clusters });
  t.match(store.window({ namespace: "default", podHash: "abc", fromMs: T0, toMs: T0 + 2000 }), {
    requests: 14,
    errors: 4,
  });
});

test("store: the series longest silent makes way", async (t) => {
  const store = new TrafficStore(T0);
  for (let index = 0; index <= MAX_SERIES; index++)
    store.accept(aReport(T0 + 1000 + index, { [`r${index}/requests`]: 1 }));
  const { length } = store.totals();
  t.equal(length, MAX_SERIES);
  t.notOk(store.totals().some(({ route }) => route === "r0"));
});

test("store: a process that made way for others is a baseline when it comes back", async (t) => {
  const store = new TrafficStore(T0);
  store.accept(aReport(T0 + 1000, { "r/requests": 10 }));
  for (let index = 0; index < MAX_PROCESSES; index++)
    store.accept(aReport(T0 + 2000, { "q/requests": 1 }, { nodeId: `other-${index}` }));
  store.accept(aReport(T0 + 3000, { "r/requests": 15 }));
  store.accept(aReport(T0 + 4000, { "r/requests": 17 }));
  t.match(store.window({ namespace: "default", podHash: "abc", route: "r", fromMs: T0, toMs: T0 + 4000 }), {
    requests: 12,
  });
});

/** Work of one proxy: requests served, reports made, delivered late, twice or never, and processes that end. */
const event = fc.oneof(
  fc.record({ kind: fc.constant("serve" as const), requests: fc.integer({ min: 1, max: 50 }) }),
  fc.record({
    kind: fc.constant("report" as const),
    delivery: fc.constantFrom("now", "late", "twice", "never"),
  }),
  fc.record({ kind: fc.constant("deliver" as const) }),
  fc.record({ kind: fc.constant("restart" as const) }),
);

test("store: nothing is lost and nothing counted twice, whatever happens to reports", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), event), { maxLength: 120 }), (history) => {
      const store = new TrafficStore(T0);
      const proxies = [0, 1, 2].map(() => ({ epoch: T0 + 1, total: 0 }));
      const late: TrafficReport[] = [];
      const reported = new Map<string, number>();
      let nowMs = T0 + 1000;
      const deliver = (report: TrafficReport): void => {
        store.accept({ ...report, atMs: nowMs });
        const key = `${report.nodeId} ${report.epoch}`;
        const total = report.clusters[0]?.cumulative.get("r/requests") ?? 0;
        reported.set(key, Math.max(reported.get(key) ?? 0, total));
      };
      for (const [index, what] of history) {
        nowMs += 250;
        const proxy = proxies[index];
        if (proxy === undefined) continue;
        const report = aReport(
          nowMs,
          { "r/requests": proxy.total },
          { nodeId: `gw-${index}`, epoch: `${proxy.epoch}-x` },
        );
        if (what.kind === "serve") proxy.total += what.requests;
        if (what.kind === "restart") Object.assign(proxy, { epoch: nowMs, total: 0 });
        if (what.kind === "deliver") for (const each of late.splice(0)) deliver(each);
        if (what.kind !== "report") continue;
        if (what.delivery === "late") late.push(report);
        if (what.delivery === "now" || what.delivery === "twice") deliver(report);
        if (what.delivery === "twice") deliver(report);
      }
      if (reported.size === 0) return true;
      const want = [...reported.values()].reduce((sum, total) => sum + total, 0);
      return requestsIn(store, T0, nowMs) === want && (store.totals()[0]?.requests ?? 0) === want;
    }),
    { numRuns: 300 },
  );
  t.pass("held for every history");
});

test("names: what a proxy counts is read back, the rest left out", async (t) => {
  t.strictSame(parseStatName("weir/v1/default/web/0/requests"), {
    route: "default/web/0",
    stat: { kind: "requests" },
  });
  t.strictSame(parseStatName("r/error"), { route: "r", stat: { kind: "errors" } });
  t.strictSame(parseStatName("r/status_2xx")?.stat, { kind: "status", statusClass: "2xx" });
  t.strictSame(parseStatName("r/bytes_in"), undefined);
  const bounds = Array.from({ length: LATENCY_BOUNDS_MS.length + 1 }, (_, index) => {
    const stat = parseStatName(`r/${bucketName(index)}`)?.stat;
    return stat?.kind === "bucket" ? stat.boundMs : undefined;
  });
  t.strictSame(bounds, [...LATENCY_BOUNDS_MS, Number.POSITIVE_INFINITY]);
});

test("histogram: a bucket's lower edge is the bound before it", async (t) => {
  const floors = LATENCY_BOUNDS_MS.map(bucketFloorMs);
  t.strictSame(floors, [0, ...LATENCY_BOUNDS_MS.slice(0, -1)]);
});

test("histogram: quantiles interpolate, grow with the share and stay inside the right bucket", async (t) => {
  t.equal(quantileMs({ boundsMs: [4, 8], counts: [0, 0] }, 0.5), undefined);
  t.equal(quantileMs({ boundsMs: [4], counts: [10] }, 0.5), 3.75);
  t.equal(quantileMs({ boundsMs: [4, Number.POSITIVE_INFINITY], counts: [1, 9] }, 0.99), 65_536);
  const counts = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 77, maxLength: 77 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(counts, share, share, (list, a, b) => {
      const histogram = { boundsMs: [...LATENCY_BOUNDS_MS, Number.POSITIVE_INFINITY], counts: list };
      const [low, high] = a < b ? [a, b] : [b, a];
      const lower = quantileMs(histogram, low);
      const upper = quantileMs(histogram, high);
      return lower === undefined || upper === undefined ? lower === upper : lower <= upper && upper <= 65_536;
    }),
  );
  const latency = fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(latency, share, (list, quantile) => {
      const tally = LATENCY_BOUNDS_MS.map(
        (bound) => list.filter((ms) => ms <= bound && ms > bucketFloorMs(bound)).length,
      );
      const exact = list.sort((a, b) => a - b)[Math.max(Math.ceil(quantile * list.length) - 1, 0)] ?? 0;
      const found = quantileMs({ boundsMs: LATENCY_BOUNDS_MS, counts: tally }, quantile) ?? 0;
      return found <= exact * 1.26 + 0.01 && found >= exact / 1.26 - 0.01;
    }),
  );
});
