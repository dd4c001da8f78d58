// [hot] Phase "split": picks one version of a route by weight, with a small fast generator of random numbers (xorshift32).
import type { Split, Target } from "./table.ts";

/** Uniform numbers in [0, 2^32), good enough to split traffic, not for secrets. */
export class Dice {
  #state: number;

  /** `seed` is any 32-bit number. */
  constructor(seed: number) {
    this.#state = seed | 0 || 0x9e3779b9;
  }

  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** Uniform in [0, bound); bound at most 2^32. */
  below(bound: number): number {
    return Math.floor((this.next() / 0x100000000) * bound);
  }
}

/** A target by weight: target i gets weight i / total of all picks; weight 0 gets none. */
export function pickTarget(split: Split, dice: Dice): Target {
  const { targets, bounds } = split;
  if (targets.length === 1) return targets[0]!;
  const at = dice.below(split.total);
  for (let i = 0; i < bounds.length; i++) if (at < bounds[i]!) return targets[i]!;
  return targets[targets.length - 1]!;
}
