// Step plugins beyond what scripts can answer: what a call says, which answers count, what becomes of each.
import { test } from "tap";
import { decide, type Plan, type PluginAnswer, type PluginCall } from "../../src/engine/decide.ts";
import { imagePatch, START_MS, type World, worldWith } from "../support/world.ts";

const STARTED = "2026-01-01T00:00:00Z";

/** A canary at its first step, whose plugin has been asked once. */
function asked(patch: object = {}): World {
  const steps = [{ plugin: { name: "weir.dev/webhook", config: { url: "http://gate" } } }, { pause: {} }];
  const world = worldWith({ replicas: 1, isRouted: true, steps });
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.patchStatus(patch);
  return world;
}

function openCall(world: World): PluginCall {
  const [call] = world.plan().calls ?? [];
  if (call === undefined) throw new Error("nothing is asked");
  return call;
}

/** The pass that sees this answer, which took from 5 s to 7 s. */
function answered(world: World, call: PluginCall, answer: PluginAnswer): Plan {
  const seen = world.snapshot();
  const outcome = { call, startedAtMs: START_MS + 5000, endedAtMs: START_MS + 7000, answer };
  const plugins = { ...seen.plugins, outcomes: [outcome] };
  return decide({ ...seen, plugins }, START_MS + 7000);
}

function transitions({ events }: Plan): readonly string[] {
  return events
    .filter(({ reason }) => reason === "StepPluginTransition")
    .map(({ type, message }) => `${type} ${message}`);
}

test("step plugins: a call says what to do, for which versions, and what the last answer asked to keep", (t) => {
  const world = asked();
  const { currentPodHash: canary, stableRS: stable } = world.status();
  const call = openCall(world);
  t.strictSame(call, {
    index: 0,
    name: "weir.dev/webhook",
    operation: "Run",
    execution: 1,
    config: { url: "http://gate" },
    status: undefined,
    revision: 2,
    versions: { stable, canary },
    id: `uid-rollout-web/${canary}/0/${STARTED}/Run/1`,
  });
  const { status } = answered(world, call, { kind: "answer", phase: "Running", status: { asked: 1 } });
  world.patchStatus({ canary: status.canary });
  world.nowMs += 40_000;
  t.match(openCall(world), { execution: 2, status: { asked: 1 } });
  t.end();
});

test("step plugins: an answer becomes the entry of its Run", (t) => {
  const rows: readonly [name: string, answer: PluginAnswer, entry: object, told: readonly string[]][] = [
    [
      "no phase is Running",
      { kind: "answer", message: "" },
      { phase: "Running", backoff: "30s", status: undefined },
      ["Normal Step plugin weir.dev/webhook (step 1) transitioned to Running"],
    ],
    [
      "10 s are too short",
      { kind: "answer", phase: "Running", retryAfterMs: 10_000 },
      { phase: "Running", backoff: "30s", status: undefined },
      ["Normal Step plugin weir.dev/webhook (step 1) transitioned to Running"],
    ],
    [
      "11 s are not",
      { kind: "answer", phase: "Running", retryAfterMs: 11_000, message: "soon", status: 7 },
      { phase: "Running", backoff: "11s", message: "soon", status: 7 },
      ["Normal Step plugin weir.dev/webhook (step 1) transitioned to Running"],
    ],
    [
      "an error of its own",
      { kind: "answer", phase: "Error", retryAfterMs: 60_000, message: "no", status: 7 },
      { phase: "Error", backoff: "30s", message: "no" },
      ["Warning Step plugin weir.dev/webhook (step 1) transitioned to Error"],
    ],
    [
      "no answer at all",
      { kind: "error", message: "connection refused" },
      { phase: "Error", backoff: "30s", message: "connection refused" },
      ["Warning Step plugin weir.dev/webhook (step 1) transitioned to Error"],
    ],
    [
      "done",
      { kind: "answer", phase: "Successful", status: 7 },
      { phase: "Successful", finishedAt: "2026-01-01T00:00:07Z", status: 7 },
      [],
    ],
    [
      "failed",
      { kind: "answer", phase: "Failed", message: "no" },
      { phase: "Failed", finishedAt: "2026-01-01T00:00:07Z", message: "no", status: undefined },
      ["Warning Step plugin weir.dev/webhook (step 1) transitioned to Failed"],
    ],
  ];
  for (const [name, answer, wanted, told] of rows) {
    const world = asked();
    const plan = answered(world, openCall(world), answer);
    const [entry] = plan.status.canary?.stepPluginStatuses ?? [];
    const base = { index: 0, name: "weir.dev/webhook", operation: "Run", startedAt: STARTED };
    t.strictSame(entry, { ...base, updatedAt: "2026-01-01T00:00:07Z", executions: 1, ...wanted }, name);
    t.strictSame(transitions(plan), told, name);
  }
  t.end();
});

