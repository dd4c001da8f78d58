// Sizes with a router, by hand from spec 2.5 and 2.6: the canary's for its share, what a threshold asks for, the rungs of an abort.
import { test } from "tap";
import { contextOf } from "../../src/engine/context.ts";
import { podsNeeded } from "../../src/engine/pods/progressthreshold.ts";
import { canaryPods, returningShare, routedSizes } from "../../src/engine/pods/routedsizes.ts";
import { firstStage, type Mode } from "../../src/engine/stage.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";

test("routed sizes: a share takes whole pods, rounded up, and the minimum when it takes any", async (t) => {
  const rows: [replicas: number, share: number, minPods: number, maxWeight: number, pods: number][] = [
    [10, 0, 0, 100, 0],
    [10, 1, 0, 100, 1],
    [10, 10, 0, 100, 1],
    [10, 11, 0, 100, 2],
    [10, 99, 0, 100, 10],
    [10, 100, 0, 100, 10],
    [3, 33, 0, 100, 1],
    [3, 34, 0, 100, 2],
    [1, 1, 0, 100, 1],
    [0, 50, 0, 100, 0],
    [10, 0, 3, 100, 0],
    [10, 1, 3, 100, 3],
    [10, 50, 3, 100, 5],
    [2, 10, 3, 100, 2],
    [10, 10, 0, 1000, 1],
    [10, 101, 0, 1000, 2],
  ];
  for (const [replicas, share, minPodsPerReplicaSet, maxTrafficWeight, pods] of rows) {
    const world = worldWith({ replicas, isRouted: true, canary: { minPodsPerReplicaSet } });
    world.editSpec({ strategy: { canary: { trafficRouting: { maxTrafficWeight } } } });
    const context = contextOf(world.snapshot(), world.nowMs);
    t.equal(canaryPods(context, share), pods, `R=${replicas} w=${share} min=${minPodsPerReplicaSet}`);
  }
});

test("reached: a threshold lowers what counts, to no less than one pod and no more than are wanted", async (t) => {
  const rows: [type: "Percent" | "Pods", value: number, wanted: number, needed: number][] = [
    ["Percent", 100, 10, 10],
    ["Percent", 80, 10, 8],
    ["Percent", 81, 10, 9],
    ["Percent", 50, 3, 2],
    ["Percent", 0, 3, 1],
    ["Percent", 80, 0, 0],
    ["Pods", 2, 10, 2],
    ["Pods", 2, 1, 1],
    ["Pods", 0, 5, 1],
    ["Pods", 7, 5, 5],
  ];
  for (const [type, value, wanted, needed] of rows)
    t.equal(podsNeeded({ replicaProgressThreshold: { type, value } }, wanted), needed, `${type} ${value}`);
  t.equal(podsNeeded({}, 4), 4);
});

test("routed sizes: an abort goes down as many rungs as stable's available pods carry", async (t) => {
  const rows: [steps: readonly number[], at: number, stable: number, share: number][] = [
    [[25, 50, 75], 75, 1, 75],
    [[25, 50, 75], 75, 2, 50],
    [[25, 50, 75], 75, 3, 25],
    [[25, 50, 75], 75, 4, 0],
    [[75], 75, 3, 75],
    [[75], 75, 4, 0],
    [[10, 90], 90, 3, 90],
    [[10, 90], 90, 4, 0],
    // A rung above the share that it has is none: nothing ever goes back to an aborted version.
    [[25, 100], 25, 0, 25],
  ];
  for (const [steps, at, stable, share] of rows) {
    const world = worldWith({
      replicas: 4,
      isRouted: true,
      steps: steps.map((setWeight) => ({ setWeight })),
      canary: { dynamicStableScale: true },
    });
    world.settle();
    const stableHash = world.status().stableRS ?? "";
    world.readiness = "manual";
    world.editSpec(imagePatch("web:2"));
    world.settle();
    world.setReady(world.roleOf("canary")?.metadata.name ?? "", 1);
    world.setReady(world.roleOf("stable")?.metadata.name ?? "", stable);
    const canary = { weight: at, podTemplateHash: world.status().currentPodHash };
    const rest = { weight: 100 - at, podTemplateHash: stableHash };
    world.patchStatus({ canary: { weights: { canary, stable: rest } } });
    const got = returningShare(contextOf(world.snapshot(), world.nowMs));
    t.equal(got, share, `${steps.join()} at ${at}, ${stable} of 4`);
  }
});

interface Case {
  readonly name: string;
  readonly steps: readonly object[];
  readonly index: number;
  readonly mode?: Mode;
  readonly canary?: object;
  /** The canary's weight in the status; absent: none is told yet. */
  readonly has?: number;
  /** Available pods of the canary and of stable. */
  readonly pods?: readonly [canary: number, stable: number];
  /** The version that has the canary's weight, if it is not the wanted one. */
  readonly holder?: string;
  readonly setting?: string;
  readonly sizes: readonly [canary: number, stable: number];
}

const UP = [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }];
const DYNAMIC = { dynamicStableScale: true };
const RUNGS = [{ setWeight: 25 }, { setWeight: 50 }, { setWeight: 75 }];
const scaled = (setCanaryScale: object) => [{ setCanaryScale }, { setWeight: 20 }, { pause: {} }];

