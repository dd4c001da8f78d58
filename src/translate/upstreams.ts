// The sections of a TrafficPolicy on a Service, as fields of its cluster: connection, balancing, checks, ejection, bounds. Pure.
import type { PolicySection, PolicySections } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import {
  type Cluster,
  Cluster_LbPolicy,
  type ClusterSchema,
  durationOf,
  HttpProtocolOptionsSchema,
  type MessageInitShape,
  pack,
  RequestMethod,
} from "../xds/types.ts";
import type { Report } from "./input.ts";
import type { Applied } from "./policies.ts";

export type ClusterInit = Exclude<MessageInitShape<typeof ClusterSchema>, Cluster>;
type HealthCheckInit = NonNullable<ClusterInit["healthChecks"]>[number];

const CONNECT_TIMEOUT_MS = 5_000;
/** Copies to a mirror at a time, unless a policy says otherwise: few enough that a mirror that hangs costs little. */
const MAX_COPIES = 100;
/** What a kubelet's probes take for success. */
const GOOD_STATUSES: readonly (string | number)[] = ["200-399"];
const STATUSES = /^(?<first>[1-5]\d\d)(?:-(?<last>[1-5]\d\d))?$/;
const MAX_PORT = 65_535;
const MAX_UINT32 = 0xffff_ffff;
const PERCENT = 100;

/** What policies ask of a cluster; what is no value is reported and left out. */
export function clusterPart(applied: Applied, isMirror: boolean, report: Report): ClusterInit {
  const reader = new SectionReader(applied, report);
  const { connection = {}, mirrorBounds = {}, circuitBreaker = {} } = applied.sections;
  const connectMs = reader.duration("connection", "timeout", connection.timeout) ?? CONNECT_TIMEOUT_MS;
  const copies = reader.number("mirrorBounds", "concurrent", mirrorBounds.concurrent, 0, MAX_UINT32);
  const waiting = reader.number("mirrorBounds", "bufferedBytes", mirrorBounds.bufferedBytes, 0, MAX_UINT32);
  return {
    connectTimeout: durationOf(connectMs),
    ...(isMirror && waiting !== undefined && { perConnectionBufferLimitBytes: waiting }),
    ...protocol(connection, reader),
    ...balancing(applied.sections.loadBalancer ?? {}, reader),
    ...checks(applied.sections.healthChecks, reader),
    ...ejection(applied.sections.outlierDetection, reader),
    ...bounds(isMirror ? { maxRequests: copies ?? MAX_COPIES } : circuitBreaker, reader),
  };
}

/** Reads values of sections, and reports those that are none. */
class SectionReader {
  readonly #applied: Applied;
  readonly #report: Report;

  constructor(applied: Applied, report: Report) {
    this.#applied = applied;
    this.#report = report;
  }

  wrong(section: PolicySection, field: string, words: string): undefined {
    this.#report(this.#applied.sources[section] ?? "", `spec.${section}${field}`, `${words}; it is left out`);
  }

  /** A number from `least` to `most`. */
  number(section: PolicySection, field: string, value: number | undefined, least: number, most: number) {
    if (value === undefined || (value >= least && value <= most)) return value;
    return this.wrong(section, `.${field}`, `${value} is not between ${least} and ${most}`);
  }

  /** A duration of at least a millisecond, in milliseconds. */
  duration(section: PolicySection, field: string, text: string | undefined): number | undefined {
    const ms = text === undefined ? undefined : parseDuration(text);
    if (text === undefined || (ms !== undefined && ms >= 1)) return ms;
    return this.wrong(section, `.${field}`, `${JSON.stringify(text)} is not a duration such as 10s`);
  }
}

