// `decide` as a whole: what one pass writes, asks for and says, by the state it is given.
import { test } from "tap";
import { requestOf } from "../../src/engine/decide.ts";
import { fieldValue } from "../../src/engine/steps/analysistemplates.ts";
import { imagePatch, rolloutManifest, World, worldWith } from "../support/world.ts";

const conditionsOf = (world: World): Record<string, string> =>
  Object.fromEntries(
    (world.status().conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );

test("decide: the first status carries phase and conditions, and a generation as text", async (t) => {
  const world = worldWith({ replicas: 2 });
  const { status } = world.plan();
  t.equal(status.phase, "Progressing");
  t.equal(status.observedGeneration, "1");
  t.strictSame(
    status.conditions?.map(({ type }) => type),
    ["Completed", "Progressing", "Available"],
  );
  t.equal(status.selector, "app=web");
});

test("decide: an abort on the deadline leaves exactly four conditions", async (t) => {
  const world = worldWith({
    replicas: 2,
    steps: [{ setWeight: 50 }, { pause: {} }],
    spec: { progressDeadlineSeconds: 30, progressDeadlineAbort: true },
  });
  world.settle();
  world.readiness = "manual";
  world.editSpec(imagePatch("web:2"));
  world.advance(31_000);
  t.strictSame(conditionsOf(world), {
    Healthy: "False RolloutHealthy",
    Completed: "False RolloutCompleted",
    Progressing: "False RolloutAborted",
    Available: "True AvailableReason",
  });
});

test("decide: conditions say False explicitly once they have been True", async (t) => {
  const world = worldWith({ replicas: 1, steps: [{ setWeight: 50 }, { pause: {} }] });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  t.match(conditionsOf(world), { Paused: "True RolloutPaused", Healthy: "False RolloutHealthy" });
  world.patchStatus({ pauseConditions: null });
  world.settle();
  t.match(conditionsOf(world), { Paused: "False RolloutPaused", Healthy: "True RolloutHealthy" });
});

test("decide: a foreign object under the computed name moves the hash, and nothing of it is touched", async (t) => {
  const world = worldWith({ replicas: 1 });
  const created = world.plan().actions.find((action) => action.kind === "createReplicaSet");
  const name = created?.name ?? "";
  world.add("replicaSets", {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name, namespace: "default", uid: "foreign" },
    spec: { replicas: 3, selector: { matchLabels: { app: "other" } } },
  });
  t.match(world.plan().explanation, {
    planner: "name taken",
    next: "create the ReplicaSet under another name",
  });
  world.settle();
  t.equal(world.status().collisionCount, 1);
  t.equal(world.status().phase, "Healthy");
  t.not(`web-${world.status().stableRS}`, name);
  t.match(world.replicaSets.get(name)?.spec, { replicas: 3 });
});

test("decide: an orphan that the selector matches is adopted, not made anew", async (t) => {
  const first = worldWith({ replicas: 2 });
  first.settle();
  const second = new World(rolloutManifest({ replicas: 2 }));
  for (const replicaSet of first.replicaSets.values()) {
    const { ownerReferences: _, ...metadata } = replicaSet.metadata;
    second.add("replicaSets", { ...replicaSet, metadata });
  }
  second.settle();
  t.equal(second.replicaSets.size, 1);
  t.equal(second.status().phase, "Healthy");
  t.match([...second.replicaSets.values()][0]?.metadata.ownerReferences, [{ kind: "Rollout", name: "web" }]);
});

test("decide: only as many empty ReplicaSets are kept as the history limit says", async (t) => {
  const world = worldWith({ replicas: 1, spec: { revisionHistoryLimit: 1 } });
  for (const image of ["web:1", "web:2", "web:3", "web:4"]) {
    world.editSpec(imagePatch(image));
    world.nowMs += 1000;
    world.settle();
  }
  t.equal(world.replicaSets.size, 2);
  t.equal(world.rollout.metadata.annotations?.["rollout.argoproj.io/revision"], "4");
});

test("decide: going back to an old version takes its ReplicaSet again, under a new revision", async (t) => {
  const world = worldWith({ replicas: 1 });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.editSpec(imagePatch("web:1"));
  world.settle();
  t.equal(world.replicaSets.size, 2);
  t.match(world.roleOf("stable")?.metadata.annotations, {
    "rollout.argoproj.io/revision": "3",
    "rollout.argoproj.io/revision-history": "1",
  });
});

