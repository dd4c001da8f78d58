// What a cluster's configuration says, compiled: how an endpoint is chosen, how much may be under way, what takes an endpoint out.
import type { HealthOptions } from "./health.ts";
import type { OutlierOptions } from "./outlier.ts";

/** How an endpoint is chosen. */
export type BalancerOptions =
  | { readonly kind: "roundRobin" }
  /** The one with the fewest requests of `choices` that are drawn. */
  | { readonly kind: "leastRequest"; readonly choices: number }
  /** Consistent: by the hash that the route computes, on a ring of at least `minimumSize` points. */
  | { readonly kind: "ringHash"; readonly minimumSize: number; readonly maximumSize: number };

/** New endpoints, and those that come back, get their share bit by bit. */
export interface SlowStart {
  readonly windowMs: number;
  /** 1: in proportion to time; above 1: more at the begin. */
  readonly aggression: number;
  /** Least part of the full share, 0 to 1. */
  readonly minimum: number;
}

/** Retries in progress: at most `percent` of the requests in progress, but always `minimum`. */
export interface RetryBudget {
  readonly percent: number;
  readonly minimum: number;
}

export interface ClusterOptions {
  readonly balancer: BalancerOptions;
  readonly slowStart: SlowStart | null;
  /** Below this percentage of usable endpoints all of them get requests. */
  readonly panicPercent: number;
  readonly connectTimeoutMs: number;
  /** Unused connections are kept so long, if their upstream says nothing less; null: the proxy's default. 0: any time. */
  readonly idleMs: number | null;
  /** Requests that one connection serves; 0: any number. */
  readonly maxRequestsPerConnection: number;
  /** Connections to all endpoints together; an endpoint without any may always have one. */
  readonly maxConnections: number;
  /** Requests that wait for a connection. */
  readonly maxPending: number;
  /** Requests in progress on all endpoints together. */
  readonly maxRequests: number;
  /** Retries in progress; a budget goes before. */
  readonly maxRetries: number;
  readonly retryBudget: RetryBudget | null;
  readonly health: HealthOptions | null;
  readonly outlier: OutlierOptions | null;
  /** Bytes of one request that may wait when the cluster is a mirror, or be kept for a second try. */
  readonly bufferBytes: number;
}

/** Envoy's defaults. */
export const DEFAULT_CLUSTER_OPTIONS: ClusterOptions = {
  balancer: { kind: "roundRobin" },
  slowStart: null,
  panicPercent: 50,
  connectTimeoutMs: 5_000,
  idleMs: null,
  maxRequestsPerConnection: 0,
  maxConnections: 1_024,
  maxPending: 1_024,
  maxRequests: 1_024,
  maxRetries: 3,
  retryBudget: null,
  health: null,
  outlier: null,
  bufferBytes: 1024 * 1024,
};

/** The endpoints of a cluster. */
export interface EndpointSet {
  readonly addresses: readonly EndpointAddress[];
  /** Of levels of priority (levels.ts). */
  readonly overprovisioningPercent: number;
}

/** Envoy's default: a factor of 1.4. */
export const DEFAULT_OVERPROVISIONING_PERCENT = 140;

export interface EndpointAddress {
  /** IP address. */
  readonly address: string;
  readonly port: number;
  /** What the configuration says of its health. */
  readonly isHealthy: boolean;
  /** It serves, but others should do so first. */
  readonly isDegraded?: boolean;
  /** Its share against others; default 1. */
  readonly weight?: number;
  /** Its level: 0, the default, serves first. */
  readonly priority?: number;
  /** Further IP addresses of it, with the same port, in order of preference. */
  readonly otherAddresses?: readonly string[];
  /** Of active health checks: another port, another host, none at all. */
  readonly checkPort?: number;
  readonly checkHost?: string;
  readonly isCheckDisabled?: boolean;
}
