// Everything that `weir up` runs in one process: API server, workload controllers, node agent, controller, and proxies for Gateways.
// Started in this order, stopped in the reverse one. The quick start is this and a story on top.
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ClusterClient, createClusterClient } from "../cluster/client.ts";
import { createController } from "../controller/controller.ts";
import {
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

/** Default of the API server; the next free port when it is taken. */
export const DEFAULT_API_PORT = 6440;
const PORT_TRIES = 50;
const NODE_NAME = "local";
/** Namespace of what weir keeps for itself: the lease, the records of proxies. */
export const SYSTEM_NAMESPACE = "weir-system";

export interface LocalOptions {
  readonly stateDir: string;
  /** A port that must be had; without it the default, or the next free one. */
  readonly apiPort?: number;
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
  /** Ends everything; pods' processes are ended too, unless they are to be kept for the next start. Idempotent. */
  stop(options: { readonly keepPods: boolean }): Promise<void>;
}

/** Starts a local cluster on a state folder. Throws with words when the folder or a port cannot be had; then nothing runs. */
export async function startLocal(options: LocalOptions): Promise<Local> {
  const { clock, log } = options;
  const stateDir = resolve(options.stateDir);
  const images = options.images === undefined ? undefined : await loadImages(options.images);
  const stops: ((stopping: { readonly keepPods: boolean }) => Promise<unknown> | unknown)[] = [];
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
    const listener = await listenSomewhere(server, options.apiPort, log);
    const kubeconfig = join(stateDir, "kubeconfig");
    server.writeKubeconfig(kubeconfig, listener);
    const transport = server.transport();
    const client = createClusterClient(transport);

    const workloads = startWorkloadControllers({ client, clock, log });
    stops.push(() => workloads.stop());
    const controller = createController({
      client,
      clock,
      log,
      identity: `local-${process.pid}`,
      namespace: SYSTEM_NAMESPACE,
      bindAddress: options.bindAddress ?? "127.0.0.1",
    });
    const { xdsAddress } = await controller.start();
    stops.push(() => controller.stop());

    const agent = createAgent({
      client,
      clock,
      log,
      stateDir,
      nodeName: NODE_NAME,
      network: { kind: "loopback" },
      bindsPods: true,
      ...(images !== undefined && { images }),
      ...(options.workDir !== undefined && { workDir: options.workDir }),
    });
    server.provideLogs((request) => agent.readLogs(request));
    await agent.start();
    stops.push((stopping) => agent.stop(stopping));
    const command = [process.execPath, launcher(), "proxy"];
    const gateways = createGatewayController({ client, clock, log, stateDir, command, xdsAddress });
    gateways.start();
    stops.push(() => gateways.stop());
    return { client, server: listener.url, kubeconfig, xdsAddress, stop };
  } catch (error) {
    await stop({ keepPods: true });
    throw error;
  }
}

/** The launcher beside this room: src/weir.js in the checkout, dist/src/weir.js in the package. */
function launcher(): string {
  return fileURLToPath(new URL("../weir.js", import.meta.url));
}

async function listenSomewhere(
  server: EmbeddedServer,
  asked: number | undefined,
  log: Logger,
): Promise<Listener> {
  if (asked !== undefined) return server.listen({ port: asked });
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
