// The canary step `experiment`: the Experiment that it runs, what its verdict means for the update, and the shares of the traffic that its
// templates get. Source: Argo: rollout/experiment.go, rollout/trafficrouting.go, v1.9.
import { isCompleted } from "../../analysis/assess.ts";
import {
  CONDITION_TYPES,
  EXPERIMENT_MESSAGES,
  type Experiment,
  MESSAGES,
  REASONS,
  type WeightDestination,
} from "../../api/api.ts";
import { parseDuration } from "../../lib/duration.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import { type Context, isOwnedBy, memberAt } from "../context.ts";
import type { Action, PlannedEvent, Wait } from "../plan.ts";
import { identityOf } from "../pods/replicaset.ts";
import { shareAt } from "../pods/routedsizes.ts";
import { aborted, hasPause, isHalted, type Mode, type Stage, withPause } from "../stage.ts";
import { conditionOf } from "../status/conditions.ts";
import { beyondHistory } from "../steps/runhistory.ts";
import { fitted } from "../traffic/additional.ts";
import { newExperiment } from "./newexperiment.ts";

export interface ExperimentStepPlan {
  readonly stage: Stage;
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
}

/** Takes over the verdict of the step's Experiment. `isResumed`: the user lifted a pause, so that an inconclusive one is run once more. */
export function judgeExperiment(context: Context, before: Stage, isResumed: boolean): Stage {
  const stage = isAtExperiment(context, before) ? before : { ...before, experiment: undefined };
  const experiment = currentExperiment(context, stage);
  if (experiment === undefined || stage.isAborted || stage.promoteFull) return stage;
  const { phase, message = "" } = experiment.status;
  if (phase === "Failed" || phase === "Error")
    return { ...aborted(context, stage, MESSAGES.experimentFailed(message)), experiment: undefined };
  if (phase !== "Inconclusive") return stage;
  return isResumed
    ? { ...stage, experiment: undefined }
    : withPause(context, stage, "InconclusiveExperiment");
}

/** Whether the step's Experiment has succeeded. */
export function isExperimentSuccessful(context: Context, stage: Stage): boolean {
  return currentExperiment(context, stage)?.status.phase === "Successful";
}

/** When the step's Experiment last told of itself; undefined without one, now where it has no time for it. */
export function experimentToldMs(context: Context, stage: Stage): number | undefined {
  const experiment = currentExperiment(context, stage);
  if (experiment === undefined) return undefined;
  const told = conditionOf(experiment.status.conditions, CONDITION_TYPES.progressing);
  return parseTime(told?.lastUpdateTime);
}

/** Creates the Experiment that the stage needs, ends those that it does not, deletes old ones. */
export function planExperiments(context: Context, mode: Mode, before: Stage): ExperimentStepPlan {
  const isWanted = mode === "steps" && isAtExperiment(context, before) && !isHalted(context, before);
  const begun = isWanted ? begin(context, before) : undefined;
  const stage =
    begun?.stage ??
    (mode === "steps" && isAtExperiment(context, before) ? before : { ...before, experiment: undefined });
  const own = ownExperiments(context);
  const unneeded = own.filter(
    ({ metadata, spec, status }) =>
      metadata.name !== stage.experiment && !isCompleted(status.phase) && spec.terminate !== true,
  );
  const old = beyondHistory(context, own, new Set([stage.experiment]));
  return {
    stage,
    actions: [
      ...(begun?.actions ?? []),
      ...unneeded.map((one): Action => {
        const reason = "nothing waits for this Experiment any more";
        return { kind: "terminateExperiment", ...identityOf(one), reason };
      }),
      ...old.map((one): Action => {
        const reason = "the Experiment is beyond the history limit";
        return { kind: "deleteExperiment", ...identityOf(one), reason };
      }),
    ],
    events: begun?.events ?? [],
    waits: begun?.waits ?? [],
  };
}

/** The shares of the templates that run: those whose pods are all there and that a Service leads to. */
export function experimentShares(context: Context, mode: Mode, stage: Stage): readonly WeightDestination[] {
  const step = memberAt(context, stage.index, "experiment");
  const experiment = currentExperiment(context, stage);
  if (mode !== "steps" || step === undefined || experiment?.status.phase !== "Running") return [];
  return (experiment.status.templateStatuses ?? []).flatMap(({ name, serviceName, podTemplateHash }) => {
    const weight = step.experiment.templates.find((template) => template.name === name)?.weight;
    const isRoutable = serviceName !== undefined && podTemplateHash !== undefined;
    return weight === undefined || !isRoutable ? [] : [{ weight, serviceName, podTemplateHash }];
  });
}

