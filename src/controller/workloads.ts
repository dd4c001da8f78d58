// The objects that Rollouts take their pod templates from. A kind is watched from the moment on that a Rollout refers to it, and not before:
// most clusters have thousands of Deployments that are none of weir's business.
import {
  type KubeObject,
  type ResourceType,
  type Rollout,
  WORKLOAD_TYPES,
  workloadTypeOf,
} from "../api/api.ts";
import type { ObjectStore } from "../cluster/client.ts";
import type { View, Watched } from "./caches.ts";

/** Hears of every change of a workload of a kind that is watched. */
export type WorkloadListener = (type: ResourceType, workload: KubeObject) => void;

export interface Workloads {
  /** Whether what the Rollout refers to can be looked up. Begins to watch its kind where it cannot. */
  isReady(rollout: Rollout): boolean;
  /** Resolves when it can, or when `signal` aborts. */
  ready(rollout: Rollout, signal: AbortSignal): Promise<void>;
  get(type: ResourceType, namespace: string, name: string): KubeObject | undefined;
  /** The cache of a kind; undefined while nobody refers to it. */
  storeOf(kind: string): ObjectStore | undefined;
  subscribe(listener: WorkloadListener): () => void;
  stop(): Promise<void>;
}

interface Entry {
  readonly view: Pick<View<unknown>, "store">;
  readonly watched: Watched | undefined;
  readonly synced: Promise<void>;
  isSynced: boolean;
}

/** Makes the watches on demand; ReplicaSets are watched anyway. */
export function createWorkloads(
  replicaSets: View<unknown>,
  createView: (type: ResourceType) => Watched & { readonly view: View<unknown> },
): Workloads {
  const entries = new Map<string, Entry>();
  const listeners = new Set<WorkloadListener>();
  const stopping = new AbortController();
  const tell = (type: ResourceType, view: View<unknown>): void => {
    view.subscribe(({ object }) => {
      for (const listener of listeners) listener(type, object);
    });
  };
  tell(WORKLOAD_TYPES.replicaSet, replicaSets);
  const shared: Entry = { view: replicaSets, watched: undefined, synced: Promise.resolve(), isSynced: true };
  entries.set(WORKLOAD_TYPES.replicaSet.kind, shared);

  const entryOf = (type: ResourceType): Entry => {
    const known = entries.get(type.kind);
    if (known !== undefined) return known;
    const made = createView(type);
    tell(type, made.view);
    made.start();
    const synced = made.waitForSync(stopping.signal).then((isSynced) => {
      entry.isSynced = isSynced;
    });
    const entry: Entry = { view: made.view, watched: made, synced, isSynced: false };
    entries.set(type.kind, entry);
    return entry;
  };
  const entryFor = ({ spec }: Rollout): Entry | undefined => {
    const type = spec.workloadRef === undefined ? undefined : workloadTypeOf(spec.workloadRef);
    return type === undefined ? undefined : entryOf(type);
  };
  return {
    isReady: (rollout) => entryFor(rollout)?.isSynced ?? true,
    async ready(rollout, signal) {
      const entry = entryFor(rollout);
      if (entry === undefined || entry.isSynced || signal.aborted) return;
      const aborted = new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      await Promise.race([entry.synced, aborted]);
    },
    get: (type, namespace, name) => entries.get(type.kind)?.view.store.get(`${namespace}/${name}`),
    storeOf: (kind) => entries.get(kind)?.view.store,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async stop() {
      stopping.abort();
      await Promise.all([...entries.values()].map(async ({ watched }) => watched?.stop()));
    },
  };
}
