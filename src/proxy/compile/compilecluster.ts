// Cluster → ClusterOptions: balancing, bounds. Pure; problems are collected, not thrown. Defaults are Envoy's.
import type { CircuitBreakers, Cluster, SlowStartConfig } from "../../xds/types.ts";
import { Cluster_LbPolicy, durationMs, HttpProtocolOptionsSchema, unpack } from "../../xds/types.ts";
import {
  type BalancerOptions,
  type ClusterOptions,
  DEFAULT_CLUSTER_OPTIONS,
  type RetryBudget,
  type SlowStart,
} from "../forward/clusteroptions.ts";
import { compileHealth } from "./compilehealth.ts";
import { compileOutlier } from "./compileoutlier.ts";
import type { Problems } from "./problems.ts";

const PROTOCOL_KEY = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const DEFAULT_RING_SIZE = 1_024;
/** A larger ring would take too long to build at once. Envoy's own limit is 8 M. */
const MAX_RING_SIZE = 65_536;
const MAX_CHOICES = 1_024;
/** Envoy's retry budget, where it is asked for without numbers. */
const DEFAULT_BUDGET: RetryBudget = { percent: 20, minimum: 3 };

/** Reads what a cluster's message says beside its name and endpoints. */
export function compileOptions(cluster: Cluster, problems: Problems): ClusterOptions {
  const defaults = DEFAULT_CLUSTER_OPTIONS;
  const connectTimeoutMs = durationMs(cluster.connectTimeout) ?? defaults.connectTimeoutMs;
  if (connectTimeoutMs <= 0) problems.add("connect_timeout", "must be above 0");
  const panicPercent = cluster.commonLbConfig?.healthyPanicThreshold?.value ?? defaults.panicPercent;
  if (!isPercent(panicPercent))
    problems.add("common_lb_config.healthy_panic_threshold", "must be between 0 and 100");
  return {
    balancer: compileBalancer(cluster, problems),
    slowStart: compileSlowStart(cluster, problems),
    panicPercent,
    connectTimeoutMs,
    ...compileProtocol(cluster, problems),
    bufferBytes: cluster.perConnectionBufferLimitBytes ?? defaults.bufferBytes,
    health: compileHealth(cluster.healthChecks, problems),
    outlier: compileOutlier(cluster.outlierDetection, problems),
    ...compileBounds(cluster.circuitBreakers, problems),
  };
}

function compileProtocol(
  { typedExtensionProtocolOptions }: Cluster,
  problems: Problems,
): Pick<ClusterOptions, "idleMs" | "maxRequestsPerConnection"> {
  let { idleMs, maxRequestsPerConnection } = DEFAULT_CLUSTER_OPTIONS;
  for (const [key, any] of Object.entries(typedExtensionProtocolOptions)) {
    const at = `typed_extension_protocol_options[${JSON.stringify(key)}]`;
    const options = key === PROTOCOL_KEY ? unpack(HttpProtocolOptionsSchema, any) : undefined;
    if (options === undefined) problems.add(at, `is no ${PROTOCOL_KEY}`);
    const common = options?.commonHttpProtocolOptions;
    if (common === undefined) continue;
    idleMs = durationMs(common.idleTimeout) ?? null;
    maxRequestsPerConnection = common.maxRequestsPerConnection ?? 0;
    const { maxHeadersCount, maxConnectionDuration, maxStreamDuration, headersWithUnderscoresAction } =
      common;
    const isMore = maxHeadersCount ?? maxConnectionDuration ?? maxStreamDuration;
    if (isMore !== undefined || headersWithUnderscoresAction !== 0)
      problems.add(
        `${at}.common_http_protocol_options`,
        "may hold idle_timeout and max_requests_per_connection only",
      );
  }
  return { idleMs, maxRequestsPerConnection };
}

