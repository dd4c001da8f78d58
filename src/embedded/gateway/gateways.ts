// Gives every Gateway of class weir a proxy: one pod beside the Gateway, run by the node agent like any other, so that it is restarted, adopted
// after a crash and logged as pods are. Its bootstrap file lies in the state folder; pods whose bootstrap or program changed are replaced,
// one after another (turns.ts), and one whose admin port another process took gets another port. A Gateway annotated `weir.dev/proxy: none` gets
// none: another xDS client serves it.

import { createHash } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { apiVersionOf, type KubeObject, RESOURCES, readGateway } from "../../api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createReflector,
  createWorkQueue,
  type WorkResult,
} from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import { isWeirError, WeirError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { isPortFree } from "../../lib/ports.ts";
import { isPodReady, readPod } from "../agent/podspec.ts";
import { gatewayBootstrap } from "./bootstrap.ts";
import { createTurns } from "./turns.ts";

/** Label of a gateway's pod: the name of its Gateway. */
export const GATEWAY_LABEL = "weir.dev/gateway";
/** On a Gateway: `none` for no proxy beside it. Another client of the control plane, a stock Envoy for one, stands in its place. */
export const PROXY_ANNOTATION = "weir.dev/proxy";
/** On a gateway's pod: a hash of the bootstrap that its proxy runs with. */
const BOOTSTRAP_ANNOTATION = "weir.dev/bootstrap";
/** On a gateway's pod: the port of its proxy's admin server. */
const ADMIN_PORT_ANNOTATION = "weir.dev/admin-port";
const CLASS = "weir";
/** When a replacement that waits for its turn looks again, although nothing was heard. */
const TURN_LOOK_MS = 5_000;
/** What is in flight when a proxy is replaced may take so long. */
const DRAIN_SECONDS = 5;
/** Until it is killed: longer than the drain. */
const GRACE_SECONDS = 30;
/** Nobody routes around the one proxy of a Gateway, so that there is nobody to wait for. */
const DRAIN_FLAGS = ["--drain-delay", "0s", "--drain-timeout", `${DRAIN_SECONDS}s`];
/** Why a container waits whose process ended with an error. */
const CRASHED = "CrashLoopBackOff";
/** Ports tried for one admin server. */
const PORT_TRIES = 1000;
/** Code of an admin server that finds no free port. */
const NO_PORT = "WEIR_ERR_EMBEDDED_NO_PORT";

export interface GatewayControllerDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** State folder; bootstrap files and last good configurations go to `proxies/` in it. */
  readonly stateDir: string;
  /** The program of a proxy; `--config FILE` and more flags are added. */
  readonly command: readonly string[];
  /** The control plane, as `host:port`. */
  readonly xdsAddress: string;
  /** First port to try for admin servers. Default 9901. */
  readonly firstAdminPort?: number;
}

export interface GatewayController {
  start(): void;
  stop(): Promise<void>;
}

