// What versions carry for their role: no crash leaves a key behind that nobody knows, and what is injected is never a new version.
import { test } from "tap";
import { requestOf } from "../../src/engine/decide.ts";
import { imagePatch, replicaSetView, type World, worldWith } from "../support/world.ts";

const canary = {
  canaryMetadata: { labels: { role: "canary" }, annotations: { trial: "yes" } },
  stableMetadata: { labels: { role: "stable" } },
  antiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} },
};

/** Metadata of templates and pods, and what the ReplicaSets remember. */
function carried(world: World): unknown {
  const of = ({ labels, annotations }: { labels?: unknown; annotations?: unknown }) => ({
    labels,
    annotations,
  });
  return {
    versions: [...world.replicaSets.values()].map((object) => {
      const { metadata, spec } = replicaSetView(object);
      const remembered = metadata.annotations?.["rollout.argoproj.io/ephemeral-metadata"];
      return [metadata.name, of(spec.template?.metadata ?? {}), spec.template?.spec?.affinity, remembered];
    }),
    pods: [...world.pods.values()].map((pod) => [pod.metadata.name, of(pod.metadata)]),
  };
}

test("ephemeral: a crash after any write of the promotion leaves no key of the old role behind", async (t) => {
  const world = worldWith({ replicas: 3, isRouted: true, steps: [{ setWeight: 50 }, { pause: {} }], canary });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.patchStatus({ pauseConditions: null });
  const whole = world.clone();
  whole.settle();
  const end = carried(whole);
  // Every pass up to the end, crashed after every number of its writes.
  const upTo = world.clone();
  let crashes = 0;
  for (let pass = 0; pass < 20; pass += 1) {
    const plan = upTo.plan();
    for (let writes = 0; writes <= plan.actions.length + 1; writes += 1) {
      const crashed = upTo.clone();
      crashed.apply(plan, writes);
      crashed.settle();
      t.strictSame(carried(crashed), end, `pass ${pass}, after ${writes} writes`);
      crashes += 1;
    }
    const hasWritten = upTo.apply(plan);
    if (!upTo.runReplicaSets() && !hasWritten) break;
  }
  t.ok(crashes > 20);
});

test("ephemeral: keys that the user takes out of the strategy go, also when a crash came between the writes", async (t) => {
  const world = worldWith({ replicas: 2, canary });
  world.settle();
  world.editSpec({ strategy: { canary: { stableMetadata: null, canaryMetadata: null } } });
  const plan = world.plan();
  t.strictSame(
    plan.actions.map(({ kind }) => kind),
    ["annotateReplicaSet", "setPodMetadata", "setPodMetadata"],
  );
  world.apply(plan, 2);
  world.settle();
  for (const pod of world.pods.values()) t.equal(pod.metadata.labels?.role, undefined);
  const [replicaSet] = world.replicaSets.values();
  t.equal(replicaSet?.metadata.annotations?.["rollout.argoproj.io/ephemeral-metadata"], undefined);
});

test("ephemeral: a ReplicaSet with injected metadata and affinity stays the wanted version's, whatever its hash", async (t) => {
  const world = worldWith({ replicas: 1, steps: [{ setWeight: 50 }, { pause: {} }], canary });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const current = world.roleOf("canary");
  if (current === undefined) throw new Error("there is no canary");
  // As after an upgrade of the library that hashes: the label says something else.
  const labels = { ...current.metadata.labels, "rollouts-pod-template-hash": "otherhash" };
  world.add("replicaSets", { ...current, metadata: { ...current.metadata, labels } });
  world.patchStatus({ currentPodHash: "otherhash", observedGeneration: null });
  const count = world.replicaSets.size;
  world.settle();
  t.equal(world.replicaSets.size, count);
  t.equal(world.status().currentPodHash, "otherhash");
});

test("ephemeral: one pass patches at most a hundred pods and asks to be called again", async (t) => {
  const world = worldWith({ replicas: 150 });
  world.settle();
  world.editSpec({ strategy: { canary } });
  const plan = world.plan();
  const patched = plan.actions.filter(({ kind }) => kind === "setPodMetadata");
  t.equal(patched.length, 100);
  t.ok(plan.requeueAtMs !== undefined && plan.requeueAtMs - world.nowMs <= 1000);
  world.settle();
  for (const pod of world.pods.values()) t.equal(pod.metadata.labels?.role, "stable");
});

test("ephemeral: a pod that is gone is no failure of the pass", async (t) => {
  const action = {
    kind: "setPodMetadata",
    namespace: "default",
    name: "web-1",
    uid: "u",
    labels: { role: "stable" },
    annotations: { trial: null },
    reason: "",
  } as const;
  t.match(requestOf(action), {
    verb: "patch",
    mayBeGone: true,
    body: { metadata: { uid: "u", labels: { role: "stable" }, annotations: { trial: null } } },
  });
});
