// Blue-green where a script shows too little: what random histories once broke, and what a crash between two writes leaves.
import { test } from "tap";
import { imagePatch, type World, worldWith } from "../support/world.ts";

const ANALYSIS = { templates: [{ templateName: "errors" }] };

function newWorld(blueGreen: Readonly<Record<string, unknown>>, isRouted = true): World {
  const world = worldWith({ replicas: 1, isRouted, blueGreen });
  const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate" } } };
  world.add("templates", {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name: "errors", namespace: "default" },
    spec: { metrics: [{ name: "errors", successCondition: "result < 0.05", provider }] },
  });
  world.settle();
  return world;
}

/** Names of the AnalysisRuns, those that are to end with a mark. */
const runsOf = (world: World): readonly string[] =>
  [...world.runs.values()].map(({ metadata, spec }) => {
    const isEnding = Object(spec).terminate === true;
    return isEnding ? `${metadata.name} ends` : metadata.name;
  });

test("blue-green: a run that could not be noted before a crash is taken up, not ended", async (t) => {
  const world = newWorld({ postPromotionAnalysis: ANALYSIS });
  world.acking = "manual";
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.acknowledge();
  const plan = world.plan();
  t.match(plan.actions, [{ kind: "createAnalysisRun" }]);
  world.apply(plan, 1);
  // The next leader does not know yet what the proxies follow.
  world.restart();
  world.settle();
  const [name = ""] = runsOf(world);
  t.match(name, /-2-post$/);
  world.acknowledge();
  world.settle();
  t.strictSame(runsOf(world), [name]);
  t.equal(world.status().blueGreen?.postPromotionAnalysisRunStatus?.name, name);
});

test("blue-green: a preview as large as the whole leaves no checkpoint behind", async (t) => {
  const world = newWorld({ previewReplicaCount: 1 });
  world.editSpec(imagePatch("web:2"));
  world.settle();
  t.match(world.status(), { phase: "Healthy" });
  t.equal(world.status().blueGreen?.scaleUpPreviewCheckPoint, undefined);
});

test("blue-green: a switch that a crash cut off after the Service is finished by the next pass", async (t) => {
  const world = newWorld({ previewService: "web-preview" }, false);
  world.readiness = "manual";
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.setReady(world.roleOf("canary")?.metadata.name ?? "", 1);
  const before = world.status();
  const plan = world.plan();
  t.match(plan.actions, [{ kind: "selectPods", name: "web-active", podHash: before.currentPodHash }]);
  world.apply(plan, 1);
  t.equal(world.status().blueGreen?.activeSelector, before.stableRS, "the status does not know of it");
  world.restart();
  world.settle();
  t.match(world.status(), {
    phase: "Healthy",
    stableRS: before.currentPodHash,
    blueGreen: { activeSelector: before.currentPodHash },
  });
});

test("blue-green: without replicas a switch waits for no pod", async (t) => {
  const world = newWorld({ autoPromotionEnabled: false }, false);
  world.editSpec({ replicas: 0 });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  t.match(world.status(), { phase: "Paused" });
  world.patchStatus({ pauseConditions: null });
  world.settle();
  const { stableRS, currentPodHash, blueGreen } = world.status();
  t.equal(stableRS, currentPodHash);
  t.equal(blueGreen?.activeSelector, currentPodHash);
});

test("blue-green: an abort that a crash kept out of the status does not make a version one to go back to", async (t) => {
  const world = newWorld({ prePromotionAnalysis: ANALYSIS }, false);
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.patchStatus({ abort: true });
  world.apply(world.plan(), 1);
  world.restart();
  world.patchStatus({ abort: false });
  world.settle();
  t.match(world.status(), { phase: "Progressing", message: "active service cutover pending" });
  t.equal(world.status().blueGreen?.activeSelector, world.status().stableRS, "its analysis is not over");
});

test("blue-green: a rollback within the delay stays one over a crash after any of its writes", async (t) => {
  for (const writes of [1, 2, 3]) {
    const world = newWorld({ postPromotionAnalysis: ANALYSIS }, false);
    const first = world.status().stableRS;
    world.editSpec(imagePatch("web:2"));
    world.settle();
    world.setRun(world.status().blueGreen?.postPromotionAnalysisRunStatus?.name ?? "", "Successful");
    world.settle();
    world.editSpec(imagePatch("web:1"));
    world.apply(world.plan());
    world.apply(world.plan(), writes);
    world.restart();
    world.settle();
    t.match(world.status(), { phase: "Healthy", stableRS: first }, `after ${writes} writes`);
    t.equal(runsOf(world).length, 1, "no other analysis");
  }
});

test("blue-green: what goes well is told as normal, what fails as a warning", async (t) => {
  const world = newWorld({ autoPromotionEnabled: false, postPromotionAnalysis: ANALYSIS }, false);
  world.events.length = 0;
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.patchStatus({ pauseConditions: null });
  world.settle();
  world.setRun(world.status().blueGreen?.postPromotionAnalysisRunStatus?.name ?? "", "Failed");
  world.settle();
  const warnings = world.events.filter(({ type }) => type !== "Normal");
  t.ok(world.events.some(({ reason }) => reason === "RolloutResumed"));
  t.equal(world.events.filter(({ reason }) => reason === "SwitchService").length, 2);
  t.strictSame(
    warnings.map(({ type, reason }) => [type, reason]),
    [
      ["Warning", "AnalysisRunFailed"],
      ["Warning", "RolloutAborted"],
    ],
  );
});

test("blue-green: the pass that notes another version needs no wake-up of its own", async (t) => {
  const world = newWorld({}, false);
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.editSpec(imagePatch("web:1"));
  const { requeueAtMs = 0 } = world.plan();
  t.ok(Number.isSafeInteger(requeueAtMs), `asks for ${requeueAtMs}`);
});

test("blue-green: before the first switch no ReplicaSet without a version is taken for the active one", async (t) => {
  const world = worldWith({ replicas: 1, blueGreen: {} });
  const uid = world.rollout.metadata.uid ?? "";
  const owner = { apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", name: "web", uid, controller: true };
  const template = { metadata: { labels: { app: "web" } }, spec: { containers: [] } };
  world.add("replicaSets", {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "web-unlabelled", namespace: "default", ownerReferences: [owner] },
    spec: { replicas: 0, selector: { matchLabels: { app: "web" } }, template },
    status: { replicas: 0 },
  });
  world.settle();
  t.match(world.status(), { phase: "Healthy" });
  t.match(world.replicaSets.get("web-unlabelled"), { spec: { replicas: 0 } });
  t.notOk(world.events.some(({ message }) => message.includes("web-unlabelled")));
});
