// Random specs and random histories: what users, pods, proxies, analyses, time and a dying controller do to a Rollout, in any order.
import fc from "fast-check";
import type { Plan } from "../../src/engine/decide.ts";
import { formatTime } from "../../src/lib/time.ts";
import { imagePatch, referencePatch, workloadManifest } from "../../src/simulate/manifest.ts";
import { crashPod, podsOf } from "../../src/simulate/replicasets.ts";
import { type World, worldWith } from "../support/world.ts";
import { checked, settleChecked } from "./invariants.ts";

export type Event =
  | { readonly kind: "image"; readonly index: number }
  | { readonly kind: "replicas" | "budget"; readonly count: number }
  | { readonly kind: "steps"; readonly index: number }
  /** Null: the default. */
  | { readonly kind: "maxWeight"; readonly max: number | null }
  | { readonly kind: "ready"; readonly role: "stable" | "canary"; readonly count: number }
  | { readonly kind: "crashPod"; readonly role: "stable" | "canary"; readonly restarts: number }
  | { readonly kind: "readiness" | "acking"; readonly isAuto: boolean }
  /** Below 0: the clock is set back. */
  | { readonly kind: "tick"; readonly seconds: number }
  | { readonly kind: "measure"; readonly phase: string }
  | { readonly kind: "crash"; readonly writes: number }
  | { readonly kind: "paused"; readonly isPaused: boolean }
  /** Somebody acts between what the controller sees and what it writes. */
  | { readonly kind: "stale"; readonly meanwhile: Meanwhile }
  | {
      readonly kind:
        | "ack"
        | "nack"
        | "abort"
        | "retry"
        | "promote"
        | "promoteFull"
        | "restart"
        | "restartPods"
        | "settle"
        | "pass";
    };
type Meanwhile = { readonly kind: "abort" | "promote" } | { readonly kind: "image"; readonly index: number };

/** What a history begins with. */
export interface Start {
  readonly replicas: number;
  readonly shape: Shape;
  /** Whether it begins in the middle of an update. */
  readonly isWarm: boolean;
  /** Whether its pods are those of a Deployment. */
  readonly isReferring: boolean;
  readonly isAcking: boolean;
}

/** How the Rollout is written: the options of the model's manifest. */
type Shape = Omit<Parameters<typeof worldWith>[0], "replicas" | "name" | "image">;
export const STRATEGIES = ["replicas", "routed", "blueGreen"] as const;
export type Strategy = (typeof STRATEGIES)[number];
/** As tests name them. */
export const NAMES: Readonly<Record<Strategy, string>> = {
  replicas: "a canary without a router",
  routed: "a canary with a router",
  blueGreen: "blue-green",
};

/** `More`: what happens besides to Rollouts of one strategy alone. */
export interface History<More = never> extends Start {
  readonly events: readonly (Event | More)[];
}

