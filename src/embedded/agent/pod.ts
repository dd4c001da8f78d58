// One pod on this node, from its first sight to the removal of its folder: network, init containers in order, sidecars, main containers,
// status, termination. Its folder `pods/<uid>/` holds `pod.json` (the object and what it was given) and a folder per container.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient, type RecordEvent, subjectOf } from "../../cluster/client.ts";
import { backoffMs } from "../../lib/backoff.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { isWeirError, messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type ContainerRole, type ContainerRunner, createContainer } from "./container.ts";
import { dataOf, filesOf } from "./data.ts";
import type { DataLookup } from "./environment.ts";
import type { ImageMap } from "./images.ts";
import { type Launch, prepareLaunch } from "./launch.ts";
import type { PodNetwork } from "./network.ts";
import {
  type Container,
  type ContainerStatus,
  isPodFinished,
  type Pod,
  type PodStatus,
  readPod,
} from "./podspec.ts";
import { writeAtomic } from "./process.ts";
import type { Ability } from "./sandbox.ts";
import { podStatus } from "./status.ts";
import { createStatusWriter, newer, type StatusWriter } from "./statuswriter.ts";
import { notCarriedOut } from "./uncarried.ts";
import type { FilesLookup } from "./volumes.ts";

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
  /** Containers that run are taken over; none is started. */
  readonly adoptsOnly: boolean;
  /** What this machine allows for containers. Never rejects. */
  readonly ability: () => Promise<Ability>;
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
  network(): PodNetwork | undefined;
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
const DELETE_RETRY = { baseMs: 200, maxMs: 10_000 } as const;

/** Takes charge of a pod; `earlier` is what a former agent recorded of it. */
export function createPodWorker(
  deps: PodDeps,
  dir: string,
  first: KubeObject,
  earlier: PodRecord | undefined,
): PodWorker {
  return new Worker(deps, dir, first, earlier);
}

class Worker implements PodWorker {
  readonly uid: string;
  readonly #deps: PodDeps;
  readonly #dir: string;
  readonly #ending = new AbortController();
  readonly #writer: StatusWriter;
  readonly #settingUp: Promise<void>;
  readonly #running: Promise<void>;
  #object: KubeObject;
  #network: PodNetwork | undefined;
  #startedAtMs: number;
  #runners: readonly ContainerRunner[] = [];
  #isSetUp = false;
  #isGone = false;
  #isReleased = false;
  #termination: Promise<void> | undefined;

