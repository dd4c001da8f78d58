// The picture of a Rollout: header, tree, icons, columns.
import { test } from "tap";
import { type KubeObject, readAnalysisRun, readPod, readReplicaSet, readRollout } from "../../src/api/api.ts";
import { listLines } from "../../src/cli/list.ts";
import { fitTable, renderTable } from "../../src/cli/narrow.ts";
import { renderRollout } from "../../src/cli/render.ts";
import { phaseSeen, viewRollout } from "../../src/cli/rolloutview.ts";

const NOW = Date.parse("2026-01-01T00:10:00Z");
const created = { creationTimestamp: "2026-01-01T00:05:00Z", namespace: "shop" };

const rollout: KubeObject = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Rollout",
  metadata: { name: "web", uid: "u", generation: 2, ...created },
  spec: {
    replicas: 4,
    strategy: {
      canary: {
        steps: [{ setWeight: 20 }, { pause: {} }],
        trafficRouting: { plugins: { "weir.dev/proxy": {} } },
      },
    },
  },
  status: {
    observedGeneration: "2",
    phase: "Paused",
    message: "CanaryPauseStep",
    currentPodHash: "b",
    stableRS: "a",
    currentStepIndex: 1,
    replicas: 5,
    updatedReplicas: 1,
    readyReplicas: 5,
    availableReplicas: 5,
    canary: { weights: { canary: { weight: 20 }, stable: { weight: 80 }, verified: true } },
  },
};
const replicaSet = (hash: string, revision: string, replicas: number, annotations = {}): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: {
    name: `web-${hash}`,
    uid: `rs-${hash}`,
    labels: { "rollouts-pod-template-hash": hash },
    annotations: { "rollout.argoproj.io/revision": revision, ...annotations },
    ...created,
  },
  spec: { replicas, template: { spec: { containers: [{ name: "c", image: `demo:${hash}` }] } } },
  status: { availableReplicas: replicas, readyReplicas: replicas, replicas },
});
const pod = (name: string, owner: string, status: object): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name,
    ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid: `rs-${owner}` }],
    ...created,
  },
  spec: { containers: [{ name: "c" }] },
  status,
});
const run: KubeObject = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "AnalysisRun",
  metadata: { name: "web-b-2-1", annotations: { "rollout.argoproj.io/revision": "2" }, ...created },
  spec: { metrics: [] },
  status: { phase: "Running", metricResults: [{ name: "m", phase: "Running", successful: 3, failed: 1 }] },
};

const parts = {
  rollout: readRollout(rollout).value,
  replicaSets: [
    replicaSet("a", "1", 4, { "scale-down-deadline": "2026-01-01T00:10:30Z" }),
    replicaSet("b", "2", 1),
  ].map((object) => readReplicaSet(object).value),
  pods: [
    pod("web-b-x", "b", {
      phase: "Running",
      containerStatuses: [{ name: "c", ready: true, restartCount: 0 }],
    }),
    pod("web-a-y", "a", {
      phase: "Running",
      containerStatuses: [
        { name: "c", ready: false, restartCount: 7, state: { waiting: { reason: "CrashLoopBackOff" } } },
      ],
    }),
  ].map((object) => readPod(object).value),
  analysisRuns: [readAnalysisRun(run).value],
};

test("get: shows header, revisions newest first, roles, pods and analysis as Argo's plugin does", async (t) => {
  t.strictSame(
    renderRollout(viewRollout(parts, NOW)),
    [
      "Name:            web",
      "Namespace:       shop",
      "Status:          ॥ Paused",
      "Message:         CanaryPauseStep",
      "Strategy:        Canary",
      "  Step:          1/2",
      "  SetWeight:     20",
      "  ActualWeight:  20",
      "Images:          demo:a (stable)",
      "                 demo:b (canary)",
      "Replicas:",
      "  Desired:       4",
      "  Current:       5",
      "  Updated:       1",
      "  Ready:         5",
      "  Available:     5",
      "",
      "NAME                KIND         STATUS              AGE  INFO",
      "⟳ web               Rollout      ॥ Paused            5m",
      "├──# revision:2",
      "│  ├──⧉ web-b       ReplicaSet   ✔ Healthy           5m   canary",
      "│  │  └──□ web-b-x  Pod          ✔ Running           5m   ready:1/1",
      "│  └──α web-b-2-1   AnalysisRun  ◌ Running           5m   ✔ 3,✖ 1",
      "└──# revision:1",
      "   └──⧉ web-a       ReplicaSet   ✔ Healthy           5m   stable,delay:30s",
      "      └──□ web-a-y  Pod          ⚠ CrashLoopBackOff  5m   ready:0/1,restarts:7",
    ].map((line) => line),
  );
});

