// Steps and strategies as the engine reads them, and the defaults that go with them.
import { test } from "tap";
import {
  abortScaleDownDelayOf,
  effectiveCountOf,
  type Metric,
  maxTrafficWeightOf,
  memberOf,
  membersOf,
  metricLimitsOf,
  progressDeadlineSecondsOf,
  type Rollout,
  readRollout,
  replicasOf,
  revisionHistoryLimitOf,
  rollingLimitsOf,
  runHistoryLimitsOf,
  scaleDownDelaySecondsOf,
  scaledValue,
  stepsOf,
  stepText,
  strategyOf,
} from "../../src/api/api.ts";

function rollout(strategy: object, spec: object = {}): Rollout {
  const metadata = { name: "web" };
  return readRollout({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata,
    spec: { strategy, ...spec },
  }).value;
}

const ROUTING = { trafficRouting: { plugins: { "weir.dev/proxy": {} } } };

test("strategy: every step has its tag", (t) => {
  const steps = [
    { setWeight: 0 },
    { pause: {} },
    { pause: { duration: 10 } },
    { pause: { duration: "10" } },
    { pause: { duration: "1m30s" } },
    { pause: { duration: "1500ms" } },
    { analysis: { templates: [] } },
    { setCanaryScale: { weight: 5 } },
    { setCanaryScale: { replicas: 2 } },
    { setCanaryScale: { matchTrafficWeight: true } },
    { plugin: { name: "a/b", config: { c: 1 } } },
    {},
  ];
  t.strictSame(stepsOf(rollout({ canary: { steps } })), [
    [{ kind: "setWeight", weight: 0 }],
    [{ kind: "pause", durationMs: "indefinite" }],
    [{ kind: "pause", durationMs: 10_000 }],
    [{ kind: "pause", durationMs: 10_000 }],
    [{ kind: "pause", durationMs: 90_000 }],
    [{ kind: "pause", durationMs: 1000 }],
    [{ kind: "analysis", analysis: { templates: [] } }],
    [{ kind: "setCanaryScale", scale: { kind: "weight", weight: 5 } }],
    [{ kind: "setCanaryScale", scale: { kind: "replicas", replicas: 2 } }],
    [{ kind: "setCanaryScale", scale: { kind: "matchTrafficWeight" } }],
    [{ kind: "plugin", name: "a/b", config: { c: 1 } }],
    [],
  ]);
  t.equal(strategyOf(rollout({})).kind, "none");
  t.equal(strategyOf(rollout({ blueGreen: { activeService: "a" } })).kind, "blueGreen");
  t.end();
});

test("strategy: a step has all its members, the pause last", (t) => {
  const several = { pause: { duration: 5 }, plugin: { name: "a/b" }, setCanaryScale: { replicas: 2 } };
  t.strictSame(stepsOf(rollout({ canary: { steps: [several] } })), [
    [
      { kind: "setCanaryScale", scale: { kind: "replicas", replicas: 2 } },
      { kind: "plugin", name: "a/b", config: undefined },
      { kind: "pause", durationMs: 5000 },
    ],
  ]);
  t.equal(stepText(several), "setCanaryScale{replicas: 2}, plugin: a/b, pause: 5");
  const [step = []] = stepsOf(rollout({ canary: { steps: [several] } }));
  t.strictSame(memberOf(step, "pause"), { kind: "pause", durationMs: 5000 });
  t.equal(memberOf(step, "setWeight"), undefined);
  t.strictSame(membersOf([step, [], step], "plugin").length, 2);
  t.end();
});

