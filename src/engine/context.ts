// The snapshot sorted out: which ReplicaSet plays which role, which hashes are wanted, what the strategy says. Facts that follow from
// the snapshot alone; every planner reads them, none is decided here.
import {
  type BlueGreenStrategy,
  type CanaryServices,
  type CanaryStrategy,
  canaryServicesOf,
  controllerOf,
  type MemberOf,
  maxTrafficWeightOf,
  memberOf,
  podTemplateHash,
  type ReplicaSet,
  type Rollout,
  type RolloutAnalysis,
  type RolloutStatus,
  replicasOf,
  rollingLimitsOf,
  type Step,
  type StepMember,
  type Strategy,
  scaleDownDelaySecondsOf,
  selectorMatches,
  stepHash,
  stepsOf,
  strategyOf,
  usedRouters,
} from "../api/api.ts";
import { currentAmong, isSpecObserved } from "./identity.ts";
import { byAge, podHashOf } from "./pods/replicaset.ts";
import type { Snapshot } from "./snapshot.ts";
import { rescaled } from "./traffic/rescale.ts";

export interface Context {
  readonly snapshot: Snapshot;
  readonly nowMs: number;
  readonly rollout: Rollout;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** The status that the pass starts from, its weights as parts of `maxWeight`. */
  readonly status: RolloutStatus;
  readonly strategy: Strategy;
  /** Empty for other strategies. */
  readonly canary: CanaryStrategy;
  /** Without an active Service for other strategies. */
  readonly blueGreen: BlueGreenStrategy;
  readonly steps: readonly Step[];
  /** Pods wanted. */
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly maxWeight: number;
  /** Names of the Services by the version that they serve. */
  readonly services: CanaryServices;
  /** Whether a router splits the traffic, weir's own or another; otherwise the pods' numbers do. */
  readonly hasRouter: boolean;
  readonly scaleDownDelayMs: number;
  /** The version that the spec asks for. */
  readonly podHash: string;
  /** The salt that `podHash` was made with. */
  readonly collisionCount: number | undefined;
  /** Empty for blue-green, which has no steps. */
  readonly stepHash: string;
  /** Whether the status tells of the spec as it stands, so that no hash of another make can mean a change. */
  readonly isObserved: boolean;
  /** The revision of the wanted version; 0 until it is known. */
  readonly revision: number;
  readonly roles: Roles;
}

/** The ReplicaSets of the snapshot by what they are to this Rollout. */
export interface Roles {
  /** All that the Rollout controls, oldest first. */
  readonly owned: readonly ReplicaSet[];
  /** Without a controller, but matched by the selector. */
  readonly orphans: readonly ReplicaSet[];
  /** Somebody else's, under the name that the wanted version would have. */
  readonly blocker: ReplicaSet | undefined;
  /** Of the wanted version. */
  readonly current: ReplicaSet | undefined;
  /** Of the version named in `status.stableRS`; the same as `current` when nothing is in flight. */
  readonly stable: ReplicaSet | undefined;
  /** All other owned ones. */
  readonly others: readonly ReplicaSet[];
}

/** Sorts the snapshot out. */
export function contextOf(snapshot: Snapshot, nowMs: number): Context {
  const { rollout } = snapshot;
  const { namespace = "", name, uid = "" } = rollout.metadata;
  const strategy = strategyOf(rollout);
  const canary = strategy.kind === "canary" ? analysedCanary(strategy.canary) : {};
  const blueGreen =
    strategy.kind === "blueGreen" ? analysedBlueGreen(strategy.blueGreen) : { activeService: "" };
  const collisionCount = rollout.status.collisionCount;
  const maxWeight = maxTrafficWeightOf(rollout);
  const isObserved = isSpecObserved(rollout) && isWorkloadObserved(snapshot);
  const computed = podTemplateHash(templateOf(snapshot), collisionCount);
  const roles = rolesOf(snapshot, computed, isObserved);
  return {
    snapshot,
    nowMs,
    rollout,
    namespace,
    name,
    uid,
    status: rescaled(rollout.status, maxWeight),
    strategy,
    canary,
    blueGreen,
    steps: stepsOf(rollout),
    replicas: replicasOf(rollout),
    ...rollingLimitsOf(rollout),
    maxWeight,
    services: canaryServicesOf(rollout),
    hasRouter: usedRouters(canary.trafficRouting).length > 0,
    scaleDownDelayMs: scaleDownDelaySecondsOf(rollout) * 1000,
    // The hash of an equal template that already runs stays: a hash that a library moved is no new version.
    podHash: roles.current === undefined ? computed : podHashOf(roles.current),
    collisionCount,
    isObserved,
    stepHash: strategy.kind === "blueGreen" ? "" : stepHash(canary.steps),
    revision: 0,
    roles,
  };
}

