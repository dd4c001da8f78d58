// How pods are split between stable and canary: ratios, surge, and steps towards them.
import { test } from "tap";
import { nearestSplit, nextSizes } from "../../src/engine/replicas.ts";

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
