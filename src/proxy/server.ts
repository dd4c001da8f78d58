// The door of the data plane: a proxy from an Envoy v3 bootstrap. Start: static resources, admin port, control plane. Stop: not ready, answers
// say `Connection: close`, after a while no new connections (drain.ts), what is in flight finishes until the deadline, then everything is closed.
// The request's way: listener.ts (accept) -> downstream.ts (frame) -> match.ts -> split.ts -> exchange.ts (forward) -> pool.ts -> upstream.ts.
import { randomBytes } from "node:crypto";
import { sleep } from "../lib/clock.ts";
import { releaseStartupMemory } from "../lib/memory.ts";
import {
  type ControlPlane,
  controlPlaneOf,
  createXdsClient,
  EPOCH_KEY,
  type XdsClient,
  type XdsClientStatus,
} from "../xds/client.ts";
import { type Bootstrap, BootstrapSchema, create, NodeSchema, type XdsSnapshot } from "../xds/types.ts";
import { Configuration, type StaticResources } from "./configuration.ts";
import { Core, type CoreDeps, type ProxyCounts } from "./core.ts";
import { Drain } from "./drain.ts";
import { LastGood } from "./lastgood.ts";
import { type Admin, openAdmin } from "./observe/admin.ts";
import { loadSamples } from "./observe/loads.ts";
import { type CellSnapshot, snapshotStats } from "./observe/stats.ts";
import type { Tree } from "./workers/tree.ts";

export { CONFIG_REJECTED } from "./compile/problems.ts";
export { type CoreDeps as ProxyDeps, DEFAULT_LIMITS, type Limits } from "./core.ts";
export { LISTEN_FAILED } from "./http1/listener.ts";
export { bucketName, type CellSnapshot, COUNTERS, LATENCY_BOUNDS_MS } from "./observe/stats.ts";

/** At the end, what a disk has not taken of the access logs by then is given up. */
const LOG_CLOSE_MS = 2_000;

/** A proxy in this process. */
export interface ProxyServer {
  /** Resolves when static listeners and the admin port are open. Rejects with LISTEN_FAILED or CONFIG_REJECTED. */
  start(): Promise<void>;
  /** Drains and closes. Idempotent. */
  stop(): Promise<void>;
  /** Ends a drain, or all waits of one to come, at once. */
  hurry(): void;
  /** Opens the files of access logs anew, after they were moved away. */
  reopenLogs(): void;
  /** Port of the admin listener; 0 when there is none. */
  readonly adminPort: number;
  /** Port of an open listener by its name; undefined when it is not open. */
  listenerPort(name: string): number | undefined;
  /** What /ready says: empty when ready. */
  unreadyReason(): string;
  /** Cumulative statistics by (route, cluster). */
  stats(): readonly CellSnapshot[];
  /** Counts that belong to no route. */
  readonly counts: Readonly<ProxyCounts>;
  /** Bugs caught on connections so far. */
  readonly internalErrors: number;
}

export interface ProxyOptions {
  /** Folder of the last good configuration; absent: none is kept. */
  readonly stateDir?: string;
  /** The processes that serve in this one's place; absent: it serves itself. */
  readonly tree?: Tree;
}

/** Builds a proxy. Throws CONFIG_REJECTED when the static resources cannot be carried out. */
export function createProxy(bootstrap: Bootstrap, deps: CoreDeps, options: ProxyOptions = {}): ProxyServer {
  return new RunningProxy(bootstrap, deps, options);
}

class RunningProxy implements ProxyServer {
  readonly #bootstrap: Bootstrap;
  readonly #deps: CoreDeps;
  readonly #tree: Tree | undefined;
  readonly #core: Core;
  readonly #controlPlane: ControlPlane | undefined;
  readonly #resources: StaticResources;
  readonly #configuration: Configuration;
  readonly #lastGood: LastGood | undefined;
  readonly #drain: Drain;
  #client: XdsClient | undefined;
  #admin: Admin | undefined;
  #stopping: Promise<void> | undefined;