  constructor(deps: PodDeps, dir: string, first: KubeObject, earlier: PodRecord | undefined) {
    this.uid = first.metadata.uid ?? "";
    this.#deps = deps;
    this.#dir = dir;
    this.#object = first;
    this.#network = earlier?.network;
    this.#startedAtMs = earlier?.startedAtMs ?? deps.clock.nowMs();
    this.#writer = createStatusWriter(deps, {
      object: () => this.#object,
      network: () => this.#network,
      status: () => this.#status(),
      isSilent: () => this.#isOver() || !this.#isSetUp,
      onWritten: (written) => {
        // Our own write is newer than what the watch has told.
        if (!this.#isGone) this.#object = newer(this.#object, written);
      },
    });
    this.#settingUp = this.#setUp();
    this.#running = this.#run().catch((error: unknown) => {
      deps.log.error("pod cannot be started", { pod: first.metadata.name, error: messageOf(error) });
      void deps.record(subjectOf(this.#object), "Warning", "FailedCreatePodSandBox", messageOf(error));
    });
  }

  network(): PodNetwork | undefined {
    return this.#network;
  }

  container(name: string): ContainerRunner | undefined {
    return this.#runners.find((runner) => runner.name === name);
  }

  update(next: KubeObject): void {
    this.#object = newer(this.#object, next);
    if (next.metadata.deletionTimestamp !== undefined) this.#termination ??= this.#terminate();
    else this.#writer.poke();
  }

  async remove(): Promise<void> {
    this.#isGone = true;
    this.#ending.abort();
    await this.#isKnown();
    await stopRunners(this.#runners, remainingGraceMs(this.#pod(), this.#deps.clock.nowMs()));
    await this.#termination;
    await this.#running;
    await rm(this.#dir, { recursive: true, force: true });
  }

  async release(): Promise<void> {
    this.#isReleased = true;
    this.#ending.abort();
    await this.#isKnown();
    await Promise.all(this.#runners.map((runner) => runner.release()));
    await this.#writer.close();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#isKnown();
    await stopRunners(this.#runners, graceMsOf(this.#pod()));
    await this.#writer.close();
  }

  #pod(): Pod {
    return readPod(this.#object);
  }

  #isOver(): boolean {
    return this.#isGone || this.#isReleased;
  }

  async #setUp(): Promise<void> {
    const { allocate, clock } = this.#deps;
    const { initContainers = [], containers = [] } = this.#pod().spec;
    let network = this.#network;
    if (network === undefined) {
      network = await allocate([...initContainers, ...containers]);
      this.#network = network;
      this.#startedAtMs = clock.nowMs();
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      const record: PodRecord = { object: this.#object, network, startedAtMs: this.#startedAtMs };
      await writeAtomic(join(this.#dir, "pod.json"), JSON.stringify(record));
    }
    const runners = makeRunners(
      this.#deps,
      () => this.#pod(),
      network,
      this.#dir,
      () => this.#writer.poke(),
    );
    for (const runner of runners) await runner.recover();
    this.#runners = runners;
    // Not before: without its containers a pod looks finished.
    this.#isSetUp = true;
    this.#writer.poke();
  }

  /** Waits until the containers of an earlier agent are taken over; a failure of that is reported by `running`. */
  #isKnown(): Promise<void> {
    return this.#settingUp.catch(() => undefined);
  }

  async #run(): Promise<void> {
    await this.#settingUp;
    if (isPodFinished(this.#pod()) || this.#ending.signal.aborted || this.#deps.adoptsOnly) return;
    void reportUncarried(this.#deps, this.#object, this.#pod());
    for (const runner of this.#runners.filter(({ role }) => role !== "main")) {
      if (this.#ending.signal.aborted) return;
      runner.start();
      await (runner.role === "sidecar" ? runner.started : runner.finished);
      if (runner.role === "init" && runner.status().state.terminated?.exitCode !== 0) return;
    }
    if (this.#ending.signal.aborted) return;
    const mains = this.#runners.filter(({ role }) => role === "main");
    for (const runner of mains) runner.start();
    await Promise.all(mains.map(({ finished }) => finished));
    if (this.#isReleased) return;
    // All main containers have ended for good: the sidecars have nobody left to serve.
    await stopRunners(this.#runners, graceMsOf(this.#pod()));
    this.#writer.poke();
  }

  /** Stops the containers within the pod's grace, then tells the API that it is done. */
  async #terminate(): Promise<void> {
    this.#ending.abort();
    await this.#isKnown();
    await stopRunners(this.#runners, remainingGraceMs(this.#pod(), this.#deps.clock.nowMs()));
    if (this.#isOver()) return;
    await this.#writer.flush();
    await finalise(this.#deps, this.#object, () => this.#isOver());
  }

  #status(): PodStatus {
    const pick = (isInit: boolean): readonly ContainerStatus[] =>
      this.#runners.filter(({ role }) => (role !== "main") === isInit).map((runner) => runner.status());
    const { clock, hostIp } = this.#deps;
    return podStatus(
      {
        pod: this.#pod(),
        hostIp,
        podIp: this.#network?.podIp,
        startedAtMs: this.#startedAtMs,
        initStatuses: pick(true),
        statuses: pick(false),
      },
      clock.nowMs(),
    );
  }
}

function makeRunners(
  deps: PodDeps,
  pod: () => Pod,
  network: PodNetwork,
  dir: string,
  onChange: () => void,
): readonly ContainerRunner[] {
  const { metadata, spec, status } = pod();
  const known = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const inits = spec.initContainers ?? [];
  const { lookup, files } = lookups(deps.client, metadata.namespace ?? "default");
  const launch = async (container: Container): Promise<Launch> =>
    prepareLaunch({
      ...deps,
      pod: pod(),
      container,
      network,
      lookup,
      files,
      podDir: dir,
      dir: join(dir, container.name),
      ability: await deps.ability(),
    });
  // Containers share volumes: two of them must not write the same file at once.
  let tail: Promise<unknown> = Promise.resolve();
  const oneByOne = (work: () => Promise<Launch>): Promise<Launch> => {
    const next = tail.then(work);
    tail = next.catch(() => undefined);
    return next;
  };
  const make = (container: Container, role: ContainerRole): ContainerRunner => {
    const earlier = known.find(({ name }) => name === container.name);
    return createContainer({
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
      prepare: () => oneByOne(() => launch(container)),
      record: (type, reason, message) => {
        const list = role === "main" ? "containers" : "initContainers";
        const { name, namespace = "default", uid = "" } = metadata;
        const fieldPath = `spec.${list}{${container.name}}`;
        void deps.record(
          { apiVersion: "v1", kind: "Pod", namespace, name, uid, fieldPath },
          type,
          reason,
          message,
        );
      },
      onChange,
      ...(earlier !== undefined && { earlier }),
    });
  };
  return [
    ...inits.map((container) => make(container, container.restartPolicy === "Always" ? "sidecar" : "init")),
    ...(spec.containers ?? []).map((container) => make(container, "main")),
  ];
}

function lookups(
  client: ClusterClient,
  namespace: string,
): { readonly lookup: DataLookup; readonly files: FilesLookup } {
  const get = (kind: "ConfigMap" | "Secret", name: string): Promise<KubeObject | undefined> =>
    client.get(kind === "Secret" ? RESOURCES.secret : RESOURCES.configMap, { namespace, name });
  return {
    lookup: async (kind, name) => {
      const object = await get(kind, name);
      return object === undefined ? undefined : dataOf(object);
    },
    files: async (kind, name) => {
      const object = await get(kind, name);
      return object === undefined ? undefined : filesOf(object);
    },
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
      await sleep(deps.clock, backoffMs(failures, DELETE_RETRY));
    }
  }
}

/** Says what the pod asks for and does not get. */
async function reportUncarried(deps: PodDeps, object: KubeObject, pod: Pod): Promise<void> {
  const fields = notCarriedOut(pod, await deps.ability(), process.getuid?.() === 0);
  if (fields.length === 0) return;
  const message = `containers run as local processes, and this is not carried out for them: ${fields.join(", ")}`;
  await deps.record(subjectOf(object), "Warning", "NotCarriedOut", message);
}
