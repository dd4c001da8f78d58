// Background and step analysis in the engine: when a run is made, what its end decides, and what ends it.
import { test } from "tap";
import { type AnalysisPhase, type AnalysisRun, INSTANCE_ID_LABEL } from "../../src/api/api.ts";
import { contextOf } from "../../src/engine/context.ts";
import { hasOpenRun } from "../../src/engine/steps/analysisruns.ts";
import { freeRunName } from "../../src/engine/steps/newrun.ts";
import { imagePatch, runView, type World, worldWith } from "../support/world.ts";

const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate", version: "canary" } } };

function template(name: string, spec: object): Parameters<World["add"]>[1] {
  const metadata = { name, namespace: "default" };
  return { apiVersion: "argoproj.io/v1alpha1", kind: "AnalysisTemplate", metadata, spec: { ...spec } };
}

function analysed(analysis: object, canary: object = {}): World {
  const steps = [{ setWeight: 50 }, { analysis }, { pause: {} }];
  const world = worldWith({ replicas: 2, steps, canary: { ...canary } });
  world.add(
    "templates",
    template("errors", {
      args: [{ name: "version" }, { name: "limit", value: "0.05" }, { name: "region" }],
      metrics: [{ name: "errors", successCondition: "result < {{args.limit}}", provider }],
    }),
  );
  return world;
}

const ARGS = [
  { name: "version", valueFrom: { podTemplateHashValue: "Latest" } },
  { name: "region", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
];

test("analysis: a step's run has Argo's name, labels, owner and resolved arguments", async (t) => {
  const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const [run] = world.runs.values();
  const hash = world.status().currentPodHash;
  t.equal(run?.metadata.name, `web-${hash}-2-1`);
  t.strictSame(run?.metadata.labels, {
    app: "web",
    "rollouts-pod-template-hash": hash,
    "rollout-type": "Step",
    "step-index": "1",
  });
  t.match(run?.metadata.annotations, { "rollout.argoproj.io/revision": "2" });
  t.match(run?.metadata.ownerReferences, [{ kind: "Rollout", name: "web", controller: true }]);
  t.match(run?.spec, {
    args: [
      { name: "version", value: hash },
      { name: "limit", value: "0.05" },
      { name: "region", value: "web" },
    ],
    metrics: [{ name: "errors" }],
  });
});

test("analysis: a run belongs to the controller that its Rollout belongs to", async (t) => {
  const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS });
  const labels = { [INSTANCE_ID_LABEL]: "blue", team: "shop" };
  world.rollout = { ...world.rollout, metadata: { ...world.rollout.metadata, labels } };
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const [run] = world.runs.values();
  t.equal(run?.metadata.labels?.[INSTANCE_ID_LABEL], "blue");
  t.equal(run?.metadata.labels?.team, undefined, "only that one label is handed on");
});

test("analysis: an argument that nobody gives makes the Rollout InvalidSpec", async (t) => {
  const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS.slice(0, 1) });
  t.match(world.settle().status.message, /steps\[1\]\.analysis\.templates: .*args\.region was not resolved$/);
});

test("analysis: counts and times that come from arguments are judged by their values", async (t) => {
  const metric = { name: "rate", count: "{{args.count}}", interval: "{{args.every}}", provider };
  const messageFor = (...values: readonly string[]): string => {
    const [count = "", every = ""] = values;
    const world = worldWith({
      replicas: 2,
      steps: [{ setWeight: 50 }, { analysis: { templates: [{ templateName: "rate" }] } }],
    });
    const args = [
      { name: "count", value: count },
      { name: "every", value: every },
    ];
    world.add("templates", template("rate", { args, metrics: [metric] }));
    return world.settle().status.message ?? "";
  };
  t.equal(messageFor("2", "5s"), "");
  t.match(
    messageFor("0", "5s"),
    /AnalysisTemplate rate has metric rate which runs indefinitely\. Invalid value for count: 0$/,
  );
  t.match(messageFor("2", "often"), /invalid interval string: .*"often"/);
});

