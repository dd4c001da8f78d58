// Phase and message for every row of the table that clients know, each row from a status; and the two rows that only a whole pass shows.
import { test } from "tap";
import type { RolloutCondition, RolloutStatus } from "../../src/api/api.ts";
import { contextOf } from "../../src/engine/context.ts";
import { phaseOf } from "../../src/engine/status/phase.ts";
import { START_MS, worldWith } from "../support/world.ts";

const TIME = "2026-01-01T00:00:00Z";
function condition(
  type: string,
  status: "True" | "False",
  reason: string,
  message: string,
): RolloutCondition {
  return { type, status, reason, message, lastUpdateTime: TIME, lastTransitionTime: TIME };
}
const aborted = condition(
  "Progressing",
  "False",
  "RolloutAborted",
  "Rollout aborted update to revision 2: why",
);
const late = condition(
  "Progressing",
  "False",
  "ProgressDeadlineExceeded",
  'ReplicaSet "x" has timed out progressing.',
);
const invalid = condition("InvalidSpec", "True", "InvalidSpec", 'The Rollout "web" is invalid: spec: no');
const paused = [{ reason: "CanaryPauseStep", startTime: TIME }] as const;
const settled: RolloutStatus = {
  replicas: 3,
  updatedReplicas: 3,
  readyReplicas: 3,
  availableReplicas: 3,
  currentPodHash: "new",
  stableRS: "new",
};

const BLUE_GREEN = { blueGreen: { activeService: "web-active" } };

interface Row {
  readonly name: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly isRouted?: boolean;
  /** Instead of a canary. */
  readonly strategy?: Readonly<Record<string, unknown>>;
  readonly status: RolloutStatus;
  readonly expected: readonly [phase: string, message: string];
}

