// Section `limits` of TrafficPolicies on a Gateway, as fields of a listener's connection manager and a connection limit filter before it. Pure.
import { ConnectionLimitSchema, type Duration, durationOf, pack } from "../xds/types.ts";
import type { Report } from "./input.ts";
import { type Applied, durationFor } from "./policies.ts";

/** A filter before the connection manager. */
export type NetworkFilter = ReturnType<typeof connectionLimit>;

/** Options that HTTP/1 and HTTP/2 share. */
export interface CommonOptions {
  readonly maxHeadersCount?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxConnectionDuration?: Duration;
  readonly maxStreamDuration?: Duration;
}

export interface LimitSettings {
  readonly maxRequestHeadersKb?: number;
  readonly common: CommonOptions;
  readonly filters: readonly NetworkFilter[];
}

const MOST = 2 ** 31 - 1;
/** What the proxies take. */
const MOST_KILOBYTES = 1024;
const MOST_HEADERS = 1000;

/** What of `limits` goes where; what is no bound is reported and left out. */
export function limitSettings(applied: Applied, report: Report): LimitSettings {
  const { limits = {} } = applied.sections;
  const about = applied.sources.limits ?? "";
  const count = (field: CountField, most: number): number | undefined => {
    const value = limits[field];
    if (value === undefined || (value >= 1 && value <= most)) return value;
    report(about, `spec.limits.${field}`, `${value} is not between 1 and ${most}; it is left out`);
    return undefined;
  };
  const headKilobytes = count("headKilobytes", MOST_KILOBYTES);
  const headerCount = count("headerCount", MOST_HEADERS);
  const requests = count("requestsPerConnection", MOST);
  const connections = count("connections", MOST);
  const ageMs = durationFor(applied, "limits", "connectionDuration", report);
  const streamMs = durationFor(applied, "limits", "streamDuration", report);
  return {
    ...(headKilobytes === undefined ? {} : { maxRequestHeadersKb: headKilobytes }),
    common: {
      ...(headerCount === undefined ? {} : { maxHeadersCount: headerCount }),
      ...(requests === undefined ? {} : { maxRequestsPerConnection: requests }),
      ...(ageMs === undefined ? {} : { maxConnectionDuration: durationOf(ageMs) }),
      ...(streamMs === undefined ? {} : { maxStreamDuration: durationOf(streamMs) }),
    },
    filters: connections === undefined ? [] : [connectionLimit(connections)],
  };
}

type CountField = "connections" | "requestsPerConnection" | "headKilobytes" | "headerCount";

function connectionLimit(connections: number) {
  const typedConfig = pack(ConnectionLimitSchema, {
    statPrefix: "connections",
    maxConnections: BigInt(connections),
  });
  return {
    name: "envoy.filters.network.connection_limit",
    configType: { case: "typedConfig" as const, value: typedConfig },
  };
}
