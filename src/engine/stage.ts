// How far an update has come: the part of the status that decisions move. Planners take a Stage and return the next one.
import type {
  AnalysisRunRef,
  PauseCondition,
  PauseReason,
  RolloutStatus,
  StepPluginStatus,
} from "../api/api.ts";
import { formatTime, parseTime } from "../lib/time.ts";
import type { Context } from "./context.ts";
import { isPromoted, isStableGone } from "./context.ts";
import { canSkipSteps, isInRollbackWindow } from "./pods/rollbackwindow.ts";

export interface Stage {
  /** Undefined without steps; the number of steps once all are done. */
  readonly index: number | undefined;
  readonly isAborted: boolean;
  readonly abortedAt: string | undefined;
  /** Why this pass aborts; undefined when an earlier pass or the user did. */
  readonly abortMessage: string | undefined;
  readonly promoteFull: boolean;
  readonly pauses: readonly PauseCondition[];
  /** The current step is over, but for routers that do not follow. Each pass finds it anew. */
  readonly isHeld?: boolean;
  /** True from the pass that pauses until the pass that sees the pause gone: how a user's resume is told from no pause at all. */
  readonly controllerPause: boolean;
  readonly stepRun: AnalysisRunRef | undefined;
  readonly backgroundRun: AnalysisRunRef | undefined;
  readonly prePromotionRun: AnalysisRunRef | undefined;
  readonly postPromotionRun: AnalysisRunRef | undefined;
  /** Blue-green: the preview has been looked at in its own size, and gets the size that the traffic needs. */
  readonly isPreviewPassed: boolean;
  /** The name of the Experiment of the current step. */
  readonly experiment?: string | undefined;
  /** What the plugins of the steps have been asked and have answered, in the order of the first calls. */
  readonly plugins: readonly StepPluginStatus[];
}

/** What the pass is about; see canary.ts. */
export type Mode = "firstDeploy" | "promoted" | "promoteFull" | "rollback" | "aborted" | "steps";

/** The stage that the status tells. */
function stageOf(status: RolloutStatus): Stage {
  return {
    index: status.currentStepIndex,
    isAborted: status.abort === true,
    abortedAt: status.abortedAt,
    abortMessage: undefined,
    promoteFull: status.promoteFull === true,
    pauses: status.pauseConditions ?? [],
    controllerPause: status.controllerPause === true,
    stepRun: status.canary?.currentStepAnalysisRunStatus,
    backgroundRun: status.canary?.currentBackgroundAnalysisRunStatus,
    prePromotionRun: status.blueGreen?.prePromotionAnalysisRunStatus,
    postPromotionRun: status.blueGreen?.postPromotionAnalysisRunStatus,
    isPreviewPassed: status.blueGreen?.scaleUpPreviewCheckPoint === true,
    experiment: status.canary?.currentExperiment,
    plugins: status.canary?.stepPluginStatuses ?? [],
  };
}

/** The stage at the beginning of an update, or past its end when the spec went back to the stable version. */
export function firstStage(context: Context): Stage {
  const count = context.steps.length;
  return {
    index: count === 0 ? undefined : isPromoted(context) || canSkipSteps(context) ? count : 0,
    isAborted: false,
    abortedAt: undefined,
    abortMessage: undefined,
    promoteFull: false,
    pauses: [],
    controllerPause: false,
    ...WITHOUT_RUNS,
    isPreviewPassed: false,
    plugins: [],
  };
}

const WITHOUT_RUNS = {
  stepRun: undefined,
  backgroundRun: undefined,
  prePromotionRun: undefined,
  postPromotionRun: undefined,
} as const;

/**
 * What the user asked for since the last pass, carried into the stage; only `reset` counts when the spec asks for something else.
 * `isResumed`: a pause was there and the user took it away.
 */
export function afterUser(
  context: Context,
  reset?: Stage,
): { readonly stage: Stage; readonly isResumed: boolean } {
  if (reset !== undefined) return { stage: reset, isResumed: false };
  const seen = withValidIndex(context, stageOf(context.status));
  if (seen.promoteFull || isInRollbackWindow(context)) {
    const stage = withoutPauses({ ...seen, isAborted: false, abortedAt: undefined });
    return isPromoted(context)
      ? { stage: { ...stage, promoteFull: false }, isResumed: false }
      : { stage: { ...stage, index: lastIndex(context) }, isResumed: false };
  }
  // Source: Argo: rollout/controller.go newRolloutContext, v1.9.
  if (seen.isAborted && isSettled(context.status))
    return { stage: { ...seen, isAborted: false, abortedAt: undefined }, isResumed: false };
  if (seen.isAborted) return { stage: aborted(context, seen), isResumed: false };
  if (seen.abortedAt !== undefined) {
    // The user asked for a retry: from the first step, with new runs. Argo leaves a preview that was scaled up beyond its pause.
    const stage = { ...seen, abortedAt: undefined, ...WITHOUT_RUNS, isPreviewPassed: false, plugins: [] };
    return { stage, isResumed: false };
  }
  return { stage: seen, isResumed: seen.controllerPause && seen.pauses.length === 0 };
}

