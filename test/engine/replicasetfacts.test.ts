// What is read off a ReplicaSet, above all where a field of it is missing: clients and older versions leave fields out.
import { test } from "tap";
import type { ReplicaSet } from "../../src/api/api.ts";
import {
  byAge,
  countsOf,
  createdMs,
  deadlineMsOf,
  identityOf,
  podHashOf,
  revisionOf,
  versionOf,
} from "../../src/engine/pods/replicaset.ts";
import { replicaSetView } from "../support/world.ts";

function replicaSet(metadata: object = {}, more: object = {}): ReplicaSet {
  return replicaSetView({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "web-1", ...metadata },
    spec: { selector: {} },
    ...more,
  });
}

/** All that is read off one. */
const factsOf = (one: ReplicaSet) => ({
  podHash: podHashOf(one),
  revision: revisionOf(one),
  counts: countsOf(one),
  deadlineMs: deadlineMsOf(one),
  identity: identityOf(one),
  version: versionOf(one),
  createdMs: createdMs(one),
});

test("replica set: what is written is read", (t) => {
  const metadata = {
    namespace: "default",
    uid: "uid-1",
    resourceVersion: "7",
    creationTimestamp: "1970-01-01T00:00:05Z",
    labels: { "rollouts-pod-template-hash": "abc" },
    annotations: {
      "rollout.argoproj.io/revision": "12",
      "scale-down-deadline": "1970-01-01T00:01:00Z",
    },
  };
  const counted = { spec: { selector: {}, replicas: 3 }, status: { replicas: 3, availableReplicas: 2 } };
  t.strictSame(factsOf(replicaSet(metadata, counted)), {
    podHash: "abc",
    revision: 12,
    counts: { spec: 3, available: 2 },
    deadlineMs: 60_000,
    identity: { namespace: "default", name: "web-1", uid: "uid-1" },
    version: "7",
    createdMs: 5000,
  });
  t.end();
});

test("replica set: without labels and annotations it has no version, no revision and no deadline", (t) => {
  const bare = {
    podHash: "",
    revision: 0,
    counts: { spec: 1, available: 0 },
    deadlineMs: undefined,
    identity: { namespace: "", name: "web-1", uid: "" },
    version: "",
    createdMs: 0,
  };
  t.strictSame(factsOf(replicaSet()), bare);
  t.strictSame(factsOf(replicaSet({ labels: {}, annotations: {} })), bare);
  const unreadable = { "rollout.argoproj.io/revision": "first", "scale-down-deadline": "soon" };
  t.strictSame(factsOf(replicaSet({ annotations: unreadable })), bare);
  t.strictSame(countsOf(undefined), { spec: 0, available: 0 });
  t.end();
});

test("replica set: the oldest comes first, by name among those of one second", (t) => {
  const at = (name: string, second: string) =>
    replicaSet({ name, creationTimestamp: `2026-01-01T00:00:${second}Z` });
  const cases: readonly [given: readonly ReplicaSet[], order: string][] = [
    [[at("a", "02"), at("b", "01")], "b a"],
    [[at("b", "01"), at("a", "02")], "b a"],
    [[at("b", "01"), at("a", "01")], "a b"],
    [[at("a", "01"), at("b", "01")], "a b"],
    [[at("c", "03"), at("b", "03"), at("a", "04"), at("d", "01")], "d b c a"],
  ];
  for (const [given, order] of cases)
    t.equal(
      [...given]
        .sort(byAge)
        .map(({ metadata }) => metadata.name)
        .join(" "),
      order,
    );
  t.end();
});