// Every row fits also the rows below it, where that is possible: the first that fits wins.
const ROWS: readonly Row[] = [
  {
    name: "1: an invalid spec",
    spec: { paused: true },
    status: { ...settled, conditions: [aborted, invalid], pauseConditions: [...paused], updatedReplicas: 1 },
    expected: ["Degraded", 'InvalidSpec: The Rollout "web" is invalid: spec: no'],
  },
  {
    name: "2: aborted",
    spec: { paused: true },
    status: { ...settled, conditions: [aborted], pauseConditions: [...paused], updatedReplicas: 1 },
    expected: ["Degraded", "RolloutAborted: Rollout aborted update to revision 2: why"],
  },
  {
    name: "2: past its deadline",
    status: { ...settled, conditions: [late], pauseConditions: [...paused] },
    expected: ["Degraded", 'ProgressDeadlineExceeded: ReplicaSet "x" has timed out progressing.'],
  },
  {
    name: "3: paused by the user",
    spec: { paused: true },
    status: { ...settled, pauseConditions: [...paused], updatedReplicas: 1 },
    expected: ["Paused", "manually paused"],
  },
  {
    name: "4: paused by a step",
    status: { ...settled, pauseConditions: [...paused], updatedReplicas: 1 },
    expected: ["Paused", "CanaryPauseStep"],
  },
  {
    name: "4: paused by an inconclusive analysis",
    status: { ...settled, pauseConditions: [{ reason: "InconclusiveAnalysisRun", startTime: TIME }] },
    expected: ["Paused", "InconclusiveAnalysisRun"],
  },
  {
    name: "5: restarting",
    spec: { restartAt: TIME },
    status: { ...settled, updatedReplicas: 2, restartedAt: "2025-01-01T00:00:00Z" },
    expected: ["Progressing", "rollout is restarting"],
  },
  {
    name: "6: too few pods of the new version",
    status: { ...settled, updatedReplicas: 2, availableReplicas: 1, stableRS: "old" },
    expected: ["Progressing", "more replicas need to be updated"],
  },
  {
    name: "7: pods that are not available",
    status: { ...settled, replicas: 5, availableReplicas: 2, stableRS: "old" },
    expected: ["Progressing", "updated replicas are still becoming available"],
  },
  {
    name: "10: old pods of a canary without a router",
    status: { ...settled, replicas: 5, stableRS: "old" },
    expected: ["Progressing", "old replicas are pending termination"],
  },
  {
    name: "10 is none with a router: old pods are there by design",
    isRouted: true,
    status: { ...settled, replicas: 6, stableRS: "old" },
    expected: ["Progressing", "waiting for all steps to complete"],
  },
  {
    name: "11: a canary on its way",
    status: { ...settled, stableRS: "old" },
    expected: ["Progressing", "waiting for all steps to complete"],
  },
  {
    name: "8: blue-green without an active version",
    strategy: BLUE_GREEN,
    status: { ...settled, replicas: 6, stableRS: "old", blueGreen: {} },
    expected: ["Progressing", "active service cutover pending"],
  },
  {
    name: "8: blue-green with the old version active",
    strategy: BLUE_GREEN,
    status: { ...settled, replicas: 6, stableRS: "old", blueGreen: { activeSelector: "old" } },
    expected: ["Progressing", "active service cutover pending"],
  },
  {
    name: "9: blue-green with an analysis after the switch",
    strategy: BLUE_GREEN,
    status: {
      ...settled,
      stableRS: "old",
      blueGreen: {
        activeSelector: "new",
        postPromotionAnalysisRunStatus: { name: "web-new-2-post", status: "Running" },
      },
    },
    expected: ["Progressing", "waiting for analysis to complete"],
  },
  {
    name: "9: blue-green after the switch",
    strategy: BLUE_GREEN,
    status: {
      ...settled,
      stableRS: "old",
      blueGreen: {
        activeSelector: "new",
        postPromotionAnalysisRunStatus: { name: "web-new-2-post", status: "Successful" },
      },
    },
    expected: ["Progressing", "waiting for post-promotion verification to complete"],
  },
  {
    name: "12: blue-green with old pods that wait for their delay",
    strategy: BLUE_GREEN,
    status: { ...settled, replicas: 6, blueGreen: { activeSelector: "new" } },
    expected: ["Healthy", ""],
  },
  { name: "12: all is well", status: settled, expected: ["Healthy", ""] },
  {
    name: "12 with a router: old pods that wait for their delay",
    isRouted: true,
    status: { ...settled, replicas: 6 },
    expected: ["Healthy", ""],
  },
];

for (const { name, spec = {}, isRouted = false, strategy, status, expected } of ROWS)
  test(`phase: row ${name}`, async (t) => {
    const world = worldWith({
      replicas: 3,
      isRouted,
      spec: { ...spec, ...(strategy && { strategy }) },
      steps: [{ setWeight: 50 }],
    });
    const { phase, message } = phaseOf(contextOf(world.snapshot(), START_MS), status, undefined);
    t.strictSame([phase, message], expected);
  });

test("phase: what a healthy Rollout claims and does not hold yet comes last, and keeps it from Healthy", async (t) => {
  const context = contextOf(worldWith({ replicas: 3 }).snapshot(), START_MS);
  const waiting = "waiting for the Services to be switched";
  t.strictSame(phaseOf(context, settled, waiting), { phase: "Progressing", message: waiting });
  t.match(phaseOf(context, { ...settled, updatedReplicas: 1 }, waiting), { message: /more replicas/ });
  t.match(phaseOf(context, { ...settled, conditions: [aborted] }, waiting), { phase: "Degraded" });
});

test("phase: Healthy is written only once the Services select what it claims", async (t) => {
  const world = worldWith({ replicas: 1, isRouted: true });
  const seen: string[] = [];
  for (let pass = 0; pass < 10; pass += 1) {
    const plan = world.plan();
    world.apply(plan);
    const selected = Object(world.services.get("web-stable")?.spec).selector["rollouts-pod-template-hash"];
    if (world.status().phase === "Healthy") t.equal(selected, world.status().stableRS);
    seen.push(world.status().phase ?? "");
    if (!world.runReplicaSets() && seen.at(-1) === "Healthy") break;
  }
  t.equal(seen.at(-1), "Healthy");
});