const STEPS: readonly (readonly unknown[])[] = [
  [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }, { pause: { duration: 10 } }],
  [{ setWeight: 50 }, { setWeight: 10 }, { setWeight: 100 }],
  [{ setWeight: 30 }, { analysis: { templates: [{ templateName: "errors" }] } }],
  [],
];
const HEADER = { name: "testers", match: [{ headerName: "x-tester", headerValue: { exact: "yes" } }] };
const MIRROR = { name: "copies", match: [{ method: { exact: "GET" } }], percentage: 50 };
/** With a router. */
const ROUTED_STEPS: readonly (readonly unknown[])[] = [
  ...STEPS,
  [
    { setCanaryScale: { replicas: 2 } },
    { pause: {} },
    { setCanaryScale: { matchTrafficWeight: true } },
    { setWeight: 40 },
  ],
  [
    { setCanaryScale: { weight: 50 } },
    { setHeaderRoute: HEADER },
    { pause: {} },
    { setHeaderRoute: { name: "testers" } },
  ],
  [{ setWeight: 10 }, { setMirrorRoute: MIRROR }, { pause: { duration: 30 } }, { setWeight: 70 }],
  [
    { setCanaryScale: { replicas: 1 } },
    { setHeaderRoute: HEADER },
    { pause: {} },
    { setCanaryScale: { matchTrafficWeight: true } },
    { setWeight: 40 },
    { setMirrorRoute: MIRROR },
    { setCanaryScale: { replicas: 0 } },
    { pause: { duration: 10 } },
  ],
  [
    { setWeight: 40 },
    { setHeaderRoute: HEADER },
    { pause: { duration: 10 } },
    { setWeight: 0 },
    { pause: {} },
    { setHeaderRoute: { name: "testers" } },
  ],
  [
    { setCanaryScale: { replicas: 0 } },
    { setWeight: 50 },
    { pause: {} },
    { setCanaryScale: { replicas: 1 } },
    { setWeight: 80 },
    { setCanaryScale: { weight: 25 } },
    { pause: { duration: 10 } },
  ],
];
const ANALYSIS = { templates: [{ templateName: "errors" }] };
const weight = fc.constantFrom(0, 10, 33, 50, 80, 100);
const plainStep = fc.oneof<fc.Arbitrary<unknown>[]>(
  weight.map((share) => ({ setWeight: share })),
  fc.constantFrom({ pause: {} }, { pause: { duration: 10 } }, { analysis: ANALYSIS }),
);
const routedMember = fc.oneof<fc.Arbitrary<unknown>[]>(
  fc.integer({ min: 0, max: 3 }).map((replicas) => ({ setCanaryScale: { replicas } })),
  weight.map((share) => ({ setCanaryScale: { weight: share } })),
  fc.constantFrom(
    { setCanaryScale: { matchTrafficWeight: true } },
    { setHeaderRoute: HEADER },
    { setHeaderRoute: { name: "testers" } },
    { setMirrorRoute: MIRROR },
    { setMirrorRoute: { name: "copies" } },
  ),
);
const severalMembers = fc
  .tuple(plainStep, fc.array(routedMember, { minLength: 1, maxLength: 3 }))
  .map(([plain, members]) => Object.assign({}, plain, ...members));
const routedStep = fc.oneof<fc.Arbitrary<unknown>[]>(plainStep, routedMember, severalMembers);
/** Lists of steps as people write them, and any others. */
function stepLists(
  written: readonly (readonly unknown[])[],
  step: fc.Arbitrary<unknown>,
): fc.Arbitrary<readonly unknown[]> {
  return fc.oneof(fc.constantFrom(...written), fc.array(step, { minLength: 1, maxLength: 6 }));
}
const seconds = fc.constantFrom(0, 10, 45);
const limits = {
  minPodsPerReplicaSet: fc.integer({ min: 0, max: 3 }),
  scaleDownDelaySeconds: seconds,
  scaleDownDelayRevisionLimit: fc.integer({ min: 0, max: 2 }),
  abortScaleDownDelaySeconds: seconds,
  replicaProgressThreshold: fc.constantFrom({ type: "Percent", value: 50 }, { type: "Pods", value: 1 }),
};
const metadata = fc.constantFrom({ labels: { part: "new" } }, { annotations: { part: "x" } });
const specs = fc.record(
  {
    progressDeadlineAbort: fc.boolean(),
    progressDeadlineSeconds: fc.constantFrom(30, 600),
    rollbackWindow: fc.constant({ revisions: 2 }),
    revisionHistoryLimit: fc.constantFrom(0, 1, 10),
  },
  { requiredKeys: [] },
);

