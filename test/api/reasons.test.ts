// Texts that other programs compare, spelt out once more as they expect them.
import { test } from "tap";
import { CLIENT_MESSAGES, MESSAGES, PHASE_MESSAGES, PROMOTION_REASONS } from "../../src/api/api.ts";

test("reasons: messages are Argo's to the letter", (t) => {
  const texts: Readonly<Record<string, string>> = {
    [MESSAGES.invalidRollout("web", "spec.x: Required value")]:
      'The Rollout "web" is invalid: spec.x: Required value',
    [MESSAGES.replicaSetProgressing("web-abc")]: 'ReplicaSet "web-abc" is progressing.',
    [MESSAGES.replicaSetCompleted("web-abc")]: 'ReplicaSet "web-abc" has successfully progressed.',
    [MESSAGES.replicaSetTimedOut("web-abc")]: 'ReplicaSet "web-abc" has timed out progressing.',
    [MESSAGES.createdReplicaSet("web-abc", 2)]: "Created ReplicaSet web-abc (revision 2)",
    [MESSAGES.newReplicaSet("web-abc")]: 'Created new replica set "web-abc"',
    [MESSAGES.rolloutUpdated(2)]: "Rollout updated to revision 2",
    [MESSAGES.rolloutCompleted(2, "abc", PROMOTION_REASONS.allSteps(4))]:
      "Rollout completed update to revision 2 (abc): Completed all 4 canary steps",
    [MESSAGES.rolloutNotCompleted(2, "abc")]: "Rollout not completed, started update to revision 2 (abc)",
    [MESSAGES.aborted(2, "")]: "Rollout aborted update to revision 2",
    [MESSAGES.aborted(2, MESSAGES.stepAnalysisFailed("m"))]:
      "Rollout aborted update to revision 2: Step-based analysis phase error/failed: m",
    [MESSAGES.pausedFor("CanaryPauseStep")]: "Rollout is paused (CanaryPauseStep)",
    [MESSAGES.stepCompleted(1, 4, "setWeight: 20")]: "Rollout step 1/4 completed (setWeight: 20)",
    [MESSAGES.trafficWeightUpdated(undefined, 20)]: "Traffic weight updated to 20",
    [MESSAGES.trafficWeightUpdated(20, 40)]: "Traffic weight updated from 20 to 40",
    [MESSAGES.scaled("up", "web-abc", 2, 0, 5)]: "Scaled up ReplicaSet web-abc (revision 2) from 0 to 5",
    [MESSAGES.switchedService("web", "abc", "def")]:
      "Switched selector for service 'web' from 'abc' to 'def'",
    [MESSAGES.analysisRunChanged("Step", "r", "Failed", undefined)]:
      "Step Analysis Run 'r' Status New: 'Failed' Previous: 'NoPreviousStatus'",
    [MESSAGES.stepPluginFailed(0, "a/b", "no")]: "Step Plugin 1 (a/b) failed: no",
    [MESSAGES.stepPluginRun("a/b", 0, "Running")]: "Step plugin a/b (step 1) transitioned to Running",
    [MESSAGES.stepPluginAborted("a/b", 0, "Successful")]: "Step plugin a/b (step 1) aborted (Successful)",
    [MESSAGES.stepPluginTerminated("a/b", 1, "Failed")]: "Step plugin a/b (step 2) terminated (Failed)",
    [PHASE_MESSAGES.waitingForSteps]: "waiting for all steps to complete",
    [CLIENT_MESSAGES.specNotObserved]: "waiting for rollout spec update to be observed",
  };
  for (const [found, expected] of Object.entries(texts)) t.equal(found, expected);
  t.end();
});
