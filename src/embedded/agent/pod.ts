// One pod on this node, from its first sight to the removal of its folder: network, init containers in order, sidecars, main containers,
// status, termination. Its folder `pods/<uid>/` holds `pod.json` (the object and what it was given) and a folder per container.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../../cluster/client.ts";
import { backoffMs } from "../../lib/backoff.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { isWeirError, messageOf } from "../../lib/errors.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Logger } from "../../lib/log.ts";
import { type ContainerRole, type ContainerRunner, createContainer } from "./container.ts";
import type { DataLookup } from "./environment.ts";
import { dataOf, type RecordEvent, subjectOf } from "./events.ts";
import type { ImageMap } from "./images.ts";
import { prepareLaunch } from "./launch.ts";
import type { PodNetwork } from "./network.ts";
import {
  type Container,
  type ContainerStatus,
  isPodFinished,
  PORTS_ANNOTATION,
  type Pod,
  type PodStatus,
  readPod,
} from "./podspec.ts";
import { writeAtomic } from "./process.ts";
import { podStatus } from "./status.ts";

export interface PodDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly images: ImageMap;
  readonly record: RecordEvent;
  readonly nodeName: string;
  readonly hostIp: string;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly workDir: string;
  readonly backoffScale: number;
  /** Gives the pod its address and ports. */
  readonly allocate: (containers: readonly Container[]) => Promise<PodNetwork>;
}

/** What `pod.json` holds. */
export interface PodRecord {
  readonly object: KubeObject;
  readonly network: PodNetwork;
  readonly startedAtMs: number;
}

export interface PodWorker {
  readonly uid: string;
  readonly network: () => PodNetwork | undefined;
  /** The newest object. A deletionTimestamp begins the end. */
  update(object: KubeObject): void;
  /** The object is gone from the API: stops everything and removes the folder. Resolves when that is done. */
  remove(): Promise<void>;
  /** Leaves the processes to the next agent. */
  release(): Promise<void>;
  /** Stops all containers but keeps the object; for an agent that ends with its pods. */
  stop(): Promise<void>;
  container(name: string): ContainerRunner | undefined;
}

const DEFAULT_GRACE_SECONDS = 30;
const WRITE_RETRY = { baseMs: 200, maxMs: 10_000 } as const;

/** Takes charge of a pod; `earlier` is what a former agent recorded of it. */
export function createPodWorker(
  deps: PodDeps,
  dir: string,
  first: KubeObject,
  earlier: PodRecord | undefined,
): PodWorker {
  const { clock, log } = deps;
  const uid = first.metadata.uid ?? "";
  const ending = new AbortController();
  let object = first;
  let network = earlier?.network;
  let startedAtMs = earlier?.startedAtMs ?? clock.nowMs();
  let runners: readonly ContainerRunner[] = [];
  let isGone = false;
  let isReleased = false;
  let isSetUp = false;
  let termination: Promise<void> | undefined;

  const pod = (): Pod => readPod(object);
  const writer = createStatusWriter(deps, {
    object: () => object,
    network: () => network,
    status: () => statusOf(pod(), network, runners, deps.hostIp, startedAtMs, clock.nowMs()),
    isSilent: () => isGone || isReleased || !isSetUp,
    onWritten: (written) => {
      // Our own write is newer than what the watch has told.
      if (!isGone) object = newer(object, written);
    },
  });

  const setUp = async (): Promise<void> => {
    if (network === undefined) {
      network = await deps.allocate([...(pod().spec.initContainers ?? []), ...(pod().spec.containers ?? [])]);
      startedAtMs = clock.nowMs();
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await writeAtomic(join(dir, "pod.json"), JSON.stringify({ object, network, startedAtMs }));
    }
    runners = makeRunners(deps, pod, network, dir, () => writer.poke());
    for (const runner of runners) await runner.recover();
    isSetUp = true;
    writer.poke();
  };
  const settingUp = setUp();
  const run = async (): Promise<void> => {
    await settingUp;
    if (isPodFinished(pod()) || ending.signal.aborted) return;
    warnOfVolumes(deps, object, pod());
    for (const runner of runners.filter(({ role }) => role !== "main")) {
      if (ending.signal.aborted) return;
      runner.start();
      await (runner.role === "sidecar" ? runner.started : runner.finished);
      if (runner.role === "init" && runner.status().state.terminated?.exitCode !== 0) return;
    }
    if (ending.signal.aborted) return;
    const mains = runners.filter(({ role }) => role === "main");
    for (const runner of mains) runner.start();
    await Promise.all(mains.map(({ finished }) => finished));
    if (isReleased) return;
    // All main containers have ended for good: the sidecars have nobody left to serve.
    await stopRunners(runners, graceMsOf(pod()));
    writer.poke();
  };
  const running = run().catch((error: unknown) => {
    log.error("pod cannot be started", { pod: first.metadata.name, error: messageOf(error) });
    deps.record(subjectOf(object), "Warning", "FailedCreatePodSandBox", messageOf(error));
  });

  /** Stops the containers within the pod's grace, then tells the API that it is done. */
  const terminate = async (): Promise<void> => {
    ending.abort();
    await ready();
    await stopRunners(runners, remainingGraceMs(pod(), clock.nowMs()));
    if (isGone || isReleased) return;
    await writer.flush();
    await finalise(deps, object, () => isGone || isReleased);
  };
  /** Waits until the containers of an earlier agent are taken over; a failure of that is reported by `running`. */
  const ready = (): Promise<void> => settingUp.catch(() => undefined);

  return {
    uid,
    network: () => network,
    update(next) {
      object = newer(object, next);
      if (next.metadata.deletionTimestamp !== undefined) termination ??= terminate();
      else writer.poke();
    },
    async remove() {
      isGone = true;
      ending.abort();
      await ready();
      await stopRunners(
        runners,
        termination === undefined ? graceMsOf(pod()) : remainingGraceMs(pod(), clock.nowMs()),
      );
      await termination;
      await running;
      await rm(dir, { recursive: true, force: true });
    },
    async release() {
      isReleased = true;
      ending.abort();
      await Promise.all(runners.map((runner) => runner.release()));
      await writer.close();
    },
    async stop() {
      ending.abort();
      await ready();
      await stopRunners(runners, graceMsOf(pod()));
      await writer.close();
    },
    container: (name) => runners.find((runner) => runner.name === name),
  };
}

