// What belongs to a wait but no planner says: since when, and what would move it on. Told from the status and the snapshot, by the wait's kind,
// so that planners only name what they wait for.
import { abortScaleDownDelayOf, CONDITION_TYPES, progressDeadlineSecondsOf, REASONS } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { parseTime } from "../../lib/time.ts";
import { type Context, isPromoted } from "../context.ts";
import type { Wait, WaitCode } from "../plan.ts";
import { deadlineMsOf } from "../pods/replicaset.ts";
import { isInRollbackWindow } from "../pods/rollbackwindow.ts";
import { conditionOf } from "./conditions.ts";
import { isHeldForSomebody } from "./duration.ts";

/** Whether the update itself has come to an end, and what its planner says of what comes. */
interface UpdateEnd {
  readonly isOver: boolean;
  readonly next: string;
}

/** The waits, each once, with since when where that is known. */
export function withBegin(context: Context, waits: readonly Wait[]): readonly Wait[] {
  const distinct = waits.filter((wait, index) => waits.findIndex(({ text }) => text === wait.text) === index);
  return distinct.map((wait) => {
    const sinceMs = wait.sinceMs ?? beginOf(context, wait);
    return sinceMs === undefined || sinceMs > context.nowMs ? wait : { ...wait, sinceMs };
  });
}

/** What would move the waits on, in words and commands, each once. */
export function waysOn(context: Context, waits: readonly Wait[], isAborted: boolean): readonly string[] {
  const command = (verb: string): string => `weir ${verb} ${nameOf(context)}`;
  if (isAborted) return [`${command("retry")}, or another version`];
  const back = hearsAbort(context) ? `, or ${command("abort")}` : "";
  const answer = answerDue(context);
  return [...new Set(waits.flatMap((wait) => wayOf(wait, command("promote"), back, answer) ?? []))];
}

/**
 * What comes once the waits are over. An update that is over has nothing before it, but beside it traffic may still be on its way back, pods be
 * restarted or a version stay up for its delay: that comes first.
 */
export function nextOf(context: Context, waits: readonly Wait[], update: UpdateEnd): string {
  if (!update.isOver) return update.next;
  const isWaitedFor = (...codes: WaitCode[]): boolean => waits.some(({ code }) => codes.includes(code));
  const share = context.status.canary?.weights?.canary.weight ?? 0;
  // Its next step, or the pods that stable lacks. Without such a wait the share stays: stable is gone.
  const isReturning = share > 0 && isWaitedFor("retry", "replicas");
  const first = [
    ...(isReturning ? ["send the rest of the traffic back to stable"] : []),
    ...(isWaitedFor("restart") ? ["restart pods"] : []),
    ...(isWaitedFor("scaleDownDelay") ? ["scale down what stays up"] : []),
  ];
  return first.length === 0 ? update.next : `${first.join(", ")}, then ${update.next}`;
}

/**
 * Whether an abort would do anything: a first version, or the one that is stable already, has nothing to go back to, and a way back inside the
 * window, or a full promotion, goes on in spite of it (stage.ts afterUser).
 */
function hearsAbort(context: Context): boolean {
  const { stableRS = "", promoteFull = false } = context.status;
  return stableRS !== "" && !isPromoted(context) && !promoteFull && !isInRollbackWindow(context);
}

/** Whose word is waited for where routers have to follow. */
function answerDue({ snapshot }: Context): string {
  const { acknowledgement, registrations, routers = [] } = snapshot.traffic;
  if (acknowledgement.kind !== "notApplicable") return "the proxies' answer";
  const areAsked =
    registrations !== undefined || routers.some(({ verification }) => verification !== undefined);
  return areAsked ? "the load balancers' answer" : "the routers' objects";
}

function nameOf({ name, namespace }: Context): string {
  return namespace === "default" || namespace === "" ? name : `${name} -n ${namespace}`;
}