test("decide: the user's scaling in mid-update keeps the split, also while it is paused", async (t) => {
  const world = worldWith({ replicas: 10, steps: [{ setWeight: 20 }, { pause: {} }] });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.editSpec({ replicas: 5 });
  world.settle();
  t.match(world.roleOf("canary")?.spec, { replicas: 1 });
  t.match(world.roleOf("stable")?.spec, { replicas: 4 });
  t.equal(world.status().phase, "Paused");
});

test("decide: spec.paused stops scaling and steps, but not an abort", async (t) => {
  const world = worldWith({ replicas: 4, isRouted: true, steps: [{ setWeight: 50 }, { pause: {} }] });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.editSpec({ paused: true });
  world.patchStatus({ pauseConditions: null });
  world.settle();
  t.equal(world.status().currentStepIndex, 1);
  t.equal(world.status().message, "manually paused");
  world.patchStatus({ abort: true });
  world.settle();
  t.match(world.status().canary?.weights, { canary: { weight: 0 }, stable: { weight: 100 }, verified: true });
});

test("decide: a Service that is missing, or another Rollout's, is InvalidSpec until it is right", async (t) => {
  const world = worldWith({ replicas: 1, isRouted: true });
  const service = world.services.get("web-stable");
  world.services.delete("web-stable");
  t.match(
    world.settle().status.message,
    /stableService: Invalid value: "web-stable": service "web-stable" not found$/,
  );
  t.equal(world.status().phase, "Degraded");
  t.equal(world.replicaSets.size, 0);
  if (service === undefined) throw new Error("the world has no Service");
  const annotations = { "argo-rollouts.argoproj.io/managed-by-rollouts": "other" };
  world.add("services", { ...service, metadata: { ...service.metadata, annotations } });
  t.match(world.settle().status.message, /is managed by another Rollout$/);
  world.add("services", service);
  t.equal(world.settle().status.phase, "Healthy");
  t.equal(conditionsOf(world).InvalidSpec, undefined);
});

test("decide: no proxy connected holds the first raise, and Healthy waits for the acknowledgement", async (t) => {
  const world = worldWith({ replicas: 1, isRouted: true, steps: [{ setWeight: 50 }] });
  world.acking = "manual";
  world.settle();
  t.equal(world.status().message, "waiting for the proxies to acknowledge the weights");
  world.acknowledge();
  world.settle();
  t.equal(world.status().phase, "Healthy");
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.acknowledgement = {
    kind: "no",
    nodes: [{ node: "", why: "no proxy connected" }],
    sinceMs: world.nowMs,
  };
  const plan = world.settle();
  t.equal(plan.traffic?.versions[1]?.weight, 0);
  t.match(plan.explanation.waits, [
    { code: "weight" },
    { code: "acknowledgement", text: /: no proxy connected$/ },
  ]);
});

test("decide: a lower setWeight is published before the canary's pods go", async (t) => {
  const world = worldWith({
    replicas: 4,
    isRouted: true,
    steps: [{ setWeight: 75 }, { setWeight: 25 }, { pause: {} }],
  });
  world.settle();
  world.acking = "manual";
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.acknowledge();
  world.settle();
  t.match(world.roleOf("canary")?.spec, { replicas: 3 });
  world.acknowledge();
  world.settle();
  t.equal(world.published?.versions[1]?.weight, 25, "lowering does not wait");
  t.match(world.roleOf("canary")?.spec, { replicas: 3 }, "the pods stay while a proxy may still send 75 %");
  world.acknowledge();
  world.settle();
  t.match(world.roleOf("canary")?.spec, { replicas: 1 });
  t.equal(world.status().phase, "Paused");
});

test("decide: an absent spec.replicas is written out for autoscalers", async (t) => {
  const manifest = rolloutManifest({});
  const { replicas: _, ...spec } = Object(manifest.spec);
  const world = new World({ ...manifest, spec });
  world.settle();
  t.match(world.rollout.spec, { replicas: 1 });
  t.equal(world.status().phase, "Healthy");
});