function makeRunners(
  deps: PodDeps,
  pod: () => Pod,
  network: PodNetwork,
  dir: string,
  onChange: () => void,
): readonly ContainerRunner[] {
  const { metadata, spec } = pod();
  const inits = spec.initContainers ?? [];
  const lookup = dataLookup(deps.client, metadata.namespace ?? "default");
  const make = (container: Container, role: ContainerRole): ContainerRunner =>
    createContainer({
      clock: deps.clock,
      container,
      role,
      podRestartPolicy: spec.restartPolicy ?? "Always",
      podLabel: `${metadata.name}_${metadata.namespace}(${metadata.uid})`,
      podUid: metadata.uid ?? "",
      dir: join(dir, container.name),
      network,
      initialReason: inits.length > 0 && role === "main" ? "PodInitializing" : "ContainerCreating",
      graceMs: graceMsOf(pod()),
      backoffScale: deps.backoffScale,
      prepare: () => prepareLaunch({ ...deps, pod: pod(), container, network, lookup }),
      record: (type, reason, message) => {
        const list = role === "main" ? "containers" : "initContainers";
        const { name, namespace = "default", uid = "" } = metadata;
        const fieldPath = `spec.${list}{${container.name}}`;
        deps.record(
          { apiVersion: "v1", kind: "Pod", namespace, name, uid, fieldPath },
          type,
          reason,
          message,
        );
      },
      onChange,
    });
  return [
    ...inits.map((container) => make(container, container.restartPolicy === "Always" ? "sidecar" : "init")),
    ...(spec.containers ?? []).map((container) => make(container, "main")),
  ];
}

function dataLookup(client: ClusterClient, namespace: string): DataLookup {
  return async (kind, name) => {
    const type = kind === "Secret" ? RESOURCES.secret : RESOURCES.configMap;
    const object = await client.get(type, { namespace, name });
    return object === undefined ? undefined : dataOf(object);
  };
}

/** Main containers together, then the sidecars from the last to the first, all within one grace period. */
async function stopRunners(runners: readonly ContainerRunner[], graceMs: number): Promise<void> {
  await Promise.all(runners.filter(({ role }) => role !== "sidecar").map((runner) => runner.stop(graceMs)));
  for (const sidecar of runners.filter(({ role }) => role === "sidecar").reverse())
    await sidecar.stop(graceMs);
}

function graceMsOf(pod: Pod): number {
  return (pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
}

/** What is left of the grace that the deletion granted: an agent that was away does not grant it anew. */
function remainingGraceMs(pod: Pod, nowMs: number): number {
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  const grantedMs =
    deletionGracePeriodSeconds === undefined ? graceMsOf(pod) : deletionGracePeriodSeconds * 1000;
  if (deletionTimestamp === undefined || grantedMs === 0) return grantedMs;
  // The API sets deletionTimestamp to the end of the grace period.
  const restMs = Date.parse(deletionTimestamp) - nowMs;
  return Math.min(grantedMs, Math.max(restMs, Math.min(grantedMs, 2_000)));
}

/** Deletes the object for good. The API may be away: tries until it is done or somebody else has done it. */
async function finalise(deps: PodDeps, object: KubeObject, isOver: () => boolean): Promise<void> {
  const { namespace, name, uid } = object.metadata;
  for (let failures = 0; !isOver(); failures += 1) {
    try {
      await deps.client.delete(
        RESOURCES.pod,
        { name, ...(namespace === undefined ? {} : { namespace }) },
        { gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) },
      );
      return;
    } catch (error) {
      // A conflict means that another pod bears the name by now.
      if (isWeirError(error, CLUSTER_ERRORS.conflict) || isWeirError(error, CLUSTER_ERRORS.notFound)) return;
      deps.log.warn("pod not yet deleted", { pod: name, error: messageOf(error) });
      await sleep(deps.clock, backoffMs(failures, WRITE_RETRY));
    }
  }
}

