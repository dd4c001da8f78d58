// HTTPRoute rules become xDS routes: conditions of a match, their precedence, and where a matching request goes.
// A rule that says something which weir does not carry out answers its requests with 500 and is reported: they never pass a filter that is not
// there, and never fall to a broader rule. Source: Gateway API, HTTPRouteRule.filters and backendRefs.

import type { HttpRoute } from "../api/api.ts";
import { create, type Route, RouteSchema } from "../xds/types.ts";
import { actionOf, defaultActionOf } from "./actions.ts";
import type { ClusterBook } from "./clusters.ts";
import { matchOf, rankOf } from "./conditions.ts";
import type { Report } from "./input.ts";
import { type Memo, textOf } from "./memo.ts";
import { placed, type RuleAction } from "./placed.ts";
import type { Applied } from "./policies.ts";

/** A route and what decides its place among the others of its host. */
export interface RankedRoute {
  readonly route: Route;
  /** Greater comes first, compared entry by entry. Source: Gateway API, HTTPRouteRule.matches. */
  readonly rank: readonly number[];
  /** Decides between equal ranks: the older HTTPRoute, then its name, then the rule's place. */
  readonly order: string;
}

const REFUSED_WORDS = "requests of the rule are answered with 500";
/** What a rule does that cannot be carried out. */
const REFUSED: RuleAction = {
  init: {
    action: {
      case: "directResponse",
      value: {
        status: 500,
        body: {
          specifier: { case: "inlineString", value: "this rule of the HTTPRoute is not carried out\n" },
        },
      },
    },
  },
};

/** The routes of one HTTPRoute, for any of its hosts; `policyOf` says what TrafficPolicies ask of a rule (by its name). */
export function routesOf(
  httpRoute: HttpRoute,
  book: ClusterBook,
  policyOf: (rule: string | undefined) => Applied,
  listenerPort: number,
  memo: Memo,
  report: Report,
): RankedRoute[] {
  const { namespace = "", name, creationTimestamp = "" } = httpRoute.metadata;
  return (httpRoute.spec?.rules ?? []).flatMap((rule, index) => {
    const field = `spec.rules[${index}]`;
    const about = `HTTPRoute ${namespace}/${name}`;
    const refuse = (path: string, message: string): void =>
      report(about, `${field}${path}`, `${message}; ${REFUSED_WORDS}`);
    const applied = policyOf(rule.name);
    const action = actionOf({ httpRoute, rule, book, applied, listenerPort, refuse, report }) ?? REFUSED;
    return (rule.matches ?? [{}]).flatMap((match, at) => {
      const matched = matchOf(
        match,
        applied,
        (path, message) =>
          report(about, `${field}.matches[${at}]${path}`, `${message}; the match is left out`),
        (path, message) =>
          report(
            applied.sources.match ?? "",
            `spec.match${path}`,
            `${message}; matches it is put on are left out`,
          ),
      );
      if (matched === undefined) return [];
      const label = `${namespace}/${name}/${index}${(rule.matches ?? []).length > 1 ? `/${at}` : ""}`;
      const parts = placed(action, matched, refuse);
      const served = parts.length > 0 ? parts : placed(REFUSED, matched, refuse);
      return served.map((one, part) => {
        const make = (): Route => create(RouteSchema, { ...one.init, name: label, match: one.match });
        const route = memo.routes.keep(`${label} ${part}`, [textOf(one)], make);
        const order = [creationTimestamp, `${namespace}/${name}`, ordinal(index), ordinal(at)].join(" ");
        return { route, rank: rankOf(match, applied), order };
      });
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
