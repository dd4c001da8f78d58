// What is in force: listeners, routes, clusters and endpoints, static ones and those that the control plane sends. A change is taken whole or
// refused with nothing changed: everything is compiled first, then new listening sockets are opened, then all of it is swapped in one
// synchronous step. What goes away finishes what it has. Readiness: the first complete configuration is in force.
import { sleep } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
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
import type { EndpointAddress } from "./forward/clusteroptions.ts";
import { Cluster } from "./forward/pool.ts";
import { LISTEN_FAILED, Listener } from "./http1/listener.ts";
import { EMPTY_HOSTS, type HostTable } from "./route/table.ts";
import { clusterOf } from "./seat.ts";

/** A port that is taken is tried again for this long: a proxy that drains may still hold it. */
const LISTEN_PATIENCE_MS = 5_000;
const LISTEN_RETRY_MS = 100;

/** The static part: from the bootstrap, never taken away by the control plane. */
export interface StaticResources {
  readonly listeners: readonly ListenerMessage[];
  readonly clusters: readonly ClusterMessage[];
}

/** One whole configuration, compiled. */
interface Compiled {
  readonly listeners: readonly CompiledListener[];
  readonly tables: ReadonlyMap<string, HostTable>;
  readonly clusters: readonly CompiledCluster[];
  /** By the name that EDS clusters refer to. */
  readonly endpoints: ReadonlyMap<string, readonly EndpointAddress[]>;
}

/** A listener that is about to serve. */
interface Opened {
  readonly listener: Listener;
  /** Whose socket it goes on with; absent: it has one of its own. */
  readonly before?: Listener;
}

const NOTHING: Compiled = { listeners: [], tables: new Map(), clusters: [], endpoints: new Map() };

/** See the head of this file. */
export class Configuration {
  readonly #core: Core;
  readonly #static: Compiled;
  #dynamic: Compiled = NOTHING;
  readonly #listeners = new Map<string, Listener>();
  readonly #leaving = new Set<Listener>();
  /** Compiled forms by message: messages that did not change are the same objects. */
  readonly #cache = new WeakMap<object, unknown>();
  /** Why there is no complete configuration yet, as far as the control plane goes; empty: it has sent all. */
  #awaited: string;
  /** Addresses that could not be had at the last try: the control plane offers their listeners again, so that no other change need wait. */
  readonly #taken = new Set<string>();
  #hasBeenComplete = false;
  #isLast = false;
  #isClosed = false;

  /** Throws CONFIG_REJECTED when the static resources cannot be carried out. */
  constructor(core: Core, resources: StaticResources, isDynamic: boolean) {
    this.#core = core;
    this.#awaited = isDynamic ? "nothing received from the control plane yet" : "";
    const listeners = resources.listeners.map(compileListener);
    const clusters = resources.clusters.map((message) => this.#cluster(message));
    this.#static = {
      listeners,
      tables: this.#inlineTables(listeners, "static", namesOf(clusters)),
      clusters,
      endpoints: new Map(),
    };
  }