/** Templates that get less than the weight that the step gives them: the canary is served before them, and a Service must lead to their pods. */
function shareWaits(context: Context, stage: Stage, { status }: Experiment): readonly Wait[] {
  const step = memberAt(context, stage.index, "experiment");
  if (step === undefined) return [];
  const { maxWeight } = context;
  const canary = shareAt(context, stage.index);
  const weighted = step.experiment.templates.map(({ name, weight = 0 }) => {
    const template = status.templateStatuses?.find((one) => one.name === name);
    return { name, weight, isServed: template?.status !== "Running" || template.serviceName !== undefined };
  });
  const shares = weighted.map(({ weight, isServed }) => ({ weight: isServed ? weight : 0 }));
  const fitting = fitted(shares, maxWeight - canary);
  return weighted.flatMap(({ name, weight, isServed }, index): readonly Wait[] => {
    const share = fitting[index]?.weight ?? 0;
    if (share >= weight) return [];
    const why = isServed
      ? `no more of ${maxWeight} is left beside the canary's ${canary}`
      : "it has no Service, which takes a port that its containers declare";
    return [{ code: "experiment", text: `template ${name} gets ${share} of its weight ${weight}: ${why}` }];
  });
}

/** The Experiment that the stage stands at, if it is there. */
function currentExperiment(context: Context, stage: Stage): Experiment | undefined {
  return stage.experiment === undefined
    ? undefined
    : ownExperiments(context).find(({ metadata }) => metadata.name === stage.experiment);
}

function isAtExperiment(context: Context, stage: Stage): boolean {
  return memberAt(context, stage.index, "experiment") !== undefined;
}

/** The step's Experiment: the one that is there, or a new one. It needs both versions to copy from. */
function begin(context: Context, stage: Stage): ExperimentStepPlan | undefined {
  if (hasPause(stage, "InconclusiveExperiment")) {
    const text = `Experiment ${stage.experiment ?? ""} was inconclusive: promote to run it again, or abort`;
    return { stage, actions: [], events: [], waits: [{ code: "inconclusive", text }] };
  }
  const current = currentExperiment(context, stage);
  if (current !== undefined) {
    const waits = isExperimentSuccessful(context, stage)
      ? []
      : [waitFor(current), ...shareWaits(context, stage, current)];
    return { stage, actions: [], events: [], waits };
  }
  const made = newExperiment(context, stage.index ?? 0);
  if (made.kind === "error")
    return { stage, actions: [], events: [], waits: [{ code: "valid", text: made.message }] };
  const { name, action } = made;
  const created: PlannedEvent = {
    type: "Normal",
    reason: REASONS.experimentCreated,
    message: EXPERIMENT_MESSAGES.created(name),
    of: { kind: "createExperiment", name },
  };
  return {
    stage: { ...stage, experiment: name },
    actions: action === undefined ? [] : [action],
    events: action === undefined ? [] : [created],
    waits: [{ code: "experiment", text: `Experiment ${name} is Pending` }],
  };
}

/** What the Experiment is doing, by name, and what will end it. */
function waitFor({ metadata, spec, status }: Experiment): Wait {
  const invalid = conditionOf(status.conditions, CONDITION_TYPES.invalidSpec);
  const details = [
    ...(invalid === undefined ? [] : [invalid.message]),
    ...(status.templateStatuses ?? []).map(
      ({ name, availableReplicas, status: code = "Progressing" }) =>
        `template ${name} ${code}, ${availableReplicas} available`,
    ),
    ...(status.analysisRuns ?? []).map(({ name, phase }) => `analysis ${name} ${phase}`),
  ];
  const detail = details.length === 0 ? "" : ` (${details.join("; ")})`;
  const what = `Experiment ${metadata.name} is ${status.phase ?? "Pending"}`;
  const availableMs = parseTime(status.availableAt);
  if (availableMs === undefined) return { code: "experiment", text: `${what}${detail}` };
  const durationMs = parseDuration(spec.duration ?? "");
  const hasRequired = (spec.analyses ?? []).some((analysis) => analysis.requiredForCompletion === true);
  const ends = [
    ...(durationMs === undefined ? [] : [formatTime(availableMs + durationMs)]),
    ...(hasRequired ? ["its required analyses have a verdict"] : []),
  ];
  const end = ends.length === 0 ? "it is terminated or the step promoted" : ends.join(" or ");
  const text = `${what} since ${formatTime(availableMs)}, until ${end}${detail}`;
  const untilMs = durationMs === undefined || hasRequired ? {} : { untilMs: availableMs + durationMs };
  return { code: "experiment", text, ...untilMs };
}

function ownExperiments(context: Context): readonly Experiment[] {
  return (context.snapshot.experiments ?? []).filter(
    (one) => isOwnedBy(one, context.uid) && one.metadata.deletionTimestamp === undefined,
  );
}
