// When an Experiment is at its end, and which objects of the namespace it takes for its own.
import { test } from "tap";
import { EXPERIMENT_TEMPLATE_ANNOTATION, type ExperimentAnalysisRunStatus } from "../../src/api/api.ts";
import { areRequiredRunsSuccessful } from "../../src/engine/experiment/context.ts";
import {
  changeObject,
  changeStatus,
  changeTemplateStatus,
  doings,
  EXPERIMENT_OWNER,
  experimentStatus,
  experimentWorld,
  nextPass,
  pass,
  servedExperiment,
  templateManifest,
} from "../support/experimentworld.ts";
import type { World } from "../support/world.ts";

const run = (name: string, phase: ExperimentAnalysisRunStatus["phase"]): ExperimentAnalysisRunStatus => ({
  name,
  analysisRun: `duel-${name}`,
  phase,
});

test("experiment: the required analyses have decided once each of them has succeeded", (t) => {
  const analysis = (name: string, requiredForCompletion?: boolean) => ({
    name,
    templateName: name,
    ...(requiredForCompletion === undefined ? {} : { requiredForCompletion }),
  });
  const both = [analysis("a", true), analysis("b", true), analysis("c", false), analysis("d")];
  const cases: readonly [
    string,
    readonly object[] | undefined,
    readonly ExperimentAnalysisRunStatus[],
    boolean,
  ][] = [
    ["none at all", undefined, [], false],
    [
      "none is required",
      [analysis("a"), analysis("b", false)],
      [run("a", "Successful"), run("b", "Successful")],
      false,
    ],
    ["the required ones", both, [run("a", "Successful"), run("b", "Successful"), run("c", "Running")], true],
    ["only one of two", both, [run("a", "Successful"), run("b", "Running")], false],
    ["only the other", both, [run("a", "Running"), run("b", "Successful")], false],
    ["one has not begun", both, [run("b", "Successful")], false],
    [
      "another one than the required",
      [analysis("a", true)],
      [run("c", "Successful"), run("a", "Running")],
      false,
    ],
    ["none has begun", both, [], false],
    ["one was inconclusive", both, [run("a", "Successful"), run("b", "Inconclusive")], false],
  ];
  for (const [words, analyses, runs, expected] of cases) {
    const spec = { templates: [], ...(analyses === undefined ? {} : { analyses: analyses as typeof both }) };
    t.equal(areRequiredRunsSuccessful(spec, runs), expected, words);
  }
  t.end();
});

test("experiment: it ends with a bad template or a bad analysis, and with none that goes on", (t) => {
  const ends = ["annotateReplicaSet duel-a"];
  const cases: readonly [string, (world: World) => void, readonly string[]][] = [
    ["nothing", () => undefined, []],
    ["template running", (world) => changeTemplateStatus(world, "a", { status: "Running" }), []],
    ["template failed", (world) => changeTemplateStatus(world, "a", { status: "Failed" }), ends],
    ["template in error", (world) => changeTemplateStatus(world, "a", { status: "Error" }), ends],
    ["run pending", (world) => changeStatus(world, { analysisRuns: [run("x", "Pending")] }), []],
    ["run running", (world) => changeStatus(world, { analysisRuns: [run("x", "Running")] }), []],
    ["run successful", (world) => changeStatus(world, { analysisRuns: [run("x", "Successful")] }), []],
    ["run failed", (world) => changeStatus(world, { analysisRuns: [run("x", "Failed")] }), ends],
    ["run in error", (world) => changeStatus(world, { analysisRuns: [run("x", "Error")] }), ends],
    ["run inconclusive", (world) => changeStatus(world, { analysisRuns: [run("x", "Inconclusive")] }), ends],
    [
      "one run of two failed",
      (world) => changeStatus(world, { analysisRuns: [run("x", "Running"), run("y", "Failed")] }),
      ends,
    ],
    ["verdict given", (world) => changeStatus(world, { phase: "Successful" }), ends],
  ];
  for (const [words, change, expected] of cases) {
    const world = servedExperiment();
    change(world);
    t.strictSame(doings(world), expected, words);
  }
  t.end();
});

