// The figures that are read from the caches, and how long series of objects last.
import { test } from "tap";
import {
  type KubeObject,
  RESOURCES,
  type ResourceType,
  readAnalysisRun,
  readAnalysisTemplate,
  readClusterAnalysisTemplate,
  readExperiment,
  readRollout,
} from "../../src/api/api.ts";
import { createMetrics } from "../../src/controller/metrics.ts";
import { createObjectSeries } from "../../src/controller/objectseries.ts";
import type { StateCaches } from "../../src/controller/statemetrics.ts";

const KIND = { apiVersion: "argoproj.io/v1alpha1" };
const provider = { plugin: { "weir.dev/traffic": { metric: "errorRate" } } };
const metrics = [
  { name: "errors", provider },
  { name: "load", provider: { prometheus: { query: "up" } } },
];

function rollout(name: string, spec: object, conditions: object): KubeObject {
  return { ...KIND, kind: "Rollout", metadata: { name, namespace: "shop" }, spec, status: { conditions } };
}

function progressing(reason: string): readonly object[] {
  return [{ type: "Progressing", status: "True", reason, message: "" }];
}

function cachesOf(objects: readonly KubeObject[]): StateCaches {
  const view = <T>(type: ResourceType, read: (object: KubeObject) => { readonly value: T }) => {
    const own = objects.filter(({ kind }) => kind === type.kind);
    const get = (key: string) =>
      own.find(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}` === key);
    return { list: () => own.map((object) => read(object).value), store: { get } };
  };
  // All that metrics ask of a cache.
  return {
    rollouts: view(RESOURCES.rollout, readRollout),
    analysisRuns: view(RESOURCES.analysisRun, readAnalysisRun),
    analysisTemplates: view(RESOURCES.analysisTemplate, readAnalysisTemplate),
    clusterAnalysisTemplates: view(RESOURCES.clusterAnalysisTemplate, readClusterAnalysisTemplate),
    experiments: view(RESOURCES.experiment, readExperiment),
  } as unknown as StateCaches;
}

async function scrapeOf(...objects: readonly KubeObject[]): Promise<string> {
  const made = createMetrics();
  made.observe(cachesOf(objects));
  return made.text();
}

test("metrics: a Rollout's phase and router are told in the words of Argo's metrics", async (t) => {
  const routing = (trafficRouting: object) => ({ strategy: { canary: { trafficRouting } } });
  const text = await scrapeOf(
    rollout("done", routing({ nginx: { stableIngress: "x" } }), progressing("NewReplicaSetAvailable")),
    rollout(
      "late",
      routing({ alb: { ingress: "x", servicePort: 80 } }),
      progressing("ProgressDeadlineExceeded"),
    ),
    rollout("held", { strategy: { blueGreen: { activeService: "x" } } }, progressing("RolloutPaused")),
    rollout("aborted", routing({ plugins: { "weir.dev/proxy": {} } }), progressing("RolloutAborted")),
    rollout("refused", { strategy: { canary: {} } }, progressing("ReplicaSetCreateError")),
    rollout("wrong", {}, [{ type: "InvalidSpec", status: "True", reason: "InvalidSpec", message: "" }]),
    rollout("under-way", { strategy: { canary: {} } }, progressing("ReplicaSetUpdated")),
  );
  const infos = [...text.matchAll(/^rollout_info\{namespace="shop",(.*)\} 1$/gm)].map(([, labels]) => labels);
  t.strictSame(infos, [
    'name="done",strategy="canary",traffic_router="Nginx",phase="Completed"',
    'name="late",strategy="canary",traffic_router="ALB",phase="Timeout"',
    'name="held",strategy="blueGreen",traffic_router="",phase="Paused"',
    'name="aborted",strategy="canary",traffic_router="weir",phase="Abort"',
    'name="refused",strategy="canary",traffic_router="",phase="Error"',
    'name="wrong",strategy="none",traffic_router="",phase="InvalidSpec"',
    'name="under-way",strategy="canary",traffic_router="",phase="Progressing"',
  ]);
  const phases = [...text.matchAll(/^rollout_phase\{namespace="shop",name="held",.*phase="(\w+)"\} (\d)$/gm)];
  t.strictSame(
    phases.map(([, phase, value]) => `${phase} ${value}`),
    ["Completed 0", "Progressing 0", "Paused 1", "Timeout 0", "Error 0", "Abort 0"],
  );
});

test("metrics: runs, their metrics, templates and Experiments are told by phase and by what measures", async (t) => {
  const at = (name: string, namespace = "shop") => ({ metadata: { name, namespace } });
  const text = await scrapeOf(
    {
      ...KIND,
      kind: "AnalysisRun",
      ...at("run"),
      spec: { metrics, dryRun: [{ metricName: "lo.*" }] },
      status: { phase: "Running", metricResults: [{ name: "errors", phase: "Failed" }] },
    },
    { ...KIND, kind: "AnalysisTemplate", ...at("errors"), spec: { metrics } },
    { ...KIND, kind: "ClusterAnalysisTemplate", metadata: { name: "all" }, spec: { metrics: [] } },
    { ...KIND, kind: "Experiment", ...at("duel"), spec: { templates: [] }, status: { phase: "Failed" } },
    { ...KIND, kind: "Experiment", ...at("new"), spec: { templates: [] } },
  );
  const run = 'namespace="shop",name="run"';
  for (const line of [
    `analysis_run_info{${run},phase="Running"} 1`,
    `analysis_run_phase{${run},phase="Running"} 1`,
    `analysis_run_phase{${run},phase="Failed"} 0`,
    `analysis_run_metric_type{${run},metric="errors",type="RPCPlugin"} 1`,
    `analysis_run_metric_type{${run},metric="load",type="Prometheus"} 1`,
    `analysis_run_metric_phase{${run},metric="errors",type="RPCPlugin",dry_run="false",phase="Failed"} 1`,
    `analysis_run_metric_phase{${run},metric="load",type="Prometheus",dry_run="true",phase="Pending"} 1`,
    'analysis_template_info{namespace="shop",name="errors"} 1',
    'analysis_template_info{namespace="",name="all"} 1',
    'analysis_template_metric_info{namespace="shop",name="errors",type="Prometheus",metric="load"} 1',
    'experiment_info{namespace="shop",name="duel",phase="Failed"} 1',
    'experiment_info{namespace="shop",name="new",phase=""} 1',
    'experiment_phase{namespace="shop",name="duel",phase="Failed"} 1',
    'experiment_phase{namespace="shop",name="new",phase="Pending"} 1',
    'weir_series_left_out{metric="experiment_info"} 0',
  ])
    t.ok(text.split("\n").includes(line), line);
});

test("metrics: passes over runs and Experiments are timed, and what fails is counted", async (t) => {
  const made = createMetrics();
  made.reconciled("experiment", "shop/duel", 0.2, true);
  made.reconciled("analysis_run", "shop/run", 0.12, false);
  const text = await made.text();
  t.match(text, 'experiment_reconcile_bucket{le="0.25",namespace="shop",name="duel"} 1');
  t.match(text, 'experiment_reconcile_error{namespace="shop",name="duel"} 1');
  t.match(text, 'analysis_run_reconcile_bucket{le="0.15",namespace="shop",name="run"} 1');
  t.notMatch(text, /^analysis_run_reconcile_error\{/m);
});

test("metrics: a state of more series than one answer may hold is cut, and that is told", async (t) => {
  const many = Array.from({ length: 10_003 }, (_, index) => ({
    ...KIND,
    kind: "Experiment",
    metadata: { name: `e-${index}`, namespace: "shop" },
    spec: { templates: [] },
  }));
  const text = await scrapeOf(...many);
  t.equal(text.match(/^experiment_info\{/gm)?.length, 10_000);
  t.match(text, 'weir_series_left_out{metric="experiment_info"} 3');
});

test("metrics: series of an object that is gone are given once more, then dropped", (t) => {
  const there = new Set(["shop/web"]);
  const removed: string[] = [];
  const series = createObjectSeries((_kind, key) => there.has(key));
  series.note("rollout", "shop/web", "passes", () => removed.push("passes"));
  series.given();
  series.given();
  t.strictSame(removed, []);
  there.clear();
  series.given();
  t.strictSame(removed, [], "its last values are seen");
  series.given();
  t.strictSame(removed, ["passes"]);
  for (let index = 0; index < 5_000; index += 1)
    series.note("rollout", `shop/gone-${index}`, "passes", () => removed.push(`gone-${index}`));
  t.ok(removed.length > 2_000, "nobody has to ask for them");
  t.end();
});
