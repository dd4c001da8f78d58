// Splits as statistics: what was asked for is what is measured, by chance and by sticky keys; and who moves when a weight changes.
import fc from "fast-check";
import { test } from "tap";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { Dice, pickTarget } from "../../src/proxy/route/split.ts";
import { StickyPicker } from "../../src/proxy/route/sticky.ts";
import { type Split, type Sticky, UNCHANGED } from "../../src/proxy/route/table.ts";
import { KeyHash } from "../../src/proxy/route/xxhash.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import { binomialP, periodP } from "../support/binomial.ts";
import { httpRoute, input, intent } from "../translate/support.ts";

const DRAWS = 100_000;
const SCALE = 10_000;
/** In ten-thousandths. */
const SHARES = [100, 500, 3_300, 9_990];
const KEYS: Sticky["keys"] = [{ kind: "header", name: Buffer.from("x-user"), isTerminal: false }];
const NO_CLIENT = { address: Buffer.alloc(0) };

function splitOf(weights: readonly number[], sticky: Sticky | null = null): Split {
  let total = 0;
  const bounds = Float64Array.from(weights, (weight) => {
    total += weight;
    return total;
  });
  const targets = weights.map((weight, cell) => ({ cluster: String(cell), weight, cell, ...UNCHANGED }));
  return { targets, bounds, total, sticky };
}

function salted(salt: string): Sticky {
  const hash = new KeyHash();
  hash.of(Buffer.from(salt), 0, salt.length);
  return { keys: KEYS, saltLow: hash.low, saltHigh: hash.high };
}

