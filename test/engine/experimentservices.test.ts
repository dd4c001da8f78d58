// How long the status of an Experiment names a template's Service and the hash that it leads to: shares of the traffic follow these two.
import { test } from "tap";
import type { TemplateStatus } from "../../src/api/api.ts";
import { patchExperiment } from "../../src/simulate/experiments.ts";
import {
  changeObject,
  changeSpec,
  changeStatus,
  changeTemplateStatus,
  doings,
  experimentStatus,
  experimentWorld,
  nextPass,
  pass,
  servedExperiment,
  templateManifest,
} from "../support/experimentworld.ts";
import type { World } from "../support/world.ts";

/** The Service and the hash that a status names. */
const named = (statuses: readonly TemplateStatus[] = []) =>
  statuses.map(({ serviceName, podTemplateHash }) => [serviceName, podTemplateHash]);

const next = (world: World) => named(nextPass(world).status.templateStatuses)[0];

const hashIn = (world: World) =>
  world.replicaSets.get("duel-a")?.metadata.labels?.["rollouts-pod-template-hash"];

/** As `weir retry` does it. */
const retry = (world: World) => patchExperiment(world, "duel", { status: null });

test("experiment: Service and hash are told from the pass that makes the Service, and before there is none", (t) => {
  const world = experimentWorld([templateManifest("a", { service: {} }), templateManifest("b")]);
  t.strictSame(named(nextPass(world).status.templateStatuses), [
    [undefined, undefined],
    [undefined, undefined],
  ]);
  pass(world);
  const expected = [
    ["duel-a", hashIn(world)],
    [undefined, undefined],
  ];
  t.strictSame(named(nextPass(world).status.templateStatuses), expected);
  world.settle();
  t.strictSame(named(experimentStatus(world).templateStatuses), expected);
  t.end();
});

test("experiment: Service and hash stay in the status while the ended Experiment's pods stay, and go with the Service", (t) => {
  for (const service of [{}, { name: "lab" }]) {
    const world = servedExperiment(service, { duration: "1m", scaleDownDelaySeconds: 30 });
    const there = [world.services.keys().next().value, hashIn(world)];
    const steps: string[] = [];
    world.advance(60_000);
    t.equal(experimentStatus(world).phase, "Successful");
    t.strictSame(named(experimentStatus(world).templateStatuses), [there], "its pods stay for their delay");
    world.nowMs += 30_000;
    for (let count = 0; count < 4; count += 1) {
      steps.push(`${doings(world).join(" ") || "nothing"}: ${next(world)?.[0] ?? "none"}`);
      pass(world);
      world.runReplicaSets();
    }
    t.strictSame(steps, [
      `scaleReplicaSet duel-a: ${there[0]}`,
      `deleteService ${there[0]}: none`,
      "nothing: none",
      "nothing: none",
    ]);
    t.strictSame(named(experimentStatus(world).templateStatuses), [[undefined, undefined]]);
  }
  t.end();
});

test("experiment: the pass that notes the delay of its pods still names their Service", (t) => {
  const world = servedExperiment();
  const there = ["duel-a", hashIn(world)];
  changeSpec(world, { terminate: true });
  t.strictSame(doings(world), ["annotateReplicaSet duel-a"]);
  t.strictSame(next(world), there);
  t.end();
});

test("experiment: a Service that the template asks for no more is deleted, and gone from the status at once", (t) => {
  const world = servedExperiment({ name: "lab" });
  changeSpec(world, { templates: [templateManifest("a")] });
  t.strictSame(nextPass(world).actions, [
    {
      kind: "deleteService",
      namespace: "default",
      name: "lab",
      uid: "uid-lab",
      reason: "template a asks for no Service",
    },
  ]);
  t.strictSame(next(world), [undefined, undefined]);
  t.end();
});

test("experiment: a Service that is there is told under its own name, also where the spec gives another by now", (t) => {
  const world = servedExperiment({ name: "lab" });
  changeSpec(world, { templates: [templateManifest("a", { service: { name: "other" } })] });
  t.strictSame(doings(world), []);
  t.strictSame(next(world), ["lab", hashIn(world)]);
  t.end();
});

test("experiment: without a ReplicaSet there is no hash, though the Service is there", (t) => {
  const world = servedExperiment();
  world.replicaSets.clear();
  t.strictSame(doings(world), ["createReplicaSet duel-a"]);
  t.strictSame(next(world), ["duel-a", undefined]);
  t.end();
});

test("experiment: a template that lost a Service gets it back, a failed one does not", (t) => {
  const world = servedExperiment();
  world.services.clear();
  t.strictSame(doings(world), ["createService duel-a"]);
  changeTemplateStatus(world, "a", { status: "Failed" });
  t.strictSame(doings(world), ["annotateReplicaSet duel-a"]);
  t.strictSame(next(world), [undefined, undefined]);
  t.end();
});

