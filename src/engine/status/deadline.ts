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
  type TrafficIntent,
} from "../../api/api.ts";
import { parseTime } from "../../lib/time.ts";
import { blueGreenInForce, blueGreenIntent } from "../bluegreen/traffic.ts";
import { type Context, isPromoted, isStableGone, memberAt, replicaSetName } from "../context.ts";
import { experimentToldMs, isExperimentSuccessful } from "../experiment/step.ts";
import { crashAbortWords, crashLoopOf, wordsOf } from "../pods/crashloop.ts";
import { deadlineMsOf } from "../pods/replicaset.ts";
import type { Snapshot } from "../snapshot.ts";
import { aborted, isPaused, type Mode, type Stage, updateLeft } from "../stage.ts";
import { isStepRunSuccessful } from "../steps/analysisruns.ts";
import { isGateAtWork } from "../steps/stepplugins.ts";
import type { InForce } from "../traffic/inforce.ts";
import { inForceNow, intentNow } from "../traffic/managedroutes.ts";
import { selectedBy } from "../traffic/services.ts";
import { conditionOf, hasProgressed } from "./conditions.ts";

export interface Deadline {
  /** The words of the condition, once the time is up. */
  readonly timedOut?: string;
  /** When it will be up. */
  readonly atMs?: number;
}

/** What the pass leads to. */
interface Outcome {
  readonly draft: RolloutStatus;
  readonly isDone: boolean;
  /** It is not called over before. */
  readonly heldUntilMs: number | undefined;
}

/**
 * Where the deadline stands after a pass that leads to `draft`. It rests while the update is paused, analysed, experimented with, aborted or
 * done, and while an old version only waits for the end of its delay; not while routers alone hold a step that is over.
 */
export function deadlineOf(
  context: Context,
  stage: Stage,
  { draft, isDone, heldUntilMs }: Outcome,
): Deadline {
  if (isDone || isResting(context, stage)) return {};
  const seconds = progressDeadlineSecondsOf(context.rollout);
  const known = conditionOf(context.status.conditions, CONDITION_TYPES.progressing);
  const knownMs = parseTime(known?.lastUpdateTime);
  const wasPaused = conditionOf(context.status.conditions, CONDITION_TYPES.paused)?.status === "True";
  const isFresh =
    wasPaused || known?.reason === REASONS.rolloutPaused || known?.reason === REASONS.rolloutAborted;
  if (knownMs === undefined || isFresh || hasProgressed(context, draft)) return {};
  // What comes after an experiment or a delay has all of the deadline that it has rested.
  const restedMs = Math.max(experimentToldMs(context, stage) ?? 0, delayEndMs(context));
  const atMs = Math.max(knownMs, restedMs) + seconds * 1000;
  const isOver = known?.reason === REASONS.progressDeadlineExceeded || context.nowMs >= atMs;
  if (isOver && heldUntilMs !== undefined) return { atMs: heldUntilMs };
  return isOver ? { timedOut: timedOutText(context) } : { atMs };
}

function isResting(context: Context, stage: Stage): boolean {
  // Without its stable version a canary takes over whatever step it stands at.
  const isInFlight = updateLeft(context.status) !== "none" && !isPromoted(context) && !isStableGone(context);
  return (
    stage.isAborted ||
    isPaused(context, stage) ||
    (isInFlight && (waitsByDesign(context, stage) || isAnalysed(stage) || isGateAtWork(context, stage))) ||
    delayEndMs(context) > context.nowMs ||
    context.roles.others.some(isLeaving)
  );
}

/** Whether the step's analysis or experiment goes on; a pause that has begun is told by its condition. Beside other members they end before those. */
function waitsByDesign(context: Context, stage: Stage): boolean {
  const isStepAnalysed =
    memberAt(context, stage.index, "analysis") !== undefined && !isStepRunSuccessful(stage);
  const isTried =
    memberAt(context, stage.index, "experiment") !== undefined && !isExperimentSuccessful(context, stage);
  return isStepAnalysed || isTried;
}

