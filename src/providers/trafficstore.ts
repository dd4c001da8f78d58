// What the proxies count, kept by the control plane: turns cumulative reports into increments and answers for windows of time.
// No increment is lost when a report is (the next one carries it), none is counted twice when one is repeated or overtaken, and a
// process that restarts begins at 0 under a new epoch (held.ts). After a change of leader the first report of a process goes on from where its
// predecessor's checkpoint says that counting had got to; without one it is only a baseline, and windows say that they begin there.
import { isOfManagedRoute } from "../api/api.ts";
import type { TrafficCheckpoint } from "./checkpoint.ts";
import { Held, MAX_VALUES_PER_PROCESS } from "./held.ts";
import { isWithin, type Mark, Marks, type TrafficScope } from "./marks.ts";
import { RING_SECONDS, Series, Sums, type TrafficCounts } from "./series.ts";
import { parseStatName, type StatName } from "./statnames.ts";

/** Series (cluster and route) kept; the one longest silent makes way. */
export const MAX_SERIES = 512;
/** Processes remembered; the one longest silent makes way. */
export const MAX_PROCESSES = 1024;
/** Node names remembered; beyond, the list begins anew and a restarted process may be taken for a baseline once. */
export const MAX_NODES = 10_000;
/** A window is answered only while some proxy has reported within this time. */
export const REPORTS_FRESH_MS = 30_000;
/** After a change of leader, for so long a mark's window waits for the processes that its predecessor knew. */
export const RETURN_GRACE_MS = 30_000;

/** A report as far as it is read here. */
export interface TrafficReport {
  readonly nodeId: string;
  /** The process; its text begins with its start in epoch milliseconds. Absent: a client that reports increments only. */
  readonly epoch?: string;
  readonly atMs: number;
  readonly clusters: readonly {
    readonly cluster: string;
    /** By `<route>/<counter>`, since the process began, or since the life of that pair began that `<route>/life` tells. */
    readonly cumulative: ReadonlyMap<string, number>;
    /** Since the report before; read when there is no epoch. */
    readonly delta: { readonly succeeded: number; readonly failed: number };
  }[];
}

export interface TrafficQuery {
  readonly namespace: string;
  /** The Service in the cluster's name; all of the namespace when absent. */
  readonly service?: string;
  /** Empty: requests to a Service that no Rollout splits. */
  readonly podHash: string;
  readonly route?: string;
  /** Only what matched this managed route of the Rollout. */
  readonly managedRoute?: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** The window begins at this mark, if there is one of that name, and otherwise at `fromMs`. */
  readonly mark?: string;
}

export type TrafficWindow =
  | (TrafficCounts & {
      readonly kind: "counts";
      /** Where the answer begins: later than asked for when the store does not reach back that far. */
      readonly fromMs: number;
      /** Nodes that a predecessor knew and that have not come back: what they counted after its checkpoint is lost. */
      readonly uncounted: readonly string[];
    })
  | { readonly kind: "unavailable"; readonly reason: string };

/** What a metric provider asks. */
export interface TrafficReader {
  window(query: TrafficQuery): TrafficWindow;
}

interface Process {
  readonly held: Held;
  lastAtMs: number;
  /** It began after this store did, or on a node that was reporting already: all it counted is in its reports to this store. */
  readonly isNew: boolean;
  hasReported: boolean;
}

/** How a value of a report is taken: as counted just now, as counted since a checkpoint, or as one whose past is not known. */
type Counting = "now" | "earlier" | "unknown";

/** Keeps and answers. One per control plane; feed it every report that arrives, in any order. */
export class TrafficStore implements TrafficReader {
  readonly #startedAtMs: number;
  readonly #processes = new Map<string, Process>();
  readonly #nodes = new Set<string>();
  readonly #series = new Map<string, Series>();
  readonly #names = new Map<string, StatName | undefined>();
  readonly #marks = new Marks();
  readonly #checkpoints: readonly TrafficCheckpoint[];
  readonly #onFirstReport: () => void;
  #hasIncrements = false;
  #lastReportAtMs: number | undefined;
  /** The latest report of a process that made way. */
  #forgottenUntilMs: number | undefined;