function protocol(section: NonNullable<PolicySections["connection"]>, reader: SectionReader): ClusterInit {
  const idleMs = reader.duration("connection", "idle", section.idle);
  const most = reader.number("connection", "maxRequests", section.maxRequests, 1, MAX_UINT32);
  if (idleMs === undefined && most === undefined) return {};
  const options = pack(HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: {
      ...(idleMs !== undefined && { idleTimeout: durationOf(idleMs) }),
      ...(most !== undefined && { maxRequestsPerConnection: most }),
    },
    upstreamProtocolOptions: {
      case: "explicitHttpConfig",
      value: { protocolConfig: { case: "httpProtocolOptions", value: {} } },
    },
  });
  return { typedExtensionProtocolOptions: { [options.typeUrl.replace(/^.*\//, "")]: options } };
}

function balancing(section: NonNullable<PolicySections["loadBalancer"]>, reader: SectionReader): ClusterInit {
  const { policy = "RoundRobin" } = section;
  const panic = reader.number("loadBalancer", "panicPercent", section.panicPercent, 0, PERCENT);
  const common = panic === undefined ? {} : { commonLbConfig: { healthyPanicThreshold: { value: panic } } };
  const slowStart = slowStartOf(section.slowStart, reader);
  const slowly = slowStart === undefined ? {} : { slowStartConfig: slowStart };
  switch (policy) {
    case "LeastRequest": {
      const choiceCount = reader.number("loadBalancer", "choices", section.choices, 2, 1024);
      const value = { ...(choiceCount !== undefined && { choiceCount }), ...slowly };
      const lbConfig = { case: "leastRequestLbConfig", value } as const;
      return { lbPolicy: Cluster_LbPolicy.LEAST_REQUEST, lbConfig, ...common };
    }
    case "RingHash": {
      if (slowStart !== undefined) reader.wrong("loadBalancer", ".slowStart", "a ring knows no slow start");
      const size = reader.number("loadBalancer", "ringSize", section.ringSize, 1, 65_536);
      const value = size === undefined ? {} : { minimumRingSize: BigInt(size) };
      return {
        lbPolicy: Cluster_LbPolicy.RING_HASH,
        lbConfig: { case: "ringHashLbConfig", value },
        ...common,
      };
    }
    default: {
      if (policy !== "RoundRobin")
        reader.wrong(
          "loadBalancer",
          ".policy",
          `${JSON.stringify(policy)} is not RoundRobin, LeastRequest or RingHash`,
        );
      const lbConfig = { case: "roundRobinLbConfig", value: slowly } as const;
      return { lbPolicy: Cluster_LbPolicy.ROUND_ROBIN, ...(slowStart && { lbConfig }), ...common };
    }
  }
}

function slowStartOf(
  section: NonNullable<PolicySections["loadBalancer"]>["slowStart"],
  reader: SectionReader,
) {
  const windowMs = reader.duration("loadBalancer", "slowStart.window", section?.window);
  if (windowMs === undefined) return undefined;
  const aggression = reader.number("loadBalancer", "slowStart.aggression", section?.aggression, 0.01, 100);
  const least = reader.number(
    "loadBalancer",
    "slowStart.minimumPercent",
    section?.minimumPercent,
    0,
    PERCENT,
  );
  return {
    slowStartWindow: durationOf(windowMs),
    ...(aggression !== undefined && { aggression: { defaultValue: aggression, runtimeKey: "slow_start" } }),
    ...(least !== undefined && { minWeightPercent: { value: least } }),
  };
}

function checks(section: PolicySections["healthChecks"], reader: SectionReader): ClusterInit {
  if (section === undefined) return {};
  const { http, tcp } = section;
  if ((http === undefined) === (tcp === undefined)) {
    reader.wrong("healthChecks", "", "http or tcp must be there, one of the two");
    return {};
  }
  const healthChecker =
    http === undefined ? ({ case: "tcpHealthCheck", value: {} } as const) : httpCheck(http, reader);
  if (healthChecker === undefined) return {};
  const intervalMs = reader.duration("healthChecks", "interval", section.interval) ?? 10_000;
  const threshold = (field: "unhealthyThreshold" | "healthyThreshold", absent: number): number =>
    reader.number("healthChecks", field, section[field], 1, 1_000) ?? absent;
  const altPort = reader.number("healthChecks", "port", section.port, 1, MAX_PORT);
  const check: HealthCheckInit = {
    interval: durationOf(intervalMs),
    timeout: durationOf(reader.duration("healthChecks", "timeout", section.timeout) ?? 1_000),
    // Also while there is no traffic: a Rollout waits for what the checks say.
    noTrafficInterval: durationOf(intervalMs),
    unhealthyThreshold: threshold("unhealthyThreshold", 3),
    healthyThreshold: threshold("healthyThreshold", 1),
    ...(altPort !== undefined && { altPort }),
    healthChecker,
  };
  // As in weir's proxies. An Envoy without it goes on sending to pods that are gone until their checks fail, and Envoy 1.40 then crashes.
  return { healthChecks: [check], ignoreHealthOnHostRemoval: true };
}

function httpCheck(
  http: NonNullable<NonNullable<PolicySections["healthChecks"]>["http"]>,
  reader: SectionReader,
) {
  const { path, host = "", method = "GET", statuses = GOOD_STATUSES } = http;
  if (!/^\/[\x21-\x7e]*$/.test(path))
    return reader.wrong("healthChecks", ".http.path", `${JSON.stringify(path)} is no path`);
  if (!/^[\x21-\x7e]*$/.test(host))
    return reader.wrong("healthChecks", ".http.host", `${JSON.stringify(host)} is no host`);
  if (method !== "GET" && method !== "HEAD")
    return reader.wrong("healthChecks", ".http.method", `${JSON.stringify(method)} is not GET or HEAD`);
  const expectedStatuses = statuses.flatMap((status, index) => {
    const { first, last = first } = STATUSES.exec(String(status))?.groups ?? {};
    if (first !== undefined && last !== undefined && first <= last)
      return [{ start: BigInt(first), end: BigInt(last) + 1n }];
    reader.wrong(
      "healthChecks",
      `.http.statuses[${index}]`,
      `${JSON.stringify(status)} is not such as 200 or 200-299`,
    );
    return [];
  });
  const value = {
    path,
    host,
    method: method === "HEAD" ? RequestMethod.HEAD : RequestMethod.GET,
    expectedStatuses,
    // So that the threshold holds for every kind of failure.
    retriableStatuses: [{ start: 100n, end: 600n }],
  };
  return { case: "httpHealthCheck", value } as const;
}

function ejection(section: PolicySections["outlierDetection"], reader: SectionReader): ClusterInit {
  if (section === undefined) return {};
  const name = "outlierDetection";
  type Count = "consecutive5xx" | "consecutiveGatewayErrors" | "consecutiveLocalFailures";
  const count = (field: Count, least: number): number | undefined =>
    reader.number(name, field, section[field], least, MAX_UINT32);
  const serverErrors = count("consecutive5xx", 0) ?? 5;
  const gateway = count("consecutiveGatewayErrors", 1);
  const local = count("consecutiveLocalFailures", 1);
  const deviations = reader.number(
    name,
    "successRateDeviations",
    section.successRateDeviations,
    0.001,
    1_000,
  );
  const baseMs = reader.duration(name, "baseEjectionTime", section.baseEjectionTime) ?? 30_000;
  const maxMs = reader.duration(name, "maxEjectionTime", section.maxEjectionTime) ?? 300_000;
  const percent = reader.number(name, "maxEjectionPercent", section.maxEjectionPercent, 0, PERCENT) ?? 10;
  return {
    outlierDetection: {
      consecutive5xx: Math.max(serverErrors, 1),
      enforcingConsecutive5xx: serverErrors === 0 ? 0 : PERCENT,
      ...(gateway !== undefined && {
        consecutiveGatewayFailure: gateway,
        enforcingConsecutiveGatewayFailure: PERCENT,
      }),
      ...(local !== undefined && {
        splitExternalLocalOriginErrors: true,
        consecutiveLocalOriginFailure: local,
        enforcingLocalOriginSuccessRate: 0,
      }),
      enforcingSuccessRate: deviations === undefined ? 0 : PERCENT,
      ...(deviations !== undefined && { successRateStdevFactor: Math.round(deviations * 1_000) }),
      interval: durationOf(reader.duration(name, "interval", section.interval) ?? 10_000),
      baseEjectionTime: durationOf(baseMs),
      maxEjectionTime: durationOf(Math.max(baseMs, maxMs)),
      maxEjectionPercent: percent,
      alwaysEjectOneHost: true,
    },
  };
}

/** Always there, so that every client of the control plane has the same budget of retries. */
function bounds(section: NonNullable<PolicySections["circuitBreaker"]>, reader: SectionReader): ClusterInit {
  type Count = "maxConnections" | "maxPendingRequests" | "maxRequests" | "maxRetries";
  const count = (field: Count): number | undefined =>
    reader.number("circuitBreaker", field, section[field], 0, MAX_UINT32);
  const { retryBudget } = section;
  const percent = reader.number("circuitBreaker", "retryBudget.percent", retryBudget?.percent, 0, PERCENT);
  const minimum = reader.number("circuitBreaker", "retryBudget.minimum", retryBudget?.minimum, 0, MAX_UINT32);
  const [maxConnections, maxPendingRequests] = [count("maxConnections"), count("maxPendingRequests")];
  const [maxRequests, maxRetries] = [count("maxRequests"), count("maxRetries")];
  const budget = { budgetPercent: { value: percent ?? 20 }, minRetryConcurrency: minimum ?? 3 };
  const threshold = {
    ...(maxConnections !== undefined && { maxConnections }),
    ...(maxPendingRequests !== undefined && { maxPendingRequests }),
    ...(maxRequests !== undefined && { maxRequests }),
    ...(maxRetries === undefined ? { retryBudget: budget } : { maxRetries }),
  };
  return { circuitBreakers: { thresholds: [threshold] } };
}
