// Figures that are read from the caches whenever somebody asks: how Rollouts, AnalysisRuns, templates and Experiments stand. What was deleted is
// gone from them at once. Names, labels and the words of labels are Argo's. Source: Argo: controller/metrics, v1.9.
import { dryRunMetrics } from "../analysis/assess.ts";
import {
  ANALYSIS_PHASES,
  type AnalysisRun,
  CONDITION_TYPES,
  type Experiment,
  type Metric,
  type MetricProvider,
  REASONS,
  type Rollout,
  replicasOf,
  usesWeirRouter,
} from "../api/api.ts";
import type { Caches } from "./caches.ts";

/** What the figures are read from. */
export type StateCaches = Pick<
  Caches,
  "rollouts" | "analysisRuns" | "analysisTemplates" | "clusterAnalysisTemplates" | "experiments"
>;

type Labels = Readonly<Record<string, string>>;
type Series = readonly [labels: Labels, value: number];

interface StateMetric {
  readonly help: string;
  /** Beside namespace and name. */
  readonly labels: readonly string[];
  readonly series: (caches: StateCaches) => Iterable<Series>;
}

/** Every figure of this kind by its name. */
export const STATE_METRICS = {
  rollout_info: {
    help: "Rollouts, by strategy, traffic router and phase; always 1",
    labels: ["strategy", "traffic_router", "phase"],
    series: perRollout((rollout) => [
      [{ ...strategyOf(rollout), traffic_router: routerOf(rollout), phase: phaseOf(rollout) }, 1],
    ]),
  },
  rollout_phase: {
    help: "1 for the phase that a Rollout is in, 0 for others; Argo's older form of rollout_info",
    labels: ["strategy", "phase"],
    series: perRollout((rollout) =>
      oneOf(ROLLOUT_PHASES, phaseOf(rollout)).map(([phase, value]) => [
        { ...strategyOf(rollout), phase },
        value,
      ]),
    ),
  },
  rollout_info_replicas_available: {
    help: "Available pods of a Rollout",
    labels: [],
    series: perRollout(({ status }) => [[{}, status.availableReplicas ?? 0]]),
  },
  rollout_info_replicas_unavailable: {
    help: "Pods of a Rollout that are not available",
    labels: [],
    series: perRollout(({ status }) => [
      [{}, Math.max(0, (status.replicas ?? 0) - (status.availableReplicas ?? 0))],
    ]),
  },
  rollout_info_replicas_desired: {
    help: "Pods that a Rollout asks for",
    labels: [],
    series: perRollout((rollout) => [[{}, replicasOf(rollout)]]),
  },
  rollout_info_replicas_updated: {
    help: "Pods of a Rollout's newest version",
    labels: [],
    series: perRollout(({ status }) => [[{}, status.updatedReplicas ?? 0]]),
  },
  analysis_run_info: {
    help: "AnalysisRuns, by phase; always 1",
    labels: ["phase"],
    series: perRun(({ status }) => [[{ phase: status.phase ?? "" }, 1]]),
  },
  analysis_run_phase: {
    help: "1 for the phase that an AnalysisRun is in, 0 for others; Argo's older form of analysis_run_info",
    labels: ["phase"],
    series: perRun(({ status }) => phases(status.phase)),
  },
  analysis_run_metric_type: {
    help: "Metrics of AnalysisRuns, by what measures them; always 1",
    labels: ["metric", "type"],
    series: perRun(({ spec }) =>
      spec.metrics.map((metric): Series => [{ metric: metric.name, type: typeOf(metric) }, 1]),
    ),
  },
  analysis_run_metric_phase: {
    help: "1 for the phase that a metric of an AnalysisRun is in, 0 for others",
    labels: ["metric", "type", "dry_run", "phase"],
    series: perRun(metricPhases),
  },
  analysis_template_info: {
    help: "Analysis templates; always 1. Those of the cluster have no namespace",
    labels: [],
    series: perTemplate(() => [[{}, 1]]),
  },
  analysis_template_metric_info: {
    help: "Metrics of analysis templates, by what measures them; always 1",
    labels: ["type", "metric"],
    series: perTemplate((metrics) =>
      metrics.map((metric): Series => [{ type: typeOf(metric), metric: metric.name }, 1]),
    ),
  },
  experiment_info: {
    help: "Experiments, by phase; always 1",
    labels: ["phase"],
    series: perExperiment(({ status }) => [[{ phase: status.phase ?? "" }, 1]]),
  },
  experiment_phase: {
    help: "1 for the phase that an Experiment is in, 0 for others; Argo's older form of experiment_info",
    labels: ["phase"],
    series: perExperiment(({ status }) => phases(status.phase)),
  },
} as const satisfies Readonly<Record<string, StateMetric>>;

