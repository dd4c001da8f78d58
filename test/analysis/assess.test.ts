// Life of an AnalysisRun in virtual time: the shell's part (measuring) is played by a list of outcomes per metric.
import fc from "fast-check";
import { test } from "tap";
import {
  type Assessment,
  applyMeasurement,
  assessRun,
  failUnresolved,
  type MeasurementOutcome,
  ttlExpiresAtMs,
} from "../../src/analysis/assess.ts";
import type { AnalysisRun, AnalysisRunSpec, Metric } from "../../src/api/api.ts";

type Phase = MeasurementOutcome["phase"];

const START_MS = Date.parse("2026-01-02T03:04:05Z");
const OK: readonly Phase[] = ["Successful"];

function aMetric(name: string, fields: Partial<Metric> = {}): Metric {
  return { name, provider: { plugin: { "weir.dev/traffic": {} } }, ...fields };
}

function aRun(spec: Partial<AnalysisRunSpec> & { readonly metrics: readonly Metric[] }): AnalysisRun {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisRun",
    metadata: { name: "run", namespace: "default" },
    spec,
    status: {},
  };
}

interface Step {
  readonly atMs: number;
  readonly assessment: Assessment;
}

/** Assesses, measures what is due, waits until the next instant; ends with the run or after `maxSteps`. */
function play(
  run: AnalysisRun,
  outcomes: Readonly<Record<string, readonly Phase[]>>,
  maxSteps = 60,
): readonly Step[] {
  const steps: Step[] = [];
  const taken: Record<string, number> = {};
  let nowMs = START_MS;
  let status = run.status;
  for (let step = 0; step < maxSteps; step++) {
    const assessment = assessRun({ ...run, status }, nowMs);
    steps.push({ atMs: nowMs - START_MS, assessment });
    status = assessment.status;
    if (status.completedAt !== undefined) break;
    for (const { metric, isDryRun } of assessment.measurementsDue) {
      const list = outcomes[metric] ?? OK;
      const index = taken[metric] ?? 0;
      taken[metric] = index + 1;
      const phase = list[Math.min(index, list.length - 1)] ?? "Successful";
      const message = phase === "Error" ? "no answer" : undefined;
      const outcome = { phase, value: "1", ...(message === undefined ? {} : { message }) };
      status = applyMeasurement(status, { name: metric, isDryRun, startedAtMs: nowMs }, outcome, nowMs);
    }
    if (assessment.measurementsDue.length === 0) nowMs = assessment.requeueAtMs ?? nowMs + 1000;
  }
  return steps;
}

function last(steps: readonly Step[]): Step {
  const step = steps.at(-1);
  if (step === undefined) throw new Error("no step");
  return step;
}

test("assess: a metric with neither count nor interval is measured once", async (t) => {
  const { assessment, atMs } = last(play(aRun({ metrics: [aMetric("m")] }), {}));
  t.equal(assessment.status.phase, "Successful");
  t.equal(assessment.message, "");
  t.equal(atMs, 0);
  t.equal(assessment.status.startedAt, "2026-01-02T03:04:05Z");
  t.equal(assessment.status.completedAt, "2026-01-02T03:04:05Z");
  t.strictSame(assessment.status.runSummary, { count: 1, successful: 1 });
  const [result] = assessment.status.metricResults ?? [];
  t.equal(result?.count, 1);
  t.equal(result?.successful, 1);
  t.equal(result?.measurements?.[0]?.finishedAt, "2026-01-02T03:04:05Z");
});

test("assess: interval and count space the measurements, initialDelay shifts the first", async (t) => {
  const metric = aMetric("m", { interval: "5s", count: 3, initialDelay: "20s" });
  const steps = play(aRun({ metrics: [metric] }), {});
  const measuredAt = steps
    .filter(({ assessment }) => assessment.measurementsDue.length > 0)
    .map(({ atMs }) => atMs);
  t.strictSame(measuredAt, [20_000, 25_000, 30_000]);
  t.equal(steps[0]?.assessment.status.phase, "Running");
  t.equal(steps[0]?.assessment.requeueAtMs, START_MS + 20_000);
  t.equal(last(steps).assessment.status.phase, "Successful");
});