function beginOf(context: Context, { code, untilMs }: Wait): number | undefined {
  const { pauseConditions = [], conditions = [], currentStepIndex, ...status } = context.status;
  const { duration, abortedAt, canary, blueGreen } = status;
  const condition = (type: string) => conditions.find((item) => item.type === type);
  switch (code) {
    case "pause":
      return parseTime(pauseConditions.find(({ reason }) => reason !== "InconclusiveAnalysisRun")?.startTime);
    case "inconclusive":
      return parseTime(pauseConditions.find(({ reason }) => reason === "InconclusiveAnalysisRun")?.startTime);
    case "user":
      // Beside a pause that waits for somebody as well the record may be that one's.
      return isHeldForSomebody(context, pauseConditions, currentStepIndex)
        ? undefined
        : parseTime(duration?.manualPauseStartedAt);
    case "acknowledgement": {
      const { acknowledgement } = context.snapshot.traffic;
      return acknowledgement.kind === "no" ? acknowledgement.sinceMs : undefined;
    }
    case "analysis": {
      const ref =
        canary?.currentStepAnalysisRunStatus ??
        blueGreen?.prePromotionAnalysisRunStatus ??
        blueGreen?.postPromotionAnalysisRunStatus;
      const run = context.snapshot.analysis.runs.find(({ metadata }) => metadata.name === ref?.name);
      return parseTime(run?.status.startedAt ?? run?.metadata.creationTimestamp);
    }
    case "valid":
      return parseTime(condition("InvalidSpec")?.lastTransitionTime);
    case "replicas":
      return lastProgress(context);
    case "retry":
      return parseTime(abortedAt);
    case "restart":
      // A refused eviction has its own time: only the last refusal is known.
      return untilMs === undefined ? parseTime(context.rollout.spec.restartAt) : undefined;
    case "scaleDownDelay":
      return delayBegin(context, untilMs);
    case "plugin":
      return pluginBegin(context);
    case "weight":
    case "experiment":
      return undefined;
    default:
      return assertNever(code);
  }
}

/** When the delay that ends at `untilMs` began; undefined before it is written down. As long as the spec has it now. */
function delayBegin(context: Context, untilMs: number | undefined): number | undefined {
  const { roles, rollout, status, scaleDownDelayMs } = context;
  const replicaSet = roles.owned.find((item) => deadlineMsOf(item) === untilMs);
  if (untilMs === undefined || replicaSet === undefined) return undefined;
  const isAborted = status.abort === true && replicaSet === roles.current;
  if (!isAborted) return untilMs - scaleDownDelayMs;
  const seconds = abortScaleDownDelayOf(rollout);
  return seconds === "never" ? undefined : untilMs - seconds * 1000;
}

/** When the plugin that is waited for was first asked: the current step's, or with an abort those that it ends. */
function pluginBegin({ status }: Context): number | undefined {
  if (status.abort === true) return parseTime(status.abortedAt);
  const run = status.canary?.stepPluginStatuses?.find(
    ({ index, operation }) => index === status.currentStepIndex && operation === "Run",
  );
  return parseTime(run?.startedAt);
}

/**
 * When pods last got ahead: what the deadline counts from. Once it is over the condition tells when that was, and no longer what was before. While
 * the update is aborted or paused nobody notes what pods do.
 */
function lastProgress({ rollout, status }: Context): number | undefined {
  const { abort, pauseConditions = [], duration } = status;
  if (abort === true || pauseConditions.length > 0 || rollout.spec.paused === true) return undefined;
  const known = conditionOf(status.conditions, CONDITION_TYPES.progressing);
  if (known?.reason !== REASONS.progressDeadlineExceeded) return parseTime(known?.lastUpdateTime);
  const overMs = parseTime(known.lastTransitionTime);
  if (overMs === undefined) return undefined;
  // The deadline may have been another one by then: no earlier than the update.
  const beganMs = duration?.finishedAt === undefined ? parseTime(duration?.rolloutStartedAt) : undefined;
  return Math.max(overMs - progressDeadlineSecondsOf(rollout) * 1000, beganMs ?? 0);
}

/** Undefined where only time or others help, as the wait itself says. */
function wayOf({ code, untilMs }: Wait, promote: string, orBack: string, answer: string): string | undefined {
  switch (code) {
    case "pause":
      return untilMs === undefined ? promote : `time, or ${promote}`;
    case "user":
      return promote;
    case "inconclusive":
      return `${promote}${orBack}`;
    case "replicas":
      return `pods that become available${orBack}`;
    case "acknowledgement":
      return `${answer}${orBack}`;
    case "analysis":
      return "its measurements";
    case "experiment":
      return "the Experiment's end";
    case "valid":
      return "an apply of the corrected Rollout, or of what it names";
    case "plugin":
      // One that is told to end is past any promote or abort.
      return orBack === "" ? "the plugin's answer" : `the plugin's answer, or ${promote}${orBack}`;
    case "weight":
    case "scaleDownDelay":
    case "restart":
    case "retry":
      return undefined;
    default:
      return assertNever(code);
  }
}
