// Outlier detection: an endpoint whose answers are worse than they may be is taken out of the choice for a while, longer each time. The records of
// endpoints count in the hot path; ejecting and letting back in is the detector's, one per cluster. Rules and defaults are Envoy's.
import type { Timer } from "../../lib/clock.ts";
import type { Core } from "../core.ts";
import { TALLIES } from "../observe/tallies.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Cluster } from "./pool.ts";

/** Compiled from a cluster's outlier_detection. Percentages are 0 to 100; `enforce…`: of the cases in which something follows. */
export interface OutlierOptions {
  readonly consecutive5xx: number;
  readonly enforce5xx: number;
  readonly consecutiveGateway: number;
  readonly enforceGateway: number;
  readonly consecutiveLocal: number;
  readonly enforceLocal: number;
  /** What the proxy notices itself (no connection, a reset, a timeout) is counted apart; else as 503 and 504. */
  readonly isSplit: boolean;
  readonly intervalMs: number;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly jitterMs: number;
  readonly maxPercent: number;
  /** One endpoint may be out whatever `maxPercent` says. */
  readonly mayAlwaysEjectOne: boolean;
  /** A good active health check ends an ejection. */
  readonly isEndedByCheck: boolean;
  readonly successRate: RateRule & { readonly factor: number };
  readonly failureShare: RateRule & { readonly threshold: number };
}

/** Judges an interval: with at least so many endpoints that had at least so many requests. */
interface RateRule {
  readonly enforce: number;
  readonly enforceLocal: number;
  readonly minimumHosts: number;
  readonly minimumRequests: number;
}

/** Why endpoints are ejected. */
export const EJECTED_BY = ["5xx", "gateway", "local", "success_rate", "failure_percentage"] as const;
export type EjectedBy = (typeof EJECTED_BY)[number];

/** What one endpoint did lately. */
export class OutlierRecord {
  readonly endpoint: Endpoint;
  timesEjected = 0;
  ejectedUntilMs = 0;
  readonly external: Share = new Share();
  readonly local: Share = new Share();
  readonly #detector: OutlierDetector;
  #serverErrors = 0;
  #gatewayErrors = 0;
  #localErrors = 0;

  constructor(detector: OutlierDetector, endpoint: Endpoint) {
    this.#detector = detector;
    this.endpoint = endpoint;
  }

  onAnswer(status: number): void {
    this.#localErrors = 0;
    this.local.add(true);
    this.#onStatus(status);
  }

  /** `status` is what a client would be told: 503 or 504. */
  onLocalFailure(status: number): void {
    const { options } = this.#detector;
    if (!options.isSplit) {
      this.#onStatus(status);
      return;
    }
    this.local.add(false);
    this.#localErrors += 1;
    if (this.#localErrors !== options.consecutiveLocal) return;
    this.#localErrors = 0;
    this.#detector.eject(this, "local", options.enforceLocal);
  }

  /** Ejected or back: counting begins anew. */
  forget(): void {
    this.#serverErrors = 0;
    this.#gatewayErrors = 0;
    this.#localErrors = 0;
  }

  #onStatus(status: number): void {
    this.external.add(status < 500);
    if (status < 500) {
      this.#serverErrors = 0;
      this.#gatewayErrors = 0;
      return;
    }
    const { options } = this.#detector;
    this.#gatewayErrors = status >= 502 && status <= 504 ? this.#gatewayErrors + 1 : 0;
    this.#serverErrors += 1;
    if (this.#gatewayErrors === options.consecutiveGateway) {
      this.#gatewayErrors = 0;
      this.#detector.eject(this, "gateway", options.enforceGateway);
    }
    if (this.#serverErrors !== options.consecutive5xx) return;
    this.#serverErrors = 0;
    this.#detector.eject(this, "5xx", options.enforce5xx);
  }
}

/** Successes among requests, of the interval that runs. */
class Share {
  total = 0;
  successes = 0;

  add(isSuccess: boolean): void {
    this.total += 1;
    if (isSuccess) this.successes += 1;
  }

  /** Percent of successes; then counting begins anew. */
  take(): number {
    const rate = this.total === 0 ? 100 : (100 * this.successes) / this.total;
    this.total = 0;
    this.successes = 0;
    return rate;
  }
}

/** See the head of this file. */
export class OutlierDetector {
  options: OutlierOptions;
  readonly ejections: Map<EjectedBy, number> = new Map();
  readonly #core: Core;
  readonly #cluster: Cluster;
  #timer: Timer | null = null;

  constructor(core: Core, cluster: Cluster, options: OutlierOptions) {
    this.#core = core;
    this.#cluster = cluster;
    this.options = options;
    this.#wait();
  }

  /** Takes an endpoint in. */
  watch(endpoint: Endpoint): void {
    endpoint.record ??= new OutlierRecord(this, endpoint);
  }

