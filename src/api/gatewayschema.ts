// Schemas of the Gateway API kinds (gateway.networking.k8s.io/v1) that decide where requests enter and which Service they name.
import { z } from "zod";
import { int32, int64, kindOf, opaque, open, type Parsed, strings, time } from "./shapes.ts";

const condition = open({
  type: z.string(),
  status: z.string(),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: time,
  observedGeneration: int64.optional(),
});

const listener = open({
  name: z.string(),
  hostname: z.string().optional(),
  port: int32,
  protocol: z.string(),
  tls: opaque.optional(),
  allowedRoutes: open({
    namespaces: open({ from: z.string().optional(), selector: opaque.optional() }).optional(),
    kinds: z.array(open({ group: z.string().optional(), kind: z.string() })).optional(),
  }).optional(),
});
export type GatewayListener = Parsed<typeof listener>;

export const gatewaySchema = kindOf({
  spec: open({
    gatewayClassName: z.string(),
    listeners: z.array(listener),
    addresses: z.array(open({ type: z.string().optional(), value: z.string().optional() })).optional(),
    infrastructure: opaque.optional(),
    allowedListeners: opaque.optional(),
    defaultScope: z.string().optional(),
    tls: opaque.optional(),
  }),
  status: open({
    addresses: z.array(open({ type: z.string().optional(), value: z.string() })).optional(),
    conditions: z.array(condition).optional(),
    listeners: z.array(opaque).optional(),
  }),
});
export type Gateway = Parsed<typeof gatewaySchema>;

const parentRef = open({
  /** Default `gateway.networking.k8s.io`. */
  group: z.string().optional(),
  /** Default `Gateway`. */
  kind: z.string().optional(),
  /** Default: the route's. */
  namespace: z.string().optional(),
  name: z.string(),
  sectionName: z.string().optional(),
  port: int32.optional(),
});
export type ParentRef = Parsed<typeof parentRef>;

const valueMatch = open({
  /** `Exact` (the default) or `RegularExpression`. */
  type: z.string().optional(),
  name: z.string(),
  value: z.string(),
});

const routeMatch = open({
  path: open({
    /** `Exact`, `PathPrefix` (the default) or `RegularExpression`. */
    type: z.string().optional(),
    /** Default `/`. */
    value: z.string().optional(),
  }).optional(),
  headers: z.array(valueMatch).optional(),
  queryParams: z.array(valueMatch).optional(),
  method: z.string().optional(),
});
export type HttpRouteMatch = Parsed<typeof routeMatch>;

const requestMirror = open({
  backendRef: open({
    group: z.string().optional(),
    kind: z.string().optional(),
    namespace: z.string().optional(),
    name: z.string(),
    port: int32.optional(),
  }).optional(),
  /** Of requests, 0 to 100. */
  percent: int32.optional(),
  /** Of requests; the denominator is 100 by default. */
  fraction: open({ numerator: int32, denominator: int32.optional() }).optional(),
});
export type HttpRequestMirror = Parsed<typeof requestMirror>;

const header = open({ name: z.string(), value: z.string() });
const headerModifier = open({
  set: z.array(header).optional(),
  add: z.array(header).optional(),
  remove: strings.optional(),
});
export type HttpHeaderModifier = Parsed<typeof headerModifier>;

const pathModifier = open({
  /** `ReplaceFullPath` or `ReplacePrefixMatch`. */
  type: z.string(),
  replaceFullPath: z.string().optional(),
  replacePrefixMatch: z.string().optional(),
});
export type HttpPathModifier = Parsed<typeof pathModifier>;

const urlRewrite = open({ hostname: z.string().optional(), path: pathModifier.optional() });

const requestRedirect = open({
  scheme: z.string().optional(),
  hostname: z.string().optional(),
  path: pathModifier.optional(),
  port: int32.optional(),
  /** Default 302. */
  statusCode: int32.optional(),
});

/** A filter: the tag, and the settings beside it as they are written. */
const routeFilter = open({
  type: z.string(),
  requestHeaderModifier: headerModifier.optional(),
  responseHeaderModifier: headerModifier.optional(),
  requestMirror: requestMirror.optional(),
  requestRedirect: requestRedirect.optional(),
  urlRewrite: urlRewrite.optional(),
  cors: opaque.optional(),
  extensionRef: opaque.optional(),
  externalAuth: opaque.optional(),
});
export type HttpRouteFilter = Parsed<typeof routeFilter>;

const backendRef = open({
  /** Default: the core group. */
  group: z.string().optional(),
  /** Default `Service`. */
  kind: z.string().optional(),
  namespace: z.string().optional(),
  name: z.string(),
  port: int32.optional(),
  /** Default 1. */
  weight: int32.optional(),
  filters: z.array(routeFilter).optional(),
});
export type HttpBackendRef = Parsed<typeof backendRef>;

/** GEP-1619. */
const sessionPersistence = open({
  /** `Cookie` (the default) or `Header`. */
  type: z.string().optional(),
  sessionName: z.string().optional(),
  absoluteTimeout: z.string().optional(),
  idleTimeout: z.string().optional(),
  /** `Session` (the default) or `Permanent`. */
  cookieConfig: open({ lifetimeType: z.string().optional() }).optional(),
});

const routeRetry = open({
  /** Statuses that are tried again. */
  codes: z.array(int32).optional(),
  attempts: int32.optional(),
  /** Least time between tries. */
  backoff: z.string().optional(),
});

const routeRule = open({
  name: z.string().optional(),
  /** Default: one match of the path prefix `/`. */
  matches: z.array(routeMatch).optional(),
  filters: z.array(routeFilter).optional(),
  backendRefs: z.array(backendRef).optional(),
  timeouts: open({ request: z.string().optional(), backendRequest: z.string().optional() }).optional(),
  retry: routeRetry.optional(),
  sessionPersistence: sessionPersistence.optional(),
});
export type HttpRouteRule = Parsed<typeof routeRule>;

export const httpRouteSchema = kindOf({
  spec: open({
    parentRefs: z.array(parentRef).optional(),
    useDefaultGateways: z.string().optional(),
    hostnames: strings.optional(),
    rules: z.array(routeRule).optional(),
  }),
  status: open({ parents: z.array(opaque).optional() }),
});
export type HttpRoute = Parsed<typeof httpRouteSchema>;
