// [hot] What the proxy counts, per cell = (route, cluster), where the cluster is the version. All of it lives in one Float64Array, is
// cumulative since the cell's life began, and survives every change of configuration that names the cell; slots.ts says when a life ends.
// Consumers: Prometheus text (exposition.ts) and load reports (LRS), where each value is a named metric `weir/v1/<route>/<name>`; names and
// meanings are the tables below.
import { type CellHolder, type CellName, Slots } from "./slots.ts";

/**
 * Counters of a cell, in array order. `requests = success + error`: requests that the client gave up are in `aborted` alone.
 *
 * | name       | counts |
 * |---|---|
 * | requests   | requests that ended with an answer, or without one by the upstream's or the proxy's fault |
 * | success    | answers of status 1xx to 4xx, received whole |
 * | error      | status 5xx, or no whole answer |
 * | status_1xx … status_5xx | answers sent to the client by status class (a cut answer counts under its status and as error) |
 * | connect    | connection attempts to an endpoint that were refused or failed |
 * | timeout    | connect, request and idle timeouts of the upstream side |
 * | reset      | connections that the upstream closed or reset before its answer was whole |
 * | protocol   | answers refused because their framing was broken |
 * | overflow   | requests refused because a bound (connections, requests) was reached |
 * | unhealthy  | requests refused because the cluster was unknown or had no healthy endpoint |
 * | aborted    | requests that the client gave up before its answer was whole |
 * | retries    | attempts beyond the first |
 * | bytes_in   | payload bytes of request bodies sent upstream |
 * | bytes_out  | payload bytes of response bodies sent to clients |
 * | latency_ms_sum | sum of latencies in milliseconds over `requests` |
 * | behind     | copies given up because the mirror did not take the request body in time |
 *
 * Latency (from the complete request head to the last byte of the answer) is counted in buckets `le_<ms>`: each holds the requests in
 * (previous bound, this bound], not those of the buckets below it; `le_inf` holds the rest. Only non-zero values are reported.
 */
export const COUNTERS = [
  "requests",
  "success",
  "error",
  "status_1xx",
  "status_2xx",
  "status_3xx",
  "status_4xx",
  "status_5xx",
  "connect",
  "timeout",
  "reset",
  "protocol",
  "overflow",
  "unhealthy",
  "aborted",
  "retries",
  "bytes_in",
  "bytes_out",
  "latency_ms_sum",
  "behind",
] as const;

export const COUNTER = {
  REQUESTS: 0,
  SUCCESS: 1,
  ERROR: 2,
  STATUS_BASE: 2,
  CONNECT: 8,
  TIMEOUT: 9,
  RESET: 10,
  PROTOCOL: 11,
  OVERFLOW: 12,
  UNHEALTHY: 13,
  ABORTED: 14,
  RETRIES: 15,
  BYTES_IN: 16,
  BYTES_OUT: 17,
  LATENCY_SUM: 18,
  BEHIND: 19,
} as const;

/** The gauge behind the counters: requests in progress. */
const IN_FLIGHT = COUNTERS.length;
const FIRST_BUCKET = IN_FLIGHT + 1;
/** Ticks per millisecond in the histogram. */
const TICKS = 16;
/** Log-linear: four buckets per doubling, from 1/16 ms to 65.5 s. */
const BUCKETS = 76;
/** Values per cell. */
const STRIDE = FIRST_BUCKET + BUCKETS + 1;

/** Upper bounds of the latency buckets in milliseconds, ascending; what lies above them is in `le_inf`. */
export const LATENCY_BOUNDS_MS: readonly number[] = Array.from({ length: BUCKETS }, (_, index) => {
  if (index < 4) return (index + 1) / TICKS;
  const shift = (index >> 2) - 1;
  return ((5 + (index & 3)) << shift) / TICKS;
});

/** Name of the bucket whose upper bound is LATENCY_BOUNDS_MS[index], or of the last one. */
export function bucketName(index: number): string {
  const bound = LATENCY_BOUNDS_MS[index];
  return bound === undefined ? "le_inf" : `le_${bound}`;
}

/** Index of the bucket that holds a latency: bounds are inclusive to the tick of 1/16 ms. */
export function bucketOf(latencyMs: number): number {
  const ticks = Math.ceil(latencyMs * TICKS) - 1;
  if (ticks < 4) return ticks < 0 ? 0 : ticks;
  if (ticks >= 1 << 20) return BUCKETS;
  const exponent = 31 - Math.clz32(ticks);
  return ((exponent - 1) << 2) + ((ticks >> (exponent - 2)) & 3);
}

/** A cell's values: non-zero counters and buckets by name. */
export interface CellSnapshot extends CellName {
  readonly inFlight: number;
  /** Cumulative, by name as in COUNTERS and `bucketName`. */
  readonly values: ReadonlyMap<string, number>;
}

