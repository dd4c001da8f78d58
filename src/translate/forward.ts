// Versions with shares → the weighted clusters of a route. Always explicit: the weights and their total (clients differ in what they take an
// absent one for). Canaries stand before stable, so that a sticky canary owns [0, w).
import type { MessageInitShape, RouteAction, RouteActionSchema } from "../xds/types.ts";
import type { Backends, Version } from "./backends.ts";
import { type Interval, layOut, STICKY_TOTAL } from "./layout.ts";

export type RouteActionInit = Exclude<MessageInitShape<typeof RouteActionSchema>, RouteAction>;
export type HashPolicyInit = NonNullable<RouteActionInit["hashPolicy"]>[number];

/** The sum of the weights of a route is an unsigned number of 32 bits. */
const MAX_TOTAL_WEIGHT = 0xff_ff_ff_ff;

/** Where requests go; with `keys`, clients that have one of them stay with their version. */
export function forward(backends: Backends, keys: readonly HashPolicyInit[]): RouteActionInit {
  const isSticky = keys.length > 0;
  const intervals = isSticky ? sticky(backends) : fitted(backends.list.flat());
  const [only] = intervals;
  const hashPolicy = [...keys];
  const isPlain = only !== undefined && Object.keys(only.target.edits).length === 0;
  if (intervals.length === 1 && isPlain)
    return { clusterSpecifier: { case: "cluster", value: only.target.cluster }, hashPolicy };
  const clusters = intervals.map(({ target, width }) => ({
    ...target.edits,
    name: target.cluster,
    weight: width,
  }));
  const totalWeight = isSticky ? STICKY_TOTAL : intervals.reduce((sum, { width }) => sum + width, 0);
  return {
    clusterSpecifier: {
      case: "weightedClusters",
      value: {
        clusters,
        totalWeight,
        randomValueSpecifier: isSticky
          ? { case: "useHashPolicy", value: { value: true } }
          : { case: undefined },
      },
    },
    hashPolicy,
  };
}

/** All versions beside the first backend's stable one, which the others change against; another backend's versions change together. */
function sticky({ list }: Backends): Interval<Version>[] {
  const [first = [], ...others] = list;
  const stable = first.at(-1);
  if (stable === undefined) return [];
  const blocks = [...first.slice(0, -1).map((canary) => [canary]), ...others];
  const shares = (versions: readonly Version[]) =>
    versions.map((target) => ({ target, weight: target.weight }));
  return layOut(blocks.map(shares), { target: stable, weight: stable.weight });
}

/** The versions that get something; where the weights add up to more than xDS has room for, scaled down, and none of them to nothing. */
function fitted(versions: readonly Version[]): Interval<Version>[] {
  const carrying = versions.filter(({ weight }) => weight > 0);
  const total = carrying.reduce((sum, { weight }) => sum + weight, 0);
  if (total <= MAX_TOTAL_WEIGHT) return carrying.map((target) => ({ target, width: target.weight }));
  const shrink = (MAX_TOTAL_WEIGHT - carrying.length) / total;
  return carrying.map((target) => ({ target, width: Math.max(1, Math.floor(target.weight * shrink)) }));
}