const CASES: readonly Case[] = [
  { name: "the weight before the pause", steps: UP, index: 1, sizes: [2, 10] },
  { name: "the next weight", steps: UP, index: 2, sizes: [6, 10] },
  { name: "past the last step", steps: UP, index: 3, sizes: [10, 10] },
  { name: "before the first weight", steps: [{ pause: {} }, ...UP], index: 0, sizes: [0, 10] },
  { name: "promoted in full", steps: UP, index: 0, mode: "promoteFull", sizes: [10, 10] },
  { name: "aborted", steps: UP, index: 0, mode: "aborted", sizes: [0, 10] },
  { name: "a number of pods", steps: scaled({ replicas: 3 }), index: 2, sizes: [3, 10] },
  { name: "a number below none", steps: scaled({ replicas: -3 }), index: 2, sizes: [0, 10] },
  { name: "a share of the pods", steps: scaled({ weight: 50 }), index: 1, sizes: [5, 10] },
  { name: "past a number of pods", steps: scaled({ replicas: 3 }), index: 3, sizes: [10, 10] },
  {
    name: "a number that was taken back",
    steps: [...scaled({ replicas: 3 }), { setCanaryScale: { matchTrafficWeight: true } }, { pause: {} }],
    index: 4,
    sizes: [2, 10],
  },
  {
    name: "promoted past a number",
    steps: scaled({ replicas: 3 }),
    index: 1,
    mode: "rollback",
    sizes: [10, 10],
  },
  dynamic("nothing told yet", UP, 2, undefined, [6, 10]),
  dynamic("the traffic lags", UP, 2, 20, [6, 8]),
  dynamic("the traffic is there", UP, 2, 60, [6, 4]),
  dynamic("going down", UP, 1, 60, [2, 8]),
  dynamic("a number says nothing of stable", scaled({ replicas: 3 }), 2, 20, [3, 10]),
  dynamic("stable grows for the traffic that it is to have", scaled({ weight: 50 }), 2, 60, [5, 8]),
  dynamic("a share of the pods above the traffic's", scaled({ weight: 50 }), 2, 20, [5, 8]),
  dynamic("more than all", scaled({ weight: 150 }), 2, 100, [15, 8]),
  dynamic("fewer than the traffic takes", scaled({ weight: 10 }), 2, 20, [1, 9]),
  {
    ...dynamic("no smaller than the minimum", [{ setWeight: 90 }], 0, 90, [9, 3]),
    canary: { ...DYNAMIC, minPodsPerReplicaSet: 3 },
  },
  { ...dynamic("another version's traffic goes to stable first", UP, 0, 60, [2, 10]), holder: "another" },
  { ...dynamic("the traffic is of the stable version itself", UP, 2, 60, [6, 4]), holder: "stable" },
  aborted("before any weight is told", undefined, undefined, [0, 10]),
  aborted("a rung down", 75, [8, 2], [8, 5]),
  aborted("the next rung", 50, [5, 5], [5, 8]),
  aborted("the last rung", 25, [3, 8], [3, 10]),
  aborted("canary pods are the more", 75, [6, 9], [8, 5]),
  {
    ...aborted("that keeps its pods goes by what stable lacks", 75, [8, 6], [8, 8]),
    canary: { ...DYNAMIC, abortScaleDownDelaySeconds: 60 },
  },
  { ...aborted("by a setting: stable is wanted whole", 75, [8, 2], [8, 10]), setting: "10" },
];

/** Sizes that follow the traffic, on the way up or down the steps. */
function dynamic(
  what: string,
  steps: readonly object[],
  index: number,
  has: number | undefined,
  sizes: Case["sizes"],
): Case {
  return {
    name: `dynamic, ${what}`,
    steps,
    index,
    canary: DYNAMIC,
    ...(has !== undefined && { has }),
    sizes,
  };
}

/** The same during an abort from the last of three rungs. */
function aborted(
  what: string,
  has: number | undefined,
  pods: Case["pods"] | undefined,
  sizes: Case["sizes"],
): Case {
  return {
    ...dynamic(what, RUNGS, 0, has, sizes),
    name: `dynamic abort ${what}`,
    mode: "aborted",
    ...(pods !== undefined && { pods }),
  };
}

for (const { name, sizes, ...of } of CASES)
  test(`routed sizes: ${name}`, (t) => {
    const world = worldWith({ replicas: 10, isRouted: true, steps: of.steps, canary: { ...of.canary } });
    world.settle();
    world.readiness = "manual";
    world.editSpec(imagePatch("web:2"));
    world.settle();
    const { stableRS = "", currentPodHash = "" } = world.status();
    const [canaryPodsNow, stablePodsNow] = of.pods ?? [0, 10];
    setAvailable(world, `web-${currentPodHash}`, canaryPodsNow);
    setAvailable(world, `web-${stableRS}`, stablePodsNow);
    if (of.setting !== undefined) world.annotate("weir.dev/abort-step", of.setting);
    const weights = of.has !== undefined && {
      canary: {
        weight: of.has,
        podTemplateHash: of.holder === "stable" ? stableRS : (of.holder ?? currentPodHash),
      },
      stable: { weight: 100 - of.has, podTemplateHash: stableRS },
    };
    world.patchStatus({ canary: weights === false ? null : { weights } });
    const context = contextOf(world.snapshot(), world.nowMs);
    const got = routedSizes(context, of.mode ?? "steps", { ...firstStage(context), index: of.index });
    t.strictSame(got, { canary: sizes[0], stable: sizes[1] });
    t.end();
  });

function setAvailable(world: World, name: string, availableReplicas: number): void {
  const replicaSet = world.replicaSets.get(name);
  if (replicaSet === undefined) throw new Error(`there is no ${name}`);
  world.replicaSets.set(name, { ...replicaSet, status: { replicas: 10, availableReplicas } });
}
