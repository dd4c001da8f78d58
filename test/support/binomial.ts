// Whether a count of successes fits a probability: the exact binomial test, two-sided.

/** The probability of a count at least as far out as `count` among `draws` of probability `share`, twice the smaller tail, at most 1. */
export function binomialP(count: number, draws: number, share: number): number {
  if (share <= 0) return count === 0 ? 1 : 0;
  if (share >= 1) return count === draws ? 1 : 0;
  const isLow = count <= draws * share;
  let tail = 0;
  let log = logChoose(draws, count) + count * Math.log(share) + (draws - count) * Math.log1p(-share);
  // From `count` outwards each term follows from its neighbour.
  for (let at = count; at >= 0 && at <= draws && log > -745; ) {
    tail += Math.exp(log);
    if (isLow) {
      log += Math.log(at) - Math.log(draws - at + 1) + Math.log1p(-share) - Math.log(share);
      at -= 1;
    } else {
      log += Math.log(draws - at) - Math.log(at + 1) + Math.log(share) - Math.log1p(-share);
      at += 1;
    }
  }
  return Math.min(1, 2 * tail);
}

function logChoose(n: number, k: number): number {
  let sum = 0;
  for (let i = 1; i <= Math.min(k, n - k); i++) sum += Math.log(n - i + 1) - Math.log(i);
  return sum;
}

/**
 * How likely a series of independent 0 and 1, 1 with probability `share`, is to have so many pairs of equal rare values `lag` apart. A counter, or
 * any other period, gives next to nothing.
 */
export function periodP(series: Uint8Array, share: number, lag: number): number {
  const rare = share <= 0.5 ? 1 : 0;
  const probability = share <= 0.5 ? share : 1 - share;
  const count = series.length - lag;
  let pairs = 0;
  for (let i = 0; i < count; i++) if (series[i] === rare && series[i + lag] === rare) pairs += 1;
  return binomialP(pairs, count, probability * probability);
}
