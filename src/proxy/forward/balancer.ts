// [hot] Chooses among a cluster's endpoints: round robin, least request of a few drawn, ring hash (ring.ts). Weights and slow start make a
// choice uneven; without them a choice is an index. A balancer keeps its position through every change of endpoints.

import type { Dice } from "../route/split.ts";
import type { BalancerOptions, SlowStart } from "./clusteroptions.ts";
import type { Endpoint } from "./endpoint.ts";
import { RingHash } from "./ring.ts";

/** A hash that no request has: then the choice is random. */
export const NO_HASH = -1;

/** One way to choose. */
export interface Balancer {
  /** The endpoints to choose from, from now on; `isUneven`: they have different shares (`weight`, `warmth`). */
  set(endpoints: readonly Endpoint[], isUneven: boolean): void;
  /** One of at least one endpoint. `hash` is 32 bits, unsigned, or NO_HASH; `attempt` counts choices for one request. */
  pick(hash: number, attempt: number): Endpoint;
}

export function createBalancer(options: BalancerOptions, dice: Dice): Balancer {
  switch (options.kind) {
    case "roundRobin":
      return new RoundRobin();
    case "leastRequest":
      return new LeastRequest(options.choices, dice);
    case "ringHash":
      return new RingHash(options.minimumSize, options.maximumSize, dice);
  }
}

/** Everyone in turn; uneven shares by smooth weighted round robin: each gains its share, the one with most goes and pays the sum. */
class RoundRobin implements Balancer {
  #endpoints: readonly Endpoint[] = [];
  #isUneven = false;
  #next = -1;

  set(endpoints: readonly Endpoint[], isUneven: boolean): void {
    this.#endpoints = endpoints;
    this.#isUneven = isUneven;
  }

  pick(): Endpoint {
    if (this.#isUneven) return this.#pickUneven();
    const endpoints = this.#endpoints;
    this.#next = this.#next + 1 >= endpoints.length ? 0 : this.#next + 1;
    return endpoints[this.#next]!;
  }

  #pickUneven(): Endpoint {
    const endpoints = this.#endpoints;
    let best = endpoints[0]!;
    let sum = 0;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[i]!;
      const share = endpoint.weight * endpoint.warmth;
      endpoint.credit += share;
      sum += share;
      if (endpoint.credit > best.credit) best = endpoint;
    }
    best.credit -= sum;
    return best;
  }
}

/** The least loaded of a few that are drawn with replacement; with uneven shares, the least loaded for its share. */
class LeastRequest implements Balancer {
  readonly #choices: number;
  readonly #dice: Dice;
  #endpoints: readonly Endpoint[] = [];
  #isUneven = false;

  constructor(choices: number, dice: Dice) {
    this.#choices = choices;
    this.#dice = dice;
  }

  set(endpoints: readonly Endpoint[], isUneven: boolean): void {
    this.#endpoints = endpoints;
    this.#isUneven = isUneven;
  }

  pick(): Endpoint {
    const endpoints = this.#endpoints;
    const count = endpoints.length;
    if (count === 1) return endpoints[0]!;
    let best = endpoints[this.#dice.below(count)]!;
    for (let drawn = 1; drawn < this.#choices; drawn++) {
      const other = endpoints[this.#dice.below(count)]!;
      if (this.#loadOf(other) < this.#loadOf(best)) best = other;
    }
    return best;
  }

  #loadOf(endpoint: Endpoint): number {
    return this.#isUneven ? (endpoint.active + 1) / (endpoint.weight * endpoint.warmth) : endpoint.active;
  }
}

/** The share of full traffic that an endpoint gets `ageMs` after it came into use. */
export function warmthOf(ageMs: number, { windowMs, aggression, minimum }: SlowStart): number {
  if (ageMs >= windowMs) return 1;
  return Math.max(minimum, (Math.max(ageMs, 1) / windowMs) ** (1 / aggression));
}
