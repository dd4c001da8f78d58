// Rollouts that take their pod template from another object.
import { test } from "tap";
import { type KubeObject, readRollout, resolveWorkload, workloadTypeOf } from "../../src/api/api.ts";

const TEMPLATE = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "main", image: "web:1" }] },
};
const DEPLOYMENT: KubeObject = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "shop", uid: "u1", generation: 7 },
  spec: { replicas: 3, selector: { matchLabels: { app: "web" } }, template: TEMPLATE },
};

function resolve(spec: object, workload: KubeObject | undefined = DEPLOYMENT) {
  const raw = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace: "shop" },
    spec,
  };
  const asked: string[] = [];
  const resolved = resolveWorkload(raw, readRollout(raw).value, (type, name) => {
    asked.push(`${type.kind} ${name}`);
    return workload;
  });
  return { given: raw, asked, ...resolved };
}

const REF = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };

test("workloadref: template and selector come from the Deployment, into what is read only", (t) => {
  const { given, asked, rollout, raw: held, reference, checked } = resolve({ workloadRef: REF });
  t.strictSame(asked, ["Deployment web"]);
  t.strictSame(rollout.spec.template, TEMPLATE);
  t.strictSame(rollout.spec.selector, { matchLabels: { app: "web" } });
  t.match(reference, { kind: "found", generation: "7", replicas: 3, uid: "u1" });
  t.strictSame(held.spec, {
    workloadRef: REF,
    template: TEMPLATE,
    selector: { matchLabels: { app: "web" } },
  });
  t.strictSame(given.spec, { workloadRef: REF });
  t.equal(checked.spec.workloadRef, undefined, "the rules hold the template as its own");
  t.end();
});

test("workloadref: the Rollout's own selector stays", (t) => {
  const selector = { matchLabels: { app: "web", tier: "front" } };
  t.strictSame(resolve({ workloadRef: REF, selector }).rollout.spec.selector, selector);
  t.end();
});

test("workloadref: a PodTemplate has its template at the top, and no replicas", (t) => {
  const podTemplate = {
    apiVersion: "v1",
    kind: "PodTemplate",
    metadata: { name: "web" },
    template: TEMPLATE,
  };
  const spec = { workloadRef: { apiVersion: "v1", kind: "PodTemplate", name: "web" } };
  const { rollout, reference } = resolve(spec, podTemplate);
  t.strictSame(rollout.spec.template, TEMPLATE);
  t.equal(rollout.spec.selector, undefined);
  t.match(reference, { kind: "found", generation: "0", replicas: undefined });
  t.end();
});

test("workloadref: what cannot be used is said as Argo says it", (t) => {
  const words = (spec: object, workload?: KubeObject | null) => {
    const raw = { apiVersion: "a/v1", kind: "Rollout", metadata: { name: "web", namespace: "shop" }, spec };
    const { reference } = resolveWorkload(raw, readRollout(raw).value, () => workload ?? undefined);
    return reference?.kind === "missing" ? reference.words : undefined;
  };
  t.equal(words({ workloadRef: REF }), 'deployments.apps "shop/web" not found');
  t.equal(
    words({ workloadRef: REF, template: TEMPLATE }, DEPLOYMENT),
    "template must be empty for workload reference rollout",
  );
  t.equal(words({ workloadRef: REF, template: {} }, DEPLOYMENT), undefined, "an empty template is none");
  t.equal(
    words({ workloadRef: { apiVersion: "batch/v1", kind: "Job", name: "web" } }),
    "workload of type batch/Job is not supported",
  );
  t.equal(words({ workloadRef: {} }), "workload of type / is not supported");
  t.equal(words({}), undefined);
  t.end();
});

test("workloadref: kinds are told by group and kind", (t) => {
  t.equal(workloadTypeOf({ apiVersion: "apps/v1", kind: "ReplicaSet" })?.plural, "replicasets");
  t.equal(workloadTypeOf({ apiVersion: "v1", kind: "PodTemplate" })?.plural, "podtemplates");
  t.equal(workloadTypeOf({ apiVersion: "v1", kind: "Deployment" }), undefined);
  t.equal(workloadTypeOf({ kind: "Deployment" }), undefined);
  t.end();
});
