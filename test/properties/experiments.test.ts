// What holds for every history of Experiments, alone and as a step with shares: pods come and go, runs end one way or another, proxies
// acknowledge late, users act, passes are lost in the middle. And every Experiment that can be read gets a decision.
import fc from "fast-check";
import { test } from "tap";
import { POD_HASH_LABEL, readExperiment, readReplicaSet } from "../../src/api/api.ts";
import {
  type Action,
  DEFAULT_ENGINE_CONFIG,
  decideExperiment,
  type ExperimentPlan,
  type ExperimentSnapshot,
  requestOf,
} from "../../src/engine/decide.ts";
import { isObject } from "../../src/lib/json.ts";
import { applyExperiment, experimentPlan, patchExperiment } from "../../src/simulate/experiments.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";
import { odd } from "./anyrollout.ts";
import { helpToTheEnd } from "./ends.ts";
import { HISTORY_OPTIONS } from "./options.ts";

const PHASES = ["Running", "Successful", "Failed", "Inconclusive", "Error"] as const;

const SIMPLE_KINDS = [
  "ack",
  "manual",
  "auto",
  "pods",
  "pods by hand",
  "abort",
  "retry",
  "promote",
  "full",
  "settle",
] as const;

const event = fc.oneof(
  fc.record({ kind: fc.constant("image" as const), index: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    kind: fc.constant("ready" as const),
    at: fc.nat({ max: 5 }),
    count: fc.integer({ min: 0, max: 2 }),
  }),
  fc.record({ kind: fc.constant("run" as const), at: fc.nat({ max: 3 }), phase: fc.constantFrom(...PHASES) }),
  fc.record({ kind: fc.constant("tick" as const), seconds: fc.integer({ min: 1, max: 90 }) }),
  fc.record({ kind: fc.constant("lost" as const), writes: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ kind: fc.constantFrom(...SIMPLE_KINDS) }),
  fc.record({ kind: fc.constantFrom("terminate" as const, "again" as const) }),
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

const STEPS = [
  { setWeight: 20 },
  {
    experiment: {
      duration: "60s",
      scaleDownDelaySeconds: 0,
      templates: [
        { name: "baseline", specRef: "stable", weight: 10 },
        { name: "trial", specRef: "canary", weight: 30, replicas: 2 },
      ],
      analyses: [{ name: "errors", templateName: "errors", requiredForCompletion: true }],
    },
  },
  { pause: { duration: 10 } },
];
const CONTAINERS = [{ name: "main", image: "web:1", ports: [{ containerPort: 8080 }] }];

function begin(): World {
  const template = { metadata: { labels: { app: "web" } }, spec: { containers: CONTAINERS } };
  const world = worldWith({ replicas: 4, isRouted: true, steps: STEPS, spec: { template } });
  world.add("templates", {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors", namespace: "default" },
    spec: { metrics: [{ name: "errors", count: 1, provider: { plugin: { "weir.dev/traffic": {} } } }] },
  });
  world.settle();
  return world;
}

function happen(world: World, found: Event): void {
  const newest = [...world.experiments.keys()].at(-1);
  switch (found.kind) {
    case "image": {
      const containers = [{ ...CONTAINERS[0], image: `web:${found.index}` }];
      world.editSpec({ template: { spec: { containers } } });
      break;
    }
    case "ready": {
      const sets = [...world.replicaSets.keys()];
      world.setReady(sets[found.at % sets.length] ?? "", found.count);
      break;
    }
    case "run": {
      const runs = [...world.runs.keys()];
      const name = runs[found.at % Math.max(runs.length, 1)];
      if (name !== undefined) world.setRun(name, found.phase);
      break;
    }
    case "tick":
      world.advance(found.seconds * 1000);
      break;
    case "lost":
      lose(world, found.writes);
      break;
    case "terminate":
      if (newest !== undefined) patchExperiment(world, newest, { spec: { terminate: true } });
      break;
    case "again":
      if (newest !== undefined) patchExperiment(world, newest, { status: null });
      break;
    default:
      SIMPLE[found.kind](world);
  }
}

const SIMPLE: Readonly<Record<(typeof SIMPLE_KINDS)[number], (world: World) => void>> = {
  ack: (world) => world.acknowledge(),
  manual: (world) => Object.assign(world, { acking: "manual" }),
  auto: (world) => Object.assign(world, { acking: "auto" }),
  pods: (world) => Object.assign(world, { readiness: "auto" }),
  "pods by hand": (world) => Object.assign(world, { readiness: "manual" }),
  abort: (world) => world.patchStatus({ abort: true }),
  retry: (world) => world.patchStatus({ abort: false }),
  promote: (world) => world.patchStatus({ pauseConditions: null }),
  full: (world) => world.patchStatus({ promoteFull: true }),
  settle: (world) => world.settle(),
};

/** A pass over each Experiment that ends in the middle. */
function lose(world: World, writes: number): void {
  for (const name of world.experiments.keys())
    for (const action of experimentPlan(world, name).actions.slice(0, writes)) world.write(action);
}

/** What must hold of every plan, before it is carried out. */
function check(world: World, name: string, plan: ExperimentPlan): void {
  for (const action of plan.actions) {
    if (action.kind === "scaleReplicaSet" && action.replicas < action.from) checkUnrouted(world, action);
    if (action.kind === "deleteService" && world.replicaSets.size > 0) checkEmpty(world, action);
  }
  const before = readExperiment(world.experiments.get(name) ?? never()).value.status;
  const isOver = before.phase !== undefined && before.phase !== "Pending" && before.phase !== "Running";
  if (isOver && plan.status.phase !== before.phase)
    throw new Error(`${before.phase} became ${plan.status.phase}`);
}

/** No pods go to which a proxy may send by the weights that all acknowledged, but for the grace. */
function checkUnrouted(world: World, { name }: Action): void {
  const set = world.replicaSets.get(name) ?? never();
  const hash = set.metadata.labels?.[POD_HASH_LABEL];
  const isRouted = world.inForce?.versions.some(({ podHash, weight }) => podHash === hash && weight > 0);
  const deadline = Date.parse(set.metadata.annotations?.["scale-down-deadline"] ?? "");
  const isOverdue = world.nowMs >= deadline + DEFAULT_ENGINE_CONFIG.nodeGraceMs;
  if (isRouted === true && !isOverdue) throw new Error(`${name} goes down with requests under way`);
}

function checkEmpty(world: World, { name }: Action): void {
  const set = world.replicaSets.get(name);
  if (set !== undefined && (readReplicaSet(set).value.status.availableReplicas ?? 0) > 0)
    throw new Error(`Service ${name} goes before its pods`);
}

function checkWeights(world: World): void {
  const { canary, stable, additional = [] } = world.status().canary?.weights ?? {};
  if (canary === undefined || stable === undefined) return;
  const all = [canary, stable, ...additional].map(({ weight }) => weight);
  if (all.some((weight) => weight < 0) || all.reduce((sum, weight) => sum + weight, 0) !== 100)
    throw new Error(`the weights are ${all.join(", ")}`);
}

function never(): never {
  throw new Error("it is not there");
}

test("experiments: every history keeps the invariants and comes to rest", async (t) => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 25 }), (history) => {
      const world = begin();
      world.editSpec({ template: { spec: { containers: [{ ...CONTAINERS[0], image: "web:2" }] } } });
      world.settle();
      for (const found of history) {
        happen(world, found);
        for (const name of [...world.experiments.keys()]) {
          const plan = experimentPlan(world, name);
          check(world, name, plan);
          applyExperiment(world, name, plan);
        }
        checkWeights(world);
      }
      world.settle();
      for (const name of world.experiments.keys()) {
        const { actions } = experimentPlan(world, name);
        if (actions.length > 0) throw new Error(`${name} does not rest: ${JSON.stringify(actions)}`);
      }
    }),
    HISTORY_OPTIONS,
  );
  t.pass("all held");
});