test("assess: one failure above the limit fails the run with Argo's words", async (t) => {
  const metric = aMetric("success-rate", { interval: "1s", count: 5, failureLimit: 1 });
  const { assessment } = last(
    play(aRun({ metrics: [metric] }), { "success-rate": ["Successful", "Failed", "Failed"] }),
  );
  t.equal(assessment.status.phase, "Failed");
  t.equal(assessment.message, 'Metric "success-rate" assessed Failed due to failed (2) > failureLimit (1)');
  t.strictSame(assessment.status.runSummary, { count: 1, failed: 1 });
  t.strictSame(
    assessment.events.map(({ type, reason, message }) => `${type} ${reason} ${message}`),
    [
      "Warning MetricFailed Metric 'success-rate' Completed. Result: Failed",
      "Warning AnalysisRunFailed Analysis Completed. Result: Failed",
    ],
  );
});

test("assess: errors are retried after 10 s whatever the interval, and their streak has the limit 4", async (t) => {
  const metric = aMetric("m", { interval: "1s", count: 2 });
  const steps = play(aRun({ metrics: [metric] }), { m: ["Error"] });
  const { assessment, atMs } = last(steps);
  t.equal(atMs, 40_000);
  t.equal(assessment.status.phase, "Error");
  t.equal(
    assessment.message,
    'Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): "Error Message: no answer"',
  );
  const broken = last(
    play(aRun({ metrics: [metric] }), { m: ["Error", "Error", "Error", "Error", "Successful"] }),
  );
  t.equal(broken.assessment.status.phase, "Successful");
  t.equal(broken.assessment.status.metricResults?.[0]?.error, 4);
});

test("assess: inconclusive measurements above their limit make the run Inconclusive", async (t) => {
  const { assessment } = last(play(aRun({ metrics: [aMetric("m")] }), { m: ["Inconclusive"] }));
  t.equal(assessment.status.phase, "Inconclusive");
  t.equal(
    assessment.message,
    'Metric "m" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)',
  );
});

test("assess: a streak of successes ends a metric early, and its absence shows at the count", async (t) => {
  const streak = aMetric("m", { interval: "1s", count: 6, consecutiveSuccessLimit: 2, failureLimit: 3 });
  const early = last(play(aRun({ metrics: [streak] }), { m: ["Failed", "Successful", "Successful"] }));
  t.equal(early.assessment.status.phase, "Successful");
  t.equal(early.assessment.status.metricResults?.[0]?.count, 3);
  const never: readonly Phase[] = ["Failed", "Successful", "Failed", "Successful", "Failed", "Successful"];
  t.equal(last(play(aRun({ metrics: [streak] }), { m: never })).assessment.status.phase, "Inconclusive");
  const only = { ...streak, failureLimit: -1 };
  t.equal(last(play(aRun({ metrics: [only] }), { m: never })).assessment.status.phase, "Failed");
});

test("assess: the first failing metric ends the run while others still go on", async (t) => {
  const metrics = [aMetric("slow", { interval: "5s" }), aMetric("bad", { initialDelay: "7s" })];
  const { assessment, atMs } = last(play(aRun({ metrics }), { bad: ["Failed"] }));
  t.equal(atMs, 7000);
  t.equal(assessment.status.phase, "Failed");
  t.strictSame(
    assessment.status.metricResults?.map(({ name, phase }) => [name, phase]),
    [
      ["slow", "Successful"],
      ["bad", "Failed"],
    ],
  );
});

test("assess: a metric in dry-run is measured, summarised apart and never decides", async (t) => {
  const metrics = [aMetric("good"), aMetric("trial-a")];
  const run = aRun({ metrics, dryRun: [{ metricName: "trial.*" }] });
  const { assessment } = last(play(run, { "trial-a": ["Failed"] }));
  t.equal(assessment.status.phase, "Successful");
  t.strictSame(assessment.status.runSummary, { count: 1, successful: 1 });
  t.strictSame(assessment.status.dryRunSummary, { count: 1, failed: 1 });
  const trial = assessment.status.metricResults?.find(({ name }) => name === "trial-a");
  t.equal(trial?.dryRun, true);
  t.equal(trial?.message, "Metric assessed Failed due to failed (1) > failureLimit (0)");
});

test("assess: terminate ends an endless run as Successful", async (t) => {
  const run = aRun({ metrics: [aMetric("m", { interval: "1s" })] });
  const steps = play(run, {}, 6);
  t.equal(last(steps).assessment.status.phase, "Running");
  const status = last(steps).assessment.status;
  const { assessment } = last(play({ ...run, spec: { ...run.spec, terminate: true }, status }, {}));
  t.equal(assessment.status.phase, "Successful");
  t.equal(assessment.message, "Run Terminated");
  const unbegun = assessRun({ ...run, spec: { ...run.spec, terminate: true } }, START_MS);
  t.equal(unbegun.status.phase, "Successful");
});

