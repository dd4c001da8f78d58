// The picture of an Experiment: header, tree, tags of images; its line in the list; and its place in a Rollout's tree.
import { test } from "tap";
import {
  type KubeObject,
  readAnalysisRun,
  readExperiment,
  readReplicaSet,
  readRollout,
} from "../../src/api/api.ts";
import { experimentCells, viewExperiment } from "../../src/cli/experimentview.ts";
import { renderExperiment, renderRollout } from "../../src/cli/render.ts";
import { viewRollout } from "../../src/cli/rolloutview.ts";

const NOW = Date.parse("2026-01-01T00:10:00Z");
const created = { creationTimestamp: "2026-01-01T00:05:00Z", namespace: "shop" };

const experiment: KubeObject = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Experiment",
  metadata: { name: "duel", uid: "e", annotations: { "rollout.argoproj.io/revision": "2" }, ...created },
  spec: { templates: [], duration: "10m" },
  status: { phase: "Running", message: "so far", availableAt: "2026-01-01T00:06:00Z" },
};
const replicaSet = (template: string, image: string): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: {
    name: `duel-${template}`,
    annotations: { "experiment.argoproj.io/template-name": template },
    ...created,
  },
  spec: { replicas: 1, template: { spec: { containers: [{ name: "c", image }] } } },
  status: { replicas: 1, availableReplicas: 1 },
});
const run: KubeObject = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "AnalysisRun",
  metadata: { name: "duel-errors", ...created },
  spec: { metrics: [] },
  status: { phase: "Running", metricResults: [{ name: "m", phase: "Running", successful: 2, failed: 1 }] },
};
const parts = {
  experiment: readExperiment(experiment).value,
  replicaSets: [replicaSet("canary", "web:2"), replicaSet("baseline", "web:1")].map(
    (set) => readReplicaSet(set).value,
  ),
  pods: [],
  analysisRuns: [readAnalysisRun(run).value],
};

test("get experiment: shows header, tagged images and tree as Argo's plugin does", async (t) => {
  t.strictSame(renderExperiment(viewExperiment(parts, NOW)), [
    "Name:            duel",
    "Namespace:       shop",
    "Status:          ◌ Running",
    "Message:         so far",
    "Images:          web:1 (Σ:baseline)",
    "                 web:2 (Σ:canary)",
    "",
    "NAME                KIND         STATUS     AGE  INFO",
    "Σ duel              Experiment   ◌ Running  5m",
    "├──⧉ duel-baseline  ReplicaSet   ✔ Healthy  5m",
    "├──⧉ duel-canary    ReplicaSet   ✔ Healthy  5m",
    "└──α duel-errors    AnalysisRun  ◌ Running  5m   ✔ 2,✖ 1",
  ]);
});

test("list experiments: says how long it runs and what is left", async (t) => {
  t.strictSame(experimentCells(parts.experiment, NOW), ["duel", "Running", "10m", "6m", "5m"]);
  const ended = { ...experiment, status: { ...Object(experiment.status), phase: "Failed" } };
  t.strictSame(experimentCells(readExperiment(ended).value, NOW), ["duel", "Failed", "10m", "-", "5m"]);
});

test("get rollout: shows the Experiment of a step under its revision", async (t) => {
  const rollout = readRollout({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", generation: 1, ...created },
    spec: { strategy: { canary: {} } },
    status: { observedGeneration: "1", phase: "Progressing" },
  }).value;
  const view = viewRollout(
    { rollout, replicaSets: [], pods: [], analysisRuns: [], experiments: [parts] },
    NOW,
  );
  const lines = renderRollout(view);
  t.ok(lines.includes("Images:          web:1 (Σ:baseline)"));
  t.match(lines.join("\n"), /# revision:2 *\n {3}└──Σ duel +Experiment +◌ Running/);
});
