// The node agent: runs the pods bound to its node as local processes and reports them as a kubelet does. A client of the API like any
// other. It keeps its own state in `<stateDir>/pods`, so that an agent started after a kill takes over what still runs.
import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createReflector,
  createWorkQueue,
  type Reflector,
  type StoreEvent,
} from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import { isWeirError, messageOf, WeirError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import type { Logger } from "../../lib/log.ts";
import type { ContainerRunner } from "./container.ts";
import { createEventRecorder, type EventRecorder, subjectOf } from "./events.ts";
import { defaultImages, type ImageMap } from "./images.ts";
import { type LogOptions, readLog } from "./logs.ts";
import { type AgentNetwork, allocate, LOOPBACK, type PodNetwork } from "./network.ts";
import { keepNode, type NodeHeartbeat } from "./node.ts";
import { createPodWorker, type PodDeps, type PodRecord, type PodWorker } from "./pod.ts";
import { type Container, isPodFinished, readPod } from "./podspec.ts";
import { readJson } from "./process.ts";
import { answerRemote, isRemote } from "./remote.ts";

export interface AgentOptions {
  readonly client: ClusterClient;
  readonly nodeName: string;
  readonly stateDir: string;
  /** Entries before the shipped ones. Default: the shipped ones alone. */
  readonly images?: ImageMap;
  readonly clock: Clock;
  readonly log: Logger;
  readonly network: AgentNetwork;
  /** Also takes pods that no scheduler has bound: for a server without one. Default false. */
  readonly bindsPods?: boolean;
  /** Takes over what an earlier agent left, to end it, and starts nothing. Default false. */
  readonly adoptsOnly?: boolean;
  /** Address of the node. Default 127.0.0.1. */
  readonly hostIp?: string;
  /** Multiplies back-offs; for tests. Default 1. */
  readonly backoffScale?: number;
  /** Working directory of containers that name none. Default: the agent's. */
  readonly workDir?: string;
  /** Where PATH, HOME and the like come from. Default: the agent's environment. */
  readonly hostEnv?: Readonly<Record<string, string | undefined>>;
  /** For the choice of ports. Default `Math.random`. */
  readonly random?: () => number;
}

export interface AgentLogRequest extends LogOptions {
  readonly namespace: string;
  readonly pod: string;
  /** May be left out when the pod has one container. */
  readonly container?: string;
  /** The attempt before the current one. */
  readonly previous?: boolean;
}

export interface Agent {
  /** Registers the node and takes over earlier pods. Resolves when the pods of the node are known. */
  start(): Promise<void>;
  /** Ends. `keepPods` leaves the processes to the next agent; otherwise they are stopped gracefully. Idempotent. */
  stop(options: { readonly keepPods: boolean }): Promise<void>;
  /** The log of a container, line by line. Throws NO_LOG when there is none. */
  readLogs(request: AgentLogRequest): Promise<AsyncIterable<Uint8Array>>;
}

/** Code of a request for a log that does not exist; the message names the choices. */
export const NO_LOG = "WEIR_ERR_EMBEDDED_NO_LOG";

/** Makes an agent; `start` begins. */
export function createAgent(options: AgentOptions): Agent {
  const { client, clock, log, nodeName } = options;
  const podsDir = resolve(options.stateDir, "pods");
  const hostIp = options.hostIp ?? LOOPBACK;
  const workers = new Map<string, PodWorker>();
  const records = new Map<string, PodRecord>();
  const leaving = new Set<Promise<void>>();
  const events = createEventRecorder({ client, clock, log, component: "weir-agent", host: nodeName });
  const pods = podReflector(options);
  const binding = createWorkQueue({
    clock,
    log,
    process: (key) => bind(options, events, pods.store.get(key)),
    baseDelayMs: 100,
  });
  let heartbeat: NodeHeartbeat | undefined;
  let stopped: Promise<void> | undefined;

  const allocator = createAllocator(options, () =>
    [...workers.values()]
      .flatMap((worker) => worker.network() ?? [])
      .concat([...records.values()].map((r) => r.network)),
  );
  const deps: PodDeps = {
    client,
    clock,
    log,
    images: [...(options.images ?? []), ...defaultImages()],
    record: events.record,
    nodeName,
    hostIp,
    hostEnv: options.hostEnv ?? process.env,
    workDir: options.workDir ?? process.cwd(),
    backoffScale: options.backoffScale ?? 1,
    adoptsOnly: options.adoptsOnly ?? false,
    allocate: allocator,
  };

  const work = (object: KubeObject): void => {
    const uid = object.metadata.uid ?? "";
    const known = workers.get(uid);
    if (known !== undefined) {
      known.update(object);
      return;
    }
    if (!isFolderName(uid)) {
      log.error("pod without a usable uid", { pod: object.metadata.name });
      return;
    }
    const earlier = records.get(uid);
    if (earlier === undefined && options.adoptsOnly === true) return;
    records.delete(uid);
    const worker = createPodWorker(deps, join(podsDir, uid), object, earlier);
    workers.set(uid, worker);
    if (object.metadata.deletionTimestamp !== undefined) worker.update(object);
  };
  const drop = (uid: string): void => {
    const worker = workers.get(uid);
    if (worker === undefined) return;
    const done = worker
      .remove()
      .catch((error: unknown) => log.error("pod not removed", { uid, error: messageOf(error) }))
      .finally(() => {
        workers.delete(uid);
        leaving.delete(done);
      });
    leaving.add(done);
  };
  const onPod = (event: StoreEvent): void => {
    if (stopped !== undefined) return;
    const uid = event.object.metadata.uid ?? "";
    if (event.kind === "deleted") {
      drop(uid);
      return;
    }
    // Deleted and made anew under the same name between two looks.
    if (event.kind === "updated" && event.old.metadata.uid !== uid) drop(event.old.metadata.uid ?? "");
    const pod = readPod(event.object);
    if (pod.spec.nodeName === nodeName) {
      if (isRemote(event.object)) void answerRemote(deps, event.object);
      else work(event.object);
    } else if (options.bindsPods === true && pod.spec.nodeName === undefined && !isPodFinished(pod)) {
      binding.add(event.key);
    }
  };

  return {
    async start() {
      await mkdir(podsDir, { recursive: true, mode: 0o700 });
      for (const [uid, record] of await readRecords(podsDir)) records.set(uid, record);
      heartbeat = keepNode({ client, clock, log, nodeName, hostIp });
      pods.subscribe(onPod);
      pods.start();
      binding.start();
      if (!(await pods.waitForSync())) return;
      // What is left over belongs to pods that were deleted while no agent ran.
      for (const [uid, { object }] of records) {
        work(object);
        drop(uid);
      }
    },
    stop({ keepPods }) {
      stopped ??= stayUntil(async () => {
        await pods.stop();
        await binding.stop();
        await Promise.all(
          [...workers.values()].map((worker) => (keepPods ? worker.release() : worker.stop())),
        );
        if (!keepPods) await Promise.all(leaving);
        await events.flush();
        await heartbeat?.stop(!keepPods);
      });
      return stopped;
    },
    async readLogs(request) {
      const object = pods.store.get(`${request.namespace}/${request.pod}`);
      const worker = workers.get(object?.metadata.uid ?? "");
      const runner = containerFor(request, object, worker);
      const dir = runner.attemptDir(request.previous === true);
      if (dir === undefined) {
        const which = request.previous === true ? "previous terminated container" : "container";
        throw noLog(
          `${which} ${JSON.stringify(runner.name)} in pod ${JSON.stringify(request.pod)} has not started`,
        );
      }
      const isCurrent = (): boolean =>
        stopped === undefined && runner.isRunning() && runner.attemptDir(false) === dir;
      return readLog(clock, dir, request, isCurrent);
    },
  };
}

/** Keeps the program alive for as long as the work takes: an adopted process is no handle that would. */
async function stayUntil(work: () => Promise<void>): Promise<void> {
  const stay = setInterval(() => undefined, 60_000);
  try {
    await work();
  } finally {
    clearInterval(stay);
  }
}

function podReflector(options: AgentOptions): Reflector {
  const { client, clock, log, nodeName } = options;
  return createReflector({
    client,
    clock,
    log,
    type: RESOURCES.pod,
    ...(options.bindsPods === true ? {} : { fieldSelector: `spec.nodeName=${nodeName}` }),
  });
}

/** One allocation at a time, so that no two pods are given the same. */
function createAllocator(
  options: AgentOptions,
  inUse: () => readonly PodNetwork[],
): (containers: readonly Container[]) => Promise<PodNetwork> {
  // Given, but not yet seen in a worker.
  const fresh: PodNetwork[] = [];
  let tail: Promise<unknown> = Promise.resolve();
  return (containers) => {
    const next = tail.then(async () => {
      const networks = [...inUse(), ...fresh];
      const taken = {
        ips: new Set(networks.map(({ podIp }) => podIp)),
        ports: new Set(networks.flatMap(({ ports }) => Object.values(ports))),
      };
      const given = await allocate(options.network, containers, taken, options.random ?? Math.random);
      fresh.push(given);
      if (fresh.length > MAX_FRESH) fresh.shift();
      return given;
    });
    tail = next.catch(() => undefined);
    return next;
  };
}

/** Allocations remembered for the moment until their pod holds them. */
const MAX_FRESH = 64;

async function bind(
  options: AgentOptions,
  events: EventRecorder,
  object: KubeObject | undefined,
): Promise<void> {
  if (object === undefined || object.metadata.deletionTimestamp !== undefined) return;
  if (readPod(object).spec.nodeName !== undefined) return;
  const { namespace = "default", name, uid } = object.metadata;
  const body = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name, namespace, uid },
    target: { apiVersion: "v1", kind: "Node", name: options.nodeName },
  };
  try {
    await options.client.request("POST", `/api/v1/namespaces/${namespace}/pods/${name}/binding`, { body });
  } catch (error) {
    // Deleted, or bound by somebody else: the watch tells. Anything else is tried again.
    if (isWeirError(error, CLUSTER_ERRORS.notFound) || isWeirError(error, CLUSTER_ERRORS.conflict)) return;
    throw error;
  }
  const target = `${namespace}/${name} to ${options.nodeName}`;
  events.record(subjectOf(object), "Normal", "Scheduled", `Successfully assigned ${target}`);
}

