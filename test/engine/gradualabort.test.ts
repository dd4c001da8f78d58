// The gradual return of an abort, by hand: 10 % a minute of ten pods, aborted at 00:01, the canary at 60 % unless a row says otherwise.
import { test } from "tap";
import { TRAFFIC_LOWERED_ANNOTATION as MARK } from "../../src/api/api.ts";
import { type Context, contextOf } from "../../src/engine/context.ts";
import type { Mode } from "../../src/engine/stage.ts";
import { loweredMark, returningTraffic } from "../../src/engine/traffic/gradualabort.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";

const at = (time: string): string => `2026-01-01T00:${time}Z`;
const GOES = "of the traffic stays with version";

interface Row {
  readonly name: string;
  readonly now: string;
  /** When the last step back was taken. */
  readonly mark?: string;
  readonly isStatusLost?: true;
  readonly mode?: Mode;
  readonly has?: number;
  /** Available pods of the canary and of stable. */
  readonly pods?: readonly [canary: number, stable: number];
  readonly replicas?: number;
  readonly share: number;
  /** When it goes on, and in which words. */
  readonly next?: string;
  readonly says?: string;
}

const ROWS: readonly Row[] = [
  {
    name: "the first step at once",
    now: "01:00",
    share: 50,
    next: "02:00",
    says: `50 % ${GOES} HASH, the next 10 % go back at ${at("02:00")}`,
  },
  {
    name: "not before its minute is over",
    now: "02:29",
    mark: "01:30",
    share: 60,
    next: "02:30",
    says: `60 % ${GOES} HASH, the next 10 % go back at ${at("02:30")}`,
  },
  { name: "then the next", now: "02:30", mark: "01:30", share: 50, next: "03:30" },
  {
    name: "a mark of the very second of the abort is its own",
    now: "01:30",
    mark: "01:00",
    share: 60,
    next: "02:00",
  },
  {
    name: "a mark of an earlier abort counts for nothing",
    now: "01:10",
    mark: "00:59",
    share: 50,
    next: "02:10",
  },
  {
    name: "a mark that is yet to come is of a clock that was ahead, and counts for nothing",
    now: "01:10",
    mark: "59:00",
    share: 50,
    next: "02:10",
  },
  {
    name: "without a time of the abort at once",
    now: "01:30",
    mark: "01:10",
    isStatusLost: true,
    share: 50,
    next: "02:30",
  },
  { name: "the last step leaves nothing", now: "01:00", has: 10, share: 0 },
  {
    name: "no less than there is",
    now: "01:00",
    has: 15,
    share: 5,
    next: "02:00",
    says: `5 % ${GOES} HASH, the next 5 % go back at ${at("02:00")}`,
  },
  {
    name: "no more than stable can carry",
    now: "01:00",
    pods: [6, 4],
    share: 60,
    next: "11:00",
    says: `60 % ${GOES} HASH until stable can carry it: 4 of 10 pods available`,
  },
  { name: "as much as it can carry", now: "01:00", has: 65, pods: [6, 4], share: 60, next: "11:00" },
  {
    name: "whatever it can carry once the deadline is over",
    now: "11:00",
    pods: [6, 4],
    share: 50,
    next: "12:00",
  },
  { name: "all at once from a version without pods", now: "01:00", pods: [0, 10], share: 0 },
  { name: "nothing where there is nothing", now: "01:00", has: 0, share: 0 },
  { name: "by the clock alone without replicas", now: "01:00", replicas: 0, share: 50, next: "02:00" },
  { name: "all at once when the spec went back", now: "01:00", mode: "promoted", share: 0 },
];

for (const row of ROWS)
  test(`gradual abort: ${row.name}`, (t) => {
    const context = scene(row);
    const { share, waits, requeueAtMs } = returningTraffic(context, row.mode ?? "aborted");
    t.equal(share, row.share);
    t.equal(requeueAtMs, row.next === undefined ? undefined : Date.parse(at(row.next)));
    t.equal(waits.length, row.next === undefined ? 0 : 1);
    if (row.says !== undefined) t.equal(waits[0]?.text, row.says.replace("HASH", context.podHash));
    t.end();
  });

test("gradual abort: a clock that goes back makes one step due, and the interval counts on from there", (t) => {
  const world = worldWith({ replicas: 4, isRouted: true, steps: [{ setWeight: 80 }, { pause: {} }] });
  world.annotate("weir.dev/abort-step", "20");
  world.annotate("weir.dev/abort-interval", "1m");
  world.settle();
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.patchStatus({ abort: true });
  world.settle();
  const share = (): number | undefined => world.status().canary?.weights?.canary.weight;
  t.equal(share(), 60);
  world.nowMs -= 3_600_000;
  world.settle();
  const seen = [share()];
  for (let minute = 0; minute < 2; minute += 1) {
    world.advance(59_000);
    seen.push(share());
    world.advance(1000);
    seen.push(share());
  }
  t.strictSame(seen, [40, 40, 20, 20, 0]);
  t.end();
});

test("gradual abort: a step back is marked with its time, and nothing else is", (t) => {
  const context = scene({ name: "", now: "02:30", share: 0 });
  const weights = (weight: number) => ({ canary: { weight }, stable: { weight: 100 - weight } });
  t.strictSame(loweredMark(context, "aborted", weights(50)), { [MARK]: at("02:30") });
  t.strictSame(loweredMark(context, "aborted", weights(60)), {});
  const { annotations: _, ...metadata } = context.rollout.metadata;
  const plain = { ...context, rollout: { ...context.rollout, metadata } };
  t.strictSame(loweredMark(plain, "aborted", weights(50)), {});
  t.end();
});

function scene(row: Row): Context {
  const world = worldWith({ replicas: 10, isRouted: true, steps: [{ setWeight: 60 }] });
  world.annotate("weir.dev/abort-step", "10");
  world.annotate("weir.dev/abort-interval", "1m");
  world.settle();
  world.readiness = "manual";
  world.editSpec(imagePatch("web:2"));
  world.settle();
  world.editSpec({ replicas: row.replicas ?? 10 });
  const { stableRS = "", currentPodHash = "" } = world.status();
  const [canary, stable] = row.pods ?? [6, 10];
  setAvailable(world, currentPodHash, canary, row.mark === undefined ? undefined : at(row.mark));
  setAvailable(world, stableRS, stable);
  const weight = row.has ?? 60;
  world.patchStatus({
    abort: true,
    abortedAt: row.isStatusLost === true ? null : at("01:00"),
    canary: {
      weights: {
        canary: { weight, podTemplateHash: currentPodHash },
        stable: { weight: 100 - weight, podTemplateHash: stableRS },
      },
    },
  });
  return contextOf(world.snapshot(), Date.parse(at(row.now)));
}

function setAvailable(world: World, hash: string, availableReplicas: number, mark?: string): void {
  const replicaSet = world.replicaSets.get(`web-${hash}`);
  if (replicaSet === undefined) throw new Error(`there is no version ${hash}`);
  const { annotations } = replicaSet.metadata;
  const marked = { ...annotations, ...(mark !== undefined && { [MARK]: mark }) };
  const metadata = { ...replicaSet.metadata, annotations: marked };
  world.replicaSets.set(`web-${hash}`, {
    ...replicaSet,
    metadata,
    status: { replicas: 10, availableReplicas },
  });
}
