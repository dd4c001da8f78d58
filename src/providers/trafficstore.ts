// What the proxies count, kept by the control plane: turns cumulative reports into increments and answers for windows of time.
// No increment is lost when a report is (the next one carries it), none is counted twice when one is repeated or overtaken, and a
// process that restarts begins at 0 under a new epoch. After a restart of the control plane the first report of a process that was
// there before is only a baseline, unless a persisted one says where counting had got to.
import { RING_SECONDS, Series, Sums, type TrafficCounts } from "./series.ts";
import { parseStatName, type StatName } from "./statnames.ts";

/** Series (cluster and route) kept; the one longest silent makes way. */
export const MAX_SERIES = 512;
/** Processes remembered; the one longest silent makes way. */
export const MAX_PROCESSES = 1024;
/** Node names remembered; beyond, the list begins anew and a restarted process may be taken for a baseline once. */
export const MAX_NODES = 10_000;
/** Values remembered per process; what comes beyond is not counted. */
export const MAX_VALUES_PER_PROCESS = 50_000;
/** A window is answered only while some proxy has reported within this time. */
export const REPORTS_FRESH_MS = 30_000;

/** A report as far as it is read here. */
export interface TrafficReport {
  readonly nodeId: string;
  /** The process; its text begins with its start in epoch milliseconds. Absent: a client that reports increments only. */
  readonly epoch?: string;
  readonly atMs: number;
  readonly clusters: readonly {
    readonly cluster: string;
    /** By `<route>/<counter>`, since the process began. */
    readonly cumulative: ReadonlyMap<string, number>;
    /** Since the report before; read when there is no epoch. */
    readonly delta: { readonly succeeded: number; readonly failed: number };
  }[];
}

/** Where the values of a process stood; as JSON, for a store that is restarted. */
export interface ProcessBaseline {
  readonly nodeId: string;
  readonly epoch: string;
  /** By cluster, then `<route>/<counter>`. */
  readonly values: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface TrafficQuery {
  readonly namespace: string;
  /** The Service in the cluster's name; all of the namespace when absent. */
  readonly service?: string;
  readonly podHash: string;
  readonly route?: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export type TrafficWindow =
  | (TrafficCounts & {
      readonly kind: "counts";
      /** Where the answer begins: later than asked for when the store does not reach back that far. */
      readonly fromMs: number;
    })
  | { readonly kind: "unavailable"; readonly reason: string };

/** What a metric provider asks. */
export interface TrafficReader {
  window(query: TrafficQuery): TrafficWindow;
}

interface Process {
  readonly values: Map<string, Map<string, number>>;
  size: number;
  lastAtMs: number;
  /** The first report of a process that may have counted before this store began. */
  isBaselinePending: boolean;
}

/** Keeps and answers. One per control plane; feed it every report that arrives, in any order. */
export class TrafficStore implements TrafficReader {
  readonly #startedAtMs: number;
  readonly #processes = new Map<string, Process>();
  readonly #nodes = new Set<string>();
  readonly #series = new Map<string, Series>();
  readonly #names = new Map<string, StatName | undefined>();
  #lastReportAtMs: number | undefined;
  /** The latest report of a process that made way. */
  #forgottenUntilMs: number | undefined;

  constructor(startedAtMs: number, baselines: readonly ProcessBaseline[] = []) {
    this.#startedAtMs = startedAtMs;
    for (const { nodeId, epoch, values } of baselines) {
      const clusters = Object.entries(values).map(
        ([cluster, each]) => [cluster, new Map(Object.entries(each))] as const,
      );
      const size = clusters.reduce((sum, [, each]) => sum + each.size, 0);
      this.#nodes.add(nodeId);
      this.#processes.set(processKey(nodeId, epoch), {
        values: new Map(clusters),
        size,
        lastAtMs: startedAtMs,
        isBaselinePending: false,
      });
    }
  }

  /** Takes a report in. */
  accept(report: TrafficReport): void {
    this.#lastReportAtMs = Math.max(this.#lastReportAtMs ?? 0, report.atMs);
    if (report.epoch === undefined) this.#acceptDeltas(report);
    else this.#acceptTotals(report, report.epoch);
  }