test("assess: an ending run waits for the outcome of measurements that are still open", async (t) => {
  const run = aRun({ metrics: [aMetric("m", { interval: "1s" })] });
  const first = assessRun(run, START_MS);
  const measuring = applyMeasurement(
    first.status,
    { name: "m", startedAtMs: START_MS },
    { phase: "Running", metadata: { job: "j" }, resumeAtMs: START_MS + 5000 },
    START_MS,
  );
  const waiting = assessRun({ ...run, status: measuring }, START_MS + 1000);
  t.strictSame(waiting.measurementsDue, []);
  t.equal(waiting.requeueAtMs, START_MS + 5000);
  const due = assessRun({ ...run, status: measuring }, START_MS + 5000).measurementsDue;
  t.equal(due[0]?.kind, "resume");
  t.strictSame(due[0]?.measurement?.metadata, { job: "j" });
  const ending = { ...run, spec: { ...run.spec, terminate: true }, status: measuring };
  const asked = assessRun(ending, START_MS + 1000);
  t.equal(asked.status.phase, "Running");
  t.equal(asked.terminateMeasurements[0]?.metric, "m");
  const terminated = applyMeasurement(
    asked.status,
    { name: "m", startedAtMs: START_MS },
    { phase: "Inconclusive", message: "still running" },
    START_MS + 2000,
  );
  const done = assessRun({ ...ending, status: terminated }, START_MS + 2000);
  t.equal(done.status.phase, "Inconclusive");
  t.equal(done.status.metricResults?.[0]?.measurements?.length, 1);
  t.equal(done.status.metricResults?.[0]?.measurements?.[0]?.startedAt, "2026-01-02T03:04:05Z");
});

test("assess: the newest ten measurements are kept, or as many as a retention says", async (t) => {
  const metrics = [aMetric("a", { interval: "1s", count: 20 }), aMetric("b", { interval: "1s", count: 20 })];
  const run = aRun({ metrics, measurementRetention: [{ metricName: "b", limit: 15 }] });
  const { assessment } = last(play(run, {}));
  const results = assessment.status.metricResults ?? [];
  t.strictSame(
    results.map(({ name, measurements, count }) => [name, measurements?.length, count]),
    [
      ["a", 10, 20],
      ["b", 15, 20],
    ],
  );
  t.equal(results[0]?.measurements?.[9]?.startedAt, "2026-01-02T03:04:24Z");
});

test("assess: an invalid spec is an Error that says why", async (t) => {
  const cases: readonly (readonly [AnalysisRun, string])[] = [
    [aRun({ metrics: [] }), "Analysis spec invalid: no metrics specified"],
    [
      aRun({ metrics: [aMetric("m"), aMetric("m")] }),
      "Analysis spec invalid: metrics[1]: duplicate name 'm'",
    ],
    [
      aRun({ metrics: [aMetric("m", { count: 2 })] }),
      "Analysis spec invalid: metrics[0]: interval must be specified when count > 1",
    ],
    [
      aRun({ metrics: [{ ...aMetric("m"), provider: {} }] }),
      "Analysis spec invalid: metrics[0]: no provider specified",
    ],
    [
      aRun({ metrics: [aMetric("m", { interval: "soon" })] }),
      'Analysis spec invalid: metrics[0]: invalid interval string: time: invalid duration "soon"',
    ],
    [
      aRun({ metrics: [aMetric("m")], dryRun: [{ metricName: "x" }] }),
      "Analysis spec invalid: dryRun[0]: Rule didn't match any metric name(s)",
    ],
    [
      aRun({ metrics: [aMetric("m", { successCondition: "result > {{args.limit}}" })] }),
      "Unable to resolve metric arguments: failed to resolve {{args.limit}}",
    ],
  ];
  for (const [run, message] of cases) {
    const { status } = assessRun(run, START_MS);
    t.strictSame([status.phase, status.message], ["Error", message]);
  }
});

test("assess: an argument that cannot be resolved when measuring ends the run", async (t) => {
  const run = aRun({ metrics: [aMetric("m", { interval: "1s" })] });
  const { status } = failUnresolved(run, "key 'k' does not exist in secret 's'", START_MS);
  t.strictSame(
    [status.phase, status.message],
    ["Error", "Unable to resolve metric arguments: key 'k' does not exist in secret 's'"],
  );
  t.equal(failUnresolved({ ...run, status }, "again", START_MS + 1000).status, status);
});

test("assess: limits and counts may come from arguments", async (t) => {
  const metric = aMetric("m", {
    interval: "{{ args.every }}",
    count: "{{args.times}}",
    failureLimit: "{{args.limit}}",
  });
  const args = [
    { name: "every", value: "2s" },
    { name: "times", value: "3" },
    { name: "limit", value: "1" },
  ];
  const { assessment, atMs } = last(play(aRun({ metrics: [metric], args }), { m: ["Failed", "Successful"] }));
  t.equal(assessment.status.phase, "Successful");
  t.equal(atMs, 4000);
});

