// Schema of TrafficPolicy (weir.dev/v1alpha1): what proxies do that an HTTPRoute has no field for. It is attached by `targetRefs`;
// docs/reference/policy.md says which section goes on which target, and translate/policies.ts which of several wins.
import { z } from "zod";
import { durationText, int32, int64, intOrString, kindOf, opaque, open, type Parsed } from "./shapes.ts";

const targetRef = open({
  /** Default: `gateway.networking.k8s.io`, for a Service the core group. */
  group: z.string().optional(),
  /** `Gateway`, `HTTPRoute` or `Service`, in the policy's namespace. */
  kind: z.string(),
  name: z.string(),
  /** A listener of the Gateway, a rule of the HTTPRoute, a port name of the Service; default: all of it. */
  sectionName: z.string().optional(),
});
export type PolicyTargetRef = Parsed<typeof targetRef>;

const timeouts = open({
  /** From the end of the request to the end of the answer, retries included; `0s`: none. The route's own `timeouts.request` goes before. */
  request: durationText.optional(),
  /** Longest silence on an exchange; `0s`: none. */
  idle: durationText.optional(),
  /** From the head of a request to the end of its answer, however busy, instead of the Gateway's `limits.streamDuration`; `0s`: any time. */
  stream: durationText.optional(),
  /** For one try, from the end of the request to the head of its answer. The route's own `timeouts.backendRequest` goes before. */
  perTry: durationText.optional(),
});

const retry = open({
  /** `5xx`, `gateway-error`, `reset`, `connect-failure`, `retriable-4xx` (409). Default `connect-failure` and `reset`. */
  on: z.array(z.string()).optional(),
  /** Statuses that are tried again too. */
  codes: z.array(int32).optional(),
  /** Tries beyond the first; default 1. */
  attempts: int32.optional(),
  /** A random wait below `base` (default `25ms`), which doubles with each try up to `max` (default ten times the base). */
  backoff: open({ base: durationText.optional(), max: durationText.optional() }).optional(),
  /** A try whose time (`perTry`) is over goes on beside the next one; the first good answer is the client's. Default false: it ends. */
  hedgeOnPerTryTimeout: z.boolean().optional(),
});

const connection = open({
  /** For a connection to an endpoint to be made. */
  timeout: durationText.optional(),
  /** How long it is kept unused, where the endpoint asks for no less; default `4s`. */
  idle: durationText.optional(),
  /** Requests that it serves before it is closed; default: any number. */
  maxRequests: int32.optional(),
});

const loadBalancer = open({
  /** `RoundRobin` (default), `LeastRequest` or `RingHash` (by the key of the route's `sticky`). */
  policy: z.string().optional(),
  /** Of LeastRequest: endpoints that are drawn, default 2. */
  choices: int32.optional(),
  /** Of RingHash: points on the ring, default 1024. */
  ringSize: int32.optional(),
  /** New endpoints get their share bit by bit, over `window`. Not with RingHash. */
  slowStart: open({
    window: durationText,
    /** Default 1: in proportion to time; above: more at the begin. */
    aggression: z.number().optional(),
    /** Least part of a full share, default 10. */
    minimumPercent: z.number().optional(),
  }).optional(),
  /** Below so many percent of usable endpoints all of them get requests; default 50, 0: never. */
  panicPercent: z.number().optional(),
});

const healthChecks = open({
  /** Default `10s`. */
  interval: durationText.optional(),
  /** Default `1s`. */
  timeout: durationText.optional(),
  /** Failed checks in a row until an endpoint counts as failed; default 3. */
  unhealthyThreshold: int32.optional(),
  /** Good checks in a row until it counts as healthy again; default 1. */
  healthyThreshold: int32.optional(),
  /** Default: the endpoint's own. */
  port: int32.optional(),
  http: open({
    path: z.string(),
    /** In Host; default: the Service's name and port. */
    host: z.string().optional(),
    /** `GET` (default) or `HEAD`. */
    method: z.string().optional(),
    /** Good statuses, such as `200` or `200-299`; default `200-399`. */
    statuses: z.array(intOrString).optional(),
  }).optional(),
  /** A connection is enough. */
  tcp: open({}).optional(),
});