/** Makes the controller. */
export function createGatewayController(deps: GatewayControllerDeps): GatewayController {
  const { client, clock, log } = deps;
  const gateways = createReflector({ client, type: RESOURCES.gateway, clock, log });
  const pods = createReflector({ client, type: RESOURCES.pod, labelSelector: GATEWAY_LABEL, clock, log });
  const reserved = new Map<string, number>();
  const turns = createTurns((pod) => isCurrent(deps, pod));
  const release = (key: string): void => {
    for (const next of turns.release(key)) queue.add(next);
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<WorkResult> => {
    const gateway = gateways.store.get(key);
    const [namespace = "", name = ""] = key.split("/");
    if (
      gateway === undefined ||
      gateway.metadata.deletionTimestamp !== undefined ||
      classOf(gateway) !== CLASS
    ) {
      // The pod goes with its owner; only the files are left to remove.
      reserved.delete(key);
      release(key);
      return removeFiles(deps.stateDir, namespace, name);
    }
    const present = pods.store.get(`${namespace}/${podNameOf(name)}`);
    if (present?.metadata.deletionTimestamp !== undefined) return;
    if (gateway.metadata.annotations?.[PROXY_ANNOTATION] === "none") {
      release(key);
      if (present === undefined) return;
      log.info("gateway proxy is stopped: the Gateway asks for none", { gateway: key });
      return removePod(client, present, signal);
    }
    if (present !== undefined) {
      if (isCurrent(deps, present)) {
        if (isPodReady(readPod(present))) release(key);
        if (!(await hasLostAdminPort(present))) return;
        reserved.delete(key);
        log.info("gateway proxy is replaced: another process has its admin port", { gateway: key });
        return removePod(client, present, signal);
      }
      if (!turns.take(key, present, pods.store.list(), clock.nowMs()))
        return { requeueAfterMs: TURN_LOOK_MS };
      const adminPort = adminPortOf(present);
      if (adminPort !== undefined) reserved.set(key, adminPort);
      log.info("gateway proxy is replaced", { gateway: key });
      return removePod(client, present, signal);
    }
    const adminPort = reserved.get(key) ?? (await freePort(deps, pods.store.list(), reserved));
    reserved.set(key, adminPort);
    return startProxy(deps, gateway, adminPort, signal);
  };

  const queue = createWorkQueue({ clock, log, process: reconcile, baseDelayMs: 50 });
  return {
    start() {
      gateways.subscribe(({ key }) => queue.add(key));
      pods.subscribe(({ object }) => {
        const name = object.metadata.labels?.[GATEWAY_LABEL];
        queue.add(`${object.metadata.namespace}/${name}`);
      });
      gateways.start();
      pods.start();
      // Nothing is decided upon half a picture: a pod not yet seen would be made twice.
      void Promise.all([gateways.waitForSync(), pods.waitForSync()]).then(() => queue.start());
    },
    async stop() {
      await Promise.all([queue.stop(), gateways.stop(), pods.stop()]);
    },
  };
}

async function startProxy(
  deps: GatewayControllerDeps,
  gateway: KubeObject,
  adminPort: number,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = "" } = gateway.metadata;
  const { bootstrap, hash } = wantedOf(deps, namespace, name, adminPort);
  const file = await writeBootstrap(deps.stateDir, namespace, name, bootstrap);
  const command = [...programOf(deps, namespace, name), "--config", file];
  try {
    await deps.client.create(RESOURCES.pod, podOf(gateway, command, adminPort, hash), signal);
  } catch (error) {
    // The cache has not shown the last pass's pod yet; its event wakes the key again.
    if (isWeirError(error, CLUSTER_ERRORS.alreadyExists)) return;
    throw error;
  }
  deps.log.info("gateway proxy is started", { gateway: `${namespace}/${name}`, adminPort });
}

function removePod(client: ClusterClient, { metadata }: KubeObject, signal: AbortSignal): Promise<void> {
  const { namespace, name, uid } = metadata;
  const ref = { name, ...(namespace !== undefined && { namespace }) };
  return client.delete(RESOURCES.pod, ref, { signal, ...(uid !== undefined && { uid }) });
}

/** The bootstrap that the proxy of a Gateway should run with, and the hash of it and the program. */
function wantedOf(
  deps: GatewayControllerDeps,
  namespace: string,
  name: string,
  adminPort: number,
): { readonly bootstrap: string; readonly hash: string } {
  const options = {
    nodeId: `${namespace}/${podNameOf(name)}`,
    group: `gateway/${namespace}/${name}`,
    adminPort,
    xdsAddress: deps.xdsAddress,
  };
  const bootstrap = JSON.stringify(gatewayBootstrap(options), undefined, 2);
  const text = JSON.stringify([bootstrap, programOf(deps, namespace, name)]);
  return { bootstrap, hash: createHash("sha256").update(text).digest("hex").slice(0, 16) };
}

function programOf(
  { command, stateDir }: GatewayControllerDeps,
  namespace: string,
  name: string,
): readonly string[] {
  return [...command, ...DRAIN_FLAGS, "--state", stateOf(stateDir, namespace, name)];
}

