// Cells of the statistics come and go with what configurations name: every version is counted under its own name however many there were before,
// in bounded memory, by each of those who read the counts. Without sockets, on a clock that the test holds.
import { deepStrictEqual } from "node:assert/strict";
import fc from "fast-check";
import { test } from "tap";
import type { Clock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { ABSENT_REPORTS } from "../../src/providers/held.ts";
import { type TrafficReport, TrafficStore } from "../../src/providers/providers.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { expose } from "../../src/proxy/observe/exposition.ts";
import { loadSamples } from "../../src/proxy/observe/loads.ts";
import { GRACE_MS, MAX_CELLS, PRESSED_GRACE_MS, Slots } from "../../src/proxy/observe/slots.ts";
import { type Stats, snapshotStats } from "../../src/proxy/observe/stats.ts";
import { Ledger } from "../../src/proxy/workers/ledger.ts";
import { Reporter } from "../../src/proxy/workers/report.ts";
import type { Cluster, ClusterLoadAssignment } from "../../src/xds/types.ts";
import { aCluster, aListener, anAssignment, aRoute } from "../support/xds.ts";

const T0 = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const SCOPE = { namespace: "default", service: "shop" };
const ROUTE = "default/web:8000";

class Time implements Clock {
  ms = T0;
  nowMs = (): number => this.ms;
  steadyMs = this.nowMs;
  after = (): { cancel(): void } => ({ cancel: () => undefined });
}

const NO_SOCKETS = {
  isServing: false,
  isChecking: false,
  share: { index: 0, count: 1 },
  onChecked: () => undefined,
  onEjected: () => undefined,
  onTakenBack: () => undefined,
  onRenewed: () => undefined,
};

/** What is not asked costs no time. */
const NO_MEMORY = (): { readonly heap: number; readonly resident: number } => ({ heap: 0, resident: 0 });

const aCore = (clock: Clock): Core =>
  new Core({ clock, log: silentLogger, seed: 1, seat: NO_SOCKETS, memory: NO_MEMORY });

interface Gateway {
  readonly core: Core;
  readonly stats: Stats;
  readonly time: Time;
  /** Brings a split between these versions in force and gives their cells, in order. */
  split(...versions: readonly string[]): Promise<readonly number[]>;
  /** Time goes on, and who looks every now and then looks. */
  pass(ms: number): void;
}

function aGateway(): Gateway {
  const time = new Time();
  const core = aCore(time);
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  const listeners = [aListener(ROUTE, 0)];
  let resources = new Map<string, { readonly cluster: Cluster; readonly endpoints: ClusterLoadAssignment }>();
  return {
    core,
    stats: core.stats,
    time,
    async split(...versions) {
      // What stays is the same object, as it is for a client of the control plane.
      resources = new Map(
        versions.map((one) => [
          one,
          resources.get(one) ?? { cluster: aCluster(one), endpoints: anAssignment(one, [9000]) },
        ]),
      );
      await configuration.apply({
        listeners,
        routes: [aRoute(ROUTE, Object.fromEntries(versions.map((version) => [version, 1])))],
        clusters: [...resources.values()].map(({ cluster }) => cluster),
        endpoints: [...resources.values()].map(({ endpoints }) => endpoints),
        changed: "routes",
        versions: { listeners: "1", routes: "1", clusters: "1", endpoints: "1" },
      });
      return configuration.routes[0]?.cells ?? [];
    },
    pass(ms) {
      time.ms += ms;
      core.deadlines.sweep();
    },
  };
}

function serve(stats: Stats, cell: number, count: number): void {
  for (let request = 0; request < count; request++) {
    stats.begin(cell);
    stats.end(cell, 200, true, 3);
  }
}

/** Requests by version, as the statistics show them. */
const shown = (stats: Stats): Record<string, number> =>
  Object.fromEntries(snapshotStats(stats).map((cell) => [cell.cluster, cell.values.get("requests") ?? 0]));

const version = (index: number): string => `default/shop:80/v${index}`;

/** What a load report tells the control plane. */
function loadReport(stats: Stats, atMs: number): TrafficReport {
  const clusters = loadSamples(stats).map(({ cluster, metrics }) => ({
    cluster,
    cumulative: new Map(metrics),
    delta: { succeeded: 0, failed: 0 },
  }));
  return { nodeId: "default/gw-0", epoch: String(T0 + 1), atMs, clusters };
}

function counted(store: TrafficStore): Record<string, number> {
  return Object.fromEntries(store.totals().map(({ cluster, requests }) => [cluster, requests]));
}

/** Values that the store holds of all processes. */
function heldBy(store: TrafficStore, atMs: number): number {
  const { processes } = store.checkpoint(SCOPE, atMs);
  return processes
    .flatMap(({ values }) => Object.values(values))
    .reduce((sum, each) => sum + Object.keys(each).length, 0);
}

test("cells: of twenty thousand versions, one each hour, each is counted, in no more memory than a few need", async (t) => {
  const { stats, time, split, pass } = aGateway();
  const store = new TrafficStore(T0);
  let wrong = 0;
  // As the version of its hour, and then as the one before.
  const [first, then] = [
    (index: number): number => 1 + (index % 5),
    (index: number): number => 2 + (index % 5),
  ];
  for (let index = 1; index <= 20_000; index++) {
    const [before = 0, now = 0] = await split(version(index - 1), version(index));
    serve(stats, before, 1);
    serve(stats, now, first(index));
    const own = shown(stats);
    if (own[version(index)] !== first(index)) wrong += 1;
    if (index > 1 && own[version(index - 1)] !== then(index - 1)) wrong += 1;
    store.accept(loadReport(stats, time.ms));
    pass(HOUR_MS / 2);
    pass(HOUR_MS / 2);
    if (index % 400 > 0) continue;
    const told = counted(store);
    for (let each = index - 399; each < index; each++) if (told[version(each)] !== then(each)) wrong += 1;
  }
  t.equal(wrong, 0);
  t.ok(stats.names.length <= 4, `${stats.names.length} cells`);
  t.ok(stats.values.length <= 2_000, `${stats.values.length} values`);
  t.ok(heldBy(store, time.ms) < 500, `${heldBy(store, time.ms)} values held by the control plane`);
});

test("cells: one stays while it is named or a request is in progress in it, and ten minutes longer", async (t) => {
  const { stats, split, pass } = aGateway();
  const [old = 0] = await split(version(0), version(1));
  serve(stats, old, 7);
  stats.begin(old);
  pass(10 * GRACE_MS);
  t.match(shown(stats), { [version(0)]: 7 }, "it is named");
  await split(version(1));
  pass(10 * GRACE_MS);
  pass(10 * GRACE_MS);
  t.match(shown(stats), { [version(0)]: 7 }, "a request is in progress");
  stats.end(old, 200, true, 3);
  pass(GRACE_MS - 1);
  t.match(shown(stats), { [version(0)]: 8 }, "it ended a while ago");
  pass(10_001);
  t.strictSame(shown(stats), { [version(1)]: 0 });
  const [, again = 0] = await split(version(1), version(0));
  t.match(shown(stats), { [version(0)]: 0 }, "it comes back at 0");
  t.equal(again, old, "in a place that was free");
  const page = [
    ...expose({ stats, counts: aGateway().core.counts, tallies: aGateway().core.tallies }, true),
  ].join("");
  t.equal(page.match(/weir_proxy_requests_in_flight\{/g)?.length, 2);
});

test("cells: a version that comes back within ten minutes goes on", async (t) => {
  const { stats, split, pass } = aGateway();
  const [cell = 0] = await split(version(0), version(1));
  serve(stats, cell, 7);
  await split(version(1));
  pass(GRACE_MS - 1);
  t.equal((await split(version(0), version(1)))[0], cell);
  pass(5 * GRACE_MS);
  t.match(shown(stats), { [version(0)]: 7 });
});

test("cells: a configuration that is refused leaves none behind", async (t) => {
  const { stats, split, pass } = aGateway();
  await split(version(0));
  await t.rejects(split(version(1), ""));
  pass(GRACE_MS);
  pass(GRACE_MS);
  t.strictSame(shown(stats), { [version(0)]: 0 });
});

test("cells: while all are taken the grace is short, and who had to share one gets its own when there is one", async (t) => {
  const { stats, time, split, pass } = aGateway();
  const many = Array.from({ length: MAX_CELLS - 1 }, (_, index) => version(index));
  await split(...many);
  pass(1);
  const [lost = -1] = await split("default/shop:80/new");
  serve(stats, lost, 3);
  t.match(shown(stats), { overflow: 3 });
  pass(PRESSED_GRACE_MS);
  const [own = -1] = await split("default/shop:80/new");
  serve(stats, own, 4);
  t.match(shown(stats), { overflow: 3, "default/shop:80/new": 4 });
  t.equal(snapshotStats(stats).length, 2, "those that were in the way are gone");
  t.equal(stats.names.length, MAX_CELLS);
  t.ok(time.ms < T0 + GRACE_MS);
});

test("cells: while all are taken they are gone through once between two looks, however many pairs come", (t) => {
  let asked = 0;
  const isBusy = (): boolean => {
    asked += 1;
    return false;
  };
  const slots = new Slots({ isBusy, clear: () => undefined });
  for (let index = 0; index < MAX_CELLS - 1; index++) slots.of("r", version(index));
  slots.retain(new Uint8Array(MAX_CELLS), T0);
  const shared = slots.of("r", "new");
  let alone = 0;
  for (let index = 0; index < 1_000; index++)
    if (slots.of("r", `new ${index}`) !== shared || slots.isOutdated(shared)) alone += 1;
  t.equal(alone, 0);
  t.equal(asked, MAX_CELLS - 1);
  slots.look(T0 + PRESSED_GRACE_MS);
  t.equal(slots.isOutdated(shared), true);
  t.not(slots.of("r", "new"), shared);
  t.end();
});

test("cells: a table that lacked cells is made anew with the next change, whatever changes", async (t) => {
  const time = new Time();
  const core = aCore(time);
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  for (let index = 0; index < MAX_CELLS - 1; index++) core.stats.cell("r", version(index));
  const routes = [aRoute(ROUTE, { [version(-1)]: 1 })];
  const apply = async (): Promise<readonly number[]> => {
    await configuration.apply({
      listeners: [aListener(ROUTE, 0)],
      routes,
      clusters: [],
      endpoints: [],
      changed: "clusters",
      versions: { listeners: "1", routes: "1", clusters: "1", endpoints: "1" },
    });
    return configuration.routes[0]?.cells ?? [];
  };
  const shared = await apply();
  t.strictSame(await apply(), shared, "still none");
  time.ms += GRACE_MS;
  core.deadlines.sweep();
  t.not((await apply())[0], shared[0]);
  t.match(shown(core.stats), { [version(-1)]: 0 });
});

interface Part {
  readonly core: Core;
  readonly reporter: Reporter;
  readonly ledger: Ledger;
  readonly flying: { readonly cell: number; readonly name: string }[];
  names: readonly string[];
  unreported: string[];
}

function newPart(time: Time, sums: Core, names: readonly string[]): Part {
  const core = aCore(time);
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, false);
  const reporter = new Reporter(core, configuration);
  const part = { core, reporter, ledger: new Ledger(sums), flying: [], names, unreported: [] };
  name(core.stats, names, time);
  return part;
}

function name(stats: Stats, names: readonly string[], time: Time): void {
  stats.retain([names.map((one) => stats.cell("r", one))], time.ms);
}

test("cells: a worker's counts that had to share a cell in the sums have one of their own when there is one", (t) => {
  const time = new Time();
  const sums = aCore(time);
  for (let index = 0; index < MAX_CELLS - 1; index++) sums.stats.cell("r", version(index));
  const { core, reporter, ledger } = newPart(time, sums, ["new"]);
  const report = (): void => ledger.take(structuredClone(reporter.report()));
  const cell = core.stats.cell("r", "new");
  serve(core.stats, cell, 3);
  core.stats.begin(cell);
  report();
  t.match(shown(sums.stats), { overflow: 3 });
  sums.stats.retain([], time.ms);
  time.ms += GRACE_MS;
  sums.deadlines.sweep();
  core.stats.end(cell, 200, true, 3);
  core.stats.begin(cell);
  report();
  t.strictSame(shown(sums.stats), { new: 1, overflow: 3 });
  const inFlight = snapshotStats(sums.stats).map((one) => [one.cluster, one.inFlight]);
  t.strictSame(Object.fromEntries(inFlight), { new: 1, overflow: 0 });
  ledger.close();
  t.ok(snapshotStats(sums.stats).every((one) => one.inFlight === 0));
  t.end();
});

/** A supervisor, its workers and a control plane, and what is true of them. */
class Tree {
  readonly time = new Time();
  readonly sums = aCore(this.time);
  readonly store = new TrafficStore(T0);
  readonly parts: Part[] = [];
  names: readonly string[] = [];
  readonly truth = new Map<string, number>();
  readonly lives = new Map<number, { readonly cluster: string; readonly requests: number }>();
  readonly sent: TrafficReport[] = [];
  hasFallen = false;

  constructor() {
    for (let index = 0; index < 3; index++) this.parts.push(newPart(this.time, this.sums, []));
  }

  swap(names: readonly string[]): void {
    this.names = names;
    for (const part of this.parts) {
      name(part.core.stats, names, this.time);
      part.names = names;
    }
    name(this.sums.stats, names, this.time);
  }

  begin(index: number, which: number): void {
    const part = this.parts[index]!;
    const own = part.names[which % Math.max(1, part.names.length)];
    if (own === undefined) return;
    const cell = part.core.stats.cell("r", own);
    part.core.stats.begin(cell);
    part.flying.push({ cell, name: own });
  }

  end(index: number): void {
    const part = this.parts[index]!;
    const one = part.flying.shift();
    if (one === undefined) return;
    part.core.stats.end(one.cell, 200, true, 3);
    part.unreported.push(one.name);
  }

  report(index: number): void {
    const part = this.parts[index]!;
    part.ledger.take(structuredClone(part.reporter.report()));
    for (const one of part.unreported) this.truth.set(one, (this.truth.get(one) ?? 0) + 1);
    part.unreported = [];
    this.look();
  }

  die(index: number): void {
    this.parts[index]!.ledger.close();
    this.parts[index] = newPart(this.time, this.sums, this.names);
  }

  /** What a scrape sees. */
  look(): void {
    for (const { cluster, life, values } of snapshotStats(this.sums.stats)) {
      const requests = values.get("requests") ?? 0;
      const before = this.lives.get(life);
      if (before !== undefined && (before.cluster !== cluster || before.requests > requests))
        this.hasFallen = true;
      this.lives.set(life, { cluster, requests });
    }
  }

  tell(): void {
    const report = loadReport(this.sums.stats, this.time.ms);
    this.store.accept(report);
    this.sent.push(report);
  }

  /** One of the reports arrives again. */
  repeat(which: number): void {
    const report = this.sent[which % Math.max(1, this.sent.length)];
    if (report !== undefined) this.store.accept({ ...report, atMs: this.time.ms });
  }

  /** Each has told what it counted before time goes on, as reports do many times in the grace. */
  pass(ms: number): void {
    this.tell();
    this.time.ms += ms;
    for (const { core } of this.parts) core.deadlines.sweep();
    this.sums.deadlines.sweep();
  }

  /** Requests by name over all lives, as a scraper adds them up. */
  scraped(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { cluster, requests } of this.lives.values())
      if (requests > 0) sums.set(cluster, (sums.get(cluster) ?? 0) + requests);
    return sums;
  }
}

