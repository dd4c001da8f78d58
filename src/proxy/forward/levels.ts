// [hot] Priorities: a cluster's endpoints in levels. The first level serves alone as long as enough of it is usable; what it cannot carry goes to
// the next ones, and in the end to endpoints that are degraded. Rules and roundings are Envoy's. A cluster whose endpoints are all on one level, and
// none of them degraded, has none of this (pool.ts).

import type { Dice } from "../route/split.ts";
import type { Balancer } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

/** How many endpoints a level has, and how many of them are usable: in good health, or degraded. */
export interface LevelHealth {
  readonly count: number;
  readonly healthy: number;
  readonly degraded: number;
}

export interface LevelRules {
  /** A level counts as whole while at least 100 of so many percent of it are usable: 140 is a factor of 1.4. */
  readonly overprovisioningPercent: number;
  /** Where all levels together are not whole: below this percentage of usable endpoints all of a level get requests. */
  readonly panicPercent: number;
}

/** What a level gets of the requests, in whole percent, and whether all of its endpoints get it. */
export interface LevelShare {
  readonly loadPercent: number;
  /** What of it is for degraded endpoints. */
  readonly degradedPercent: number;
  readonly isPanicking: boolean;
}

/** The healthy endpoints of a level, or its degraded ones. */
interface Part {
  readonly percent: number;
  readonly endpoints: readonly Endpoint[];
  readonly balancer: Balancer;
}

/** Chooses a level, then an endpoint by that level's own balancer. */
export class Levels implements Balancer {
  readonly #dice: Dice;
  readonly #create: () => Balancer;
  /** Two for each level: of its healthy and of its degraded endpoints; those of levels that went are kept. */
  readonly #balancers: Balancer[];
  #shares: readonly LevelShare[] = [];
  /** Those that get anything: at least one, where there is an endpoint to choose. */
  #parts: readonly Part[] = [];

  /** `first` is the balancer of the first level, `create` makes the others. */
  constructor(dice: Dice, first: Balancer, create: () => Balancer) {
    this.#dice = dice;
    this.#create = create;
    this.#balancers = [first];
  }

  get first(): Balancer {
    return this.#balancers[0]!;
  }

  get shares(): readonly LevelShare[] {
    return this.#shares;
  }

  /** Finds out anew what each level gets. Returns the endpoints that may be chosen, in order of their levels. */
  judge(endpoints: readonly Endpoint[], rules: LevelRules): readonly Endpoint[] {
    const levels = byLevel(endpoints);
    const healthy = levels.map((all) => all.filter(({ isUsable, isDegraded }) => isUsable && !isDegraded));
    const degraded = levels.map((all) => all.filter(({ isUsable, isDegraded }) => isUsable && isDegraded));
    while (this.#balancers.length < 2 * levels.length) this.#balancers.push(this.#create());
    this.#shares = sharesOf(
      levels.map(({ length }, i) => ({
        count: length,
        healthy: healthy[i]!.length,
        degraded: degraded[i]!.length,
      })),
      rules,
    );
    const partsOf = (usable: typeof levels, percentOf: (share: LevelShare) => number, kind: 0 | 1): Part[] =>
      this.#shares.map((share, i) => ({
        percent: percentOf(share),
        endpoints: share.isPanicking ? levels[i]! : usable[i]!,
        balancer: this.#balancers[2 * i + kind]!,
      }));
    this.#parts = [
      ...partsOf(healthy, ({ loadPercent, degradedPercent }) => loadPercent - degradedPercent, 0),
      ...partsOf(degraded, ({ degradedPercent }) => degradedPercent, 1),
    ].filter(({ percent, endpoints: { length } }) => percent > 0 && length > 0);
    return this.#parts.flatMap((part) => part.endpoints);
  }

  /** What `judge` found is taken, whoever else is named. */
  set(_endpoints: readonly Endpoint[], isUneven: boolean): void {
    for (const { balancer, endpoints } of this.#parts) balancer.set(endpoints, isUneven);
  }

  /** The level goes by the lower end of the hash, so that each request keeps its own; a ring goes by the upper one. */
  pick(hash: number, attempt: number): Endpoint {
    const parts = this.#parts;
    const last = parts.length - 1;
    let left = hash < 0 ? this.#dice.below(100) : hash % 100;
    let at = 0;
    while (at < last && left >= parts[at]!.percent) {
      left -= parts[at]!.percent;
      at += 1;
    }
    return parts[at]!.balancer.pick(hash, attempt);
  }
}

/** Of at least one endpoint on any level: what each level gets; together 100. Source: Envoy: priority.rst, degraded.rst, panic_threshold.rst. */
export function sharesOf(levels: readonly LevelHealth[], rules: LevelRules): readonly LevelShare[] {
  const { overprovisioningPercent, panicPercent } = rules;
  const healthOf = (usable: number, count: number): number =>
    count === 0 ? 0 : Math.min(100, Math.floor((overprovisioningPercent * usable) / count));
  // Degraded endpoints get what the healthy ones of all levels cannot carry.
  const usable = [...levels.map(({ healthy }) => healthy), ...levels.map(({ degraded }) => degraded)];
  const healths = usable.map((number, i) => healthOf(number, levels[i % levels.length]!.count));
  const total = Math.min(100, sumOf(healths));
  const panics = levels.map(
    ({ count, healthy, degraded }) => total < 100 && (healthy + degraded) * 100 < panicPercent * count,
  );
  const isPanicEverywhere = levels.every(({ count }, i) => count === 0 || panics[i]);
  const loads = isPanicEverywhere ? loadsByCount(levels) : loadsByHealth(usable, healths, total);
  return levels.map((_level, i) => {
    const degradedPercent = loads[levels.length + i] ?? 0;
    return { loadPercent: loads[i]! + degradedPercent, degradedPercent, isPanicking: panics[i]! };
  });
}

/** Nobody is well: each level gets as much as it has endpoints, well or not. */
function loadsByCount(levels: readonly LevelHealth[]): readonly number[] {
  const all = sumOf(levels.map(({ count }) => count));
  const loads = levels.map(({ count }) => Math.floor((100 * count) / all));
  return filledUp(
    loads,
    levels.findIndex(({ count }) => count > 0),
  );
}

/** Each gets what it can carry of what those before it leave. */
function loadsByHealth(
  usable: readonly number[],
  healths: readonly number[],
  total: number,
): readonly number[] {
  // So few are well that it rounds to nothing, and panic is off: they get it all the same.
  const first = Math.max(
    0,
    (total === 0 ? usable : healths).findIndex((number) => number > 0),
  );
  let left = 100;
  const loads = healths.map((health) => {
    const load = total === 0 ? 0 : Math.min(left, Math.floor((health * 100) / total));
    left -= load;
    return load;
  });
  return filledUp(loads, first);
}

/** Adds what is missing from 100 by rounding to the load at `at`. */
function filledUp(loads: readonly number[], at: number): readonly number[] {
  const missing = 100 - sumOf(loads);
  return loads.map((load, i) => (i === at ? load + missing : load));
}

function byLevel(endpoints: readonly Endpoint[]): readonly (readonly Endpoint[])[] {
  const levels: Endpoint[][] = [];
  for (const endpoint of endpoints) {
    while (levels.length <= endpoint.priority) levels.push([]);
    levels[endpoint.priority]!.push(endpoint);
  }
  return levels;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
