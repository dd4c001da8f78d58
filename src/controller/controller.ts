// The door of controller/: caches, leadership, the xDS server, and, while this process leads, the work queues.
// Order of starting: caches sync → every Rollout is reconciled once, so that all intents are known → snapshots are rendered → xDS is served.
// A standby keeps its caches warm and answers proxies with UNAVAILABLE.
import { hostname } from "node:os";
import {
  type ClusterClient,
  createLeaderElection,
  createWorkQueue,
  type WorkQueue,
} from "../cluster/client.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { createProviders, TrafficStore } from "../providers/providers.ts";
import { createXdsServer, DEFAULT_XDS_PORT, LISTEN_FAILED, type XdsServer } from "../xds/server.ts";
import { type Caches, createCaches } from "./caches.ts";
import { createEventRecorder } from "./events.ts";
import { createFreshness } from "./freshness.ts";
import { measureRun } from "./measure.ts";
import { createNodeRecords } from "./noderecords.ts";
import { createPublisher, type SnapshotServer } from "./publish.ts";
import { reconcile } from "./reconcile.ts";
import { wakeRollouts } from "./wake.ts";

export { explainRollout } from "./explain.ts";
export { NODE_GRACE_MS } from "./nodes.ts";

/** Argo's lease, so that the two never reconcile the same cluster at once. */
export const LEASE_NAME = "argo-rollouts-controller-lock";
const ROLLOUT_WORKERS = 10;
const RUN_WORKERS = 30;
/** Ports tried after the default one when that is taken. */
const XDS_PORT_TRIES = 100;

export interface ControllerOptions {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Namespace of the lease and of the records of proxies. */
  readonly namespace: string;
  /** Reconcile this namespace only. Default: all. */
  readonly watchNamespace?: string;
  /** Name of this process in the lease. Default: host name and pid. */
  readonly identity?: string;
  /** Where ADS and LRS listen. Default 127.0.0.1. */
  readonly xdsHost?: string;
  /** A port that must be had (0: any); without it 18000, or the next free one. */
  readonly xdsPort?: number;
  /** Address that gateway listeners bind when their Gateway names none. Default 0.0.0.0. */
  readonly bindAddress?: string;
}

export interface Controller {
  /** Begins; resolves when proxies may connect. Leading follows when the lease is won. */
  start(): Promise<{ readonly xdsAddress: string }>;
  stop(): Promise<void>;
  isLeading(): boolean;
  /** What the proxies have reported. */
  readonly traffic: TrafficStore;
}

/** Makes a controller. */
export function createController(options: ControllerOptions): Controller {
  const { client, clock, log } = options;
  const caches = createCaches({
    client,
    clock,
    log,
    ...(options.watchNamespace !== undefined && { namespace: options.watchNamespace }),
  });
  const xds = createXdsServer({ clock, log, isServing: false });
  const traffic = new TrafficStore(clock.nowMs());
  xds.onLoadReport((report) => traffic.accept(report));
  let isLeading = false;
  const election = createLeaderElection({
    client,
    clock,
    log,
    name: LEASE_NAME,
    namespace: options.namespace,
    identity: options.identity ?? `${hostname()}_${process.pid}`,
    onStarted(signal) {
      isLeading = true;
      return lead(options, caches, xds, traffic, signal);
    },
    onStopped() {
      isLeading = false;
    },
  });
  return {
    traffic,
    isLeading: () => isLeading,
    async start() {
      const { host, port } = await listenXds(xds, options);
      caches.start();
      election.start();
      return { xdsAddress: `${host}:${port}` };
    },
    async stop() {
      await election.stop();
      await xds.close();
      await caches.stop();
    },
  };
}

/** Reconciles and serves until `signal` aborts. */
async function lead(
  options: ControllerOptions,
  caches: Caches,
  xds: XdsServer,
  traffic: TrafficStore,
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, log } = options;
  if (!(await caches.waitForSync(signal))) return;
  const events = createEventRecorder({ client, clock, log });
  const freshness = createFreshness();
  const records = createNodeRecords({ client, clock, log, namespace: options.namespace });
  const publisher = createPublisher({
    caches,
    clock,
    log,
    events,
    records,
    server: snapshotServer(xds),
    bindAddress: options.bindAddress ?? "0.0.0.0",
    onAcknowledgement: (key) => rollouts.add(key),
  });
  const deps = {
    client,
    clock,
    log,
    caches,
    events,
    freshness,
    publisher,
    providers: createProviders({ traffic }),
  };
  const rollouts: WorkQueue = createWorkQueue({
    clock,
    log,
    workers: ROLLOUT_WORKERS,
    process: (key, passSignal) => reconcile(deps, key, passSignal),
  });
  const runs: WorkQueue = createWorkQueue({
    clock,
    log,
    workers: RUN_WORKERS,
    process: (key, passSignal) => measureRun(deps, key, passSignal),
  });
  const endings = [
    wakeRollouts(caches, (key) => rollouts.add(key)),
    caches.analysisRuns.subscribe(({ key }) => runs.add(key)),
  ];
  rollouts.start();
  await rollouts.idle();
  await publisher.start();
  if (!signal.aborted) xds.setServing(true);
  runs.start();
  log.info("leading", { rollouts: caches.rollouts.store.size });
  await aborted(signal);
  xds.setServing(false);
  for (const end of endings) end();
  await Promise.all([rollouts.stop(), runs.stop()]);
  await publisher.stop();
  log.info("no longer leading");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** The xDS server as the publisher sees it: connected nodes only, changes by group. */
function snapshotServer(xds: XdsServer): SnapshotServer {
  return {
    setSnapshot: xds.setSnapshot,
    removeGroup: xds.removeGroup,
    nodes: (group) =>
      xds
        .nodes(group)
        .filter((node) => node.connected)
        .map((node) => ({
          id: node.id,
          connectedSinceMs: node.connectedSinceMs,
          isFresh: !node.cameWithContent,
          ackedSequence: node.ackedSeq,
          ...(node.nack !== undefined && { nack: node.nack.message }),
        })),
    onChange: (listener) => xds.onChange(({ group }) => listener(group)),
  };
}

async function listenXds(
  xds: XdsServer,
  { xdsHost: host = "127.0.0.1", xdsPort, log }: ControllerOptions,
): Promise<{ readonly host: string; readonly port: number }> {
  if (xdsPort !== undefined) return xds.listen({ host, port: xdsPort });
  for (let port = DEFAULT_XDS_PORT; port < DEFAULT_XDS_PORT + XDS_PORT_TRIES; port += 1) {
    try {
      const taken = await xds.listen({ host, port });
      if (port !== DEFAULT_XDS_PORT)
        log.warn("default port is taken, using another", { default: DEFAULT_XDS_PORT, port });
      return taken;
    } catch (error) {
      if (!isWeirError(error, LISTEN_FAILED)) throw error;
    }
  }
  return xds.listen({ host, port: 0 });
}