/** The cells of one event loop. */
export class Stats {
  /** Hot code adds to `values[cell + COUNTER.X]`; `cell` is what `cell()` returned. Read the field anew each time: it is replaced as it grows. */
  values: Float64Array = new Float64Array(16 * STRIDE);
  /** Requests in progress, of all cells. */
  inFlightOfAll = 0;
  readonly #slots = new Slots({
    isBusy: (index) => this.inFlight(index * STRIDE) > 0,
    clear: (index) => void this.row(index).fill(0),
  });
  /** Of the cells by number; undefined: that one is free. */
  readonly names: readonly (CellName | undefined)[] = this.#slots.names;
  /** Who else needs cells that no configuration names. */
  readonly holders: Set<CellHolder> = this.#slots.holders;

  /** The base position of (route, cluster): the same until `retain` is told that nothing names it, and the grace is over. */
  cell(route: string, cluster: string): number {
    const position = this.#slots.of(route, cluster) * STRIDE;
    if (position + STRIDE > this.values.length) {
      const grown = new Float64Array(this.values.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    return position;
  }

  /** `tables` are the positions that requests to come may count in. */
  retain(tables: Iterable<readonly number[]>, nowMs: number): void {
    const named = new Uint8Array(this.names.length);
    for (const cells of tables) for (const cell of cells) named[cell / STRIDE] = 1;
    this.#slots.retain(named, nowMs);
  }

  /** Frees cells that nobody needs any more; to be called every now and then. */
  look(nowMs: number): void {
    this.#slots.look(nowMs);
  }

  /** Whether that position is shared by pairs of which each could have one of its own by now. */
  isOutdated(cell: number): boolean {
    return this.#slots.isOutdated(cell / STRIDE);
  }

  add(cell: number, counter: number, amount: number): void {
    this.values[cell + counter]! += amount;
  }

  begin(cell: number): void {
    this.inFlightOfAll += 1;
    this.values[cell + IN_FLIGHT]! += 1;
  }

  /** The client gave up. */
  abort(cell: number): void {
    this.inFlightOfAll -= 1;
    this.values[cell + IN_FLIGHT]! -= 1;
    this.values[cell + COUNTER.ABORTED]! += 1;
  }

  /** The request ended; `status` is what the client got (0: nothing), `isWhole` whether it got all of it. */
  end(cell: number, status: number, isWhole: boolean, latencyMs: number): void {
    const values = this.values;
    this.inFlightOfAll -= 1;
    values[cell + IN_FLIGHT]! -= 1;
    values[cell + COUNTER.REQUESTS]! += 1;
    const statusClass = Math.trunc(status / 100);
    if (statusClass > 0) values[cell + COUNTER.STATUS_BASE + statusClass]! += 1;
    const isSuccess = isWhole && statusClass > 0 && statusClass < 5;
    values[cell + (isSuccess ? COUNTER.SUCCESS : COUNTER.ERROR)]! += 1;
    values[cell + COUNTER.LATENCY_SUM]! += latencyMs;
    values[cell + FIRST_BUCKET + bucketOf(latencyMs)]! += 1;
  }

  inFlight(cell: number): number {
    return this.values[cell + IN_FLIGHT]!;
  }

  /** Requests of a cell in latency bucket `index` (see `bucketName`). */
  bucket(cell: number, index: number): number {
    return this.values[cell + FIRST_BUCKET + index]!;
  }

  /** Values per cell, and where among them its requests in progress stand: the only one that may fall. */
  get stride(): number {
    return STRIDE;
  }

  get inFlightOffset(): number {
    return IN_FLIGHT;
  }

  /** All values of cell number `index`, as they are now. */
  row(index: number): Float64Array {
    return this.values.subarray(index * STRIDE, (index + 1) * STRIDE);
  }

  /** Position of cell number `index`. */
  positionOf(index: number): number {
    return index * STRIDE;
  }
}

/** All cells by name, for load reports and tests. */
export function snapshotStats(stats: Stats): CellSnapshot[] {
  return snapshotCells(stats, 0, stats.names.length);
}

/** Cells number `from` to `to` (without it) by name. */
export function snapshotCells(stats: Stats, from: number, to: number): CellSnapshot[] {
  return stats.names.slice(from, to).flatMap((name, index) => {
    if (name === undefined) return [];
    const cell = stats.positionOf(from + index);
    const values = new Map<string, number>();
    COUNTERS.forEach((counterName, counter) => {
      const value = stats.values[cell + counter]!;
      if (value !== 0) values.set(counterName, value);
    });
    for (let bucket = 0; bucket <= BUCKETS; bucket++) {
      const count = stats.bucket(cell, bucket);
      if (count !== 0) values.set(bucketName(bucket), count);
    }
    return { ...name, inFlight: stats.inFlight(cell), values };
  });
}
