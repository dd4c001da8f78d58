// The pods of this agent: a worker each, made when the pod is seen, dropped when it is gone; and what an earlier agent left in the folder
// `pods`, which is taken over by the pod of that uid or, when there is none, stopped and removed.

import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { KubeObject } from "../../api/api.ts";
import type { RecordEvent } from "../../cluster/client.ts";
import { messageOf } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import type { AgentOptions } from "./agent.ts";
import { isRemote } from "./endpoints.ts";
import { defaultImages } from "./images.ts";
import { allocate, type PodNetwork } from "./network.ts";
import { createPodWorker, type PodDeps, type PodRecord, type PodWorker } from "./pod.ts";
import type { Container } from "./podspec.ts";
import { readJson } from "./process.ts";
import { createRemotePod, type RemotePod } from "./remote.ts";
import { type Ability, findAbility } from "./sandbox.ts";

export interface PodTable {
  /** Reads what an earlier agent left. Before anything else. */
  load(): Promise<void>;
  /** Makes or updates the worker of a pod of this node. */
  take(object: KubeObject): void;
  /** The pod is gone from the API. */
  drop(uid: string): void;
  /** Drops what `load` found and no pod has claimed: it was deleted while no agent ran. */
  dropLeftOver(): void;
  find(uid: string): PodWorker | undefined;
  stop(keepPods: boolean): Promise<void>;
}

/** Makes an empty table. */
export function createPodTable(options: AgentOptions, hostIp: string, record: RecordEvent): PodTable {
  return new Pods(options, hostIp, record);
}

class Pods implements PodTable {
  readonly #options: AgentOptions;
  readonly #podsDir: string;
  readonly #deps: PodDeps;
  readonly #workers = new Map<string, PodWorker>();
  /** What an earlier agent left, until its pod is seen. */
  readonly #records = new Map<string, PodRecord>();
  readonly #remotes = new Map<string, RemotePod>();
  readonly #leaving = new Set<Promise<void>>();
  #ability: Promise<Ability> | undefined;

  constructor(options: AgentOptions, hostIp: string, record: RecordEvent) {
    const { client, clock, log, nodeName } = options;
    this.#options = options;
    this.#podsDir = resolve(options.stateDir, "pods");
    this.#deps = {
      client,
      clock,
      log,
      images: [...(options.images ?? []), ...defaultImages()],
      record,
      nodeName,
      hostIp,
      hostEnv: options.hostEnv ?? process.env,
      workDir: options.workDir ?? process.cwd(),
      backoffScale: options.backoffScale ?? 1,
      adoptsOnly: options.adoptsOnly ?? false,
      ability: () => this.#findAbility(),
      allocate: createAllocator(options, () => this.#networks()),
    };
  }

  async load(): Promise<void> {
    await mkdir(this.#podsDir, { recursive: true, mode: 0o700 });
    for (const [uid, earlier] of await readRecords(this.#podsDir)) this.#records.set(uid, earlier);
  }

  take(object: KubeObject): void {
    if (isRemote(object)) this.#attend(object);
    else this.#work(object);
  }

  drop(uid: string): void {
    const remote = this.#remotes.get(uid);
    this.#remotes.delete(uid);
    if (remote !== undefined) this.#leave(remote.stop());
    const worker = this.#workers.get(uid);
    if (worker === undefined) return;
    const { log } = this.#deps;
    const removed = worker
      .remove()
      .catch((error: unknown) => log.error("pod not removed", { uid, error: messageOf(error) }))
      .finally(() => this.#workers.delete(uid));
    this.#leave(removed);
  }

  dropLeftOver(): void {
    for (const [uid, { object }] of this.#records) {
      this.#work(object);
      this.drop(uid);
    }
  }

  find(uid: string): PodWorker | undefined {
    return this.#workers.get(uid);
  }

  async stop(keepPods: boolean): Promise<void> {
    const workers = [...this.#workers.values()];
    await Promise.all([...this.#remotes.values()].map((remote) => remote.stop()));
    await Promise.all(workers.map((worker) => (keepPods ? worker.release() : worker.stop())));
    if (!keepPods) await Promise.all(this.#leaving);
  }

  /** A pod that runs as processes here. */
  #work(object: KubeObject): void {
    const uid = object.metadata.uid ?? "";
    const known = this.#workers.get(uid);
    if (known !== undefined) {
      known.update(object);
      return;
    }
    if (!isFolderName(uid)) {
      this.#deps.log.error("pod without a usable uid", { pod: object.metadata.name });
      return;
    }
    const earlier = this.#records.get(uid);
    if (earlier === undefined && this.#deps.adoptsOnly) return;
    this.#records.delete(uid);
    const worker = createPodWorker(this.#deps, join(this.#podsDir, uid), object, earlier);
    this.#workers.set(uid, worker);
    if (object.metadata.deletionTimestamp !== undefined) worker.update(object);
  }

  /** A pod that stands for backends elsewhere. */
  #attend(object: KubeObject): void {
    const uid = object.metadata.uid ?? "";
    const known = this.#remotes.get(uid);
    if (known !== undefined) known.update(object);
    else if (!this.#deps.adoptsOnly) this.#remotes.set(uid, createRemotePod(this.#deps, object));
  }

  #leave(work: Promise<unknown>): void {
    const done: Promise<void> = work.then(() => void this.#leaving.delete(done));
    this.#leaving.add(done);
  }

  #networks(): readonly PodNetwork[] {
    return [
      ...[...this.#workers.values()].flatMap((worker) => worker.network() ?? []),
      ...[...this.#records.values()].map(({ network }) => network),
    ];
  }

  #findAbility(): Promise<Ability> {
    this.#ability ??= this.#options.ability?.() ?? findAbility();
    return this.#ability;
  }
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
