// What the canary step `experiment` writes: the Experiment's name, owner and spec, from the two versions and what the step says of them.
import { test } from "tap";
import { INSTANCE_ID_LABEL, type KubeObject, POD_HASH_LABEL } from "../../src/api/api.ts";
import { passExperiments } from "../../src/simulate/experiments.ts";
import { worldWith } from "../support/world.ts";

const TEMPLATE = {
  metadata: { labels: { app: "web" }, annotations: { team: "shop" } },
  spec: { containers: [{ name: "main", image: "web:1", ports: [{ containerPort: 8080 }] }] },
};

function created(experiment: object, spec: object = {}, labels: Readonly<Record<string, string>> = {}) {
  const steps = [{ setWeight: 20 }, { experiment }];
  const world = worldWith({ replicas: 4, isRouted: true, steps, spec: { template: TEMPLATE, ...spec } });
  world.add("templates", {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors", namespace: "default" },
    spec: { args: [{ name: "hash" }], metrics: [{ name: "m", provider: { plugin: { "a/b": {} } } }] },
  });
  world.rollout = { ...world.rollout, metadata: { ...world.rollout.metadata, labels } };
  world.settle();
  world.editSpec({
    template: { spec: { containers: [{ ...TEMPLATE.spec.containers[0], image: "web:2" }] } },
  });
  world.settle();
  const [object] = world.experiments.values();
  if (object === undefined) throw new Error("there is no Experiment");
  return { world, object };
}

/** The spec that was written; a test looks at single fields of it. */
const specOf = (object: KubeObject) => object.spec as Record<string, unknown> & { templates: Template[] };
interface Template {
  readonly name: string;
  readonly selector: object;
  readonly template: { readonly metadata: object; readonly spec: { readonly containers: readonly object[] } };
  readonly service?: object;
}

test("experiment step: the Experiment is named after hash, revision and step, and owned by the Rollout", async (t) => {
  const { world, object } = created({ templates: [{ name: "a", specRef: "canary" }] });
  const hash = world.status().currentPodHash;
  t.equal(object.metadata.name, `web-${hash}-2-1`);
  t.match(object.metadata.labels, { [POD_HASH_LABEL]: hash });
  t.match(object.metadata.annotations, { "rollout.argoproj.io/revision": "2" });
  t.match(object.metadata.ownerReferences, [{ kind: "Rollout", name: "web", controller: true }]);
});

test("experiment step: the Experiment and its runs belong to the Rollout's controller", async (t) => {
  const analyses = [{ name: "errors", templateName: "errors", args: [{ name: "hash", value: "h" }] }];
  const labels = { [INSTANCE_ID_LABEL]: "blue" };
  const { world, object } = created({ templates: [{ name: "a", specRef: "canary" }], analyses }, {}, labels);
  t.equal(object.metadata.labels?.[INSTANCE_ID_LABEL], "blue");
  for (let pass = 0; pass < 20 && world.runs.size === 0; pass += 1) {
    passExperiments(world);
    world.runReplicaSets();
  }
  const [run] = world.runs.values();
  t.strictSame(run?.metadata.labels, labels);
});

test("experiment step: templates copy the version that specRef names, without its hash", async (t) => {
  const { object } = created({
    templates: [
      { name: "old", specRef: "stable", replicas: 2 },
      { name: "new", specRef: "canary" },
    ],
  });
  const [old, fresh] = specOf(object).templates;
  t.match(old, { name: "old", replicas: 2, selector: { matchLabels: { app: "web" } } });
  t.match(old?.template.spec.containers, [{ image: "web:1" }]);
  t.match(fresh?.template.spec.containers, [{ image: "web:2" }]);
  t.strictSame(fresh?.template.metadata, TEMPLATE.metadata);
  t.strictSame(fresh?.selector, { matchLabels: { app: "web" } });
});

test("experiment step: metadata goes to the pods, its labels to the selector; a selector of its own replaces the version's", async (t) => {
  const metadata = { labels: { role: "trial" }, annotations: { note: "x" } };
  const selector = { matchLabels: { tier: "lab" } };
  const { object } = created({
    templates: [
      { name: "a", specRef: "canary", metadata },
      { name: "b", specRef: "canary", metadata, selector },
    ],
  });
  const [a, b] = specOf(object).templates;
  t.strictSame(a?.template.metadata, {
    labels: { app: "web", role: "trial" },
    annotations: { team: "shop", note: "x" },
  });
  t.strictSame(a?.selector, { matchLabels: { app: "web", role: "trial" } });
  t.strictSame(b?.selector, { matchLabels: { tier: "lab", role: "trial" } });
});

test("experiment step: a weight asks for a Service, under the name that is given if any", async (t) => {
  const { object } = created({
    templates: [
      { name: "a", specRef: "canary", weight: 5 },
      { name: "b", specRef: "canary", weight: 5, service: { name: "lab" } },
      { name: "c", specRef: "canary" },
    ],
  });
  t.strictSame(
    specOf(object).templates.map(({ service }) => service),
    [{}, { name: "lab" }, undefined],
  );
});

test("experiment step: duration, deadline, delay, dry run and analyses with the Rollout's arguments go along", async (t) => {
  const { world, object } = created(
    {
      templates: [{ name: "a", specRef: "canary" }],
      duration: "5m",
      scaleDownDelaySeconds: 7,
      dryRun: [{ metricName: "m" }],
      analysisRunMetadata: { labels: { team: "shop" } },
      analyses: [
        {
          name: "errors",
          templateName: "errors",
          requiredForCompletion: true,
          args: [{ name: "hash", valueFrom: { podTemplateHashValue: "Latest" } }],
        },
      ],
    },
    { progressDeadlineSeconds: 99 },
  );
  const { templates: _, ...rest } = specOf(object);
  t.strictSame(rest, {
    duration: "5m",
    progressDeadlineSeconds: 99,
    scaleDownDelaySeconds: 7,
    dryRun: [{ metricName: "m" }],
    analysisRunMetadata: { labels: { team: "shop" } },
    analyses: [
      {
        name: "errors",
        templateName: "errors",
        args: [{ name: "hash", value: world.status().currentPodHash }],
        requiredForCompletion: true,
      },
    ],
  });
});

test("experiment: templates of equal pods have hashes of their own, which no version of the Rollout has", async (t) => {
  const { world } = created({
    templates: [
      { name: "a", specRef: "stable" },
      { name: "b", specRef: "stable" },
    ],
  });
  const hashes = [...world.replicaSets.values()].map(({ metadata }) => metadata.labels?.[POD_HASH_LABEL]);
  t.equal(hashes.length, 4);
  t.equal(new Set(hashes).size, 4, hashes.join(", "));
});
