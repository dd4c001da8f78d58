// What one cluster (version) and route counted, second by second, in a ring of bounded length, beside totals since the start.
import type { LatencyHistogram } from "./histogram.ts";
import { STATUS_CLASSES, type Stat, type StatusClass } from "./statnames.ts";

/** Length of the ring: windows reach back no further. */
export const RING_SECONDS = 600;
/** Latency buckets per series; a proxy has 77. */
const MAX_BUCKETS = 256;

/** Sums over some time. */
export interface TrafficCounts {
  readonly requests: number;
  readonly errors: number;
  readonly statusClasses: Readonly<Record<StatusClass, number>>;
  readonly latency: LatencyHistogram;
}

/** Sums as JSON: names of counters as in reports, and their values. */
export type SumsRecord = readonly (readonly [string, number])[];

/** Sums that can be added to. */
export class Sums {
  requests = 0;
  errors = 0;
  readonly statusClasses: Record<StatusClass, number> = { "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 };
  readonly buckets = new Map<number, number>();

  add(stat: Stat, amount: number): void {
    switch (stat.kind) {
      case "requests":
      case "errors":
        this[stat.kind] += amount;
        return;
      case "status":
        this.statusClasses[stat.statusClass] += amount;
        return;
      case "bucket":
        if (this.buckets.size < MAX_BUCKETS || this.buckets.has(stat.boundMs))
          this.buckets.set(stat.boundMs, (this.buckets.get(stat.boundMs) ?? 0) + amount);
    }
  }

  merge(other: Sums): void {
    this.requests += other.requests;
    this.errors += other.errors;
    for (const statusClass of STATUS_CLASSES)
      this.statusClasses[statusClass] += other.statusClasses[statusClass];
    for (const [boundMs, count] of other.buckets) this.add({ kind: "bucket", boundMs }, count);
  }

  subtract(other: Sums): void {
    for (const [name, value] of other.record()) this.#addNamed(name, -value);
  }

  copy(): Sums {
    const sums = new Sums();
    sums.merge(this);
    return sums;
  }

  /** What is not 0. */
  record(): SumsRecord {
    const all: [string, number][] = [
      ["requests", this.requests],
      ["errors", this.errors],
      ...STATUS_CLASSES.map((name): [string, number] => [name, this.statusClasses[name]]),
      ...[...this.buckets].map(([boundMs, count]): [string, number] => [`le_${boundMs}`, count]),
    ];
    return all.filter(([, value]) => value !== 0);
  }

  /** Reads what `record` gave. */
  static of(record: SumsRecord): Sums {
    const sums = new Sums();
    for (const [name, value] of record) sums.#addNamed(name, value);
    return sums;
  }

  #addNamed(name: string, amount: number): void {
    const bucket = name.startsWith("le_") ? Number(name.slice("le_".length)) : undefined;
    const statusClass = STATUS_CLASSES.find((each) => each === name);
    if (bucket !== undefined) this.add({ kind: "bucket", boundMs: bucket }, amount);
    else if (statusClass !== undefined) this.add({ kind: "status", statusClass }, amount);
    else if (name === "requests" || name === "errors") this.add({ kind: name }, amount);
  }

  counts(): TrafficCounts {
    const boundsMs = [...this.buckets.keys()].sort((a, b) => a - b);
    return {
      requests: this.requests,
      errors: this.errors,
      statusClasses: { ...this.statusClasses },
      latency: { boundsMs, counts: boundsMs.map((boundMs) => this.buckets.get(boundMs) ?? 0) },
    };
  }
}

/** The counts of one cluster and route. */
export class Series {
  readonly totals = new Sums();
  lastAtMs = 0;
  readonly #ring: { readonly second: number; readonly sums: Sums }[] = [];

  /** Adds what was learnt at `atMs`. An instant that the ring has left behind counts in the totals alone. */
  add(stat: Stat, amount: number, atMs: number): void {
    this.totals.add(stat, amount);
    const second = Math.floor(atMs / 1000);
    const slot = second % RING_SECONDS;
    const held = this.#ring[slot];
    if (held !== undefined && held.second > second) return;
    const current = held?.second === second ? held : { second, sums: new Sums() };
    this.#ring[slot] = current;
    current.sums.add(stat, amount);
    this.lastAtMs = Math.max(this.lastAtMs, atMs);
  }

  /** Adds what was counted some time before it was learnt at `atMs`: to the totals, and to no second. */
  addEarlier(earlier: Sums, atMs: number): void {
    this.totals.merge(earlier);
    this.lastAtMs = Math.max(this.lastAtMs, atMs);
  }

  /** Adds to `sums` what was learnt in the seconds that begin within [fromMs, toMs]. */
  window(fromMs: number, toMs: number, sums: Sums): void {
    for (const slot of this.#ring) {
      // The ring has holes until each slot was used once.
      if (slot === undefined) continue;
      if (slot.second * 1000 >= fromMs && slot.second * 1000 <= toMs) sums.merge(slot.sums);
    }
  }
}
