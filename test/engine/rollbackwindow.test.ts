// The rollback window's arithmetic: which versions lie between, and how many there may be.
import { test } from "tap";
import { contextOf } from "../../src/engine/context.ts";
import { isInRollbackWindow } from "../../src/engine/pods/rollbackwindow.ts";
import { worldWith } from "../../src/simulate/manifest.ts";

/** Versions made one second apart unless `atMs` says otherwise; the last is the stable one, `wanted` the one that the spec goes back to. */
function inWindow(options: {
  readonly revisions?: number;
  readonly versions: readonly {
    readonly name: string;
    readonly at: number;
    readonly isExperiment?: boolean;
  }[];
  readonly wanted: string;
  readonly stable: string;
}): boolean {
  const { revisions, versions, wanted, stable } = options;
  const world = worldWith({
    spec: revisions === undefined ? {} : { rollbackWindow: { revisions } },
    image: wanted,
  });
  const uid = world.rollout.metadata.uid ?? "";
  for (const { name, at, isExperiment = false } of versions) {
    const labels = { app: "web", "rollouts-pod-template-hash": name };
    world.add("replicaSets", {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: {
        name: `web-${name}`,
        labels,
        ...(isExperiment ? { annotations: { "experiment.argoproj.io/name": "e" } } : {}),
        creationTimestamp: new Date(at * 1000).toISOString(),
        ownerReferences: [
          { apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", name: "web", uid, controller: true },
        ],
      },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "main", image: name }] } },
      },
    });
  }
  world.patchStatus({ stableRS: stable });
  return isInRollbackWindow(contextOf(world.snapshot(), world.nowMs));
}

const FOUR = [
  { name: "a", at: 1 },
  { name: "b", at: 2 },
  { name: "c", at: 3 },
  { name: "d", at: 4 },
];

test("rollback window: holds versions as long as fewer lie between than it has revisions", (t) => {
  const rows: readonly (readonly [number | undefined, string, string, boolean])[] = [
    [1, "c", "d", true],
    [1, "b", "d", false],
    [2, "b", "d", true],
    [2, "a", "d", false],
    [3, "a", "d", true],
    [3, "a", "c", true],
    [3, "d", "a", false], // forward is no way back
    [3, "d", "d", false],
    [0, "c", "d", false],
    [-1, "c", "d", false],
    [undefined, "c", "d", false],
    [3, "a", "gone", false],
    [3, "unknown", "d", false],
  ];
  for (const [revisions, wanted, stable, expected] of rows)
    t.equal(
      inWindow({ ...(revisions === undefined ? {} : { revisions }), versions: FOUR, wanted, stable }),
      expected,
      `${revisions} revisions, ${wanted} for ${stable}`,
    );
  t.end();
});

test("rollback window: experiments do not count, nor do versions as old as either end", (t) => {
  const versions = [
    { name: "a", at: 1 },
    { name: "twin", at: 1 },
    { name: "x", at: 2, isExperiment: true },
    { name: "d", at: 3 },
    { name: "late", at: 3 },
  ];
  t.equal(inWindow({ revisions: 1, versions, wanted: "a", stable: "d" }), true);
  t.equal(inWindow({ revisions: 1, versions, wanted: "late", stable: "d" }), false, "no older than stable");
  t.end();
});
