// The shares of an experiment's templates: how they are told apart, how they fit beside the others, and how long their pods may be sent to.
import { test } from "tap";
import type { Acknowledgement, TrafficIntent, TrafficWeights, VersionWeight } from "../../src/api/api.ts";
import { fitted, mayBeSentTo, shareIn } from "../../src/engine/traffic/additional.ts";

const YES: Acknowledgement = { kind: "yes" };
const NO: Acknowledgement = { kind: "no", nodes: [{ node: "proxy-1", why: "no answer yet" }], sinceMs: 0 };
const NOT_APPLICABLE: Acknowledgement = { kind: "notApplicable" };

function publishedWith(...versions: readonly [podHash: string, weight: number][]): TrafficIntent {
  return {
    namespace: "default",
    rollout: "web",
    stableService: "web-stable",
    canaryService: "web-canary",
    maxWeight: 100,
    versions: versions.map(
      ([podHash, weight], index): VersionWeight =>
        index === 0
          ? { podHash, role: "stable", weight }
          : { podHash, role: "experiment", weight, service: `web-${podHash}` },
    ),
  };
}

function decidedWith(...shares: readonly [podHash: string, weight: number][]): TrafficWeights {
  return {
    stable: { weight: 90, podTemplateHash: "stable" },
    canary: { weight: 10, podTemplateHash: "canary" },
    additional: shares.map(([podTemplateHash, weight]) => ({
      weight,
      serviceName: `web-${podTemplateHash}`,
      podTemplateHash,
    })),
  };
}

test("experiment: its pods may be sent to while a share of theirs is published, decided, or not known to be gone", (t) => {
  const none = publishedWith(["stable", 100]);
  const cases: readonly [string, Parameters<typeof mayBeSentTo>, boolean][] = [
    [
      "no proxy splits the traffic",
      ["a", publishedWith(["a", 5]), NOT_APPLICABLE, decidedWith(["a", 5])],
      false,
    ],
    ["nobody knows what was published before", ["a", undefined, YES, undefined], true],
    ["a proxy may follow older weights", ["a", none, NO, undefined], true],
    ["published", ["a", publishedWith(["stable", 95], ["a", 5]), YES, undefined], true],
    [
      "published among others",
      ["a", publishedWith(["stable", 90], ["a", 5], ["b", 5]), YES, undefined],
      true,
    ],
    ["published without a share", ["a", publishedWith(["stable", 100], ["a", 0]), YES, undefined], false],
    ["only others are published", ["a", publishedWith(["stable", 95], ["b", 5]), YES, undefined], false],
    ["decided, to be published next", ["a", none, YES, decidedWith(["a", 5])], true],
    ["decided among others", ["a", none, YES, decidedWith(["b", 5], ["a", 5])], true],
    ["decided without a share", ["a", none, YES, decidedWith(["a", 0])], false],
    ["only others are decided", ["a", none, YES, decidedWith(["b", 5])], false],
    ["neither", ["a", none, YES, decidedWith()], false],
    ["no weights are decided", ["a", none, YES, undefined], false],
  ];
  t.strictSame(
    cases.map(([words, facts]) => [words, mayBeSentTo(...facts)]),
    cases.map(([words, , expected]) => [words, expected]),
  );
  t.end();
});

test("experiment: a share is known by its Service and its pods", (t) => {
  const weights = decidedWith(["a", 5], ["b", 15]);
  const cases: readonly [serviceName: string, podTemplateHash: string, weight: number][] = [
    ["web-a", "a", 5],
    ["web-b", "b", 15],
    ["web-a", "b", 0],
    ["web-b", "a", 0],
  ];
  for (const [serviceName, podTemplateHash, weight] of cases)
    t.equal(
      shareIn(weights, { serviceName, podTemplateHash, weight: 1 }),
      weight,
      `${serviceName} ${podTemplateHash}`,
    );
  const { additional: _, ...plain } = weights;
  t.equal(shareIn(plain, { serviceName: "web-a", podTemplateHash: "a", weight: 1 }), 0);
  t.end();
});

test("experiment: shares that do not fit in are cut, the last ones first", (t) => {
  const cases: readonly [room: number, given: readonly number[], left: readonly number[]][] = [
    [100, [5, 15], [5, 15]],
    [20, [5, 15], [5, 15]],
    [10, [5, 15], [5, 5]],
    [5, [5, 15], [5, 0]],
    [3, [5, 15, 1], [3, 0, 0]],
    [0, [5, 15], [0, 0]],
    [-5, [5], [0]],
    [10, [-5, 15], [0, 10]],
  ];
  for (const [room, given, left] of cases) {
    const shares = given.map((weight, index) => ({
      weight,
      serviceName: `s${index}`,
      podTemplateHash: `h${index}`,
    }));
    t.strictSame(
      fitted(shares, room),
      shares.map((share, index) => ({ ...share, weight: left[index] })),
      `${given} in ${room}`,
    );
  }
  t.end();
});
