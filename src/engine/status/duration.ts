// status.duration: when the update began and ended, how, and how long it stood still for somebody to decide.
// Source: Argo: rollout/sync.go calculateStatusDuration, v1.10.
import type { CompletionStatus, PauseCondition, RolloutDuration } from "../../api/api.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import { type Context, memberAt } from "../context.ts";
import { availableOf, createdMs } from "../pods/replicaset.ts";
import type { Stage } from "../stage.ts";

export interface TimingFacts {
  readonly stage: Stage;
  /** The stable version as the pass leaves it. */
  readonly stableHash: string;
  /** This pass makes the wanted version the stable one. */
  readonly isPromoted: boolean;
  /** The update went past its steps: full promotion, or back within the rollback window. */
  readonly isFast: boolean;
}

/** The record of the update, brought up to now. */
export function nextDuration(context: Context, facts: TimingFacts): RolloutDuration | undefined {
  const record = begun(context, facts.stage) ?? context.status.duration;
  if (record?.rolloutStartedAt === undefined || record.finishedAt !== undefined) return record;
  const completionStatus = completion(context, facts, record);
  const counted = countPause(
    record,
    context.nowMs,
    completionStatus === undefined && isManuallyPaused(context, facts.stage),
  );
  if (completionStatus === undefined) return counted;
  return { ...counted, finishedAt: formatTime(context.nowMs), completionStatus };
}

/**
 * The record that ended between two statuses, for the log and the metrics. One that another version replaced shows here alone: the status
 * holds the record of the update that runs.
 */
export function endedRecord(
  before: RolloutDuration | undefined,
  after: RolloutDuration | undefined,
): RolloutDuration | undefined {
  const isReplaced = before?.rolloutStartedAt !== after?.rolloutStartedAt;
  if (before?.rolloutStartedAt !== undefined && before.finishedAt === undefined && isReplaced) {
    const finishedAt = after?.rolloutStartedAt ?? before.rolloutStartedAt;
    const startMs = parseTime(finishedAt) ?? 0;
    return { ...countPause(before, startMs, false), finishedAt, completionStatus: "Superseded" };
  }
  const hasEnded = after?.finishedAt !== undefined && (before?.finishedAt === undefined || isReplaced);
  return hasEnded ? after : undefined;
}

/** The record of an update that begins with this pass; undefined when the known one goes on. */
function begun(context: Context, stage: Stage): RolloutDuration | undefined {
  const { status, podHash, nowMs } = context;
  const fresh = (): RolloutDuration => ({ rolloutStartedAt: formatTime(nowMs) });
  const isRetried = status.abortedAt !== undefined && !stage.isAborted && status.stableRS !== podHash;
  if (status.currentPodHash === podHash) return isRetried ? fresh() : undefined;
  const back = backStatus(context, false);
  if (back === undefined) return fresh();
  // Going back ends what was begun: the time to recover counts from there.
  const known = status.duration;
  const isOpen = known?.rolloutStartedAt !== undefined && known.finishedAt === undefined;
  return { ...(isOpen ? known : fresh()), completionStatus: back };
}

/** Going back to the stable version, or to one that is older than it; undefined for a version that is new. */
function backStatus({ roles }: Context, isFast: boolean): "RolledBack" | "FastRolledBack" | undefined {
  const { current, stable } = roles;
  if (current === undefined || stable === undefined) return undefined;
  if (current === stable) return "FastRolledBack";
  if (createdMs(current) >= createdMs(stable)) return undefined;
  return isFast ? "FastRolledBack" : "RolledBack";
}

/** How the update has ended; undefined while it goes on. */
function completion(
  context: Context,
  facts: TimingFacts,
  record: RolloutDuration,
): CompletionStatus | undefined {
  const { podHash, roles, replicas, status } = context;
  const forward = facts.isFast ? "FastPromoted" : "Promoted";
  // A first version is stable at once; its record ends when it is there.
  const isFirst = (status.stableRS ?? "") === "";
  if (facts.isPromoted && !isFirst) return backStatus(context, facts.isFast) ?? forward;
  const isThere = facts.stableHash === podHash && availableOf(roles.current) >= replicas;
  if (isThere) return record.completionStatus ?? "Promoted";
  return facts.stage.isAborted ? "Aborted" : undefined;
}

/** Whether the update stands still until somebody acts. */
function isManuallyPaused(context: Context, { pauses, index }: Stage): boolean {
  return context.rollout.spec.paused === true || isHeldForSomebody(context, pauses, index);
}

/** The same without spec.paused: at step `index`, under these pauses. */
export function isHeldForSomebody(
  context: Context,
  pauses: readonly PauseCondition[],
  index: number | undefined,
): boolean {
  const { strategy } = context;
  const isTimed =
    strategy.kind === "blueGreen" &&
    strategy.blueGreen.autoPromotionEnabled !== false &&
    (strategy.blueGreen.autoPromotionSeconds ?? 0) > 0;
  return pauses.some(({ reason }) => {
    if (reason === "BlueGreenPause") return !isTimed;
    if (reason === "CanaryPauseStep") return memberAt(context, index, "pause")?.durationMs === "indefinite";
    return true;
  });
}

function countPause(record: RolloutDuration, nowMs: number, isPaused: boolean): RolloutDuration {
  const startMs = parseTime(record.manualPauseStartedAt);
  if (isPaused)
    return startMs === undefined ? { ...record, manualPauseStartedAt: formatTime(nowMs) } : record;
  if (startMs === undefined) return record;
  const { manualPauseStartedAt: _, ...rest } = record;
  const seconds = Math.max(0, Math.floor((nowMs - startMs) / 1000));
  return {
    ...rest,
    totalManualPauseDurationSeconds: (record.totalManualPauseDurationSeconds ?? 0) + seconds,
  };
}
