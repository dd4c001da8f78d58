// How pods are split between stable and canary: ratios, surge, and steps towards them.
import { test } from "tap";
import { nearestSplit, nextSizes, type PodCounts } from "../../src/engine/pods/replicas.ts";

test("replicas: the split comes as near to the weight as whole pods allow", async (t) => {
  const rows: [replicas: number, weight: number, maxSurge: number, canary: number, stable: number][] = [
    [10, 0, 1, 0, 10],
    [10, 10, 1, 1, 9],
    [10, 100, 1, 10, 0],
    [10, 25, 0, 3, 7],
    [1, 5, 1, 1, 1],
    [1, 50, 1, 1, 1],
    [1, 5, 0, 0, 1],
    [1, 95, 0, 1, 0],
    [2, 5, 0, 1, 1],
    [2, 50, 1, 1, 1],
    [5, 50, 1, 3, 3],
    [5, 50, 0, 3, 2],
    [3, 33, 1, 1, 2],
    [4, 1, 1, 1, 4],
    [0, 50, 1, 0, 0],
    // Two to four pods: neither version goes without as long as the weight is neither nothing nor all.
    [2, 0, 1, 0, 2],
    [2, 100, 1, 2, 0],
    [2, 25, 0, 1, 1],
    [2, 25, 1, 1, 2],
    [2, 75, 1, 2, 1],
    [3, 1, 0, 1, 2],
    [3, 34, 0, 1, 2],
    [3, 34, 1, 1, 2],
    [3, 50, 0, 2, 1],
    [3, 50, 1, 2, 2],
    [3, 99, 0, 2, 1],
    [3, 99, 1, 3, 1],
    [4, 33, 0, 1, 3],
    [4, 33, 1, 2, 3],
    [4, 50, 0, 2, 2],
    // A tie that may only round down, with nothing to round up to: Argo gives the canary nothing, and so does weir.
    [2, 75, 0, 0, 2],
    [5, 90, 0, 0, 5],
    [5, 90, 1, 5, 1],
    [5, 10, 0, 1, 4],
    [5, 10, 1, 1, 5],
    [6, 20, 0, 1, 5],
    [6, 20, 2, 1, 5],
    [7, 15, 0, 1, 6],
    [8, 12, 1, 1, 7],
    [9, 50, 0, 5, 4],
    [9, 50, 1, 5, 5],
    [10, 1, 0, 1, 9],
    [10, 99, 0, 9, 1],
    [10, 99, 1, 10, 1],
    [10, 55, 0, 6, 4],
    [10, 55, 1, 6, 5],
    [15, 33, 0, 5, 10],
    [20, 2, 0, 1, 19],
    [100, 37, 0, 37, 63],
  ];
  for (const [replicas, weight, maxSurge, canary, stable] of rows) {
    const split = nearestSplit({ replicas, weight, maxWeight: 100, maxSurge });
    t.strictSame(split, { canary, stable }, `R=${replicas} w=${weight} S=${maxSurge}`);
  }
});

test("replicas: scaling up uses the surge, stable first", async (t) => {
  const limits = { replicas: 10, weight: 50, maxWeight: 100, maxSurge: 2, maxUnavailable: 0 };
  const counts = { canary: { spec: 0, available: 0 }, stable: { spec: 10, available: 10 }, others: 0 };
  t.strictSame(nextSizes(counts, limits), { canary: 2, stable: 10 });
  const short = { canary: { spec: 6, available: 6 }, stable: { spec: 2, available: 2 }, others: 0 };
  t.strictSame(nextSizes(short, { ...limits, weight: 0 }), { canary: 6, stable: 6 });
});

test("replicas: scaling down keeps the minimum of available pods", async (t) => {
  const limits = { replicas: 10, weight: 50, maxWeight: 100, maxSurge: 2, maxUnavailable: 0 };
  const unready = { canary: { spec: 2, available: 0 }, stable: { spec: 10, available: 10 }, others: 0 };
  t.strictSame(nextSizes(unready, limits), { canary: 2, stable: 10 });
  const ready = { canary: { spec: 2, available: 2 }, stable: { spec: 10, available: 10 }, others: 0 };
  t.strictSame(nextSizes(ready, limits), { canary: 2, stable: 8 });
});

test("replicas: while older versions have pods, neither canary nor stable shrinks", async (t) => {
  const limits = { replicas: 4, weight: 0, maxWeight: 100, maxSurge: 1, maxUnavailable: 1 };
  const counts = { canary: { spec: 2, available: 2 }, stable: { spec: 2, available: 2 }, others: 1 };
  t.strictSame(nextSizes(counts, limits), { canary: 2, stable: 2 });
});

