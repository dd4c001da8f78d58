// The progress deadline where scenario scripts do not reach: between a write and what follows from it.
import { test } from "tap";
import { decide } from "../../src/engine/decide.ts";
import { imagePatch, worldWith } from "../support/world.ts";

const DELAY_MS = 3_600_000;

test("deadline: it rests until the pods of an old version, whose delay is over, are seen to be gone", async (t) => {
  const world = worldWith({
    replicas: 2,
    isRouted: true,
    steps: [{ setWeight: 50 }],
    canary: { scaleDownDelaySeconds: DELAY_MS / 1000 },
    spec: { progressDeadlineSeconds: 60, progressDeadlineAbort: true },
  });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.readiness = "manual";
  world.editSpec(imagePatch("web:3"));
  world.settle();
  world.advance(DELAY_MS - 1000);
  world.nowMs += 1000;
  const [old] = world.plan().actions.filter(({ kind }) => kind === "scaleReplicaSet");
  t.match(old, { replicas: 0, from: 2, annotations: { "scale-down-deadline": null } });

  const seen = world.snapshot();
  const replicaSets = seen.workload.replicaSets.map((item) => {
    if (item.metadata.name !== old?.name) return item;
    const { "scale-down-deadline": _, ...annotations } = item.metadata.annotations ?? {};
    return { ...item, metadata: { ...item.metadata, annotations }, spec: { ...item.spec, replicas: 0 } };
  });
  const plan = decide({ ...seen, workload: { ...seen.workload, replicaSets } }, world.nowMs);
  t.notOk(plan.status.abort);
  t.equal(plan.status.phase, "Progressing");

  world.settle();
  world.advance(59_000);
  t.equal(world.status().phase, "Progressing", "the whole deadline follows");
  world.advance(2_000);
  t.equal(world.status().abort, true);
});
