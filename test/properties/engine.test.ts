// What holds for every history of a canary: spec edits, readiness, acknowledgements, user actions, analyses, time, restarts and crashes
// after any part of a plan, in any order. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import type { Action, Plan } from "../../src/engine/decide.ts";
import { jsonEqual } from "../../src/lib/json.ts";
import { imagePatch, replicaSetView, type World, worldWith } from "../support/world.ts";

type Event =
  | { readonly kind: "image"; readonly index: number }
  | { readonly kind: "replicas"; readonly count: number }
  | { readonly kind: "steps"; readonly index: number }
  | { readonly kind: "ready"; readonly role: "stable" | "canary"; readonly count: number }
  | { readonly kind: "readiness" | "acking"; readonly isAuto: boolean }
  | { readonly kind: "tick"; readonly seconds: number }
  | { readonly kind: "measure"; readonly phase: string }
  | { readonly kind: "crash"; readonly writes: number }
  | {
      readonly kind:
        | "ack"
        | "nack"
        | "abort"
        | "retry"
        | "promote"
        | "promoteFull"
        | "restart"
        | "settle"
        | "pass";
    }
  | { readonly kind: "paused"; readonly isPaused: boolean };

const STEPS: readonly (readonly unknown[])[] = [
  [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }, { pause: { duration: 10 } }],
  [{ setWeight: 50 }, { setWeight: 10 }, { setWeight: 100 }],
  [{ setWeight: 30 }, { analysis: { templates: [{ templateName: "errors" }] } }],
  [],
  // Without a router the steps of routes are refused: there these are no steps.
  [
    { setCanaryScale: { replicas: 1 } },
    { setHeaderRoute: { name: "beta", match: [{ headerName: "x-group", headerValue: { exact: "b" } }] } },
    { pause: {} },
    { setCanaryScale: { matchTrafficWeight: true } },
    { setWeight: 40 },
    { setMirrorRoute: { name: "copies", match: [{ path: { prefix: "/" } }], percentage: 20 } },
    { setCanaryScale: { replicas: 0 } },
    { pause: { duration: 10 } },
  ],
  [
    { setWeight: 40 },
    { setHeaderRoute: { name: "beta", match: [{ headerName: "x-group", headerValue: { prefix: "b" } }] } },
    { pause: { duration: 10 } },
    { setWeight: 0 },
    { pause: {} },
    { setHeaderRoute: { name: "beta" } },
  ],
];
/** More runs, or others: `WEIR_PROPERTY_RUNS=5000 WEIR_PROPERTY_SEED=7 node test/properties/engine.test.ts`. */
const OPTIONS = {
  numRuns: Number(process.env.WEIR_PROPERTY_RUNS ?? 200),
  seed: Number(process.env.WEIR_PROPERTY_SEED ?? 20260101),
};

const simple = fc.constantFrom(
  ...(["ack", "nack", "abort", "retry", "promote", "promoteFull", "restart", "settle", "pass"] as const),
);
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant("image" as const), index: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant("replicas" as const), count: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: fc.constant("steps" as const), index: fc.integer({ min: 0, max: STEPS.length - 1 }) }),
  fc.record({
    kind: fc.constant("ready" as const),
    role: fc.constantFrom("stable" as const, "canary" as const),
    count: fc.integer({ min: 0, max: 6 }),
  }),
  fc.record({ kind: fc.constantFrom("readiness" as const, "acking" as const), isAuto: fc.boolean() }),
  fc.record({ kind: fc.constant("tick" as const), seconds: fc.integer({ min: 1, max: 60 }) }),
  fc.record({
    kind: fc.constant("measure" as const),
    phase: fc.constantFrom("Running", "Successful", "Failed", "Inconclusive"),
  }),
  fc.record({ kind: fc.constant("crash" as const), writes: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: fc.constant("paused" as const), isPaused: fc.boolean() }),
  { arbitrary: simple.map((kind) => ({ kind })), weight: 5 },
);
const history = fc.record({
  replicas: fc.integer({ min: 1, max: 5 }),
  steps: fc.integer({ min: 0, max: STEPS.length - 1 }),
  isPingPong: fc.boolean(),
  /** Whether it begins in the middle of an update. */
  isWarm: fc.boolean(),
  isAcking: fc.boolean(),
  events: fc.array(event, { minLength: 1, maxLength: 25 }),
});

