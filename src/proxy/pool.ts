// [hot] Clusters, their endpoints, and the idle connections to each (newest first). A cluster is known by its name and lives through every
// change of configuration: endpoints that stay keep their connections, those that go finish what they have.
import type { Core } from "./core.ts";
import { UpstreamConnection } from "./upstream.ts";

/** Bounds and waits of a cluster. */
export interface ClusterOptions {
  readonly policy: "roundRobin" | "leastRequest";
  readonly connectTimeoutMs: number;
  /** Connections to all endpoints together. */
  readonly maxConnections: number;
  /** Requests in progress on all endpoints together. */
  readonly maxRequests: number;
  /** Bytes of one request that may wait when the cluster is a mirror. */
  readonly bufferBytes: number;
}

/** Envoy's defaults. */
export const DEFAULT_CLUSTER_OPTIONS: ClusterOptions = {
  policy: "roundRobin",
  connectTimeoutMs: 5_000,
  maxConnections: 1_024,
  maxRequests: 1_024,
  bufferBytes: 1024 * 1024,
};

export interface EndpointAddress {
  /** IP address. */
  readonly address: string;
  readonly port: number;
  readonly isHealthy: boolean;
}

/** One address of a cluster. */
export class Endpoint {
  readonly cluster: Cluster;
  readonly address: string;
  readonly port: number;
  isHealthy = true;
  isRemoved = false;
  /** Requests in progress. */
  active = 0;
  readonly #idle: UpstreamConnection[] = [];

  constructor(cluster: Cluster, address: string, port: number) {
    this.cluster = cluster;
    this.address = address;
    this.port = port;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  /** The connection that was used last, or null. */
  takeIdle(): UpstreamConnection | null {
    return this.#idle.pop() ?? null;
  }

  giveIdle(connection: UpstreamConnection): void {
    this.#idle.push(connection);
  }

  /** Forgets an idle connection that closed. */
  dropIdle(connection: UpstreamConnection): void {
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }
}

/** One version's endpoints. */
export class Cluster {
  readonly name: string;
  options: ClusterOptions;
  /** Open and opening connections. */
  connections = 0;
  /** Requests in progress. */
  active = 0;
  #endpoints: readonly Endpoint[] = [];
  #applied: readonly EndpointAddress[] = [];
  #next = 0;
  readonly #core: Core;

  constructor(core: Core, name: string, options: ClusterOptions) {
    this.#core = core;
    this.name = name;
    this.options = options;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** Takes the endpoints that are in force from now on. */
  update(addresses: readonly EndpointAddress[]): void {
    if (addresses === this.#applied) return;
    this.#applied = addresses;
    const known = new Map(
      this.#endpoints.map((endpoint) => [`${endpoint.address} ${endpoint.port}`, endpoint]),
    );
    this.#endpoints = addresses.map(({ address, port, isHealthy }) => {
      const key = `${address} ${port}`;
      const endpoint = known.get(key) ?? new Endpoint(this, address, port);
      known.delete(key);
      endpoint.isHealthy = isHealthy;
      return endpoint;
    });
    for (const gone of known.values()) {
      gone.isRemoved = true;
      gone.closeIdle();
    }
  }

  /** A healthy endpoint other than `not` by the cluster's policy, or null. */
  pick(not: Endpoint | null): Endpoint | null {
    const count = this.#endpoints.length;
    if (count === 0) return null;
    if (this.options.policy === "leastRequest" && count > 1) {
      const a = this.#from(this.#core.dice.below(count), not);
      const b = this.#from(this.#core.dice.below(count), not);
      return a !== null && b !== null && b.active < a.active ? b : a;
    }
    this.#next = this.#next + 1 >= count ? 0 : this.#next + 1;
    return this.#from(this.#next, not);
  }

  connect(endpoint: Endpoint): UpstreamConnection {
    return new UpstreamConnection(this.#core, endpoint);
  }

  /** The first usable endpoint at or behind `start`, round the list. */
  #from(start: number, not: Endpoint | null): Endpoint | null {
    const count = this.#endpoints.length;
    for (let i = 0; i < count; i++) {
      const at = start + i;
      const endpoint = this.#endpoints[at < count ? at : at - count]!;
      if (endpoint.isHealthy && endpoint !== not) return endpoint;
    }
    return null;
  }
}
