// AnalysisRuns of an update: what the current ones say, which to create, end and delete. A failed run aborts, an inconclusive one pauses.
// Source: Argo: rollout/analysis.go, v1.9.
import { isCompleted } from "../../analysis/assess.ts";
import {
  type AnalysisPhase,
  type AnalysisRun,
  type AnalysisRunRef,
  analysisRunReason,
  MESSAGES,
  memberOf,
  POD_HASH_LABEL,
  ROLLOUT_TYPE_LABEL,
  STEP_INDEX_LABEL,
} from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { type Context, isOwnedBy, isPromoted } from "../context.ts";
import type { Action, PlannedEvent, Wait } from "../plan.ts";
import { identityOf } from "../pods/replicaset.ts";
import { isInRollbackWindow } from "../pods/rollbackwindow.ts";
import { aborted, hasPause, isHalted, type Mode, type Stage, withPause } from "../stage.ts";
import { selectedBy } from "../traffic/services.ts";
import { newRun, type RunKind } from "./newrun.ts";
import { beyondHistory } from "./runhistory.ts";

/** Where a run of each kind stands in a stage, and the words with which its failure aborts. In the order of their events. */
const PLACES = {
  PostPromotion: { ref: "postPromotionRun", failed: MESSAGES.postPromotionAnalysisFailed },
  PrePromotion: { ref: "prePromotionRun", failed: MESSAGES.prePromotionAnalysisFailed },
  Step: { ref: "stepRun", failed: MESSAGES.stepAnalysisFailed },
  Background: { ref: "backgroundRun", failed: MESSAGES.backgroundAnalysisFailed },
} as const;
const KINDS: readonly RunKind[] = ["PostPromotion", "PrePromotion", "Step", "Background"];

export interface Judgement {
  readonly stage: Stage;
  readonly events: readonly PlannedEvent[];
}

export interface RunPlan {
  readonly stage: Stage;
  readonly actions: readonly Action[];
  readonly waits: readonly Wait[];
}

/** Takes over what the current runs say. `isResumed`: the user lifted a pause, so that an inconclusive run is replaced by a new one. */
export function judgeRuns(context: Context, before: Stage, isResumed: boolean): Judgement {
  const events: PlannedEvent[] = [];
  let stage = withoutPastRuns(context, before);
  for (const kind of KINDS) {
    const ref = refOf(stage, kind);
    const run = ref === undefined ? undefined : ownRun(context, ref.name);
    if (ref === undefined || run === undefined) continue;
    const { phase, message } = run.status;
    const seen = {
      name: ref.name,
      ...(phase === undefined ? {} : { status: phase }),
      ...withMessage(message),
    };
    stage = withRef(stage, kind, seen);
    if (phase !== undefined && phase !== ref.status) events.push(changed(kind, ref.name, phase, ref.status));
    if (stage.isAborted || stage.promoteFull || isPromoted(context) || isInRollbackWindow(context)) continue;
    if (phase === "Failed" || phase === "Error") {
      stage = aborted(context, stage, PLACES[kind].failed(message ?? ""));
    } else if (phase === "Inconclusive") {
      // Only a verdict that was told before can be what the user has answered.
      stage =
        isResumed && ref.status === "Inconclusive"
          ? withRef(stage, kind, undefined)
          : withPause(context, stage, "InconclusiveAnalysisRun");
    }
  }
  return { stage, events };
}

/** Creates the runs that are wanted, ends those that no longer count (all when the update `isOver`), deletes old ones. */
export function planRuns(
  context: Context,
  wanted: readonly RunKind[],
  isOver: boolean,
  before: Stage,
): RunPlan {
  const actions: Action[] = [];
  const waits: Wait[] = [];
  let stage = before;
  for (const kind of wanted) {
    const ref = refOf(stage, kind);
    // A step's run that has succeeded holds up nothing more, whatever else its step lacks, nor is it repeated when it is deleted.
    if (kind === "Step" && isStepRunSuccessful(stage)) continue;
    if (ref === undefined || ownRun(context, ref.name) === undefined) {
      const run = newRun(context, kind, stage.index ?? 0);
      if (run.kind === "error") {
        waits.push({ code: "valid", text: run.message });
        continue;
      }
      if (run.action !== undefined) actions.push(run.action);
      stage = withRef(stage, kind, { name: run.name });
    }
    if (kind !== "Background") waits.push(waitFor(refOf(stage, kind)));
  }
  actions.push(...endUnneeded(context, isOver ? undefined : stage));
  actions.push(...deleteOld(context, shownIn(stage)));
  return { stage, actions, waits };
}

/** Without the runs that count no more. An abort goes on showing those that it came from. */
function withoutPastRuns(context: Context, before: Stage): Stage {
  if (before.isAborted) return before;
  const past = KINDS.filter((kind) => refOf(before, kind) !== undefined && !isOfSpec(context, before, kind));
  return past.reduce((stage, kind) => withRef(stage, kind, undefined), before);
}

/** Whether the spec still has what the run of that kind is for: the user may have taken an analysis out, put it off, or gone past its step. */
function isOfSpec(context: Context, stage: Stage, kind: RunKind): boolean {
  switch (kind) {
    case "PrePromotion":
      return context.blueGreen.prePromotionAnalysis !== undefined && !isOvertaken(context, stage);
    case "PostPromotion":
      return context.blueGreen.postPromotionAnalysis !== undefined;
    case "Step":
    case "Background":
      return !isPromoted(context) && isOfIndex(context, stage, kind);
    default:
      return assertNever(kind);
  }
}

/**
 * Whether the version has the traffic, though the run that was to come before has not succeeded: its verdict comes too late.
 * Source: Argo: rollout/analysis.go skipPrePromotionAnalysisRun, v1.9.
 */
