// Medians, and how far they can be trusted: 95 % intervals by bootstrap, from a fixed seed, so that a result can be computed again.

export interface Estimate {
  readonly median: number;
  /** Bounds of the 95 % interval. */
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 5_000;
const SEED = 0x2545f491;

/** The median of these values with its interval; with one value, that value three times. */
export function estimate(values: readonly number[]): Estimate {
  const random = xorshift(SEED);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b);
  const at = (share: number): number => medians[Math.floor(share * (RESAMPLES - 1))] ?? Number.NaN;
  return { median: median(values), low: at(0.025), high: at(0.975) };
}

/** Of each round one value over the other's of the same round: what slows the machine for a while slows both. */
export function pairedRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, round) => value / (theirs[round] ?? Number.NaN));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Numbers from 0 to below 1. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