for (const isRouted of [false, true]) {
  const name = isRouted ? "with a router" : "without a router";

  test(`properties: every pass of a canary ${name} keeps the invariants, and it comes to rest`, async (t) => {
    fc.assert(
      fc.property(history, ({ events, ...start }) => {
        const world = newWorld(isRouted, start);
        for (const next of events) play(world, next);
        settleChecked(world);
      }),
      OPTIONS,
    );
    t.pass("no history broke them");
  });

  test(`properties: a crash after any part of a plan ${name} leads to the same end`, async (t) => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 8 }), ({ events, ...start }, writes) => {
        const world = newWorld(isRouted, start);
        for (const next of events) play(world, next);
        const crashed = world.clone();
        crashed.apply(crashed.plan(), writes);
        crashed.restart();
        for (const one of [world, crashed]) {
          one.acking = "auto";
          one.acknowledge();
          one.settle();
        }
        equal(endOf(crashed), endOf(world), "the ends differ");
      }),
      OPTIONS,
    );
    t.pass("every crash converged");
  });

  test(`properties: carrying a plan out twice ${name} is carrying it out once`, async (t) => {
    fc.assert(
      fc.property(history, ({ events, ...start }) => {
        const once = newWorld(isRouted, start);
        for (const next of events) play(once, next);
        const twice = once.clone();
        const { actions } = once.plan();
        for (const action of actions) once.write(action);
        for (const action of actions) {
          twice.write(action);
          repeat(twice, action);
        }
        equal(endOf(twice), endOf(once), "the second time changed something");
      }),
      OPTIONS,
    );
    t.pass("no action does more the second time");
  });
}

test("properties: an abort ends with all the traffic on the stable version", async (t) => {
  fc.assert(
    fc.property(history, ({ events, ...start }) => {
      const world = newWorld(true, start);
      for (const next of events) play(world, next);
      Object.assign(world, { readiness: "auto", acking: "auto" });
      world.acknowledge();
      world.editSpec({ paused: null });
      world.settle();
      world.patchStatus({ abort: true, promoteFull: null });
      world.settle();
      world.advance(120_000);
      const { stable } = world.status().canary?.weights ?? {};
      equal(stable?.weight, 100, "stable does not have all the traffic");
    }),
    OPTIONS,
  );
  t.pass("every abort ended there");
});

interface Start {
  readonly replicas: number;
  readonly steps: number;
  readonly isPingPong: boolean;
  readonly isWarm: boolean;
  readonly isAcking: boolean;
}

function newWorld(isRouted: boolean, start: Start): World {
  const { replicas, steps, isPingPong, isWarm, isAcking } = start;
  const routing = { managedRoutes: [{ name: "copies" }, { name: "beta" }] };
  const world = worldWith({
    replicas,
    isRouted,
    isPingPong: isRouted && isPingPong,
    routing,
    steps: stepsFor(isRouted, steps),
  });
  const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate" } } };
  world.add("templates", {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors", namespace: "default" },
    spec: { metrics: [{ name: "errors", successCondition: "result < 0.05", provider }] },
  });
  if (isWarm) {
    world.settle();
    world.editSpec(imagePatch("web:2"));
    world.settle();
  }
  world.acking = isAcking ? "auto" : "manual";
  return world;
}

function stepsFor(isRouted: boolean, index: number): readonly unknown[] {
  return isRouted || index < STEPS.length - 2 ? (STEPS[index] ?? []) : [];
}

