// What a pass says of a template in the status: its pods, when they last moved, how it stands, and when it is to be looked at again.
import { test } from "tap";
import type { TemplateStatus } from "../../src/api/api.ts";
import { formatTime } from "../../src/lib/time.ts";
import {
  changeObject,
  changeSpec,
  changeStatus,
  changeTemplateStatus,
  experimentWorld,
  nextPass,
  pass,
  type TemplatePatch,
  templateManifest,
} from "../support/experimentworld.ts";
import { START_MS, type World } from "../support/world.ts";

const START = formatTime(START_MS);
const LATER_MS = START_MS + 60_000;
const LATER = formatTime(LATER_MS);
const DEADLINE_MS = START_MS + 600_000;

/** A minute after all its pods came up. */
function running(template: object = {}, spec: object = {}): World {
  const world = experimentWorld([templateManifest("a", template)], spec);
  world.settle();
  world.nowMs = LATER_MS;
  return world;
}

/** With pods that were asked for at the start and do not come up. */
function waiting(template: object = {}): World {
  const world = experimentWorld([templateManifest("a", template)]);
  world.readiness = "manual";
  world.settle();
  return world;
}

/** What the next pass says of the template. */
const told = (world: World): TemplateStatus | undefined => nextPass(world).status.templateStatuses?.[0];

const COUNTS_OF_ONE = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };

test("experiment template: its status counts its pods and says since when", (t) => {
  const world = waiting({ replicas: 3 });
  const counts = { replicas: 3, readyReplicas: 2, availableReplicas: 1 };
  changeObject(world, "replicaSets", "duel-a", { status: counts });
  world.nowMs = LATER_MS;
  t.strictSame(told(world), {
    name: "a",
    ...counts,
    updatedReplicas: 3,
    status: "Progressing",
    lastTransitionTime: LATER,
  });
  t.end();
});

test("experiment template: the time of its status moves when its pods do", (t) => {
  const cases: readonly [string, TemplatePatch, string][] = [
    ["nothing", {}, START],
    ["pods", { replicas: 0 }, LATER],
    ["ready pods", { readyReplicas: 0 }, LATER],
    ["available pods", { availableReplicas: 0 }, LATER],
    ["words alone", { status: "Progressing" }, START],
    ["no time yet", { lastTransitionTime: undefined }, LATER],
  ];
  for (const [words, before, expected] of cases) {
    const world = running();
    changeTemplateStatus(world, "a", before);
    t.strictSame(
      told(world),
      { name: "a", ...COUNTS_OF_ONE, status: "Running", lastTransitionTime: expected },
      words,
    );
  }
  t.end();
});

test("experiment template: the time of its status moves when pods are asked for, and for nothing else that is done", (t) => {
  const doing = (world: World) => [
    nextPass(world).actions.map(({ kind }) => kind),
    told(world)?.lastTransitionTime,
  ];
  const scaled = running();
  changeSpec(scaled, { templates: [templateManifest("a", { replicas: 2 })] });
  t.strictSame(doing(scaled), [["scaleReplicaSet"], LATER]);
  const created = running();
  created.replicaSets.clear();
  changeTemplateStatus(created, "a", { replicas: 0, readyReplicas: 0, availableReplicas: 0 });
  t.strictSame(doing(created), [["createReplicaSet"], LATER]);
  const served = running();
  changeSpec(served, { templates: [templateManifest("a", { service: {} })] });
  t.strictSame(doing(served), [["createService"], START]);
  const annotated = running();
  changeObject(annotated, "replicaSets", "duel-a", {
    metadata: { annotations: { "scale-down-deadline": LATER } },
  });
  t.strictSame(doing(annotated), [["annotateReplicaSet"], START]);
  t.end();
});

test("experiment template: it is looked at again at its deadline while pods are missing, and not once they are there", (t) => {
  const missing = waiting();
  t.equal(nextPass(missing).requeueAtMs, DEADLINE_MS);
  missing.nowMs = LATER_MS;
  t.equal(nextPass(missing).requeueAtMs, DEADLINE_MS);
  missing.setReady("duel-a", 1);
  t.equal(nextPass(missing).requeueAtMs, undefined);
  const lost = running();
  lost.setReady("duel-a", 0);
  t.equal(nextPass(lost).requeueAtMs, LATER_MS + 600_000, "the time counts from when it lost them");
  const slow = waiting();
  changeSpec(slow, { progressDeadlineSeconds: 60 });
  t.equal(nextPass(slow).requeueAtMs, START_MS + 60_000);
  t.end();
});

test("experiment template: it waits by name for pods that it has asked for", (t) => {
  const world = waiting({ replicas: 2 });
  world.setReady("duel-a", 1);
  t.strictSame(nextPass(world).waits, [
    {
      code: "replicas",
      text: "template a has 1 of 2 pods available, until 2026-01-01T00:10:00Z",
      untilMs: DEADLINE_MS,
    },
  ]);
  t.strictSame(
    nextPass(experimentWorld([templateManifest("a")])).waits,
    [],
    "none before it has a ReplicaSet",
  );
  t.strictSame(nextPass(running()).waits, []);
  const ending = waiting();
  changeStatus(ending, { phase: "Failed" });
  t.match(
    nextPass(ending).waits.map(({ code }) => code),
    ["scaleDownDelay"],
  );
  t.end();
});