function compileBalancer({ lbPolicy, lbConfig }: Cluster, problems: Problems): BalancerOptions {
  if (lbPolicy === Cluster_LbPolicy.LEAST_REQUEST) {
    const config = lbConfig.case === "leastRequestLbConfig" ? lbConfig.value : undefined;
    const choices = config?.choiceCount ?? 2;
    if (choices < 2 || choices > MAX_CHOICES)
      problems.add("least_request_lb_config.choice_count", `must be between 2 and ${MAX_CHOICES}`);
    return { kind: "leastRequest", choices };
  }
  if (lbPolicy !== Cluster_LbPolicy.RING_HASH) return { kind: "roundRobin" };
  const config = lbConfig.case === "ringHashLbConfig" ? lbConfig.value : undefined;
  const minimumSize = Number(config?.minimumRingSize ?? DEFAULT_RING_SIZE);
  const maximumSize = Math.min(Number(config?.maximumRingSize ?? MAX_RING_SIZE), MAX_RING_SIZE);
  const at = "ring_hash_lb_config.minimum_ring_size";
  if (minimumSize < 1 || minimumSize > MAX_RING_SIZE)
    problems.add(at, `must be between 1 and ${MAX_RING_SIZE}`);
  else if (minimumSize > maximumSize) problems.add(at, "is above maximum_ring_size");
  return { kind: "ringHash", minimumSize, maximumSize };
}

function compileSlowStart({ lbPolicy, lbConfig }: Cluster, problems: Problems): SlowStart | null {
  const isRound = lbConfig.case === "roundRobinLbConfig" && lbPolicy === Cluster_LbPolicy.ROUND_ROBIN;
  const isLeast = lbConfig.case === "leastRequestLbConfig" && lbPolicy === Cluster_LbPolicy.LEAST_REQUEST;
  const config: SlowStartConfig | undefined = isRound || isLeast ? lbConfig.value.slowStartConfig : undefined;
  const windowMs = durationMs(config?.slowStartWindow) ?? 0;
  if (config === undefined || windowMs === 0) return null;
  const at = `${isRound ? "round_robin" : "least_request"}_lb_config.slow_start_config`;
  const aggression = config.aggression?.defaultValue ?? 1;
  if (!(aggression > 0)) problems.add(`${at}.aggression`, "must be above 0");
  const percent = config.minWeightPercent?.value ?? 10;
  if (!isPercent(percent)) problems.add(`${at}.min_weight_percent`, "must be between 0 and 100");
  // An endpoint without any share would never get warm in the eyes of who divides by it.
  return { windowMs, aggression, minimum: Math.max(percent / 100, 0.001) };
}

type Bounds = Pick<
  ClusterOptions,
  "maxConnections" | "maxPending" | "maxRequests" | "maxRetries" | "retryBudget"
>;

/** Those of the default priority: routes of high priority are not supported, so that theirs bound nothing. */
function compileBounds(breakers: CircuitBreakers | undefined, problems: Problems): Bounds {
  const { maxConnections, maxPending, maxRequests, maxRetries } = DEFAULT_CLUSTER_OPTIONS;
  const index = breakers?.thresholds.findIndex(({ priority }) => priority === 0) ?? -1;
  const found = breakers?.thresholds[index];
  const budget = found?.retryBudget;
  const percent = budget?.budgetPercent?.value ?? DEFAULT_BUDGET.percent;
  if (!isPercent(percent))
    problems.add(
      `circuit_breakers.thresholds[${index}].retry_budget.budget_percent`,
      "must be between 0 and 100",
    );
  const minimum = budget?.minRetryConcurrency ?? DEFAULT_BUDGET.minimum;
  return {
    maxConnections: found?.maxConnections ?? maxConnections,
    maxPending: found?.maxPendingRequests ?? maxPending,
    maxRequests: found?.maxRequests ?? maxRequests,
    maxRetries: found?.maxRetries ?? maxRetries,
    retryBudget: budget === undefined ? null : { percent, minimum },
  };
}

function isPercent(value: number): boolean {
  return value >= 0 && value <= 100;
}
