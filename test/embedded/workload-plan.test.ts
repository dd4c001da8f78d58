// The pure parts of the workload controllers: whom a ReplicaSet deletes first, what it waits for, and the slices of a Service.
import { test } from "tap";
import type { KubeObject } from "../../src/api/api.ts";
import { type Pod, readPod } from "../../src/embedded/agent/podspec.ts";
import { createExpectations, EXPECTATION_TIMEOUT_MS } from "../../src/embedded/workload/expectations.ts";
import {
  claimPods,
  nextAvailableInMs,
  podsToDelete,
  readReplicaSet,
  replicaSetStatus,
} from "../../src/embedded/workload/replicaplan.ts";
import { desiredSlices, readService } from "../../src/embedded/workload/slices.ts";

const NOW_MS = Date.UTC(2026, 0, 1, 12);
const at = (secondsAgo: number): string => new Date(NOW_MS - secondsAgo * 1000).toISOString();

interface PodOptions {
  readonly nodeName?: string;
  readonly phase?: string;
  readonly readySecondsAgo?: number;
  readonly createdSecondsAgo?: number;
  readonly restarts?: number;
  readonly cost?: string;
  readonly ports?: string;
  readonly containerPorts?: readonly object[];
  readonly deletedAt?: string;
  readonly owner?: string;
  readonly ip?: string;
}

