// Schema of TrafficPolicy (weir.dev/v1alpha1): what proxies do that an HTTPRoute has no field for. It is attached by `targetRefs`;
// docs/reference/policy.md says which section goes on which target, and translate/policies.ts which of several wins.
import { z } from "zod";
import { durationText, int32, kindOf, opaque, open, type Parsed } from "./shapes.ts";

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
});

const connection = open({
  /** For a connection to an endpoint to be made. */
  timeout: durationText.optional(),
});

const clientAddress = open({
  /** Proxies in front whose entries in X-Forwarded-For, and whose other word about the client, are believed. Default 0: none. */
  trustedHops: int32.optional(),
  /** `append` the peer's address (default), `overwrite` what came, or `keep` it as it came. */
  forwardedFor: z.string().optional(),
  /** Fields whose name has an underscore: `allow` (default), `reject` the request with 400, or `drop` them. */
  underscores: z.string().optional(),
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

export const trafficPolicySchema = kindOf({
  spec: open({
    targetRefs: z.array(targetRef),
    timeouts: timeouts.optional(),
    connection: connection.optional(),
    clientAddress: clientAddress.optional(),
    accessLog: accessLog.optional(),
    tracing: tracing.optional(),
    mirrors: mirrors.optional(),
    mirrorBounds: mirrorBounds.optional(),
    sticky: sticky.optional(),
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
  connection: ["Service"],
  clientAddress: ["Gateway"],
  accessLog: ["Gateway"],
  tracing: ["Gateway"],
  mirrors: ["Gateway", "HTTPRoute"],
  mirrorBounds: ["Service"],
  sticky: ["Gateway", "HTTPRoute"],
};
