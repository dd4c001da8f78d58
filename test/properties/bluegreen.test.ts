// What holds for every history of a blue-green Rollout: other versions and settings, pods that come and go, acknowledgements, user actions,
// analyses, time, restarts and crashes after any part of a plan, in any order. A failing history is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import type { Plan } from "../../src/engine/decide.ts";
import { imagePatch, replicaSetView, type World, worldWith } from "../support/world.ts";
import { equal, settleChecked } from "./invariants.ts";
import { HISTORY_OPTIONS } from "./options.ts";

const ANALYSIS = { templates: [{ templateName: "errors" }] };

/** Takes all that a strategy may have away, so that the settings of another history are its own. */
const NOTHING = {
  previewReplicaCount: null,
  autoPromotionEnabled: null,
  autoPromotionSeconds: null,
  prePromotionAnalysis: null,
  postPromotionAnalysis: null,
  scaleDownDelaySeconds: null,
  scaleDownDelayRevisionLimit: null,
  abortScaleDownDelaySeconds: null,
};
const settings = fc.record(
  {
    previewReplicaCount: fc.integer({ min: 0, max: 3 }),
    autoPromotionEnabled: fc.boolean(),
    autoPromotionSeconds: fc.integer({ min: 0, max: 20 }),
    prePromotionAnalysis: fc.constant(ANALYSIS),
    postPromotionAnalysis: fc.constant(ANALYSIS),
    scaleDownDelaySeconds: fc.integer({ min: 0, max: 40 }),
    scaleDownDelayRevisionLimit: fc.integer({ min: 0, max: 2 }),
    abortScaleDownDelaySeconds: fc.integer({ min: 0, max: 40 }),
  },
  { requiredKeys: [] },
);

type Do = (world: World) => void;
const patch =
  (status: unknown): Do =>
  (world) =>
    world.patchStatus(status);
const acts: Readonly<Record<string, Do>> = {
  ack: (world) => world.acknowledge(),
  nack: (world) => world.published !== undefined && world.refuse("proxy-1", "refused"),
  abort: patch({ abort: true }),
  retry: patch({ abort: false }),
  promote: patch({ pauseConditions: null }),
  promoteFull: patch({ promoteFull: true }),
  restart: (world) => world.restart(),
  settle: (world) => void settleChecked(world, checked),
  pass: (world) => {
    world.apply(checked(world));
    world.runReplicaSets();
  },
};

/** One thing that happens, with a name that a failing history prints. */
interface Event {
  readonly name: string;
  readonly act: Do;
}
const numbered = (low: number, high: number, name: string, act: (value: number) => Do) =>
  fc.integer({ min: low, max: high }).map((value): Event => ({ name: `${name} ${value}`, act: act(value) }));
const event: fc.Arbitrary<Event> = fc.oneof(
  numbered(1, 4, "image", (index) => (world) => world.editSpec(imagePatch(`web:${index}`))),
  numbered(0, 6, "replicas", (replicas) => (world) => world.editSpec({ replicas })),
  numbered(0, 6, "ready stable", (count) => (world) => ready(world, "stable", count)),
  numbered(0, 6, "ready canary", (count) => (world) => ready(world, "canary", count)),
  numbered(1, 60, "tick", (seconds) => (world) => {
    world.nowMs += seconds * 1000;
    settleChecked(world, checked);
  }),
  numbered(0, 6, "crash", (writes) => (world) => {
    world.apply(checked(world), writes);
    world.restart();
  }),
  numbered(0, 1, "readiness", (auto) => (world) => {
    world.readiness = auto === 1 ? "auto" : "manual";
  }),
  numbered(0, 1, "acking", (auto) => (world) => {
    world.acking = auto === 1 ? "auto" : "manual";
  }),
  numbered(0, 1, "paused", (is) => (world) => world.editSpec({ paused: is === 1 ? true : null })),
  settings.map((chosen): Event => {
    const blueGreen = { ...NOTHING, ...chosen };
    return { name: JSON.stringify(chosen), act: (world) => world.editSpec({ strategy: { blueGreen } }) };
  }),
  fc.constantFrom("Running", "Successful", "Failed", "Inconclusive").map((phase): Event => {
    const measure: Do = (world) => {
      for (const run of world.runs.keys()) world.setRun(run, phase);
    };
    return { name: `measure ${phase}`, act: measure };
  }),
  {
    weight: 5,
    arbitrary: fc.constantFrom(...Object.entries(acts)).map(([name, act]): Event => ({ name, act })),
  },
);

interface Start {
  readonly replicas: number;
  readonly blueGreen: Readonly<Record<string, unknown>>;
  readonly hasPreview: boolean;
  readonly isAcking: boolean;
}
const history = fc.record({
  replicas: fc.integer({ min: 1, max: 5 }),
  blueGreen: settings,
  hasPreview: fc.boolean(),
  isAcking: fc.boolean(),
  events: fc.array(event, { minLength: 1, maxLength: 25 }),
});

for (const isRouted of [false, true]) {
  const name = isRouted ? "on proxies" : "without proxies";

  test(`properties: every pass of a blue-green Rollout ${name} keeps the invariants, and it comes to rest`, async (t) => {
    fc.assert(
      fc.property(history, ({ events, ...start }) => {
        const world = newWorld(isRouted, start);
        for (const { act } of events) act(world);
        settleChecked(world, checked);
      }),
      HISTORY_OPTIONS,
    );
    t.pass("no history broke them");
  });

  test(`properties: a crash of a blue-green pass ${name} leads to the same end`, async (t) => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 8 }), ({ events, ...start }, writes) => {
        const world = newWorld(isRouted, start);
        for (const { act } of events) act(world);
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
      HISTORY_OPTIONS,
    );
    t.pass("every crash converged");
  });
}