/** How the last pass left the update: none before the first version is stable. */
export function updateLeft({
  stableRS = "",
  currentPodHash,
}: RolloutStatus): "none" | "inFlight" | "settled" {
  if (stableRS === "") return "none";
  return stableRS === currentPodHash ? "settled" : "inFlight";
}

/** Whether the last pass left nothing in flight: a pause holds no progress up, and an abort has nothing to abort. */
export function isSettled(status: RolloutStatus): boolean {
  return updateLeft(status) === "settled";
}

/** The stage of an aborted update. */
export function aborted(context: Context, stage: Stage, message?: string): Stage {
  return {
    ...withoutPauses(stage),
    isAborted: true,
    abortedAt: isPast(context, stage.abortedAt) ? stage.abortedAt : formatTime(context.nowMs),
    abortMessage: message,
    index: context.steps.length === 0 ? undefined : isPromoted(context) ? lastIndex(context) : 0,
  };
}

/** What counts from a time that is yet to come, written by a clock that was ahead, would wait for that long. */
function isPast({ nowMs }: Context, time: string | undefined): boolean {
  return (parseTime(time) ?? Number.POSITIVE_INFINITY) <= nowMs;
}

/** The stage of a version that has become the stable one. */
export function promotedStage(context: Context, stage: Stage): Stage {
  return {
    ...withoutPauses(stage),
    index: lastIndex(context),
    isAborted: false,
    abortedAt: undefined,
    promoteFull: false,
    isPreviewPassed: false,
  };
}

/** What the pass is about. */
export function modeOf(context: Context, stage: Stage): Mode {
  const isFirst = (context.status.stableRS ?? "") === "" || (isStableGone(context) && !isPromoted(context));
  if (isFirst) return stage.isAborted ? "aborted" : "firstDeploy";
  if (stage.isAborted) return "aborted";
  if (isPromoted(context)) return "promoted";
  if (stage.promoteFull) return "promoteFull";
  return isInRollbackWindow(context) ? "rollback" : "steps";
}

/** The number of steps; undefined without steps. */
export function lastIndex(context: Context): number | undefined {
  return context.steps.length === 0 ? undefined : context.steps.length;
}

export function hasPause(stage: Stage, reason: PauseReason): boolean {
  return stage.pauses.some((pause) => pause.reason === reason);
}

export function withPause(context: Context, stage: Stage, reason: PauseReason): Stage {
  if (hasPause(stage, reason)) return stage;
  const pause = { reason, startTime: formatTime(context.nowMs) };
  return { ...stage, pauses: [...stage.pauses, pause], controllerPause: true };
}

export function withoutPause(stage: Stage, reason: PauseReason): Stage {
  const pauses = stage.pauses.filter((pause) => pause.reason !== reason);
  return { ...stage, pauses, controllerPause: pauses.length > 0 };
}

/** Whether the current step was begun before an inconclusive analysis stopped the update; one that is come to then is not begun. */
export function isStepBegun(stage: Stage): boolean {
  const isAsked = stage.plugins.some(({ index }) => index === stage.index);
  return (
    stage.stepRun !== undefined ||
    stage.experiment !== undefined ||
    isAsked ||
    hasPause(stage, "CanaryPauseStep")
  );
}

/** Whether a pause holds the update up, and not routers alone though its time is over. */
export function isPaused({ rollout }: Context, { pauses, isHeld }: Stage): boolean {
  const isOver = (reason: PauseReason): boolean => isHeld === true && reason === "CanaryPauseStep";
  return rollout.spec.paused === true || pauses.some(({ reason }) => !isOver(reason));
}

/** Whether scaling, Service switches and rising weights stand still. */
export function isHalted(context: Context, stage: Stage): boolean {
  return context.rollout.spec.paused === true || hasPause(stage, "InconclusiveAnalysisRun");
}

function withoutPauses(stage: Stage): Stage {
  return { ...stage, pauses: [], controllerPause: false };
}

/** An index that clients or an older spec left behind is brought into range. */
function withValidIndex(context: Context, stage: Stage): Stage {
  const count = context.steps.length;
  return { ...stage, index: count === 0 ? undefined : Math.min(Math.max(stage.index ?? 0, 0), count) };
}