test("experiment template: each change of its status is told, the bad ones as warnings", (t) => {
  const timedOut = "Template 'a' exceeded its progressDeadlineSeconds (600)";
  const cases: readonly [World, object][] = [
    [
      experimentWorld([templateManifest("a")]),
      {
        type: "Normal",
        reason: "TemplateProgressing",
        message: "Template 'a' transitioned from  -> Progressing",
      },
    ],
    [
      ready(waiting()),
      {
        type: "Normal",
        reason: "TemplateRunning",
        message: "Template 'a' transitioned from Progressing -> Running",
      },
    ],
    [
      at(DEADLINE_MS, waiting()),
      {
        type: "Warning",
        reason: "TemplateFailed",
        message: `Template 'a' transitioned from Progressing -> Failed: ${timedOut}`,
      },
    ],
    [
      at(DEADLINE_MS, running({}, { duration: "10m" })),
      {
        type: "Normal",
        reason: "TemplateSuccessful",
        message: "Template 'a' transitioned from Running -> Successful",
      },
    ],
    [
      refused(experimentWorld([templateManifest("a")])),
      {
        type: "Warning",
        reason: "TemplateError",
        message:
          "Template 'a' transitioned from  -> Error: Failed to create ReplicaSet for template 'a': exceeded quota",
      },
    ],
  ];
  for (const [world, event] of cases) t.strictSame(nextPass(world).events, [event]);
  for (const world of [waiting(), running(), at(DEADLINE_MS - 1, waiting())])
    t.strictSame(nextPass(world).events, []);
  t.end();
});

test("experiment template: a verdict stays with its words, whatever becomes of its pods", (t) => {
  const verdicts: readonly Partial<TemplateStatus>[] = [
    { status: "Successful" },
    { status: "Failed", message: "too slow" },
    { status: "Failed" },
    { status: "Error", message: "refused" },
    { status: "Error" },
  ];
  for (const verdict of verdicts) {
    const world = running();
    changeTemplateStatus(world, "a", verdict);
    for (const available of [1, 0]) {
      world.setReady("duel-a", available);
      const { events, waits, requeueAtMs, status } = nextPass(world);
      const counts = { ...COUNTS_OF_ONE, readyReplicas: available, availableReplicas: available };
      const lastTransitionTime = available === 1 ? START : LATER;
      t.strictSame(status.templateStatuses, [{ name: "a", ...counts, ...verdict, lastTransitionTime }]);
      t.strictSame(events, []);
      if (verdict.status === "Successful") t.strictSame([waits, requeueAtMs], [[], undefined]);
    }
  }
  t.end();
});

test("experiment template: it ends well when the Experiment does, and not before its duration is over", (t) => {
  const statuses = (world: World) => told(world)?.status;
  const timed = running({}, { duration: "10m" });
  timed.nowMs = DEADLINE_MS - 1;
  t.equal(statuses(timed), "Running");
  timed.nowMs = DEADLINE_MS;
  t.equal(statuses(timed), "Successful");
  const terminated = waiting();
  changeSpec(terminated, { terminate: true });
  t.equal(statuses(terminated), "Successful");
  t.end();
});

test("experiment template: the first look at it and every move of its pods count as progress", (t) => {
  const updated = (world: World) =>
    nextPass(world).status.conditions?.map(({ reason, lastUpdateTime }) => [reason, lastUpdateTime]);
  const still = waiting();
  still.nowMs = LATER_MS;
  t.strictSame(updated(still), [["ReplicaSetUpdated", START]]);
  const moved = waiting({ replicas: 2 });
  moved.nowMs = LATER_MS;
  moved.setReady("duel-a", 1);
  t.strictSame(updated(moved), [["ReplicaSetUpdated", LATER]]);
  const more = waiting();
  more.nowMs = LATER_MS;
  changeSpec(more, { templates: [templateManifest("a"), templateManifest("b")] });
  t.strictSame(updated(more), [["ReplicaSetUpdated", LATER]]);
  pass(more);
  more.nowMs += 60_000;
  t.strictSame(updated(more), [["ReplicaSetUpdated", LATER]]);
  t.strictSame(updated(experimentWorld([templateManifest("a")])), [["ReplicaSetUpdated", START]]);
  t.end();
});

function ready(world: World): World {
  world.setReady("duel-a", 1);
  return world;
}

function at(nowMs: number, world: World): World {
  world.nowMs = nowMs;
  return world;
}

function refused(world: World): World {
  world.refused.set("duel", [{ kind: "ReplicaSet", name: "duel-a", message: "exceeded quota" }]);
  return world;
}