function aPod(name: string, options: PodOptions = {}): KubeObject {
  const annotations = {
    ...(options.cost && { "controller.kubernetes.io/pod-deletion-cost": options.cost }),
    ...(options.ports && { "weir.dev/ports": options.ports }),
  };
  const owner = {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    name: "web",
    uid: options.owner ?? "",
    controller: true,
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}`,
      labels: { app: "web" },
      annotations,
      creationTimestamp: at(options.createdSecondsAgo ?? 100),
      ...(options.deletedAt && { deletionTimestamp: options.deletedAt }),
      ...(options.owner && { ownerReferences: [owner] }),
    },
    spec: {
      nodeName: options.nodeName ?? "node",
      containers: [{ name: "main", ports: options.containerPorts ?? [] }],
    },
    status: {
      phase: options.phase ?? "Running",
      ...(options.ip && { podIP: options.ip }),
      containerStatuses: [{ restartCount: options.restarts ?? 0 }],
      conditions:
        options.readySecondsAgo === undefined
          ? []
          : [{ type: "Ready", status: "True", lastTransitionTime: at(options.readySecondsAgo) }],
    },
  };
}

function aSet(spec: object = {}): ReturnType<typeof readReplicaSet> {
  const template = { metadata: { labels: { app: "web", tier: "front" } } };
  return readReplicaSet({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "web", namespace: "default", uid: "set", generation: 4 },
    spec: { replicas: 3, selector: { matchLabels: { app: "web" } }, template, ...spec },
  });
}

const names = (pods: readonly Pod[]): string => pods.map(({ metadata }) => metadata.name).join(" ");

test("replica plan: deletes unassigned, pending, unready, cheap, lately ready, restarted, young pods first", (t) => {
  const pods = [
    aPod("old", { readySecondsAgo: 90, createdSecondsAgo: 200 }),
    aPod("young", { readySecondsAgo: 90, createdSecondsAgo: 95 }),
    aPod("restarted", { readySecondsAgo: 90, restarts: 3 }),
    aPod("lately", { readySecondsAgo: 5 }),
    aPod("dear", { readySecondsAgo: 5, cost: "10" }),
    aPod("cheap", { readySecondsAgo: 500, cost: "-10" }),
    aPod("unready"),
    aPod("pending", { phase: "Pending" }),
    { ...aPod("unassigned", { phase: "Pending" }), spec: {} },
  ].map(readPod);
  t.equal(names(podsToDelete(pods, 9)), "unassigned pending unready cheap lately restarted young old dear");
  t.equal(names(podsToDelete(pods, 2)), "unassigned pending");
  t.equal(names(podsToDelete(pods, -1)), "");
  t.end();
});

test("replica plan: claims its own, orphans that fit, and releases what no longer fits", (t) => {
  const stray = aPod("stray", { owner: "set" });
  const pods = [
    aPod("mine", { owner: "set" }),
    aPod("orphan"),
    aPod("other", { owner: "another" }),
    aPod("leaving", { owner: "set", deletedAt: at(1) }),
    aPod("done", { owner: "set", phase: "Succeeded" }),
    { ...stray, metadata: { ...stray.metadata, labels: { app: "none" } } },
  ];
  const claim = claimPods(aSet(), pods);
  t.equal(names(claim.active), "mine");
  t.equal(names(claim.adopt), "orphan");
  t.equal(names(claim.release), "stray");
  t.equal(names(claimPods(aSet({ selector: {} }), pods).adopt), "", "an empty selector adopts nobody");
  t.end();
});

test("replica plan: status counts ready, available and fully labelled pods and says when the next becomes available", (t) => {
  const set = aSet({ minReadySeconds: 30 });
  const pods = [
    aPod("long", { readySecondsAgo: 31 }),
    aPod("short", { readySecondsAgo: 10 }),
    aPod("not"),
  ].map(readPod);
  t.match(replicaSetStatus(set, pods, undefined, NOW_MS), {
    replicas: 3,
    readyReplicas: 2,
    availableReplicas: 1,
    fullyLabeledReplicas: 0,
    observedGeneration: 4,
    conditions: [],
  });
  t.equal(nextAvailableInMs(set, pods, NOW_MS), 20_000);
  t.equal(nextAvailableInMs(set, pods.slice(0, 1), NOW_MS), undefined);
  t.end();
});

test("replica plan: a failure keeps its first words until it is over, other conditions stay", (t) => {
  const first = replicaSetStatus(aSet(), [], { reason: "FailedCreate", message: "pod a" }, NOW_MS);
  const other = { type: "Other", status: "True" };
  const set = { ...aSet(), status: { conditions: [other, ...first.conditions] } };
  const second = replicaSetStatus(set, [], { reason: "FailedCreate", message: "pod b" }, NOW_MS + 5_000);
  t.same(second.conditions, [other, ...first.conditions]);
  t.same(replicaSetStatus(set, [], undefined, NOW_MS).conditions, [other]);
  t.end();
});

test("expectations: hold until all that was asked for is seen, or for five minutes", (t) => {
  const expectations = createExpectations();
  t.ok(expectations.isSatisfied("a", 0));
  expectations.expect("a", 2, [], 0);
  expectations.creationObserved("a");
  t.notOk(expectations.isSatisfied("a", 1));
  expectations.creationObserved("a");
  t.ok(expectations.isSatisfied("a", 1));
  expectations.expect("a", 0, ["x", "y"], 0);
  expectations.deletionObserved("a", "x");
  expectations.deletionObserved("a", "x");
  t.notOk(expectations.isSatisfied("a", 1));
  t.ok(expectations.isSatisfied("a", EXPECTATION_TIMEOUT_MS + 1));
  expectations.deletionObserved("a", "y");
  t.ok(expectations.isSatisfied("a", 1));
  t.end();
});

test("slices: ports follow name, number and the agent's annotation; pods without address or finished have none", (t) => {
  const containerPorts = [
    { name: "http", containerPort: 8080 },
    { name: "admin", containerPort: 9090 },
  ];
  const ports = JSON.stringify({ 8080: 20_001, 9090: 20_002 });
  const service = readService({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default", uid: "svc" },
    spec: {
      selector: { app: "web" },
      ports: [
        { name: "http", port: 80, targetPort: "http", appProtocol: "http" },
        { name: "admin", port: 81, targetPort: 9090 },
        { name: "raw", port: 7777 },
        { name: "none", port: 82, targetPort: "missing" },
      ],
    },
  });
  const pods = [
    aPod("a", { ip: "127.0.0.1", ports, containerPorts, readySecondsAgo: 1 }),
    aPod("b", { ip: "127.0.0.1", ports: "no json", containerPorts, deletedAt: at(1), readySecondsAgo: 1 }),
    aPod("c"),
    aPod("d", { ip: "127.0.0.1", phase: "Failed" }),
  ];
  const slices = desiredSlices(service, pods);
  t.match(slices, [
    {
      endpoints: [
        { addresses: ["127.0.0.1"], conditions: { ready: true, serving: true, terminating: false } },
      ],
      ports: [
        { name: "http", port: 20_001, protocol: "TCP", appProtocol: "http" },
        { name: "admin", port: 20_002 },
        { name: "raw", port: 7777 },
      ],
    },
    {
      endpoints: [{ conditions: { ready: false, serving: true, terminating: true } }],
      ports: [{ port: 8080 }, { port: 9090 }, { port: 7777 }],
    },
  ]);
  t.equal(slices.length, 2);
  t.same(desiredSlices(service, pods), slices, "the same pods give the same slices, names included");
  t.not(slices[0]?.metadata.name, slices[1]?.metadata.name);
  t.end();
});
