// [hot] Priorities: a cluster's endpoints in levels. The first level serves alone as long as enough of it is usable; what it cannot carry goes to
// the next ones. Rules and roundings are Envoy's. A cluster whose endpoints are all on one level has none of this (pool.ts).

import type { Dice } from "../route/split.ts";
import type { Balancer } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

/** How many endpoints a level has, and how many of them are usable. */
export interface LevelHealth {
  readonly count: number;
  readonly usable: number;
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
  readonly isPanicking: boolean;
}

interface Level extends LevelShare {
  readonly balancer: Balancer;
}

const NONE: readonly Level[] = [];

/** Chooses a level, then an endpoint by that level's own balancer. */
export class Levels implements Balancer {
  readonly #dice: Dice;
  readonly #create: () => Balancer;
  /** By level; those of levels that went are kept. */
  readonly #balancers: Balancer[];
  #levels: readonly Level[] = NONE;

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
    return this.#levels;
  }

  /** Finds out anew what each level gets. Returns the endpoints that may be chosen, level by level; `set` takes them, or some of them. */
  judge(endpoints: readonly Endpoint[], rules: LevelRules): readonly Endpoint[] {
    const levels = byLevel(endpoints);
    const usable = levels.map((all) => all.filter(({ isUsable }) => isUsable));
    const healths = levels.map((all, i) => ({ count: all.length, usable: usable[i]!.length }));
    while (this.#balancers.length < levels.length) this.#balancers.push(this.#create());
    this.#levels = sharesOf(healths, rules).map((share, i) => ({ ...share, balancer: this.#balancers[i]! }));
    return this.#levels.flatMap(({ loadPercent, isPanicking }, i) => {
      if (loadPercent === 0) return [];
      return isPanicking ? levels[i]! : usable[i]!;
    });
  }

  set(endpoints: readonly Endpoint[], isUneven: boolean): void {
    for (const [i, { balancer }] of this.#levels.entries())
      balancer.set(
        endpoints.filter(({ priority }) => priority === i),
        isUneven,
      );
  }

  /** The level goes by the lower end of the hash, so that each request keeps its own; a ring goes by the upper one. */
  pick(hash: number, attempt: number): Endpoint {
    const levels = this.#levels;
    const last = levels.length - 1;
    let left = hash < 0 ? this.#dice.below(100) : hash % 100;
    let at = 0;
    while (at < last && left >= levels[at]!.loadPercent) {
      left -= levels[at]!.loadPercent;
      at += 1;
    }
    return levels[at]!.balancer.pick(hash, attempt);
  }
}

/** Of at least one endpoint on any level: what each level gets; together 100. Source: Envoy: priority.rst, panic_threshold.rst. */
export function sharesOf(levels: readonly LevelHealth[], rules: LevelRules): readonly LevelShare[] {
  const { overprovisioningPercent, panicPercent } = rules;
  const healths = levels.map(({ count, usable }) =>
    count === 0 ? 0 : Math.min(100, Math.floor((overprovisioningPercent * usable) / count)),
  );
  const total = Math.min(100, sumOf(healths));
  const panics = levels.map(({ count, usable }) => total < 100 && usable * 100 < panicPercent * count);
  const isPanicEverywhere = levels.every(({ count }, i) => count === 0 || panics[i]);
  const loads = isPanicEverywhere ? loadsByCount(levels) : loadsByHealth(levels, healths, total);
  return levels.map((_level, i) => ({ loadPercent: loads[i]!, isPanicking: panics[i]! }));
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

/** Each level gets what it can carry of what those before it leave. */
function loadsByHealth(
  levels: readonly LevelHealth[],
  healths: readonly number[],
  total: number,
): readonly number[] {
  // So few are well that it rounds to nothing, and panic is off: they get it all the same.
  if (total === 0) {
    const nothing = levels.map(() => 0);
    return filledUp(
      nothing,
      Math.max(
        0,
        levels.findIndex(({ usable }) => usable > 0),
      ),
    );
  }
  let left = 100;
  const loads = healths.map((health) => {
    const load = Math.min(left, Math.floor((health * 100) / total));
    left -= load;
    return load;
  });
  return filledUp(
    loads,
    healths.findIndex((health) => health > 0),
  );
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
