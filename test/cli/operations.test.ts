// Users' operations are the patches of Argo's plugin.
import { test } from "tap";
import { type KubeObject, readRollout } from "../../src/api/api.ts";
import { isUpdating, promoteOperations } from "../../src/cli/operations.ts";

const rollout = (spec: object, status: object) => {
  const object: KubeObject = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace: "shop" },
    spec: { strategy: { canary: { steps: [{ setWeight: 20 }, { pause: {} }] } }, ...spec },
    status: { currentPodHash: "b", stableRS: "a", currentStepIndex: 1, ...status },
  };
  return readRollout(object).value;
};
const startTime = "2026-01-01T00:00:00Z";

test("promote: ends a pause by clearing its conditions only", async (t) => {
  const paused = rollout(
    {},
    { pauseConditions: [{ reason: "CanaryPauseStep", startTime }], controllerPause: true },
  );
  t.strictSame(promoteOperations(paused, false), [
    { subresource: "status", body: { status: { pauseConditions: null } } },
  ]);
});

test("promote: skips the current step where there is no pause, and never goes past the last", async (t) => {
  t.strictSame(promoteOperations(rollout({}, {}), false), [
    { subresource: "status", body: { status: { currentStepIndex: 2 } } },
  ]);
  t.strictSame(promoteOperations(rollout({}, { currentStepIndex: 2 }), false), [
    { subresource: "status", body: { status: { currentStepIndex: 2 } } },
  ]);
});

test("promote: goes past an inconclusive analysis in one patch", async (t) => {
  const pauseConditions = [{ reason: "InconclusiveAnalysisRun", startTime }];
  const run = { name: "run", status: "Inconclusive" };
  const held = { pauseConditions, controllerPause: true, canary: { currentStepAnalysisRunStatus: run } };
  t.strictSame(promoteOperations(rollout({}, held), false), [
    {
      subresource: "status",
      body: { status: { pauseConditions: null, controllerPause: false, currentStepIndex: 2 } },
    },
  ]);
});

test("promote: skips no step for an inconclusive background analysis, which begins anew", async (t) => {
  const pauseConditions = [{ reason: "InconclusiveAnalysisRun", startTime }];
  const run = { name: "run", status: "Inconclusive" };
  const held = {
    pauseConditions,
    controllerPause: true,
    canary: { currentBackgroundAnalysisRunStatus: run },
  };
  t.strictSame(promoteOperations(rollout({}, held), false), [
    { subresource: "status", body: { status: { pauseConditions: null } } },
  ]);
});

test("promote: ends the user's own pause first", async (t) => {
  const [first] = promoteOperations(rollout({ paused: true }, {}), false);
  t.strictSame(first, { body: { spec: { paused: false } } });
});

test("promote --full: is nothing to do when the stable version is the current one", async (t) => {
  t.strictSame(promoteOperations(rollout({}, {}), true), [
    { subresource: "status", body: { status: { promoteFull: true } } },
  ]);
  t.strictSame(promoteOperations(rollout({}, { stableRS: "b" }), true), []);
});

test("an update: is over when the newest version that was seen is the stable one", async (t) => {
  const at = (generation: number, status: object) => {
    const { metadata, ...rest } = rollout({}, { observedGeneration: "2", ...status });
    return isUpdating({ ...rest, metadata: { ...metadata, generation } });
  };
  t.equal(at(2, { stableRS: "b" }), false);
  t.equal(at(3, { stableRS: "b" }), true, "the manifest has changed since");
  t.equal(at(2, { stableRS: "a" }), true);
  t.equal(at(2, { stableRS: "" }), true, "the first version");
});
