// What is in force: listeners, routes, clusters and endpoints, static ones and those that the control plane sends. A change is taken whole or
// refused with nothing changed: everything is compiled first, then new names are looked up and new listening sockets opened, then all of it is
// swapped in one synchronous step. What goes away finishes what it has. Readiness: the first complete configuration is in force.
import { assertNever } from "../lib/assert.ts";
import type { XdsUpdate } from "../xds/client.ts";
import type {
  Cluster as ClusterMessage,
  Listener as ListenerMessage,
  RouteConfiguration,
} from "../xds/types.ts";
import {
  type CompiledCluster,
  type CompiledListener,
  compileCluster,
  compileEndpoints,
  compileListener,
  compileRoutes,
} from "./compile/compile.ts";
import { Problems } from "./compile/problems.ts";
import type { Core } from "./core.ts";
import type { EndpointSet } from "./forward/clusteroptions.ts";
import { Cluster } from "./forward/pool.ts";
import type { Listener } from "./http1/listener.ts";
import { Listeners, type WantedListener, type WantedListeners } from "./listeners.ts";
import { type FoundNames, type NamedEndpoints, type NameState, Names } from "./names.ts";
import type { HostTable } from "./route/table.ts";
import { clusterOf } from "./seat.ts";

/** The static part: from the bootstrap, never taken away by the control plane. */
export interface StaticResources {
  readonly listeners: readonly ListenerMessage[];
  readonly clusters: readonly ClusterMessage[];
}

/** One whole configuration, compiled. */
interface Compiled {
  readonly listeners: readonly CompiledListener[];
  readonly tables: ReadonlyMap<string, HostTable>;
  /** The same by the message that each was made of. */
  readonly made: ReadonlyMap<RouteConfiguration, HostTable>;
  readonly clusters: readonly CompiledCluster[];
  /** By the name that EDS clusters refer to. */
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
}

const NOTHING: Compiled = {
  listeners: [],
  tables: new Map(),
  made: new Map(),
  clusters: [],
  endpoints: new Map(),
};

/** See the head of this file. */
export class Configuration {
  readonly #core: Core;
  readonly #static: Compiled;
  #dynamic: Compiled = NOTHING;
  readonly #listeners: Listeners;
  readonly #names: Names;
  /** Configurations that are about to be in force. */
  readonly #coming = new Set<Compiled>();
  /** Compiled forms by message, but for tables: messages that did not change are the same objects. */
  readonly #cache = new WeakMap<object, unknown>();
  /** Why there is no complete configuration yet, as far as the control plane goes; empty: it has sent all. */
  #awaited: string;
  #hasBeenComplete = false;

  /** Throws CONFIG_REJECTED when the static resources cannot be carried out. */
  constructor(core: Core, resources: StaticResources, isDynamic: boolean) {
    this.#core = core;
    this.#listeners = new Listeners(core, () => this.#keepCells());
    this.#names = new Names(core);
    this.#awaited = isDynamic ? "nothing received from the control plane yet" : "";
    const listeners = resources.listeners.map(compileListener);
    const clusters = resources.clusters.map((message) => this.#cluster(message));
    this.#static = {
      listeners,
      ...this.#tables(listeners, [], { listeners: "static", routes: "" }, namesOf(clusters)),
      clusters,
      endpoints: new Map(),
    };
  }

  get listeners(): readonly Listener[] {
    return this.#listeners.all;
  }

