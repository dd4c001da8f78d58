// Quantiles of measured samples.

/** The smallest sample that is not below a share `q` (0 to 1) of all; `sorted` ascending. NaN without samples. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(Math.ceil(q * sorted.length) - 1, 0)] ?? Number.NaN;
}
