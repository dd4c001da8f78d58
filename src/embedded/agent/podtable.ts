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
  const { client, clock, log, nodeName } = options;
  const podsDir = resolve(options.stateDir, "pods");
  const workers = new Map<string, PodWorker>();
  const records = new Map<string, PodRecord>();
  const remotes = new Map<string, RemotePod>();
  const leaving = new Set<Promise<void>>();
  const networks = (): readonly PodNetwork[] => [
    ...[...workers.values()].flatMap((worker) => worker.network() ?? []),
    ...[...records.values()].map(({ network }) => network),
  ];
  let ability: Promise<Ability> | undefined;
  const deps: PodDeps = {
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
    ability: () => (ability ??= options.ability?.() ?? findAbility()),
    allocate: createAllocator(options, networks),
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
  const attend = (object: KubeObject): void => {
    const uid = object.metadata.uid ?? "";
    const known = remotes.get(uid);
    if (known !== undefined) known.update(object);
    else if (options.adoptsOnly !== true) remotes.set(uid, createRemotePod(deps, object));
  };
  const drop = (uid: string): void => {
    const remote = remotes.get(uid);
    remotes.delete(uid);
    if (remote !== undefined) leave(remote.stop());
    const worker = workers.get(uid);
    if (worker === undefined) return;
    const removed = worker
      .remove()
      .catch((error: unknown) => log.error("pod not removed", { uid, error: messageOf(error) }))
      .finally(() => workers.delete(uid));
    leave(removed);
  };
  const leave = (work: Promise<unknown>): void => {
    const done: Promise<void> = work.then(() => void leaving.delete(done));
    leaving.add(done);
  };

  return {
    async load() {
      await mkdir(podsDir, { recursive: true, mode: 0o700 });
      for (const [uid, earlier] of await readRecords(podsDir)) records.set(uid, earlier);
    },
    take(object) {
      if (isRemote(object)) attend(object);
      else work(object);
    },
    drop,
    dropLeftOver() {
      for (const [uid, { object }] of records) {
        work(object);
        drop(uid);
      }
    },
    find: (uid) => workers.get(uid),
    async stop(keepPods) {
      await Promise.all([...remotes.values()].map((remote) => remote.stop()));
      await Promise.all([...workers.values()].map((worker) => (keepPods ? worker.release() : worker.stop())));
      if (!keepPods) await Promise.all(leaving);
    },
  };
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