/** Specs of a strategy. */
function shapes(strategy: Strategy): fc.Arbitrary<Shape> {
  switch (strategy) {
    case "replicas":
      return fc.record({
        steps: stepLists(STEPS, plainStep),
        canary: fc.record(
          { canaryMetadata: metadata, stableMetadata: metadata, analysis: fc.constant(ANALYSIS) },
          { requiredKeys: [] },
        ),
        spec: specs,
      });
    case "routed":
      return fc.record({
        isRouted: fc.constant(true),
        isPingPong: fc.boolean(),
        routing: fc.constant({ managedRoutes: [{ name: "testers" }, { name: "copies" }] }),
        steps: stepLists(ROUTED_STEPS, routedStep),
        canary: fc.oneof(
          fc.constant({}),
          fc.record(
            { ...limits, canaryMetadata: metadata, analysis: fc.constant(ANALYSIS) },
            { requiredKeys: [] },
          ),
          fc
            .record(
              { minPodsPerReplicaSet: limits.minPodsPerReplicaSet, abortScaleDownDelaySeconds: seconds },
              { requiredKeys: [] },
            )
            .map((more) => ({ dynamicStableScale: true, ...more })),
        ),
        spec: specs,
      });
    case "blueGreen":
      return fc.record({
        isRouted: fc.boolean(),
        blueGreen: fc.record(
          {
            previewService: fc.constant("web-preview"),
            previewReplicaCount: fc.integer({ min: 1, max: 3 }),
            autoPromotionEnabled: fc.boolean(),
            autoPromotionSeconds: fc.constant(20),
            scaleDownDelaySeconds: seconds,
            abortScaleDownDelaySeconds: seconds,
            prePromotionAnalysis: fc.constant(ANALYSIS),
            postPromotionAnalysis: fc.constant(ANALYSIS),
            previewMetadata: metadata,
          },
          { requiredKeys: [] },
        ),
        spec: specs,
      });
  }
}

const role = fc.constantFrom("stable" as const, "canary" as const);
const index = fc.integer({ min: 1, max: 4 });
const kind = <T extends string>(name: T) => fc.constant(name);
const simple = fc.constantFrom(
  ...([
    "ack",
    "nack",
    "abort",
    "retry",
    "promote",
    "promoteFull",
    "restart",
    "restartPods",
    "settle",
    "pass",
  ] as const),
);
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: kind("image"), index }),
  fc.record({ kind: kind("replicas"), count: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: kind("budget"), count: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: kind("steps"), index: fc.integer({ min: 0, max: ROUTED_STEPS.length - 1 }) }),
  fc.record({ kind: kind("maxWeight"), max: fc.constantFrom(1000, 250, null) }),
  fc.record({ kind: kind("ready"), role, count: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: kind("crashPod"), role, restarts: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constantFrom("readiness" as const, "acking" as const), isAuto: fc.boolean() }),
  fc.record({ kind: kind("tick"), seconds: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ kind: kind("tick"), seconds: fc.integer({ min: -60, max: 700 }) }),
  fc.record({
    kind: kind("measure"),
    phase: fc.constantFrom("Running", "Successful", "Failed", "Inconclusive"),
  }),
  fc.record({ kind: kind("crash"), writes: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: kind("paused"), isPaused: fc.boolean() }),
  fc.record({
    kind: kind("stale"),
    meanwhile: fc.oneof(
      fc.record({ kind: fc.constantFrom("abort" as const, "promote" as const) }),
      fc.record({ kind: kind("image"), index }),
    ),
  }),
  { arbitrary: simple.map((name) => ({ kind: name })), weight: 6 },
);

/** Histories of a strategy. `more`: what happens to it alone. */
export function histories<More = never>(
  strategy: Strategy,
  more?: fc.Arbitrary<More>,
): fc.Arbitrary<History<More>> {
  const any: fc.Arbitrary<Event | More> =
    more === undefined ? event : fc.oneof({ arbitrary: event, weight: 15 }, more);
  return fc.record({
    replicas: fc.integer({ min: 1, max: 5 }),
    shape: shapes(strategy),
    isWarm: fc.boolean(),
    isReferring: fc.nat({ max: 3 }).map((one) => one === 3),
    isAcking: fc.boolean(),
    events: fc.array(any, { minLength: 1, maxLength: 25 }),
  });
}

/** The world before the first event. */
export function worldOf({ replicas, shape, isWarm, isReferring, isAcking }: Start): World {
  const world = worldWith({ ...shape, replicas });
  const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate" } } };
  world.add("templates", {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors", namespace: "default" },
    spec: { metrics: [{ name: "errors", successCondition: "result < 0.05", provider }] },
  });
  if (isReferring) {
    world.editWorkload(workloadManifest(["Deployment", "web:1", String(replicas)]));
    world.editSpec(referencePatch("Deployment:progressively"));
  }
  if (isWarm) {
    world.settle();
    setImage(world, "web:2");
    world.settle();
  }
  world.acking = isAcking ? "auto" : "manual";
  return world;
}

