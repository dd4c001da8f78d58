// Which ReplicaSet counts as the wanted version's.
import { test } from "tap";
import { type KubeObject, readReplicaSet, readRollout } from "../../src/api/api.ts";
import { currentAmong, isSpecObserved } from "../../src/engine/identity.ts";

const TEMPLATE = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "main", image: "web:1" }] },
};

function replicaSet(hash: string, image: string, more: { annotations?: object; template?: object } = {}) {
  const template = {
    metadata: { labels: { app: "web", "rollouts-pod-template-hash": hash } },
    spec: { containers: [{ name: "main", image }] },
    ...more.template,
  };
  return readReplicaSet({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `web-${hash}`,
      labels: { "rollouts-pod-template-hash": hash },
      ...(more.annotations === undefined ? {} : { annotations: more.annotations }),
    },
    spec: { selector: {}, template },
  } as KubeObject).value; // the literal is one; its annotations are strings in each test
}

function rollout(status: object) {
  return readRollout({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace: "default", generation: 4 },
    spec: { template: TEMPLATE },
    status,
  } as KubeObject).value; // the literal is one
}

const found = (
  sets: ReturnType<typeof replicaSet>[],
  status: object,
  hash = "computed",
): string | undefined => {
  const read = rollout(status);
  const wanted = { template: TEMPLATE, hash, isObserved: isSpecObserved(read) };
  return currentAmong(sets, read, wanted)?.metadata.name;
};

test("identity: the label that the status remembers comes before every hash", (t) => {
  const argos = replicaSet("argo", "web:1");
  const twin = replicaSet("computed", "web:1");
  const status = { currentPodHash: "argo", observedGeneration: "3" };
  t.equal(found([argos, twin], status), "web-argo", "of two that mean the same");
  t.equal(
    found([replicaSet("argo", "web:0"), twin], status),
    "web-computed",
    "unless it means another version",
  );
  t.end();
});

test("identity: while the status tells of the spec as it stands, not even the template counts", (t) => {
  const mutated = replicaSet("argo", "mirror.example.com/web:1");
  t.equal(found([mutated], { currentPodHash: "argo", observedGeneration: "4" }), "web-argo");
  t.equal(found([mutated], { currentPodHash: "argo", observedGeneration: "3" }), undefined);
  const conditions = [{ type: "InvalidSpec", status: "True", reason: "InvalidSpec", message: "" }];
  t.equal(
    found([mutated], { currentPodHash: "argo", observedGeneration: "4", conditions }),
    undefined,
    "the status of an invalid Rollout tells of the version before",
  );
  t.equal(found([mutated], { observedGeneration: "4" }), undefined, "and one without a hash tells nothing");
  t.end();
});

test("identity: what a controller injects makes no other version", (t) => {
  const role = { labels: { role: "stable" }, annotations: { note: "a" } };
  const metadata = { labels: { app: "web", role: "stable" }, annotations: { note: "a" } };
  const annotations = { "rollout.argoproj.io/ephemeral-metadata": JSON.stringify(role) };
  t.equal(found([replicaSet("old", "web:1", { annotations, template: { metadata } })], {}), "web-old");
  t.equal(
    found([replicaSet("old", "web:1", { template: { metadata } })], {}),
    undefined,
    "what it wrote down",
  );
  const broken = { "rollout.argoproj.io/ephemeral-metadata": "{" };
  t.equal(
    found([replicaSet("old", "web:1", { annotations: broken })], {}),
    "web-old",
    "or what others broke",
  );

  const expression = { key: "rollouts-pod-template-hash", operator: "In", values: ["x"] };
  const term = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchExpressions: [expression] } };
  const own = { topologyKey: "zone", labelSelector: { matchLabels: { app: "web" } } };
  const withAffinity = (affinity: object) => ({
    spec: { containers: TEMPLATE.spec.containers, affinity: { podAntiAffinity: affinity } },
  });
  const required = withAffinity({ requiredDuringSchedulingIgnoredDuringExecution: [term] });
  t.equal(found([replicaSet("old", "web:1", { template: required })], {}), "web-old");
  const preferred = withAffinity({
    preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: term }],
  });
  t.equal(found([replicaSet("old", "web:1", { template: preferred })], {}), "web-old");
  const users = withAffinity({ requiredDuringSchedulingIgnoredDuringExecution: [own, term] });
  t.equal(
    found([replicaSet("old", "web:1", { template: users })], {}),
    undefined,
    "a user's own affinity does",
  );
  t.end();
});

test("identity: the status tells of the spec only when it says so and could do something about it", (t) => {
  t.ok(isSpecObserved(rollout({ observedGeneration: "4" })));
  t.notOk(isSpecObserved(rollout({ observedGeneration: "5" })));
  t.notOk(isSpecObserved(rollout({ observedGeneration: "six" })));
  t.notOk(isSpecObserved(rollout({})));
  t.end();
});