test("experiments: an update with one is healthy in the end, once everybody does as asked", async (t) => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 25 }), (history) => {
      const world = begin();
      for (const found of history) happen(world, found);
      helpToTheEnd(world);
    }),
    HISTORY_OPTIONS,
  );
  t.pass("every update came to its end");
});

const name = fc.constantFrom("baseline", "trial", "", "x");
const some = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<object> => {
  const wrapped = Object.entries(fields).map(([key, arbitrary]) => [
    key,
    fc.oneof({ weight: 10, arbitrary }, { weight: 1, arbitrary: odd }),
  ]);
  return fc.record(Object.fromEntries(wrapped), { requiredKeys: [] });
};
const count = fc.integer({ min: -2, max: 2_000_000_000 });
const labels = fc.dictionary(fc.constantFrom("app", POD_HASH_LABEL), name);
const time = fc.constantFrom("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "never");
const phase = fc.constantFrom(...PHASES, "Pending", "x");
const anySpec = some({
  templates: fc.array(
    some({
      name,
      replicas: count,
      minReadySeconds: count,
      selector: some({ matchLabels: labels }),
      template: some({ metadata: some({ labels }), spec: some({ containers: fc.constant(CONTAINERS) }) }),
      service: some({ name }),
    }),
    { maxLength: 3 },
  ),
  duration: fc.constantFrom("10s", "", "x", "-5m", "9223372036h"),
  progressDeadlineSeconds: count,
  scaleDownDelaySeconds: count,
  terminate: fc.boolean(),
  analyses: fc.array(
    some({ name, templateName: fc.constantFrom("errors", "x"), requiredForCompletion: fc.boolean() }),
    { maxLength: 2 },
  ),
});
const anyStatus = some({
  phase,
  message: name,
  availableAt: time,
  templateStatuses: fc.array(
    some({
      name,
      replicas: count,
      availableReplicas: count,
      collisionCount: count,
      lastTransitionTime: time,
      status: fc.constantFrom("Progressing", "Running", "Successful", "Failed", "Error"),
    }),
    { maxLength: 3 },
  ),
  analysisRuns: fc.array(some({ name, analysisRun: fc.constantFrom("web-errors", ""), phase }), {
    maxLength: 2,
  }),
});

test("experiments: every object that can be read gets a decision that can be written down", async (t) => {
  const world = begin();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const [held] = world.experiments.values();
  const real = held ?? never();
  const { workload, analysis, config } = world.snapshot();
  fc.assert(
    fc.property(
      anySpec,
      fc.oneof(anyStatus, odd),
      fc.boolean(),
      fc.nat(1e7),
      (spec, status, isReal, laterMs) => {
        const own = isReal && isObject(real.spec) ? { ...real.spec, ...spec } : spec;
        const raw = { ...real, spec: own, status };
        const snapshot: ExperimentSnapshot = {
          experiment: readExperiment(raw).value,
          raw,
          workload,
          services: [],
          analysis,
          routed: [],
          refused: [],
          config,
        };
        const nowMs = world.nowMs + laterMs;
        const plan = decideExperiment(snapshot, nowMs);
        for (const action of plan.actions) JSON.stringify(requestOf(action));
        if (plan.requeueAtMs !== undefined && !(plan.requeueAtMs > nowMs)) throw new Error("no later look");
        JSON.stringify(plan);
      },
    ),
    HISTORY_OPTIONS,
  );
  t.pass("nothing was thrown");
});
