// status.phase and status.message: the one word and the one line that clients show. The first row that fits wins.
// Source: Argo: utils/rollout/rolloututil.go, v1.9; the last row but one is weir's own.
import { isCompleted } from "../../analysis/assess.ts";
import {
  CONDITION_TYPES,
  PHASE_MESSAGES,
  REASONS,
  type RolloutPhase,
  type RolloutStatus,
} from "../../api/api.ts";
import { parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import { routerRefusals } from "../traffic/otherrouters.ts";
import { conditionOf } from "./conditions.ts";

export interface PhaseAndMessage {
  readonly phase: RolloutPhase;
  readonly message: string;
}

/** The phase of `status`, whose conditions and counts are final. `unsettled`: what Healthy would claim and does not hold yet. */
export function phaseOf(
  context: Context,
  status: RolloutStatus,
  unsettled: string | undefined,
): PhaseAndMessage {
  const invalid = conditionOf(status.conditions, CONDITION_TYPES.invalidSpec);
  if (invalid !== undefined) return degraded(REASONS.invalidSpec, invalid.message);
  const bad = status.conditions?.find(
    ({ reason }) => reason === REASONS.rolloutAborted || reason === REASONS.progressDeadlineExceeded,
  );
  if (bad !== undefined) return degraded(bad.reason, bad.message);
  if (context.rollout.spec.paused === true)
    return { phase: "Paused", message: PHASE_MESSAGES.manuallyPaused };
  const [pause] = status.pauseConditions ?? [];
  // A pause whose time is over stays in the status while routers hold the step, and is none: nobody has to resume it.
  const isOver = conditionOf(status.conditions, CONDITION_TYPES.paused)?.status === "False";
  if (pause !== undefined && !isOver) return { phase: "Paused", message: pause.reason };
  const progress = progressMessage(context, status);
  // Argo says nothing of an object that it may not write to, and tries again for ever.
  const waiting = progress === undefined ? unsettled : `${progress}${routerRefusals(context)}`;
  return waiting === undefined
    ? { phase: "Healthy", message: "" }
    : { phase: "Progressing", message: waiting };
}

function progressMessage(context: Context, status: RolloutStatus): string | undefined {
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  if (isRestarting(context, status)) return PHASE_MESSAGES.restarting;
  if (updatedReplicas < context.replicas) return PHASE_MESSAGES.moreReplicas;
  if (availableReplicas < updatedReplicas) return PHASE_MESSAGES.becomingAvailable;
  if (context.strategy.kind === "blueGreen") return blueGreenMessage(status);
  if (!context.hasRouter && replicas > updatedReplicas) return PHASE_MESSAGES.oldReplicas;
  return status.stableRS === status.currentPodHash ? undefined : PHASE_MESSAGES.waitingForSteps;
}

function isRestarting({ rollout }: Context, { restartedAt }: RolloutStatus): boolean {
  const dueMs = parseTime(rollout.spec.restartAt);
  return dueMs !== undefined && dueMs !== parseTime(restartedAt);
}

function blueGreenMessage({ blueGreen, currentPodHash, stableRS }: RolloutStatus): string | undefined {
  const active = blueGreen?.activeSelector ?? "";
  if (active === "" || active !== currentPodHash) return PHASE_MESSAGES.cutoverPending;
  if (stableRS === currentPodHash) return undefined;
  const run = blueGreen?.postPromotionAnalysisRunStatus;
  return run !== undefined && !isCompleted(run.status)
    ? PHASE_MESSAGES.waitingForAnalysis
    : PHASE_MESSAGES.waitingForPostPromotion;
}

function degraded(reason: string, message: string): PhaseAndMessage {
  return { phase: "Degraded", message: PHASE_MESSAGES.because(reason, message) };
}