const outlierDetection = open({
  /** Answers 5xx in a row (and what the proxy notices itself: no connection, resets, timeouts) that eject; default 5, 0: none do. */
  consecutive5xx: int32.optional(),
  /** Answers 502, 503 and 504 in a row that eject. */
  consecutiveGatewayErrors: int32.optional(),
  /** Failures in a row that the proxy notices itself, counted apart from answers. */
  consecutiveLocalFailures: int32.optional(),
  /** Eject whose rate of successes is so many standard deviations below the mean, such as 1.9. */
  successRateDeviations: z.number().optional(),
  /** Default `10s`. */
  interval: durationText.optional(),
  /** Times the number of ejections; default `30s`. */
  baseEjectionTime: durationText.optional(),
  /** Default `300s`. */
  maxEjectionTime: durationText.optional(),
  /** Default 10; one endpoint may always be out. */
  maxEjectionPercent: int32.optional(),
});

const circuitBreaker = open({
  /** Default 1024 each. */
  maxConnections: int32.optional(),
  maxPendingRequests: int32.optional(),
  maxRequests: int32.optional(),
  /** Retries in progress: a share of the requests in progress, but always `minimum`. Default 20 and 3. */
  retryBudget: open({ percent: z.number().optional(), minimum: int32.optional() }).optional(),
  /** In place of the budget: so many retries in progress. */
  maxRetries: int32.optional(),
});

const clientAddress = open({
  /** Proxies in front whose entries in X-Forwarded-For, and whose other word about the client, are believed. Default 0: none. */
  trustedHops: int32.optional(),
  /** `append` the peer's address (default), `overwrite` what came, or `keep` it as it came. */
  forwardedFor: z.string().optional(),
  /** Fields whose name has an underscore: `allow` (default), `reject` the request with 400, or `drop` them. */
  underscores: z.string().optional(),
});

const clientConnection = open({
  /** Whether a client may end its side (FIN) behind a request and still get the answer, the last of the connection. Default false. */
  halfClose: z.boolean().optional(),
});

const normalization = open({
  /** Whether a path's escapes, backslashes, `.` and `..` are made one spelling before it is matched and sent on. Default true. */
  path: z.boolean().optional(),
  /** Whether `//` in a path is `/`. Default true. */
  mergeSlashes: z.boolean().optional(),
  /** `%2F` and `%5C` in a path: `reject` the request with 400 (default), `keep` them, or `unescape` them to `/`. */
  escapedSlashes: z.string().optional(),
  /** Parameters of a path (`/cart;v=2`), which are always sent on: rules `ignore` them (default), or `keep` them as part of the path. */
  pathParameters: z.string().optional(),
  /** Port taken off Host: `none` (default), `matching` (the listener's own) or `any`. It never decides which host is meant. */
  stripHostPort: z.string().optional(),
  /** Whether the dot behind a fully qualified host is taken off. Default true. */
  stripTrailingDot: z.boolean().optional(),
});

const conditionFields = {
  name: z.string(),
  exact: z.string().optional(),
  prefix: z.string().optional(),
  suffix: z.string().optional(),
  contains: z.string().optional(),
  /** RE2, about the whole value. */
  regex: z.string().optional(),
  /** Whether it is there at all. */
  present: z.boolean().optional(),
  /** Of exact, prefix, suffix, contains. */
  ignoreCase: z.boolean().optional(),
};
const condition = open({
  ...conditionFields,
  /** Holds when the rest does not. */
  not: z.boolean().optional(),
});
const headerCondition = open({
  ...conditionFields,
  /** A whole number, at least `from` and below `to`. */
  range: open({ from: int64, to: int64 }).optional(),
  not: z.boolean().optional(),
});
export type PolicyCondition = Parsed<typeof headerCondition>;

/** Conditions on top of each match of a rule: all must hold. */
const match = open({
  headers: z.array(headerCondition).optional(),
  queryParams: z.array(open(conditionFields)).optional(),
  cookies: z.array(condition).optional(),
});

const sticky = open({
  /** Clients without the cookie are given one. */
  cookie: open({
    /** Default `weir-sticky`. */
    name: z.string().optional(),
    /** Lifetime, in whole seconds; default `0s`: as long as the browser runs. */
    ttl: durationText.optional(),
    /** Default `/`. */
    path: z.string().optional(),
    /** More of the cookie, such as `{name: SameSite, value: Lax}` or `{name: Secure}`; `HttpOnly` is always there. */
    attributes: z.array(open({ name: z.string(), value: z.string().optional() })).optional(),
  }).optional(),
  /** Name of a header whose value tells clients apart. */
  header: z.string().optional(),
  clientAddress: z.boolean().optional(),
});