test("properties: an abort of a blue-green Rollout ends with the stable version active", async (t) => {
  fc.assert(
    fc.property(history, ({ events, ...start }) => {
      const world = newWorld(true, start);
      for (const { act } of events) act(world);
      Object.assign(world, { readiness: "auto", acking: "auto" });
      world.acknowledge();
      world.editSpec({ paused: null });
      world.settle();
      world.patchStatus({ abort: true, promoteFull: null });
      world.settle();
      world.advance(120_000);
      const { blueGreen, stableRS } = world.status();
      equal(activeOf(world), stableRS, "the active Service is elsewhere");
      equal(blueGreen?.activeSelector, stableRS, "the status says otherwise");
    }),
    HISTORY_OPTIONS,
  );
  t.pass("every abort ended there");
});

function newWorld(isRouted: boolean, { replicas, blueGreen, hasPreview, isAcking }: Start): World {
  const preview = hasPreview ? { previewService: "web-preview" } : {};
  const world = worldWith({ replicas, isRouted, blueGreen: { ...blueGreen, ...preview } });
  const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate" } } };
  world.add("templates", {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors", namespace: "default" },
    spec: { metrics: [{ name: "errors", successCondition: "result < 0.05", provider }] },
  });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.acking = isAcking ? "auto" : "manual";
  return world;
}

function ready(world: World, role: "stable" | "canary", count: number): void {
  const name = world.roleOf(role)?.metadata.name;
  if (name !== undefined) world.setReady(name, count);
}

function checked(world: World): Plan {
  const plan = world.plan();
  checkSwitch(world, plan);
  checkScaling(world, plan);
  checkPromotion(world, plan);
  if (plan.requeueAtMs !== undefined && plan.requeueAtMs <= world.nowMs)
    throw new Error("a requeue in the past");
  const names = plan.actions.map(
    (action) => `${action.kind.replace(/^(scale|annotate)/, "")} ${action.name}`,
  );
  if (new Set(names).size !== names.length) throw new Error(`two writes to one object: ${names.join(", ")}`);
  return plan;
}

/** The active Service goes to a whole version; back to stable, when it is an abort, to one that has any pod. */
function checkSwitch(world: World, plan: Plan): void {
  const replicas = replicasOf(world);
  for (const action of plan.actions) {
    if (action.kind !== "selectPods" || action.name !== "web-active") continue;
    const { available, desired } = sizeOf(world, action.podHash);
    const needed = plan.status.abort === true ? Math.min(1, replicas) : replicas;
    if (available < needed) throw new Error(`switched to ${available} of ${needed} pods`);
    if (plan.status.abort !== true && desired !== replicas) throw new Error(`switched to ${desired} pods`);
  }
}

/** No version that has the traffic shrinks below what is wanted, and none goes to which a proxy may still send in time. */
function checkScaling(world: World, plan: Plan): void {
  const { acknowledgement, inForce, published } = world;
  const isOverdue = acknowledgement.kind === "no" && world.nowMs >= acknowledgement.sinceMs + 30_000;
  for (const action of plan.actions) {
    if (action.kind !== "scaleReplicaSet" || action.replicas >= action.from) continue;
    const hash = action.name.replace(/^web-/, "");
    const isInUse = hash === activeOf(world) || hash === world.status().stableRS;
    if (isInUse && action.replicas < replicasOf(world))
      throw new Error(`${action.name} is in use and shrinks to ${action.replicas}`);
    for (const intent of isOverdue || !world.isBlueGreenRouted ? [] : [inForce, published]) {
      const weight = intent?.versions.find((version) => version.podHash === hash)?.weight ?? 0;
      if (weight > 0 && action.replicas < replicasOf(world))
        throw new Error(`${action.name} to ${action.replicas} while proxies may send to it`);
    }
  }
}

/** A version that replaces another as the stable one has the traffic: of the Service, and of every proxy. */
function checkPromotion(world: World, plan: Plan): void {
  const before = world.status().stableRS;
  const after = plan.status.stableRS;
  if (before === undefined || after === before || activeOf(world) === "") return;
  const action = plan.actions.find(({ kind, name }) => kind === "selectPods" && name === "web-active");
  const active = action?.kind === "selectPods" ? action.podHash : activeOf(world);
  equal(active, after, "the stable version is not the active one");
  if (!world.isBlueGreenRouted) return;
  const isKnown = world.acknowledgement.kind === "yes" && world.published !== undefined;
  if (!isKnown) throw new Error("promoted while proxies are silent");
}

function activeOf(world: World): string {
  const { selector } = Object(world.services.get("web-active")?.spec);
  return String(Object(selector)["rollouts-pod-template-hash"] ?? "");
}

function replicasOf(world: World): number {
  return Number(Object(world.rollout.spec).replicas);
}

function sizeOf(world: World, podHash: string): { readonly desired: number; readonly available: number } {
  const object = world.replicaSets.get(`web-${podHash}`);
  if (object === undefined) return { desired: 0, available: 0 };
  const { spec, status } = replicaSetView(object);
  return { desired: spec.replicas ?? 1, available: status.availableReplicas ?? 0 };
}

function endOf(world: World): unknown {
  const sizes = [...world.replicaSets.values()].map(({ metadata, spec }) => ({
    name: metadata.name,
    annotations: metadata.annotations,
    spec,
  }));
  const services = [...world.services.values()].map((item) => item.spec);
  const runs = [...world.runs.values()].map((item) => ({ name: item.metadata.name, spec: item.spec }));
  // Their order, times and reasons tell of the passes: no part of the end.
  const { conditions = [], duration: _, ...status } = world.status();
  const states = conditions.map(({ type, status: state }) => `${type} ${state}`).sort();
  return { sizes, services, runs, status, states, spec: world.rollout.spec };
}
