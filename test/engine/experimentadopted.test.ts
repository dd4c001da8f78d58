// The Experiment of a canary step found again after a crash, names that are taken, and what of a step stands in its Experiment.
import { test } from "tap";
import type { KubeObject } from "../../src/api/api.ts";
import { applyMergePatch } from "../../src/lib/patch.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";

const CANARY_ONLY = { templates: [{ name: "a", specRef: "canary" }] };

/** Before the pass that makes the Experiment of the first step. */
function before(experiment: object = CANARY_ONLY, spec: Readonly<Record<string, unknown>> = {}): World {
  const world = worldWith({ replicas: 2, steps: [{ experiment }, { pause: {} }], spec });
  world.add("templates", analysisTemplate("AnalysisTemplate", "errors"));
  world.add("clusterTemplates", analysisTemplate("ClusterAnalysisTemplate", "latency"));
  world.settle();
  world.editSpec(imagePatch("web:2"));
  for (let count = 0; count < 20 && newest(world) === undefined; count += 1) {
    world.apply(world.plan());
    world.runReplicaSets();
  }
  return world;
}

function analysisTemplate(kind: string, name: string): KubeObject {
  const args = ["x", "old", "new"].map((argument) => ({ name: argument, value: "by default" }));
  const metrics = [{ name: "m", provider: { plugin: { "a/b": {} } } }];
  return { apiVersion: "argoproj.io/v1alpha1", kind, metadata: { name }, spec: { args, metrics } };
}

/** The Experiment that the next pass makes. */
function newest(world: World): KubeObject | undefined {
  const action = world.plan().actions.find(({ kind }) => kind === "createExperiment");
  return action?.kind === "createExperiment" ? action.object : undefined;
}

/** What the next pass does about Experiments, and at which one the status then stands. */
function outcome(world: World): readonly [actions: readonly string[], current: string | undefined] {
  const { actions, status } = world.plan();
  const about = actions.filter(({ kind }) => kind.endsWith("Experiment"));
  return [about.map(({ kind, name }) => `${kind} ${name}`), status.canary?.currentExperiment];
}

/** As if weir had crashed once the Experiment was made, and somebody had changed it since. */
function crashed(world: World, change: object = {}): string {
  const made = newest(world);
  if (made === undefined) throw new Error("no Experiment is to be made");
  // A merge of an object with an object patch is an object of the same kind.
  world.add("experiments", applyMergePatch(made, change) as KubeObject);
  return made.metadata.name;
}

test("experiment step: after a crash the Experiment that was made is the step's, unless it is none for it", (t) => {
  const other = {
    metadata: { ownerReferences: [{ kind: "Rollout", name: "api", uid: "uid-api", controller: true }] },
  };
  const cases: readonly [string, object, "taken" | "left" | "ended"][] = [
    ["as it was made", {}, "taken"],
    ["it runs already", { status: { phase: "Running" } }, "taken"],
    ["of no owner", { metadata: { ownerReferences: null } }, "left"],
    ["of another owner", other, "left"],
    ["on its way out", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }, "left"],
    ["it has its verdict", { status: { phase: "Successful" } }, "left"],
    ["it failed", { status: { phase: "Failed" } }, "left"],
    ["written otherwise", { spec: { duration: "5m" } }, "ended"],
  ];
  for (const [words, change, fate] of cases) {
    const world = before();
    const name = crashed(world, change);
    const actions = {
      taken: [],
      left: [`createExperiment ${name}-1`],
      ended: [`createExperiment ${name}-1`, `terminateExperiment ${name}`],
    }[fate];
    t.strictSame(outcome(world), [actions, fate === "taken" ? name : `${name}-1`], words);
  }
  t.end();
});

test("experiment step: an Experiment that is found again is waited for, and told no second time", (t) => {
  const world = before();
  const told = () => world.plan().events.filter(({ reason }) => reason === "ExperimentCreated").length;
  t.equal(told(), 1);
  const name = crashed(world);
  t.equal(told(), 0);
  t.match(world.plan().explanation.waits, [{ code: "experiment", text: `Experiment ${name} is Pending` }]);
  world.settle();
  t.equal(world.experiments.size, 1);
  t.equal(world.status().canary?.currentExperiment, name);
  t.end();
});