test("experiment: a template that is no longer in the spec goes with its Service", (t) => {
  const world = servedExperiment();
  const { resourceVersion } = world.replicaSets.get("duel-a")?.metadata ?? {};
  changeSpec(world, { templates: [templateManifest("b")] });
  const of = { namespace: "default", name: "duel-a", uid: "uid-duel-a" };
  const reason = "its template is no longer in the spec";
  t.strictSame(nextPass(world).actions.slice(1), [
    { kind: "deleteReplicaSet", ...of, resourceVersion, reason },
    { kind: "deleteService", ...of, reason },
  ]);
  changeStatus(world, { phase: "Failed" });
  t.equal(nextPass(world).actions.length, 2, "also after the verdict");
  t.end();
});

test("experiment: a Service on its way out is waited for under its name, and then made anew", (t) => {
  const world = servedExperiment();
  const metadata = { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["example.com/hold"] };
  changeObject(world, "services", "duel-a", { metadata });
  const { status, actions, waits, requeueAtMs } = nextPass(world);
  t.strictSame(actions, []);
  t.match(status.templateStatuses, [{ status: "Running" }]);
  t.strictSame(
    named(status.templateStatuses),
    [[undefined, undefined]],
    "no share of the traffic is due to it",
  );
  t.match(waits, [{ text: "Service duel-a is being deleted" }]);
  t.equal(requeueAtMs, world.nowMs + 1000);
  pass(world);
  world.services.clear();
  t.strictSame(doings(world), ["createService duel-a"]);
  t.end();
});

test("experiment: a foreign Service that is on its way out is waited for as well", (t) => {
  const world = experimentWorld([templateManifest("a", { service: { name: "lab" } })]);
  const metadata = { name: "lab", namespace: "default", deletionTimestamp: "2026-01-01T00:00:00Z" };
  world.add("services", { apiVersion: "v1", kind: "Service", metadata, spec: {} });
  world.settle();
  t.match(nextPass(world).waits, [{ text: "Service lab is being deleted" }]);
  t.equal(experimentStatus(world).phase, "Running");
  t.end();
});

test("experiment: it ends without its ReplicaSet, and still takes its Service down", (t) => {
  const world = servedExperiment();
  world.replicaSets.clear();
  changeSpec(world, { terminate: true });
  t.strictSame(doings(world), ["deleteService duel-a"]);
  t.strictSame(next(world), [undefined, undefined]);
  world.settle();
  t.strictSame([world.services.size, doings(world)], [0, []]);
  t.end();
});

test("experiment: a template that is no longer in the spec takes its Service along, also without its ReplicaSet", (t) => {
  const world = servedExperiment();
  world.replicaSets.clear();
  changeSpec(world, { templates: [templateManifest("b")] });
  t.strictSame(doings(world), ["createReplicaSet duel-b", "deleteService duel-a"]);
  t.end();
});

test("experiment: another name for a Service that is there is told, and what is there goes on", (t) => {
  for (const [had, wanted] of [
    [{}, { name: "other" }],
    [{ name: "lab" }, { name: "other" }],
    [{ name: "lab" }, {}],
  ]) {
    const world = servedExperiment(had);
    t.strictSame(nextPass(world).waits, []);
    changeSpec(world, { templates: [templateManifest("a", { service: wanted })] });
    const { actions, status, waits } = nextPass(world);
    const text =
      "spec.templates[a].service.name: Forbidden: it has begun with another one, and goes on with that; retry the Experiment to run it as it is now";
    t.strictSame(actions, []);
    t.strictSame(waits, [{ code: "valid", text }]);
    t.match(status.conditions, [{ type: "Progressing" }, { type: "InvalidSpec", message: text }]);
  }
  t.end();
});

test("experiment: begun anew, it has its Service under the name that is written now", (t) => {
  const world = servedExperiment();
  changeSpec(world, { templates: [templateManifest("a", { service: { name: "lab" } })] });
  retry(world);
  t.strictSame(doings(world), ["deleteService duel-a"]);
  t.strictSame(next(world), [undefined, undefined]);
  world.settle();
  t.strictSame([...world.services.keys()], ["lab"]);
  t.strictSame(named(experimentStatus(world).templateStatuses), [["lab", hashIn(world)]]);
  t.end();
});

test("experiment: begun anew with other pods, its Service leads to those", (t) => {
  const world = servedExperiment();
  const before = hashIn(world);
  changeSpec(world, { templates: [{ ...templateManifest("b", { service: {} }), name: "a" }] });
  retry(world);
  world.settle();
  t.not(hashIn(world), before);
  const selector = { "rollouts-pod-template-hash": hashIn(world) };
  t.match([...world.services.values()], [{ metadata: { name: "duel-a" }, spec: { selector } }]);
  t.equal(experimentStatus(world).phase, "Running");
  t.end();
});