  constructor(bootstrap: Bootstrap, deps: CoreDeps, { stateDir, tree }: ProxyOptions) {
    this.#bootstrap = bootstrap;
    this.#deps = deps;
    this.#tree = tree;
    this.#core = new Core(tree === undefined ? deps : { ...deps, seat: tree.seat });
    this.#controlPlane = controlPlaneOf(bootstrap);
    this.#resources = staticResources(bootstrap, this.#controlPlane);
    const isDynamic = this.#controlPlane !== undefined;
    this.#configuration = new Configuration(this.#core, this.#resources, isDynamic);
    if (isDynamic && stateDir !== undefined) this.#lastGood = lastGoodOf(bootstrap, stateDir, this.#core);
    this.#drain = new Drain(this.#core, this.#configuration, tree);
  }

  async start(): Promise<void> {
    this.#core.deadlines.start();
    const address = this.#bootstrap.admin?.address?.address;
    if (address?.case === "socketAddress" && address.value.portSpecifier.case === "portValue")
      this.#admin = await this.#openAdmin(address.value.address, address.value.portSpecifier.value);
    await this.#configuration.openStatic();
    await this.#startTree();
    if (this.#controlPlane === undefined) return;
    const fallback = await this.#lastGood?.read();
    this.#client = createClient(this.#bootstrap, this.#controlPlane, this.#configuration, this.#core, {
      lastGood: this.#lastGood,
      fallback,
      tree: this.#tree,
    });
    this.#client.start();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#drainAndClose();
    return this.#stopping;
  }

  hurry(): void {
    this.#drain.hurry();
  }

  reopenLogs(): void {
    this.#core.logs.reopen();
    this.#tree?.reopenLogs();
  }

  get adminPort(): number {
    return this.#admin?.port ?? 0;
  }

  listenerPort(name: string): number | undefined {
    const port = this.#configuration.listeners.find((listener) => listener.name === name)?.port ?? 0;
    return port === 0 ? undefined : port;
  }

  unreadyReason(): string {
    if (this.#drain.isBegun) return "draining";
    return this.#configuration.isReady ? (this.#tree?.unready ?? "") : this.#configuration.missing;
  }

  stats(): readonly CellSnapshot[] {
    return snapshotStats(this.#core.stats);
  }

  get counts(): Readonly<ProxyCounts> {
    return this.#core.counts;
  }

  get internalErrors(): number {
    return this.#core.counts.internalErrors;
  }

  #openAdmin(host: string, port: number): Promise<Admin> {
    const deps = {
      core: this.#core,
      configuration: this.#configuration,
      unreadyReason: () => this.unreadyReason(),
      controlPlaneStatus: (): XdsClientStatus | undefined => this.#client?.status(),
      refresh: async () => this.#tree?.refresh(),
      reopenLogs: () => this.reopenLogs(),
      drain: () => this.#drainOnly(),
    };
    return openAdmin(deps, host, port);
  }

  async #startTree(): Promise<void> {
    const { listeners, clusters } = this.#resources;
    await this.#tree?.start({
      core: this.#core,
      configuration: this.#configuration,
      staticResources: create(BootstrapSchema, {
        staticResources: { listeners: [...listeners], clusters: [...clusters] },
      }),
      isDynamic: this.#controlPlane !== undefined,
      limits: this.#deps.limits ?? {},
    });
  }

  #drainOnly(): void {
    if (this.#drain.isBegun) return;
    this.#core.log.info("draining", { asked: "by the admin port" });
    void this.#drain.begin();
  }

  async #drainAndClose(): Promise<void> {
    await this.#drain.end();
    this.#configuration.close();
    this.#tree?.close();
    this.#client?.close();
    await this.#lastGood?.close();
    this.#core.deadlines.stop();
    await Promise.race([this.#core.logs.close(), sleep(this.#core.clock, LOG_CLOSE_MS)]);
    this.#admin?.close();
  }
}

