// Who owns which places of a sticky split: shares are what was asked for, and one weight that changes against stable moves clients between
// that version and stable only, over random histories.
import fc from "fast-check";
import { test } from "tap";
import { type Interval, layOut, STICKY_TOTAL } from "../../src/translate/layout.ts";

const SCALE = 10_000;

/** Versions 0, 1, … beside `stable`, each a block of its own. */
function intervalsOf(weights: readonly number[], scale = SCALE): Interval<string>[] {
  const stable = scale - weights.reduce((sum, weight) => sum + weight, 0);
  return layOut(
    weights.map((weight, index) => [{ target: String(index), weight }]),
    { target: "stable", weight: stable },
  );
}

/** For each version the places it owns, as [from, to) joined where they touch. */
function owned(intervals: readonly Interval<string>[]): Record<string, [number, number][]> {
  const found: Record<string, [number, number][]> = {};
  let at = 0;
  for (const { target, width } of intervals) {
    const mine = found[target] ?? [];
    const last = mine.at(-1);
    if (last !== undefined && last[1] === at) last[1] = at + width;
    else mine.push([at, at + width]);
    found[target] = mine;
    at += width;
  }
  return found;
}

const widthOf = (intervals: readonly Interval<string>[], target: string): number =>
  intervals.filter((one) => one.target === target).reduce((sum, { width }) => sum + width, 0);

/** The version that owns each of some places spread over the whole. */
function servedAt(intervals: readonly Interval<string>[]): string[] {
  const served: string[] = [];
  const step = STICKY_TOTAL / 500;
  let at = 0;
  for (const { target, width } of intervals) {
    at += width;
    while (served.length * step + 3 < at && served.length < 500) served.push(target);
  }
  return served;
}

test("layout: with two versions the canary owns [0, w)", (t) => {
  t.strictSame(owned(intervalsOf([2_000])), { 0: [[0, 2_000_000]], stable: [[2_000_000, STICKY_TOTAL]] });
  t.strictSame(owned(intervalsOf([1])), { 0: [[0, 1_000]], stable: [[1_000, STICKY_TOTAL]] });
  t.strictSame(owned(intervalsOf([0])), { stable: [[0, STICKY_TOTAL]] });
  t.strictSame(owned(intervalsOf([SCALE])), { 0: [[0, STICKY_TOTAL]] });
  t.end();
});

test("layout: the sum in which weights are written moves nobody", (t) => {
  t.strictSame(intervalsOf([20], 100), intervalsOf([2_000], 10_000));
  t.strictSame(intervalsOf([1], 3), intervalsOf([1_000], 3_000));
  t.end();
});

test("layout: shares are exact to a ten-millionth, 0 is nothing, and more than 0 is something", (t) => {
  const weights = fc.array(fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.constant(0), fc.constant(1e9)), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(weights, fc.integer({ min: 0, max: 10_000 }), (all, stable) => {
      const total = all.reduce((sum, weight) => sum + weight, stable);
      fc.pre(total > 0);
      const intervals = layOut(
        all.map((weight, index) => [{ target: String(index), weight }]),
        { target: "stable", weight: stable },
      );
      t.equal(
        intervals.reduce((sum, { width }) => sum + width, 0),
        STICKY_TOTAL,
      );
      [...all, stable].forEach((weight, index) => {
        const width = widthOf(intervals, index === all.length ? "stable" : String(index));
        if (weight === 0) t.equal(width, 0);
        else
          t.ok(width >= 1 && Math.abs(width - (weight / total) * STICKY_TOTAL) <= 12, `${weight}: ${width}`);
      });
    }),
    { seed: 2, numRuns: 300 },
  );
  t.end();
});

/** Histories in which one version's weight changes at a time, against stable; none of `count` goes above `most`. */
function histories(count: number, most: number) {
  const step = fc.record({ which: fc.nat(count - 1), to: fc.integer({ min: 0, max: most }) });
  return fc.array(step, { minLength: 1, maxLength: 15 });
}

function holds(count: number, most: number): void {
  fc.assert(
    fc.property(histories(count, most), (steps) => {
      let weights = Array.from({ length: count }, () => 0);
      let before = servedAt(intervalsOf(weights));
      for (const { which, to } of steps) {
        const others = weights.reduce((sum, weight, index) => sum + (index === which ? 0 : weight), 0);
        const next = Math.min(to, SCALE - others);
        const isRising = next >= (weights[which] ?? 0);
        weights = weights.with(which, next);
        const now = servedAt(intervalsOf(weights));
        now.forEach((version, place) => {
          const was = before[place];
          if (version === was) return;
          const [from, into] = isRising ? [was, version] : [version, was];
          if (from !== "stable" || into !== String(which))
            throw new Error(`${which} to ${next} of ${weights}: ${was} > ${version}`);
        });
        before = now;
      }
    }),
    { seed: count, numRuns: 80 },
  );
}

test("layout: one weight that changes against stable moves clients between its version and stable only", (t) => {
  // One or two beside stable: for any weights.
  holds(1, SCALE);
  holds(2, SCALE);
  // More: as long as each pair fits into its part of the whole.
  holds(3, SCALE / 4);
  holds(4, SCALE / 4);
  holds(5, 1_600);
  t.throws(() => holds(3, SCALE), /Property failed/, "three beside stable, of any weight, cannot");
  t.end();
});

test("layout: versions of one block change together, and nobody else moves", (t) => {
  const of = (canary: number, other: readonly [number, number]): string[] =>
    servedAt(
      layOut(
        [
          [{ target: "canary", weight: canary }],
          [
            { target: "other-canary", weight: other[0] },
            { target: "other", weight: other[1] },
          ],
        ],
        { target: "stable", weight: SCALE - canary - other[0] - other[1] },
      ),
    );
  const before = of(1_000, [500, 1_500]);
  const now = of(1_000, [900, 1_100]);
  const moves = new Set(
    now.flatMap((version, i) => (version === before[i] ? [] : [`${before[i]} > ${version}`])),
  );
  t.strictSame([...moves], ["other > other-canary"]);
  t.end();
});
