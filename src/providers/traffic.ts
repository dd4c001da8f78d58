// The metric `weir.dev/traffic`: request counts, success and error rates and latencies per version, from what the proxies report.
//
// Below minRequests a measurement stays Running and is resumed each second, with one exception: it fails at once when it would fail
// even if all the requests still missing were the best possible ones (successes; for latency: answered in no time). `requests` itself
// needs no minimum.
import { type Finding, formatPath, readTrafficMetric, type TrafficMetric } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import { quantileMs, withFastest } from "./histogram.ts";
import type { MeasureContext, Outcome, Provider } from "./providers.ts";
import type { TrafficReader, TrafficWindow } from "./trafficstore.ts";

/** The proxies report about once a second: asking more often tells nothing new. */
const RESUME_AFTER_MS = 1000;
const DEFAULT_QUANTILE = 0.95;
/** Counts that begin later than asked for by no more than this are called complete: the proxies' reports are as far apart. */
const TOLERATED_DELAY_MS = 2000;

type Counts = TrafficWindow & { readonly kind: "counts" };

/** The provider over a store of reports. */
export function createTrafficProvider(reader: TrafficReader): Provider {
  return {
    measure: async (settings, context) => measure(reader, settings, context),
    terminate: async () => ({ phase: "Successful", message: "Metric Terminated" }),
  };
}

function measure(reader: TrafficReader, settings: unknown, context: MeasureContext): Outcome {
  const read = readTrafficMetric(settings);
  if (read.kind === "invalid") return { phase: "Error", message: findingsText(read.findings) };
  const metric = read.settings;
  const { podHash, service, isOfRollout } = subjectOf(metric, context);
  if (podHash === undefined)
    return {
      phase: "Error",
      message: `weir.dev/traffic: the run does not say which pods are ${metric.version}`,
    };
  // Marks are kept for the clusters of a Rollout's own Services.
  const { mark, ...start } = beginOf(metric, context);
  const begin = { ...start, ...(isOfRollout && mark !== undefined ? { mark } : {}) };
  const window = reader.window({
    namespace: context.namespace,
    podHash,
    ...(service === undefined ? {} : { service }),
    ...(metric.route === undefined ? {} : { route: metric.route }),
    ...(metric.managedRoute === undefined ? {} : { managedRoute: metric.managedRoute }),
    ...begin,
    toMs: context.nowMs,
  });
  const resumeAtMs = context.nowMs + RESUME_AFTER_MS;
  if (window.kind === "unavailable") return { phase: "Running", message: window.reason, resumeAtMs };
  const missing = metric.metric === "requests" ? 0 : Math.max(metric.minRequests - window.requests, 0);
  const value = resultOf(metric, window);
  const metadata = lacksOf(window, begin.fromMs);
  if (value === undefined && window.requests > 0)
    return {
      phase: "Error",
      message: "weir.dev/traffic: the proxies report no latencies for these requests",
    };
  const isEnough = missing === 0 && value !== undefined;
  if (!isEnough && !failsWhatever(metric, window, Math.max(missing, 1), context)) {
    const message = `${window.requests} of ${Math.max(metric.minRequests, 1)} requests`;
    return {
      phase: "Running",
      message,
      resumeAtMs,
      ...(value === undefined ? {} : { value: String(value) }),
      ...metadata,
    };
  }
  // With requests missing the best case has a value, so the real one has too unless nothing was counted at all.
  const result = value ?? 0;
  const { phase, message } = isEnough
    ? context.evaluate(result)
    : { phase: "Failed" as const, message: undefined };
  return { phase, value: String(result), ...(message === undefined ? {} : { message }), ...metadata };
}

/** Whose requests are counted. */
function subjectOf(
  { podHash, service, version }: TrafficMetric,
  context: MeasureContext,
): { readonly podHash?: string; readonly service?: string; readonly isOfRollout: boolean } {
  // The cluster of a Service that no Rollout splits has no hash in its name; that of a template stands under the template's Service.
  if (service !== undefined) return { podHash: "", service, isOfRollout: false };
  if (podHash !== undefined) return { podHash, isOfRollout: false };
  const own = context.podHashes[version];
  return {
    ...(own !== undefined && { podHash: own }),
    ...(context.service !== undefined && { service: context.service }),
    isOfRollout: true,
  };
}

/** What the counts lack, for the measurement's metadata: when they begin later than asked for, and whose are missing. */
function lacksOf({ fromMs, uncounted }: Counts, askedMs: number): Pick<Outcome, "metadata"> {
  const metadata = {
    ...(fromMs - askedMs > TOLERATED_DELAY_MS && { countedSince: new Date(fromMs).toISOString() }),
    ...(uncounted.length > 0 && { notCounted: uncounted.join(", ") }),
  };
  return Object.keys(metadata).length === 0 ? {} : { metadata };
}

function findingsText(findings: readonly Finding[]): string {
  const words = findings.map(({ path, message }) => [formatPath(path), message].filter(Boolean).join(": "));
  return `weir.dev/traffic: ${words.join("; ")}`;
}

/** Whether the measurement fails even if the missing requests are the best possible ones. */
function failsWhatever(
  metric: TrafficMetric,
  counts: Counts,
  missing: number,
  context: MeasureContext,
): boolean {
  if (counts.requests === 0) return false;
  const best = resultOf(metric, {
    ...counts,
    requests: counts.requests + missing,
    latency: withFastest(counts.latency, missing),
  });
  return best !== undefined && context.evaluate(best).phase === "Failed";
}

function beginOf(
  metric: TrafficMetric,
  { marks, nowMs, runStartedAtMs, stepStartedAtMs }: MeasureContext,
): { readonly fromMs: number; readonly mark?: string } {
  const isStep = metric.since === "step" && stepStartedAtMs !== undefined;
  if (!isStep && metric.since !== "run" && metric.since !== "step")
    return { fromMs: nowMs - (parseDuration(metric.since) ?? 0) };
  const mark = isStep ? marks?.step : marks?.run;
  return { fromMs: isStep ? stepStartedAtMs : runStartedAtMs, ...(mark !== undefined && { mark }) };
}

/** One float; undefined where there is nothing to divide by. */
function resultOf(metric: TrafficMetric, counts: Counts): number | undefined {
  switch (metric.metric) {
    case "requests":
      return counts.requests;
    case "successRate":
      return counts.requests === 0 ? undefined : 1 - counts.errors / counts.requests;
    case "errorRate":
      return counts.requests === 0 ? undefined : counts.errors / counts.requests;
    case "latency":
      return quantileMs(counts.latency, metric.quantile ?? DEFAULT_QUANTILE);
  }
}
