// Statuses that others wrote are read tolerantly, and what a pass writes is whole again: fields that no longer hold are gone.
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { decide, requestOf } from "../../src/engine/decide.ts";
import { imagePatch, type World as Model, rolloutManifest, World, worldWith } from "../support/world.ts";

/** A Rollout in mid-flight. */
function paused(): Model {
  const world = worldWith({ replicas: 2, steps: [{ setWeight: 50 }, { pause: {} }] });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  return world;
}

const condition = { type: "Progressing", status: "False", reason: "RolloutAborted", message: "long ago" };

// What somebody else may have left in the status: of another type, unknown, doubled, out of range.
const FOREIGN: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "an observedGeneration that is no number": { observedGeneration: "abc123" },
  "an observedGeneration that is too high": { observedGeneration: "99" },
  "counters of another type": { replicas: "many", availableReplicas: [], HPAReplicas: {} },
  "a phase that nobody knows": { phase: "Sleeping", message: 7 },
  "fields of another make": { weirdField: { deep: true }, canary: { strange: 1 } },
  "the status of another strategy": { blueGreen: { activeSelector: "abc", scaleUpPreviewCheckPoint: true } },
  "an index beyond the steps": { currentStepIndex: 1_000_000 },
  "a record of another shape": { duration: { rolloutStartedAt: "yesterday", completionStatus: "Unheard" } },
  "weights without a router": { canary: { weights: { canary: { weight: 50 }, stable: { weight: 50 } } } },
};

for (const [name, foreign] of Object.entries(FOREIGN))
  test(`status: ${name} does no harm and does not stay`, async (t) => {
    const world = paused();
    world.patchStatus(foreign);
    world.settle();
    const after = world.status();
    t.equal(after.observedGeneration, String(world.rollout.metadata.generation));
    t.match(after, { replicas: 2, availableReplicas: 2, HPAReplicas: 2 });
    t.match(after.phase, /^(Paused|Healthy|Progressing)$/);
    t.strictSame(after.blueGreen, {});
    t.equal(after.canary?.weights, undefined);
  });

test("status: conditions that are there twice, or without times, are brought up to date once", async (t) => {
  const world = paused();
  const { conditions = [] } = world.status();
  world.patchStatus({
    conditions: [...conditions, condition, condition, { type: "Custom", status: "True" }],
  });
  world.settle();
  const types = (world.status().conditions ?? []).map(({ type }) => type);
  t.strictSame([...new Set(types)], types, "one of each");
  t.match(world.status(), { phase: "Paused", message: "CanaryPauseStep" });
});

test("status: a Progressing condition without times starts the deadline, and times out by it", async (t) => {
  const world = worldWith({ replicas: 2, spec: { progressDeadlineSeconds: 30 } });
  world.readiness = "manual";
  world.settle();
  world.patchStatus({ conditions: [{ type: "Progressing", status: "True", reason: "Own", message: "" }] });
  world.advance(31_000);
  world.advance(31_000);
  t.match(world.status().message, /^ProgressDeadlineExceeded: /);
});

test("status: a first status carries phase and conditions, also when the name is taken or the spec invalid", async (t) => {
  const taken = worldWith({ replicas: 1 });
  const created = taken.plan().actions.find(({ kind }) => kind === "createReplicaSet");
  const spec = { replicas: 1, selector: { matchLabels: { app: "other" } } };
  const metadata = { name: created?.name ?? "", namespace: "default", uid: "foreign" };
  taken.add("replicaSets", { apiVersion: "apps/v1", kind: "ReplicaSet", metadata, spec });
  const invalid = worldWith({ replicas: 1 });
  invalid.errors = ["spec: no"];
  for (const world of [taken, invalid, worldWith({ replicas: 1 })]) {
    const { status } = world.plan();
    t.type(status.phase, "string");
    t.ok((status.conditions ?? []).length > 0);
  }
});