/** Whether a gateway's pod runs the present program with the present bootstrap. */
function isCurrent(deps: GatewayControllerDeps, pod: KubeObject): boolean {
  const { namespace = "", labels, annotations } = pod.metadata;
  const adminPort = adminPortOf(pod);
  if (adminPort === undefined) return false;
  const { hash } = wantedOf(deps, namespace, labels?.[GATEWAY_LABEL] ?? "", adminPort);
  return annotations?.[BOOTSTRAP_ANNOTATION] === hash;
}

/** The gateway's pod beside the Gateway of that name. */
function podNameOf(gateway: string): string {
  return `gateway-${gateway}`;
}

function classOf(gateway: KubeObject): string | undefined {
  return readGateway(gateway).value.spec.gatewayClassName;
}

function adminPortOf(pod: KubeObject | undefined): number | undefined {
  const port = Number(pod?.metadata.annotations?.[ADMIN_PORT_ANNOTATION]);
  return Number.isInteger(port) && port > 0 ? port : undefined;
}

/** Whether the proxy cannot begin because its admin port went to another process between the choice and the proxy's start, or while it was down. */
async function hasLostAdminPort(pod: KubeObject): Promise<boolean> {
  const { containerStatuses = [] } = readPod(pod).status;
  const isDown = containerStatuses.some(({ state }) => state.waiting?.reason === CRASHED);
  const adminPort = adminPortOf(pod);
  return isDown && adminPort !== undefined && !(await isPortFree(adminPort));
}

function fileOf(stateDir: string, namespace: string, name: string): string {
  return join(stateDir, "proxies", `${namespace}.${name}.json`);
}

/** Folder in which a gateway's proxy keeps its last good configuration. */
function stateOf(stateDir: string, namespace: string, name: string): string {
  return join(stateDir, "proxies", `${namespace}.${name}`);
}

async function removeFiles(stateDir: string, namespace: string, name: string): Promise<void> {
  await rm(fileOf(stateDir, namespace, name), { force: true });
  await rm(stateOf(stateDir, namespace, name), { recursive: true, force: true });
}

async function writeBootstrap(
  stateDir: string,
  namespace: string,
  name: string,
  text: string,
): Promise<string> {
  const file = fileOf(stateDir, namespace, name);
  await mkdir(join(stateDir, "proxies"), { recursive: true });
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
  return file;
}

/** A port that nothing listens on and no other gateway has been given. */
async function freePort(
  { firstAdminPort = 9901 }: GatewayControllerDeps,
  pods: readonly KubeObject[],
  reserved: ReadonlyMap<string, number>,
): Promise<number> {
  const taken = new Set([...pods.map(adminPortOf), ...reserved.values()]);
  for (let port = firstAdminPort; port < firstAdminPort + PORT_TRIES; port += 1) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new WeirError({
    code: NO_PORT,
    message: `no free port for a proxy's admin server between ${firstAdminPort} and ${firstAdminPort + PORT_TRIES}`,
  });
}

function podOf(gateway: KubeObject, command: readonly string[], adminPort: number, hash: string): KubeObject {
  const { name, namespace, uid = "" } = gateway.metadata;
  const owner = { apiVersion: apiVersionOf(RESOURCES.gateway), kind: "Gateway", name, uid };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: podNameOf(name),
      ...(namespace !== undefined && { namespace }),
      labels: { [GATEWAY_LABEL]: name },
      annotations: { [BOOTSTRAP_ANNOTATION]: hash, [ADMIN_PORT_ANNOTATION]: String(adminPort) },
      ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
    },
    spec: {
      terminationGracePeriodSeconds: GRACE_SECONDS,
      containers: [
        {
          name: "proxy",
          image: "weir",
          command: [...command],
          readinessProbe: { httpGet: { path: "/ready", port: adminPort }, periodSeconds: 1 },
        },
      ],
    },
  };
}
