// Restarts where scenario scripts do not reach: what a pass does that knows nothing of the pods.
import { test } from "tap";
import { decide, explain } from "../../src/engine/decide.ts";
import { worldWith } from "../support/world.ts";

test("restart: while the pods are not known none is evicted, and the pass looks again", async (t) => {
  const world = worldWith({ replicas: 2 });
  world.settle();
  world.editSpec({ restartAt: "2026-01-01T00:00:10Z" });
  world.nowMs += 20_000;
  const seen = world.snapshot();
  const { pods, ...workload } = seen.workload;
  t.equal(pods?.length, 2);
  const plan = decide({ ...seen, workload }, world.nowMs);
  t.notOk(plan.actions.some(({ kind }) => kind === "evictPod"));
  t.notOk(plan.status.restartedAt, "nor is the restart told as done");
  t.ok(explain(plan, world.nowMs).includes("waits: the pods to restart are not known yet (10s so far)"));
  t.equal(plan.requeueAtMs, world.nowMs + 30_000);
});
