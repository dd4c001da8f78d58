// What is done with a request that a rule matches: a rule of an HTTPRoute, and the TrafficPolicies that hold for it, as an xDS route action.
import type { HttpRoute, HttpRouteRule } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import { durationOf, type MessageInitShape, type Route, type RouteSchema } from "../xds/types.ts";
import { backendsOf, combined } from "./backends.ts";
import type { ClusterBook } from "./clusters.ts";
import { directResponseOf, withContentType } from "./directresponse.ts";
import { filtersOf } from "./filters.ts";
import { forward, type RouteActionInit } from "./forward.ts";
import type { Destination, Report } from "./input.ts";
import { type Chosen, managedMirrors, steered } from "./managed.ts";
import { mirrorsOf } from "./mirrors.ts";
import type { RuleAction } from "./placed.ts";
import { type Applied, durationFor } from "./policies.ts";
import { type Retries, retriesOf } from "./retries.ts";
import { keysOf } from "./sticky.ts";

/** The parts of a route that its rule decides; the match is the other one. */
export type RouteInit = Exclude<MessageInitShape<typeof RouteSchema>, Route>;
/** Reports what of a rule cannot be carried out, by its path in the rule. */
export type Refuse = (path: string, message: string) => void;

export interface RuleContext {
  readonly httpRoute: HttpRoute;
  readonly rule: HttpRouteRule;
  readonly book: ClusterBook;
  /** The managed routes of Rollouts that hold for the requests in question. */
  readonly chosen: Chosen;
  /** What TrafficPolicies ask of the rule. */
  readonly applied: Applied;
  /** Of the listener that the rule serves on. */
  readonly listenerPort: number;
  readonly refuse: Refuse;
  readonly report: Report;
}

/** What is sent for a route: 0 means none; without `idleMs` or `streamMs` the listener's hold. */
interface RouteTimeouts {
  readonly requestMs: number;
  readonly idleMs?: number;
  readonly streamMs?: number;
}

/** What a rule does; undefined when it cannot be carried out, which is reported. */
export function actionOf(context: RuleContext): RuleAction | undefined {
  const { rule, applied, refuse, report, listenerPort } = context;
  const filters = filtersOf(rule.filters ?? [], listenerPort, refuse);
  if (filters === undefined) return undefined;
  const { edits, redirect, path } = filters;
  const changed = { ...(path !== undefined && { path }) };
  if (redirect !== undefined) {
    if ((rule.backendRefs ?? []).length > 0)
      return void refuse(".backendRefs", "a rule that redirects has no backends");
    return { ...changed, init: { ...edits, action: { case: "redirect", value: redirect } } };
  }
  const answer = directResponseOf(applied, report);
  if (answer !== undefined) return { init: withContentType(edits, answer) };
  const init = forwardOf(context, filters.host);
  return init === undefined ? undefined : { ...changed, init: { ...edits, ...init } };
}

function forwardOf(context: RuleContext, host: string | undefined): RouteInit | undefined {
  const { httpRoute, rule, applied, refuse, report } = context;
  const timeouts = timeoutsOf(rule, applied, refuse, report);
  const retries = retriesOf(rule, applied, refuse, report);
  const keys = keysOf(rule, applied, refuse, report);
  const requestMirrorPolicies = mirrorsOf(context);
  if (timeouts === undefined || retries === undefined || keys === undefined) return undefined;
  if (requestMirrorPolicies === undefined) return undefined;
  const backends = backendsOf(context);
  if (backends === undefined) return undefined;
  const salt = backends.salt ?? `${httpRoute.metadata.namespace}/${httpRoute.metadata.name}`;
  const action: RouteActionInit = {
    ...forward(backends, keys),
    ...policyIn(retries),
    requestMirrorPolicies,
    ...(host !== undefined && {
      hostRewriteSpecifier: { case: "hostRewriteLiteral", value: host },
      // The upstream can still tell which host was asked for.
      appendXForwardedHost: true,
    }),
  };
  return routeOf(action, timeouts, keys.length > 0 ? salt : undefined);
}

/** Sends everything to one Service, but for what the chosen managed routes say. */
export function defaultActionOf(
  destination: Destination,
  book: ClusterBook,
  chosen: Chosen,
  applied: Applied,
  report: Report,
): RouteInit {
  const split = steered(book.split(destination), chosen);
  const keys = keysOf(undefined, applied, () => undefined, report) ?? [];
  const timeouts = timeoutsOf(undefined, applied, () => undefined, report) ?? { requestMs: 0 };
  const salt = keys.length > 0 ? split.salt : undefined;
  const retries = retriesOf(undefined, applied, () => undefined, report) ?? { kind: "none" };
  const action = {
    ...forward(combined([{ split, weight: 1, edits: {} }]), keys),
    ...policyIn(retries),
    requestMirrorPolicies: [
      ...managedMirrors([destination], chosen, book, applied.sections.mirrors?.hostSuffix !== false),
    ],
  };
  return routeOf(action, timeouts, salt);
}

function policyIn(retries: Retries): Pick<RouteActionInit, "retryPolicy" | "hedgePolicy"> {
  if (retries.kind === "none") return {};
  const { policy, isHedged } = retries;
  return { retryPolicy: policy, ...(isHedged && { hedgePolicy: { hedgeOnPerTryTimeout: true } }) };
}

/** The timeout is always explicit: its absence would mean 15 s (0 = none; idle timeouts guard). */
function routeOf(
  action: RouteActionInit,
  { requestMs, idleMs, streamMs }: RouteTimeouts,
  salt: string | undefined,
): RouteInit {
  const timeouts = {
    timeout: durationOf(requestMs),
    ...(idleMs !== undefined && { idleTimeout: durationOf(idleMs) }),
    ...(streamMs !== undefined && { maxStreamDuration: { maxStreamDuration: durationOf(streamMs) } }),
  };
  return {
    action: { case: "route", value: { ...action, ...timeouts } },
    // Who does not know it hashes without: clients stay with a version all the same.
    ...(salt !== undefined && { metadata: { filterMetadata: { "weir.dev": { salt } } } }),
  };
}

function timeoutsOf(
  rule: HttpRouteRule | undefined,
  applied: Applied,
  refuse: Refuse,
  report: Report,
): RouteTimeouts | undefined {
  const own = rule?.timeouts?.request;
  const idleMs = durationFor(applied, "timeouts", "idle", report);
  const streamMs = durationFor(applied, "timeouts", "stream", report);
  const requestMs =
    own === undefined ? (durationFor(applied, "timeouts", "request", report) ?? 0) : parseDuration(own);
  if (requestMs === undefined || requestMs < 0)
    return void refuse(".timeouts.request", `${JSON.stringify(own)} is not a duration such as 10s`);
  return {
    requestMs,
    ...(idleMs !== undefined && { idleMs }),
    ...(streamMs !== undefined && { streamMs }),
  };
}
