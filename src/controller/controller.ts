// The door of controller/: caches, leadership, the xDS server, and, while this process leads, the work of lead.ts.
// A standby keeps its caches warm and answers proxies with UNAVAILABLE.
import { hostname } from "node:os";
import { CLUSTER_RESOURCES, type ResourceType } from "../api/api.ts";
import { type ClusterClient, createLeaderElection } from "../cluster/client.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { TrafficStore } from "../providers/providers.ts";
import { createXdsServer, DEFAULT_XDS_PORT, LISTEN_FAILED, type XdsServer } from "../xds/server.ts";
import type { LoadBalancers } from "./balancers.ts";
import { createCaches } from "./caches.ts";
import { lead } from "./lead.ts";
import type { ControllerMetrics } from "./metrics.ts";

export { createAwsBalancers } from "./aws.ts";
export type { LoadBalancers } from "./balancers.ts";
export { explainRollout } from "./explain.ts";
export { HTTP_LISTEN_FAILED, type HttpServer, type Page, plain, servePages } from "./httpserver.ts";
export { type ControllerMetrics, createMetrics, METRICS } from "./metrics.ts";
export { NODE_GRACE_MS } from "./nodes.ts";

/** Argo's lease, so that the two never reconcile the same cluster at once. */
export const LEASE_NAME = "argo-rollouts-controller-lock";
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
  /** Counts what is done; without it nothing is counted. */
  readonly metrics?: ControllerMetrics;
  /** Asks load balancers whether weights are set (router alb) and pods registered. Without it `weights.verified` stays unset there. */
  readonly balancers?: LoadBalancers;
  /** Whether step plugins are called; a Rollout that comes to a step of one waits there otherwise. Default true. */
  readonly callsStepPlugins?: boolean;
  /** The version in which TargetGroupBindings are read, where load balancers are asked. Default: v1beta1. */
  readonly targetGroupBindings?: ResourceType;
  /** Times of the lease. Default: the election's own (15 s, 10 s, 2 s). */
  readonly lease?: { readonly leaseMs: number; readonly renewMs: number; readonly retryMs: number };
  /** When a silent proxy is pinged, and after how long without an answer it counts as gone. Default: the xDS server's own. */
  readonly keepalive?: { readonly keepaliveTimeMs: number; readonly keepaliveTimeoutMs: number };
}

export interface Controller {
  /** Begins; resolves when proxies may connect. Leading follows when the lease is won. */
  start(): Promise<{ readonly xdsAddress: string }>;
  stop(): Promise<void>;
  /** Whether this process leads and serves the proxies. */
  isLeading(): boolean;
  /** Whether the caches hold their first lists: true of a standby as well. */
  isReady(): boolean;
  /** What the proxies have reported since this process began to lead, this time. */
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
    ...(options.balancers !== undefined && {
      targetGroupBindings: options.targetGroupBindings ?? CLUSTER_RESOURCES.targetGroupBinding,
    }),
  });
  const xds = createXdsServer({ clock, log, isServing: false, ...options.keepalive });
  let traffic = new TrafficStore(clock.nowMs());
  xds.onLoadReport((report) => traffic.accept(report));
  const stopping = new AbortController();
  let isReady = false;
  let isServing = false;
  let term: Promise<void> = Promise.resolve();
  const onServing = (now: boolean): void => {
    isServing = now;
    xds.setServing(now);
  };
  const election = createLeaderElection({
    client,
    clock,
    log,
    name: LEASE_NAME,
    namespace: options.namespace,
    identity: options.identity ?? `${hostname()}_${process.pid}`,
    ...options.lease,
    onStarted(signal) {
      const { namespace, bindAddress = "0.0.0.0" } = options;
      const deps = {
        client,
        clock,
        log,
        caches,
        xds,
        namespace,
        bindAddress,
        ...(options.callsStepPlugins === false && { stepPlugins: {} }),
        onStore: (store: TrafficStore) => {
          traffic = store;
        },
        onServing,
        ...(options.metrics !== undefined && { metrics: options.metrics }),
        ...(options.balancers !== undefined && { balancers: options.balancers }),
      };
      // One term at a time: the one before may still be ending.
      term = term.then(() => lead(deps, signal));
      return term;
    },
    onStopped: () => undefined,
  });
  return {
    get traffic() {
      return traffic;
    },
    isLeading: () => isServing,
    isReady: () => isReady,
    async start() {
      const { host, port } = await listenXds(xds, options);
      caches.start();
      options.metrics?.observe(caches);
      void caches.waitForSync(stopping.signal).then((hasSynced) => {
        isReady = hasSynced;
      });
      election.start();
      return { xdsAddress: `${host}:${port}` };
    },
    async stop() {
      stopping.abort();
      isReady = false;
      await election.stop();
      await xds.close();
      await caches.stop();
    },
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
