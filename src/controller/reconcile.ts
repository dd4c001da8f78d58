// One pass over one Rollout: observe, decide, apply. Level-based: it is given a key, never an event, and may run at any time.
import type { KubeObject } from "../api/api.ts";
import type { WorkResult } from "../cluster/client.ts";
import { decide } from "../engine/decide.ts";
import { renderRouters } from "../routers/routers.ts";
import { type ApplyDeps, apply } from "./apply.ts";
import type { Caches } from "./caches.ts";
import { type ObserveDeps, observe } from "./observe.ts";
import { routedObjects } from "./routing.ts";
import type { StepPlugins } from "./stepplugins.ts";

/** How long to wait for the caches to show this process's own writes, when no event wakes the key before. */
export const STALE_RETRY_MS = 250;
/** The longest timer that one requeue sets. */
const MAX_REQUEUE_MS = 3_600_000;

export type ReconcileDeps = ApplyDeps & ObserveDeps & { readonly stepPlugins: StepPlugins };

/** Brings the Rollout under `key` one step closer to what its spec says. Throws what the first failed write threw. */
export async function reconcile(deps: ReconcileDeps, key: string, signal: AbortSignal): Promise<WorkResult> {
  const { caches, clock, freshness, log } = deps;
  const raw = caches.rollouts.store.get(key);
  if (raw === undefined) return forget(deps, key);
  if (!freshness.isFresh(key, cachedVersion(caches), clock.nowMs()))
    return { requeueAfterMs: STALE_RETRY_MS };
  if (!caches.workloads.isReady(caches.rollouts.read(raw))) return { requeueAfterMs: STALE_RETRY_MS };
  const nowMs = clock.nowMs();
  const snapshot = observe(deps, raw);
  const plan = decide(snapshot, nowMs);
  for (const warning of plan.warnings) log.warn(warning, { rollout: key });
  const patches =
    plan.routerTraffic === undefined
      ? []
      : renderRouters(snapshot.rollout, plan.routerTraffic, routedObjects(caches, snapshot.rollout));
  await apply(deps, key, snapshot, plan, patches, signal);
  deps.refused.told(key);
  deps.stepPlugins.carryOut(key, raw, plan.calls ?? []);
  return lookAgain(plan, clock.nowMs());
}

/** The Rollout is gone: nothing is published for it any more, and nothing remembered. */
function forget(deps: ReconcileDeps, key: string): void {
  deps.publisher.removeIntent(key);
  deps.freshness.forget(key);
  deps.owed.forget(key);
  deps.evictions.forget(key);
  deps.stepPlugins.forget(key);
  deps.refused.told(key);
  deps.troubles.set(key, new Map());
  deps.balancers?.forget(key);
  deps.verdicts.forget(key);
}

/** When the queue is to look again. */
export function lookAgain(
  { requeueAtMs }: { readonly requeueAtMs?: number | undefined },
  nowMs: number,
): WorkResult {
  if (requeueAtMs !== undefined)
    return { requeueAfterMs: Math.min(Math.max(requeueAtMs - nowMs, 1), MAX_REQUEUE_MS) };
}

/** The version that the caches hold of an object that a pass may have written. */
export function cachedVersion(caches: Caches): (object: string) => string | undefined {
  const stores = [
    caches.rollouts,
    caches.replicaSets,
    caches.services,
    caches.analysisRuns,
    caches.experiments,
    caches.pods,
    ...caches.routed,
  ];
  const byKind = new Map(stores.map((view) => [view.type.kind, view.store]));
  return (object) => {
    const [kind = "", ...rest] = object.split("/");
    const cached: KubeObject | undefined = (byKind.get(kind) ?? caches.workloads.storeOf(kind))?.get(
      rest.join("/"),
    );
    return cached?.metadata.resourceVersion;
  };
}
