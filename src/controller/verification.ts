// What the load balancers before a Rollout's Services are asked, and what they have said: whether the router's weights are set, and whether the
// pods that took over are registered. Which answers a decision waits for, the engine says.
import { POD_HASH_LABEL, type Registration, type Rollout, SERVICE_NAME_LABEL } from "../api/api.ts";
import {
  newVerdicts,
  type Plan,
  type PlannedEvent,
  type PodsInQuestion,
  podsInQuestion,
  type Snapshot,
  toldVerdicts,
  updateLeft,
} from "../engine/decide.ts";
import {
  type BalancerAnswers,
  expectedTargets,
  observeRouters,
  podBindings,
  registrationsOf,
  routerBalancers,
  type VersionPods,
} from "../routers/routers.ts";
import type { BalancerWatch } from "./balancers.ts";
import type { Caches } from "./caches.ts";
import { routedObjects } from "./routing.ts";

export interface Heard {
  /** Of the load balancers of routers. */
  readonly answers?: BalancerAnswers;
  /** Absent: no target group holds the pods in question. */
  readonly registrations?: readonly Registration[];
}

interface HearDeps {
  readonly caches: Caches;
  readonly balancers: Pick<BalancerWatch, "answers">;
}

/** What has been said, and asks what the Rollout waits for now. `snapshot`: without that. */
export function hear({ caches, balancers }: HearDeps, key: string, snapshot: Snapshot): Heard {
  const { rollout } = snapshot;
  const objects = routedObjects(caches, rollout);
  const names = areWeightsAsked(rollout) ? routerBalancers(rollout, objects) : [];
  const states = names.length === 0 ? [] : observeRouters(rollout, objects).map(({ state }) => state);
  const question = podsInQuestion(snapshot);
  const pods = question === undefined ? undefined : versionPods(caches, snapshot, question);
  const bound = caches.targetGroupBindings?.list(rollout.metadata.namespace) ?? [];
  const bindings = pods === undefined ? [] : podBindings(pods.service, bound);
  const isAsked = pods !== undefined && question?.isAwaited === true;
  const expected = isAsked ? bindings.map((binding) => [...expectedTargets(pods, binding)]) : [];
  const groups = isAsked ? bindings.map(({ spec }) => spec.targetGroupARN) : [];
  const said = balancers.answers(key, { names, groups, holds: JSON.stringify([states, expected]) });
  return {
    answers: said.balancers,
    ...(pods !== undefined &&
      bindings.length > 0 && { registrations: registrationsOf(pods, bindings, said.targets) }),
  };
}

/**
 * What a look from outside the controller cannot know: the pods that it may be waiting for AWS to register, one line for each of their
 * TargetGroupBindings. Only the controller asks AWS, and only where it is told to.
 */
export function unheardBindings(
  { targetGroupBindings }: Pick<Caches, "targetGroupBindings">,
  snapshot: Snapshot,
): readonly string[] {
  const question = podsInQuestion(snapshot);
  if (question?.isAwaited !== true) return [];
  const { name } = question.service.metadata;
  const bound = targetGroupBindings?.list(snapshot.rollout.metadata.namespace) ?? [];
  return podBindings(question.service, bound).map(
    ({ metadata }) =>
      `not known here: whether AWS has registered the pods of Service ${name} (TargetGroupBinding ${metadata.name}): events tell what the controller heard`,
  );
}

/** What load balancers say of a promoted version's weights holds nothing up: it is asked once, for the status to name them. */
function areWeightsAsked({ status }: Rollout): boolean {
  return status.alb === undefined || updateLeft(status) === "inFlight";
}

function versionPods(
  { endpointSlices }: Caches,
  { rollout, workload }: Snapshot,
  { service, podHash, available }: PodsInQuestion,
): VersionPods {
  const { namespace } = rollout.metadata;
  const pods = (workload.pods ?? []).filter(({ metadata }) => metadata.labels?.[POD_HASH_LABEL] === podHash);
  return {
    service,
    available,
    names: new Set(pods.map(({ metadata }) => metadata.name)),
    slices: endpointSlices.store
      .byLabel(SERVICE_NAME_LABEL, service.metadata.name, namespace)
      .map((slice) => endpointSlices.read(slice)),
  };
}

/** What has been told of load balancers' verdicts, by Rollout. */
export interface VerdictBook {
  /** Those that are new; they count as told from now on. */
  take(key: string, plan: Plan): readonly PlannedEvent[];
  forget(key: string): void;
}

/** Makes an empty book. Bounded by the Rollouts that load balancers are asked about. */
export function createVerdictBook(): VerdictBook {
  const told = new Map<string, readonly PlannedEvent[]>();
  return {
    take(key, { verdicts }) {
      const known = told.get(key) ?? [];
      const next = toldVerdicts(known, verdicts);
      if (next.length === 0) told.delete(key);
      else told.set(key, next);
      return newVerdicts(known, verdicts);
    },
    forget: (key) => void told.delete(key),
  };
}