test("analysis: finished runs beyond the history limits are deleted, oldest first", async (t) => {
  const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS });
  world.editSpec({ analysis: { successfulRunHistoryLimit: 1, unsuccessfulRunHistoryLimit: 1 } });
  world.settle();
  for (const image of ["web:2", "web:3", "web:4"]) {
    world.nowMs += 60_000;
    world.editSpec(imagePatch(image));
    world.settle();
    world.setRun(world.status().canary?.currentStepAnalysisRunStatus?.name ?? "", "Successful");
    world.settle();
    world.patchStatus({ pauseConditions: null });
    world.settle();
    t.equal(world.status().phase, "Healthy");
  }
  t.strictSame([...world.runs.keys()], [`web-${world.status().stableRS}-4-1`]);
});

test("analysis: a run that a crash left behind without a trace in the status is taken up", async (t) => {
  const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  for (let pass = 0; pass < 20 && world.runs.size === 0; pass += 1) {
    const plan = world.plan();
    const at = plan.actions.findIndex((action) => action.kind === "createAnalysisRun");
    world.apply(plan, at >= 0 ? at + 1 : undefined);
    world.runReplicaSets();
  }
  t.equal(world.status().canary?.currentStepAnalysisRunStatus, undefined);
  world.settle();
  t.equal(world.runs.size, 1);
  t.equal(world.status().canary?.currentStepAnalysisRunStatus?.name, [...world.runs.keys()][0]);
});

test("analysis: the next step's run waits for it after a crash, and ends when the steps are others", async (t) => {
  const steps = [{ setWeight: 50 }, { analysis: { templates: [{ templateName: "errors" }] } }];
  const world = worldWith({ replicas: 2, isRouted: true, steps });
  world.add("templates", template("errors", { metrics: [{ name: "errors", provider }] }));
  world.settle();
  world.editSpec(imagePatch("web:2"));
  // Until the pass that begins step 2.
  for (let pass = 0; pass < 20 && world.plan().actions[0]?.kind !== "createAnalysisRun"; pass += 1) {
    world.apply(world.plan());
    world.runReplicaSets();
  }
  const plan = world.plan();
  t.match(plan.actions, [{ kind: "createAnalysisRun" }]);
  world.apply(plan, 1);
  // The next leader has not published the weights yet, and does not know what the proxies follow.
  world.restart();
  const [name = ""] = world.runs.keys();
  t.match(world.plan(), { status: { currentStepIndex: 0 }, actions: [] }, "the step is not done yet");
  const other = world.clone();
  world.settle();
  t.strictSame([...world.runs.keys()], [name]);
  t.equal(world.status().canary?.currentStepAnalysisRunStatus?.name, name);
  other.editSpec({ strategy: { canary: { steps: [{ setWeight: 50 }, { pause: {} }] } } });
  t.match(other.plan().actions, [{ kind: "terminateAnalysisRun", name }]);
});

test("analysis: going past a running step ends its run", async (t) => {
  const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.patchStatus({ currentStepIndex: 2 });
  world.settle();
  t.match([...world.runs.values()][0]?.spec, { terminate: true });
  t.equal(world.status().message, "CanaryPauseStep");
});

test("analysis: an abort and a full promotion end what still runs", async (t) => {
  for (const patch of [{ abort: true }, { promoteFull: true }]) {
    const background = { analysis: { templates: [{ templateName: "errors" }], args: ARGS } };
    const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS }, background);
    world.settle();
    world.editSpec(imagePatch("web:2"));
    world.settle();
    t.equal(world.runs.size, 2);
    world.patchStatus(patch);
    world.settle();
    for (const run of world.runs.values()) t.match(run.spec, { terminate: true });
  }
});

