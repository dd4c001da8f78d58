// One pass over an Experiment: the page to read first. Each template runs as a ReplicaSet; once all are available the analyses begin and the
// duration counts; the worst of templates and analyses is the verdict, and then everything goes down. Pure, like decide.ts.
// Source: Argo: experiments/experiment.go, v1.9.
import { isCompleted } from "../analysis/assess.ts";
import { CONDITION_TYPES, EXPERIMENT_MESSAGES, EXPERIMENT_REASONS, REASONS } from "../api/api.ts";
import { formatTime } from "../lib/time.ts";
import { assess, type Verdict } from "./experiment/assess.ts";
import { type ExperimentContext, experimentContextOf } from "./experiment/context.ts";
import { type ExperimentPlan, together } from "./experiment/plan.ts";
import { planExperimentRuns } from "./experiment/runs.ts";
import { experimentProblems } from "./experiment/spec.ts";
import { planRemoved, planTemplate, type TemplatePlan } from "./experiment/template.ts";
import type { ExperimentSnapshot } from "./snapshot.ts";
import { ConditionBoard } from "./status/conditions.ts";
import { clean } from "./status/status.ts";

/** Decides one pass. */
export function decideExperiment(snapshot: ExperimentSnapshot, nowMs: number): ExperimentPlan {
  const context = experimentContextOf(snapshot, nowMs);
  if (snapshot.experiment.metadata.deletionTimestamp !== undefined) return untouched(context);
  const [problem] = experimentProblems(snapshot.experiment);
  if (problem !== undefined) return invalid(context, problem.message);
  const templates = snapshot.experiment.spec.templates.map((template) => planTemplate(context, template));
  const runs = planExperimentRuns(context);
  const verdict = assess(
    context,
    templates.map(({ status }) => status),
    runs.statuses,
  );
  const part = together([...templates, planRemoved(context), runs]);
  const changed = [...templates.flatMap(({ changed: path }) => path ?? []), ...runs.changed];
  const ends =
    context.endMs !== undefined && nowMs < context.endMs && !context.isEnding ? [context.endMs] : [];
  const requeueAtMs = [...part.requeueAtMs, ...ends].map((atMs) => Math.max(atMs, nowMs + 1));
  return {
    actions: part.actions,
    status: clean({
      ...context.status,
      phase: verdict.phase,
      message: verdict.message === "" ? undefined : verdict.message,
      availableAt: verdict.isAvailable ? formatTime(nowMs) : context.status.availableAt,
      templateStatuses: templates.map(({ status }) => status),
      analysisRuns: runs.statuses.length === 0 ? undefined : runs.statuses,
      conditions: conditionsOf(context, templates, verdict, changed[0]),
    }),
    events: part.events,
    rolloutEvents: runs.events.filter(({ reason }) => reason !== EXPERIMENT_REASONS.runTerminating),
    waits: [
      ...changed.map((path) => ({ code: "valid" as const, text: EXPERIMENT_MESSAGES.changed(path) })),
      ...part.waits,
      ...ends.map((untilMs) => ({
        code: "experiment" as const,
        text: `it runs until ${formatTime(untilMs)}, or until it is terminated`,
        untilMs,
      })),
    ],
    warnings: [],
    ...(requeueAtMs.length === 0 ? {} : { requeueAtMs: Math.min(...requeueAtMs) }),
  };
}

/** The owner is going: the API takes what it made with it. */
function untouched(context: ExperimentContext): ExperimentPlan {
  return { actions: [], status: context.status, events: [], rolloutEvents: [], waits: [], warnings: [] };
}

/** Nothing is touched until the spec is right. */
function invalid(context: ExperimentContext, problem: string): ExperimentPlan {
  const board = new ConditionBoard(context.status.conditions ?? [], context.nowMs);
  board.set(CONDITION_TYPES.invalidSpec, "True", REASONS.invalidSpec, problem);
  return {
    ...untouched(context),
    status: { ...context.status, conditions: board.list() },
    waits: [{ code: "valid", text: problem }],
  };
}

/** A changed spec that cannot be honoured any more is said, not ignored as in Argo (#4578). */
function conditionsOf(
  context: ExperimentContext,
  templates: readonly TemplatePlan[],
  verdict: Verdict,
  changed: string | undefined,
) {
  const { name, nowMs, status } = context;
  const board = new ConditionBoard(status.conditions ?? [], nowMs);
  if (changed === undefined) board.remove(CONDITION_TYPES.invalidSpec);
  else
    board.set(CONDITION_TYPES.invalidSpec, "True", REASONS.invalidSpec, EXPERIMENT_MESSAGES.changed(changed));
  const type = CONDITION_TYPES.progressing;
  const { completed, progressing, running } = EXPERIMENT_REASONS;
  const isRunning =
    context.availableMs !== undefined && (context.endMs === undefined || nowMs < context.endMs);
  if (verdict.phase === "Successful")
    board.set(type, "False", completed, EXPERIMENT_MESSAGES.completed(name));
  else if (templates.some(({ hasProgressed }) => hasProgressed))
    board.touch(type, "True", progressing, EXPERIMENT_MESSAGES.progressing(name));
  else if (isRunning && !isCompleted(verdict.phase))
    board.set(type, "True", running, EXPERIMENT_MESSAGES.running(name));
  const list = board.list();
  return list.length === 0 ? undefined : list;
}