  get routes(): readonly HostTable[] {
    return [...this.#static.tables.values(), ...this.#dynamic.tables.values()];
  }

  /** The host names of a cluster; undefined: it has none. */
  namesIn(cluster: string): readonly NameState[] | undefined {
    return this.#names.statesIn(cluster);
  }

  /** Those of all clusters. */
  get names(): readonly FoundNames[] {
    return this.#names.all;
  }

  /** Takes what another process found out of a cluster's names; for clusters to come, too. */
  learnNames(found: FoundNames): void {
    this.#names.learn(found);
  }

  /** True from the moment the first complete configuration is in force. */
  get isReady(): boolean {
    if (!this.#hasBeenComplete) this.#hasBeenComplete = this.missing === "";
    return this.#hasBeenComplete;
  }

  /** What a complete configuration still lacks, in words; empty: nothing. */
  get missing(): string {
    if (this.#awaited !== "") return this.#awaited;
    const awaited = this.#listeners.awaitedOf(this.#wantedListeners(this.#dynamic));
    if (awaited !== undefined) return `listener ${awaited} waits for its routes`;
    for (const { name, endpoints } of this.#wantedClusters(this.#dynamic).values())
      if (endpoints.kind === "eds" && !this.#dynamic.endpoints.has(endpoints.name))
        return `cluster ${name} waits for its endpoints`;
    return "";
  }

  /** Brings the static resources in force. Rejects with LISTEN_FAILED. */
  async openStatic(): Promise<void> {
    await this.#bring(this.#dynamic, false);
  }

  /**
   * Brings a configuration of the control plane in force, in other processes before this one. Rejects with CONFIG_REJECTED or LISTEN_FAILED, or
   * as `elsewhere` does; then nothing has changed.
   */
  async apply(update: XdsUpdate, elsewhere?: () => Promise<void>): Promise<void> {
    const { versions } = update;
    try {
      const isInForce = await this.#bring(this.#compile(update), true, elsewhere);
      if (isInForce && versions.listeners !== "" && versions.clusters !== "") this.#awaited = "";
    } finally {
      this.#keepCells();
    }
  }

  /** From now on each connection ends with its next answer; new ones are still taken, and configurations too. */
  sayLast(): void {
    this.#listeners.sayLast();
  }

  /** Stops accepting; resolves when all connections are gone. */
  async drain(): Promise<void> {
    await this.#listeners.drain();
  }

  /** Ends all connections. */
  close(): void {
    this.#listeners.close();
    this.#names.close();
    for (const cluster of this.#core.clusters.values()) cluster.close();
  }

  /** Everything that may fail, then the one step in which all of it changes: no request sees half of it. False: it is too late for that. */
  async #bring(
    dynamic: Compiled,
    areWaitedFor: boolean,
    elsewhere = (): Promise<void> => Promise.resolve(),
  ): Promise<boolean> {
    const wanted = this.#wantedListeners(dynamic);
    const named = namedOf(this.#wantedClusters(dynamic));
    this.#coming.add(dynamic);
    const begun = await this.#names.begin(named);
    const opened = await elsewhere()
      .then(() => this.#listeners.open(wanted, areWaitedFor))
      .catch((error: unknown) => {
        this.#names.discard(begun);
        throw error;
      })
      .finally(() => this.#coming.delete(dynamic));
    if (this.#listeners.isClosed) {
      this.#names.discard(begun);
      this.#listeners.discard(opened);
      return false;
    }
    this.#dynamic = dynamic;
    this.#names.swap(begun, named);
    this.#swapClusters();
    this.#listeners.swap(opened, wanted);
    return true;
  }

  #compile(update: XdsUpdate): Compiled {
    const listeners = update.listeners.map((message) => this.#once(message, () => compileListener(message)));
    const clusters = update.clusters.map((message) => this.#once(message, () => this.#cluster(message)));
    const known = namesOf([...clusters, ...this.#static.clusters]);
    const { tables, made } = this.#tables(listeners, update.routes, update.versions, known);
    const endpoints = new Map<string, EndpointSet>();
    for (const message of update.endpoints)
      endpoints.set(
        message.clusterName,
        this.#once(message, () => compileEndpoints(message)),
      );
    return { listeners, tables, made, clusters, endpoints };
  }

  #cluster(message: ClusterMessage): CompiledCluster {
    const compiled = compileCluster(message);
    return { ...compiled, options: clusterOf(compiled.options, this.#core.seat.share) };
  }

  #once<T>(message: object, compile: () => T): T {
    // The cache holds for each message what its own kind's compiler made of it, and kinds are never mixed.
    const known = this.#cache.get(message) as T | undefined;
    if (known !== undefined) return known;
    const compiled = compile();
    this.#cache.set(message, compiled);
    return compiled;
  }

  /** The tables of `messages` and of what listeners have inline. */
  #tables(
    listeners: readonly CompiledListener[],
    messages: readonly RouteConfiguration[],
    versions: Pick<XdsUpdate["versions"], "listeners" | "routes">,
    known: ReadonlySet<string>,
  ): Pick<Compiled, "tables" | "made"> {
    const tables = new Map<string, HostTable>();
    const made = new Map<RouteConfiguration, HostTable>();
    const add = (name: string, message: RouteConfiguration, version: string): void => {
      const table = made.get(message) ?? this.#madeBefore(message) ?? this.#table(message, version, known);
      tables.set(name, table);
      made.set(message, table);
    };
    for (const { options, routes } of listeners)
      if (routes.kind === "inline") add(inlineName(options.name), routes.config, versions.listeners);
    for (const message of messages) add(message.name, message, versions.routes);
    return { tables, made };
  }

  /** The table in force of a message: none from before, whose cells may have been freed, nor one that cells lacked for and no longer do. */
  #madeBefore(message: RouteConfiguration): HostTable | undefined {
    const table = this.#dynamic.made.get(message);
    return table?.cells.some((cell) => this.#core.stats.isOutdated(cell)) ? undefined : table;
  }

  /** `known` are the clusters there are; routes may name others, unless they say that they want to be held against them. */
  #table(config: RouteConfiguration, version: string, known: ReadonlySet<string>): HostTable {
    const unknown = new Set<string>();
    const table = compileRoutes(config, version, (route, cluster) => {
      if (!known.has(cluster)) unknown.add(cluster);
      return this.#core.stats.cell(route, cluster);
    });
    if (config.validateClusters === true && unknown.size > 0)
      throw new Problems("routes", config)
        .and("validate_clusters", `is set, and there is no cluster ${[...unknown].join(", ")}`)
        .error();
    return table;
  }

  #swapClusters(): void {
    const { clusters } = this.#core;
    const wanted = this.#wantedClusters(this.#dynamic);
    for (const [name, { options, endpoints }] of wanted) {
      const cluster = clusters.get(name) ?? new Cluster(this.#core, name, options);
      clusters.set(name, cluster);
      cluster.configure(options);
      const found = this.#foundOf(name, endpoints);
      // Endpoints that are not known (yet) leave those that were.
      if (found !== undefined) cluster.update(found.addresses, found.overprovisioningPercent);
    }
    for (const [name, cluster] of clusters) {
      if (wanted.has(name)) continue;
      clusters.delete(name);
      cluster.close();
    }
  }

  #foundOf(name: string, endpoints: CompiledCluster["endpoints"]): EndpointSet | undefined {
    switch (endpoints.kind) {
      case "static":
        return endpoints.found;
      case "named":
        return this.#names.foundOf(name);
      case "eds":
        return this.#dynamic.endpoints.get(endpoints.name);
      default:
        return assertNever(endpoints);
    }
  }

  /** Static ones go before those of the control plane. */
  #wantedListeners(dynamic: Compiled): WantedListeners {
    const wanted = ({ options, routes }: CompiledListener): [string, WantedListener] => {
      const table = tableName(options.name, routes);
      return [options.name, { options, hosts: this.#static.tables.get(table) ?? dynamic.tables.get(table) }];
    };
    return new Map([...dynamic.listeners, ...this.#static.listeners].map(wanted));
  }

  #wantedClusters(dynamic: Compiled): ReadonlyMap<string, CompiledCluster> {
    const all = [...dynamic.clusters, ...this.#static.clusters];
    return new Map(all.map((cluster) => [cluster.name, cluster]));
  }

  /** Tells the counters what requests may still count in. */
  #keepCells(): void {
    const { stats, clock } = this.#core;
    const coming = [...this.#coming].flatMap(({ tables }) => [...tables.values()]);
    const tables = new Set([...this.routes, ...this.#listeners.hosts, ...coming]);
    stats.retain(
      [...tables].map(({ cells }) => cells),
      clock.steadyMs(),
    );
  }
}

/** The endpoints of those that are given by host names. */
function namedOf(clusters: ReadonlyMap<string, CompiledCluster>): ReadonlyMap<string, NamedEndpoints> {
  const named = new Map<string, NamedEndpoints>();
  for (const [name, { endpoints }] of clusters)
    if (endpoints.kind === "named") named.set(name, endpoints.named);
  return named;
}

function namesOf(clusters: readonly CompiledCluster[]): ReadonlySet<string> {
  return new Set(clusters.map(({ name }) => name));
}

function tableName(listener: string, routes: CompiledListener["routes"]): string {
  return routes.kind === "inline" ? inlineName(listener) : routes.name;
}

function inlineName(listener: string): string {
  return `inline/${listener}`;
}
