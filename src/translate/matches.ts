// HTTPRoute rules become xDS routes: conditions of a match, their precedence, and where a matching request goes.
// A rule that says something which weir does not carry out answers its requests with 500 and is reported: they never pass a filter that is not
// there, and never fall to a broader rule. Source: Gateway API, HTTPRouteRule.filters and backendRefs.

import type { HttpRoute, HttpRouteRule } from "../api/api.ts";
import { create, type Route, RouteSchema } from "../xds/types.ts";
import { actionOf, defaultActionOf } from "./actions.ts";
import { destinationsOf } from "./backends.ts";
import type { ClusterBook } from "./clusters.ts";
import { matchOf, rankOf } from "./conditions.ts";
import type { Destination, Report } from "./input.ts";
import { type Managed, narrowedMatch, variantsOf } from "./managed.ts";
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
    const variants = variantsOf(managedIn(rule, namespace, book), report);
    const actions = variants.map(
      ({ chosen }) =>
        actionOf({ httpRoute, rule, book, chosen, applied, listenerPort, refuse, report }) ?? REFUSED,
    );
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
      const order = [creationTimestamp, `${namespace}/${name}`, ordinal(index), ordinal(at)].join(" ");
      return variants.flatMap((variant, which) => {
        const own = narrowedMatch(matched, variant);
        const parts = placed(actions[which] ?? REFUSED, own, refuse);
        const served = parts.length > 0 ? parts : placed(REFUSED, own, refuse);
        return served.map((one, part) => {
          const routeName = `${label}${variant.label}`;
          const make = (): Route => create(RouteSchema, { ...one.init, name: routeName, match: one.match });
          const route = memo.routes.keep(`${routeName} ${part}`, [textOf(one)], make);
          // Variants keep their order: equal ranks and orders stay as they are.
          return { route, rank: rankOf(match, applied), order };
        });
      });
    });
  });
}

/** The Rollouts with managed routes that a rule leads to. */
function managedIn(rule: HttpRouteRule, namespace: string, book: ClusterBook): readonly Managed[] {
  const found = destinationsOf(rule, namespace).flatMap((destination) => book.managed(destination) ?? []);
  return [...new Map(found.map((one) => [one.rollout, one])).values()];
}

/** The routes that send everything to one Service, for hosts without an HTTPRoute. */
export function defaultRoutes(
  destination: Destination,
  book: ClusterBook,
  applied: Applied,
  memo: Memo,
  report: Report,
): RankedRoute[] {
  const { namespace, service, port } = destination;
  const managed = book.managed(destination);
  return variantsOf(managed === undefined ? [] : [managed], report).map((variant) => {
    const name = `${namespace}/${service}:${port}${variant.label}`;
    const init = {
      ...defaultActionOf(destination, book, variant.chosen, applied, report),
      match: narrowedMatch({ pathSpecifier: { case: "prefix", value: "/" } }, variant),
    };
    const route = memo.routes.keep(name, [textOf(init)], () => create(RouteSchema, { ...init, name }));
    return { route, rank: [0], order: "" };
  });
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
