// Evictions that the API has refused: kept for the next passes to see, since a refusal is no failure but something to wait for.

import type { ClusterClient, ObjectRef } from "../cluster/client.ts";
import { evictPod } from "../cluster/client.ts";
import type { RefusedEviction } from "../engine/decide.ts";
import type { Clock } from "../lib/clock.ts";

/** A refusal older than this tells nothing any more. */
const FORGET_MS = 120_000;

export interface Evictions {
  /** Asks for a pod to be evicted on behalf of the Rollout under `key`. */
  evict(key: string, pod: ObjectRef, uid: string, signal: AbortSignal): Promise<void>;
  /** The refusals of late, by the pod's uid. */
  refused(key: string): Readonly<Record<string, RefusedEviction>>;
  forget(key: string): void;
}

/** Makes an empty record. Bounded by the pods of Rollouts that restarted in the last two minutes. */
export function createEvictions(deps: {
  readonly client: Pick<ClusterClient, "request">;
  readonly clock: Clock;
}): Evictions {
  const byKey = new Map<string, Map<string, RefusedEviction>>();
  const fresh = (key: string): Map<string, RefusedEviction> => {
    const known = byKey.get(key) ?? new Map<string, RefusedEviction>();
    for (const [uid, { atMs }] of known) if (deps.clock.nowMs() - atMs > FORGET_MS) known.delete(uid);
    if (known.size === 0) byKey.delete(key);
    return known;
  };
  return {
    async evict(key, pod, uid, signal) {
      const eviction = await evictPod(deps.client, pod, uid, signal);
      const known = fresh(key);
      if (eviction.kind === "evicted") known.delete(uid);
      else known.set(uid, { atMs: deps.clock.nowMs(), words: eviction.words });
      if (known.size > 0) byKey.set(key, known);
    },
    refused: (key) => Object.fromEntries(fresh(key)),
    forget: (key) => void byKey.delete(key),
  };
}
