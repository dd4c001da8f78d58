// The AnalysisRuns of an Experiment: begun once all templates are available, followed to their end, ended with it.
// Source: Argo: experiments/experiment.go reconcileAnalysisRun, v1.9.
import { isCompleted } from "../../analysis/assess.ts";
import {
  type AnalysisRun,
  EXPERIMENT_ANALYSIS_ANNOTATION,
  EXPERIMENT_MESSAGES,
  EXPERIMENT_REASONS,
  type ExperimentAnalysis,
  type ExperimentAnalysisRunStatus,
} from "../../api/api.ts";
import { isOwnedBy } from "../context.ts";
import type { Action, PlannedEvent, Wait } from "../plan.ts";
import type { ExperimentContext } from "./context.ts";
import { analysisText, newExperimentRun } from "./newrun.ts";
import { type ExperimentPart, NO_PART, together } from "./plan.ts";

export interface RunsPart extends ExperimentPart {
  readonly statuses: readonly ExperimentAnalysisRunStatus[];
  /** Fields that are written otherwise than what runs. */
  readonly changed: readonly string[];
}

/** One analysis; without a status it has not begun. */
interface RunPart extends ExperimentPart {
  readonly status?: ExperimentAnalysisRunStatus;
  readonly changed?: string;
}

/** Creates, follows and ends the runs. */
export function planExperimentRuns(context: ExperimentContext): RunsPart {
  const analyses = context.experiment.spec.analyses ?? [];
  const parts = analyses.map((analysis) => {
    const seen = context.status.analysisRuns?.find(({ name }) => name === analysis.name);
    const part = planRun(context, analysis, seen);
    return { ...part, events: [...part.events, ...transition(seen, part.status)] };
  });
  const kept = new Set(parts.map(({ status }) => status?.analysisRun));
  const orphans = ownRuns(context).filter((run) => isRunning(run) && !kept.has(run.metadata.name));
  const ended = orphans.map((run) => terminate(run, "none of the Experiment's analyses waits for it"));
  return {
    ...together([...parts, { ...NO_PART, actions: ended }]),
    statuses: parts.flatMap(({ status }) => status ?? []),
    changed: parts.flatMap(({ changed }) => changed ?? []),
  };
}

function planRun(
  context: ExperimentContext,
  analysis: ExperimentAnalysis,
  seen: ExperimentAnalysisRunStatus | undefined,
): RunPart {
  if (seen !== undefined && isCompleted(seen.phase)) return { ...NO_PART, status: seen };
  if (context.availableMs === undefined) return planAhead(context, analysis, seen);
  if (seen === undefined || seen.analysisRun === "") {
    if (!context.isEnding) return planNew(context, analysis);
    return seen === undefined ? NO_PART : { ...NO_PART, status: seen };
  }
  const run = ownRuns(context).find(({ metadata }) => metadata.name === seen.analysisRun);
  if (run === undefined) {
    const message = EXPERIMENT_MESSAGES.runMissing(seen.analysisRun);
    return { ...NO_PART, status: { ...seen, phase: "Error", message } };
  }
  const { phase = "Pending", message = "" } = run.status;
  const { message: _, ...rest } = seen;
  const status = { ...rest, phase, ...(message === "" ? {} : { message }) };
  // A run that the Experiment ended is followed as well: Argo leaves its phase as it was, and with a required run never finishes.
  if (isCompleted(phase)) return { ...NO_PART, status };
  const part = { ...NO_PART, status, waits: [waitFor(analysis, run)] };
  if (context.isEnding) return isRunning(run) ? { ...part, ...planEnd(analysis, run) } : part;
  const written = run.metadata.annotations?.[EXPERIMENT_ANALYSIS_ANNOTATION];
  const isSame = written === undefined || written === analysisText(analysis);
  return isSame ? part : { ...part, changed: `spec.analyses[${analysis.name}]` };
}

/** Before anything is available: only whether the template is there, so that a misspelt name is told at once. */
function planAhead(
  context: ExperimentContext,
  analysis: ExperimentAnalysis,
  seen: ExperimentAnalysisRunStatus | undefined,
): RunPart {
  const { clusterTemplates, templates } = context.snapshot.analysis;
  const isCluster = analysis.clusterScope === true;
  const among = isCluster ? clusterTemplates : templates;
  const isThere = among.some(({ metadata }) => metadata.name === analysis.templateName);
  if (isThere || context.isEnding) return seen === undefined ? NO_PART : { ...NO_PART, status: seen };
  const kind = isCluster ? "ClusterAnalysisTemplate" : "AnalysisTemplate";
  const message = EXPERIMENT_MESSAGES.templateMissing(kind, analysis.name, analysis.templateName);
  return { ...NO_PART, status: { name: analysis.name, analysisRun: "", phase: "Error", message } };
}

function planNew(context: ExperimentContext, analysis: ExperimentAnalysis): RunPart {
  const made = newExperimentRun(context, analysis);
  const { name } = analysis;
  if (made.kind === "error") {
    const message = EXPERIMENT_MESSAGES.runFailed(name, made.message);
    return { ...NO_PART, status: { name, analysisRun: "", phase: "Error", message } };
  }
  const actions = made.action === undefined ? [] : [made.action];
  return { ...NO_PART, actions, status: { name, analysisRun: made.name, phase: "Pending" } };
}

function planEnd(analysis: ExperimentAnalysis, run: AnalysisRun): Pick<RunPart, "actions" | "events"> {
  const event: PlannedEvent = {
    type: "Normal",
    reason: EXPERIMENT_REASONS.runTerminating,
    message: EXPERIMENT_MESSAGES.runTerminating(analysis.name, run.metadata.name),
    of: { kind: "terminateAnalysisRun", name: run.metadata.name },
  };
  return { actions: [terminate(run, "the Experiment has ended")], events: [event] };
}

function terminate(run: AnalysisRun, reason: string): Action {
  const { namespace = "", name, uid = "" } = run.metadata;
  return { kind: "terminateAnalysisRun", namespace, name, uid, reason };
}

function transition(
  seen: ExperimentAnalysisRunStatus | undefined,
  status: ExperimentAnalysisRunStatus | undefined,
): readonly PlannedEvent[] {
  if (status === undefined || status.phase === seen?.phase) return [];
  const { name, phase, message } = status;
  const isBad = isCompleted(phase) && phase !== "Successful";
  return [
    {
      type: isBad ? "Warning" : "Normal",
      reason: EXPERIMENT_REASONS.run(phase),
      message: EXPERIMENT_MESSAGES.runChanged(name, seen?.phase, phase, message),
    },
  ];
}

function waitFor(
  { name, requiredForCompletion }: ExperimentAnalysis,
  { metadata, status }: AnalysisRun,
): Wait {
  const role = requiredForCompletion === true ? "required analysis" : "analysis";
  return {
    code: "analysis",
    text: `${role} ${name}: AnalysisRun ${metadata.name} is ${status.phase ?? "Pending"}`,
  };
}

function isRunning(run: AnalysisRun): boolean {
  return !isCompleted(run.status.phase) && run.spec.terminate !== true;
}

function ownRuns({ snapshot, uid }: ExperimentContext): readonly AnalysisRun[] {
  return snapshot.analysis.runs.filter(
    (run) => isOwnedBy(run, uid) && run.metadata.deletionTimestamp === undefined,
  );
}