test("analysis: the name of a new run is free, or that of an open one of the same content", (t) => {
  const spec = { metrics: [] };
  const run = (name: string, of: { phase?: AnalysisPhase; uid?: string; isGoing?: true; args?: [] } = {}) =>
    runView({
      apiVersion: "argoproj.io/v1alpha1",
      kind: "AnalysisRun",
      metadata: {
        name,
        ...(of.isGoing && { deletionTimestamp: "2026-01-01T00:00:00Z" }),
        ownerReferences: [
          {
            apiVersion: "argoproj.io/v1alpha1",
            kind: "Rollout",
            name: "web",
            uid: of.uid ?? "owner",
            controller: true,
          },
        ],
      },
      spec: { ...spec, ...(of.args && { args: of.args }) },
      status: of.phase === undefined ? {} : { phase: of.phase },
    });
  const nameAmong = (...runs: AnalysisRun[]) => freeRunName(runs, "web-1", "owner", spec);
  t.strictSame(nameAmong(), { kind: "free", name: "web-1" });
  t.strictSame(nameAmong(run("web-1")), { kind: "run", name: "web-1" });
  t.strictSame(nameAmong(run("web-1", { phase: "Running" })), { kind: "run", name: "web-1" });
  for (const other of [
    { phase: "Successful" } as const,
    { uid: "another" },
    { isGoing: true } as const,
    { args: [] as [] },
  ])
    t.strictSame(nameAmong(run("web-1", other)), { kind: "free", name: "web-1.1" });
  const ended = (name: string) => run(name, { phase: "Failed" });
  t.strictSame(nameAmong(ended("web-1"), ended("web-1.1")), { kind: "free", name: "web-1.2" });
  const all = Array.from({ length: 999 }, (_, index) => ended(`web-1.${index + 1}`));
  t.strictSame(nameAmong(ended("web-1"), ...all), {
    kind: "error",
    message: "no free name for an AnalysisRun like web-1",
  });
  t.end();
});

test("analysis: an open run is one of this Rollout, version and kind that nobody ends", (t) => {
  const world = worldWith({ replicas: 1 });
  world.settle();
  const context = contextOf(world.snapshot(), world.nowMs);
  const labels = { "rollouts-pod-template-hash": context.podHash, "rollout-type": "PostPromotion" };
  const isOpen = (change: { metadata?: object; spec?: object; status?: object }): boolean => {
    const owner = { apiVersion: "v1", kind: "Rollout", name: "web", uid: context.uid, controller: true };
    const run = runView({
      apiVersion: "argoproj.io/v1alpha1",
      kind: "AnalysisRun",
      metadata: { name: "run", labels, ownerReferences: [owner], ...change.metadata },
      spec: { metrics: [], ...change.spec },
      status: { phase: "Running", ...change.status },
    });
    const { snapshot } = context;
    const seen = { ...snapshot, analysis: { ...snapshot.analysis, runs: [run] } };
    return hasOpenRun({ ...context, snapshot: seen }, "PostPromotion");
  };
  t.equal(isOpen({}), true);
  t.equal(isOpen({ status: { phase: "Pending" } }), true);
  for (const change of [
    { spec: { terminate: true } },
    { status: { phase: "Successful" } },
    { metadata: { labels: { ...labels, "rollout-type": "PrePromotion" } } },
    { metadata: { labels: { ...labels, "rollouts-pod-template-hash": "another" } } },
    { metadata: { labels: undefined } },
    { metadata: { ownerReferences: [] } },
    { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } },
  ])
    t.equal(isOpen(change), false, JSON.stringify(change));
  t.end();
});

test("analysis: a background run carries no index of a step, and a message that says nothing is none", (t) => {
  const background = { analysis: { templates: [{ templateName: "errors" }], args: ARGS } };
  const world = analysed({ templates: [{ templateName: "errors" }], args: ARGS }, background);
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const hash = world.status().currentPodHash;
  t.strictSame(world.runs.get(`web-${hash}-2`)?.metadata.labels, {
    app: "web",
    "rollouts-pod-template-hash": hash,
    "rollout-type": "Background",
  });
  world.setRun(`web-${hash}-2`, "Running", "");
  world.settle();
  t.strictSame(world.status().canary?.currentBackgroundAnalysisRunStatus, {
    name: `web-${hash}-2`,
    status: "Running",
  });
  t.end();
});

test("analysis: an argument without a value and without a place to take it from is not resolved", (t) => {
  const world = analysed({ templates: [{ templateName: "errors" }], args: [{ name: "version" }] });
  world.settle();
  t.match(world.status().message, /args\.version was not resolved$/);
  t.end();
});