/** What the bootstrap says itself; the control plane's own clusters are none that requests could be sent to. */
function staticResources(bootstrap: Bootstrap, controlPlane: ControlPlane | undefined): StaticResources {
  const { listeners = [], clusters = [] } = bootstrap.staticResources ?? {};
  return { listeners, clusters: clusters.filter(({ name }) => !controlPlane?.clusters.includes(name)) };
}

function lastGoodOf({ node }: Bootstrap, dir: string, { clock, log }: Core): LastGood {
  return new LastGood({ dir, nodeId: node?.id ?? "", group: node?.cluster ?? "", clock, log });
}

interface Beside {
  readonly lastGood: LastGood | undefined;
  readonly fallback: XdsSnapshot | undefined;
  readonly tree: Tree | undefined;
}

function createClient(
  bootstrap: Bootstrap,
  controlPlane: ControlPlane,
  configuration: Configuration,
  core: Core,
  { lastGood, fallback, tree }: Beside,
): XdsClient {
  const node = create(NodeSchema, bootstrap.node ?? {});
  // Counts are cumulative per process: the epoch tells one life of this node from the next.
  const epoch = `${core.clock.nowMs()}-${process.pid}-${randomBytes(4).toString("hex")}`;
  node.metadata = { ...node.metadata, [EPOCH_KEY]: epoch };
  node.userAgentName = "weir";
  let isStartOver = false;
  return createXdsClient({
    addresses: controlPlane.addresses,
    node,
    clock: core.clock,
    log: core.log,
    async onUpdate(update) {
      // In force in all before it is acknowledged; here it is only kept, for what looks at the whole.
      await configuration.apply(update, tree && (() => tree.configure(update)));
      if (configuration.missing === "") lastGood?.keep(update);
      if (!isStartOver && configuration.isReady) {
        isStartOver = true;
        releaseStartupMemory();
      }
      return { kind: "ok" };
    },
    ...(fallback && { fallback }),
    ...(controlPlane.reportsLoad ? { reportLoads: () => loadSamples(core.stats) } : {}),
  });
}

/** How `runProxy` runs a proxy. */
export interface RunOptions {
  /** Aborts when what is left of the drain is to be skipped. */
  readonly hurry?: AbortSignal;
  /** Folder of the last good configuration; absent: none is kept. */
  readonly stateDir?: string;
  /** Processes that serve; default 1, this one. */
  readonly workers?: number;
}

/** Runs a proxy until `signal` aborts, then drains it: the whole life of `weir proxy`. */
export async function runProxy(
  bootstrap: Bootstrap,
  deps: CoreDeps,
  signal: AbortSignal,
  { hurry, stateDir, workers = 1 }: RunOptions = {},
): Promise<void> {
  const tree = workers > 1 ? new (await import("./workers/supervisor.ts")).Supervisor(workers) : undefined;
  const proxy = createProxy(bootstrap, deps, {
    ...(stateDir !== undefined && { stateDir }),
    ...(tree !== undefined && { tree }),
  });
  await proxy.start();
  const reopen = (): void => proxy.reopenLogs();
  process.on("SIGUSR1", reopen);
  // With a control plane, start-up is over when its first configuration is in force.
  if (controlPlaneOf(bootstrap) === undefined) releaseStartupMemory();
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      // Listening sockets keep the process alive; a proxy without listeners yet needs this.
      const alive = setInterval(() => undefined, 60_000);
      signal.addEventListener("abort", () => {
        clearInterval(alive);
        resolve();
      });
    });
  }
  deps.log.info("draining");
  if (hurry?.aborted) proxy.hurry();
  hurry?.addEventListener("abort", () => proxy.hurry());
  await proxy.stop();
  process.off("SIGUSR1", reopen);
}
