// What no script can show of the steps: objects that validation would have refused.
import { test } from "tap";
import { decide } from "../../src/engine/decide.ts";
import { imagePatch, worldWith } from "../support/world.ts";

test("steps: a step that says nothing waits rather than be passed over", async (t) => {
  const world = worldWith({ replicas: 2, steps: [{ setWeight: 50 }, {}, { pause: {} }] });
  const pass = () => {
    const plan = decide({ ...world.snapshot(), validation: { errors: [] } }, world.nowMs);
    world.apply(plan);
    world.runReplicaSets();
    return plan;
  };
  for (let count = 0; count < 10; count += 1) pass();
  world.editSpec(imagePatch("web:2"));
  for (let count = 0; count < 10; count += 1) pass();
  t.equal(world.status().currentStepIndex, 1);
  t.strictSame(pass().explanation.waits, [
    { code: "valid", text: "step 2 (invalid) is not carried out yet" },
  ]);
});