test("cells: whatever is swapped, in flight, reported late or dead, each request is counted once under its own name", (t) => {
  const worker = fc.nat(2);
  const names = fc.subarray(["a", "b", "c", "d", "e"].map((one) => `default/shop:80/${one}`));
  const step = fc.oneof(
    fc.record({ act: fc.constant("swap" as const), names }),
    { weight: 4, arbitrary: fc.record({ act: fc.constant("begin" as const), worker, which: fc.nat(4) }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant("end" as const), worker }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("report" as const), worker }) },
    fc.record({ act: fc.constant("die" as const), worker }),
    {
      weight: 2,
      arbitrary: fc.record({ act: fc.constant("pass" as const), minutes: fc.integer({ min: 1, max: 9 }) }),
    },
    fc.record({ act: fc.constant("tell" as const), count: fc.constantFrom(1, 1, 3 * ABSENT_REPORTS) }),
    fc.record({ act: fc.constant("repeat" as const), which: fc.nat(10_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const tree = new Tree();
      for (const one of steps) {
        if (one.act === "swap") tree.swap(one.names);
        else if (one.act === "begin") tree.begin(one.worker, one.which);
        else if (one.act === "end") tree.end(one.worker);
        else if (one.act === "report") tree.report(one.worker);
        else if (one.act === "die") tree.die(one.worker);
        else if (one.act === "pass") tree.pass(one.minutes * 60_000);
        else if (one.act === "repeat") tree.repeat(one.which);
        else for (let turn = 0; turn < one.count; turn++) tree.tell();
      }
      for (const index of [0, 1, 2]) {
        while (tree.parts[index]!.flying.length > 0) tree.end(index);
        tree.report(index);
      }
      tree.tell();
      const truth = Object.fromEntries(tree.truth);
      const told = Object.entries(counted(tree.store)).filter(([, requests]) => requests > 0);
      deepStrictEqual(tree.hasFallen, false);
      deepStrictEqual(Object.fromEntries(tree.scraped()), truth);
      deepStrictEqual(Object.fromEntries(told), truth);
      // In the end nothing is named, and nothing is left.
      tree.swap([]);
      for (let turn = 0; turn < 4; turn++) {
        for (const index of [0, 1, 2]) tree.report(index);
        tree.pass(GRACE_MS);
      }
      tree.swap(["last"]);
      for (let turn = 0; turn < 3 * ABSENT_REPORTS; turn++)
        tree.store.accept({
          ...loadReport(tree.sums.stats, tree.time.ms),
          clusters: [{ cluster: "last", cumulative: new Map(), delta: { succeeded: 0, failed: 0 } }],
        });
      for (const core of [tree.sums, ...tree.parts.map((part) => part.core)])
        deepStrictEqual(shown(core.stats), { last: 0 });
      return heldBy(tree.store, tree.time.ms) === 0;
    }),
    { seed: 11, numRuns: 300 },
  );
  t.end();
});
