// HTTPRoute rules become xDS routes: conditions of a match, their precedence, and where a matching request goes.
// A rule that says something which weir does not carry out is left out as a whole and reported: requests never pass a filter that is not there.

import type { HttpRoute, HttpRouteMatch, HttpRouteRule } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import {
  create,
  durationOf,
  type Route,
  type RouteMatch,
  RouteMatchSchema,
  RouteSchema,
} from "../xds/types.ts";
import type { ClusterBook, Target } from "./clusters.ts";
import type { Report } from "./input.ts";
import { type Memo, textOf } from "./memo.ts";
import { type Applied, durationFor } from "./policies.ts";

/** A route and what decides its place among the others of its host. */
export interface RankedRoute {
  readonly route: Route;
  /** Greater comes first, compared entry by entry. Source: Gateway API, HTTPRouteRule.matches. */
  readonly rank: readonly number[];
  /** Decides between equal ranks: the older HTTPRoute, then its name, then the rule's place. */
  readonly order: string;
}

type MatchInit = Exclude<Parameters<typeof create<typeof RouteMatchSchema>>[1], undefined>;
type HeaderInit = NonNullable<MatchInit["headers"]>[number];

/** What is sent for a route: `requestMs` 0 means none; without `idleMs` the listener's holds. */
interface RouteTimeouts {
  readonly requestMs: number;
  readonly idleMs?: number;
}

const NO_TIMEOUTS: RouteTimeouts = { requestMs: 0 };
const METHOD_HEADER = ":method";
/** The sum of the weights of a route is an unsigned number of 32 bits. */
const MAX_TOTAL_WEIGHT = 0xff_ff_ff_ff;

/** The routes of one HTTPRoute, for any of its hosts; `policyOf` says what TrafficPolicies ask of a rule (by its name). */
export function routesOf(
  httpRoute: HttpRoute,
  book: ClusterBook,
  policyOf: (rule: string | undefined) => Applied,
  memo: Memo,
  report: Report,
): RankedRoute[] {
  const { namespace = "", name, creationTimestamp = "" } = httpRoute.metadata;
  return (httpRoute.spec?.rules ?? []).flatMap((rule, index) => {
    const field = `spec.rules[${index}]`;
    const refuse = (path: string, message: string): void =>
      report(`HTTPRoute ${namespace}/${name}`, `${field}${path}`, `${message}; the rule is left out`);
    const action = actionOf(httpRoute, rule, book, refuse, timeoutsOf(policyOf(rule.name), report));
    if (action === undefined) return [];
    return (rule.matches ?? [{}]).flatMap((match, at) => {
      const matched = matchOf(match, (path, message) => refuse(`.matches[${at}]${path}`, message));
      if (matched === undefined) return [];
      const label = `${namespace}/${name}/${index}${(rule.matches ?? []).length > 1 ? `/${at}` : ""}`;
      const content = [textOf(match), textOf(action)];
      const make = (): Route => create(RouteSchema, { name: label, match: matched, action });
      const route = memo.routes.keep(label, content, make);
      const order = [creationTimestamp, `${namespace}/${name}`, ordinal(index), ordinal(at)].join(" ");
      return [{ route, rank: rankOf(match), order }];
    });
  });
}

/** The route that sends everything to one Service, for hosts without an HTTPRoute. */
export function defaultRoute(
  namespace: string,
  service: string,
  port: number,
  book: ClusterBook,
  memo: Memo,
): RankedRoute {
  const { targets } = book.split({ namespace, service, port });
  const name = `${namespace}/${service}:${port}`;
  const make = (): Route =>
    create(RouteSchema, {
      name,
      match: { pathSpecifier: { case: "prefix", value: "/" } },
      action: { case: "route", value: forward(targets, NO_TIMEOUTS) },
    });
  const route = memo.routes.keep(name, [textOf(targets)], make);
  return { route, rank: [0], order: "" };
}