/** Whether an analysis before or after a switch runs: as at a step, it may take its time. Argo lets the deadline run meanwhile. */
function isAnalysed({ prePromotionRun, postPromotionRun }: Stage): boolean {
  return [prePromotionRun, postPromotionRun].some((run) => run !== undefined && !isCompleted(run.status));
}

/** Until when old versions stay up for their delay alone: what keeps one of them longer has the whole deadline from then on. */
function delayEndMs({ roles }: Context): number {
  const kept = roles.others.filter((replicaSet) => replicasOf(replicaSet) > 0);
  return Math.max(0, ...kept.map((replicaSet) => deadlineMsOf(replicaSet) ?? 0));
}

/** Scaled to nothing, and its pods still counted: that they are gone is the progress to come. Its time to go went with the write. */
function isLeaving(replicaSet: ReplicaSet): boolean {
  return replicasOf(replicaSet) === 0 && (replicaSet.status.replicas ?? 0) > 0;
}

/** Argo's words, and those of what holds the update: a crash loop, or the routers. */
function timedOutText(context: Context): string {
  const text = MESSAGES.replicaSetTimedOut(replicaSetName(context.name, context.podHash));
  const inForce = knownInForce(context);
  const loop = crashLoopOf(context);
  // A leader that has published nothing yet does not know whom the update waits for.
  const { published, acknowledgement } = context.snapshot.traffic;
  const isHeard = published !== undefined || acknowledgement.kind === "notApplicable";
  const silent = inForce.kind === "no" && isHeard ? inForce.words : undefined;
  const words = loop !== undefined ? wordsOf(loop) : silent;
  return words === undefined ? text : `${text} ${words.replace(/^./, (first) => first.toUpperCase())}`;
}

/** What routers have in force of what was decided before this pass. */
function knownInForce(context: Context): InForce {
  return context.strategy.kind === "blueGreen"
    ? blueGreenInForce(context, context.status.blueGreen?.activeSelector ?? "")
    : inForceNow(context);
}

/** What a leader that has just begun cannot know yet. */
export interface Unheard {
  /** The pass as it were if every router followed what was decided last. */
  readonly ifFollowed: Context;
  /** Until when it waits for answers. */
  readonly untilMs: number;
}

/** Times of conditions are those of whole seconds. */
const CONDITION_TIME_MS = 1000;

/**
 * What may turn out otherwise once the routers have answered a leader that took the update over; undefined when they have had their time, and when
 * the deadline was called over before. A proxy that is gone counts for the grace, and those that came back last have as long to answer.
 */
export function unheardOf(context: Context): Unheard | undefined {
  const { snapshot, status, nowMs } = context;
  const { acknowledgement, published, publishedSinceMs, registrations } = snapshot.traffic;
  const isAnybodyAsked = acknowledgement.kind !== "notApplicable";
  const sinceMs = publishedSinceMs ?? (published === undefined && isAnybodyAsked ? nowMs : undefined);
  const known = conditionOf(status.conditions, CONDITION_TYPES.progressing);
  const progressedMs = parseTime(known?.lastUpdateTime) ?? nowMs;
  if (sinceMs === undefined || sinceMs < progressedMs + CONDITION_TIME_MS) return undefined;
  const untilMs = sinceMs + 2 * snapshot.config.nodeGraceMs;
  const intent = knownIntent(context);
  if (intent === undefined || nowMs >= untilMs) return undefined;
  if (known?.reason === REASONS.progressDeadlineExceeded) return undefined;
  const traffic: Snapshot["traffic"] = {
    ...snapshot.traffic,
    published: intent,
    ...(isAnybodyAsked && { acknowledgement: { kind: "yes" } }),
    ...(registrations && { registrations: registrations.filter(({ state }) => state.kind !== "unknown") }),
  };
  return { ifFollowed: { ...context, snapshot: { ...snapshot, traffic } }, untilMs };
}

/** What the leader before has asked of the proxies. */
function knownIntent(context: Context): TrafficIntent | undefined {
  return context.strategy.kind === "blueGreen"
    ? blueGreenIntent(context, selectedBy(context.snapshot.services.active), context.status.stableRS ?? "")
    : intentNow(context);
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