/** Picks for a request with that value of `x-user`. */
function createPick(): (split: Split, sticky: Sticky, user: string) => number {
  const picker = new StickyPicker(new Dice(3));
  const parser = new HeadParser();
  return (split, sticky, user) => {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\nX-User: ${user}\r\n\r\n`);
    parser.reset(KIND.REQUEST);
    parser.run(bytes, 0, bytes.length);
    return picker.pick(split, sticky, parser.head, NO_CLIENT).cell;
  };
}

test("split: by chance, the measured share is the one set; 0 gets nothing, all gets all", (t) => {
  for (const seed of [1, 0, -7]) {
    const dice = new Dice(seed);
    for (const weight of [0, 1, ...SHARES, SCALE]) {
      const split = splitOf([weight, SCALE - weight]);
      let count = 0;
      for (let i = 0; i < DRAWS; i++) if (pickTarget(split, dice).cell === 0) count += 1;
      const p = binomialP(count, DRAWS, weight / SCALE);
      t.ok(p > 1e-6, `${weight} of ${SCALE}: ${count}, p = ${p}`);
    }
  }
  t.end();
});

test("split: by chance, there is no periodic pattern", (t) => {
  for (const weight of SHARES) {
    const dice = new Dice(99);
    const split = splitOf([weight, SCALE - weight]);
    const series = Uint8Array.from({ length: DRAWS }, () => (pickTarget(split, dice).cell === 0 ? 1 : 0));
    for (let lag = 1; lag <= 300; lag++) {
      const p = periodP(series, weight / SCALE, lag);
      if (p < 1e-8) t.fail(`${weight}, lag ${lag}: p = ${p}`);
    }
  }
  const counted = Uint8Array.from({ length: DRAWS }, (_, i) => (i % 100 === 0 ? 1 : 0));
  t.ok(periodP(counted, 0.01, 100) < 1e-100, "a counter is found");
  t.end();
});

test("split: by key, the measured share is the one set; 0 gets nothing, all gets all", (t) => {
  const pick = createPick();
  for (const salt of ["", "shop/web/6f5d9", "shop/web/77c4b"]) {
    const sticky = salted(salt);
    const all = [0, ...SHARES, SCALE];
    const splits = all.map((weight) => splitOf([weight, SCALE - weight], sticky));
    const counts = all.map(() => 0);
    for (let user = 0; user < DRAWS; user++)
      splits.forEach((split, i) => {
        if (pick(split, sticky, `user-${user}`) === 0) counts[i]! += 1;
      });
    all.forEach((weight, i) => {
      const p = binomialP(counts[i]!, DRAWS, weight / SCALE);
      t.ok(p > 1e-6, `${JSON.stringify(salt)}, ${weight} of ${SCALE}: ${counts[i]}, p = ${p}`);
    });
  }
  t.end();
});

test("split: by key, neighbouring users and other salts are independent", (t) => {
  const pick = createPick();
  const series = (salt: string): Uint8Array => {
    const sticky = salted(salt);
    const split = splitOf([3_300, 6_700], sticky);
    return Uint8Array.from({ length: DRAWS }, (_, user) => (pick(split, sticky, String(user)) === 0 ? 1 : 0));
  };
  const one = series("shop/web/a");
  for (let lag = 1; lag <= 100; lag++) {
    const p = periodP(one, 0.33, lag);
    if (p < 1e-8) t.fail(`lag ${lag}: p = ${p}`);
  }
  const other = series("shop/web/b");
  const both = one.reduce((sum, value, i) => sum + (value & other[i]!), 0);
  t.ok(binomialP(both, DRAWS, 0.33 * 0.33) > 1e-6, `${both} users are with the canary under both salts`);
  t.end();
});

test("split: with two versions a rising weight moves users to the canary only, a falling one back only", (t) => {
  const pick = createPick();
  const sticky = salted("shop/web/a");
  const users = Array.from({ length: 300 }, (_, i) => `u${i}`);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: SCALE }), { minLength: 2, maxLength: 12 }), (history) => {
      const first = history[0]!;
      let before = users.map((user) => pick(splitOf([first, SCALE - first], sticky), sticky, user));
      let weight = first;
      for (const next of history.slice(1)) {
        const now = users.map((user) => pick(splitOf([next, SCALE - next], sticky), sticky, user));
        const moved = now.filter((version, i) => version !== before[i]);
        if (next >= weight)
          t.ok(
            moved.every((version) => version === 0),
            `${weight} to ${next}`,
          );
        if (next <= weight)
          t.ok(
            moved.every((version) => version === 1),
            `${weight} to ${next}`,
          );
        before = now;
        weight = next;
      }
    }),
    { seed: 5, numRuns: 60 },
  );
  t.end();
});

test("split: picks by key are the same in every release", (t) => {
  const pick = createPick();
  // Golden: XXH64 of the user, seeded with XXH64 of the salt, modulo the total; a version owns [sum before it, sum with it).
  const golden: readonly (readonly [salt: string, user: string, at: number])[] = [
    ["", "alice", 6726],
    ["", "0123456789abcdef0123456789abcdef", 3069],
    ["shop/web/6f5d9", "alice", 828],
    ["shop/web/6f5d9", "0123456789abcdef0123456789abcdef", 7094],
    ["shop/web/77c4b", "alice", 5262],
  ];
  for (const [salt, user, at] of golden) {
    const sticky = salted(salt);
    t.equal(pick(splitOf([at, 1, SCALE - at - 1], sticky), sticky, user), 1, `${salt} ${user}: ${at}`);
  }
  t.end();
});

/** Who serves each user, for a Rollout with that weight of 1 000, as translated for and compiled by a proxy. */
function servedBy(weight: number, users: readonly string[], backends: readonly number[]): string[] {
  const refs = [{ name: "web-stable", port: 80, weight: 100 - backends.reduce((sum, one) => sum + one, 0) }];
  const others = backends.map((one, index) => ({ name: `web-${index}`, port: 80, weight: one }));
  const { snapshot, problems } = translateGateway(
    input({
      httpRoutes: [httpRoute({ rules: [{ backendRefs: [...refs, ...others] }] })],
      intents: [{ ...intent(1_000 - weight, weight), maxWeight: 1_000 }],
      policies: [
        {
          apiVersion: "weir.dev/v1alpha1",
          kind: "TrafficPolicy",
          metadata: { name: "stay", namespace: "shop" },
          spec: { targetRefs: [{ kind: "HTTPRoute", name: "web" }], sticky: { header: "x-user" } },
        },
      ],
    }),
  );
  if (problems.length > 0 || snapshot.routes[0] === undefined) throw new Error(JSON.stringify(problems));
  const split = compileRoutes(snapshot.routes[0], "1", () => 0).any?.routes[0]?.split;
  if (split === undefined) throw new Error("no split");
  const pick = createTargetPick();
  return users.map((user) => pick(split, user));
}

test("split: from manifests on, a history of weights moves users to and from the version that changes only", (t) => {
  const users = Array.from({ length: 200 }, (_, i) => `u${i}`);
  const step = fc.record({
    canary: fc.integer({ min: 0, max: 1_000 }),
    other: fc.integer({ min: 0, max: 90 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 2, maxLength: 6 }), ([first, ...steps]) => {
      let { canary, other } = first ?? { canary: 0, other: 0 };
      let before = servedBy(canary, users, [other]);
      for (const next of steps) {
        // One thing at a time: the Rollout's weight, then the other backend's.
        const shifted = servedBy(next.canary, users, [other]);
        expectMoves(before, shifted, next.canary >= canary, "/aaa", "/bbb");
        canary = next.canary;
        before = shifted;
        // With the canary at 0 the other backend stands against stable alone.
        const alone = servedBy(0, users, [other]);
        expectMoves(alone, servedBy(0, users, [next.other]), next.other >= other, "/aaa", "/web-0:80");
        other = next.other;
        before = servedBy(canary, users, [other]);
      }
    }),
    { seed: 8, numRuns: 25 },
  );
  t.pass("no user moved between others");
  t.end();
});

/** Throws when a user moved otherwise than from stable to the version (or back, when it shrank). */
function expectMoves(
  before: readonly string[],
  now: readonly string[],
  isRising: boolean,
  stable: string,
  version: string,
): void {
  now.forEach((cluster, i) => {
    const was = before[i] ?? "";
    if (cluster === was) return;
    const [from, into] = isRising ? [was, cluster] : [cluster, was];
    if (!from.endsWith(stable) || !into.endsWith(version)) throw new Error(`${was} > ${cluster}`);
  });
}

/** Picks the cluster for a request with that value of `x-user`. */
function createTargetPick(): (split: Split, user: string) => string {
  const picker = new StickyPicker(new Dice(3));
  const parser = new HeadParser();
  return (split, user) => {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\nX-User: ${user}\r\n\r\n`);
    parser.reset(KIND.REQUEST);
    parser.run(bytes, 0, bytes.length);
    if (split.sticky === null) return split.targets[0]?.cluster ?? "";
    return picker.pick(split, split.sticky, parser.head, NO_CLIENT).cluster;
  };
}
