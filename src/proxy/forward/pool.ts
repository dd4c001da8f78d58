// [hot] Clusters: which endpoints there are, which of them may be chosen, how much is under way. A cluster is known by its name and lives
// through every change of configuration: endpoints that stay keep their connections, health and counts, those that go finish what they have.

import type { Core } from "../core.ts";
import { UpstreamConnection } from "../http1/upstream.ts";
import { TALLIES } from "../observe/tallies.ts";
import { type Balancer, createBalancer, NO_HASH, warmthOf } from "./balancer.ts";
import {
  type ClusterOptions,
  DEFAULT_OVERPROVISIONING_PERCENT,
  type EndpointAddress,
} from "./clusteroptions.ts";
import { Endpoint } from "./endpoint.ts";
import { HealthChecks } from "./health.ts";
import { type LevelShare, Levels } from "./levels.ts";
import { OutlierDetector } from "./outlier.ts";

/** Choices made for a further try before the endpoints are gone through one by one. */
const RESELECTIONS = 3;
const NONE: readonly Endpoint[] = [];

/** One version's endpoints. */
export class Cluster {
  readonly name: string;
  /** Open and opening connections. */
  connections = 0;
  /** Requests in progress. */
  active = 0;
  /** Requests without a connection yet: one is being made, or they wait for one. */
  pending = 0;
  /** Those of them that wait. */
  waiting = 0;
  /** Further tries, or requests on the way to one. */
  retrying = 0;
  /** Retries that the bounds forbade. */
  retriesRefused = 0;
  #options: ClusterOptions;
  #endpoints: readonly Endpoint[] = [];
  /** Those that may be chosen: the usable ones, in panic all. */
  #choosable: readonly Endpoint[] = [];
  #isPanicking = false;
  #isWarming = false;
  #warmedAtMs = 0;
  #applied: readonly EndpointAddress[] = [];
  #balancer: Balancer;
  /** The balancer, where endpoints are on several levels, or some are degraded. */
  #levels: Levels | null = null;
  #overprovisioningPercent = DEFAULT_OVERPROVISIONING_PERCENT;
  #detector: OutlierDetector | null = null;
  #checks: HealthChecks | null = null;
  readonly #core: Core;

  constructor(core: Core, name: string, options: ClusterOptions) {
    this.#core = core;
    this.name = name;
    this.#options = options;
    this.#balancer = this.#createBalancer();
    this.#configureDetector();
    this.#configureChecks();
  }

  get options(): ClusterOptions {
    return this.#options;
  }

  /** True when endpoints are chosen by a hash of the request. */
  get isHashed(): boolean {
    return this.#options.balancer.kind === "ringHash";
  }

  get detector(): OutlierDetector | null {
    return this.#detector;
  }

