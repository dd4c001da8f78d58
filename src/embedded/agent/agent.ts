// The node agent: runs the pods bound to its node as local processes and reports them as a kubelet does. A client of the API like any
// other. It keeps its own state in `<stateDir>/pods`, so that an agent started after a kill takes over what still runs.
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createEventRecorder,
  createReflector,
  createWorkQueue,
  type EventRecorder,
  type Reflector,
  type StoreEvent,
  subjectOf,
} from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import { isWeirError, WeirError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { ContainerRunner } from "./container.ts";
import type { ImageMap } from "./images.ts";
import { type LogOptions, readLog } from "./logs.ts";
import { type AgentNetwork, LOOPBACK } from "./network.ts";
import { keepNode, type NodeHeartbeat } from "./node.ts";
import type { PodWorker } from "./pod.ts";
import { isPodFinished, readPod } from "./podspec.ts";
import { createPodTable } from "./podtable.ts";
import type { Ability } from "./sandbox.ts";

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
  /** What the machine allows for containers (mounts, users). Default: found out by trying. */
  readonly ability?: () => Promise<Ability>;
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
  const hostIp = options.hostIp ?? LOOPBACK;
  const events = createEventRecorder({ client, clock, log, component: "weir-agent", host: nodeName });
  const reflector = podReflector(options);
  const table = createPodTable(options, hostIp, events.record);
  const binding = createWorkQueue({
    clock,
    log,
    process: (key) => bind(options, events, reflector.store.get(key)),
    baseDelayMs: 100,
  });
  let heartbeat: NodeHeartbeat | undefined;
  let stopped: Promise<void> | undefined;

  const onPod = (event: StoreEvent): void => {
    if (stopped !== undefined) return;
    const uid = event.object.metadata.uid ?? "";
    if (event.kind === "deleted") {
      table.drop(uid);
      return;
    }
    // Deleted and made anew under the same name between two looks.
    if (event.kind === "updated" && event.old.metadata.uid !== uid) table.drop(event.old.metadata.uid ?? "");
    const pod = readPod(event.object);
    if (pod.spec.nodeName === nodeName) table.take(event.object);
    else if (options.bindsPods === true && pod.spec.nodeName === undefined && !isPodFinished(pod))
      binding.add(event.key);
  };

  return {
    async start() {
      await table.load();
      heartbeat = keepNode({ client, clock, log, nodeName, hostIp });
      reflector.subscribe(onPod);
      reflector.start();
      binding.start();
      if (await reflector.waitForSync()) table.dropLeftOver();
    },
    stop({ keepPods }) {
      stopped ??= stayUntil(async () => {
        await reflector.stop();
        await binding.stop();
        await table.stop(keepPods);
        await events.flush();
        await heartbeat?.stop(!keepPods);
      });
      return stopped;
    },
    async readLogs(request) {
      const object = reflector.store.get(`${request.namespace}/${request.pod}`);
      const runner = containerFor(request, object, table.find(object?.metadata.uid ?? ""));
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
  void events.record(subjectOf(object), "Normal", "Scheduled", `Successfully assigned ${target}`);
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
