// Quantiles of a latency histogram in log-linear buckets (four per doubling, from 1/16 ms on), interpolated inside a bucket.

/** Counts per bucket, by ascending upper bound in milliseconds; the last bound may be Infinity. Empty buckets may be left out. */
export interface LatencyHistogram {
  readonly boundsMs: readonly number[];
  readonly counts: readonly number[];
}

const TICKS_PER_MS = 16;
const BUCKETS_PER_DOUBLING = 4;
/** The highest finite bound of a proxy: 2^20 ticks. */
const MAX_BOUND_MS = 65_536;

/**
 * The latency in milliseconds at or below which the share `quantile` (0 to 1) of the requests lies; undefined without requests.
 * Never falls as `quantile` grows. What lies in the last, unbounded bucket counts as 65 536 ms.
 */
export function quantileMs({ boundsMs, counts }: LatencyHistogram, quantile: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = Math.min(Math.max(quantile, 0), 1) * total;
  let below = 0;
  let result = 0;
  for (const [index, boundMs] of boundsMs.entries()) {
    const count = counts[index] ?? 0;
    if (count === 0) continue;
    if (boundMs === Infinity) return MAX_BOUND_MS;
    const floorMs = bucketFloorMs(boundMs);
    result = floorMs + (Math.min(rank - below, count) / count) * (boundMs - floorMs);
    below += count;
    if (below >= rank) return result;
  }
  return result;
}

/** The lower edge of the bucket that ends at `boundMs`: the bound before it, known even when that bucket is empty. */
export function bucketFloorMs(boundMs: number): number {
  const ticks = boundMs * TICKS_PER_MS;
  if (ticks <= BUCKETS_PER_DOUBLING) return Math.max(ticks - 1, 0) / TICKS_PER_MS;
  // A bound in (2^k, 2^(k+1)] ticks ends a bucket that is a quarter of 2^k wide.
  const octave = Math.ceil(Math.log2(ticks)) - 1;
  return (ticks - 2 ** octave / BUCKETS_PER_DOUBLING) / TICKS_PER_MS;
}

/** The histogram with `count` further requests that took no time at all. */
export function withFastest({ boundsMs, counts }: LatencyHistogram, count: number): LatencyHistogram {
  return { boundsMs: [1 / TICKS_PER_MS, ...boundsMs], counts: [count, ...counts] };
}