  /** How much more than its part a usable endpoint can carry, for the loads of levels: 140 is 40 % more. */
  get overprovisioningPercent(): number {
    return this.#overprovisioningPercent;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** What each level of priority gets; empty where there is one level and nobody degraded. */
  get levels(): readonly LevelShare[] {
    return this.#levels?.shares ?? [];
  }

  /** True while so few endpoints are usable that all get requests, if only on one level. */
  get isPanicking(): boolean {
    return this.#isPanicking;
  }

  /** Takes the options that are in force from now on. What does not change keeps its state. */
  configure(options: ClusterOptions): void {
    const before = this.#options;
    if (options === before) return;
    this.#options = options;
    if (JSON.stringify(options.balancer) !== JSON.stringify(before.balancer)) {
      this.#balancer = this.#createBalancer();
      this.#levels = null;
      this.#arrange();
    }
    this.#configureDetector();
    this.#configureChecks();
    this.refresh();
  }

  /** No configuration names it any more: what is under way finishes. */
  close(): void {
    this.#detector?.close();
    this.#detector = null;
    this.#checks?.close();
    this.#checks = null;
    this.update([]);
  }

  /** Takes the endpoints that are in force from now on; the factor is about their levels of priority. */
  update(
    addresses: readonly EndpointAddress[],
    overprovisioningPercent: number = DEFAULT_OVERPROVISIONING_PERCENT,
  ): void {
    if (addresses === this.#applied) return;
    this.#applied = addresses;
    this.#overprovisioningPercent = overprovisioningPercent;
    const known = new Map(
      this.#endpoints.map((endpoint) => [`${endpoint.address} ${endpoint.port}`, endpoint]),
    );
    this.#endpoints = addresses.map((found) => {
      const key = `${found.address} ${found.port}`;
      const endpoint = known.get(key) ?? this.#create(found.address, found.port);
      known.delete(key);
      endpoint.configure(found);
      return endpoint;
    });
    this.#checks?.watch(this.#endpoints);
    this.#arrange();
    this.refresh();
    for (const gone of known.values()) gone.remove(this.#core);
  }

  /** Takes what health checks or outlier detection found out. An endpoint that becomes usable by that starts slowly. */
  setHealth(
    endpoint: Endpoint,
    { isCheckFailed, isEjected }: { readonly isCheckFailed?: boolean; readonly isEjected?: boolean },
  ): void {
    const wasUsable = endpoint.isUsable;
    if (isCheckFailed !== undefined) endpoint.isCheckFailed = isCheckFailed;
    if (isEjected !== undefined) endpoint.isEjected = isEjected;
    if (!wasUsable && endpoint.isUsable) endpoint.freshAtMs = this.#core.deadlines.nowMs;
    if (endpoint.isUsable !== wasUsable) this.refresh();
  }

  /** An endpoint's health or weight changed: finds out anew who may be chosen. */
  refresh(): void {
    const { panicPercent, slowStart } = this.#options;
    const all = this.#endpoints;
    if (this.#levels === null) {
      const usable = all.filter((endpoint) => endpoint.isUsable);
      this.#isPanicking = usable.length < all.length && usable.length * 100 < panicPercent * all.length;
      this.#choosable = this.#isPanicking ? all : usable;
    } else {
      const overprovisioningPercent = this.#overprovisioningPercent;
      this.#choosable = this.#levels.judge(all, { panicPercent, overprovisioningPercent });
      this.#isPanicking = this.#levels.shares.some((level) => level.isPanicking && level.loadPercent > 0);
    }
    this.#isWarming = slowStart !== null;
    this.#warmedAtMs = Number.NEGATIVE_INFINITY;
    if (slowStart !== null) return;
    for (const endpoint of all) endpoint.warmth = 1;
    this.#setBalancer();
  }

  /**
   * An endpoint by the cluster's policy that is none of `tried`; null when there is none. `hash` is what the route computed for consistent
   * choices, or NO_HASH.
   */
  pick(hash: number = NO_HASH, tried: readonly Endpoint[] = NONE): Endpoint | null {
    const choosable = this.#choosable;
    if (choosable.length === 0) return null;
    if (this.#isWarming) this.#warm();
    if (tried.length === 0) return this.#balancer.pick(hash, 0);
    for (let attempt = 0; attempt < RESELECTIONS; attempt++) {
      const endpoint = this.#balancer.pick(hash, tried.length + attempt);
      if (!tried.includes(endpoint)) return endpoint;
    }
    return choosable.find((endpoint) => !tried.includes(endpoint)) ?? null;
  }

  /** True when there is an endpoint to choose that is none of `tried`. */
  hasOther(tried: readonly Endpoint[]): boolean {
    return this.#choosable.some((endpoint) => !tried.includes(endpoint));
  }

  /** True when a connection may be made to that endpoint. */
  hasRoom(endpoint: Endpoint): boolean {
    return this.connections < this.#options.maxConnections || endpoint.connections === 0;
  }

  /** True when the bounds on retries allow one more; false is counted. */
  mayRetry(): boolean {
    const { retryBudget, maxRetries } = this.#options;
    const bound =
      retryBudget === null
        ? maxRetries
        : Math.max(retryBudget.minimum, Math.floor((this.active * retryBudget.percent) / 100));
    if (this.retrying < bound) return true;
    this.retriesRefused += 1;
    const { tallies } = this.#core;
    tallies.add(tallies.place(TALLIES.retriesRefused, this.name), 1);
    return false;
  }

  connect(endpoint: Endpoint): UpstreamConnection {
    return new UpstreamConnection(this.#core, endpoint);
  }

  /** A connection closed, so that another may be made: for a request that waits for the same endpoint, else for any. */
  serveWaiting(endpoint: Endpoint): void {
    const waitedFor =
      endpoint.waitingCount > 0 ? endpoint : this.#endpoints.find(({ waitingCount }) => waitingCount > 0);
    if (waitedFor !== undefined && this.hasRoom(waitedFor)) waitedFor.serveWaiting();
  }

  #create(address: string, port: number): Endpoint {
    const endpoint = new Endpoint(this, address, port);
    endpoint.freshAtMs = this.#core.deadlines.nowMs;
    this.#detector?.watch(endpoint);
    return endpoint;
  }

  #createBalancer(): Balancer {
    return createBalancer(this.#options.balancer, this.#core.dice);
  }

  /** Endpoints on one level are chosen by the balancer itself. It keeps its position when levels come and go. */
  #arrange(): void {
    const isLevelled = this.#endpoints.some(({ priority, isDegraded }) => priority > 0 || isDegraded);
    if (isLevelled === (this.#levels !== null)) return;
    if (this.#levels !== null) {
      this.#balancer = this.#levels.first;
      this.#levels = null;
      return;
    }
    this.#levels = new Levels(this.#core.dice, this.#balancer, () => this.#createBalancer());
    this.#balancer = this.#levels;
  }

  #configureChecks(): void {
    const { health } = this.#options;
    if (health === null) {
      this.#checks?.close();
      this.#checks = null;
      return;
    }
    if (this.#checks === null) this.#checks = new HealthChecks(this.#core, this, health);
    this.#checks.options = health;
    this.#checks.watch(this.#endpoints);
  }

  #configureDetector(): void {
    const { outlier } = this.#options;
    if (outlier === null) {
      this.#detector?.close();
      this.#detector = null;
      return;
    }
    if (this.#detector === null) this.#detector = new OutlierDetector(this.#core, this, outlier);
    this.#detector.options = outlier;
    for (const endpoint of this.#endpoints) this.#detector.watch(endpoint);
  }

  /** Slow start: shares follow the time, as coarse as deadlines are. */
  #warm(): void {
    const { slowStart } = this.#options;
    const { nowMs } = this.#core.deadlines;
    if (nowMs === this.#warmedAtMs || slowStart === null) return;
    this.#warmedAtMs = nowMs;
    let isWarming = false;
    for (const endpoint of this.#endpoints) {
      endpoint.warmth = warmthOf(nowMs - endpoint.freshAtMs, slowStart);
      if (endpoint.warmth < 1) isWarming = true;
    }
    this.#isWarming = isWarming;
    this.#setBalancer();
  }

  #setBalancer(): void {
    const choosable = this.#choosable;
    const first = choosable[0];
    const isUneven = choosable.some(
      ({ weight, warmth }) => weight !== first?.weight || warmth !== first.warmth,
    );
    this.#balancer.set(choosable, isUneven);
  }
}