function play(world: World, next: Event): void {
  switch (next.kind) {
    case "image":
      world.editSpec(imagePatch(`web:${next.index}`));
      return;
    case "replicas":
      world.editSpec({ replicas: next.count });
      return;
    case "steps":
      world.editSpec({ strategy: { canary: { steps: stepsFor(world.services.size > 0, next.index) } } });
      return;
    case "ready": {
      const name = world.roleOf(next.role)?.metadata.name;
      if (name !== undefined) world.setReady(name, next.count);
      return;
    }
    case "readiness":
      world.readiness = next.isAuto ? "auto" : "manual";
      return;
    case "acking":
      world.acking = next.isAuto ? "auto" : "manual";
      return;
    case "tick":
      world.nowMs += next.seconds * 1000;
      settleChecked(world);
      return;
    case "measure": {
      for (const name of world.runs.keys()) world.setRun(name, next.phase);
      return;
    }
    case "crash":
      world.apply(checked(world), next.writes);
      world.restart();
      return;
    case "paused":
      world.editSpec({ paused: next.isPaused ? true : null });
      return;
    case "ack":
      world.acknowledge();
      return;
    case "nack":
      if (world.published !== undefined) world.refuse("proxy-1", "refused");
      return;
    case "abort":
      world.patchStatus({ abort: true });
      return;
    case "retry":
      world.patchStatus({ abort: false });
      return;
    case "promote":
      world.patchStatus({ pauseConditions: null });
      return;
    case "promoteFull":
      world.patchStatus({ promoteFull: true });
      return;
    case "restart":
      world.restart();
      return;
    case "settle":
      settleChecked(world);
      return;
    case "pass":
      world.apply(checked(world));
      world.runReplicaSets();
      return;
  }
}

/** Reconciles until nothing changes, every pass checked; then nothing is left to do. */
function settleChecked(world: World): void {
  for (let pass = 0; pass < 60; pass += 1) {
    const plan = checked(world);
    const hasWritten = world.apply(plan);
    if (world.runReplicaSets() || hasWritten) continue;
    equal(plan.events, [], "a plan without effect has events");
    equal(plan.status, world.rollout.status, "a settled status changes");
    return;
  }
  throw new Error(`does not come to rest: ${JSON.stringify(world.plan().explanation, null, 1)}`);
}

function checked(world: World): Plan {
  const plan = world.plan();
  checkWeights(world, plan);
  checkRoutes(world, plan);
  checkScaling(world, plan);
  checkBounds(world, plan);
  checkServices(world, plan);
  checkSteps(world, plan);
  if (plan.requeueAtMs !== undefined && plan.requeueAtMs <= world.nowMs)
    throw new Error("a requeue in the past");
  const names = plan.actions.map(
    (action) => `${action.kind.replace(/^(scale|annotate)/, "")} ${action.name}`,
  );
  if (new Set(names).size !== names.length) throw new Error(`two writes to one object: ${names.join(", ")}`);
  return plan;
}

/** The weights sum to the maximum, and none rises for a version without the pods for it. */
function checkWeights(world: World, plan: Plan): void {
  if (plan.traffic === undefined) return;
  const { versions, maxWeight } = plan.traffic;
  equal(
    versions.reduce((sum, { weight }) => sum + weight, 0),
    maxWeight,
    "the weights do not sum to the maximum",
  );
  const before = world.status().canary?.weights;
  const replicas = Number(specOf(world).replicas);
  for (const { podHash, weight, role } of versions) {
    if (before === undefined || replicas === 0) continue;
    const last = before.stable.podTemplateHash === podHash ? before.stable : before.canary;
    const was = last.podTemplateHash === podHash ? last.weight : 0;
    if (weight <= was) continue;
    const needed = role === "canary" ? Math.ceil((weight * replicas) / maxWeight) : 1;
    if (availableOf(world, podHash) < needed) throw new Error(`${role} rises to ${weight} without pods`);
    const isKnown = world.acknowledgement.kind === "yes" && world.published !== undefined;
    if (role === "canary" && !isKnown)
      throw new Error(`the canary rises to ${weight} while proxies are silent`);
  }
}

