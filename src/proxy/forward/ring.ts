// [hot] Ring hash: every endpoint stands at many points of a ring of 32 bits, a request goes to the first point at or behind its hash. An endpoint
// that comes or goes moves only its own share. Points are the upper halves of XXH64 of `address:port_0`, `_1`, …: the same in every process.

import type { Dice } from "../route/split.ts";
import { KeyHash } from "../route/xxhash.ts";
import type { Balancer } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

const HASH = new KeyHash();

/** See the head of this file. */
export class RingHash implements Balancer {
  readonly #minimumSize: number;
  readonly #maximumSize: number;
  readonly #dice: Dice;
  #endpoints: readonly Endpoint[] = [];
  #isStale = false;
  /** Points in order, and the position in `#endpoints` of whom each belongs to. */
  #points = new Uint32Array(0);
  #owners = new Uint32Array(0);

  constructor(minimumSize: number, maximumSize: number, dice: Dice) {
    this.#minimumSize = minimumSize;
    this.#maximumSize = maximumSize;
    this.#dice = dice;
  }

  set(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
    this.#isStale = true;
  }

  pick(hash: number, attempt: number): Endpoint {
    if (this.#isStale) this.#build();
    const at = hash < 0 ? this.#dice.below(this.#points.length) : firstAtOrBehind(this.#points, hash);
    // A further choice for the same request takes the next point.
    return this.#endpoints[this.#owners[(at + attempt) % this.#points.length]!]!;
  }

  /** As in Envoy: the lightest endpoint has a whole number of points, and all together at least the minimum. */
  #build(): void {
    this.#isStale = false;
    const endpoints = this.#endpoints;
    const total = endpoints.reduce((sum, { weight }) => sum + weight, 0);
    const least = endpoints.reduce((lowest, { weight }) => Math.min(lowest, weight), total) / total;
    const scale = Math.min(Math.ceil(least * this.#minimumSize) / least, this.#maximumSize);
    const pairs: { point: number; owner: number }[] = [];
    let wanted = 0;
    endpoints.forEach((endpoint, owner) => {
      wanted += (scale * endpoint.weight) / total;
      const count = Math.max(1, Math.ceil(wanted - pairs.length));
      const points = pointsOf(endpoint, count);
      for (let i = 0; i < count; i++) pairs.push({ point: points[i]!, owner });
    });
    pairs.sort((a, b) => a.point - b.point || a.owner - b.owner);
    this.#points = Uint32Array.from(pairs, ({ point }) => point);
    this.#owners = Uint32Array.from(pairs, ({ owner }) => owner);
  }
}

/** The endpoint's first `count` points; they are kept, so that a rebuilt ring costs a sort. */
function pointsOf(endpoint: Endpoint, count: number): Uint32Array {
  const known = endpoint.points;
  if (known.length >= count) return known;
  const points = new Uint32Array(count);
  points.set(known);
  for (let i = known.length; i < count; i++) {
    const key = Buffer.from(`${endpoint.key}_${i}`, "latin1");
    HASH.of(key, 0, key.length);
    points[i] = HASH.high;
  }
  endpoint.points = points;
  return points;
}

/** Index of the first point that is not below `hash`; behind the last one the ring begins anew. */
function firstAtOrBehind(points: Uint32Array, hash: number): number {
  let from = 0;
  let to = points.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (points[middle]! < hash) from = middle + 1;
    else to = middle;
  }
  return from === points.length ? 0 : from;
}
