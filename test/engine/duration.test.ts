// The records of updates: which one ends when, in whichever way, and what is told of it to the metrics.
import { test } from "tap";
import { endedRecord } from "../../src/engine/status/duration.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";

const STEPS = [{ setWeight: 50 }, { pause: {} }];

/** Settles as the controller does, and collects what ended. */
function settle(world: World): readonly string[] {
  const ended: string[] = [];
  for (let pass = 0; pass < 60; pass += 1) {
    const plan = world.plan();
    if (plan.ended !== undefined) {
      const { completionStatus, rolloutStartedAt, finishedAt, totalManualPauseDurationSeconds } = plan.ended;
      const seconds = (Date.parse(finishedAt ?? "") - Date.parse(rolloutStartedAt ?? "")) / 1000;
      ended.push(`${completionStatus} ${seconds}s paused ${totalManualPauseDurationSeconds ?? "never"}`);
    }
    const hasWritten = world.apply(plan);
    if (!world.runReplicaSets() && !hasWritten) return ended;
  }
  throw new Error("does not come to rest");
}

function act(world: World, seconds: number, change: () => void): readonly string[] {
  world.nowMs += seconds * 1000;
  change();
  return settle(world);
}

test("timing: every update ends once, in the way that it did", async (t) => {
  const world = worldWith({ replicas: 1, steps: STEPS });
  t.strictSame(settle(world), ["Promoted 0s paused never"]);
  const image = (tag: number) => () => world.editSpec(imagePatch(`web:${tag}`));
  t.strictSame(act(world, 5, image(2)), []);
  t.strictSame(act(world, 7, image(3)), ["Superseded 7s paused 7"], "another version takes its place");
  t.strictSame(
    act(world, 9, () => world.patchStatus({ abort: true })),
    ["Aborted 9s paused 9"],
  );
  t.strictSame(
    act(world, 3, () => world.patchStatus({ abort: false })),
    [],
  );
  t.strictSame(
    act(world, 4, () => world.patchStatus({ promoteFull: true })),
    ["FastPromoted 4s paused 4"],
  );
  t.strictSame(act(world, 1, image(4)), []);
  t.strictSame(act(world, 2, image(3)), ["FastRolledBack 2s paused 2"], "back to the stable version");
  t.strictSame(act(world, 1, image(1)), []);
  t.strictSame(
    act(world, 6, () => world.patchStatus({ pauseConditions: null })),
    ["RolledBack 6s paused 6"],
  );
});

test("timing: a new version while an abort stands ends the aborted one once", async (t) => {
  const world = worldWith({ replicas: 1, steps: STEPS });
  settle(world);
  act(world, 5, () => world.editSpec(imagePatch("web:2")));
  // The abort and the next version are seen by the same pass: the abort counts no more.
  const ended = act(world, 5, () => {
    world.patchStatus({ abort: true });
    world.editSpec(imagePatch("web:3"));
  });
  t.strictSame(ended, ["Superseded 5s paused 5"]);
  t.match(world.status().duration, { rolloutStartedAt: "2026-01-01T00:00:10Z", finishedAt: undefined });
  t.equal(world.status().abort, undefined);
});

test("timing: the record of an installation that kept none stays away until the next update", async (t) => {
  const world = worldWith({ replicas: 1, steps: STEPS });
  settle(world);
  world.patchStatus({ duration: null });
  t.strictSame(settle(world), []);
  t.equal(world.status().duration, undefined);
  act(world, 1, () => world.editSpec(imagePatch("web:2")));
  t.match(world.status().duration, { rolloutStartedAt: "2026-01-01T00:00:01Z" });
});

test("timing: nothing has ended between equal records, or when one has begun", async (t) => {
  const open = { rolloutStartedAt: "2026-01-01T00:00:00Z" };
  const done = { ...open, finishedAt: "2026-01-01T00:01:00Z", completionStatus: "Promoted" } as const;
  t.equal(endedRecord(undefined, undefined), undefined);
  t.equal(endedRecord(undefined, open), undefined);
  t.equal(endedRecord(open, open), undefined);
  t.equal(endedRecord(done, done), undefined);
  t.equal(endedRecord(done, { rolloutStartedAt: "2026-01-01T00:02:00Z" }), undefined);
  t.strictSame(endedRecord(open, done), done);
  t.match(endedRecord({ rolloutStartedAt: "2025-12-31T23:00:00Z" }, open), {
    completionStatus: "Superseded",
    finishedAt: "2026-01-01T00:00:00Z",
  });
});
