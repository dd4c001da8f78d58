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