test("step plugins: what an answer says again is no event, and it replaces message and back-off", (t) => {
  const world = asked();
  const first = answered(world, openCall(world), {
    kind: "answer",
    phase: "Running",
    message: "1 of 2",
    retryAfterMs: 60_000,
  });
  world.patchStatus({ canary: first.status.canary });
  world.nowMs += 120_000;
  const again = answered(world, openCall(world), { kind: "answer" });
  t.strictSame(transitions(again), []);
  const [entry] = again.status.canary?.stepPluginStatuses ?? [];
  t.match(entry, { phase: "Running", backoff: "30s", executions: 2 });
  t.equal(entry?.message, undefined);
  t.end();
});

test("step plugins: only the answer that the status waits for counts", (t) => {
  const world = asked();
  const call = openCall(world);
  const done: PluginAnswer = { kind: "answer", phase: "Successful" };
  for (const other of [
    { id: "another" },
    { id: call.id.replace(/1$/, "2"), execution: 2 },
    { id: call.id.replace(/1$/, "0"), execution: 0 },
    { id: call.id.replace("/0/", "/1/"), index: 1 },
  ])
    t.equal(answered(world, { ...call, ...other }, done).status.currentStepIndex, 0);
  t.equal(answered(world, call, done).status.currentStepIndex, 1);
  const run = { index: 0, name: "weir.dev/webhook", operation: "Run", startedAt: STARTED };
  world.patchStatus({ canary: { stepPluginStatuses: [{ ...run, phase: "Failed" }] } });
  const late = answered(world, call, { kind: "answer", phase: "Running" });
  t.match(late.status.canary?.stepPluginStatuses, [{ phase: "Failed" }]);
  t.equal(late.status.currentStepIndex, 1, "a step that failed is not tried again by itself");
  t.end();
});

test("step plugins: an Abort is over with its one answer, whatever that says", (t) => {
  const rows: readonly [answer: PluginAnswer, phase: string, told: string][] = [
    [{ kind: "answer", message: "" }, "Successful", "Normal"],
    [{ kind: "answer", phase: "Running" }, "Failed", "Warning"],
    [{ kind: "answer", phase: "Failed" }, "Failed", "Warning"],
    [{ kind: "answer", phase: "Error" }, "Error", "Warning"],
    [{ kind: "error", message: "gone" }, "Error", "Warning"],
  ];
  for (const [answer, phase, type] of rows) {
    const world = asked({ abort: true });
    const call = openCall(world);
    t.match(call, { operation: "Abort", execution: 1 });
    const plan = answered(world, call, answer);
    const [run, end] = plan.status.canary?.stepPluginStatuses ?? [];
    t.match(run, { operation: "Run", phase: "Running" });
    t.strictSame(end, {
      index: 0,
      name: "weir.dev/webhook",
      operation: "Abort",
      phase,
      ...(answer.kind === "error" ? { message: answer.message } : {}),
      startedAt: "2026-01-01T00:00:05Z",
      finishedAt: "2026-01-01T00:00:07Z",
    });
    t.strictSame(transitions(plan), [`${type} Step plugin weir.dev/webhook (step 1) aborted (${phase})`]);
    t.equal(plan.calls, undefined, "nothing else is asked");
  }
  t.end();
});

test("step plugins: where nothing is known of plugins, each is asked", (t) => {
  const world = asked();
  const { plugins: _, ...seen } = world.snapshot();
  t.match(decide(seen, world.nowMs).calls, [{ name: "weir.dev/webhook", operation: "Run" }]);
  t.match(decide({ ...seen, plugins: { outcomes: [] } }, world.nowMs).calls, [{ operation: "Run" }]);
  t.end();
});