test("assess: a look that changes nothing gives the same status object", async (t) => {
  const run = aRun({ metrics: [aMetric("m", { interval: "1m" })] });
  const status = applyMeasurement(
    assessRun(run, START_MS).status,
    { name: "m", startedAtMs: START_MS },
    { phase: "Successful" },
    START_MS,
  );
  const settled = assessRun({ ...run, status }, START_MS).status;
  t.equal(assessRun({ ...run, status: settled }, START_MS + 1000).status, settled);
});

test("measure: secrets are shown as *****", async (t) => {
  const status = applyMeasurement(
    {},
    { name: "m", startedAtMs: START_MS, secrets: ["hunter2", ""] },
    { phase: "Error", message: "401 for hunter2", value: "hunter2" },
    START_MS,
  );
  const [measurement] = status.metricResults?.[0]?.measurements ?? [];
  t.equal(measurement?.message, "401 for *****");
  t.equal(measurement?.value, "*****");
});

test("ttl: the outcome's own delay wins over secondsAfterCompletion", async (t) => {
  const run = aRun({
    metrics: [aMetric("m")],
    ttlStrategy: { secondsAfterCompletion: 100, secondsAfterFailure: 7 },
  });
  const done = (phase: "Successful" | "Failed") => ({
    ...run,
    status: { phase, completedAt: "2026-01-02T03:04:05Z" },
  });
  t.equal(ttlExpiresAtMs(run), undefined);
  t.equal(ttlExpiresAtMs(done("Successful")), START_MS + 100_000);
  t.equal(ttlExpiresAtMs(done("Failed")), START_MS + 7000);
});

const PHASES: readonly Phase[] = ["Successful", "Failed", "Inconclusive", "Error"];

test("assess: whatever is measured, counters, limits and the run's phase agree", async (t) => {
  const metric = fc.record({
    count: fc.integer({ min: 1, max: 6 }),
    failureLimit: fc.integer({ min: 0, max: 3 }),
    inconclusiveLimit: fc.integer({ min: 0, max: 3 }),
    consecutiveErrorLimit: fc.integer({ min: 0, max: 3 }),
    outcomes: fc.array(fc.constantFrom(...PHASES), { minLength: 1, maxLength: 20 }),
    isDryRun: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(metric, { minLength: 1, maxLength: 3 }), (list) => {
      const metrics = list.map(({ count, failureLimit, inconclusiveLimit, consecutiveErrorLimit }, index) =>
        aMetric(`m${index}`, {
          count: count + failureLimit + inconclusiveLimit,
          interval: "1s",
          failureLimit,
          inconclusiveLimit,
          consecutiveErrorLimit,
        }),
      );
      const outcomes = Object.fromEntries(
        list.map((each, index) => [`m${index}`, [...each.outcomes, ...OK]]),
      );
      const dryRun = list.flatMap(({ isDryRun }, index) => (isDryRun ? [{ metricName: `^m${index}$` }] : []));
      const { status } = last(play(aRun({ metrics, dryRun }), outcomes, 300)).assessment;
      const results = status.metricResults ?? [];
      if (status.completedAt === undefined) return false;
      const worst = ["Failed", "Error", "Inconclusive"].find((phase) =>
        results.some((result) => result.dryRun !== true && result.phase === phase),
      );
      if (status.phase !== (worst ?? "Successful")) return false;
      return results.every((result, index) => {
        const sum = (result.successful ?? 0) + (result.failed ?? 0) + (result.inconclusive ?? 0);
        const limits = list[Number(result.name.slice(1))] ?? list[index];
        const cap = (limits?.count ?? 0) + (limits?.failureLimit ?? 0) + (limits?.inconclusiveLimit ?? 0);
        const isBroken =
          (result.failed ?? 0) > (limits?.failureLimit ?? 0) ||
          (result.inconclusive ?? 0) > (limits?.inconclusiveLimit ?? 0) ||
          (result.consecutiveError ?? 0) > (limits?.consecutiveErrorLimit ?? 0);
        return (
          sum === (result.count ?? 0) &&
          sum <= cap &&
          (result.measurements?.length ?? 0) <= 10 &&
          isBroken === ["Failed", "Inconclusive", "Error"].includes(result.phase)
        );
      });
    }),
    { numRuns: 200 },
  );
  t.pass("held for every history");
});
