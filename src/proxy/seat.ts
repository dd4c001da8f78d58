// Where an event loop stands among several that are one proxy: what it does itself, what it leaves to the others, what it tells them. Most
// proxies are one event loop, and stand alone. The others' side is workers/.

import type { Limits } from "./core.ts";
import type { ClusterOptions } from "./forward/clusteroptions.ts";
import type { NameState } from "./names.ts";

/** One of `count` equal parts. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** See the head of this file. Clusters and endpoints go by name: `<cluster>`, `<address>:<port>`. */
export interface Seat {
  /** False: others accept the connections. */
  readonly isServing: boolean;
  /** False: another one checks the endpoints and looks up host names, and tells the results. */
  readonly isChecking: boolean;
  /** What a configuration allows is divided. */
  readonly share: Share;
  onChecked(cluster: string, endpoint: string, isFailed: boolean): void;
  onEjected(cluster: string, endpoint: string, forMs: number): void;
  onTakenBack(cluster: string, endpoint: string): void;
  /** Names lead to other endpoints, now or with the next configuration. */
  onRenewed(cluster: string, names: readonly NameState[]): void;
}

export const ALONE: Seat = {
  isServing: true,
  isChecking: true,
  share: { index: 0, count: 1 },
  onChecked: () => undefined,
  onEjected: () => undefined,
  onTakenBack: () => undefined,
  onRenewed: () => undefined,
};

/** The part of `total` that a share has: all parts add up to it, but for none being 0 where there is something to share. */
export function partOf(total: number, { index, count }: Share): number {
  if (total === 0 || total === Number.POSITIVE_INFINITY) return total;
  const rest = total % count;
  return Math.max(1, (total - rest) / count + (index < rest ? 1 : 0));
}

/** The bounds of one part of the proxy. */
export function limitsOf(limits: Limits, share: Share): Limits {
  if (share.count === 1) return limits;
  return {
    ...limits,
    maxConnections: partOf(limits.maxConnections, share),
    maxRequests: partOf(limits.maxRequests, share),
    copyBytes: partOf(limits.copyBytes, share),
  };
}

/** The bounds of a cluster in one part of the proxy. */
export function clusterOf(options: ClusterOptions, share: Share): ClusterOptions {
  if (share.count === 1) return options;
  const { retryBudget } = options;
  return {
    ...options,
    maxConnections: partOf(options.maxConnections, share),
    maxPending: partOf(options.maxPending, share),
    maxRequests: partOf(options.maxRequests, share),
    maxRetries: partOf(options.maxRetries, share),
    retryBudget: retryBudget && { ...retryBudget, minimum: partOf(retryBudget.minimum, share) },
  };
}
