// Measurements in the model world: a script says what each metric's provider would answer (`> metric errors 0.02`), and runs are assessed and
// measured as the controller does it, with their own conditions, counts and intervals. Runs whose metrics have no answer wait for one.
import {
  applyMeasurement,
  assessRun,
  type DueMeasurement,
  evaluateCondition,
  isCompleted,
  type MeasurementOutcome,
  resolveMetric,
} from "../analysis/assess.ts";
import type { AnalysisRun, AnalysisRunStatus, KubeObject } from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import type { Views } from "./views.ts";

/** What the model holds of analyses. */
export interface Measurable {
  readonly nowMs: number;
  readonly views: Pick<Views, "run">;
  readonly runs: ReadonlyMap<string, KubeObject>;
  /** What providers answer, by the metric's name. */
  readonly answers: ReadonlyMap<string, unknown>;
  /** A script that made its Rollout up and has given no answer says itself how runs end. */
  readonly isOfFiles: boolean;
}

/** The statuses that runs come to now, by name; only those that change. */
export function measureRuns(world: Measurable): ReadonlyMap<string, AnalysisRunStatus> {
  const changed = new Map<string, AnalysisRunStatus>();
  for (const [run, name] of openRuns(world)) {
    const status = measured(world, run);
    if (!jsonEqual(status, run.status)) changed.set(name, status);
  }
  return changed;
}

/** When the next measurement is due; undefined for none, or for one that waits for its answer. */
export function measureDueMs(world: Measurable): number | undefined {
  const due = openRuns(world).map(([run]) => assessRun(run, world.nowMs).requeueAtMs ?? 0);
  const later = due.filter((atMs) => atMs > world.nowMs);
  return later.length === 0 ? undefined : Math.min(...later);
}

/** The metrics that are due and have no answer. */
export function unanswered(world: Measurable): readonly string[] {
  const metrics = runsNotCompleted(world).flatMap(([run]) =>
    assessRun(run, world.nowMs).measurementsDue.map(({ metric }) => metric),
  );
  return [...new Set(metrics)].filter((name) => !world.answers.has(name));
}

function openRuns(world: Measurable): readonly (readonly [AnalysisRun, string])[] {
  return world.answers.size === 0 && !world.isOfFiles ? [] : runsNotCompleted(world);
}

function runsNotCompleted({ runs, views }: Measurable): readonly (readonly [AnalysisRun, string])[] {
  return [...runs]
    .map(([name, object]) => [views.run(object), name] as const)
    .filter(([run]) => !isCompleted(run.status.phase));
}

function measured(world: Measurable, run: AnalysisRun): AnalysisRunStatus {
  const { nowMs } = world;
  const before = assessRun(run, nowMs);
  let { status } = before;
  for (const due of before.terminateMeasurements)
    status = applyMeasurement(status, measuredMetric(due, nowMs), { phase: "Successful" }, nowMs);
  for (const due of before.measurementsDue) {
    const outcome = answerOf(world, run, due);
    if (outcome !== undefined) status = applyMeasurement(status, measuredMetric(due, nowMs), outcome, nowMs);
  }
  return assessRun({ ...run, status }, nowMs).status;
}

function measuredMetric({ metric, isDryRun }: DueMeasurement, startedAtMs: number) {
  return { name: metric, isDryRun, startedAtMs, secrets: [] };
}

/** `error WORDS` is a provider that failed; everything else is its result. */
function answerOf(
  { answers, nowMs }: Measurable,
  run: AnalysisRun,
  { metric: name }: DueMeasurement,
): MeasurementOutcome | undefined {
  if (!answers.has(name)) return undefined;
  const answer = answers.get(name);
  if (typeof answer === "string" && answer.startsWith("error"))
    return { phase: "Error", message: answer.slice("error".length).trim() };
  const spec = run.spec.metrics.find((metric) => metric.name === name);
  if (spec === undefined) return { phase: "Error", message: `metric ${name} is not in the spec` };
  const resolved = resolveMetric(spec, run.spec.args ?? [], () => "secret");
  if (resolved.kind === "error") return { phase: "Error", message: resolved.message };
  const { successCondition, failureCondition } = resolved.value.metric;
  const verdict = evaluateCondition({
    // Answers are JSON by the script's own parser.
    result: answer as Parameters<typeof evaluateCondition>[0]["result"],
    nowMs,
    success: successCondition,
    failure: failureCondition,
  });
  return { ...verdict, value: JSON.stringify(answer) };
}
