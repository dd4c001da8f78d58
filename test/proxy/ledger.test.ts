// The parts that processes of one proxy are put together from: shares of bounds, sums of counts, configurations sent piece by piece.
import fc from "fast-check";
import { test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core, DEFAULT_LIMITS } from "../../src/proxy/core.ts";
import { COUNTER, snapshotStats } from "../../src/proxy/observe/stats.ts";
import { TALLIES } from "../../src/proxy/observe/tallies.ts";
import { limitsOf, partOf } from "../../src/proxy/seat.ts";
import { Ledger } from "../../src/proxy/workers/ledger.ts";
import { MAX_RESOURCE_BYTES, MAX_ROWS, type Report } from "../../src/proxy/workers/messages.ts";
import { Reporter } from "../../src/proxy/workers/report.ts";
import { Numbering, Receiver, Sender } from "../../src/proxy/workers/resources.ts";
import { encodeSnapshot, type XdsSnapshot } from "../../src/xds/types.ts";
import { aSnapshot } from "../support/xds.ts";

const newCore = (): Core => new Core({ clock: systemClock, log: silentLogger, seed: 1 });

interface Part {
  readonly core: Core;
  readonly reporter: Reporter;
  readonly ledger: Ledger;
}

function newPart(sums: Core): Part {
  const core = newCore();
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, false);
  return { core, reporter: new Reporter(core, configuration), ledger: new Ledger(sums) };
}

/** As it arrives: the channel copies. */
const sent = (report: Report): Report => structuredClone(report);

test("ledger: counters are the sum of all parts and never fall, whoever dies when; gauges are those of the living", (t) => {
  const step = fc.record({
    part: fc.nat(2),
    cell: fc.nat(4),
    act: fc.constantFrom("begin", "end", "abort", "tally", "count", "report", "die"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const sums = newCore();
      const parts = [newPart(sums), newPart(sums), newPart(sums)];
      const inFlight = [new Map<number, number>(), new Map<number, number>(), new Map<number, number>()];
      let expected = 0;
      let expectedTally = 0;
      let unreported = [0, 0, 0];
      let lastTotal = 0;
      const totalOf = (): number =>
        snapshotStats(sums.stats).reduce((sum, { values }) => sum + (values.get("requests") ?? 0), 0);
      for (const { part, cell, act } of steps) {
        const { core, reporter, ledger } = parts[part]!;
        const flying = inFlight[part]!;
        const at = core.stats.cell("r", `c${cell}`);
        const now = flying.get(cell) ?? 0;
        if (act === "begin") {
          core.stats.begin(at);
          flying.set(cell, now + 1);
        } else if (act === "end" && now > 0) {
          core.stats.end(at, 200, true, 3);
          flying.set(cell, now - 1);
          unreported[part]! += 1;
        } else if (act === "abort" && now > 0) {
          core.stats.abort(at);
          flying.set(cell, now - 1);
        } else if (act === "tally") {
          core.tallies.add(core.tallies.place(TALLIES.ownAnswers, "503", `r${cell}`), 1);
        } else if (act === "count") core.counts.connections += 1;
        else if (act === "report") {
          ledger.take(sent(reporter.report()));
          expected += unreported[part]!;
          unreported[part] = 0;
        } else if (act === "die") {
          ledger.close();
          parts[part] = newPart(sums);
          flying.clear();
          unreported = unreported.map((count, index) => (index === part ? 0 : count));
        }
        const total = totalOf();
        if (total !== expected || total < lastTotal) return false;
        lastTotal = total;
        const tallied = sums.tallies.all().reduce((sum, { value }) => sum + value, 0);
        if (tallied < expectedTally) return false;
        expectedTally = tallied;
      }
      for (const { ledger, reporter } of parts) ledger.take(sent(reporter.report()));
      const shown = snapshotStats(sums.stats).reduce((sum, cell) => sum + cell.inFlight, 0);
      const real = inFlight.reduce((sum, one) => sum + [...one.values()].reduce((a, b) => a + b, 0), 0);
      for (const { ledger } of parts) ledger.close();
      const left = snapshotStats(sums.stats).reduce((sum, cell) => sum + cell.inFlight, 0);
      return shown === real && left === 0;
    }),
    { seed: 3, numRuns: 300 },
  );
  t.end();
});

