// When a finished AnalysisRun may be deleted.
import type { AnalysisRun } from "../api/api.ts";
import { parseTime } from "../lib/time.ts";
import { isCompleted } from "./metricphase.ts";

/**
 * The instant from which on a completed run is garbage by its ttlStrategy; undefined: never. The field for the outcome wins over
 * secondsAfterCompletion; everything but Successful counts as failure.
 */
export function ttlExpiresAtMs(run: AnalysisRun): number | undefined {
  const strategy = run.spec.ttlStrategy;
  const completedAtMs = parseTime(run.status.completedAt);
  if (strategy === undefined || completedAtMs === undefined || !isCompleted(run.status.phase))
    return undefined;
  const own = run.status.phase === "Successful" ? strategy.secondsAfterSuccess : strategy.secondsAfterFailure;
  const seconds = own ?? strategy.secondsAfterCompletion;
  return seconds === undefined ? undefined : completedAtMs + seconds * 1000;
}