test("replicas: unready pods of the version that goes are given up first", async (t) => {
  const limits = { replicas: 4, weight: 0, maxWeight: 100, maxSurge: 1, maxUnavailable: 0 };
  const counts = { canary: { spec: 2, available: 0 }, stable: { spec: 4, available: 4 }, others: 0 };
  t.strictSame(nextSizes(counts, limits), { canary: 0, stable: 4 });
});

/** `spec/available`; undefined: there is no such ReplicaSet. */
type Shown = string | undefined;
type Row = [
  why: string,
  limits: [replicas: number, weight: number, maxSurge: number, maxUnavailable: number],
  counts: [canary: Shown, stable: Shown, others?: number],
  next: [canary: number, stable: number],
];

// Written by hand from spec 2.4, steps 2 to 5.
const ROWS: readonly Row[] = [
  ["the surge goes to the canary first of all", [10, 10, 1, 0], ["0/0", "10/10"], [1, 10]],
  ["without a surge stable makes room", [10, 10, 0, 1], ["0/0", "10/10"], [0, 9]],
  ["the whole share at once when the surge allows", [10, 30, 3, 0], ["0/0", "10/10"], [3, 10]],
  ["no more goes than the share asks for", [10, 30, 0, 5], ["0/0", "10/10"], [0, 7]],
  ["both limits are used at once", [10, 30, 1, 1], ["0/0", "10/10"], [1, 9]],
  ["the usual quarter of each", [10, 50, 3, 2], ["0/0", "10/10"], [3, 8]],
  ["one pod ahead", [4, 50, 1, 0], ["0/0", "4/4"], [1, 4]],
  ["an unready pod makes no room", [4, 50, 1, 0], ["1/0", "4/4"], [1, 4]],
  ["a ready one does", [4, 50, 1, 0], ["1/1", "4/4"], [1, 3]],
  ["and the room is taken", [4, 50, 1, 0], ["1/1", "3/3"], [2, 3]],
  ["to the end", [4, 50, 1, 0], ["2/2", "3/3"], [2, 2]],
  ["at rest", [4, 50, 1, 0], ["2/2", "2/2"], [2, 2]],
  ["one pod: a second one beside it", [1, 50, 1, 0], ["0/0", "1/1"], [1, 1]],
  ["one pod, all of it: first beside it", [1, 100, 1, 0], ["0/0", "1/1"], [1, 1]],
  ["then instead of it", [1, 100, 1, 0], ["1/1", "1/1"], [1, 0]],
  ["one pod that may be missing goes first", [1, 100, 0, 1], ["0/0", "1/1"], [0, 0]],
  ["and the other comes", [1, 100, 0, 1], ["0/0", "0/0"], [1, 0]],
  ["back to stable: it grows into the surge", [4, 0, 1, 0], ["2/2", "2/2"], [2, 3]],
  ["back to stable: an unready canary pod goes", [4, 0, 1, 0], ["2/0", "3/3"], [1, 3]],
  ["back to stable: a ready one too", [4, 0, 1, 0], ["2/2", "3/3"], [1, 3]],
  ["back to stable: the last but one", [4, 0, 1, 0], ["1/1", "3/3"], [1, 4]],
  ["back to stable: the last", [4, 0, 1, 0], ["1/1", "4/4"], [0, 4]],
  ["back without a surge", [4, 0, 0, 1], ["2/2", "2/2"], [1, 2]],
  ["back without a surge, next", [4, 0, 0, 1], ["1/1", "2/2"], [1, 3]],
  ["back without a surge, then", [4, 0, 0, 1], ["1/1", "3/3"], [0, 3]],
  ["back without a surge, at the end", [4, 0, 0, 1], ["0/0", "3/3"], [0, 4]],
  ["older versions take the surge", [4, 25, 1, 1], ["0/0", "4/4", 1], [0, 4]],
  ["older versions: stable grows first", [4, 25, 1, 1], ["0/0", "2/2", 2], [0, 3]],
  ["older versions: what is left is the canary's", [4, 25, 2, 0], ["0/0", "4/4", 1], [1, 4]],
  ["older versions: nothing shrinks beside them", [4, 0, 1, 1], ["2/2", "2/2", 1], [2, 2]],
  ["scaled up in mid-step", [8, 50, 2, 0], ["2/2", "2/2"], [4, 4]],
  ["scaled down in mid-step", [4, 50, 1, 1], ["4/4", "4/4"], [2, 3]],
  ["scaled down in mid-step, next", [4, 50, 1, 1], ["2/2", "3/3"], [2, 2]],
  ["scaled to nothing", [0, 50, 0, 1], ["2/2", "2/2"], [0, 0]],
  ["the first deploy", [4, 25, 1, 0], ["0/0", undefined], [4, 0]],
  ["the canary's ReplicaSet is not there yet", [4, 25, 1, 0], [undefined, "4/4"], [0, 4]],
  ["nor is it, and room is made all the same", [4, 25, 0, 1], [undefined, "4/4"], [0, 3]],
  ["pods on their way out do not count", [10, 50, 2, 0], ["3/5", "9/9"], [3, 7]],
  ["unready pods of the version that goes may go", [10, 50, 0, 2], ["2/2", "8/0"], [2, 6]],
  ["unready pods of the version that comes hold it", [10, 50, 0, 2], ["2/0", "8/8"], [2, 8]],
];