test("ledger: a report is bounded, and what did not fit comes with the next ones", (t) => {
  const sums = newCore();
  const { core, reporter, ledger } = newPart(sums);
  const count = MAX_ROWS * 2 + 7;
  for (let index = 0; index < count; index++)
    core.stats.add(core.stats.cell("r", `c${index}`), COUNTER.RETRIES, index + 1);
  const rows: number[] = [];
  for (let turn = 0; turn < 4; turn++) {
    const report = sent(reporter.report());
    rows.push(report.cells.indexes.length);
    ledger.take(report);
  }
  t.strictSame(rows, [MAX_ROWS, MAX_ROWS, 7, 0]);
  const values = new Map(snapshotStats(sums.stats).map((cell) => [cell.cluster, cell.values.get("retries")]));
  t.equal(values.size, count);
  t.ok(
    Array.from({ length: count }, (_, index) => index).every(
      (index) => values.get(`c${index}`) === index + 1,
    ),
  );
  t.end();
});

test("seat: parts of a bound add up to it, and none is 0 but of 0", (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 5_000_000_000 }),
      (count, total) => {
        const parts = Array.from({ length: count }, (_, index) => partOf(total, { index, count }));
        const sum = parts.reduce((a, b) => a + b, 0);
        return parts.every((part) => part >= 1) && sum === Math.max(total, total < count ? count : total);
      },
    ),
    { seed: 5 },
  );
  t.equal(partOf(0, { index: 0, count: 4 }), 0, "of nothing nobody has a part");
  t.equal(limitsOf(DEFAULT_LIMITS, { index: 0, count: 1 }), DEFAULT_LIMITS);
  t.match(limitsOf(DEFAULT_LIMITS, { index: 1, count: 4 }), {
    maxConnections: 5_000,
    copyBytes: 8 * 1024 * 1024,
  });
  t.end();
});

test("resources: a configuration arrives whole, what did not change goes over once and stays the same object", (t) => {
  const sender = new Sender(new Numbering());
  const receiver = new Receiver();
  const versions = { listeners: "1", routes: "1", clusters: "1", endpoints: "1" };
  const transfer = (snapshot: XdsSnapshot) => {
    const orders = sender.orders({ ...snapshot, changed: "routes", versions }, 1);
    const last = orders.at(-1);
    for (const order of orders.slice(0, -1)) {
      if (order.kind !== "resources") throw new Error(`${order.kind} before the end`);
      const bytes = order.resources.reduce((sum, one) => sum + one.bytes.length, 0);
      t.ok(bytes <= MAX_RESOURCE_BYTES);
      receiver.take(structuredClone(order.resources));
    }
    if (last?.kind !== "configure") throw new Error("no configuration at the end");
    const count = orders.reduce((sum, one) => sum + (one.kind === "resources" ? one.resources.length : 0), 0);
    return { count, update: receiver.assemble(structuredClone(last)) };
  };
  const bytesOf = (snapshot: XdsSnapshot) => [...encodeSnapshot(snapshot)].map((one) => Buffer.from(one));
  const first = aSnapshot({ a: 50, b: 50 });
  const { count, update } = transfer(first);
  t.equal(count, 6);
  t.strictSame(bytesOf(update), bytesOf(first));
  t.match(update, { changed: "routes", versions });
  const second = { ...first, routes: aSnapshot({ a: 10, b: 90 }).routes };
  const next = transfer(second);
  t.equal(next.count, 1, "only the routes go over");
  t.strictSame(bytesOf(next.update), bytesOf(second));
  t.equal(next.update.clusters[0], update.clusters[0], "the same object");
  const back = transfer(first);
  t.equal(back.count, 1, "what was forgotten is sent again");
  t.strictSame(bytesOf(back.update), bytesOf(first));
  t.end();
});