/** One event, with the passes that belong to it, each checked (`check` gives the plan). */
export function play(world: World, next: Event, check: (world: World) => Plan = checked): void {
  switch (next.kind) {
    case "image":
      setImage(world, `web:${next.index}`);
      break;
    case "budget":
      world.disruptionBudget = next.count;
      break;
    case "replicas":
      world.editSpec({ replicas: next.count });
      break;
    case "steps":
      editSteps(world, next.index);
      break;
    case "maxWeight":
      editMaxWeight(world, next.max);
      break;
    case "ready":
      withReplicaSet(world, next.role, (name) => world.setReady(name, next.count));
      break;
    case "crashPod":
      withReplicaSet(world, next.role, (name) => {
        const pod = podsOf(world, name)[0]?.metadata.name;
        if (pod !== undefined) crashPod(world, pod, next.restarts);
      });
      break;
    case "readiness":
    case "acking":
      world[next.kind] = next.isAuto ? "auto" : "manual";
      break;
    case "tick":
      world.nowMs += next.seconds * 1000;
      settleChecked(world, check);
      break;
    case "measure":
      for (const name of world.runs.keys()) world.setRun(name, next.phase);
      break;
    case "crash":
      world.apply(check(world), next.writes);
      world.restart();
      break;
    case "paused":
      world.editSpec({ paused: next.isPaused ? true : null });
      break;
    case "stale":
      applyLate(world, next.meanwhile, check);
      break;
    case "ack":
      world.acknowledge();
      break;
    case "nack":
      if (world.published !== undefined) world.refuse("proxy-1", "refused");
      break;
    case "abort":
      world.patchStatus({ abort: true });
      break;
    case "retry":
      world.patchStatus({ abort: false });
      break;
    case "promote":
      world.patchStatus({ pauseConditions: null });
      break;
    case "promoteFull":
      world.patchStatus({ promoteFull: true });
      break;
    case "restart":
      world.restart();
      break;
    case "restartPods":
      world.editSpec({ restartAt: formatTime(world.nowMs) });
      break;
    case "settle":
      settleChecked(world, check);
      break;
    case "pass":
      world.apply(check(world));
      world.runReplicaSets();
      break;
  }
}

/** Another image, where the pod template stands. */
function setImage(world: World, image: string): void {
  const workload = world.workloads.get("Deployment/web");
  if (workload === undefined) return void world.editSpec(imagePatch(image));
  world.editWorkload(workloadManifest(["Deployment", image, String(Object(workload.spec).replicas)]));
}

function editSteps(world: World, at: number): void {
  const { canary } = world.status();
  const isRouted = canary?.weights !== undefined;
  const steps = (isRouted ? ROUTED_STEPS : STEPS)[at];
  if (steps !== undefined && isCanary(world)) world.editSpec({ strategy: { canary: { steps } } });
}

function editMaxWeight(world: World, max: number | null): void {
  const { trafficRouting } = Object(Object(Object(world.rollout.spec).strategy).canary);
  // No other number is allowed beside an ALB.
  if (trafficRouting === undefined || trafficRouting.alb !== undefined) return;
  world.editSpec({ strategy: { canary: { trafficRouting: { maxTrafficWeight: max } } } });
}

function isCanary(world: World): boolean {
  return Object(Object(world.rollout.spec).strategy).canary !== undefined;
}

function withReplicaSet(world: World, of: "stable" | "canary", act: (name: string) => void): void {
  const name = world.roleOf(of)?.metadata.name;
  if (name !== undefined) act(name);
}

/** A pass decided on what was there before somebody acted: its status meets a newer object, and is lost. */
function applyLate(world: World, meanwhile: Meanwhile, check: (world: World) => Plan): void {
  const plan = check(world);
  play(world, meanwhile, check);
  for (const action of plan.actions) {
    try {
      world.write(action);
    } catch (error) {
      if (!String(error).includes("conflict")) throw error;
      return;
    }
  }
}