function isOvertaken(context: Context, { prePromotionRun }: Stage): boolean {
  if (selectedBy(context.snapshot.services.active) !== context.podHash) return false;
  return ownRun(context, prePromotionRun?.name ?? "")?.status.phase !== "Successful";
}

/** Whether the run goes with the step that the update stands at. */
function isOfIndex(context: Context, stage: Stage, kind: "Step" | "Background"): boolean {
  if (kind === "Background") return runsAt(context, indexOf(stage)).includes(kind);
  const run = stage.stepRun === undefined ? undefined : ownRun(context, stage.stepRun.name);
  return run === undefined || run.metadata.labels?.[STEP_INDEX_LABEL] === String(stage.index);
}

/** Whether a run of that kind goes on for the wanted version: one that a pass made and could not note in the status is no other's. */
export function hasOpenRun(context: Context, kind: RunKind): boolean {
  return ownRuns(context).some((run) => {
    const { [ROLLOUT_TYPE_LABEL]: type, [POD_HASH_LABEL]: podHash } = run.metadata.labels ?? {};
    return isOpen(run) && type === kind && podHash === context.podHash;
  });
}

/** Whether the step's run has succeeded. */
export function isStepRunSuccessful(stage: Stage): boolean {
  return stage.stepRun?.status === "Successful";
}

/** The runs that a canary has now. */
export function canaryRuns(context: Context, mode: Mode, stage: Stage): readonly RunKind[] {
  if (mode !== "steps" || isHalted(context, stage)) return [];
  const kinds = runsAt(context, indexOf(stage));
  return hasPause(stage, "CanaryPauseStep") ? kinds.filter((kind) => kind !== "Step") : kinds;
}

/** Without steps a background analysis begins at once. */
function indexOf({ index }: Stage): number {
  return index ?? Number.POSITIVE_INFINITY;
}

/** The runs that go with a step. */
function runsAt({ steps, canary: { analysis } }: Context, index: number): readonly RunKind[] {
  const kinds: RunKind[] = [];
  if (memberOf(steps[index], "analysis") !== undefined) kinds.push("Step");
  if (analysis !== undefined && index >= (analysis.startingStep ?? 0)) kinds.push("Background");
  return kinds;
}

function waitFor(ref: AnalysisRunRef | undefined): Wait {
  return { code: "analysis", text: `AnalysisRun ${ref?.name ?? ""} is ${ref?.status ?? "Pending"}` };
}

/** The runs that the status shows. */
function shownIn(stage: Stage): ReadonlySet<string | undefined> {
  return new Set(KINDS.map((kind) => refOf(stage, kind)?.name));
}

/** Ends runs that nothing waits for any more: all of them when no update is `ongoing`. */
function endUnneeded(context: Context, ongoing: Stage | undefined): readonly Action[] {
  const open = ownRuns(context).filter(isOpen);
  const shown: ReadonlySet<string | undefined> = ongoing === undefined ? new Set() : shownIn(ongoing);
  const others = open.filter(({ metadata }) => !shown.has(metadata.name));
  const early = ongoing === undefined || others.length === 0 ? [] : earlyRuns(context, ongoing);
  return others
    .filter(({ metadata }) => !early.includes(metadata.name))
    .map((run) => ({
      kind: "terminateAnalysisRun",
      ...identityOf(run),
      reason: "nothing waits for this run any more",
    }));
}

/**
 * Runs of the next step: a pass that made them died before it could note that the step is done. The next one may not see so yet, while it does
 * not know what proxies follow.
 */
function earlyRuns(context: Context, { index }: Stage): readonly string[] {
  if (index === undefined) return [];
  const { currentStepAnalysisRunStatus, currentBackgroundAnalysisRunStatus } = context.status.canary ?? {};
  const noted = [currentStepAnalysisRunStatus?.name, currentBackgroundAnalysisRunStatus?.name];
  return runsAt(context, index + 1).flatMap((kind) => {
    const run = newRun(context, kind, index + 1);
    return run.kind === "run" && run.action === undefined && !noted.includes(run.name) ? [run.name] : [];
  });
}

function isOpen({ status, spec }: AnalysisRun): boolean {
  return !isCompleted(status.phase) && spec.terminate !== true;
}

/** Deletes finished runs of versions that are gone, and those beyond the history limits, oldest first. */
function deleteOld(context: Context, shown: ReadonlySet<string | undefined>): readonly Action[] {
  return beyondHistory(context, ownRuns(context), shown).map((run) => ({
    kind: "deleteAnalysisRun",
    ...identityOf(run),
    reason: "the run is beyond the history limit",
  }));
}

function changed(
  kind: RunKind,
  name: string,
  phase: AnalysisPhase,
  before: string | undefined,
): PlannedEvent {
  const isBad = phase === "Failed" || phase === "Error";
  return {
    type: isBad ? "Warning" : "Normal",
    reason: analysisRunReason(phase),
    message: MESSAGES.analysisRunChanged(kind, name, phase, before),
  };
}

function ownRuns(context: Context): readonly AnalysisRun[] {
  return context.snapshot.analysis.runs.filter(
    (run) => isOwnedBy(run, context.uid) && run.metadata.deletionTimestamp === undefined,
  );
}

function ownRun(context: Context, name: string): AnalysisRun | undefined {
  return ownRuns(context).find((run) => run.metadata.name === name);
}

function refOf(stage: Stage, kind: RunKind): AnalysisRunRef | undefined {
  return stage[PLACES[kind].ref];
}

function withRef(stage: Stage, kind: RunKind, ref: AnalysisRunRef | undefined): Stage {
  return { ...stage, [PLACES[kind].ref]: ref };
}

function withMessage(message: string | undefined): { message?: string } {
  return message === undefined || message === "" ? {} : { message };
}