function warnOfVolumes(deps: PodDeps, object: KubeObject, pod: Pod): void {
  const names = (pod.spec.volumes ?? [])
    .filter(({ projected }) => projected === undefined)
    .map(({ name }) => name);
  if (names.length === 0) return;
  const message =
    `volumes ${names.join(", ")} are not mounted: containers run as local processes and see this machine's files; ` +
    "read configuration from env or an absolute path instead";
  deps.record(subjectOf(object), "Warning", "VolumesNotMounted", message);
}

function statusOf(
  pod: Pod,
  network: PodNetwork | undefined,
  runners: readonly ContainerRunner[],
  hostIp: string,
  startedAtMs: number,
  nowMs: number,
): PodStatus {
  const statuses = (isInit: boolean): readonly ContainerStatus[] =>
    runners.filter(({ role }) => (role !== "main") === isInit).map((runner) => runner.status());
  return podStatus(
    {
      pod,
      hostIp,
      podIp: network?.podIp,
      startedAtMs,
      initStatuses: statuses(true),
      statuses: statuses(false),
    },
    nowMs,
  );
}

interface StatusSource {
  readonly object: () => KubeObject;
  readonly network: () => PodNetwork | undefined;
  readonly status: () => PodStatus;
  /** Nothing is to be written: not yet, or no longer. */
  readonly isSilent: () => boolean;
  readonly onWritten: (object: KubeObject) => void;
}

interface StatusWriter {
  /** Something may have changed. */
  poke(): void;
  /** Waits until the newest status is written or refused. */
  flush(): Promise<void>;
  /** Ends after the write under way. */
  close(): Promise<void>;
}

/** Writes annotation and status one after the other, only when they differ, until they stand. */
function createStatusWriter(deps: PodDeps, source: StatusSource): StatusWriter {
  const closing = new AbortController();
  let isDirty = false;
  let writing: Promise<void> | undefined;
  const loop = async (): Promise<void> => {
    for (let failures = 0; isDirty && !source.isSilent() && !closing.signal.aborted; ) {
      isDirty = false;
      try {
        await writeOnce(deps, source);
        failures = 0;
      } catch (error) {
        if (isWeirError(error, CLUSTER_ERRORS.notFound) || isWeirError(error, CLUSTER_ERRORS.conflict))
          return;
        const { name } = source.object().metadata;
        deps.log.warn("pod status not written", { pod: name, error: messageOf(error) });
        isDirty = true;
        await sleep(deps.clock, backoffMs(failures, WRITE_RETRY), closing.signal);
        failures += 1;
      }
    }
  };
  const poke = (): void => {
    isDirty = true;
    writing ??= loop().finally(() => {
      writing = undefined;
      if (isDirty && !source.isSilent() && !closing.signal.aborted) poke();
    });
  };
  return {
    poke,
    async flush() {
      poke();
      await writing;
    },
    async close() {
      closing.abort();
      await writing;
    },
  };
}

async function writeOnce(deps: PodDeps, source: StatusSource): Promise<void> {
  const { namespace, name, uid } = source.object().metadata;
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  const network = source.network();
  // The ports first: whoever sees the address shall find them.
  if (
    network !== undefined &&
    Object.entries(network.ports).some(([port, actual]) => Number(port) !== actual)
  ) {
    const ports = JSON.stringify(network.ports);
    if (source.object().metadata.annotations?.[PORTS_ANNOTATION] !== ports) {
      const body = { metadata: { uid, annotations: { [PORTS_ANNOTATION]: ports } } };
      source.onWritten(await deps.client.patch(RESOURCES.pod, ref, { type: "merge", body }));
    }
  }
  const status = source.status();
  if (jsonEqual(readPod(source.object()).status, { ...readPod(source.object()).status, ...status })) return;
  // The uid makes sure that a namesake created meanwhile does not get it.
  const body = { metadata: { uid }, status };
  source.onWritten(
    await deps.client.patch(RESOURCES.pod, ref, { type: "merge", body }, { subresource: "status" }),
  );
}

/** The later of two versions of one object; versions of a kind compare as numbers. */
function newer(a: KubeObject, b: KubeObject): KubeObject {
  return Number(b.metadata.resourceVersion) >= Number(a.metadata.resourceVersion) ? b : a;
}