  /** Ends all of it: whoever is out is back. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const endpoint of this.#cluster.endpoints) {
      endpoint.record = null;
      this.#cluster.setHealth(endpoint, { isEjected: false });
    }
  }

  /** Takes an endpoint out, in `enforce` percent of the cases, if the bound on ejected endpoints allows it. */
  eject(record: OutlierRecord, reason: EjectedBy, enforce: number): void {
    const { endpoint } = record;
    if (endpoint.isEjected || endpoint.isRemoved) return;
    if (enforce < 100 && this.#core.dice.below(100) >= enforce) return;
    const { options } = this;
    const { endpoints } = this.#cluster;
    const out = endpoints.filter(({ isEjected }) => isEjected).length;
    const isAllowed = (out + 1) * 100 <= options.maxPercent * endpoints.length;
    if (!isAllowed && !(options.mayAlwaysEjectOne && out === 0)) return;
    record.timesEjected += 1;
    record.forget();
    const jitterMs = options.jitterMs > 0 ? this.#core.dice.below(options.jitterMs) : 0;
    const forMs = Math.min(options.baseMs * record.timesEjected, options.maxMs) + jitterMs;
    record.ejectedUntilMs = this.#core.clock.steadyMs() + forMs;
    this.ejections.set(reason, (this.ejections.get(reason) ?? 0) + 1);
    const { tallies } = this.#core;
    tallies.add(tallies.place(TALLIES.ejections, this.#cluster.name, reason), 1);
    this.#cluster.setHealth(endpoint, { isEjected: true });
    this.#core.seat.onEjected(this.#cluster.name, endpoint.key, forMs);
    this.#core.log.warn("endpoint ejected", {
      cluster: this.#cluster.name,
      endpoint: endpoint.key,
      reason,
      seconds: forMs / 1_000,
    });
  }

  /** Takes an endpoint out that another part of the proxy has taken out, for so long from now on. */
  adopt(endpoint: Endpoint, forMs: number): void {
    const { record } = endpoint;
    if (record === null || endpoint.isEjected || endpoint.isRemoved) return;
    record.timesEjected += 1;
    record.forget();
    record.ejectedUntilMs = this.#core.clock.steadyMs() + forMs;
    this.#cluster.setHealth(endpoint, { isEjected: true });
  }

  /** An active health check succeeded. */
  onCheckPassed(endpoint: Endpoint): void {
    if (this.options.isEndedByCheck) this.takeBack(endpoint);
  }

  /** Ends an ejection before its time. */
  takeBack(endpoint: Endpoint): void {
    if (!endpoint.isEjected) return;
    this.#takeBack(endpoint);
    this.#core.seat.onTakenBack(this.#cluster.name, endpoint.key);
  }

  #wait(): void {
    this.#timer = this.#core.after(this.options.intervalMs, this, () => {
      this.#wait();
      this.#endInterval();
    });
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("outlier detection", error);
  }

  #endInterval(): void {
    const nowMs = this.#core.clock.steadyMs();
    const records = this.#cluster.endpoints.flatMap(({ record }) => (record === null ? [] : [record]));
    for (const record of records) {
      const { endpoint } = record;
      if (endpoint.isEjected && nowMs >= record.ejectedUntilMs) this.#takeBack(endpoint);
      // A whole interval in good standing takes one ejection off the account.
      else if (!endpoint.isEjected && record.timesEjected > 0) record.timesEjected -= 1;
    }
    const { successRate, failureShare, isSplit } = this.options;
    this.#judge(records, "external", successRate.enforce, failureShare.enforce);
    if (isSplit) this.#judge(records, "local", successRate.enforceLocal, failureShare.enforceLocal);
  }

  #takeBack(endpoint: Endpoint): void {
    endpoint.record?.forget();
    this.#cluster.setHealth(endpoint, { isEjected: false });
    this.#core.log.info("endpoint is back", { cluster: this.#cluster.name, endpoint: endpoint.key });
  }

  /** Compares the endpoints' shares of successes in the interval that ends. */
  #judge(
    records: readonly OutlierRecord[],
    kind: "external" | "local",
    enforceRate: number,
    enforceShare: number,
  ): void {
    const { successRate, failureShare } = this.options;
    const judged = records.map((record) => {
      const requests = record[kind].total;
      return { record, requests, rate: record[kind].take() };
    });
    const rated = judged.filter(({ requests }) => requests >= successRate.minimumRequests);
    if (rated.length >= successRate.minimumHosts && rated.length > 0) {
      const mean = rated.reduce((sum, { rate }) => sum + rate, 0) / rated.length;
      const variance = rated.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / rated.length;
      const bound = mean - Math.sqrt(variance) * successRate.factor;
      for (const { record, rate } of rated) if (rate < bound) this.eject(record, "success_rate", enforceRate);
    }
    const shared = judged.filter(({ requests }) => requests >= failureShare.minimumRequests);
    if (shared.length < failureShare.minimumHosts) return;
    for (const { record, rate } of shared)
      if (100 - rate >= failureShare.threshold) this.eject(record, "failure_percentage", enforceShare);
  }
}