test("experiment step: the first name that is free is taken, up to 1000 of them", (t) => {
  const world = before();
  const base = crashed(world, { metadata: { ownerReferences: null } });
  const made = world.experiments.get(base);
  if (made === undefined) throw new Error("there is no Experiment");
  const occupy = (from: number, to: number): void => {
    for (let index = from; index <= to; index += 1)
      world.add("experiments", { ...made, metadata: { ...made.metadata, name: `${base}-${index}` } });
  };
  occupy(1, 998);
  t.strictSame(outcome(world), [[`createExperiment ${base}-999`], `${base}-999`]);
  occupy(999, 999);
  t.strictSame(outcome(world), [[], undefined]);
  t.match(world.plan().explanation.waits, [
    { code: "valid", text: `no free name for an Experiment like ${base}` },
  ]);
  t.end();
});

test("experiment step: what the step does not say is not in its Experiment", (t) => {
  const world = before();
  const labels = { app: "web" };
  t.strictSame(newest(world)?.spec, {
    templates: [
      {
        name: "a",
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "web:2" }] } },
      },
    ],
  });
  t.end();
});

test("experiment step: sizes, readiness, Services and analyses go along as they are written", (t) => {
  const step = {
    templates: [
      { name: "a", specRef: "canary", replicas: 0, service: {} },
      { name: "b", specRef: "stable", replicas: 3, service: { name: "lab" } },
    ],
    analyses: [
      { name: "plain", templateName: "errors" },
      { name: "wide", templateName: "latency", clusterScope: true, requiredForCompletion: false },
      { name: "local", templateName: "errors", clusterScope: false, args: [{ name: "x", value: "1" }] },
      {
        name: "versions",
        templateName: "errors",
        args: [
          { name: "old", valueFrom: { podTemplateHashValue: "Stable" } },
          { name: "new", valueFrom: { podTemplateHashValue: "Latest" } },
        ],
      },
    ],
  };
  const world = before(step, { minReadySeconds: 7 });
  const { stableRS, currentPodHash } = world.status();
  const spec = Object(newest(world)?.spec);
  const { analyses } = spec;
  t.strictSame(analyses, [
    { name: "plain", templateName: "errors" },
    { name: "wide", templateName: "latency", clusterScope: true, requiredForCompletion: false },
    { name: "local", templateName: "errors", clusterScope: false, args: [{ name: "x", value: "1" }] },
    {
      name: "versions",
      templateName: "errors",
      args: [
        { name: "old", value: stableRS },
        { name: "new", value: currentPodHash },
      ],
    },
  ]);
  t.not(stableRS, currentPodHash);
  const labels = { app: "web" };
  const pods = (image: string) => ({ metadata: { labels }, spec: { containers: [{ name: "main", image }] } });
  const common = { minReadySeconds: 7, selector: { matchLabels: labels } };
  t.strictSame(spec.templates, [
    { name: "a", replicas: 0, ...common, template: pods("web:2"), service: {} },
    { name: "b", replicas: 3, ...common, template: pods("web:1"), service: { name: "lab" } },
  ]);
  t.end();
});

test("experiment step: an argument that the Rollout has no value for yet is named, nothing is made until it has", (t) => {
  const args = [{ name: "x", valueFrom: { fieldRef: { fieldPath: "status.workloadObservedGeneration" } } }];
  const world = before({ ...CANARY_ONLY, analyses: [{ name: "errors", templateName: "errors", args }] });
  t.strictSame(outcome(world), [[], undefined]);
  t.match(world.plan().explanation.waits, [{ code: "valid", text: "args.x was not resolved" }]);
  world.patchStatus({ workloadObservedGeneration: "4" });
  t.match(newest(world)?.spec, { analyses: [{ name: "errors", args: [{ name: "x", value: "4" }] }] });
  t.end();
});