/**
 * Without an analysis that names no template: it is none, as where another field owner has taken its templates away.
 * Source: Argo: rollout/analysis.go, v1.9.
 */
function analysedCanary({ analysis, ...canary }: CanaryStrategy): CanaryStrategy {
  return hasTemplates(analysis) ? { ...canary, analysis } : canary;
}

/** The same for the analyses before and after a switch. */
function analysedBlueGreen(strategy: BlueGreenStrategy): BlueGreenStrategy {
  const { prePromotionAnalysis, postPromotionAnalysis, ...blueGreen } = strategy;
  return {
    ...blueGreen,
    ...(hasTemplates(prePromotionAnalysis) && { prePromotionAnalysis }),
    ...(hasTemplates(postPromotionAnalysis) && { postPromotionAnalysis }),
  };
}

function hasTemplates<Analysis extends RolloutAnalysis>(
  analysis: Analysis | undefined,
): analysis is Analysis {
  return (analysis?.templates ?? []).length > 0;
}

/** Whether the status tells of the template that the workload has now. */
function isWorkloadObserved({ rollout, workload: { reference } }: Snapshot): boolean {
  return reference?.kind !== "found" || rollout.status.workloadObservedGeneration === reference.generation;
}

/** The name of the ReplicaSet of a version. */
export function replicaSetName(rollout: string, hash: string): string {
  return `${rollout}-${hash}`;
}

/** The pod template as written. */
export function templateOf(snapshot: Snapshot): unknown {
  const spec: unknown = snapshot.raw.spec;
  return typeof spec === "object" && spec !== null && "template" in spec ? spec.template : undefined;
}

/** The member of that kind of the step at `index`. */
export function memberAt<Kind extends StepMember["kind"]>(
  { steps }: Context,
  index: number | undefined,
  kind: Kind,
): MemberOf<Kind> | undefined {
  return index === undefined ? undefined : memberOf(steps[index], kind);
}

/** Whether the spec's version is the stable one: nothing is in flight. */
export function isPromoted(context: Context): boolean {
  return context.status.stableRS === context.podHash;
}

/**
 * Whether somebody has deleted the ReplicaSet of a canary's stable version: it has no pods and will have none, its template is known nowhere else.
 * The new version takes over as a first one does. Source: Argo: rollout/sync.go shouldFullPromote, v1.9.
 */
export function isStableGone({ strategy, status, roles }: Context): boolean {
  const { stableRS = "" } = status;
  // One that only lost its owner has its pods, and is taken back.
  const isOrphaned = roles.orphans.some((replicaSet) => podHashOf(replicaSet) === stableRS);
  return strategy.kind === "canary" && stableRS !== "" && roles.stable === undefined && !isOrphaned;
}

/** Whether the Rollout controls the object. */
export function isOwnedBy(object: Parameters<typeof controllerOf>[0], uid: string): boolean {
  return controllerOf(object)?.uid === uid;
}

function rolesOf(snapshot: Snapshot, hash: string, isObserved: boolean): Roles {
  const { rollout, workload } = snapshot;
  const uid = rollout.metadata.uid ?? "";
  const selector = rollout.spec.selector;
  const name = replicaSetName(rollout.metadata.name, hash);
  const living = workload.replicaSets.filter((item) => item.metadata.deletionTimestamp === undefined);
  const owned = living.filter((item) => isOwnedBy(item, uid)).sort(byAge);
  const orphans = living.filter(
    (item) =>
      controllerOf(item) === undefined &&
      selector !== undefined &&
      podHashOf(item) !== "" &&
      selectorMatches(selector, item.metadata.labels ?? {}),
  );
  const blocker = workload.replicaSets.find(
    (item) => item.metadata.name === name && !owned.includes(item) && !orphans.includes(item),
  );
  const current = currentAmong(owned, rollout, { template: templateOf(snapshot), hash, isObserved });
  const stableHash = rollout.status.stableRS ?? "";
  const stable = stableHash === "" ? undefined : owned.find((item) => podHashOf(item) === stableHash);
  const others = owned.filter((item) => item !== current && item !== stable);
  return { owned, orphans, blocker, current, stable, others };
}