test("strategy: of a setCanaryScale with several fields the one counts that Argo takes, and is named", (t) => {
  const all = { matchTrafficWeight: true, replicas: 1, weight: 50 };
  const cases = [
    [all, { kind: "matchTrafficWeight" }, "setCanaryScale{matchTrafficWeight: true}"],
    [{ ...all, matchTrafficWeight: false }, { kind: "replicas", replicas: 1 }, "setCanaryScale{replicas: 1}"],
    [{ matchTrafficWeight: false, weight: 50 }, { kind: "weight", weight: 50 }, "setCanaryScale{weight: 50}"],
  ] as const;
  for (const [setCanaryScale, scale, text] of cases) {
    const steps = [{ setCanaryScale }];
    t.strictSame(stepsOf(rollout({ canary: { steps } })), [[{ kind: "setCanaryScale", scale }]]);
    t.equal(stepText({ setCanaryScale }), text);
  }
  t.end();
});

test("strategy: a step's text is Argo's", (t) => {
  const texts = [
    { setWeight: 20 },
    { pause: {} },
    { pause: { duration: "1m" } },
    { analysis: {} },
    { setCanaryScale: { replicas: 3 } },
    {},
  ].map(stepText);
  t.strictSame(texts, [
    "setWeight: 20",
    "pause",
    "pause: 1m",
    "analysis",
    "setCanaryScale{replicas: 3}",
    "invalid",
  ]);
  t.end();
});

test("defaults: of a Rollout that says nothing", (t) => {
  const empty = rollout({ canary: {} });
  t.equal(replicasOf(empty), 1);
  t.equal(revisionHistoryLimitOf(empty), 10);
  t.equal(progressDeadlineSecondsOf(empty), 600);
  t.equal(maxTrafficWeightOf(empty), 100);
  t.strictSame(runHistoryLimitsOf(empty), { successful: 5, unsuccessful: 5 });
  t.equal(replicasOf(rollout({}, { replicas: 0 })), 0);
  t.end();
});

test("defaults: scale-down delays depend on the router", (t) => {
  t.equal(scaleDownDelaySecondsOf(rollout({ canary: {} })), 0);
  t.equal(scaleDownDelaySecondsOf(rollout({ canary: ROUTING })), 30);
  t.equal(scaleDownDelaySecondsOf(rollout({ canary: { ...ROUTING, scaleDownDelaySeconds: 0 } })), 0);
  t.equal(scaleDownDelaySecondsOf(rollout({ blueGreen: { activeService: "a" } })), 30);
  t.equal(abortScaleDownDelayOf(rollout({ canary: {} })), 0);
  t.equal(abortScaleDownDelayOf(rollout({ canary: ROUTING })), 30);
  t.equal(abortScaleDownDelayOf(rollout({ canary: { ...ROUTING, abortScaleDownDelaySeconds: 0 } })), "never");
  t.equal(abortScaleDownDelayOf(rollout({ canary: { ...ROUTING, abortScaleDownDelaySeconds: 7 } })), 7);
  t.end();
});

test("defaults: surge rounds up, unavailable down, and never are both zero", (t) => {
  const limits = (replicas: number, canary: object = {}) =>
    rollingLimitsOf(rollout({ canary }, { replicas }));
  t.strictSame(limits(10), { maxSurge: 3, maxUnavailable: 2 });
  t.strictSame(limits(1), { maxSurge: 1, maxUnavailable: 0 });
  t.strictSame(limits(5, { maxSurge: 0, maxUnavailable: "10%" }), { maxSurge: 0, maxUnavailable: 1 });
  t.strictSame(limits(4, { maxSurge: "50", maxUnavailable: 0 }), { maxSurge: 2, maxUnavailable: 0 });
  t.equal(scaledValue("x", 10, "up"), undefined);
  t.end();
});

test("defaults: of a metric", (t) => {
  const metric = (fields: object): Metric => ({ name: "m", provider: {}, ...fields });
  t.equal(effectiveCountOf(metric({})), 1);
  t.equal(effectiveCountOf(metric({ interval: "10s" })), undefined);
  t.equal(effectiveCountOf(metric({ interval: "10s", count: "3" })), 3);
  t.strictSame(metricLimitsOf(metric({})), {
    failure: 0,
    inconclusive: 0,
    consecutiveError: 4,
    consecutiveSuccess: 0,
  });
  t.equal(metricLimitsOf(metric({ failureLimit: -1 })).failure, -1);
  t.end();
});
