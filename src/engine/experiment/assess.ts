// The verdict on an Experiment from its templates and analyses. Source: Argo: experiments/experiment.go calculateStatus, assessTemplates,
// assessAnalysisRuns, v1.9.
import { isCompleted, isWorse } from "../../analysis/assess.ts";
import {
  type AnalysisPhase,
  EXPERIMENT_MESSAGES,
  type ExperimentAnalysisRunStatus,
  type TemplateStatus,
  type TemplateStatusCode,
} from "../../api/api.ts";
import { areRequiredRunsSuccessful, type ExperimentContext } from "./context.ts";

export interface Verdict {
  readonly phase: AnalysisPhase;
  readonly message: string;
  /** All templates have become available in this pass. */
  readonly isAvailable: boolean;
}

type Assessed = Pick<Verdict, "phase" | "message">;

/** Best first. */
const TEMPLATE_ORDER: readonly (TemplateStatusCode | undefined)[] = [
  "Successful",
  "Running",
  "Progressing",
  "Error",
  "Failed",
];
const TEMPLATE_PHASES: Readonly<Record<TemplateStatusCode, AnalysisPhase>> = {
  Successful: "Successful",
  Running: "Running",
  Progressing: "Pending",
  Error: "Error",
  Failed: "Failed",
};

/** Where the Experiment stands after this pass. A verdict once given stays. */
export function assess(
  context: ExperimentContext,
  templates: readonly TemplateStatus[],
  runs: readonly ExperimentAnalysisRunStatus[],
): Verdict {
  const { phase, message = "" } = context.status;
  if (phase === undefined) return { phase: "Pending", message, isAvailable: false };
  if (isCompleted(phase)) return { phase, message, isAvailable: false };
  const ofTemplates = templates.length === 0 ? withoutTemplates(context, runs) : worstTemplate(templates);
  const isAvailable = ofTemplates.phase === "Running" && context.availableMs === undefined;
  return { ...joined(context, ofTemplates, runs), isAvailable };
}

function joined(
  context: ExperimentContext,
  templates: Assessed,
  statuses: readonly ExperimentAnalysisRunStatus[],
): Assessed {
  const { spec } = context.experiment;
  const runs = worstRun(context, statuses);
  const hasRequired = (spec.analyses ?? []).some((analysis) => analysis.requiredForCompletion === true);
  const isRunsVerdict = isCompleted(templates.phase)
    ? // Having held for the whole time is not enough where analyses are required: their verdict is waited for.
      templates.phase === "Successful" && (isCompleted(runs.phase) || (hasRequired && hasBegun(context)))
    : isCompleted(runs.phase) && (runs.phase !== "Successful" || areRequiredRunsSuccessful(spec, statuses));
  return isRunsVerdict ? runs : templates;
}

/** Terminated before any analysis could begin, there is none to wait for. */
function hasBegun(context: ExperimentContext): boolean {
  return context.availableMs !== undefined;
}

/** Without templates it is available at once, and runs for its duration, or else as long as its analyses. With Argo it succeeds before any begins. */
function withoutTemplates(
  { experiment, isEnding, availableMs, endMs, nowMs }: ExperimentContext,
  runs: readonly ExperimentAnalysisRunStatus[],
): Assessed {
  const { analyses = [] } = experiment.spec;
  const isMeasuring = availableMs === undefined || runs.some(({ phase }) => !isCompleted(phase));
  const isDue = endMs === undefined ? isMeasuring : nowMs < endMs;
  return { phase: analyses.length > 0 && isDue && !isEnding ? "Running" : "Successful", message: "" };
}

function worstTemplate(templates: readonly TemplateStatus[]): Assessed {
  let worst: TemplateStatusCode = "Successful";
  let message = "";
  for (const { status = "Progressing", message: words = "" } of templates) {
    if (TEMPLATE_ORDER.indexOf(status) <= TEMPLATE_ORDER.indexOf(worst)) continue;
    worst = status;
    message = words;
  }
  return { phase: TEMPLATE_PHASES[worst], message };
}

/** Without analyses: Successful. As soon as all required ones are, the others only count when they are bad already. */
function worstRun(context: ExperimentContext, runs: readonly ExperimentAnalysisRunStatus[]): Assessed {
  let worst: AnalysisPhase = "Successful";
  let message = "";
  for (const { phase, message: words = "" } of runs) {
    if (!isWorse(phase, worst)) continue;
    worst = phase;
    message = words;
  }
  const isBad = isCompleted(worst) && worst !== "Successful";
  if (!isBad && areRequiredRunsSuccessful(context.experiment.spec, runs))
    return { phase: "Successful", message: EXPERIMENT_MESSAGES.requiredCompleted };
  return { phase: worst === "Pending" ? "Running" : worst, message };
}
