// status.duration: when the update began and ended, how, and how long it stood still for somebody to decide.
import type { CompletionStatus, RolloutDuration } from "../api/api.ts";
import type { Context } from "./context.ts";
import { byAge } from "./replicaset.ts";
import type { Stage } from "./stage.ts";
import { hasPause } from "./stage.ts";
import { formatTime, parseTime } from "./time.ts";

export interface TimingFacts {
  /** The spec asks for another version than the last status knew. */
  readonly isNewVersion: boolean;
  readonly isPromoted: boolean;
  readonly isAborted: boolean;
  readonly isRetried: boolean;
  /** The update went past its steps: full promotion, or back to the stable version. */
  readonly isFast: boolean;
  readonly isManuallyPaused: boolean;
}

/** The record of the update, brought up to now. */
export function nextDuration(context: Context, facts: TimingFacts): RolloutDuration | undefined {
  const now = formatTime(context.nowMs);
  const isBegun = facts.isNewVersion || facts.isRetried;
  let record: RolloutDuration = isBegun ? { rolloutStartedAt: now } : (context.status.duration ?? {});
  if (record.rolloutStartedAt === undefined) return context.status.duration;
  if (record.finishedAt !== undefined) return record;
  record = countPause(record, context, facts.isManuallyPaused);
  const completionStatus = completion(context, facts);
  return completionStatus === undefined ? record : { ...record, finishedAt: now, completionStatus };
}

/** Whether the update stands still until somebody acts. */
export function isManuallyPaused(context: Context, stage: Stage): boolean {
  const step = stage.index === undefined ? undefined : context.steps[stage.index];
  const waitsForUser = step?.kind === "pause" && step.durationMs === "indefinite";
  return (
    context.rollout.spec.paused === true ||
    hasPause(stage, "InconclusiveAnalysisRun") ||
    (hasPause(stage, "CanaryPauseStep") && waitsForUser)
  );
}

function countPause(record: RolloutDuration, context: Context, isPaused: boolean): RolloutDuration {
  const startMs = parseTime(record.manualPauseStartedAt);
  if (isPaused)
    return startMs === undefined ? { ...record, manualPauseStartedAt: formatTime(context.nowMs) } : record;
  if (startMs === undefined) return record;
  const { manualPauseStartedAt: _, ...rest } = record;
  const seconds = Math.max(0, Math.round((context.nowMs - startMs) / 1000));
  return {
    ...rest,
    totalManualPauseDurationSeconds: (record.totalManualPauseDurationSeconds ?? 0) + seconds,
  };
}

function completion(context: Context, facts: TimingFacts): CompletionStatus | undefined {
  if (facts.isAborted) return "Aborted";
  if (!facts.isPromoted) return undefined;
  const { current, stable } = context.roles;
  const isBack =
    current !== undefined && stable !== undefined && (current === stable || byAge(current, stable) < 0);
  if (isBack) return facts.isFast || current === stable ? "FastRolledBack" : "RolledBack";
  return facts.isFast ? "FastPromoted" : "Promoted";
}