test("experiment: without a duration it goes on, and says that it runs", (t) => {
  const world = servedExperiment();
  world.nowMs += 24 * 3600 * 1000;
  const { status, requeueAtMs, waits, actions } = nextPass(world);
  t.strictSame([actions, waits, requeueAtMs], [[], [], undefined]);
  t.equal(status.phase, "Running");
  t.match(status.conditions, [{ type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" }]);
  t.end();
});

test("experiment: with a duration it is looked at when that is over, and not before it is available", (t) => {
  const world = experimentWorld([templateManifest("a")], { duration: "5m" });
  pass(world, 2);
  t.equal(nextPass(world).requeueAtMs, world.nowMs + 600_000, "the progress deadline");
  world.settle();
  const startMs = world.nowMs;
  t.equal(nextPass(world).requeueAtMs, startMs + 300_000);
  world.nowMs = startMs + 299_999;
  t.strictSame(nextPass(world).status, experimentStatus(world));
  world.nowMs = startMs + 300_000;
  t.equal(nextPass(world).status.phase, "Successful");
  t.end();
});

test("experiment: a ReplicaSet is its own by owner and template, unless it is on its way out", (t) => {
  const others: readonly [string, object][] = [
    ["of another owner", { metadata: { ownerReferences: [{ ...EXPERIMENT_OWNER, uid: "uid-other" }] } }],
    ["of no owner", { metadata: { ownerReferences: null } }],
  ];
  for (const [words, patch] of others) {
    const world = servedExperiment();
    changeObject(world, "replicaSets", "duel-a", patch);
    const { actions, status } = nextPass(world);
    // Its name is taken: the next one has a number.
    t.strictSame([actions, status.templateStatuses?.[0]?.collisionCount], [[], 1], words);
  }
  const going = servedExperiment();
  changeObject(going, "replicaSets", "duel-a", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
  t.match(nextPass(going).waits, [{ text: "ReplicaSet duel-a is being deleted" }]);
  const unnamed = servedExperiment();
  const annotations = { [EXPERIMENT_TEMPLATE_ANNOTATION]: null };
  changeObject(unnamed, "replicaSets", "duel-a", { metadata: { annotations } });
  t.match(nextPass(unnamed).status.templateStatuses, [{ collisionCount: 1 }], "of no template");
  t.strictSame(doings(unnamed), [], "it is left alone");
  t.end();
});

test("experiment: a Service of another owner is not the template's", (t) => {
  const taken =
    "Failed to create Service duel-a for template 'a': service duel-a already exists and is not owned by experiment template a";
  const cases: readonly [string, object][] = [
    ["of another owner", { metadata: { ownerReferences: [{ ...EXPERIMENT_OWNER, uid: "uid-other" }] } }],
    ["of no owner", { metadata: { ownerReferences: null } }],
  ];
  for (const [words, patch] of cases) {
    const world = servedExperiment();
    changeObject(world, "services", "duel-a", patch);
    const { actions, status } = nextPass(world);
    t.strictSame(actions, [], words);
    t.match(status.templateStatuses, [{ status: "Error", message: taken }], words);
  }
  t.end();
});

test("experiment: of two ReplicaSets of one template the older one is the template's", (t) => {
  for (const [created, expected] of [
    ["2025-12-31T23:59:59Z", "duel-a-1"],
    ["2026-01-01T00:00:01Z", "duel-a"],
  ] as const) {
    const world = servedExperiment();
    const first = world.replicaSets.get("duel-a");
    if (first === undefined) throw new Error("there is no ReplicaSet");
    const metadata = { ...first.metadata, name: "duel-a-1", uid: "uid-second", creationTimestamp: created };
    world.add("replicaSets", { ...first, metadata });
    changeStatus(world, { phase: "Successful" });
    t.strictSame(doings(world), [`annotateReplicaSet ${expected}`]);
  }
  t.end();
});
