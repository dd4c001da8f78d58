// HealthCheck → HealthOptions. Pure; problems are collected, not thrown. Defaults are Envoy's.
import type { HealthCheck, HealthCheck_Payload } from "../../xds/types.ts";
import { durationMs, RequestMethod } from "../../xds/types.ts";
import type { HealthOptions } from "../forward/health.ts";
import type { ProbeOptions, StatusRange } from "../forward/probe.ts";
import type { Problems } from "./problems.ts";

const NO_TRAFFIC_MS = 60_000;
const OK: readonly StatusRange[] = [{ start: 200, end: 201 }];

/** Reads a cluster's checks; null when there are none. */
export function compileHealth(checks: readonly HealthCheck[], problems: Problems): HealthOptions | null {
  const [check] = checks;
  if (check === undefined) return null;
  if (checks.length > 1) problems.add("health_checks", "has more than one entry");
  const at = "health_checks[0]";
  const timeoutMs = durationMs(check.timeout) ?? 0;
  const intervalMs = durationMs(check.interval) ?? 0;
  if (timeoutMs <= 0) problems.add(`${at}.timeout`, "must be above 0");
  if (intervalMs <= 0) problems.add(`${at}.interval`, "must be above 0");
  const unhealthyThreshold = check.unhealthyThreshold ?? 0;
  const healthyThreshold = check.healthyThreshold ?? 0;
  if (unhealthyThreshold < 1) problems.add(`${at}.unhealthy_threshold`, "must be 1 or more");
  if (healthyThreshold < 1) problems.add(`${at}.healthy_threshold`, "must be 1 or more");
  const unhealthyMs = durationMs(check.unhealthyInterval) ?? intervalMs;
  const noTrafficMs = durationMs(check.noTrafficInterval) ?? NO_TRAFFIC_MS;
  return {
    probe: compileProbe(check, at, problems),
    timeoutMs,
    intervalMs,
    jitterMs: durationMs(check.intervalJitter) ?? 0,
    jitterPercent: check.intervalJitterPercent,
    initialJitterMs: durationMs(check.initialJitter) ?? 0,
    unhealthyThreshold,
    healthyThreshold,
    unhealthyMs,
    unhealthyEdgeMs: durationMs(check.unhealthyEdgeInterval) ?? unhealthyMs,
    healthyEdgeMs: durationMs(check.healthyEdgeInterval) ?? intervalMs,
    noTrafficMs,
    noTrafficHealthyMs: durationMs(check.noTrafficHealthyInterval) ?? noTrafficMs,
  };
}

function compileProbe({ healthChecker, altPort }: HealthCheck, at: string, problems: Problems): ProbeOptions {
  const port = altPort ?? null;
  if (port !== null && (port < 1 || port > 65_535)) problems.add(`${at}.alt_port`, "is no port");
  switch (healthChecker.case) {
    case "httpHealthCheck": {
      const { host, path, method, expectedStatuses, retriableStatuses } = healthChecker.value;
      const inside = `${at}.http_health_check`;
      if (!/^\/[\x21-\x7e]*$/.test(path)) problems.add(`${inside}.path`, "is no path");
      if (!/^[\x21-\x7e]*$/.test(host)) problems.add(`${inside}.host`, "is no host");
      const expected = expectedStatuses.map(rangeOf);
      return {
        kind: "http",
        port,
        method: method === RequestMethod.HEAD ? "HEAD" : "GET",
        path,
        host,
        expected: expected.length === 0 ? OK : expected,
        retriable: retriableStatuses.map(rangeOf),
      };
    }
    case "tcpHealthCheck": {
      const { send, receive } = healthChecker.value;
      const inside = `${at}.tcp_health_check`;
      return {
        kind: "tcp",
        port,
        send: bytesOf(send, `${inside}.send`, problems),
        receive: receive.map((payload, index) => bytesOf(payload, `${inside}.receive[${index}]`, problems)),
      };
    }
    case "grpcHealthCheck":
    case undefined:
      problems.add(at, "has no http_health_check or tcp_health_check");
      return { kind: "tcp", port, send: Buffer.alloc(0), receive: [] };
  }
}

function rangeOf({ start, end }: { readonly start: bigint; readonly end: bigint }): StatusRange {
  return { start: Number(start), end: Number(end) };
}

/** `text` is hex digits. */
function bytesOf(message: HealthCheck_Payload | undefined, at: string, problems: Problems): Buffer {
  const payload = message?.payload;
  if (payload?.case === "binary") return Buffer.from(payload.value);
  const text = payload?.value ?? "";
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) problems.add(`${at}.text`, "is no string of hex digits");
  return Buffer.from(text, "hex");
}