/** Sorts by precedence: the first route that matches decides. */
export function byPrecedence(a: RankedRoute, b: RankedRoute): number {
  const length = Math.max(a.rank.length, b.rank.length);
  for (let index = 0; index < length; index += 1) {
    const difference = (b.rank[index] ?? 0) - (a.rank[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.order < b.order ? -1 : a.order > b.order ? 1 : 0;
}

function ordinal(index: number): string {
  return String(index).padStart(4, "0");
}

/** Exact path, longer prefix, method, more headers. Source: Gateway API, HTTPRouteRule.matches. */
function rankOf(match: HttpRouteMatch): number[] {
  const value = match.path?.value ?? "/";
  const isExact = match.path?.type === "Exact";
  return [isExact ? 1 : 0, value.length, match.method === undefined ? 0 : 1, match.headers?.length ?? 0];
}

function timeoutsOf(applied: Applied, report: Report): RouteTimeouts {
  const idleMs = durationFor(applied, "timeouts", "idle", report);
  return {
    requestMs: durationFor(applied, "timeouts", "request", report) ?? 0,
    ...(idleMs !== undefined && { idleMs }),
  };
}

type Refuse = (path: string, message: string) => void;

function matchOf(match: HttpRouteMatch, refuse: Refuse): RouteMatch | undefined {
  const path = pathOf(match, refuse);
  if (path === undefined) return undefined;
  if ((match.queryParams ?? []).length > 0) {
    refuse(".queryParams", "matching query parameters is not carried out yet");
    return undefined;
  }
  const headers: HeaderInit[] = [];
  const seen = new Set<string>();
  if (match.method !== undefined) headers.push(exactHeader(METHOD_HEADER, match.method));
  for (const [index, header] of (match.headers ?? []).entries()) {
    if ((header.type ?? "Exact") !== "Exact") {
      refuse(`.headers[${index}].type`, `header match type ${header.type} is not carried out yet`);
      return undefined;
    }
    const name = header.name.toLowerCase();
    // Only the first of several entries for one header counts. Source: Gateway API, HTTPHeaderMatch.name.
    if (!seen.has(name)) headers.push(exactHeader(name, header.value));
    seen.add(name);
  }
  return create(RouteMatchSchema, { pathSpecifier: path, headers });
}

function exactHeader(name: string, value: string): HeaderInit {
  const exact = { matchPattern: { case: "exact", value } } as const;
  return { name, headerMatchSpecifier: { case: "stringMatch", value: exact } };
}

function pathOf(match: HttpRouteMatch, refuse: Refuse): RouteMatch["pathSpecifier"] | undefined {
  const value = match.path?.value ?? "/";
  const type = match.path?.type ?? "PathPrefix";
  if (type === "Exact") return { case: "path", value };
  if (type !== "PathPrefix") {
    refuse(".path.type", `path match type ${type} is not carried out yet`);
    return undefined;
  }
  const trimmed = value.replace(/\/+$/, "");
  return trimmed === "" ? { case: "prefix", value: "/" } : { case: "pathSeparatedPrefix", value: trimmed };
}

type RouteActionInit = Exclude<Parameters<typeof create<typeof RouteSchema>>[1], undefined>["action"];

function actionOf(
  httpRoute: HttpRoute,
  rule: HttpRouteRule,
  book: ClusterBook,
  refuse: Refuse,
  timeouts: RouteTimeouts,
): RouteActionInit | undefined {
  const [filter] = rule.filters ?? [];
  if (filter !== undefined) return void refuse(".filters[0]", `filter ${filter.type} is not carried out yet`);
  if (rule.retry !== undefined) return void refuse(".retry", "retry settings are not carried out yet");
  if (rule.sessionPersistence !== undefined) {
    return void refuse(".sessionPersistence", "session persistence is not carried out yet");
  }
  if (rule.timeouts?.backendRequest !== undefined) {
    return void refuse(".timeouts.backendRequest", "a timeout per try is not carried out yet");
  }
  const requestMs =
    rule.timeouts?.request === undefined ? timeouts.requestMs : parseDuration(rule.timeouts.request);
  if (requestMs === undefined) {
    return void refuse(
      ".timeouts.request",
      `${JSON.stringify(rule.timeouts?.request)} is not a duration such as 10s`,
    );
  }
  const targets = backendsOf(httpRoute, rule, book, refuse);
  if (targets?.every((target) => target.weight === 0)) {
    return void refuse(".backendRefs", "all weights are 0");
  }
  return targets === undefined
    ? undefined
    : { case: "route", value: forward(targets, { ...timeouts, requestMs }) };
}

/** All backends of a rule as one list of clusters; Services of one Rollout count as one backend each time they are named. */
function backendsOf(
  httpRoute: HttpRoute,
  rule: HttpRouteRule,
  book: ClusterBook,
  refuse: Refuse,
): Target[] | undefined {
  const refs = rule.backendRefs ?? [];
  if (refs.length === 0) return void refuse(".backendRefs", "there is no backend");
  const namespace = httpRoute.metadata.namespace ?? "";
  const splits: { split: ReturnType<ClusterBook["split"]>; weight: number }[] = [];
  for (const [index, ref] of refs.entries()) {
    const at = `.backendRefs[${index}]`;
    if ((ref.group ?? "") !== "" || (ref.kind ?? "Service") !== "Service") {
      return void refuse(at, `only Services can be backends, not ${ref.kind ?? ref.group}`);
    }
    if ((ref.namespace ?? namespace) !== namespace) {
      return void refuse(`${at}.namespace`, "a backend in another namespace is not carried out yet");
    }
    if (ref.port === undefined) return void refuse(`${at}.port`, "a Service needs its port here");
    const [filter] = ref.filters ?? [];
    if (filter !== undefined)
      return void refuse(`${at}.filters[0]`, `filter ${filter.type} is not carried out yet`);
    splits.push({
      split: book.split({ namespace, service: ref.name, port: ref.port }),
      weight: ref.weight ?? 1,
    });
  }
  return combine(splits);
}

/** Weights of several splits on one integer scale: each backend's share is kept exactly. */
function combine(
  splits: readonly {
    readonly split: { readonly targets: readonly Target[]; readonly scale: number };
    readonly weight: number;
  }[],
): Target[] {
  const common = splits.reduce((scale, { split }) => leastCommonMultiple(scale, split.scale), 1);
  const weights = new Map<string, number>();
  for (const { split, weight } of splits) {
    for (const target of split.targets) {
      const share = weight * target.weight * (common / split.scale);
      weights.set(target.cluster, (weights.get(target.cluster) ?? 0) + share);
    }
  }
  return fitted([...weights].map(([cluster, weight]) => ({ cluster, weight })));
}

/** The same weights; where they add up to more than xDS has room for, scaled down, and none of them to nothing. */
function fitted(targets: readonly Target[]): Target[] {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  if (total <= MAX_TOTAL_WEIGHT) return [...targets];
  const shrink = (MAX_TOTAL_WEIGHT - targets.length) / total;
  return targets.map(({ cluster, weight }) => ({
    cluster,
    weight: weight === 0 ? 0 : Math.max(1, Math.floor(weight * shrink)),
  }));
}

function leastCommonMultiple(a: number, b: number): number {
  return (a / greatestCommonDivisor(a, b)) * b;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * A forwarding action. Always explicit: the weights and their total (clients differ in what they take an absent one for), and the timeout,
 * whose absence would mean 15 s (0 = none; idle timeouts guard).
 */
function forward(targets: readonly Target[], { requestMs, idleMs }: RouteTimeouts) {
  const carrying = targets.filter((target) => target.weight > 0);
  const [only] = carrying;
  const timeouts = {
    timeout: durationOf(requestMs),
    ...(idleMs !== undefined && { idleTimeout: durationOf(idleMs) }),
  };
  if (carrying.length === 1 && only !== undefined) {
    return { clusterSpecifier: { case: "cluster" as const, value: only.cluster }, ...timeouts };
  }
  const clusters = carrying.map(({ cluster, weight }) => ({ name: cluster, weight }));
  const totalWeight = carrying.reduce((sum, target) => sum + target.weight, 0);
  return {
    clusterSpecifier: { case: "weightedClusters" as const, value: { clusters, totalWeight } },
    ...timeouts,
  };
}
