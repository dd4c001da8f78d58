// One pass over one Experiment: observe, decide, write. The same machinery as for Rollouts, without traffic of its own.
import {
  controllerOf,
  type Experiment,
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  type ReplicaSet,
} from "../api/api.ts";
import { subjectOf, type WorkResult } from "../cluster/client.ts";
import {
  DEFAULT_ENGINE_CONFIG,
  decideExperiment,
  type ExperimentSnapshot,
  mayBeSentTo,
} from "../engine/decide.ts";
import { tell, type WriteDeps, writePlan } from "./apply.ts";
import { mayBeRouted, type ObserveDeps } from "./observe.ts";
import { cachedVersion, lookAgain, STALE_RETRY_MS } from "./reconcile.ts";

export type ExperimentDeps = WriteDeps & ObserveDeps;

/** Brings the Experiment under `key` one step further. Throws what the first failed write threw. */
export async function reconcileExperiment(
  deps: ExperimentDeps,
  key: string,
  signal: AbortSignal,
): Promise<WorkResult> {
  const { caches, clock, freshness, owed, refused } = deps;
  const passKey = `experiment ${key}`;
  const raw = caches.experiments.store.get(key);
  if (raw === undefined) {
    freshness.forget(passKey);
    owed.forget(passKey);
    refused.told(passKey);
    return;
  }
  if (!freshness.isFresh(passKey, cachedVersion(caches), clock.nowMs()))
    return { requeueAfterMs: STALE_RETRY_MS };
  const snapshot = observeExperiment(deps, raw, refused.of(passKey));
  const plan = decideExperiment(snapshot, clock.nowMs());
  const subject = { type: RESOURCES.experiment, raw, status: snapshot.experiment.status ?? {} };
  const written = await writePlan(deps, passKey, subject, plan, signal);
  refused.told(passKey);
  await tell(deps, passKey, written, plan.events);
  const rollout = rolloutOf(deps, raw);
  if (rollout !== undefined)
    for (const { type, reason, message } of plan.rolloutEvents)
      await deps.events.record(subjectOf(rollout), type, reason, message);
  return lookAgain(plan, clock.nowMs());
}

/** What the decision about `raw` may depend on. */
function observeExperiment(
  deps: ObserveDeps,
  raw: KubeObject,
  refused: ExperimentSnapshot["refused"],
): ExperimentSnapshot {
  const { caches, config } = deps;
  const experiment = caches.experiments.read(raw);
  const { namespace = "", name, uid = "" } = raw.metadata;
  const concerns = (object: { readonly metadata: KubeObject["metadata"] }): boolean =>
    controllerOf(object)?.uid === uid || object.metadata.name.startsWith(`${name}-`);
  const wanted = new Set((experiment.spec.templates ?? []).map(({ service }) => service?.name));
  const replicaSets = caches.replicaSets.list(namespace).filter(concerns);
  return {
    experiment,
    raw,
    workload: { replicaSets },
    services: caches.services
      .list(namespace)
      .filter((service) => concerns(service) || wanted.has(service.metadata.name)),
    analysis: {
      runs: caches.analysisRuns.list(namespace).filter(concerns),
      templates: caches.analysisTemplates.list(namespace),
      clusterTemplates: caches.clusterAnalysisTemplates.list(),
    },
    routed: routedHashes(deps, experiment, replicaSets),
    refused,
    config: config ?? DEFAULT_ENGINE_CONFIG,
  };
}

/** The hashes whose pods may still get requests by the weights of the Rollout whose step it is. */
function routedHashes(
  { caches, publisher }: ObserveDeps,
  experiment: Experiment,
  replicaSets: readonly ReplicaSet[],
): readonly string[] {
  const { namespace = "" } = experiment.metadata;
  const owner = controllerOf(experiment);
  const rollout =
    owner?.kind === RESOURCES.rollout.kind ? caches.rollouts.get(namespace, owner.name) : undefined;
  if (rollout === undefined || !mayBeRouted(rollout)) return [];
  const key = `${namespace}/${rollout.metadata.name}`;
  return replicaSets
    .flatMap(({ metadata }) => metadata.labels?.[POD_HASH_LABEL] ?? [])
    .filter((hash) =>
      mayBeSentTo(
        hash,
        publisher.published(key),
        publisher.acknowledgement(key),
        rollout.status.canary?.weights,
      ),
    );
}

function rolloutOf({ caches }: ObserveDeps, experiment: KubeObject): KubeObject | undefined {
  const owner = controllerOf(experiment);
  if (owner?.kind !== RESOURCES.rollout.kind) return undefined;
  const rollout = caches.rollouts.store.get(`${experiment.metadata.namespace}/${owner.name}`);
  return rollout?.metadata.uid === owner.uid ? rollout : undefined;
}