  window(query: TrafficQuery): TrafficWindow {
    if (this.#lastReportAtMs === undefined)
      return { kind: "unavailable", reason: "no proxy has reported yet" };
    const silentMs = query.toMs - this.#lastReportAtMs;
    if (silentMs > REPORTS_FRESH_MS)
      return { kind: "unavailable", reason: `no proxy has reported for ${Math.round(silentMs / 1000)} s` };
    const sums = new Sums();
    const reachMs = (Math.floor(query.toMs / 1000) - RING_REACH_SECONDS) * 1000;
    const fromMs = Math.max(query.fromMs, this.#startedAtMs, reachMs);
    // The second in which the store began is whole.
    const fromSecondMs = fromMs === this.#startedAtMs ? Math.floor(fromMs / 1000) * 1000 : fromMs;
    for (const [key, series] of this.#series)
      if (matches(key, query)) series.window(fromSecondMs, query.toMs, sums);
    return { kind: "counts", fromMs, ...sums.counts() };
  }

  /** Sums since the store began, by cluster and route. */
  totals(): readonly (TrafficCounts & { readonly cluster: string; readonly route: string })[] {
    return [...this.#series].map(([key, { totals }]) => ({ ...splitKey(key), ...totals.counts() }));
  }

  /** Where each process stands, to be given to the next store. */
  baselines(): readonly ProcessBaseline[] {
    return [...this.#processes].map(([key, { values }]) => {
      const [nodeId = "", epoch = ""] = key.split("\n");
      const clusters = [...values].map(([cluster, each]) => [cluster, Object.fromEntries(each)] as const);
      return { nodeId, epoch, values: Object.fromEntries(clusters) };
    });
  }

  #acceptTotals(report: TrafficReport, epoch: string): void {
    const process = this.#process(report, epoch);
    for (const { cluster, cumulative } of report.clusters) {
      for (const [name, total] of cumulative) this.#acceptTotal(process, cluster, name, total, report.atMs);
    }
    process.isBaselinePending = false;
    process.lastAtMs = Math.max(process.lastAtMs, report.atMs);
  }

  #process({ nodeId, atMs }: TrafficReport, epoch: string): Process {
    const key = processKey(nodeId, epoch);
    const known = this.#processes.get(key);
    if (known !== undefined) return known;
    // A process that began after this store did, or on a node that was already reporting, has counted nothing that is not in its
    // reports to this store. One that may have been forgotten has.
    const startedAtMs = Number.parseInt(epoch, 10);
    const mayBeForgotten = this.#forgottenUntilMs !== undefined && !(startedAtMs > this.#forgottenUntilMs);
    const isNew = !mayBeForgotten && (startedAtMs >= this.#startedAtMs || this.#nodes.has(nodeId));
    const process = { values: new Map(), size: 0, lastAtMs: atMs, isBaselinePending: !isNew };
    if (this.#nodes.size >= MAX_NODES) this.#nodes.clear();
    this.#nodes.add(nodeId);
    this.#processes.set(key, process);
    const forgotten = evictOldest(this.#processes, MAX_PROCESSES, key);
    if (forgotten !== undefined)
      this.#forgottenUntilMs = Math.max(this.#forgottenUntilMs ?? 0, forgotten.lastAtMs);
    return process;
  }

  #acceptTotal(process: Process, cluster: string, name: string, total: number, atMs: number): void {
    const held = process.values.get(cluster) ?? new Map<string, number>();
    const before = held.get(name);
    // Lower or equal: repeated, or overtaken by a later report.
    if (!(total > (before ?? 0))) return;
    if (before === undefined) {
      if (process.size >= MAX_VALUES_PER_PROCESS) return;
      process.size += 1;
      process.values.set(cluster, held);
    }
    held.set(name, total);
    const parsed = this.#parse(name);
    if (process.isBaselinePending || parsed === undefined) return;
    this.#seriesOf(cluster, parsed.route).add(parsed.stat, total - (before ?? 0), atMs);
  }

  #acceptDeltas(report: TrafficReport): void {
    for (const { cluster, delta } of report.clusters) {
      const series = this.#seriesOf(cluster, "");
      series.add({ kind: "requests" }, delta.succeeded + delta.failed, report.atMs);
      series.add({ kind: "errors" }, delta.failed, report.atMs);
    }
  }

  #parse(name: string): StatName | undefined {
    if (!this.#names.has(name)) {
      if (this.#names.size >= MAX_VALUES_PER_PROCESS) this.#names.clear();
      this.#names.set(name, parseStatName(name));
    }
    return this.#names.get(name);
  }

  #seriesOf(cluster: string, route: string): Series {
    const key = `${cluster}\n${route}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const series = new Series();
    this.#series.set(key, series);
    evictOldest(this.#series, MAX_SERIES, key);
    return series;
  }
}

/** One slot less than the ring: the second that is being filled has taken the oldest one's place. */
const RING_REACH_SECONDS = RING_SECONDS - 1;

const processKey = (nodeId: string, epoch: string): string => `${nodeId}\n${epoch}`;

function splitKey(key: string): { readonly cluster: string; readonly route: string } {
  const [cluster = "", route = ""] = key.split("\n");
  return { cluster, route };
}

/** Cluster names are `<namespace>/<service>:<port>/<podHash>`. */
function matches(key: string, { namespace, service, podHash, route }: TrafficQuery): boolean {
  const { cluster, route: own } = splitKey(key);
  if (route !== undefined && route !== own) return false;
  const [clusterNamespace, servicePort = "", hash] = cluster.split("/");
  if (clusterNamespace !== namespace || hash !== podHash) return false;
  return service === undefined || servicePort.split(":")[0] === service;
}

/** Removes the value longest silent when there are too many, and gives it back. */
function evictOldest<V extends { readonly lastAtMs: number }>(
  map: Map<string, V>,
  bound: number,
  spared: string,
): V | undefined {
  if (map.size <= bound) return undefined;
  let oldest: string | undefined;
  for (const [key, value] of map) {
    if (key === spared) continue;
    if (oldest === undefined || value.lastAtMs < (map.get(oldest)?.lastAtMs ?? 0)) oldest = key;
  }
  const evicted = map.get(oldest ?? "");
  map.delete(oldest ?? "");
  return evicted;
}
