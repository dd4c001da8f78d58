// Managed routes of Rollouts: the routes that a rule becomes besides its plain one. Each narrows the rule's own match; the first that a request
// matches decides, and the plain one stands last. Pure.
import {
  type ManagedRoute,
  type MirrorMatch,
  managedRouteSuffix,
  type TextMatch,
  type TrafficIntent,
} from "../api/api.ts";
import { readPattern } from "../lib/pattern.ts";
import { FractionalPercent_DenominatorType } from "../xds/types.ts";
import type { ClusterBook, Split } from "./clusters.ts";
import type { MatchInit } from "./conditions.ts";
import type { RouteActionInit } from "./forward.ts";
import type { Destination, Report } from "./input.ts";

type HeaderInit = NonNullable<MatchInit["headers"]>[number];
type MirrorInit = NonNullable<RouteActionInit["requestMirrorPolicies"]>[number];

/** The managed routes of one Rollout that may be in force now. */
export interface Managed {
  /** Its key. */
  readonly rollout: string;
  readonly routes: readonly ManagedRoute[];
}

/** By key of the Rollout, the managed route that holds for a request. */
export type Chosen = ReadonlyMap<string, ManagedRoute>;

/** One of the routes that a match of a rule becomes. */
export interface Variant {
  /** Put behind the names of routes; empty for the plain one. */
  readonly label: string;
  readonly conditions: readonly HeaderInit[];
  readonly chosen: Chosen;
}

/** Without any managed route. */
const PLAIN: Variant = { label: "", conditions: [], chosen: new Map() };

/** The variants of a rule that leads to these Rollouts, in the order in which they are tried; the plain one is the last. */
export function variantsOf(managed: readonly Managed[], report: Report): readonly Variant[] {
  return managed.reduce<readonly Variant[]>(
    (variants, one) => variants.flatMap((variant) => narrowed(variant, one, report)),
    [PLAIN],
  );
}

/** A match of a rule that holds only where the variant's conditions do, too. */
export function narrowedMatch(match: MatchInit, { conditions }: Variant): MatchInit {
  return conditions.length === 0 ? match : { ...match, headers: [...(match.headers ?? []), ...conditions] };
}

/** A split as a chosen route has it: all of it to the canary under a header route. */
export function steered(split: Split, chosen: Chosen): Split {
  const route = split.rollout === undefined ? undefined : chosen.get(split.rollout);
  if (route?.kind !== "header") return split;
  const targets = split.targets.map((target) => ({
    ...target,
    weight: target.role === "canary" ? split.scale : 0,
  }));
  return { ...split, targets };
}

/** The copies that the chosen routes ask for, of requests to these destinations; one per cluster. */
export function managedMirrors(
  destinations: readonly Destination[],
  chosen: Chosen,
  book: ClusterBook,
  hasSuffix: boolean,
): readonly MirrorInit[] {
  const mirrors = new Map<string, MirrorInit>();
  for (const destination of destinations) {
    const { rollout } = book.managed(destination) ?? {};
    const route = rollout === undefined ? undefined : chosen.get(rollout);
    const cluster = route?.kind === "mirror" ? book.canaryMirror(destination) : undefined;
    if (route?.kind !== "mirror" || cluster === undefined) continue;
    mirrors.set(cluster, {
      cluster,
      disableShadowHostSuffixAppend: !hasSuffix,
      ...(route.percent < PERCENT && {
        runtimeFraction: {
          defaultValue: {
            numerator: route.percent,
            denominator: FractionalPercent_DenominatorType.HUNDRED,
          },
        },
      }),
    });
  }
  return [...mirrors.values()];
}

const PERCENT = 100;

function narrowed(variant: Variant, { rollout, routes }: Managed, report: Report): readonly Variant[] {
  const more = routes.flatMap((route) =>
    conditionsOf(route, rollout, report).map((conditions, index) => ({
      label: `${variant.label}${managedRouteSuffix(route.name)}${index === 0 ? "" : `.${index}`}`,
      conditions: [...variant.conditions, ...conditions],
      chosen: new Map([...variant.chosen, [rollout, route] as const]),
    })),
  );
  return [...more, variant];
}

/** The conditions of each of a route's matches; one that cannot be read is left out, validation has told of it. */
function conditionsOf(route: ManagedRoute, rollout: string, report: Report): readonly HeaderInit[][] {
  const problems: string[] = [];
  const all = route.matches.map((match) => {
    const before = problems.length;
    const conditions =
      "name" in match ? [headerInit(match.name, match.value, problems)] : mirrorConditions(match, problems);
    return problems.length === before ? [conditions] : [];
  });
  for (const problem of problems)
    report(`Rollout ${rollout}`, `managed route ${route.name}`, `${problem}; the match is left out`);
  return all.flat();
}

function mirrorConditions({ method, path, headers }: MirrorMatch, problems: string[]): HeaderInit[] {
  return [
    ...(method === undefined ? [] : [headerInit(":method", method, problems)]),
    ...(path === undefined ? [] : [headerInit(":path", withAnyQuery(path), problems)]),
    ...headers.map(({ name, value }) => headerInit(name, value, problems)),
  ];
}

function headerInit(name: string, match: TextMatch, problems: string[]): HeaderInit {
  return {
    name: name.toLowerCase(),
    headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: patternInit(match, problems) } },
  };
}

function patternInit({ kind, value }: TextMatch, problems: string[]) {
  if (kind !== "regex") return { case: kind, value } as const;
  const shape = readPattern(value);
  if (typeof shape === "string") problems.push(`${JSON.stringify(value)} ${shape}`);
  return { case: "safeRegex", value: { regex: value } } as const;
}

/** `:path` carries the query, what is written here is about the path alone. */
function withAnyQuery({ kind, value }: TextMatch): TextMatch {
  if (kind === "prefix") return { kind, value };
  const path = kind === "regex" ? `(?:${value})` : value.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return { kind: "regex", value: `${path}(?:\\?.*)?` };
}

/** The Rollout's managed routes; header routes lead to a canary, and only to one that answers. */
export function managedOf(intent: TrafficIntent, canServe: boolean): Managed {
  const routes = intent.routes ?? [];
  const hasCanary = intent.versions.some(({ role }) => role === "canary");
  return {
    rollout: `${intent.namespace}/${intent.rollout}`,
    routes: routes.filter(({ kind }) => hasCanary && (kind === "mirror" || canServe)),
  };
}
