// undo and set image as patches: where they go, what they hold.
import { test } from "tap";
import type { KubeObject } from "../../src/api/api.ts";
import { imagePatch, templateHolderOf, undoPatch } from "../../src/cli/templates.ts";

const spec = (image: string) => ({
  initContainers: [{ name: "init", image: "init:1" }],
  containers: [
    { name: "main", image, ports: [{ containerPort: 80 }] },
    { name: "side", image: "side:1" },
  ],
});
const template = (image: string, labels: object = {}) => ({
  metadata: { labels: { app: "web", ...labels } },
  spec: spec(image),
});

function rollout(image: string, more: object = {}): KubeObject {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", uid: "r", resourceVersion: "7" },
    spec: { template: template(image), ...more },
  };
}

function replicaSet(revision: number, image: string, owner = "r", annotations: object = {}): KubeObject {
  const ownerReferences = [
    { apiVersion: "a/v1", kind: "Rollout", name: "web", uid: owner, controller: true },
  ];
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `web-${revision}`,
      ownerReferences,
      annotations: { "rollout.argoproj.io/revision": String(revision), ...annotations },
    },
    spec: { template: template(image, { "rollouts-pod-template-hash": `h${revision}` }) },
  };
}

const SETS = [
  replicaSet(1, "web:1"),
  replicaSet(3, "web:3"),
  replicaSet(2, "web:2"),
  replicaSet(9, "x", "other"),
];

test("undo: brings back the revision before the newest, without its hash label", (t) => {
  t.strictSame(undoPatch(rollout("web:3"), rollout("web:3"), SETS, 0), {
    type: "json",
    body: [{ op: "replace", path: "/spec/template", value: template("web:2") }],
  });
  t.match(undoPatch(rollout("web:3"), rollout("web:3"), SETS, 1), {
    body: [{ value: { spec: { containers: [{ image: "web:1" }] } } }],
  });
  t.end();
});

test("undo: leaves out what a controller has injected", (t) => {
  const role = JSON.stringify({ labels: { role: "stable" } });
  const old = replicaSet(1, "web:1", "r", { "rollout.argoproj.io/ephemeral-metadata": role });
  const injected = { ...old, spec: { template: template("web:1", { role: "stable" }) } };
  const patch = undoPatch(rollout("web:3"), rollout("web:3"), [injected, replicaSet(2, "web:3")], 0);
  t.strictSame(patch?.body, [{ op: "replace", path: "/spec/template", value: template("web:1") }]);
  t.end();
});

test("undo: a template that means the same needs no patch; a revision that is not there is said", (t) => {
  t.equal(undoPatch(rollout("web:2"), rollout("web:2"), SETS, 0), undefined);
  t.throws(() => undoPatch(rollout("web:3"), rollout("web:3"), SETS, 7), {
    message: "unable to find specified revision 7 in history; there are: 3, 2, 1",
  });
  t.throws(() => undoPatch(rollout("web:1"), rollout("web:1"), [replicaSet(1, "web:1")], 0), {
    message: 'no revision found for rollout "web"; there are: 1',
  });
  t.end();
});

test("set image: changes one container, or all, and keeps the rest", (t) => {
  const patch = imagePatch(rollout("web:1"), "main", "web:2");
  t.strictSame(patch, {
    type: "merge",
    body: {
      metadata: { resourceVersion: "7" },
      spec: { template: { spec: spec("web:2") } },
    },
  });
  t.match(imagePatch(rollout("web:1"), "*", "all"), {
    body: {
      spec: {
        template: {
          spec: { initContainers: [{ image: "all" }], containers: [{ image: "all" }, { image: "all" }] },
        },
      },
    },
  });
  t.throws(() => imagePatch(rollout("web:1"), "nobody", "x"), {
    message: 'unable to find container named "nobody"; there are: init, main, side',
  });
  t.end();
});

test("templates: stand in the workload where workloadRef names one", (t) => {
  const ref = (apiVersion: string, kind: string) =>
    rollout("", { workloadRef: { apiVersion, kind, name: "base" } });
  t.match(templateHolderOf(rollout("web:1")), { type: { kind: "Rollout" }, name: "web" });
  t.match(templateHolderOf(ref("apps/v1", "Deployment")), { type: { plural: "deployments" }, name: "base" });
  t.match(templateHolderOf(ref("v1", "PodTemplate")), { type: { plural: "podtemplates" }, name: "base" });
  t.throws(() => templateHolderOf(ref("batch/v1", "Job")), { message: /Job is not supported/ });
  const podTemplate: KubeObject = {
    apiVersion: "v1",
    kind: "PodTemplate",
    metadata: { name: "base", resourceVersion: "3" },
    template: template("web:3"),
  };
  t.match(undoPatch(rollout(""), podTemplate, SETS, 1), { body: [{ path: "/template" }] });
  t.match(imagePatch(podTemplate, "main", "web:4"), {
    body: { template: { spec: { containers: [{ image: "web:4" }, { image: "side:1" }] } } },
  });
  t.end();
});
