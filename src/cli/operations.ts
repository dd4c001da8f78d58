// What users ask of a Rollout, as the patches that the controller understands. They are those of Argo's kubectl plugin, so that either tool
// may be used on either controller. Source: argo-rollouts, pkg/kubectl-argo-rollouts/cmd/{promote,abort,retry,pause,restart}. Pure.
import type { Rollout } from "../api/api.ts";
import { formatTime } from "../lib/time.ts";

/** A merge patch and the resource that it goes to. */
export interface Operation {
  readonly subresource?: "status";
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Whether there is an update to abort or to promote: the newest version is not the stable one, or the controller has not seen the newest
 * manifest yet. Argo's plugin patches without this look; on a Rollout that is through, its abort ends in Degraded.
 */
export function isUpdating({ metadata, status }: Rollout): boolean {
  const isSeen = status.observedGeneration === String(metadata.generation);
  return !isSeen || status.stableRS !== status.currentPodHash;
}

export const abortOperations: readonly Operation[] = [
  { subresource: "status", body: { status: { abort: true } } },
];
export const retryOperations: readonly Operation[] = [
  { subresource: "status", body: { status: { abort: false } } },
];
/** Experiments have no status subresource. One that was terminated would end again at once. */
export const retryExperimentOperations: readonly Operation[] = [
  { body: { spec: { terminate: null }, status: null } },
];
export const pauseOperations: readonly Operation[] = [{ body: { spec: { paused: true } } }];

/** Pods that are older than this instant are to be replaced. */
export function restartOperations(atMs: number): readonly Operation[] {
  return [{ body: { spec: { restartAt: formatTime(atMs) } } }];
}

/** Goes on: ends the pause there is, or else skips the current step; with `isFull`, skips everything that is left. */
export function promoteOperations(rollout: Rollout, isFull: boolean): Operation[] {
  const unpause: Operation[] = rollout.spec.paused === true ? [{ body: { spec: { paused: false } } }] : [];
  const status = isFull ? fullPatch(rollout) : nextPatch(rollout);
  return status === undefined ? unpause : [...unpause, { subresource: "status", body: { status } }];
}

function fullPatch({ status }: Rollout): Readonly<Record<string, unknown>> | undefined {
  return status.currentPodHash === status.stableRS ? undefined : { promoteFull: true };
}

function nextPatch({ spec, status }: Rollout): Readonly<Record<string, unknown>> | undefined {
  const pauses = status.pauseConditions ?? [];
  const steps = spec.strategy?.canary?.steps ?? [];
  const nextIndex = Math.min((status.currentStepIndex ?? 0) + 1, steps.length);
  // An analysis step is skipped. A background run is not: the pause lifted, the controller begins another one.
  // Source: Argo: pkg/kubectl-argo-rollouts/cmd/promote/promote.go isInconclusive, v1.9.
  const isInconclusive = status.canary?.currentStepAnalysisRunStatus?.status === "Inconclusive";
  if (isInconclusive && pauses.length > 0 && status.controllerPause === true)
    return { pauseConditions: null, controllerPause: false, currentStepIndex: nextIndex };
  if (pauses.length > 0) return { pauseConditions: null };
  return steps.length > 0 ? { currentStepIndex: nextIndex } : undefined;
}
