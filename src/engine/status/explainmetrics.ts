// How the measurements of the current analyses stand, a line for each metric: what `weir explain` shows beside the wait for a run.
import { type AnalysisRun, effectiveCountOf, type Metric, metricLimitsOf } from "../../api/api.ts";
import type { Context } from "../context.ts";

/** The metrics of the runs that the status names and that have not succeeded. */
export function metricLines({ status, snapshot }: Context): readonly string[] {
  const { canary = {}, blueGreen = {} } = status;
  const refs = [
    canary.currentStepAnalysisRunStatus,
    canary.currentBackgroundAnalysisRunStatus,
    blueGreen.prePromotionAnalysisRunStatus,
    blueGreen.postPromotionAnalysisRunStatus,
  ];
  const names = new Set(refs.flatMap((ref) => (ref === undefined ? [] : [ref.name])));
  const runs = snapshot.analysis.runs.filter(
    (run) => names.has(run.metadata.name) && run.status.phase !== "Successful",
  );
  return runs.flatMap((run) => (run.spec.metrics ?? []).map((metric) => lineOf(run, metric)));
}

/** `error-rate 3 of 5 measured, 1 failed (limit 2)`. */
function lineOf({ status }: AnalysisRun, metric: Metric): string {
  const result = (status.metricResults ?? []).find(({ name }) => name === metric.name);
  const { count = 0, failed = 0, inconclusive = 0, error = 0, measurements = [] } = result ?? {};
  const wanted = effectiveCountOf(metric);
  const limits = metricLimitsOf(metric);
  const parts = [wanted === undefined ? `${count} measured` : `${count} of ${wanted} measured`];
  if (failed > 0) parts.push(`${failed} failed (limit ${limits.failure})`);
  if (inconclusive > 0) parts.push(`${inconclusive} inconclusive (limit ${limits.inconclusive})`);
  if (error > 0) parts.push(`${error} in error`);
  const last = measurements.at(-1)?.value;
  if (last !== undefined && last.length <= 20) parts.push(`last ${last}`);
  return `${metric.name} ${parts.join(", ")}`;
}
