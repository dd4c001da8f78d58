// The controller's own figures as Prometheus text, under Argo's names where Argo has them. Tables name them all; docs/reference/metrics.md lists
// the same.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { RolloutDuration } from "../api/api.ts";
import { createObjectSeries } from "./objectseries.ts";
import { STATE_METRICS, type StateCaches } from "./statemetrics.ts";

/** What is counted as it happens: its name and what it says. */
const EVENT_METRICS = {
  rollout_reconcile: "Seconds that a pass over a Rollout took",
  rollout_reconcile_error: "Passes over a Rollout that failed",
  rollout_events_total: "Events written about Rollouts, by type and reason",
  rollout_duration_seconds: "Seconds from the beginning of an update to its end, by how it ended",
  rollout_progression_duration_seconds: "The same without the pauses that waited for somebody",
  rollout_manual_pause_duration_seconds: "Seconds that an update waited for somebody, by how it ended",
  analysis_run_reconcile: "Seconds that a pass over an AnalysisRun took, measuring included",
  analysis_run_reconcile_error: "Passes over an AnalysisRun that failed",
  experiment_reconcile: "Seconds that a pass over an Experiment took",
  experiment_reconcile_error: "Passes over an Experiment that failed",
  weir_weight_acknowledgement_seconds:
    "Seconds from the publication of a Rollout's weights until every proxy had them in force",
  weir_series_left_out: "Series of a metric that were not given in this answer, because there are too many",
} as const;

/** Every metric: its name and what it says. */
export const METRICS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(STATE_METRICS).map(([name, { help }]) => [name, help])),
  ...EVENT_METRICS,
};

/** Kinds that are reconciled, as their metrics are called. */
export type Reconciled = "rollout" | "analysis_run" | "experiment";

export interface ControllerMetrics {
  /** A pass has ended. */
  reconciled(kind: Reconciled, key: string, seconds: number, hasFailed: boolean): void;
  /** An event on the Rollout under `key` was written. */
  eventWritten(key: string, type: string, reason: string): void;
  /** An update has ended, in whatever way. */
  ended(record: RolloutDuration): void;
  acknowledged(key: string, seconds: number): void;
  /** Where the state of Rollouts and runs is read from, at each scrape. */
  observe(caches: StateCaches): void;
  text(): Promise<string>;
  readonly contentType: string;
}

/** Argo's bounds among them. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Of updates: up to eight hours. */
const UPDATE_SECONDS = [0, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14_400, 28_800];

/** Series that one metric of the state may have: an answer is written at once, and decisions wait for it. */
const MAX_SERIES = 10_000;

const OBJECT = ["namespace", "name"];

/** Makes the registry of one controller. */
export function createMetrics(): ControllerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  let caches: StateCaches | undefined;
  const { passes, errors, events, acknowledgement, durations, progressions, pauses } =
    createCounters(registry);
  const objects = createObjectSeries((kind, key) => isThere(caches, kind, key));
  const leftOut = new Gauge({ ...named(registry, "weir_series_left_out", ["metric"]), registers: [] });
  for (const name of Object.keys(STATE_METRICS)) addState(registry, name, () => caches, leftOut);
  // Last, because it is known when the others have been read.
  registry.registerMetric(leftOut);
  return {
    contentType: registry.contentType,
    async text() {
      const text = await registry.metrics();
      objects.given();
      return text;
    },
    observe(from) {
      caches = from;
    },
    reconciled(kind, key, seconds, hasFailed) {
      const labels = split(key);
      passes[kind].observe(labels, seconds);
      objects.note(kind, key, "passes", () => passes[kind].remove(labels));
      if (!hasFailed) return;
      errors[kind].inc(labels);
      objects.note(kind, key, "errors", () => errors[kind].remove(labels));
    },
    ended(record) {
      const { whole, paused } = secondsOf(record);
      const status = record.completionStatus ?? "";
      durations.observe({ status }, whole);
      progressions.observe({ status }, whole - paused);
      pauses.observe({ status }, paused);
    },
    eventWritten(key, type, reason) {
      const labels = { ...split(key), type, reason };
      events.inc(labels);
      objects.note("rollout", key, `event ${type} ${reason}`, () => events.remove(labels));
    },
    acknowledged(key, seconds) {
      const labels = split(key);
      acknowledgement.observe(labels, seconds);
      objects.note("rollout", key, "acknowledgement", () => acknowledgement.remove(labels));
    },
  };
}