  /** `onFirstReport` is called when a process reports to this store for the first time: checkpoints from before do not know it. */
  constructor(
    startedAtMs: number,
    checkpoints: readonly TrafficCheckpoint[] = [],
    onFirstReport: () => void = () => undefined,
  ) {
    this.#startedAtMs = startedAtMs;
    this.#onFirstReport = onFirstReport;
    this.#checkpoints = checkpoints;
    for (const { scope, marks, processes, hasIncrements } of checkpoints) {
      for (const mark of marks)
        this.#marks.restore({ ...mark, fromMs: hasIncrements ? startedAtMs : mark.fromMs }, scope);
      for (const { nodeId, epoch, lastAtMs, values } of processes) {
        const key = processKey(nodeId, epoch);
        const known = this.#processes.get(key);
        const process = known ?? { held: new Held(), lastAtMs, isNew: false, hasReported: false };
        process.lastAtMs = Math.max(process.lastAtMs, lastAtMs);
        this.#processes.set(key, process);
        for (const [cluster, each] of Object.entries(values)) process.held.restore(cluster, each);
      }
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
    const mark = query.mark === undefined ? undefined : this.#marks.get(query.mark);
    if (mark !== undefined) return this.#since(mark, query);
    const sums = new Sums();
    const reachMs = (Math.floor(query.toMs / 1000) - RING_REACH_SECONDS) * 1000;
    const fromMs = Math.max(query.fromMs, this.#startedAtMs, reachMs);
    // The second in which the store began is whole.
    const fromSecondMs = fromMs === this.#startedAtMs ? Math.floor(fromMs / 1000) * 1000 : fromMs;
    for (const [key, series] of this.#series)
      if (matches(key, query)) series.window(fromSecondMs, query.toMs, sums);
    return { kind: "counts", fromMs, uncounted: [], ...sums.counts() };
  }

  /** Remembers the present, so that windows about a Service can begin here: at `atMs`. */
  mark(name: string, scope: TrafficScope, atMs: number): void {
    this.#marks.set(name, scope, atMs, this.#series);
  }

  /** When the mark of that name was made. */
  markedAtMs(name: string): number | undefined {
    return this.#marks.get(name)?.atMs;
  }

  unmark(name: string): void {
    this.#marks.delete(name);
  }

  /** Sums since the store began, by cluster and route. */
  totals(): readonly (TrafficCounts & { readonly cluster: string; readonly route: string })[] {
    return [...this.#series].map(([key, { totals }]) => ({ ...splitKey(key), ...totals.counts() }));
  }

  /** Where counting about a Service stands, for the next store. A process that has not reported to this one is left out: it is not known. */
  checkpoint(scope: TrafficScope, atMs: number): TrafficCheckpoint {
    const processes = [...this.#processes]
      .filter(([, { hasReported }]) => hasReported)
      .map(([key, { lastAtMs, held }]) => {
        const [nodeId = "", epoch = ""] = key.split("\n");
        return { nodeId, epoch, lastAtMs, values: held.of((cluster) => isWithin(cluster, scope)) };
      });
    const marks = this.#marks.records(scope, this.#series);
    return { scope, atMs, marks, processes, hasIncrements: this.#hasIncrements };
  }

  #since(mark: Mark, query: TrafficQuery): TrafficWindow {
    const uncounted = this.#awaited(mark);
    // A node that reports from another process has lost the one before.
    const expected = uncounted.filter((node) => !this.#nodes.has(node));
    if (expected.length > 0 && query.toMs - this.#startedAtMs < RETURN_GRACE_MS) {
      const reason = `the control plane has changed hands: waiting for ${expected.join(", ")} to report again`;
      return { kind: "unavailable", reason };
    }
    const sums = new Sums();
    for (const [key, each] of this.#marks.since(mark, this.#series))
      if (matches(key, query)) sums.merge(each);
    return { kind: "counts", fromMs: mark.fromMs, uncounted, ...sums.counts() };
  }

  /** Nodes that were reporting when the checkpoint behind a mark was made, and have not since. */
  #awaited({ isRestored, scope }: Mark): string[] {
    if (!isRestored) return [];
    const checkpoint = this.#checkpoints.find((one) => isSameScope(one.scope, scope));
    return (checkpoint?.processes ?? [])
      .filter(({ lastAtMs }) => lastAtMs > (checkpoint?.atMs ?? 0) - REPORTS_FRESH_MS)
      .filter(({ nodeId, epoch }) => this.#processes.get(processKey(nodeId, epoch))?.hasReported !== true)
      .map(({ nodeId }) => nodeId);
  }

  #acceptTotals(report: TrafficReport, epoch: string): void {
    const process = this.#process(report, epoch);
    for (const { cluster, cumulative } of report.clusters) {
      const counting = this.#countingOf(process, report.nodeId, epoch, cluster);
      if (counting === "now") {
        for (const { route, stat, amount } of this.#rises(process, cluster, cumulative))
          this.#seriesOf(cluster, route).add(stat, amount, report.atMs);
      } else this.#acceptPast(process, cluster, cumulative, counting, report.atMs);
    }
    process.held.reported();
    const isFirst = !process.hasReported;
    process.hasReported = true;
    process.lastAtMs = Math.max(process.lastAtMs, report.atMs);
    if (isFirst) this.#onFirstReport();
  }

  /** The first report of a process from before this store: its values are of the past, known from the checkpoint on or not at all. */
  #acceptPast(
    process: Process,
    cluster: string,
    cumulative: ReadonlyMap<string, number>,
    counting: Counting,
    atMs: number,
  ): void {
    const byRoute = new Map<string, Sums>();
    for (const { route, stat, amount } of this.#rises(process, cluster, cumulative)) {
      const sums = byRoute.get(route) ?? new Sums();
      byRoute.set(route, sums);
      sums.add(stat, amount);
    }
    if (counting === "unknown" && byRoute.size > 0) this.#marks.lost(cluster, atMs);
    if (counting === "unknown") return;
    for (const [route, sums] of byRoute) {
      this.#seriesOf(cluster, route).addEarlier(sums, atMs);
      this.#marks.addedEarlier(seriesKey(cluster, route), sums, atMs);
    }
  }

  #countingOf(process: Process, nodeId: string, epoch: string, cluster: string): Counting {
    if (process.hasReported || process.isNew) return "now";
    const checkpoint = this.#checkpoints.find(({ scope }) => isWithin(cluster, scope));
    if (checkpoint === undefined) return "unknown";
    // It counts from its baseline; one that came after the checkpoint, from 0.
    const isKnown = checkpoint.processes.some((one) => one.nodeId === nodeId);
    return isKnown || Number.parseInt(epoch, 10) > checkpoint.atMs ? "earlier" : "unknown";
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
    const process = { held: new Held(), lastAtMs: atMs, isNew, hasReported: false };
    if (this.#nodes.size >= MAX_NODES) this.#nodes.clear();
    this.#nodes.add(nodeId);
    this.#processes.set(key, process);
    const forgotten = evictOldest(this.#processes, MAX_PROCESSES, key);
    if (forgotten !== undefined)
      this.#forgottenUntilMs = Math.max(this.#forgottenUntilMs ?? 0, forgotten.value.lastAtMs);
    return process;
  }

  /** What is new in a report about a cluster, as far as it is summed. */
  #rises(
    { held }: Process,
    cluster: string,
    cumulative: ReadonlyMap<string, number>,
  ): (StatName & { readonly amount: number })[] {
    return held.rises(cluster, cumulative).flatMap(([name, amount]) => {
      const parsed = this.#parse(name);
      return parsed === undefined ? [] : { ...parsed, amount };
    });
  }

  #acceptDeltas(report: TrafficReport): void {
    this.#hasIncrements = true;
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
    const key = seriesKey(cluster, route);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const series = new Series();
    this.#series.set(key, series);
    const evicted = evictOldest(this.#series, MAX_SERIES, key);
    if (evicted !== undefined) this.#marks.forget(evicted.key);
    return series;
  }
}

/** One slot less than the ring: the second that is being filled has taken the oldest one's place. */
const RING_REACH_SECONDS = RING_SECONDS - 1;

const seriesKey = (cluster: string, route: string): string => `${cluster}\n${route}`;
const processKey = (nodeId: string, epoch: string): string => `${nodeId}\n${epoch}`;

function splitKey(key: string): { readonly cluster: string; readonly route: string } {
  const [cluster = "", route = ""] = key.split("\n");
  return { cluster, route };
}

/** Cluster names are `<namespace>/<service>:<port>/<podHash>`; without the hash where no Rollout splits the Service. */
function matches(key: string, query: TrafficQuery): boolean {
  const { namespace, service, podHash, route, managedRoute } = query;
  const { cluster, route: own } = splitKey(key);
  if (route !== undefined && route !== own) return false;
  if (managedRoute !== undefined && !isOfManagedRoute(own, managedRoute)) return false;
  const [clusterNamespace, servicePort = "", hash = ""] = cluster.split("/");
  if (clusterNamespace !== namespace || hash !== podHash) return false;
  return service === undefined || servicePort.split(":")[0] === service;
}

/** Removes the value longest silent when there are too many, and gives it back. */
function evictOldest<V extends { readonly lastAtMs: number }>(
  map: Map<string, V>,
  bound: number,
  spared: string,
): { readonly key: string; readonly value: V } | undefined {
  if (map.size <= bound) return undefined;
  let oldest: string | undefined;
  for (const [key, value] of map) {
    if (key === spared) continue;
    if (oldest === undefined || value.lastAtMs < (map.get(oldest)?.lastAtMs ?? 0)) oldest = key;
  }
  const value = map.get(oldest ?? "");
  if (oldest === undefined || value === undefined) return undefined;
  map.delete(oldest);
  return { key: oldest, value };
}

function isSameScope(a: TrafficScope, b: TrafficScope): boolean {
  return a.namespace === b.namespace && a.service === b.service;
}