/** In Argo's metrics a Rollout is in another phase than in its status. */
const ROLLOUT_PHASES = ["Completed", "Progressing", "Paused", "Timeout", "Error", "Abort"] as const;

/** By the reason of the condition Progressing. */
const PHASE_OF_REASON: Readonly<Record<string, string>> = {
  [REASONS.newReplicaSetAvailable]: "Completed",
  [REASONS.rolloutPaused]: "Paused",
  [REASONS.replicaSetCreateError]: "Error",
  [REASONS.progressDeadlineExceeded]: "Timeout",
  [REASONS.rolloutAborted]: "Abort",
};

const ROUTER_NAMES: Readonly<Record<string, string>> = {
  alb: "ALB",
  ambassador: "Ambassador",
  istio: "Istio",
  nginx: "Nginx",
  smi: "SMI",
  appMesh: "AppMesh",
};

const PROVIDER_NAMES = {
  prometheus: "Prometheus",
  job: "Job",
  kayenta: "Kayenta",
  web: "Web",
  datadog: "Datadog",
  wavefront: "Wavefront",
  newRelic: "NewRelic",
  cloudWatch: "CloudWatch",
  graphite: "Graphite",
  influxdb: "Influxdb",
  skywalking: "skywalking",
  plugin: "RPCPlugin",
} as const satisfies Partial<Record<keyof MetricProvider, string>>;

interface Named {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}

function* named<T extends Named>(
  objects: readonly T[],
  seriesOf: (object: T) => readonly Series[],
): Generator<Series> {
  for (const object of objects) {
    const { namespace = "", name } = object.metadata;
    for (const [labels, value] of seriesOf(object)) yield [{ namespace, name, ...labels }, value];
  }
}

function perRollout(seriesOf: (rollout: Rollout) => readonly Series[]): StateMetric["series"] {
  return ({ rollouts }) => named(rollouts.list(), seriesOf);
}

function perRun(seriesOf: (run: AnalysisRun) => readonly Series[]): StateMetric["series"] {
  return ({ analysisRuns }) => named(analysisRuns.list(), seriesOf);
}

function perExperiment(seriesOf: (experiment: Experiment) => readonly Series[]): StateMetric["series"] {
  return ({ experiments }) => named(experiments.list(), seriesOf);
}

function perTemplate(seriesOf: (metrics: readonly Metric[]) => readonly Series[]): StateMetric["series"] {
  return ({ analysisTemplates, clusterAnalysisTemplates }) =>
    named([...analysisTemplates.list(), ...clusterAnalysisTemplates.list()], ({ spec }) =>
      seriesOf(spec.metrics ?? []),
    );
}

function strategyOf({ spec }: Rollout): { readonly strategy: string } {
  const { blueGreen, canary } = spec.strategy ?? {};
  return { strategy: blueGreen !== undefined ? "blueGreen" : canary !== undefined ? "canary" : "none" };
}

/** Argo names no plugin; weir's own router is one. */
function routerOf(rollout: Rollout): string {
  if (usesWeirRouter(rollout)) return "weir";
  const routing = Object.keys(rollout.spec.strategy?.canary?.trafficRouting ?? {});
  return ROUTER_NAMES[Object.keys(ROUTER_NAMES).findLast((router) => routing.includes(router)) ?? ""] ?? "";
}

function phaseOf({ status }: Rollout): string {
  const condition = (type: string) => status.conditions?.find((one) => one.type === type);
  if (condition(CONDITION_TYPES.invalidSpec) !== undefined) return "InvalidSpec";
  return PHASE_OF_REASON[condition(CONDITION_TYPES.progressing)?.reason ?? ""] ?? "Progressing";
}

function oneOf(names: readonly string[], name: string): readonly (readonly [string, number])[] {
  return names.map((one) => [one, one === name ? 1 : 0]);
}

/** Nothing has been looked at yet while there is no phase. */
function phases(phase: string | undefined): readonly Series[] {
  return oneOf(ANALYSIS_PHASES, phase ?? "Pending").map(([name, value]) => [{ phase: name }, value]);
}

function metricPhases(run: AnalysisRun): readonly Series[] {
  const dryRun = dryRunMetrics(run);
  return run.spec.metrics.flatMap((metric) => {
    const result = run.status.metricResults?.find(({ name }) => name === metric.name);
    const labels = {
      metric: metric.name,
      type: typeOf(metric),
      dry_run: String(dryRun.has(metric.name)),
    };
    return phases(result?.phase).map(([phase, value]): Series => [{ ...labels, ...phase }, value]);
  });
}

function typeOf({ provider }: Metric): string {
  const found = Object.entries(PROVIDER_NAMES).find(([key]) => Reflect.get(provider, key) !== undefined);
  return found?.[1] ?? "Unknown Provider";
}
