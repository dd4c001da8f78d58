// /clusters: every cluster with its bounds and what counts against them, every endpoint with its health and counts, in slices. The lines are
// those of Envoy's page of that name, as far as they mean something here.

import type { Endpoint } from "../forward/endpoint.ts";
import type { Cluster } from "../forward/pool.ts";

const ENDPOINTS_PER_SLICE = 200;

/** Lines `cluster::bound::value` and `cluster::address::what::value`. */
export function* clustersText(clusters: Iterable<Cluster>): Generator<string> {
  for (const cluster of clusters) {
    yield Object.entries(boundsOf(cluster))
      .map(([name, value]) => `${cluster.name}::default_priority::${name}::${value}\n`)
      .join("");
    yield Object.entries(stateOf(cluster))
      .map(([name, value]) => `${cluster.name}::${name}::${value}\n`)
      .join("");
    for (let from = 0; from < cluster.endpoints.length; from += ENDPOINTS_PER_SLICE)
      yield cluster.endpoints
        .slice(from, from + ENDPOINTS_PER_SLICE)
        .map((endpoint) => endpointText(cluster.name, endpoint))
        .join("");
  }
}

/** `{"clusters": [...]}`. */
export function* clustersJson(clusters: Iterable<Cluster>): Generator<string> {
  yield '{"clusters":[';
  let isFirst = true;
  for (const cluster of clusters) {
    const head = { name: cluster.name, bounds: boundsOf(cluster), ...stateOf(cluster) };
    yield `${isFirst ? "" : ","}${JSON.stringify(head).slice(0, -1)},"endpoints":[`;
    isFirst = false;
    for (let from = 0; from < cluster.endpoints.length; from += ENDPOINTS_PER_SLICE) {
      const some = cluster.endpoints.slice(from, from + ENDPOINTS_PER_SLICE);
      const shown = some.map((endpoint) => JSON.stringify({ address: endpoint.key, ...valuesOf(endpoint) }));
      yield `${from === 0 ? "" : ","}${shown.join(",")}`;
    }
    yield "]}";
  }
  yield "]}\n";
}

function boundsOf({ options }: Cluster): Readonly<Record<string, number>> {
  const { maxConnections, maxPending, maxRequests, maxRetries, retryBudget } = options;
  return {
    max_connections: maxConnections,
    max_pending_requests: maxPending,
    max_requests: maxRequests,
    ...(retryBudget === null
      ? { max_retries: maxRetries }
      : { retry_budget_percent: retryBudget.percent, min_retry_concurrency: retryBudget.minimum }),
  };
}

function stateOf(cluster: Cluster): Readonly<Record<string, number | boolean | string>> {
  const { ejections } = cluster.detector ?? { ejections: new Map<string, number>() };
  return {
    lb_policy: cluster.options.balancer.kind,
    panic: cluster.isPanicking,
    ...Object.fromEntries(
      cluster.levels.flatMap(({ loadPercent, degradedPercent }, level) => [
        [`priority_${level}_load_percent`, loadPercent],
        [`priority_${level}_degraded_percent`, degradedPercent],
      ]),
    ),
    cx_active: cluster.connections,
    rq_active: cluster.active,
    rq_pending: cluster.pending,
    rq_waiting: cluster.waiting,
    retries_active: cluster.retrying,
    retries_refused: cluster.retriesRefused,
    ...Object.fromEntries([...ejections].map(([cause, count]) => [`ejections_${cause}`, count])),
  };
}

function endpointText(cluster: string, endpoint: Endpoint): string {
  return Object.entries(valuesOf(endpoint))
    .map(([name, value]) => `${cluster}::${endpoint.key}::${name}::${value}\n`)
    .join("");
}

function valuesOf(endpoint: Endpoint): Readonly<Record<string, number | string>> {
  return {
    cx_active: endpoint.connections,
    cx_idle: endpoint.idleCount,
    cx_total: endpoint.connectionsTotal,
    cx_connect_fail: endpoint.connectionsFailed,
    rq_active: endpoint.active,
    rq_waiting: endpoint.waitingCount,
    rq_total: endpoint.requests,
    rq_success: endpoint.successes,
    rq_error: endpoint.errors,
    rq_timeout: endpoint.timeouts,
    times_ejected: endpoint.record?.timesEjected ?? 0,
    health_flags: flagsOf(endpoint),
    weight: endpoint.weight,
    priority: endpoint.priority,
    warmth: Number(endpoint.warmth.toFixed(3)),
  };
}

/** As Envoy has them: `healthy`, or why not. */
function flagsOf(endpoint: Endpoint): string {
  const flags = [
    endpoint.isCheckFailed && "/failed_active_hc",
    endpoint.isEjected && "/failed_outlier_check",
    !endpoint.isConfiguredHealthy && "/failed_eds_health",
    endpoint.isDegraded && "/degraded_eds_health",
  ].filter((flag) => flag !== false);
  return flags.length === 0 ? "healthy" : flags.join("");
}