test("get: names what a blue-green version is, which may be two things", async (t) => {
  const blueGreen = { activeSelector: "a", previewSelector: "b" };
  const shown = (status: object): readonly string[] => {
    const object = {
      ...rollout,
      spec: { replicas: 4, strategy: { blueGreen: { activeService: "web" } } },
      status: { ...(rollout.status as object), ...status },
    };
    return renderRollout(viewRollout({ ...parts, rollout: readRollout(object).value }, NOW)).filter((line) =>
      /Strategy|Weight:|demo:|⧉/.test(line),
    );
  };
  t.strictSame(shown({ blueGreen }), [
    "Strategy:        BlueGreen",
    "Images:          demo:a (stable, active)",
    "                 demo:b (preview)",
    "│  ├──⧉ web-b       ReplicaSet   ✔ Healthy           5m   preview",
    "   └──⧉ web-a       ReplicaSet   ✔ Healthy           5m   stable,active,delay:30s",
  ]);
  const switched = shown({ blueGreen: { ...blueGreen, activeSelector: "b" } });
  t.match(switched.join("\n"), /demo:a \(stable\)\n.*demo:b \(active\)\n/);
});

test("get: an image that two versions run stands once, with the tags of both by name", async (t) => {
  const { template } = replicaSet("a", "1", 4).spec as { readonly template: object };
  const both = [replicaSet("a", "1", 4), { ...replicaSet("b", "2", 1), spec: { replicas: 1, template } }];
  const replicaSets = both.reverse().map((object) => readReplicaSet(object).value);
  t.strictSame(viewRollout({ ...parts, replicaSets }, NOW).images, ["demo:a (canary, stable)"]);
  const stableFirst = { ...parts, replicaSets: [...replicaSets].reverse() };
  t.strictSame(viewRollout(stableFirst, NOW).images, ["demo:a (canary, stable)"]);
});

test("get: with ping-pong it says which Service is whose", async (t) => {
  const pingPong = { pingService: "web-ping", pongService: "web-pong" };
  const images = (stablePingPong: string | undefined): readonly string[] => {
    const canary = { ...(rollout.status as { canary: object }).canary, stablePingPong };
    const object = {
      ...rollout,
      spec: { ...(rollout.spec as object), strategy: { canary: { pingPong } } },
      status: { ...(rollout.status as object), canary },
    };
    return viewRollout({ ...parts, rollout: readRollout(object).value }, NOW).images;
  };
  t.strictSame(images("ping"), ["demo:a (stable, ping)", "demo:b (canary, pong)"]);
  t.strictSame(images("pong"), ["demo:a (stable, pong)", "demo:b (canary, ping)"]);
});

test("get: a status that has not caught up with the spec is Progressing", async (t) => {
  const seen = (status: object): string => {
    const object = { ...rollout, status: { ...(rollout.status as object), ...status } };
    return phaseSeen(readRollout(object).value).message;
  };
  t.equal(seen({ observedGeneration: "1" }), "waiting for rollout spec update to be observed");
  t.equal(seen({ controllerPause: true }), "waiting for rollout to unpause");
  t.equal(
    seen({
      controllerPause: true,
      pauseConditions: [{ reason: "CanaryPauseStep", startTime: "2026-01-01T00:00:00Z" }],
    }),
    "CanaryPauseStep",
  );
});

test("get: only a number below the generation says that the spec is not observed", async (t) => {
  const seen = (observedGeneration: string | undefined): string => {
    const status = { ...(rollout.status as object), observedGeneration };
    return phaseSeen(readRollout({ ...rollout, status }).value).phase;
  };
  t.equal(seen(undefined), "Progressing");
  t.equal(seen("1"), "Progressing");
  t.equal(seen("2"), "Paused");
  t.equal(seen("7"), "Paused", "the Rollout was restored from a backup");
  t.equal(seen("7f8d9c"), "Paused", "a hash, as old controllers wrote it");
});

