// Follows one Rollout and what belongs to it: the same parts for `get -w`, `status` and the quick start's story.
import { RESOURCES, readAnalysisRun, readPod, readReplicaSet, readRollout } from "../api/api.ts";
import { type ClusterClient, createReflector } from "../cluster/client.ts";
import { systemClock } from "../lib/clock.ts";
import { silentLogger } from "../lib/log.ts";
import type { RolloutParts } from "./rolloutview.ts";

/** Changes that come within this time are shown once. */
const COALESCE_MS = 50;

/** Reads the parts once; undefined when there is no such Rollout. */
export async function readParts(
  client: ClusterClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<RolloutParts | undefined> {
  const object = await client.get(RESOURCES.rollout, { namespace, name }, signal);
  if (object === undefined) return undefined;
  const [replicaSets, pods, runs] = await Promise.all(
    [RESOURCES.replicaSet, RESOURCES.pod, RESOURCES.analysisRun].map((type) =>
      client.list(type, { namespace, signal }),
    ),
  );
  return partsOf(object, replicaSets?.items ?? [], pods?.items ?? [], runs?.items ?? []);
}

/** Yields the parts now and after every change, until `signal` aborts; undefined while there is no such Rollout. */
export async function* watchParts(
  client: ClusterClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<RolloutParts | undefined> {
  const common = { client, namespace, clock: systemClock, log: silentLogger };
  const rollouts = createReflector({
    ...common,
    type: RESOURCES.rollout,
    fieldSelector: `metadata.name=${name}`,
  });
  const sets = createReflector({ ...common, type: RESOURCES.replicaSet });
  const pods = createReflector({ ...common, type: RESOURCES.pod });
  const runs = createReflector({ ...common, type: RESOURCES.analysisRun });
  const all = [rollouts, sets, pods, runs];
  let wake = (): void => undefined;
  let isDirty = true;
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort);
  try {
    for (const reflector of all) {
      reflector.subscribe(() => {
        isDirty = true;
        wake();
      });
      reflector.start();
    }
    await Promise.all(all.map((reflector) => reflector.waitForSync(signal)));
    while (!signal.aborted) {
      isDirty = false;
      const object = rollouts.store.get(`${namespace}/${name}`);
      yield object === undefined
        ? undefined
        : partsOf(object, sets.store.list(), pods.store.list(), runs.store.list());
      await new Promise<void>((resolve) => {
        wake = () => void setTimeout(resolve, signal.aborted ? 0 : COALESCE_MS);
        if (isDirty || signal.aborted) wake();
      });
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    await Promise.all(all.map((reflector) => reflector.stop()));
  }
}

type Objects = Parameters<typeof readPod>[0][] | readonly Parameters<typeof readPod>[0][];

function partsOf(
  rollout: Parameters<typeof readRollout>[0],
  sets: Objects,
  pods: Objects,
  runs: Objects,
): RolloutParts {
  const { uid } = rollout.metadata;
  const isOwned = (object: Objects[number]): boolean =>
    object.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  return {
    rollout: readRollout(rollout).value,
    replicaSets: sets.filter(isOwned).map((set) => readReplicaSet(set).value),
    pods: pods.map((pod) => readPod(pod).value),
    analysisRuns: runs.filter(isOwned).map((run) => readAnalysisRun(run).value),
  };
}