/** A header route leads to a canary with available pods alone, and its last pods go after every proxy has forgotten it. */
function checkRoutes(world: World, plan: Plan): void {
  const leads = (intent: typeof plan.traffic): string | undefined =>
    intent?.routes?.some(({ kind }) => kind === "header") === true
      ? intent.versions.find(({ role }) => role === "canary")?.podHash
      : undefined;
  const led = leads(plan.traffic);
  // A spec that is being mended leaves what was published in force.
  if (led !== undefined && availableOf(world, led) === 0 && plan.explanation.planner === "steps")
    throw new Error(`a header route leads to ${led}, which has no available pod`);
  if (plan.traffic?.routes !== undefined && plan.explanation.planner !== "steps")
    throw new Error(`routes are in force under ${plan.explanation.planner}`);
  const { acknowledgement, inForce, published } = world;
  const isOverdue = acknowledgement.kind === "no" && world.nowMs >= acknowledgement.sinceMs + 30_000;
  // A user who wants no pods at all gets none.
  const isWanted = Number(specOf(world).replicas) > 0;
  for (const action of plan.actions) {
    if (action.kind !== "scaleReplicaSet" || action.replicas > 0 || isOverdue || !isWanted) continue;
    if ([inForce, published].some((intent) => leads(intent) === action.name.replace(/^web-/, "")))
      throw new Error(`${action.name} goes while a header route leads to it`);
  }
}

/** No pods go that a proxy may still send to, but for the user's own scaling and the bound of the wait. */
function checkScaling(world: World, plan: Plan): void {
  const replicas = Number(specOf(world).replicas);
  const { acknowledgement, inForce, published } = world;
  const isOverdue = acknowledgement.kind === "no" && world.nowMs >= acknowledgement.sinceMs + 30_000;
  for (const action of plan.actions) {
    if (action.kind !== "scaleReplicaSet" || action.replicas >= action.from || plan.traffic === undefined)
      continue;
    const hash = action.name.replace(/^web-/, "");
    for (const intent of isOverdue ? [] : [inForce, published]) {
      const weight = intent?.versions.find((version) => version.podHash === hash)?.weight ?? 0;
      const needed = Math.ceil((weight * replicas) / 100);
      if (action.replicas < needed)
        throw new Error(`${action.name} to ${action.replicas} with weight ${weight}`);
    }
  }
}

/** Without a router: no pass takes available pods below the minimum, or asks for pods above the surge. */
function checkBounds(world: World, plan: Plan): void {
  if (plan.traffic !== undefined) return;
  const replicas = Number(specOf(world).replicas);
  const surge = Math.ceil(replicas / 4);
  const minAvailable = replicas - (surge === 0 ? 1 : Math.floor(replicas / 4));
  const sizes = [...world.replicaSets.values()].map((object) => {
    const { metadata, spec, status } = replicaSetView(object);
    const action = plan.actions.find(
      (item) => item.kind === "scaleReplicaSet" && item.name === metadata.name,
    );
    const after = action?.kind === "scaleReplicaSet" ? action.replicas : (spec.replicas ?? 1);
    return { before: spec.replicas ?? 1, after, available: status.availableReplicas ?? 0 };
  });
  const sum = (count: (size: (typeof sizes)[number]) => number): number =>
    sizes.reduce((total, size) => total + count(size), 0);
  const availableBefore = sum(({ before, available }) => Math.min(before, available));
  const availableAfter = sum(({ after, available }) => Math.min(after, available));
  if (availableAfter < Math.min(minAvailable, availableBefore))
    throw new Error(
      `${availableAfter} pods stay available, of ${availableBefore}, with a minimum of ${minAvailable}`,
    );
  const asked = sum(({ after }) => after);
  if (
    asked >
    Math.max(
      replicas + surge,
      sum(({ before }) => before),
    )
  )
    throw new Error(`${asked} pods are asked for, with ${replicas} wanted and a surge of ${surge}`);
}

