// The ordered list of event reasons that clients compare (Argo's functional suite): first deploy, update, pause, abort, retry, promote.
import { test } from "tap";
import { imagePatch, worldWith } from "../support/world.ts";

test("events: a canary's whole life gives the reasons in Argo's order", async (t) => {
  const world = worldWith({ replicas: 1, steps: [{ setWeight: 50 }, { pause: {} }] });
  world.settle();
  world.nowMs += 5000;
  world.editSpec(imagePatch("web:2"));
  world.settle();
  t.equal(world.status().phase, "Paused");
  t.equal(world.status().message, "CanaryPauseStep");
  world.patchStatus({ abort: true });
  world.settle();
  t.equal(world.status().phase, "Degraded");
  t.equal(world.status().message, "RolloutAborted: Rollout aborted update to revision 2");
  world.patchStatus({ abort: false });
  world.settle();
  t.equal(world.status().phase, "Paused");
  world.patchStatus({ pauseConditions: null });
  world.settle();
  t.equal(world.status().phase, "Healthy");
  t.strictSame(
    world.events.map((event) => event.reason),
    [
      "RolloutAddedToInformer",
      "RolloutUpdated",
      "NewReplicaSetCreated",
      "RolloutNotCompleted",
      "ScalingReplicaSet",
      "RolloutCompleted",
      "RolloutUpdated",
      "NewReplicaSetCreated",
      "RolloutNotCompleted",
      "ScalingReplicaSet",
      "RolloutStepCompleted",
      "RolloutPaused",
      "ScalingReplicaSet",
      "RolloutAborted",
      "ScalingReplicaSet",
      "RolloutStepCompleted",
      "RolloutPaused",
      "RolloutStepCompleted",
      "RolloutResumed",
      "ScalingReplicaSet",
      "RolloutCompleted",
    ],
  );
});

test("events: only what went wrong is a Warning", async (t) => {
  const warnings = new Set([
    "RolloutAborted",
    "ReconciliationError",
    "AnalysisRunFailed",
    "AnalysisRunError",
  ]);
  const seen = new Set<string>();
  const steps = [{ setWeight: 50 }, { analysis: { templates: [{ templateName: "errors" }] } }, { pause: {} }];
  const gate = [{ plugin: { name: "acme/gate" } }];
  for (const world of [
    worldWith({ replicas: 2, isRouted: true, steps, spec: { restartAt: "2026-01-01T00:00:30Z" } }),
    worldWith({ replicas: 2, steps: gate }),
    worldWith({ replicas: 2, blueGreen: { autoPromotionEnabled: false, previewService: "web-preview" } }),
  ]) {
    world.add("templates", {
      apiVersion: "argoproj.io/v1alpha1",
      kind: "AnalysisTemplate",
      metadata: { name: "errors", namespace: "default" },
      spec: { metrics: [{ name: "errors", provider: { plugin: { "weir.dev/traffic": {} } } }] },
    });
    world.settle();
    world.advance(60_000);
    const endRun = (phase: string): void => {
      const { name } = world.status().canary?.currentStepAnalysisRunStatus ?? {};
      if (name !== undefined) world.setRun(name, phase);
      world.settle();
    };
    world.editSpec(imagePatch("web:2"));
    world.settle();
    endRun("Successful");
    world.editSpec(imagePatch("web:1"));
    world.settle();
    world.editSpec(imagePatch("web:2"));
    world.settle();
    endRun("Failed");
    world.patchStatus({ abort: false });
    world.settle();
    endRun("Error");
    world.patchStatus({ abort: false });
    world.settle();
    world.patchStatus({ promoteFull: true });
    world.settle();
    for (const { reason, type } of world.events) {
      seen.add(reason);
      t.equal(type, warnings.has(reason) ? "Warning" : "Normal", reason);
    }
  }
  for (const reason of ["SkipSteps", "SwitchService", "TrafficWeightUpdated", ...warnings])
    t.ok(seen.has(reason), reason);
});