function named(registry: Registry, name: keyof typeof EVENT_METRICS, labelNames: readonly string[]) {
  return { name, help: EVENT_METRICS[name], labelNames, registers: [registry] };
}

/** What is counted as it happens. */
function createCounters(registry: Registry) {
  const perObject = (name: keyof typeof EVENT_METRICS) =>
    new Histogram({ ...named(registry, name, OBJECT), buckets: SECONDS });
  const byEnd = (name: keyof typeof EVENT_METRICS) =>
    new Histogram({ ...named(registry, name, ["status"]), buckets: UPDATE_SECONDS });
  return {
    passes: {
      rollout: perObject("rollout_reconcile"),
      analysis_run: perObject("analysis_run_reconcile"),
      experiment: perObject("experiment_reconcile"),
    },
    errors: {
      rollout: new Counter(named(registry, "rollout_reconcile_error", OBJECT)),
      analysis_run: new Counter(named(registry, "analysis_run_reconcile_error", OBJECT)),
      experiment: new Counter(named(registry, "experiment_reconcile_error", OBJECT)),
    },
    events: new Counter(named(registry, "rollout_events_total", [...OBJECT, "type", "reason"])),
    acknowledgement: perObject("weir_weight_acknowledgement_seconds"),
    durations: byEnd("rollout_duration_seconds"),
    progressions: byEnd("rollout_progression_duration_seconds"),
    pauses: byEnd("rollout_manual_pause_duration_seconds"),
  };
}

/** A gauge that is read from the caches when it is asked for. */
function addState(
  registry: Registry,
  name: string,
  caches: () => StateCaches | undefined,
  leftOut: Gauge,
): void {
  // Its own keys are all that it is asked for.
  const { help, labels, series } = STATE_METRICS[name as keyof typeof STATE_METRICS];
  new Gauge({
    name,
    help,
    labelNames: [...OBJECT, ...labels],
    registers: [registry],
    collect() {
      this.reset();
      const from = caches();
      let count = 0;
      for (const [of, value] of from === undefined ? [] : series(from)) {
        count += 1;
        if (count <= MAX_SERIES) this.set({ ...of }, value);
      }
      leftOut.set({ metric: name }, Math.max(0, count - MAX_SERIES));
    },
  });
}

/** Without caches nothing is known to be gone. */
function isThere(caches: StateCaches | undefined, kind: string, key: string): boolean {
  if (caches === undefined) return true;
  const { rollouts, analysisRuns, experiments } = caches;
  const views: Readonly<Record<string, StateCaches["rollouts" | "analysisRuns" | "experiments"]>> = {
    rollout: rollouts,
    analysis_run: analysisRuns,
    experiment: experiments,
  };
  return views[kind]?.store.get(key) !== undefined;
}

/** Seconds that an update took, and of these the ones that it waited for somebody. */
export function secondsOf(record: RolloutDuration): { readonly whole: number; readonly paused: number } {
  const spanMs = Date.parse(record.finishedAt ?? "") - Date.parse(record.rolloutStartedAt ?? "");
  const whole = Number.isNaN(spanMs) ? 0 : Math.max(0, spanMs / 1000);
  return { whole, paused: Math.min(whole, record.totalManualPauseDurationSeconds ?? 0) };
}

function split(key: string): { readonly namespace: string; readonly name: string } {
  const [namespace = "", name = ""] = key.split("/");
  return { namespace, name };
}
