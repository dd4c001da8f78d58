// Active health checks: every endpoint of a cluster is asked on its own, beside the traffic and over connections of its own (probe.ts). An endpoint
// counts as failed until its first check is good; after that, thresholds decide. Rules and defaults are Envoy's.
import type { Timer } from "../../lib/clock.ts";
import type { Core } from "../core.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Cluster } from "./pool.ts";
import { type Probe, type ProbeOptions, startProbe } from "./probe.ts";

/** Compiled from a cluster's health_checks. */
export interface HealthOptions {
  readonly probe: ProbeOptions;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Added to an interval at random: up to so much, and up to so many percent of it. */
  readonly jitterMs: number;
  readonly jitterPercent: number;
  /** Before the first check, at random up to so much. */
  readonly initialJitterMs: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  /** Intervals of an endpoint that fails, that has just begun to fail, that has just become healthy. */
  readonly unhealthyMs: number;
  readonly unhealthyEdgeMs: number;
  readonly healthyEdgeMs: number;
  /** Intervals while the cluster has had no request. */
  readonly noTrafficMs: number;
  readonly noTrafficHealthyMs: number;
}

/** How a check ended: `wrong` is an answer that says that something is wrong, so that no threshold is needed. */
export type CheckResult = "good" | "failed" | "wrong";

/** The checks of one cluster. */
export class HealthChecks {
  options: HealthOptions;
  readonly #core: Core;
  readonly #cluster: Cluster;
  /** Null: somebody else checks it, and tells. */
  readonly #checks = new Map<Endpoint, EndpointCheck | null>();

  constructor(core: Core, cluster: Cluster, options: HealthOptions) {
    this.#core = core;
    this.#cluster = cluster;
    this.options = options;
  }

  /** Checks those endpoints from now on, and no others. */
  watch(endpoints: readonly Endpoint[]): void {
    const gone = new Set(this.#checks.keys());
    for (const endpoint of endpoints) {
      gone.delete(endpoint);
      if (endpoint.isCheckDisabled || this.#checks.has(endpoint)) continue;
      endpoint.isCheckFailed = true;
      const isOurs = this.#core.seat.isChecking;
      this.#checks.set(
        endpoint,
        isOurs ? new EndpointCheck(this.#core, this.#cluster, endpoint, this) : null,
      );
    }
    for (const endpoint of gone) this.#stop(endpoint);
  }

  /** Ends all checks: nobody counts as failed. */
  close(): void {
    for (const endpoint of this.#checks.keys()) this.#stop(endpoint);
  }

  #stop(endpoint: Endpoint): void {
    this.#checks.get(endpoint)?.close();
    this.#checks.delete(endpoint);
    endpoint.isCheckFailed = false;
  }
}

/** The checks of one endpoint, one after another. */
class EndpointCheck {
  readonly #core: Core;
  readonly #cluster: Cluster;
  readonly #endpoint: Endpoint;
  readonly #checks: HealthChecks;
  #timer: Timer | null = null;
  #probe: Probe | null = null;
  #isFirst = true;
  #failures = 0;
  #successes = 0;

  constructor(core: Core, cluster: Cluster, endpoint: Endpoint, checks: HealthChecks) {
    this.#core = core;
    this.#cluster = cluster;
    this.#endpoint = endpoint;
    this.#checks = checks;
    this.#wait(this.#below(checks.options.initialJitterMs));
  }

  close(): void {
    this.#timer?.cancel();
    this.#probe?.close();
    this.#probe = null;
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("health check", error);
  }

  #wait(delayMs: number): void {
    this.#timer = this.#core.after(delayMs, this, () => this.#check());
  }

  #check(): void {
    const { timeoutMs, probe } = this.#checks.options;
    let isOver = false;
    const done = (result: CheckResult): void => {
      // Sockets may go on speaking when all is said, or when the checks were ended.
      if (isOver || this.#probe === null) return;
      isOver = true;
      this.#probe = null;
      this.#timer?.cancel();
      try {
        this.#wait(this.#take(result));
      } catch (error) {
        this.onInternalError(error);
      }
    };
    this.#probe = startProbe(this.#endpoint, probe, done);
    this.#timer = this.#core.after(timeoutMs, this, () => {
      this.#probe?.close();
      done("failed");
    });
  }

  /** Counts a result and says how long to wait for the next check. */
  #take(result: CheckResult): number {
    const { options } = this.#checks;
    const endpoint = this.#endpoint;
    const wasFailed = endpoint.isCheckFailed;
    if (result === "good") {
      this.#failures = 0;
      this.#successes += 1;
      if (wasFailed && (this.#isFirst || this.#successes >= options.healthyThreshold)) this.#change(false);
      this.#cluster.detector?.onCheckPassed(endpoint);
    } else {
      this.#successes = 0;
      this.#failures += 1;
      const isEnough = result === "wrong" || this.#failures >= options.unhealthyThreshold;
      if (!wasFailed && isEnough) this.#change(true);
    }
    this.#isFirst = false;
    const intervalMs = this.#intervalMs(wasFailed);
    return (
      intervalMs + this.#below(options.jitterMs) + this.#below((intervalMs * options.jitterPercent) / 100)
    );
  }

  #change(isCheckFailed: boolean): void {
    const { name } = this.#cluster;
    this.#cluster.setHealth(this.#endpoint, { isCheckFailed });
    this.#core.seat.onChecked(name, this.#endpoint.key, isCheckFailed);
    const words = isCheckFailed ? "endpoint fails its health check" : "endpoint passes its health check";
    this.#core.log.info(words, { cluster: name, endpoint: this.#endpoint.key });
  }

  #intervalMs(wasFailed: boolean): number {
    const { options } = this.#checks;
    const isFailed = this.#endpoint.isCheckFailed;
    if (!this.#cluster.endpoints.some(({ requests }) => requests > 0))
      return isFailed ? options.noTrafficMs : options.noTrafficHealthyMs;
    if (isFailed) return wasFailed ? options.unhealthyMs : options.unhealthyEdgeMs;
    return wasFailed ? options.healthyEdgeMs : options.intervalMs;
  }

  #below(boundMs: number): number {
    return boundMs >= 1 ? this.#core.dice.below(boundMs) : 0;
  }
}