test("get: a status that has not caught up with the referenced workload is Progressing", async (t) => {
  const seen = (annotation: string | undefined, workloadObservedGeneration: string | undefined): string => {
    const { metadata, spec, status } = rollout;
    const annotations =
      annotation === undefined ? {} : { "rollout.argoproj.io/workload-generation": annotation };
    const workloadRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
    const object = {
      ...rollout,
      metadata: { ...metadata, annotations },
      spec: { ...(spec as object), workloadRef },
      status: { ...(status as object), workloadObservedGeneration },
    };
    return phaseSeen(readRollout(object).value).message;
  };
  t.equal(seen("3", "2"), "waiting for rollout spec update to be observed for the reference workload");
  t.equal(seen("3", "3"), "CanaryPauseStep");
  t.equal(seen(undefined, "2"), "CanaryPauseStep");
  t.equal(seen("3", undefined), "CanaryPauseStep");
});

test("render: columns are as wide as what is seen of their widest cell", async (t) => {
  t.strictSame(
    renderTable([
      ["॥ a", "b"],
      ["cc", "d"],
      ["e", ""],
    ]),
    ["॥ a  b", "cc   d", "e"],
  );
});

test("render: in 40 columns no name and no state is cut, and what matters least is left out", async (t) => {
  const message = 'The Rollout "web" is invalid: spec.template.spec.containers[0].image: Required value';
  const object = { ...rollout, status: { ...(rollout.status as object), message } };
  const view = viewRollout({ ...parts, rollout: readRollout(object).value }, NOW);
  const lines = renderRollout(view, 40);
  t.ok(lines.every((line) => Array.from(line).length <= 40));
  t.strictSame(lines.slice(3, 9), [
    'Message:         The Rollout "web" is',
    "                 invalid:",
    "                 spec.template.spec.cont",
    "                 ainers[0].image:",
    "                 Required value",
    "Strategy:        Canary",
  ]);
  t.strictSame(lines.slice(-9), [
    "NAME                STATUS",
    "⟳ web               ॥ Paused",
    "├──# revision:2",
    "│  ├──⧉ web-b       ✔ Healthy",
    "│  │  └──□ web-b-x  ✔ Running",
    "│  └──α web-b-2-1   ◌ Running",
    "└──# revision:1",
    "   └──⧉ web-a       ✔ Healthy",
    "      └──□ web-a-y  ⚠ CrashLoopBackOff",
  ]);
  t.match(renderRollout(view, 64).join("\n"), /web-a-y {2}⚠ CrashLoopBackOff {2}ready:0\/1,restarts:7/);
});

test("render: names too long for the terminal stand whole, their states below them", async (t) => {
  const long = "a-rollout-whose-name-alone-takes-more-than-a-line";
  const rows = [
    ["NAME", "KIND", "STATUS", "AGE", "INFO"],
    [`⟳ ${long}`, "Rollout", "॥ Paused", "5m", ""],
    ["└──# revision:1", "", "", "", ""],
  ];
  const lines = fitTable(rows, [1, 3, 4], 40);
  t.ok(lines.every((line) => Array.from(line).length <= 40));
  t.equal(
    lines
      .slice(2, 4)
      .map((line) => line.trim())
      .join(""),
    `⟳ ${long}`,
  );
  t.strictSame(
    [lines[0], lines[1], lines[4], lines[5]],
    ["NAME", "    STATUS", "    ॥ Paused", "└──# revision:1"],
  );
});

test("list: in 40 columns names and states stand, and what matters least is left out", (t) => {
  const table = [
    ["NAME", "STRATEGY", "STATUS", "STEP", "SET-WEIGHT", "READY", "DESIRED", "UP-TO-DATE", "AVAILABLE"],
    ["shop", "Canary", "Paused", "1/2", "50", "3/2", "2", "1", "3"],
  ];
  t.strictSame(listLines(table, 40), [
    "NAME  STATUS  STEP  SET-WEIGHT  READY",
    "shop  Paused  1/2   50          3/2",
  ]);
  t.strictSame(listLines(table, 20), ["NAME  STATUS  READY", "shop  Paused  3/2"]);
  t.strictSame(listLines(table), listLines(table, 200));
  t.match(listLines(table)[0], /^NAME {2}STRATEGY {2}STATUS {2}STEP {2}SET-WEIGHT {2}READY {2}DESIRED /);
  t.end();
});