const directResponse = open({
  /** 200 to 599. */
  status: int32,
  /** At most 4096 bytes. */
  body: z.string().optional(),
  /** Default `text/plain`. */
  contentType: z.string().optional(),
});

const mirrors = open({
  /** Whether copies carry `-shadow` behind their host's name. Default true. */
  hostSuffix: z.boolean().optional(),
});

const mirrorBounds = open({
  /** Copies under way at a time; beyond, requests are not copied. Default 100. */
  concurrent: int32.optional(),
  /** Bytes of one copy that may wait while the mirror does not take them; beyond, the copy is given up. Default 1 MiB. */
  bufferedBytes: int32.optional(),
});

const accessLog = open({
  /** Absolute; default `/dev/stdout`. */
  path: z.string().optional(),
  /** A line with Envoy's %COMMANDS%; default: Envoy's line. */
  text: z.string().optional(),
  /** An object whose strings may hold %COMMANDS%; instead of `text`. */
  json: opaque.optional(),
});

const tracing = open({
  /** `make` one where a request has none that is believed (default), `keep` what comes, `off`: none is made, a stranger's is dropped. */
  requestId: z.string().optional(),
  /** Whether answers state the request's id. */
  requestIdInAnswer: z.boolean().optional(),
  /** W3C trace context: `forward` as it comes (default), or `make` one where a request has none. */
  traceContext: z.string().optional(),
  /** Share of the traces made here that are marked as sampled, 0 to 100; default 100. */
  samplingPercent: z.number().optional(),
});

const limits = open({
  /** Connections of clients; more are closed at once. */
  connections: int32.optional(),
  /** The answer to so many requests ends the connection. */
  requestsPerConnection: int32.optional(),
  /** Age from which on a connection ends with its next answer, or when idle. */
  connectionDuration: durationText.optional(),
  /** From the head of a request to the end of its answer, however busy it is. */
  streamDuration: durationText.optional(),
  /** Size of a request head in KiB; beyond it 431. Default 60. */
  headKilobytes: int32.optional(),
  /** Field lines of a request head; beyond it 431. Default 100. */
  headerCount: int32.optional(),
});

export const trafficPolicySchema = kindOf({
  spec: open({
    targetRefs: z.array(targetRef),
    timeouts: timeouts.optional(),
    retry: retry.optional(),
    connection: connection.optional(),
    loadBalancer: loadBalancer.optional(),
    healthChecks: healthChecks.optional(),
    outlierDetection: outlierDetection.optional(),
    circuitBreaker: circuitBreaker.optional(),
    clientAddress: clientAddress.optional(),
    clientConnection: clientConnection.optional(),
    accessLog: accessLog.optional(),
    tracing: tracing.optional(),
    mirrors: mirrors.optional(),
    mirrorBounds: mirrorBounds.optional(),
    sticky: sticky.optional(),
    normalization: normalization.optional(),
    match: match.optional(),
    limits: limits.optional(),
    directResponse: directResponse.optional(),
  }),
});
export type TrafficPolicy = Parsed<typeof trafficPolicySchema>;
/** The sections of a policy, all optional. */
export type PolicySections = Omit<TrafficPolicy["spec"], "targetRefs">;
export type PolicySection = keyof PolicySections;

/** Kinds of target that a section can be put on. */
export const POLICY_TARGETS: Readonly<
  Record<PolicySection, readonly ("Gateway" | "HTTPRoute" | "Service")[]>
> = {
  timeouts: ["Gateway", "HTTPRoute"],
  retry: ["Gateway", "HTTPRoute"],
  connection: ["Service"],
  loadBalancer: ["Service"],
  healthChecks: ["Service"],
  outlierDetection: ["Service"],
  circuitBreaker: ["Service"],
  clientAddress: ["Gateway"],
  clientConnection: ["Gateway"],
  accessLog: ["Gateway"],
  tracing: ["Gateway"],
  mirrors: ["Gateway", "HTTPRoute"],
  mirrorBounds: ["Service"],
  sticky: ["Gateway", "HTTPRoute"],
  normalization: ["Gateway"],
  match: ["HTTPRoute"],
  limits: ["Gateway"],
  directResponse: ["HTTPRoute"],
};