test("status: a change of the strategy leaves nothing of the other one behind", async (t) => {
  const world = worldWith({ replicas: 2, isRouted: true, steps: [{ setWeight: 50 }, { pause: {} }] });
  world.settle();
  t.ok(world.status().canary?.weights);
  world.editSpec({
    strategy: { canary: { trafficRouting: null, stableService: null, canaryService: null } },
  });
  world.settle();
  t.equal(world.status().canary?.weights, undefined);
  world.editSpec({ strategy: { canary: { steps: null } } });
  world.settle();
  t.equal(world.status().currentStepIndex, undefined);
});

test("status: weir writes nothing into the spec but the replicas that are missing", async (t) => {
  const { replicas: _, ...spec } = Object(rolloutManifest({}).spec);
  const world = new World({ ...rolloutManifest({}), spec });
  const touched: string[] = [];
  for (const change of [undefined, imagePatch("web:2"), { paused: true }, { paused: null }]) {
    if (change !== undefined) world.editSpec(change);
    for (let pass = 0; pass < 20; pass += 1) {
      const plan = world.plan();
      for (const action of plan.actions) {
        const request = requestOf(action);
        if (request.verb === "patch" && request.type === RESOURCES.rollout && request.body.spec !== undefined)
          touched.push(JSON.stringify(request.body.spec));
      }
      const hasWritten = world.apply(plan);
      if (!world.runReplicaSets() && !hasWritten) break;
    }
  }
  t.strictSame(touched, ['{"replicas":1}']);
});

test("status: the deadline of an old version is written one pass after the switch", async (t) => {
  const world = worldWith({ replicas: 1, isRouted: true });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  const seen: string[] = [];
  for (let pass = 0; pass < 20; pass += 1) {
    const plan = world.plan();
    if (plan.events.some(({ reason }) => reason === "RolloutCompleted")) seen.push("switched");
    const isDelayed = plan.actions.some(
      (action) =>
        action.kind === "annotateReplicaSet" && action.annotations["scale-down-deadline"] !== undefined,
    );
    if (isDelayed) seen.push("delayed");
    const hasWritten = world.apply(plan);
    if (!world.runReplicaSets() && !hasWritten) break;
  }
  t.strictSame(seen, ["switched", "delayed"]);
});

test("status: a ReplicaSet that the API refuses is said, tried again, and late past the deadline", async (t) => {
  const world = worldWith({ replicas: 1, spec: { progressDeadlineSeconds: 30 } });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  const name = world.plan().actions.find(({ kind }) => kind === "createReplicaSet")?.name ?? "";
  const refused = [{ kind: "ReplicaSet", name, message: "exceeded quota" }] as const;
  const pass = () => {
    const seen = world.snapshot();
    const plan = decide({ ...seen, workload: { ...seen.workload, refused } }, world.nowMs);
    world.apply(plan);
    return plan;
  };
  const plan = pass();
  t.notOk(plan.actions.some(({ kind }) => kind === "createReplicaSet"));
  t.equal(plan.requeueAtMs, world.nowMs + 5000);
  t.match(plan.explanation.waits, [
    { text: /^the API refuses the new version's ReplicaSet: exceeded quota$/ },
  ]);
  const message = `Failed to create new replica set "${name}": exceeded quota`;
  t.match(plan.events.at(-1), { type: "Warning", reason: "ReplicaSetCreateError", message });
  t.match(progressing(world), { status: "False", reason: "ReplicaSetCreateError", message });
  t.match(world.status(), { phase: "Progressing", message: "more replicas need to be updated" });
  t.strictSame(pass().events, [], "said once");
  world.nowMs += 31_000;
  pass();
  t.match(world.status(), { phase: "Degraded", message: /^ProgressDeadlineExceeded: / });
  world.settle();
  t.match(world.status(), { phase: "Healthy" }, "it goes on once the API takes it");
  t.match(progressing(world), { status: "True", reason: "NewReplicaSetAvailable" });
});

function progressing(world: Model): unknown {
  return world.status().conditions?.find(({ type }) => type === "Progressing");
}
