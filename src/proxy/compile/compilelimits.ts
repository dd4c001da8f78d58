// Filter chain of a listener → what it allows its clients (limits.ts): the connection manager's bounds, and those of a connection limit filter
// in front of it. Pure.
import type { ConnectionLimit, HttpConnectionManager } from "../../xds/types.ts";
import { durationMs } from "../../xds/types.ts";
import {
  type ClientLimits,
  DEFAULT_CLIENT_LIMITS,
  HIGHEST_HEAD_BYTES,
  HIGHEST_HEAD_FIELDS,
} from "../admit/limits.ts";
import type { Problems } from "./problems.ts";

/** Reads the bounds. `at` is the path of the manager; `filter` the connection limit filter, if there is one, at `filterAt`. */
export function compileLimits(
  hcm: HttpConnectionManager,
  at: string,
  filter: ConnectionLimit | undefined,
  filterAt: string,
  problems: Problems,
): ClientLimits {
  const common = hcm.commonHttpProtocolOptions;
  const bounded = (value: number, highest: number, path: string): number => {
    if (value < 1 || value > highest) problems.add(`${at}.${path}`, `is not between 1 and ${highest}`);
    return value;
  };
  const headBytes =
    hcm.maxRequestHeadersKb === undefined
      ? DEFAULT_CLIENT_LIMITS.headBytes
      : 1024 * bounded(hcm.maxRequestHeadersKb, HIGHEST_HEAD_BYTES / 1024, "max_request_headers_kb");
  const headFields =
    common?.maxHeadersCount === undefined
      ? DEFAULT_CLIENT_LIMITS.headFields
      : bounded(
          common.maxHeadersCount,
          HIGHEST_HEAD_FIELDS,
          "common_http_protocol_options.max_headers_count",
        );
  const connections = Number(filter?.maxConnections ?? Number.POSITIVE_INFINITY);
  if (filter !== undefined && (filter.maxConnections === undefined || connections < 1))
    problems.add(`${filterAt}.max_connections`, "must be 1 or more");
  return {
    headBytes,
    headFields,
    connections,
    // In Envoy 0 is no limit.
    requestsPerConnection: common?.maxRequestsPerConnection || DEFAULT_CLIENT_LIMITS.requestsPerConnection,
    connectionMs: durationMs(common?.maxConnectionDuration) ?? 0,
    streamMs: durationMs(common?.maxStreamDuration) ?? 0,
  };
}