  get listeners(): readonly Listener[] {
    return [...this.#listeners.values()];
  }

  get routes(): readonly HostTable[] {
    return [...this.#static.tables.values(), ...this.#dynamic.tables.values()];
  }

  /** True from the moment the first complete configuration is in force. */
  get isReady(): boolean {
    if (!this.#hasBeenComplete) this.#hasBeenComplete = this.missing === "";
    return this.#hasBeenComplete;
  }

  /** What a complete configuration still lacks, in words; empty: nothing. */
  get missing(): string {
    if (this.#awaited !== "") return this.#awaited;
    for (const { options } of this.#wantedListeners().values())
      if (this.#listeners.get(options.name) === undefined)
        return `listener ${options.name} waits for its routes`;
    for (const { name, endpoints } of this.#wantedClusters().values())
      if (endpoints.kind === "eds" && !this.#dynamic.endpoints.has(endpoints.name))
        return `cluster ${name} waits for its endpoints`;
    return "";
  }

  /** Brings the static resources in force. Rejects with LISTEN_FAILED. */
  async openStatic(): Promise<void> {
    this.#swap(await this.#openNew(this.#static, 0), this.#dynamic);
  }

  /** Brings a configuration of the control plane in force. Rejects with CONFIG_REJECTED or LISTEN_FAILED; then nothing has changed. */
  async apply(update: XdsUpdate): Promise<void> {
    const compiled = this.#compile(update);
    const opened = await this.#openNew(compiled, LISTEN_PATIENCE_MS);
    if (this.#isClosed) {
      for (const { listener } of opened.values()) listener.close();
      return;
    }
    const { versions } = update;
    if (versions.listeners !== "" && versions.clusters !== "") this.#awaited = "";
    this.#swap(opened, compiled);
  }

  /** From now on each connection ends with its next answer; new ones are still taken, and configurations too. */
  sayLast(): void {
    this.#isLast = true;
    for (const listener of this.#listeners.values()) listener.isDraining = true;
  }

  /** Stops accepting; resolves when all connections are gone. */
  async drain(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#listeners.values(), ...this.#leaving].map((listener) => listener.drain()));
  }

  /** Ends all connections. */
  close(): void {
    this.#isClosed = true;
    for (const listener of [...this.#listeners.values(), ...this.#leaving]) listener.close();
    for (const cluster of this.#core.clusters.values()) cluster.close();
  }

  #compile(update: XdsUpdate): Compiled {
    const listeners = update.listeners.map((message) => this.#once(message, () => compileListener(message)));
    const clusters = update.clusters.map((message) => this.#once(message, () => this.#cluster(message)));
    const known = namesOf([...clusters, ...this.#static.clusters]);
    const tables = this.#inlineTables(listeners, update.versions.listeners, known);
    for (const message of update.routes)
      tables.set(
        message.name,
        this.#once(message, () => this.#table(message, update.versions.routes, known)),
      );
    const endpoints = new Map<string, readonly EndpointAddress[]>();
    for (const message of update.endpoints)
      endpoints.set(
        message.clusterName,
        this.#once(message, () => compileEndpoints(message)),
      );
    return { listeners, tables, clusters, endpoints };
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

  #inlineTables(
    listeners: readonly CompiledListener[],
    version: string,
    known: ReadonlySet<string>,
  ): Map<string, HostTable> {
    const tables = new Map<string, HostTable>();
    for (const { options, routes } of listeners) {
      if (routes.kind !== "inline") continue;
      const { config } = routes;
      tables.set(
        inlineName(options.name),
        this.#once(config, () => this.#table(config, version, known)),
      );
    }
    return tables;
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

  /** Opens the listeners that are not there yet and whose routes are known; all of them or none. */
  async #openNew(compiled: Compiled, patienceMs: number): Promise<ReadonlyMap<string, Opened>> {
    const opened = new Map<string, Opened>();
    const isNew = ({ options }: CompiledListener): boolean => {
      const current = this.#listeners.get(options.name);
      return current === undefined || isMoved(current, options);
    };
    const due = compiled.listeners.filter(
      (listener) => isNew(listener) && compiled.tables.has(tableName(listener.options.name, listener.routes)),
    );
    const wanted = new Set(
      [...compiled.listeners, ...this.#static.listeners].map(({ options }) => options.name),
    );
    for (const { options } of due) wanted.delete(options.name);
    try {
      // What cannot be opened is refused before anything changes.
      for (const { options } of compiled.listeners)
        if (options.accessLog !== undefined && this.#core.seat.isServing)
          this.#core.logs.open(options.accessLog.path);
      for (const { options, routes } of due) {
        const table = compiled.tables.get(tableName(options.name, routes)) ?? EMPTY_HOSTS;
        const before = this.#holderOf(options, wanted);
        opened.set(
          options.name,
          before === undefined
            ? { listener: await this.#open(options, table, patienceMs) }
            : { listener: this.#made(options, table), before },
        );
      }
    } catch (error) {
      for (const { listener } of opened.values()) listener.close();
      throw error;
    }
    return opened;
  }

  /** The listener that has the address and gives it up with this change: it is not among `staying`. */
  #holderOf(
    { address, port }: CompiledListener["options"],
    staying: ReadonlySet<string>,
  ): Listener | undefined {
    if (port === 0) return undefined;
    return [...this.#listeners.values()].find(
      ({ name, options }) => options.address === address && options.port === port && !staying.has(name),
    );
  }

  #made(options: CompiledListener["options"], table: HostTable): Listener {
    const listener = new Listener(this.#core, options);
    // It may serve before the swap: then with the routes that come with it.
    listener.hosts = table;
    listener.isDraining = this.#isLast;
    return listener;
  }

  async #open(options: CompiledListener["options"], table: HostTable, patienceMs: number): Promise<Listener> {
    const { clock, log } = this.#core;
    const address = `${options.address}:${options.port}`;
    const giveUpMs = clock.nowMs() + (this.#taken.has(address) ? 0 : patienceMs);
    for (;;) {
      const listener = this.#made(options, table);
      try {
        await listener.open();
        this.#taken.delete(address);
        if (this.#core.seat.isServing)
          log.info("listening", { listener: options.name, address: options.address, port: listener.port });
        return listener;
      } catch (error) {
        if (this.#isClosed || clock.nowMs() >= giveUpMs || !isWeirError(error, LISTEN_FAILED)) {
          this.#taken.add(address);
          throw error;
        }
        await sleep(clock, LISTEN_RETRY_MS);
      }
    }
  }

  /** The one step in which everything changes. Synchronous: no request sees half of it. */
  #swap(opened: ReadonlyMap<string, Opened>, dynamic: Compiled): void {
    this.#dynamic = dynamic;
    this.#swapClusters();
    for (const { listener, before } of opened.values()) if (before !== undefined) listener.takeOver(before);
    for (const [name, { listener }] of opened) {
      const before = this.#listeners.get(name);
      if (before !== undefined) this.#leave(before);
      this.#listeners.set(name, listener);
    }
    const wanted = this.#wantedListeners();
    for (const [name, { options, routes }] of wanted) {
      const listener = this.#listeners.get(name);
      const table = this.#tableOf(tableName(name, routes));
      // One that is to move and waits for its routes stays as it is until they come.
      if (listener === undefined || isMoved(listener, options)) continue;
      listener.configure(options);
      if (table !== undefined) listener.hosts = table;
    }
    for (const [name, listener] of this.#listeners) {
      if (wanted.has(name)) continue;
      this.#listeners.delete(name);
      this.#leave(listener);
    }
    const logging = [...this.#listeners.values(), ...this.#leaving];
    this.#core.logs.keep(new Set(logging.flatMap(({ accessLog }) => accessLog?.file.path ?? [])));
  }

  #swapClusters(): void {
    const { clusters } = this.#core;
    const wanted = this.#wantedClusters();
    for (const [name, { options, endpoints }] of wanted) {
      const cluster = clusters.get(name) ?? new Cluster(this.#core, name, options);
      clusters.set(name, cluster);
      cluster.configure(options);
      const addresses =
        endpoints.kind === "static" ? endpoints.addresses : this.#dynamic.endpoints.get(endpoints.name);
      // Endpoints that are not known (yet) leave those that were.
      if (addresses !== undefined) cluster.update(addresses);
    }
    for (const [name, cluster] of clusters) {
      if (wanted.has(name)) continue;
      clusters.delete(name);
      cluster.close();
    }
  }

  #wantedListeners(): ReadonlyMap<string, CompiledListener> {
    const all = [...this.#dynamic.listeners, ...this.#static.listeners];
    return new Map(all.map((listener) => [listener.options.name, listener]));
  }

  #wantedClusters(): ReadonlyMap<string, CompiledCluster> {
    const all = [...this.#dynamic.clusters, ...this.#static.clusters];
    return new Map(all.map((cluster) => [cluster.name, cluster]));
  }

  #tableOf(name: string): HostTable | undefined {
    return this.#static.tables.get(name) ?? this.#dynamic.tables.get(name);
  }

  /** Lets a listener finish: its connections end with their next answer, at the latest after the drain time. */
  #leave(listener: Listener): void {
    this.#leaving.add(listener);
    const { clock, limits } = this.#core;
    const deadline = clock.after(limits.drainMs, () => listener.close());
    void listener.drain().then(() => {
      deadline.cancel();
      this.#leaving.delete(listener);
    });
  }
}

function isMoved(current: Listener, wanted: CompiledListener["options"]): boolean {
  return current.options.address !== wanted.address || current.options.port !== wanted.port;
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
