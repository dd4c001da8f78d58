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
import { oncePerObject } from "../lib/once.ts";
import type { Views } from "./views.ts";

/** What the model holds of analyses. */
export interface Measurable {
  readonly nowMs: number;
  readonly views: Pick<Views, "run">;
  readonly runs: ReadonlyMap<string, KubeObject>;
  readonly add: (kind: "runs", run: KubeObject) => void;
  /** What providers answer, by the metric's name. */
  readonly answers: ReadonlyMap<string, unknown>;
  /** Metrics of which a script was told that they have no answer. */
  readonly toldUnanswered: ReadonlySet<string>;
  /** A script that made its Rollout up and has given no answer says itself how runs end. */
  readonly isOfFiles: boolean;
}

/** Takes the measurements that are due now. Tells whether a run changed. */
export function measureRuns(world: Measurable): boolean {
  let hasChanged = false;
  for (const [name, run] of openRuns(world)) {
    const { status } = measured(world, run, world.nowMs);
    if (jsonEqual(status, run.status)) continue;
    write(world, name, status);
    hasChanged = true;
  }
  return hasChanged;
}

/** When the next measurement is due; undefined for none, or for one that waits for its answer. */
export function measureDueMs(world: Measurable): number | undefined {
  return earliest([...openRuns(world).values()].map((run) => assessRun(run, world.nowMs).requeueAtMs));
}

/**
 * Measures until `untilMs`, as long as nothing comes of it but results of metrics: `explain` shows these, but all that is decided follows from
 * how runs stand. Gives each time at which it has measured. The runs are written at the end.
 */
export function* measureAhead(world: Measurable, untilMs: number): Generator<number, void> {
  const runs = new Map([...openRuns(world)].map(([name, run]) => [name, aheadOf(run, world.nowMs)]));
  const changed = new Map<string, AnalysisRunStatus>();
  for (;;) {
    const atMs = earliest([...runs.values()].map(({ dueMs }) => dueMs));
    if (atMs === undefined || atMs > untilMs) break;
    const due = [...runs].filter(([, { dueMs }]) => dueMs === atMs);
    const next = due.map(([name, { run }]) => [name, run, measured(world, run, atMs)] as const);
    if (next.some(([, run, now]) => isOfConsequence(world, run.status, now))) break;
    for (const [name, run, { status, requeueAtMs }] of next) {
      runs.set(name, { run: { ...run, status }, dueMs: requeueAtMs });
      changed.set(name, status);
    }
    yield atMs;
  }
  for (const [name, status] of changed) write(world, name, status);
}

/** The metrics that are due and have no answer. */
export function unanswered(world: Measurable): readonly string[] {
  const due = [...runsNotCompleted(world).values()].flatMap(
    (run) => assessRun(run, world.nowMs).measurementsDue,
  );
  return withoutAnswer(world, due);
}

function withoutAnswer({ answers }: Measurable, due: readonly DueMeasurement[]): readonly string[] {
  return [...new Set(due.map(({ metric }) => metric))].filter((name) => !answers.has(name));
}

function openRuns(world: Measurable): ReadonlyMap<string, AnalysisRun> {
  return world.answers.size === 0 && !world.isOfFiles ? new Map() : runsNotCompleted(world);
}

function runsNotCompleted({ runs, views }: Measurable): ReadonlyMap<string, AnalysisRun> {
  const all = [...runs].map(([name, object]) => [name, views.run(object)] as const);
  return new Map(all.filter(([, run]) => !isCompleted(run.status.phase)));
}

function write(world: Measurable, name: string, status: AnalysisRunStatus): void {
  const run = world.runs.get(name);
  if (run !== undefined) world.add("runs", { ...run, status });
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((atMs) => atMs !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function aheadOf(
  run: AnalysisRun,
  nowMs: number,
): { readonly run: AnalysisRun; readonly dueMs: number | undefined } {
  return { run, dueMs: assessRun(run, nowMs).requeueAtMs };
}

interface Measured {
  readonly status: AnalysisRunStatus;
  /** When the run has to be measured again. */
  readonly requeueAtMs: number | undefined;
  /** Metrics that were due and got no answer. */
  readonly unanswered: readonly string[];
}

function measured(world: Measurable, run: AnalysisRun, nowMs: number): Measured {
  const before = assessRun(run, nowMs);
  let { status } = before;
  for (const due of before.terminateMeasurements)
    status = applyMeasurement(status, measuredMetric(due, nowMs), { phase: "Successful" }, nowMs);
  for (const due of before.measurementsDue) {
    const outcome = answerOf(world, run, due, nowMs);
    if (outcome !== undefined) status = applyMeasurement(status, measuredMetric(due, nowMs), outcome, nowMs);
  }
  const after = assessRun({ ...run, status }, nowMs);
  return { ...after, unanswered: withoutAnswer(world, before.measurementsDue) };
}

/** Whether somebody looks at what has changed: whoever decides, or the reader of the script. */
function isOfConsequence(world: Measurable, before: AnalysisRunStatus, now: Measured): boolean {
  return (
    !jsonEqual({ ...before, metricResults: [] }, { ...now.status, metricResults: [] }) ||
    now.unanswered.some((name) => !world.toldUnanswered.has(name))
  );
}

function measuredMetric({ metric, isDryRun }: DueMeasurement, startedAtMs: number) {
  return { name: metric, isDryRun, startedAtMs, secrets: [] };
}

/** `error WORDS` is a provider that failed; everything else is its result. */
function answerOf(
  { answers }: Measurable,
  run: AnalysisRun,
  { metric: name }: DueMeasurement,
  nowMs: number,
): MeasurementOutcome | undefined {
  if (!answers.has(name)) return undefined;
  const answer = answers.get(name);
  if (typeof answer === "string" && answer.startsWith("error"))
    return { phase: "Error", message: answer.slice("error".length).trim() };
  const resolved = resolvedOf(run.spec).get(name);
  if (resolved === undefined) return { phase: "Error", message: `metric ${name} is not in the spec` };
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

/** The metrics of a run with all arguments in place, by name. */
const resolvedOf = oncePerObject(
  ({ metrics, args = [] }: AnalysisRun["spec"]) =>
    new Map(metrics.map((metric) => [metric.name, resolveMetric(metric, args, () => "secret")])),
);
