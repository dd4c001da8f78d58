// The pause of blue-green before the switch: when it begins, when it is over, and when the preview has been looked at in its own size.
// Source: Argo: rollout/bluegreen.go reconcileBlueGreenPause, rollout/pause.go CompletedBlueGreenPause, v1.9.

import { formatTime, parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import type { Wait } from "../plan.ts";
import { hasPause, isHalted, type Stage, withoutPause, withPause } from "../stage.ts";
import type { BlueGreenFacts } from "./facts.ts";

export interface PausePlan {
  readonly stage: Stage;
  /** The version is there in its present size, and neither pause nor analysis has anything against it. */
  readonly isOver: boolean;
  readonly waits: readonly Wait[];
  readonly requeueAtMs?: number | undefined;
}

/** Whether the analysis before the switch has nothing against it. */
export function isPrePromotionDone({ blueGreen }: Context, stage: Stage): boolean {
  return blueGreen.prePromotionAnalysis === undefined || stage.prePromotionRun?.status === "Successful";
}

/** Begins the pause, lets it stand, or ends it. `isResumed`: the user took a pause away since the last pass. */
export function planPause(
  context: Context,
  before: Stage,
  facts: BlueGreenFacts,
  isResumed: boolean,
): PausePlan {
  // What the user let pass meanwhile is remembered until it can be carried out.
  if (!before.isAborted && isHalted(context, before))
    return { stage: before, isOver: false, waits: haltedWaits(context) };
  const stage = resumed(before);
  if (stage.isAborted) return { stage, isOver: false, waits: [] };
  if (!facts.isReady) {
    const waits = hasPause(stage, "BlueGreenPause") ? [pauseWait(context, stage)] : [];
    return { stage, isOver: false, waits };
  }
  if (facts.fastTrack !== undefined) return over(stage);
  if (!isPrePromotionDone(context, stage)) return { stage, isOver: false, waits: [] };
  if (stage.isPreviewPassed || isResumed) return over(stage);
  return pausedPlan(context, withPause(context, stage, "BlueGreenPause"));
}

/**
 * The preview is scaled up once it was available in its own size, was analysed and its pause is over. Stays so until the version
 * is promoted or replaced.
 */
export function withPreviewPassed(
  context: Context,
  stage: Stage,
  facts: BlueGreenFacts,
  isOver: boolean,
): Stage {
  const { previewReplicaCount } = context.blueGreen;
  if (previewReplicaCount === undefined) return { ...stage, isPreviewPassed: false };
  const isSmall = facts.fastTrack === undefined && previewReplicaCount !== context.replicas;
  return isSmall && isOver ? { ...stage, isPreviewPassed: true } : stage;
}

function pausedPlan(context: Context, stage: Stage): PausePlan {
  const wait = pauseWait(context, stage);
  const { untilMs } = wait;
  if (untilMs !== undefined && context.nowMs >= untilMs) return over(stage);
  return { stage, isOver: false, waits: [wait], requeueAtMs: untilMs };
}

function over(stage: Stage): PausePlan {
  return { stage: withoutPause(stage, "BlueGreenPause"), isOver: true, waits: [] };
}

/** Without any seconds it ends as it begins. */
function pauseWait(context: Context, stage: Stage): Wait {
  const { autoPromotionEnabled = true, autoPromotionSeconds = 0 } = context.blueGreen;
  if (!autoPromotionEnabled) return { code: "pause", text: "paused before the switch until it is promoted" };
  const pause = stage.pauses.find(({ reason }) => reason === "BlueGreenPause");
  const untilMs = (parseTime(pause?.startTime) ?? context.nowMs) + autoPromotionSeconds * 1000;
  const text = `paused before the switch until ${formatTime(untilMs)}, or until it is promoted`;
  return { code: "pause", text, untilMs };
}

/** A pause that the user took away: what it let pass is known to this pass alone. */
function resumed(stage: Stage): Stage {
  return stage.pauses.length > 0 ? stage : { ...stage, controllerPause: false };
}

function haltedWaits(context: Context): readonly Wait[] {
  return context.rollout.spec.paused === true
    ? [{ code: "user", text: "paused by the user (spec.paused)" }]
    : [{ code: "inconclusive", text: "an analysis was inconclusive: promote or abort" }];
}
