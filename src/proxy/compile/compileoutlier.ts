// OutlierDetection → OutlierOptions. Pure; problems are collected, not thrown. Defaults are Envoy's.
import type { OutlierDetection } from "../../xds/types.ts";
import { durationMs } from "../../xds/types.ts";
import type { OutlierOptions } from "../forward/outlier.ts";
import type { Problems } from "./problems.ts";

const INTERVAL_MS = 10_000;
const BASE_MS = 30_000;
const MAX_MS = 300_000;
/** success_rate_stdev_factor is in thousandths. */
const FACTOR_SCALE = 1_000;

/** Reads the message; null when there is none. */
export function compileOutlier(
  message: OutlierDetection | undefined,
  problems: Problems,
): OutlierOptions | null {
  if (message === undefined) return null;
  const intervalMs = durationMs(message.interval) ?? INTERVAL_MS;
  const baseMs = durationMs(message.baseEjectionTime) ?? BASE_MS;
  const maxMs = durationMs(message.maxEjectionTime) ?? Math.max(MAX_MS, baseMs);
  const at = "outlier_detection";
  if (intervalMs <= 0) problems.add(`${at}.interval`, "must be above 0");
  if (baseMs <= 0) problems.add(`${at}.base_ejection_time`, "must be above 0");
  if (maxMs < baseMs) problems.add(`${at}.max_ejection_time`, "is below base_ejection_time");
  const percent = (name: string, value: number | undefined, absent: number): number => {
    const found = value ?? absent;
    if (found > 100) problems.add(`${at}.${name}`, "must be between 0 and 100");
    return found;
  };
  return {
    consecutive5xx: message.consecutive5xx ?? 5,
    enforce5xx: percent("enforcing_consecutive_5xx", message.enforcingConsecutive5xx, 100),
    consecutiveGateway: message.consecutiveGatewayFailure ?? 5,
    enforceGateway: percent(
      "enforcing_consecutive_gateway_failure",
      message.enforcingConsecutiveGatewayFailure,
      0,
    ),
    consecutiveLocal: message.consecutiveLocalOriginFailure ?? 5,
    enforceLocal: percent(
      "enforcing_consecutive_local_origin_failure",
      message.enforcingConsecutiveLocalOriginFailure,
      100,
    ),
    isSplit: message.splitExternalLocalOriginErrors,
    intervalMs,
    baseMs,
    maxMs,
    jitterMs: durationMs(message.maxEjectionTimeJitter) ?? 0,
    maxPercent: percent("max_ejection_percent", message.maxEjectionPercent, 10),
    mayAlwaysEjectOne: message.alwaysEjectOneHost ?? false,
    isEndedByCheck: message.successfulActiveHealthCheckUnejectHost ?? true,
    successRate: {
      enforce: percent("enforcing_success_rate", message.enforcingSuccessRate, 100),
      enforceLocal: percent(
        "enforcing_local_origin_success_rate",
        message.enforcingLocalOriginSuccessRate,
        100,
      ),
      minimumHosts: message.successRateMinimumHosts ?? 5,
      minimumRequests: message.successRateRequestVolume ?? 100,
      factor: (message.successRateStdevFactor ?? 1_900) / FACTOR_SCALE,
    },
    failureShare: {
      enforce: percent("enforcing_failure_percentage", message.enforcingFailurePercentage, 0),
      enforceLocal: percent(
        "enforcing_failure_percentage_local_origin",
        message.enforcingFailurePercentageLocalOrigin,
        0,
      ),
      minimumHosts: message.failurePercentageMinimumHosts ?? 5,
      minimumRequests: message.failurePercentageRequestVolume ?? 50,
      threshold: percent("failure_percentage_threshold", message.failurePercentageThreshold, 85),
    },
  };
}
