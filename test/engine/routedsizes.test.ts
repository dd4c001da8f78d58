// Sizes with a router, by hand from spec 2.5 and 2.6: the canary's for its share, what a threshold asks for, the rungs of an abort.
import { test } from "tap";
import { contextOf } from "../../src/engine/context.ts";
import { podsNeeded } from "../../src/engine/pods/progressthreshold.ts";
import { canaryPods, returningShare } from "../../src/engine/pods/routedsizes.ts";
import { imagePatch, worldWith } from "../support/world.ts";

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
