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
import { type Bootstrap, create, NodeSchema, type XdsSnapshot } from "../xds/types.ts";
import { type Admin, openAdmin } from "./admin.ts";
import { Configuration, type StaticResources } from "./configuration.ts";
import { Core, type CoreDeps, type ProxyCounts } from "./core.ts";
import { Drain } from "./drain.ts";
import { LastGood } from "./lastgood.ts";
import { loadSamples } from "./loads.ts";
import { type CellSnapshot, snapshotStats } from "./stats.ts";

export { type CoreDeps as ProxyDeps, DEFAULT_LIMITS, type Limits } from "./core.ts";
export { LISTEN_FAILED } from "./listener.ts";
export { CONFIG_REJECTED } from "./problems.ts";
export { bucketName, type CellSnapshot, COUNTERS, LATENCY_BOUNDS_MS } from "./stats.ts";

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

/** Builds a proxy; `stateDir` is where it keeps its last good configuration. Throws CONFIG_REJECTED when the static resources cannot be carried out. */
export function createProxy(bootstrap: Bootstrap, deps: CoreDeps, stateDir?: string): ProxyServer {
  const core = new Core(deps);
  const controlPlane = controlPlaneOf(bootstrap);
  const configuration = new Configuration(
    core,
    staticResources(bootstrap, controlPlane),
    controlPlane !== undefined,
  );
  const lastGood = controlPlane && stateDir !== undefined ? lastGoodOf(bootstrap, stateDir, core) : undefined;
  const drain = new Drain(core, configuration);
  let client: XdsClient | undefined;
  let admin: Admin | undefined;
  let stopping: Promise<void> | undefined;
  const unreadyReason = (): string => {
    if (drain.isBegun) return "draining";
    return configuration.isReady ? "" : configuration.missing;
  };

  const start = async (): Promise<void> => {
    core.deadlines.start();
    const address = bootstrap.admin?.address?.address;
    if (address?.case === "socketAddress" && address.value.portSpecifier.case === "portValue") {
      const { address: host, portSpecifier } = address.value;
      const controlPlaneStatus = (): XdsClientStatus | undefined => client?.status();
      admin = await openAdmin(
        { core, configuration, unreadyReason, controlPlaneStatus, drain: drainOnly },
        host,
        portSpecifier.value,
      );
    }
    await configuration.openStatic();
    if (controlPlane === undefined) return;
    const fallback = await lastGood?.read();
    client = createClient(bootstrap, controlPlane, configuration, core, { lastGood, fallback });
    client.start();
  };

  const drainOnly = (): void => {
    if (drain.isBegun) return;
    core.log.info("draining", { asked: "by the admin port" });
    void drain.begin();
  };

  const drainAndClose = async (): Promise<void> => {
    await drain.end();
    configuration.close();
    client?.close();
    await lastGood?.close();
    core.deadlines.stop();
    await Promise.race([core.logs.close(), sleep(core.clock, LOG_CLOSE_MS)]);
    admin?.close();
  };

  return {
    start,
    stop() {
      stopping ??= drainAndClose();
      return stopping;
    },
    hurry: () => drain.hurry(),
    reopenLogs: () => core.logs.reopen(),
    get adminPort() {
      return admin?.port ?? 0;
    },
    listenerPort(name) {
      const port = configuration.listeners.find((listener) => listener.name === name)?.port ?? 0;
      return port === 0 ? undefined : port;
    },
    unreadyReason,
    stats: () => snapshotStats(core.stats),
    counts: core.counts,
    get internalErrors() {
      return core.counts.internalErrors;
    },
  };
}

/** What the bootstrap says itself; the control plane's own clusters are none that requests could be sent to. */
function staticResources(bootstrap: Bootstrap, controlPlane: ControlPlane | undefined): StaticResources {
  const { listeners = [], clusters = [] } = bootstrap.staticResources ?? {};
  return { listeners, clusters: clusters.filter(({ name }) => !controlPlane?.clusters.includes(name)) };
}

function lastGoodOf({ node }: Bootstrap, dir: string, { clock, log }: Core): LastGood {
  return new LastGood({ dir, nodeId: node?.id ?? "", group: node?.cluster ?? "", clock, log });
}

function createClient(
  bootstrap: Bootstrap,
  controlPlane: ControlPlane,
  configuration: Configuration,
  core: Core,
  {
    lastGood,
    fallback,
  }: { readonly lastGood: LastGood | undefined; readonly fallback: XdsSnapshot | undefined },
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
      await configuration.apply(update);
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
}

/** Runs a proxy until `signal` aborts, then drains it: the whole life of `weir proxy`. */
export async function runProxy(
  bootstrap: Bootstrap,
  deps: CoreDeps,
  signal: AbortSignal,
  { hurry, stateDir }: RunOptions = {},
): Promise<void> {
  const proxy = createProxy(bootstrap, deps, stateDir);
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