test("decide: a Rollout that is being deleted is left alone", async (t) => {
  const world = worldWith({ replicas: 1 });
  world.rollout = {
    ...world.rollout,
    metadata: { ...world.rollout.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
  };
  const plan = world.plan();
  t.strictSame([plan.actions, plan.events], [[], []]);
  t.strictSame(plan.status, world.status());
});

test("decide: the duration of an update names how it ended", async (t) => {
  const world = worldWith({ replicas: 1, steps: [{ setWeight: 50 }, { pause: {} }] });
  world.settle();
  world.nowMs += 10_000;
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.nowMs += 20_000;
  world.patchStatus({ pauseConditions: null });
  world.settle();
  t.strictSame(world.status().duration, {
    rolloutStartedAt: "2026-01-01T00:00:10Z",
    totalManualPauseDurationSeconds: 20,
    finishedAt: "2026-01-01T00:00:30Z",
    completionStatus: "Promoted",
  });
});

test("actions: down-scales and deletes carry the version they were decided on", async (t) => {
  const base = { namespace: "default", name: "web-1", uid: "u1", reason: "" };
  t.strictSame(
    requestOf({
      kind: "scaleReplicaSet",
      ...base,
      resourceVersion: "7",
      from: 2,
      replicas: 1,
      annotations: {},
    }),
    {
      verb: "patch",
      type: requestOf({ kind: "deleteReplicaSet", ...base, resourceVersion: "7" }).type,
      ref: { namespace: "default", name: "web-1" },
      body: { metadata: { uid: "u1", resourceVersion: "7", annotations: {} }, spec: { replicas: 1 } },
    },
  );
});

test("actions: a scale-down carries the version that it was decided on, a scale-up none", async (t) => {
  const world = worldWith({ replicas: 2, steps: [{ setWeight: 50 }, { pause: {} }] });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  const seen: string[] = [];
  for (let pass = 0; pass < 10; pass += 1) {
    const plan = world.plan();
    for (const action of plan.actions)
      if (action.kind === "scaleReplicaSet") {
        const isDown = action.replicas < action.from;
        t.equal(action.resourceVersion !== undefined, isDown);
        const told = plan.events.filter(
          ({ of }) => of?.kind === "scaleReplicaSet" && of.name === action.name,
        );
        t.equal(told.length, 1);
        seen.push(isDown ? "down" : "up");
      }
    world.apply(plan);
    world.runReplicaSets();
  }
  t.strictSame(seen, ["up", "down"]);
});

test("arguments: a field path finds scalars by key, quoted key and index", async (t) => {
  const root = { metadata: { labels: { "app.kubernetes.io/name": "web" } }, spec: { list: [{ port: 80 }] } };
  t.equal(fieldValue(root, "metadata.labels['app.kubernetes.io/name']"), "web");
  t.equal(fieldValue(root, "spec.list[0].port"), "80");
  t.equal(fieldValue(root, "spec.list"), undefined);
  t.equal(fieldValue(root, "spec.missing.port"), undefined);
  t.equal(fieldValue(root, "metadata.labels['rev']"), "", "as the downward API has it");
  t.equal(fieldValue(root, "metadata.annotations['rev']"), "");
  const labels = { tier: 'a "b"', app: "web" };
  t.equal(fieldValue({ metadata: { labels } }, "metadata.labels"), 'app="web"\ntier="a \\"b\\""');
  t.equal(fieldValue({ metadata: {} }, "metadata.annotations"), "");
});

test("arguments: what is no whole path, and what is no scalar, has no value", async (t) => {
  const root = { metadata: { name: "web", isKept: true }, list: [1] };
  t.equal(fieldValue(root, "metadata.isKept"), "true");
  for (const path of [
    "metadata.name]",
    "metadata.name[",
    "metadata",
    "list",
    "list[1]",
    "metadata.other",
    "",
  ])
    t.equal(fieldValue(root, path), undefined, path);
});

test("decide: a hash that another library computed starts no update", async (t) => {
  const world = worldWith({ replicas: 1 });
  world.settle();
  const [replicaSet] = world.replicaSets.values();
  if (replicaSet === undefined) throw new Error("there is no ReplicaSet");
  const { labels } = replicaSet.metadata;
  world.replicaSets.clear();
  const moved = { ...labels, "rollouts-pod-template-hash": "5d4f8c" };
  world.add("replicaSets", {
    ...replicaSet,
    metadata: { ...replicaSet.metadata, name: "web-5d4f8c", labels: moved },
  });
  world.patchStatus({ currentPodHash: "5d4f8c", stableRS: "5d4f8c" });
  const plan = world.settle();
  t.equal(world.replicaSets.size, 1);
  t.equal(plan.status.phase, "Healthy");
  t.equal(plan.status.currentPodHash, "5d4f8c");
});

test("decide: whatever stands in the spec is answered, never thrown at", async (t) => {
  for (const spec of [
    undefined,
    {},
    { template: 5 },
    { template: [], selector: "x" },
    { replicas: "three", strategy: [] },
  ]) {
    const world = new World({ ...rolloutManifest({}), spec });
    world.errors = ["spec: Required value: Rollout has missing field"];
    const { status } = world.plan();
    t.equal(status.phase, "Degraded");
    t.equal(
      status.message,
      'InvalidSpec: The Rollout "web" is invalid: spec: Required value: Rollout has missing field',
    );
  }
});
