// Everything that `weir up` runs in one process: API server, workload controllers, node agent, controller, and proxies for Gateways.
// Started in this order; stopped in the reverse one, but for the pods, which end after all that would judge by them. The quick start is
// this and a story on top.
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ClusterClient, createClusterClient } from "../cluster/client.ts";
import {
  type Controller,
  type ControllerMetrics,
  createController,
  createMetrics,
} from "../controller/controller.ts";
import {
  type AgentOptions,
  createAgent,
  createEmbeddedServer,
  createGatewayController,
  type EmbeddedServer,
  type Listener,
  loadImages,
  startWorkloadControllers,
} from "../embedded/embedded.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { serveMetrics } from "./pages.ts";
import { readPorts, writePorts } from "./ports.ts";

/** Default of the API server; the next free port when it is taken. */
const DEFAULT_API_PORT = 6440;
const PORT_TRIES = 50;
const LOOPBACK = "127.0.0.1";
const NODE_NAME = "local";
/** Holder of the lease. The locked state folder keeps a second one away; a killed one's successor need not wait for the lease to end. */
const IDENTITY = "local";
/** Namespace of what weir keeps for itself: the lease, the records of proxies. */
export const SYSTEM_NAMESPACE = "weir-system";

export interface LocalOptions {
  readonly stateDir: string;
  /** A port that must be had; without it the default, or the next free one. */
  readonly apiPort?: number;
  /** Port of ADS and LRS, as above. */
  readonly xdsPort?: number;
  /** Port of /metrics on the loopback address, as above; default 8090. */
  readonly metricsPort?: number;
  /** Image map of the user. */
  readonly images?: string;
  /** Address that gateways bind when their Gateway names none. Default 127.0.0.1. */
  readonly bindAddress?: string;
  /** Directory that pods' processes start in. Default: the present one. */
  readonly workDir?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Local {
  readonly client: ClusterClient;
  readonly server: string;
  readonly kubeconfig: string;
  /** `host:port` of ADS and LRS. */
  readonly xdsAddress: string;
  /** The control plane's figures as Prometheus text. */
  readonly metricsUrl: string;
  /** Ends everything; pods' processes are ended too, unless they are to be kept for the next start. Idempotent. */
  stop(options: { readonly keepPods: boolean }): Promise<void>;
}

/** Starts a local cluster on a state folder. Throws with words when the folder or a port cannot be had; then nothing runs. */
export async function startLocal(options: LocalOptions): Promise<Local> {
  const { clock, log } = options;
  const stateDir = resolve(options.stateDir);
  const images = options.images === undefined ? undefined : await loadImages(options.images);
  const stops: ((stopping: { readonly keepPods: boolean }) => unknown)[] = [];
  let stopped: Promise<void> | undefined;
  const stop = (stopping: { readonly keepPods: boolean }): Promise<void> => {
    stopped ??= (async () => {
      for (const end of stops.splice(0).reverse()) await end(stopping);
    })();
    return stopped;
  };
  try {
    const server = await createEmbeddedServer({ stateDir, clock, log });
    stops.push(() => server.close());
    const remembered = await readPorts(stateDir);
    const listener = await listenSomewhere(server, options.apiPort, remembered.api, log);
    const kubeconfig = join(stateDir, "kubeconfig");
    server.writeKubeconfig(kubeconfig, listener);
    const client = createClusterClient(server.transport());
    const agent = createAgent({
      ...agentOptions(options, client),
      bindsPods: true,
      ...(images !== undefined && { images }),
      ...(options.workDir !== undefined && { workDir: options.workDir }),
    });
    stops.push((stopping) => agent.stop(stopping));

    const workloads = startWorkloadControllers({ client, clock, log });
    stops.push(() => workloads.stop());
    const metrics = createMetrics();
    const { metricsPort } = options;
    const pages = await serveMetrics(metrics, {
      host: LOOPBACK,
      log,
      ...(metricsPort !== undefined && { port: metricsPort }),
    });
    stops.push(() => pages.close());
    const { controller, xdsAddress } = await startController(options, client, metrics, remembered.xds);
    stops.push(() => controller.stop());
    await writePorts(stateDir, { api: listener.port, xds: Number(xdsAddress.split(":").at(-1)) });
    server.provideLogs((request) => agent.readLogs(request));
    await agent.start();
    const command = [process.execPath, launcher(), "proxy"];
    const gateways = createGatewayController({ client, clock, log, stateDir, command, xdsAddress });
    gateways.start();
    stops.push(() => gateways.stop());
    const metricsUrl = `http://${LOOPBACK}:${pages.port}/metrics`;
    return { client, server: listener.url, kubeconfig, xdsAddress, metricsUrl, stop };
  } catch (error) {
    await stop({ keepPods: true });
    throw error;
  }
}

/**
 * Ends the pods that a killed run has left on a state folder, and starts nothing. Throws with words when the folder cannot be had, above
 * all when a cluster runs on it.
 */
export async function stopLeftovers({
  stateDir,
  clock,
  log,
}: Pick<LocalOptions, "stateDir" | "clock" | "log">): Promise<void> {
  const server = await createEmbeddedServer({ stateDir: resolve(stateDir), clock, log });
  try {
    const client = createClusterClient(server.transport());
    const agent = createAgent({ ...agentOptions({ stateDir, clock, log }, client), adoptsOnly: true });
    await agent.start();
    await agent.stop({ keepPods: false });
  } finally {
    await server.close();
  }
}

function agentOptions(
  { stateDir, clock, log }: Pick<LocalOptions, "stateDir" | "clock" | "log">,
  client: ClusterClient,
): AgentOptions {
  return {
    client,
    clock,
    log,
    stateDir: resolve(stateDir),
    nodeName: NODE_NAME,
    network: { kind: "loopback" },
  };
}

/** Starts the controller on the port that proxies of an earlier run still look for, or on another when that is taken by now. */
async function startController(
  { clock, log, xdsPort: asked, bindAddress = LOOPBACK }: LocalOptions,
  client: ClusterClient,
  metrics: ControllerMetrics,
  rememberedPort: number | undefined,
): Promise<{ readonly controller: Controller; readonly xdsAddress: string }> {
  const make = (xdsPort: number | undefined): Controller =>
    createController({
      client,
      clock,
      log,
      metrics,
      identity: IDENTITY,
      namespace: SYSTEM_NAMESPACE,
      bindAddress,
      ...(xdsPort !== undefined && { xdsPort }),
    });
  if (asked === undefined && rememberedPort !== undefined) {
    const controller = make(rememberedPort);
    try {
      return { controller, ...(await controller.start()) };
    } catch (error) {
      if (!isWeirError(error)) throw error;
      await controller.stop();
      log.warn("the last run's xDS port is taken, gateways are replaced", { port: rememberedPort });
    }
  }
  const controller = make(asked);
  return { controller, ...(await controller.start()) };
}

/** The launcher beside this room: src/weir.js in the checkout, dist/src/weir.js in the package. */
function launcher(): string {
  return fileURLToPath(new URL("../weir.js", import.meta.url));
}

async function listenSomewhere(
  server: EmbeddedServer,
  asked: number | undefined,
  remembered: number | undefined,
  log: Logger,
): Promise<Listener> {
  if (asked !== undefined) return server.listen({ port: asked });
  if (remembered !== undefined) {
    const listener = await server.listen({ port: remembered }).catch((error: unknown) => {
      if (!isWeirError(error)) throw error;
    });
    if (listener !== undefined) return listener;
  }
  for (let port = DEFAULT_API_PORT; port < DEFAULT_API_PORT + PORT_TRIES; port += 1) {
    try {
      const listener = await server.listen({ port });
      if (port !== DEFAULT_API_PORT)
        log.warn("default port is taken, using another", { default: DEFAULT_API_PORT, port });
      return listener;
    } catch (error) {
      if (!isWeirError(error)) throw error;
    }
  }
  return server.listen({ port: 0 });
}