/** A version that a proxy may send to stays selected by one of the Services, so that its endpoints are known. */
function checkServices(world: World, plan: Plan): void {
  const { acknowledgement, inForce, published } = world;
  const isOverdue = acknowledgement.kind === "no" && world.nowMs >= acknowledgement.sinceMs + 30_000;
  const before = selectedOf(world);
  const after = selectedOf(world);
  for (const action of plan.actions) if (action.kind === "selectPods") after.set(action.name, action.podHash);
  for (const intent of isOverdue ? [] : [inForce, published]) {
    for (const { podHash, weight } of intent?.versions ?? []) {
      const wasSelected = [...before.values()].includes(podHash);
      if (weight > 0 && wasSelected && ![...after.values()].includes(podHash))
        throw new Error(`no Service selects ${podHash} any more, with weight ${weight}`);
    }
  }
  const rising = plan.traffic?.versions.find(({ role, weight }) => role === "canary" && weight > 0);
  if (rising !== undefined && ![...after.values()].includes(rising.podHash))
    throw new Error(`no Service selects the canary ${rising.podHash}`);
}

function selectedOf(world: World): Map<string, unknown> {
  const selectorOf = (spec: unknown): unknown => Object(Object(spec).selector)["rollouts-pod-template-hash"];
  return new Map([...world.services].map(([name, service]) => [name, selectorOf(service.spec)]));
}

/** Within a revision the step index only grows, unless an abort takes it back or the steps are others. */
function checkSteps(world: World, plan: Plan): void {
  const before = world.status();
  const isSame =
    before.currentPodHash === plan.status.currentPodHash &&
    before.currentStepHash === plan.status.currentStepHash;
  if (!isSame || plan.status.abort === true || before.currentStepIndex === undefined) return;
  if ((plan.status.currentStepIndex ?? 0) < before.currentStepIndex)
    throw new Error(`the step went back from ${before.currentStepIndex} to ${plan.status.currentStepIndex}`);
}

/** The same action again: done already, or refused for its precondition. */
function repeat(world: World, action: Action): void {
  try {
    world.write(action);
  } catch (error) {
    if (!String(error).includes("conflict")) throw error;
  }
}

function endOf(world: World): unknown {
  const sizes = [...world.replicaSets.values()].map((item) => {
    const { name, annotations, ownerReferences } = item.metadata;
    return { name, annotations, ownerReferences, spec: item.spec };
  });
  const services = [...world.services.values()].map((item) => item.spec);
  const runs = [...world.runs.values()].map((item) => ({ name: item.metadata.name, spec: item.spec }));
  const { spec, metadata } = world.rollout;
  const { conditions = [], ...status } = world.status();
  // Their order in the list is that of their first appearance, their times those of the passes: no part of the end.
  const byType = Object.fromEntries(
    conditions.map(({ type, status: value, reason, message }) => [type, { value, reason, message }]),
  );
  return {
    sizes,
    services,
    runs,
    spec,
    status,
    byType,
    annotations: metadata.annotations,
    traffic: world.published,
  };
}

function availableOf(world: World, podHash: string): number {
  const replicaSet = world.replicaSets.get(`web-${podHash}`);
  return replicaSet === undefined ? 0 : (replicaSetView(replicaSet).status.availableReplicas ?? 0);
}

function specOf(world: World): Readonly<Record<string, unknown>> {
  // The manifest that newWorld made has a spec.
  return world.rollout.spec as Readonly<Record<string, unknown>>;
}

function equal(actual: unknown, expected: unknown, what: string): void {
  if (jsonEqual(actual, expected)) return;
  throw new Error(
    `${what}:\n${JSON.stringify(actual, null, 1)}\ninstead of\n${JSON.stringify(expected, null, 1)}`,
  );
}
