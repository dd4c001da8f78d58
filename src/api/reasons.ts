// Condition types, condition and event reasons, and their messages, exactly as Argo Rollouts writes them: programs compare them.
// %q of Go is a quoted string here as well. Source: Argo utils/conditions, rollout/sync.go, analysis.go, service.go, v1.9.
import type { AnalysisPhase } from "./analysisschema.ts";
import type { WeightDestination } from "./rolloutschema.ts";
import type { CanaryStep } from "./strategyschema.ts";

export const CONDITION_TYPES = {
  invalidSpec: "InvalidSpec",
  available: "Available",
  progressing: "Progressing",
  replicaFailure: "ReplicaFailure",
  paused: "Paused",
  completed: "Completed",
  healthy: "Healthy",
} as const;
export type ConditionType = (typeof CONDITION_TYPES)[keyof typeof CONDITION_TYPES];

/** Reasons of conditions; many are reasons of events as well. */
export const REASONS = {
  invalidSpec: "InvalidSpec",
  available: "AvailableReason",
  replicaSetUpdated: "ReplicaSetUpdated",
  replicaSetCreateError: "ReplicaSetCreateError",
  newReplicaSetCreated: "NewReplicaSetCreated",
  foundNewReplicaSet: "FoundNewReplicaSet",
  newReplicaSetAvailable: "NewReplicaSetAvailable",
  replicaSetNotAvailable: "ReplicaSetNotAvailable",
  rolloutUpdated: "RolloutUpdated",
  rolloutCompleted: "RolloutCompleted",
  rolloutNotCompleted: "RolloutNotCompleted",
  rolloutHealthy: "RolloutHealthy",
  rolloutAborted: "RolloutAborted",
  rolloutRetry: "RolloutRetry",
  rolloutPaused: "RolloutPaused",
  rolloutResumed: "RolloutResumed",
  rolloutStepCompleted: "RolloutStepCompleted",
  trafficWeightUpdated: "TrafficWeightUpdated",
  weightVerifyError: "WeightVerifyError",
  targetGroupVerified: "TargetGroupVerified",
  targetGroupUnverified: "TargetGroupUnverified",
  targetGroupVerifyError: "TargetGroupVerifyError",
  loadBalancerNotFound: "LoadBalancerNotFound",
  reconciliationError: "ReconciliationError",
  progressDeadlineExceeded: "ProgressDeadlineExceeded",
  rolloutDeleted: "RolloutDeleted",
  scalingReplicaSet: "ScalingReplicaSet",
  stepPluginTransition: "StepPluginTransition",
  rolloutAddedToInformer: "RolloutAddedToInformer",
  switchService: "SwitchService",
  skipSteps: "SkipSteps",
  experimentCreated: "ExperimentCreated",
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/** Reason of the event of a Rollout or a run whose analysis changed its phase: `AnalysisRunFailed`. */
export function analysisRunReason(phase: AnalysisPhase): string {
  return `AnalysisRun${phase}`;
}

/** Reason of the event of a run when one of its metrics ends: `MetricFailed`. */
export function metricReason(phase: AnalysisPhase): string {
  return `Metric${phase}`;
}

const q = (text: string): string => JSON.stringify(text);
const withCause = (text: string, cause: string): string => (cause === "" ? text : `${text}: ${cause}`);

/** Messages of conditions and events. */
export const MESSAGES = {
  invalidRollout: (rollout: string, fieldError: string): string =>
    `The Rollout "${rollout}" is invalid: ${fieldError}`,
  available: "Rollout has minimum availability",
  notAvailable: "Rollout does not have minimum availability",
  rolloutProgressing: (rollout: string): string => `Rollout ${q(rollout)} is progressing.`,
  replicaSetProgressing: (replicaSet: string): string => `ReplicaSet ${q(replicaSet)} is progressing.`,
  replicaSetCompleted: (replicaSet: string): string =>
    `ReplicaSet ${q(replicaSet)} has successfully progressed.`,
  rolloutTimedOut: (rollout: string): string => `Rollout ${q(rollout)} has timed out progressing.`,
  replicaSetTimedOut: (replicaSet: string): string =>
    `ReplicaSet ${q(replicaSet)} has timed out progressing.`,
  replicaSetCreateError: (replicaSet: string, error: string): string =>
    `Failed to create new replica set ${q(replicaSet)}: ${error}`,
  /** In the Progressing condition. */
  newReplicaSet: (replicaSet: string): string => `Created new replica set ${q(replicaSet)}`,
  /** In the event. */
  createdReplicaSet: (replicaSet: string, revision: number): string =>
    `Created ReplicaSet ${replicaSet} (revision ${revision})`,
  foundNewReplicaSet: (replicaSet: string): string => `Found new replica set ${q(replicaSet)}`,
  rolloutUpdated: (revision: number): string => `Rollout updated to revision ${revision}`,
  rolloutCompleted: (revision: number, podHash: string, why: string): string =>
    `Rollout completed update to revision ${revision} (${podHash}): ${why}`,
  rolloutNotCompleted: (revision: number, podHash: string): string =>
    `Rollout not completed, started update to revision ${revision} (${podHash})`,
  healthy: "Rollout is healthy",
  notHealthy: "Rollout is not healthy",
  aborted: (revision: number, why: string): string =>
    withCause(`Rollout aborted update to revision ${revision}`, why),
  retry: "Retrying Rollout after abort",
  paused: "Rollout is paused",
  /** In the event. */
  pausedFor: (reason: string): string => `Rollout is paused (${reason})`,
  resumed: "Rollout is resumed",
  stepCompleted: (step: number, steps: number, text: string): string =>
    `Rollout step ${step}/${steps} completed (${text})`,
  /** `additional`: shares beside the canary's, where those have changed. Go prints them as a slice of structs. */
  trafficWeightUpdated: (
    before: number | undefined,
    after: number,
    additional?: readonly WeightDestination[],
  ): string => {
    const share = before === undefined ? `to ${after}` : `from ${before} to ${after}`;
    const more = additional?.map(
      ({ weight, serviceName = "", podTemplateHash = "" }) => `{${weight} ${serviceName} ${podTemplateHash}}`,
    );
    const details = [
      ...(before === after ? [] : [share]),
      ...(more === undefined ? [] : [`additional: [${more.join(" ")}]`]),
    ];
    return `Traffic weight updated ${details.join(", ")}`;
  },
  weightVerifyError: (error: string): string => `Failed to verify weight: ${error}`,
  groupHasWeight: (service: string, group: string, weight: number): string =>
    `Service ${service} (TargetGroup ${group}) verified: canary weight ${weight} set`,
  groupLacksWeight: (service: string, group: string, weight: number, current: number): string =>
    `Service ${service} (TargetGroup ${group}) not verified: canary weight ${weight} not yet set (current: ${current})`,
  groupHasPods: (service: string, group: string, registered: number): string =>
    `Service ${service} (TargetGroup ${group}) verified: ${registered} endpoints registered`,
  groupLacksPods: (service: string, group: string, registered: number, total: number): string =>
    `Service ${service} (TargetGroup ${group}) not verified: ${registered}/${total} endpoints registered`,
  groupVerifyError: (service: string, group: string, error: string): string =>
    `Failed to verify Service ${service} (TargetGroup ${group}): ${error}`,
  loadBalancerNotFound: (dnsName: string): string => `Failed to find load balancer: ${dnsName}`,
  reconciliationError: (error: string): string => `Reconciliation failed with error: ${error}`,
  /** `up` or `down`. */
  scaled: (direction: string, replicaSet: string, revision: number, from: number, to: number): string =>
    `Scaled ${direction} ReplicaSet ${replicaSet} (revision ${revision}) from ${from} to ${to}`,
  switchedService: (service: string, fromHash: string, toHash: string): string =>
    `Switched selector for service '${service}' from '${fromHash}' to '${toHash}'`,
  /** The name stands before the namespace, as in Argo. */
  rolloutDeleted: (name: string, namespace: string): string => `Rollout ${name}/${namespace} is deleted.`,
  skipStepsToStable: "Rollback to stable ReplicaSets",
  skipStepsInWindow: "Rollback to active ReplicaSets within RollbackWindow",
  /** `kind`: Step, Background, Pre-promotion …, as in the run's role. */
  analysisRunChanged: (kind: string, run: string, after: string, before: string | undefined): string =>
    `${kind} Analysis Run '${run}' Status New: '${after}' Previous: '${before ?? "NoPreviousStatus"}'`,
  analysisCompleted: (phase: AnalysisPhase): string => `Analysis Completed. Result: ${phase}`,
  metricCompleted: (metric: string, phase: AnalysisPhase): string =>
    `Metric '${metric}' Completed. Result: ${phase}`,
  stepAnalysisFailed: (why: string): string => withCause("Step-based analysis phase error/failed", why),
  backgroundAnalysisFailed: (why: string): string => withCause("Background analysis phase error/failed", why),
  prePromotionAnalysisFailed: (why: string): string =>
    withCause("Blue/green pre-promotion analysis phase error/failed", why),
  postPromotionAnalysisFailed: (why: string): string =>
    withCause("Blue/green post-promotion analysis phase error/failed", why),
  experimentFailed: (why: string): string => withCause("Experiment analysis phase is error/failed", why),
  /** `index`: of the step, from 0. Which operation it was is told by the verb. */
  stepPluginRun: (name: string, index: number, phase: string): string =>
    `Step plugin ${name} (step ${index + 1}) transitioned to ${phase}`,
  stepPluginAborted: (name: string, index: number, phase: string): string =>
    `Step plugin ${name} (step ${index + 1}) aborted (${phase})`,
  stepPluginTerminated: (name: string, index: number, phase: string): string =>
    `Step plugin ${name} (step ${index + 1}) terminated (${phase})`,
  stepPluginFailed: (index: number, name: string, why: string): string =>
    `Step Plugin ${index + 1} (${name}) failed: ${why}`,
} as const;

/** Why a revision was promoted to stable; part of the RolloutCompleted message. */
export const PROMOTION_REASONS = {
  initialDeploy: "Initial deploy",
  fullPromotion: "Full promotion requested",
  rollbackInWindow: "Rollback within window",
  allSteps: (steps: number): string => `Completed all ${steps} canary steps`,
  rollbackInDelay: (replicaSet: string): string => `Rollback to '${replicaSet}' within scaleDownDelay`,
  blueGreen: "Completed blue-green update",
} as const;

/** Messages that go with status.phase. */
export const PHASE_MESSAGES = {
  because: (reason: string, message: string): string => `${reason}: ${message}`,
  manuallyPaused: "manually paused",
  restarting: "rollout is restarting",
  moreReplicas: "more replicas need to be updated",
  becomingAvailable: "updated replicas are still becoming available",
  cutoverPending: "active service cutover pending",
  waitingForAnalysis: "waiting for analysis to complete",
  waitingForPostPromotion: "waiting for post-promotion verification to complete",
  oldReplicas: "old replicas are pending termination",
  waitingForSteps: "waiting for all steps to complete",
} as const;

/** What clients show in place of the stored phase, because it is not up to date. */
export const CLIENT_MESSAGES = {
  specNotObserved: "waiting for rollout spec update to be observed",
  workloadNotObserved: "waiting for rollout spec update to be observed for the reference workload",
  unpausing: "waiting for rollout to unpause",
} as const;

/** A step in the words of RolloutStepCompleted: `setWeight: 20`, `pause: 1m`, `analysis`. All its members; Argo names the first. */
export function stepText(step: CanaryStep): string {
  const { setWeight, pause, experiment, analysis, setCanaryScale, plugin } = step;
  const { setHeaderRoute, setMirrorRoute } = step;
  const texts = [
    setWeight !== undefined && `setWeight: ${setWeight}`,
    experiment && "experiment",
    analysis && "analysis",
    setCanaryScale && scaleText(setCanaryScale),
    plugin && `plugin: ${plugin.name}`,
    setHeaderRoute && `setHeaderRoute: ${setHeaderRoute.name ?? ""}`,
    setMirrorRoute && `setMirrorRoute: ${setMirrorRoute.name}`,
    pause && (pause.duration === undefined ? "pause" : `pause: ${pause.duration}`),
  ].filter((text) => typeof text === "string");
  return texts.length === 0 ? "invalid" : texts.join(", ");
}

/** Of several fields the one that counts, as in `scaleOf`: Argo applies that one, too, but names the weight. */
function scaleText(scale: NonNullable<CanaryStep["setCanaryScale"]>): string {
  const { matchTrafficWeight, replicas, weight } = scale;
  if (matchTrafficWeight === true) return "setCanaryScale{matchTrafficWeight: true}";
  if (replicas !== undefined) return `setCanaryScale{replicas: ${replicas}}`;
  return weight === undefined ? "setCanaryScale" : `setCanaryScale{weight: ${weight}}`;
}
