// The progress deadline: how long an update may stand without a step ahead before it is called Degraded.
import { isCompleted } from "../../analysis/assess.ts";
import {
  CONDITION_TYPES,
  MESSAGES,
  progressDeadlineSecondsOf,
  REASONS,
  type ReplicaSet,
  type RolloutStatus,
  replicasOf,
} from "../../api/api.ts";
import { parseTime } from "../../lib/time.ts";
import { blueGreenInForce } from "../bluegreen/traffic.ts";
import { type Context, replicaSetName } from "../context.ts";
import { crashAbortWords, crashLoopOf, wordsOf } from "../pods/crashloop.ts";
import { deadlineMsOf } from "../pods/replicaset.ts";
import { aborted, type Mode, type Stage } from "../stage.ts";
import { isGateAtWork } from "../steps/stepplugins.ts";
import type { InForce } from "../traffic/inforce.ts";
import { inForceNow } from "../traffic/managedroutes.ts";
import { conditionOf, hasProgressed } from "./conditions.ts";

export interface Deadline {
  /** The words of the condition, once the time is up. */
  readonly timedOut?: string;
  /** When it will be up. */
  readonly atMs?: number;
}

/**
 * Where the deadline stands after a pass that leads to `draft`. It rests while the update is paused, analysed, experimented with, aborted or
 * done, and while an old version only waits for the end of its delay.
 */
export function deadlineOf(context: Context, stage: Stage, draft: RolloutStatus, isDone: boolean): Deadline {
  if (isDone || isResting(context, stage)) return {};
  const seconds = progressDeadlineSecondsOf(context.rollout);
  const known = conditionOf(context.status.conditions, CONDITION_TYPES.progressing);
  const sinceMs = parseTime(known?.lastUpdateTime);
  const wasPaused = conditionOf(context.status.conditions, CONDITION_TYPES.paused)?.status === "True";
  const isFresh =
    wasPaused || known?.reason === REASONS.rolloutPaused || known?.reason === REASONS.rolloutAborted;
  if (sinceMs === undefined || isFresh || hasProgressed(context, draft)) return {};
  const atMs = sinceMs + seconds * 1000;
  const isOver = known?.reason === REASONS.progressDeadlineExceeded || context.nowMs >= atMs;
  return isOver ? { timedOut: timedOutText(context) } : { atMs };
}

function isResting(context: Context, stage: Stage): boolean {
  const step = stage.index === undefined ? undefined : context.steps[stage.index];
  const isInFlight = context.status.stableRS !== context.podHash && (context.status.stableRS ?? "") !== "";
  const waitsByDesign = step?.kind === "pause" || step?.kind === "analysis" || step?.kind === "experiment";
  return (
    stage.isAborted ||
    stage.pauses.length > 0 ||
    context.rollout.spec.paused === true ||
    (isInFlight && (waitsByDesign || isAnalysed(stage) || isGateAtWork(context, stage))) ||
    context.roles.others.some(isDelayed)
  );
}

/** Whether an analysis before or after a switch runs: as at a step, it may take its time. Argo lets the deadline run meanwhile. */
function isAnalysed({ prePromotionRun, postPromotionRun }: Stage): boolean {
  return [prePromotionRun, postPromotionRun].some((run) => run !== undefined && !isCompleted(run.status));
}

/** Whether an old version stays up for its delay alone. */
function isDelayed(replicaSet: ReplicaSet): boolean {
  return replicasOf(replicaSet) > 0 && deadlineMsOf(replicaSet) !== undefined;
}

/** Argo's words, and those of what holds the update: a crash loop, or the routers. */
function timedOutText(context: Context): string {
  const text = MESSAGES.replicaSetTimedOut(replicaSetName(context.name, context.podHash));
  const inForce = knownInForce(context);
  const loop = crashLoopOf(context);
  const words = loop !== undefined ? wordsOf(loop) : inForce.kind === "no" ? inForce.words : undefined;
  return words === undefined ? text : `${text} ${words.replace(/^./, (first) => first.toUpperCase())}`;
}

/** What routers have in force of what was decided before this pass. */
function knownInForce(context: Context): InForce {
  return context.strategy.kind === "blueGreen"
    ? blueGreenInForce(context, context.status.blueGreen?.activeSelector ?? "")
    : inForceNow(context);
}

/** The stage to go on with when crashes or the deadline end an update that is in flight; undefined when nothing does. */
export function forcedAbortStage(
  context: Context,
  decision: { readonly stage: Stage; readonly mode: Mode },
  deadline: Deadline,
): Stage | undefined {
  const isInFlight = decision.mode === "steps" || decision.mode === "promoteFull";
  const timedOut = context.rollout.spec.progressDeadlineAbort === true ? deadline.timedOut : undefined;
  const words = crashAbortWords(context) ?? timedOut;
  if (words === undefined || !isInFlight) return undefined;
  return aborted(context, { ...decision.stage, promoteFull: false }, words);
}
