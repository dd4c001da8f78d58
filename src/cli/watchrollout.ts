// Follows one Rollout or Experiment and what belongs to it: the same parts for `get -w`, `status` and the quick start's story.
import {
  type KubeObject,
  RESOURCES,
  type ResourceType,
  readAnalysisRun,
  readExperiment,
  readPod,
  readReplicaSet,
  readRollout,
} from "../api/api.ts";
import { type ClusterClient, createReflector } from "../cluster/client.ts";
import { systemClock } from "../lib/clock.ts";
import { silentLogger } from "../lib/log.ts";
import type { ExperimentParts } from "./experimentview.ts";
import type { RolloutParts } from "./rolloutview.ts";

/** Changes that come within this time are shown once. */
const COALESCE_MS = 50;
/** Kinds of what belongs to a Rollout or an Experiment. */
const PARTS = [RESOURCES.replicaSet, RESOURCES.pod, RESOURCES.analysisRun, RESOURCES.experiment] as const;

/** Reads the parts once; undefined when there is no such Rollout. */
export async function readParts(
  client: ClusterClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<RolloutParts | undefined> {
  const found = await read(client, RESOURCES.rollout, { namespace, name }, signal);
  return found && partsOf(found.object, found.around);
}

/** Reads the parts once; undefined when there is no such Experiment. */
export async function readExperimentParts(
  client: ClusterClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<ExperimentParts | undefined> {
  const found = await read(client, RESOURCES.experiment, { namespace, name }, signal);
  return found && experimentPartsOf(found.object, found.around);
}

/** Yields the parts now and after every change, until `signal` aborts; undefined while there is no such Rollout. */
export async function* watchParts(
  client: ClusterClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<RolloutParts | undefined> {
  for await (const { object, around } of follow(client, RESOURCES.rollout, { namespace, name }, signal))
    yield object === undefined ? undefined : partsOf(object, around);
}

/** The same for an Experiment. */
export async function* watchExperimentParts(
  client: ClusterClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<ExperimentParts | undefined> {
  for await (const { object, around } of follow(client, RESOURCES.experiment, { namespace, name }, signal))
    yield object === undefined ? undefined : experimentPartsOf(object, around);
}

interface Named {
  readonly namespace: string;
  readonly name: string;
}

/** Objects of the namespace that may belong to it. */
interface Around {
  readonly sets: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
  readonly runs: readonly KubeObject[];
  readonly experiments: readonly KubeObject[];
}

async function read(
  client: ClusterClient,
  type: ResourceType,
  ref: Named,
  signal: AbortSignal,
): Promise<{ readonly object: KubeObject; readonly around: Around } | undefined> {
  const object = await client.get(type, ref, signal);
  if (object === undefined) return undefined;
  const { namespace } = ref;
  const lists = await Promise.all(PARTS.map((part) => client.list(part, { namespace, signal })));
  return { object, around: aroundOf(lists.map(({ items }) => items)) };
}

async function* follow(
  client: ClusterClient,
  type: ResourceType,
  { namespace, name }: Named,
  signal: AbortSignal,
): AsyncGenerator<{ readonly object: KubeObject | undefined; readonly around: Around }> {
  const common = { client, namespace, clock: systemClock, log: silentLogger };
  const own = createReflector({ ...common, type, fieldSelector: `metadata.name=${name}` });
  const parts = PARTS.map((part) => createReflector({ ...common, type: part }));
  const all = [own, ...parts];
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
      const object = own.store.get(`${namespace}/${name}`);
      yield { object, around: aroundOf(parts.map(({ store }) => store.list())) };
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

/** In the order of PARTS. */
function aroundOf([
  sets = [],
  pods = [],
  runs = [],
  experiments = [],
]: readonly (readonly KubeObject[])[]): Around {
  return { sets, pods, runs, experiments };
}

function partsOf(rollout: KubeObject, around: Around): RolloutParts {
  const experiments = around.experiments.filter((object) => isOwned(object, rollout));
  return {
    rollout: readRollout(rollout).value,
    experiments: experiments.map((experiment) => experimentPartsOf(experiment, around)),
    ...belongings(rollout, around),
  };
}

function experimentPartsOf(experiment: KubeObject, around: Around): ExperimentParts {
  return { experiment: readExperiment(experiment).value, ...belongings(experiment, around) };
}

function belongings(owner: KubeObject, { sets, pods, runs }: Around): Omit<ExperimentParts, "experiment"> {
  const own = (objects: readonly KubeObject[]) => objects.filter((object) => isOwned(object, owner));
  return {
    replicaSets: own(sets).map((set) => readReplicaSet(set).value),
    pods: pods.map((pod) => readPod(pod).value),
    analysisRuns: own(runs).map((run) => readAnalysisRun(run).value),
  };
}

function isOwned(object: KubeObject, owner: KubeObject): boolean {
  return object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true;
}
