// [hot] Phase "split": picks one version of a route. Versions own intervals of [0, total) in their order; a number decides, drawn by chance here,
// or taken from the request's sticky key (sticky.ts). The generator is xoshiro128** (Blackman, Vigna): no pattern, period 2^128 - 1.
import type { Split, Target } from "./table.ts";

const TWO_32 = 0x1_0000_0000;

/** Uniform numbers in [0, 2^32), good to split traffic and to tell clients apart, not for secrets. */
export class Dice {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `seed` is any 32-bit number. */
  constructor(seed: number) {
    // Weyl steps through a mixer (splitmix32), so that near seeds begin far apart; the state is never all 0.
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed ^= mixed >>> 15;
      mixed = Math.imul(mixed, 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() || 1;
  }

  next(): number {
    const b = this.#b;
    const five = Math.imul(b, 5);
    const result = Math.imul((five << 7) | (five >>> 25), 9);
    this.#c ^= this.#a;
    this.#d ^= b;
    this.#b = b ^ this.#c;
    this.#a ^= this.#d;
    this.#c ^= b << 9;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** Uniform in [0, bound); bound at most 2^32. */
  below(bound: number): number {
    return Math.floor((this.next() / TWO_32) * bound);
  }
}

/** A target by weight: target i gets weight i / total of all picks; weight 0 gets none. */
export function pickTarget(split: Split, dice: Dice): Target {
  return split.targets.length === 1 ? split.targets[0]! : targetAt(split, dice.below(split.total));
}

/** The target that owns the number `at` of [0, total). */
export function targetAt({ targets, bounds }: Split, at: number): Target {
  for (let i = 0; i < bounds.length; i++) if (at < bounds[i]!) return targets[i]!;
  return targets[targets.length - 1]!;
}
