// Load reports as the control plane reads them: weir's proxies send cumulative values as named metrics, other clients send counts since
// their report before. Both are told apart here and never mixed. Pure.
import type { ClusterStats } from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { durationMs } from "./messages.ts";

/** Names of weir's own metrics begin so: `weir/v1/<route>/<counter>`. */
export const WEIR_METRIC_PREFIX = "weir/v1/";
/** Named metrics that are read per cluster and report; more are dropped. */
export const MAX_METRICS_PER_CLUSTER = 20_000;

/** Counts since the client's report before, over all localities. */
export interface LoadDelta {
  readonly issued: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly dropped: number;
  /** A state, not a count: requests in progress when the report was made. */
  readonly inProgress: number;
  /** The time that the counts stand for; 0 when the client does not say. */
  readonly intervalMs: number;
}

export interface ClusterLoad {
  readonly cluster: string;
  /** What every LRS client reports: since its report before. */
  readonly delta: LoadDelta;
  /** Values of weir's metrics since the process began, by `<route>/<counter>` (the prefix is taken off). Empty for other clients. */
  readonly cumulative: ReadonlyMap<string, number>;
  /** Named metrics of other clients (backends' own, by ORCA), since the report before. */
  readonly named: ReadonlyMap<string, { readonly count: number; readonly total: number }>;
}

/** One report of one node. */
export interface LoadReport {
  readonly nodeId: string;
  readonly group: string;
  /** Process of the node; undefined: a client that sends deltas only. */
  readonly epoch?: string;
  readonly userAgent: string;
  readonly atMs: number;
  readonly clusters: readonly ClusterLoad[];
}

/** Reads one cluster's statistics. Numbers above 2^53 lose their last digits. */
export function clusterLoadOf(stats: ClusterStats): ClusterLoad {
  const cumulative = new Map<string, number>();
  const named = new Map<string, { count: number; total: number }>();
  const delta = { issued: 0, succeeded: 0, failed: 0, inProgress: 0 };
  for (const locality of stats.upstreamLocalityStats) {
    delta.issued += Number(locality.totalIssuedRequests);
    delta.succeeded += Number(locality.totalSuccessfulRequests);
    delta.failed += Number(locality.totalErrorRequests);
    delta.inProgress += Number(locality.totalRequestsInProgress);
    for (const metric of locality.loadMetricStats.slice(0, MAX_METRICS_PER_CLUSTER)) {
      const { metricName: name, totalMetricValue: value } = metric;
      if (name.startsWith(WEIR_METRIC_PREFIX)) {
        const key = name.slice(WEIR_METRIC_PREFIX.length);
        cumulative.set(key, (cumulative.get(key) ?? 0) + value);
        continue;
      }
      const before = named.get(name) ?? { count: 0, total: 0 };
      const count = before.count + Number(metric.numRequestsFinishedWithMetric);
      named.set(name, { count, total: before.total + value });
    }
  }
  return {
    cluster: stats.clusterName,
    delta: {
      ...delta,
      dropped: Number(stats.totalDroppedRequests),
      intervalMs: durationMs(stats.loadReportInterval) ?? 0,
    },
    cumulative,
    named,
  };
}
