// HTTPRoute rules become xDS routes: conditions of a match, their precedence, and where a matching request goes.
// A rule that says something which weir does not carry out is left out as a whole and reported: requests never pass a filter that is not there.

import type { HttpRoute, HttpRouteMatch } from "../api/api.ts";
import { create, type Route, type RouteMatch, RouteMatchSchema, RouteSchema } from "../xds/types.ts";
import { actionOf, defaultActionOf, type Refuse } from "./actions.ts";
import type { ClusterBook } from "./clusters.ts";
import type { Report } from "./input.ts";
import { type Memo, textOf } from "./memo.ts";
import type { Applied } from "./policies.ts";

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

const METHOD_HEADER = ":method";

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
    const applied = policyOf(rule.name);
    const action = actionOf({ httpRoute, rule, book, applied, refuse, report });
    if (action === undefined) return [];
    return (rule.matches ?? [{}]).flatMap((match, at) => {
      const matched = matchOf(match, (path, message) => refuse(`.matches[${at}]${path}`, message));
      if (matched === undefined) return [];
      const label = `${namespace}/${name}/${index}${(rule.matches ?? []).length > 1 ? `/${at}` : ""}`;
      const content = [textOf(match), textOf(action)];
      const make = (): Route => create(RouteSchema, { ...action, name: label, match: matched });
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
  applied: Applied,
  memo: Memo,
  report: Report,
): RankedRoute {
  const name = `${namespace}/${service}:${port}`;
  const action = defaultActionOf(book.split({ namespace, service, port }), applied, report);
  const make = (): Route =>
    create(RouteSchema, { ...action, name, match: { pathSpecifier: { case: "prefix", value: "/" } } });
  const route = memo.routes.keep(name, [textOf(action)], make);
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
