// One pass of a blue-green Rollout whose ReplicaSet exists: what the user and the analyses say, the pause, the preview, the switch of the
// active Service, then runs, promotion and sizes, each from what was observed and from the choices before it. The order of this page is the
// order of the pass. Source: Argo: rollout/bluegreen.go, v1.9.
import { MESSAGES, PROMOTION_REASONS, REASONS } from "../api/api.ts";
import { type BlueGreenFacts, blueGreenFacts } from "./bluegreen/facts.ts";
import { isPrePromotionDone, planPause, withPreviewPassed } from "./bluegreen/pause.ts";
import { planBlueGreenSizes } from "./bluegreen/sizes.ts";
import { blueGreenStatus, silentProxies, unsettledBlueGreen } from "./bluegreen/status.ts";
import { planActive, planPreview, unansweredWaits } from "./bluegreen/switch.ts";
import { blueGreenInForce, blueGreenIntent } from "./bluegreen/traffic.ts";
import { type Context, isPromoted, replicaSetName } from "./context.ts";
import type { Decision } from "./decision.ts";
import type { PlannedEvent, Wait } from "./plan.ts";
import { stableWaits } from "./pods/shortage.ts";
import { afterUser, isHalted, type Mode, modeOf, promotedStage, type Stage } from "./stage.ts";
import { hasOpenRun, judgeRuns, planRuns } from "./steps/analysisruns.ts";
import type { RunKind } from "./steps/newrun.ts";
import { type InForce, overdueAt } from "./traffic/inforce.ts";
import { selectedBy } from "./traffic/services.ts";

/** Decides the pass. `reset`: the stage to begin with when the spec asks for another version. */
export function decideBlueGreen(context: Context, reset: Stage | undefined): Decision {
  // Argo's first pass over another version notes it, the next one begins.
  if (context.status.currentPodHash !== context.podHash) return prepareBlueGreen(context, reset);
  const user = afterUser(context, reset);
  const judged = judgeRuns(context, user.stage, user.isResumed);
  const facts = blueGreenFacts(context, judged.stage);
  const pause = planPause(context, judged.stage, facts, user.isResumed);
  const preview = planPreview(context, pause.stage);
  const active = planActive(context, pause.stage, facts, pause.isOver);
  const inForce = blueGreenInForce(context, active.selected);

  const passed = withPreviewPassed(context, pause.stage, facts, pause.isOver);
  const mode = modeOf(context, passed);
  // Where the status does not know the stable version, the active Service may tell that this is no first one.
  const isGated = mode === "steps" || (mode === "firstDeploy" && facts.fastTrack === undefined);
  const wanted = isGated ? wantedRuns(context, passed, facts, inForce) : [];
  const runs = planRuns(context, wanted, !isGated, passed);

  const promotion = promotionOf(context, runs.stage, facts, active.selected, inForce);
  const isPromoting = promotion.reason !== undefined;
  const stage = isPromoting ? promotedStage(context, runs.stage) : runs.stage;
  const stableHash = isPromoting ? context.podHash : (context.status.stableRS ?? "");
  const wishes = { stage: runs.stage, facts, previewHash: preview.selected, inForce };
  const sizes = planBlueGreenSizes(context, wishes);
  const outcome = { stage, stableHash, activeHash: active.selected, previewHash: preview.selected };
  return {
    planner: PLANNER_NAMES[mode],
    mode,
    stage,
    stableHash,
    promotion: promotion.reason,
    isFast: facts.fastTrack === "delay",
    status: blueGreenStatus(context, outcome),
    unsettled: unsettledBlueGreen(context, outcome, inForce),
    traffic: blueGreenIntent(context, active.selected, stableHash),
    actions: [...preview.actions, ...sizes.actions, ...active.actions, ...runs.actions],
    events: {
      first: preview.events,
      steps: [],
      // Argo looks at analyses after the Service: it tells of their success behind the switch, and switches back when the abort is told.
      ...(stage.abortMessage === undefined
        ? {
            scaling: [...sizes.events, ...active.events, ...judged.events],
            last: resumed(user.isResumed && !isHalted(context, judged.stage)),
          }
        : { scaling: [...sizes.events, ...judged.events], last: active.events }),
    },
    waits: [
      ...unansweredWaits(context, active.selected),
      ...pause.waits,
      ...active.waits,
      ...runs.waits,
      ...promotion.waits,
      ...sizes.waits,
    ],
    warnings: sizes.warnings,
    requeueAtMs: [pause.requeueAtMs, sizes.requeueAtMs, overdueAt(inForce)].filter(
      (atMs) => atMs !== undefined,
    ),
    next: nextWords(mode, facts, { isActive: active.selected === context.podHash, isPromoting }),
  };
}

