// The stage without steps, and with two pauses: what no whole pass shows.
import { test } from "tap";
import { contextOf } from "../../src/engine/context.ts";
import { aborted, firstStage, hasPause, withoutPause, withPause } from "../../src/engine/stage.ts";
import { imagePatch, worldWith } from "../support/world.ts";

test("stage: without steps there is no index, at the beginning and after an abort", (t) => {
  const world = worldWith({ replicas: 1 });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  const context = contextOf(world.snapshot(), world.nowMs);
  t.equal(firstStage(context).index, undefined);
  t.equal(aborted(context, firstStage(context)).index, undefined);
  t.end();
});

test("stage: a pause that goes leaves the others, and the mark of the controller as long as there are any", (t) => {
  const context = contextOf(worldWith({ replicas: 1 }).snapshot(), 0);
  const one = withPause(context, firstStage(context), "CanaryPauseStep");
  const both = withPause(context, one, "InconclusiveAnalysisRun");
  t.equal(withPause(context, both, "CanaryPauseStep"), both, "it is there already");
  const left = withoutPause(both, "CanaryPauseStep");
  t.strictSame([hasPause(left, "CanaryPauseStep"), hasPause(left, "InconclusiveAnalysisRun")], [false, true]);
  t.equal(left.controllerPause, true);
  const none = withoutPause(left, "InconclusiveAnalysisRun");
  t.strictSame([none.pauses, none.controllerPause], [[], false]);
  t.end();
});
