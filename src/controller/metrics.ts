// The controller's own figures as Prometheus text. One table names them all; docs/reference/metrics.md lists the same.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type Rollout, type RolloutDuration, usesWeirRouter } from "../api/api.ts";
import type { Caches } from "./caches.ts";

/** Every metric: its name and what it says. */
export const METRICS = {
  rollout_info: "Rollouts, by strategy, traffic router and phase; always 1",
  rollout_info_replicas_available: "Available pods of a Rollout",
  rollout_info_replicas_unavailable: "Pods of a Rollout that are not available",
  rollout_info_replicas_desired: "Pods that a Rollout asks for",
  rollout_info_replicas_updated: "Pods of a Rollout's newest version",
  rollout_reconcile: "Seconds that a pass over a Rollout took",
  rollout_reconcile_error: "Passes over a Rollout that failed",
  rollout_events_total: "Events written about Rollouts, by type and reason",
  rollout_duration_seconds: "Seconds from the beginning of an update to its end, by how it ended",
  rollout_progression_duration_seconds: "The same without the pauses that waited for somebody",
  rollout_manual_pause_duration_seconds: "Seconds that an update waited for somebody, by how it ended",
  analysis_run_info: "AnalysisRuns, by phase; always 1",
  weir_weight_acknowledgement_seconds:
    "Seconds from the publication of a Rollout's weights until every proxy had them in force",
} as const;

type Key = { readonly namespace: string; readonly name: string };

export interface ControllerMetrics {
  /** A pass over a Rollout has ended. */
  reconciled(key: string, seconds: number, hasFailed: boolean): void;
  eventWritten(type: string, reason: string): void;
  /** An update has ended, in whatever way. */
  ended(record: RolloutDuration): void;
  acknowledged(key: string, seconds: number): void;
  /** Where the state of Rollouts and runs is read from, at each scrape. */
  observe(caches: Pick<Caches, "rollouts" | "analysisRuns">): void;
  text(): Promise<string>;
  readonly contentType: string;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Of updates: up to eight hours. */
const UPDATE_SECONDS = [0, 60, 300, 600, 1800, 3600, 7200, 14_400, 28_800];

/** Makes the registry of one controller. */
export function createMetrics(): ControllerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  let caches: Pick<Caches, "rollouts" | "analysisRuns"> | undefined;
  const named = (name: keyof typeof METRICS, labelNames: readonly string[]) => ({
    name,
    help: METRICS[name],
    labelNames,
    registers: [registry],
  });
  const histogram = (name: keyof typeof METRICS) =>
    new Histogram({ ...named(name, ["namespace", "name"]), buckets: SECONDS });
  const reconcile = histogram("rollout_reconcile");
  const acknowledgement = histogram("weir_weight_acknowledgement_seconds");
  const byEnd = (name: keyof typeof METRICS) =>
    new Histogram({ ...named(name, ["status"]), buckets: UPDATE_SECONDS });
  const durations = byEnd("rollout_duration_seconds");
  const progressions = byEnd("rollout_progression_duration_seconds");
  const pauses = byEnd("rollout_manual_pause_duration_seconds");
  const errors = new Counter(named("rollout_reconcile_error", ["namespace", "name"]));
  const events = new Counter(named("rollout_events_total", ["type", "reason"]));
  const rollouts = (): readonly Rollout[] => caches?.rollouts.list() ?? [];
  /** A gauge that is read from the caches when it is asked for: what was deleted is gone from it at once. */
  const perRollout = (name: keyof typeof METRICS, value: (rollout: Rollout) => number): void => {
    new Gauge({
      ...named(name, ["namespace", "name"]),
      collect() {
        this.reset();
        for (const rollout of rollouts()) this.set({ ...keyOf(rollout) }, value(rollout));
      },
    });
  };
  new Gauge({
    ...named("rollout_info", ["namespace", "name", "strategy", "traffic_router", "phase"]),
    collect() {
      this.reset();
      for (const rollout of rollouts()) this.set({ ...keyOf(rollout), ...infoOf(rollout) }, 1);
    },
  });
  new Gauge({
    ...named("analysis_run_info", ["namespace", "name", "phase"]),
    collect() {
      this.reset();
      for (const run of caches?.analysisRuns.list() ?? [])
        this.set({ ...keyOf(run), phase: run.status.phase ?? "" }, 1);
    },
  });
  const desired = ({ spec }: Rollout): number => spec.replicas ?? 1;
  perRollout("rollout_info_replicas_available", ({ status }) => status.availableReplicas ?? 0);
  perRollout("rollout_info_replicas_unavailable", (rollout) =>
    Math.max(0, desired(rollout) - (rollout.status.availableReplicas ?? 0)),
  );
  perRollout("rollout_info_replicas_desired", desired);
  perRollout("rollout_info_replicas_updated", ({ status }) => status.updatedReplicas ?? 0);
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    observe(from) {
      caches = from;
    },
    reconciled(key, seconds, hasFailed) {
      reconcile.observe(split(key), seconds);
      if (hasFailed) errors.inc(split(key));
    },
    ended(record) {
      const { whole, paused } = secondsOf(record);
      const status = record.completionStatus ?? "";
      durations.observe({ status }, whole);
      progressions.observe({ status }, whole - paused);
      pauses.observe({ status }, paused);
    },
    eventWritten: (type, reason) => events.inc({ type, reason }),
    acknowledged: (key, seconds) => acknowledgement.observe(split(key), seconds),
  };
}

/** Seconds that an update took, and of these the ones that it waited for somebody. */
export function secondsOf(record: RolloutDuration): { readonly whole: number; readonly paused: number } {
  const spanMs = Date.parse(record.finishedAt ?? "") - Date.parse(record.rolloutStartedAt ?? "");
  const whole = Number.isNaN(spanMs) ? 0 : Math.max(0, spanMs / 1000);
  return { whole, paused: Math.min(whole, record.totalManualPauseDurationSeconds ?? 0) };
}

function split(key: string): Key {
  const [namespace = "", name = ""] = key.split("/");
  return { namespace, name };
}

function keyOf({
  metadata,
}: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): Key {
  return { namespace: metadata.namespace ?? "", name: metadata.name };
}

function infoOf(rollout: Rollout): Readonly<Record<"strategy" | "traffic_router" | "phase", string>> {
  const { strategy } = rollout.spec;
  const routers = Object.keys(strategy?.canary?.trafficRouting ?? {});
  return {
    strategy: strategy?.blueGreen === undefined ? "canary" : "blueGreen",
    traffic_router: usesWeirRouter(rollout) ? "weir" : (routers[0] ?? ""),
    phase: rollout.status.phase ?? "",
  };
}