test("replicas: the next sizes are those of the rules", async (t) => {
  for (const [
    why,
    [replicas, weight, maxSurge, maxUnavailable],
    [canary, stable, others = 0],
    next,
  ] of ROWS) {
    const counts = { ...countsIn("canary", canary), ...countsIn("stable", stable), others };
    const limits = { replicas, weight, maxWeight: 100, maxSurge, maxUnavailable };
    t.strictSame(nextSizes(counts, limits), { canary: next[0], stable: next[1] }, why);
  }
});

function countsIn(role: "canary" | "stable", shown: Shown): { canary?: PodCounts; stable?: PodCounts } {
  if (shown === undefined) return {};
  const [spec = 0, available = 0] = shown.split("/").map(Number);
  return { [role]: { spec, available } };
}

test("replicas: a weight of 1000 is a share like any other", async (t) => {
  for (const replicas of [1, 3, 10])
    for (const weight of [0, 5, 50, 99, 100]) {
      const tenfold = nearestSplit({ replicas, weight: weight * 10, maxWeight: 1000, maxSurge: 1 });
      t.strictSame(tenfold, nearestSplit({ replicas, weight, maxWeight: 100, maxSurge: 1 }));
    }
});

test("replicas: over the whole small space availability is never below, surge never above", async (t) => {
  let cases = 0;
  const bad: string[] = [];
  for (const limits of smallLimits())
    for (const canary of smallCounts(limits.replicas + limits.maxSurge))
      for (const stable of smallCounts(limits.replicas + limits.maxSurge)) {
        cases += 1;
        const next = nextSizes({ canary, stable, others: 0 }, limits);
        const { replicas, maxSurge, maxUnavailable } = limits;
        const before = available(canary, canary.spec) + available(stable, stable.spec);
        const after = available(canary, next.canary) + available(stable, next.stable);
        const isBelow = after < Math.min(before, replicas - maxUnavailable);
        const most = Math.max(replicas + maxSurge, canary.spec + stable.spec);
        if (isBelow || next.canary + next.stable > most || next.canary < 0 || next.stable < 0)
          bad.push(JSON.stringify({ limits, canary, stable, next }));
      }
  t.ok(cases > 100_000, `${cases} cases`);
  t.strictSame(bad.slice(0, 5), [], `${bad.length} bad ones`);
});

test("replicas: over the whole small space the pods come to rest at the nearest split", async (t) => {
  const bad: string[] = [];
  for (const limits of smallLimits()) {
    let sizes = { canary: 0, stable: limits.replicas };
    for (let pass = 0; pass < 40; pass += 1) {
      const all = (spec: number): PodCounts => ({ spec, available: spec });
      sizes = nextSizes({ canary: all(sizes.canary), stable: all(sizes.stable), others: 0 }, limits);
    }
    const wanted = nearestSplit(limits);
    if (sizes.canary !== wanted.canary || sizes.stable !== wanted.stable)
      bad.push(JSON.stringify({ limits, sizes, wanted }));
  }
  t.strictSame(bad.slice(0, 5), [], `${bad.length} bad ones`);
});

/** Pods that serve after a change of size: unready ones go first. */
function available(counts: PodCounts, spec: number): number {
  return Math.min(counts.available, spec);
}

function* smallLimits(): Generator<Parameters<typeof nextSizes>[1]> {
  for (let replicas = 0; replicas <= 5; replicas += 1)
    for (const weight of [0, 1, 25, 33, 50, 75, 99, 100])
      for (let maxSurge = 0; maxSurge <= 2; maxSurge += 1)
        for (let maxUnavailable = 0; maxUnavailable <= 2; maxUnavailable += 1)
          if (maxSurge + maxUnavailable > 0)
            yield { replicas, weight, maxWeight: 100, maxSurge, maxUnavailable };
}

function* smallCounts(most: number): Generator<PodCounts> {
  for (let spec = 0; spec <= most; spec += 1)
    for (let ready = 0; ready <= spec; ready += 1) yield { spec, available: ready };
}
