// The events that a canary's life leaves behind, as whoever watches them sees: reasons in Argo's order, none twice, none of our own.
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { createReflector, type TransportRequest } from "../../src/cluster/client.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { controllerBed, NAMESPACE } from "./bed.ts";

const BOUNDED = { timeout: 60_000 };

test(
  "events: first deploy, update, pause, abort, retry and promote give exactly Argo's reasons",
  BOUNDED,
  async (t) => {
    await live(t, () => false);
  },
);

test("events: with every other write of the status lost, the reasons are the same", BOUNDED, async (t) => {
  let writes = 0;
  await live(t, ({ method, path }) => {
    if (method !== "PATCH" || !path.includes("/rollouts/web/status")) return false;
    writes += 1;
    return writes % 2 === 1;
  });
  t.ok(writes > 10, `${writes} writes`);
});

/** A canary's life under a controller whose requests fail as `isFailing` says; its events must be Argo's. */
async function live(t: Test, isFailing: (request: TransportRequest) => boolean): Promise<void> {
  const canary = {
    stableService: undefined,
    canaryService: undefined,
    trafficRouting: undefined,
    scaleDownDelaySeconds: undefined,
    steps: [{ setWeight: 50 }, { pause: {} }],
  };
  const bed = await controllerBed(t, { replicas: 1, canary });
  const reasons: string[] = [];
  const deleted = Promise.withResolvers<unknown>();
  const events = createReflector({
    client: bed.client,
    type: RESOURCES.event,
    clock: systemClock,
    log: silentLogger,
  });
  events.subscribe(({ kind, object }) => {
    // The reader of a watch sees a repeat as one more entry; an event that goes is none.
    const about = object.involvedObject as { readonly kind?: string };
    if (kind === "deleted" || about.kind !== "Rollout") return;
    reasons.push(String(object.reason));
    if (object.reason === "RolloutDeleted") deleted.resolve(object.message);
  });
  events.start();
  t.teardown(() => events.stop());
  await events.waitForSync();
  const leader = await bed.lead({ isLeading: false });
  leader.fail(isFailing);
  const act = (body: unknown) => bed.patch(RESOURCES.rollout, "web", { status: body }, "status");
  await bed.untilRollout("healthy", ({ status }) => status.phase === "Healthy");
  await bed.image("2");
  await bed.untilRollout("paused", ({ status }) => status.message === "CanaryPauseStep");
  await act({ abort: true });
  await bed.untilRollout(
    "aborted",
    ({ status }) => status.phase === "Degraded" && (status.updatedReplicas ?? 0) === 0,
  );
  await act({ abort: false });
  await bed.untilRollout("paused again", ({ status }) => status.message === "CanaryPauseStep");
  await act({ pauseConditions: null });
  await bed.untilRollout(
    "promoted",
    ({ status }) => status.phase === "Healthy" && status.stableRS === status.currentPodHash,
  );
  const expected = [
    ...["RolloutAddedToInformer", "RolloutUpdated", "NewReplicaSetCreated", "RolloutNotCompleted"],
    ...[
      "ScalingReplicaSet",
      "RolloutCompleted",
      "RolloutUpdated",
      "NewReplicaSetCreated",
      "RolloutNotCompleted",
    ],
    ...["ScalingReplicaSet", "RolloutStepCompleted", "RolloutPaused", "ScalingReplicaSet", "RolloutAborted"],
    ...[
      "ScalingReplicaSet",
      "RolloutStepCompleted",
      "RolloutPaused",
      "RolloutStepCompleted",
      "RolloutResumed",
    ],
    ...["ScalingReplicaSet", "RolloutCompleted"],
  ];
  await bed.until("all events are seen", () => reasons.length >= expected.length);
  await bed.holds("no more", () => reasons.length === expected.length);
  t.strictSame(reasons, expected);
  await bed.client.delete(RESOURCES.rollout, { namespace: NAMESPACE, name: "web" });
  t.equal(await deleted.promise, "Rollout web/default is deleted.");
  t.strictSame(reasons, [...expected, "RolloutDeleted"]);
}