/** A pass in which something has to exist or be noted first: the preview Service follows the wanted version already. */
export function prepareBlueGreen(context: Context, reset: Stage | undefined): Decision {
  const { services } = context.snapshot;
  const { stage } = afterUser(context, reset);
  const stableHash = context.status.stableRS ?? "";
  const activeHash = selectedBy(services.active);
  const { orphans, blocker } = context.roles;
  const isMade = orphans.length === 0 && blocker === undefined;
  const preview = isMade
    ? planPreview(context, stage)
    : { actions: [], events: [], selected: selectedBy(services.preview) };
  const outcome = { stage, stableHash, activeHash, previewHash: preview.selected };
  return {
    planner: "revision",
    mode: modeOf(context, stage),
    stage,
    stableHash,
    promotion: undefined,
    status: blueGreenStatus(context, outcome),
    unsettled: unsettledBlueGreen(context, outcome, { kind: "notApplicable" }),
    traffic: blueGreenIntent(context, activeHash, stableHash),
    actions: preview.actions,
    events: { first: preview.events, steps: [], scaling: [], last: [] },
    waits: [],
    warnings: [],
    requeueAtMs: [],
    next: "scale the new version",
  };
}

const PLANNER_NAMES: Readonly<Record<Mode, string>> = {
  firstDeploy: "first deploy",
  promoted: "promoted",
  promoteFull: "promote full",
  rollback: "rollback",
  aborted: "abort",
  steps: "blue-green",
};

/** The runs that are due: before the switch once the preview is there, after it once the proxies follow. */
function wantedRuns(
  context: Context,
  stage: Stage,
  facts: BlueGreenFacts,
  inForce: InForce,
): readonly RunKind[] {
  if (isHalted(context, stage)) return [];
  const { postPromotionAnalysis } = context.blueGreen;
  const isPreDue = facts.fastTrack === undefined && !isPrePromotionDone(context, stage);
  if (isPreDue && (facts.isReady || hasOpenRun(context, "PrePromotion"))) return ["PrePromotion"];
  const isPostDue =
    postPromotionAnalysis !== undefined &&
    facts.fastTrack === "active" &&
    stage.postPromotionRun?.status !== "Successful";
  const isThere = facts.isSaturated && inForce.kind !== "no";
  return isPostDue && (isThere || hasOpenRun(context, "PostPromotion")) ? ["PostPromotion"] : [];
}

/** Whether the wanted version becomes the stable one now, and why or why not. */
function promotionOf(
  context: Context,
  stage: Stage,
  { fastTrack }: BlueGreenFacts,
  activeHash: string,
  inForce: InForce,
): { readonly reason?: string; readonly waits: readonly Wait[] } {
  const { initialDeploy, fullPromotion, rollbackInWindow, rollbackInDelay, blueGreen } = PROMOTION_REASONS;
  if (stage.isAborted) return { waits: stableWaits(context, context.roles.stable) };
  if (isPromoted(context)) {
    const words = silentProxies(context, inForce);
    const silent: readonly Wait[] = words === undefined ? [] : [{ code: "acknowledgement", text: words }];
    return { waits: [...silent, ...stableWaits(context, context.roles.current)] };
  }
  const isOther = activeHash !== context.podHash;
  const isFirst = (context.status.stableRS ?? "") === "" && !isOther;
  if (activeHash === "" || isFirst) return { reason: initialDeploy, waits: [] };
  if (isOther || isHalted(context, stage)) return { waits: [] };
  if (inForce.kind === "no") return { waits: [{ code: "acknowledgement", text: inForce.words }] };
  if (stage.promoteFull) return { reason: fullPromotion, waits: [] };
  if (fastTrack === "window") return { reason: rollbackInWindow, waits: [] };
  if (fastTrack === "delay")
    return { reason: rollbackInDelay(replicaSetName(context.name, context.podHash)), waits: [] };
  const isAnalysed = context.blueGreen.postPromotionAnalysis !== undefined;
  if (isAnalysed && stage.postPromotionRun?.status !== "Successful") return { waits: [] };
  return { reason: blueGreen, waits: [] };
}

function resumed(isResumed: boolean): readonly PlannedEvent[] {
  return isResumed ? [{ type: "Normal", reason: REASONS.rolloutResumed, message: MESSAGES.resumed }] : [];
}

function nextWords(
  mode: Mode,
  { activeHash, fastTrack }: BlueGreenFacts,
  { isActive, isPromoting }: { readonly isActive: boolean; readonly isPromoting: boolean },
): string {
  if (mode === "aborted") return "nothing until somebody retries, or applies another version";
  if (activeHash === "") return "point the active Service at this first version";
  if (mode === "promoted" && !isActive) return "point the active Service back at the stable version";
  if (isPromoting || mode === "promoted") return "nothing: the version is the stable one";
  return fastTrack === "active"
    ? "make the new version the stable one"
    : "point the active Service at the new version";
}
