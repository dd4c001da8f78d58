// Instants that windows begin at: a step of a Rollout, the start of an AnalysisRun. A mark remembers the totals of its instant, so that what was
// counted since is exact however long ago that was. With a checkpoint it outlives the process that made it.
import { Sums, type SumsRecord } from "./series.ts";

/** Marks kept; the oldest makes way. */
export const MAX_MARKS = 4096;

/** The clusters of one Service: `<namespace>/<service>:<port>/<podHash>`. */
export interface TrafficScope {
  readonly namespace: string;
  readonly service: string;
}

/** A mark as it is written down: what was counted from its instant to that of the checkpoint. */
export interface MarkRecord {
  readonly name: string;
  readonly atMs: number;
  /** Where its counts are complete from; later than `atMs` when some were lost. */
  readonly fromMs: number;
  /** By cluster and route, `<cluster>\n<route>`. */
  readonly counted: Readonly<Record<string, SumsRecord>>;
}

/** One instant and the totals of then. */
export interface Mark {
  readonly name: string;
  readonly scope: TrafficScope;
  readonly atMs: number;
  /** A predecessor of this process made it, so that what was counted between the two belongs to it. */
  readonly isRestored: boolean;
  fromMs: number;
  /** What the totals of a series stood at, by series; below 0 for what a predecessor had counted since. */
  readonly base: Map<string, Sums>;
}

/** The totals of a series by its key. */
export type TotalsOf = ReadonlyMap<string, { readonly totals: Sums }>;

/** The marks of one store. */
export class Marks {
  readonly #marks = new Map<string, Mark>();

  get(name: string): Mark | undefined {
    return this.#marks.get(name);
  }

  /** Marks the present; a mark of that name from before is gone. */
  set(name: string, scope: TrafficScope, atMs: number, series: TotalsOf): void {
    const base = new Map<string, Sums>();
    for (const [key, { totals }] of series) if (isWithin(key, scope)) base.set(key, totals.copy());
    this.#keep({ name, scope, atMs, fromMs: atMs, isRestored: false, base });
  }

  /** Takes up what a predecessor wrote down. */
  restore({ name, atMs, fromMs, counted }: MarkRecord, scope: TrafficScope): void {
    const base = new Map<string, Sums>();
    for (const [key, record] of Object.entries(counted)) {
      const sums = new Sums();
      sums.subtract(Sums.of(record));
      base.set(key, sums);
    }
    this.#keep({ name, scope, atMs, fromMs, isRestored: true, base });
  }

  delete(name: string): void {
    this.#marks.delete(name);
  }

  /** What was counted since the mark, by series. */
  since(mark: Mark, series: TotalsOf): Map<string, Sums> {
    const counted = new Map<string, Sums>();
    for (const key of new Set([...series.keys(), ...mark.base.keys()])) {
      if (!isWithin(key, mark.scope)) continue;
      const sums = series.get(key)?.totals.copy() ?? new Sums();
      const base = mark.base.get(key);
      if (base !== undefined) sums.subtract(base);
      counted.set(key, sums);
    }
    return counted;
  }

  /** The marks about a Service, to be written down. */
  records(scope: TrafficScope, series: TotalsOf): MarkRecord[] {
    return this.#about(scope).map((mark) => {
      const counted = [...this.since(mark, series)].map(([key, sums]) => [key, sums.record()] as const);
      return {
        name: mark.name,
        atMs: mark.atMs,
        fromMs: mark.fromMs,
        counted: Object.fromEntries(counted.filter(([, record]) => record.length > 0)),
      };
    });
  }

  /** Something that was counted before this process knew of it has been added to the totals at `atMs`: marks of its own begin after it. */
  addedEarlier(key: string, added: Sums, atMs: number): void {
    for (const mark of this.#marks.values()) {
      if (mark.isRestored || !isWithin(key, mark.scope)) continue;
      const base = mark.base.get(key) ?? new Sums();
      base.merge(added);
      mark.base.set(key, base);
      mark.fromMs = Math.max(mark.fromMs, atMs);
    }
  }

  /** What a process had counted until `atMs` is not known. */
  lost(cluster: string, atMs: number): void {
    for (const mark of this.#marks.values())
      if (isWithin(cluster, mark.scope)) mark.fromMs = Math.max(mark.fromMs, atMs);
  }

  /** A series has made way and begins anew. */
  forget(key: string): void {
    for (const mark of this.#marks.values()) mark.base.delete(key);
  }

  #about(scope: TrafficScope): Mark[] {
    return [...this.#marks.values()].filter(
      (mark) => mark.scope.namespace === scope.namespace && mark.scope.service === scope.service,
    );
  }

  #keep(mark: Mark): void {
    this.#marks.delete(mark.name);
    this.#marks.set(mark.name, mark);
    const [oldest] = this.#marks.keys();
    if (this.#marks.size > MAX_MARKS && oldest !== undefined) this.#marks.delete(oldest);
  }
}

/** Whether a cluster (or a key that begins with one) is of the Service. */
export function isWithin(cluster: string, { namespace, service }: TrafficScope): boolean {
  return cluster.startsWith(`${namespace}/${service}:`);
}