async function readRecords(podsDir: string): Promise<readonly (readonly [string, PodRecord])[]> {
  const found: (readonly [string, PodRecord])[] = [];
  for (const uid of await readdir(podsDir)) {
    const json = await readJson(join(podsDir, uid, "pod.json"));
    if (json === undefined || !isObject(json.object) || !isObject(json.network)) continue;
    // The casts hold because only PodWorker writes this file, as a whole.
    const record = json as unknown as PodRecord;
    found.push([uid, record]);
  }
  return found;
}

function isFolderName(uid: string): boolean {
  return /^[A-Za-z0-9-]{1,64}$/.test(uid);
}

function containerFor(
  request: AgentLogRequest,
  object: KubeObject | undefined,
  worker: PodWorker | undefined,
): ContainerRunner {
  if (object === undefined) throw noLog(`pods ${JSON.stringify(request.pod)} not found`);
  const { spec } = readPod(object);
  const names = [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ name }) => name);
  const only = (spec.containers ?? []).length === 1 ? spec.containers?.[0]?.name : undefined;
  const wanted = request.container ?? only;
  if (wanted === undefined) {
    throw noLog(
      `a container name must be specified for pod ${request.pod}, choose one of: [${names.join(" ")}]`,
    );
  }
  if (!names.includes(wanted)) throw noLog(`container ${wanted} is not valid for pod ${request.pod}`);
  const runner = worker?.container(wanted);
  if (runner !== undefined) return runner;
  throw noLog(
    `container ${JSON.stringify(wanted)} in pod ${JSON.stringify(request.pod)} is waiting to start`,
  );
}

function noLog(message: string): WeirError {
  return new WeirError({ code: NO_LOG, source: "user", message });
}
