// The supervisor's side of the counts: adds each worker's to the sums that /metrics, /stats and load reports show. Counters never fall: those of a
// worker that died stay, but for what it had not reported. Gauges go with it. A cell of the sums is not freed while a worker has that pair.
import type { Core, ProxyCounts } from "../core.ts";
import type { CellHolder } from "../observe/slots.ts";
import { TALLIES } from "../observe/tallies.ts";
import { type EndpointRow, MAX_ROWS, type Report } from "./messages.ts";
import { ENDPOINT_NUMBERS, GAUGES } from "./report.ts";

const FAMILIES = new Map(Object.values(TALLIES).map((family) => [family.name as string, family]));

/** A cell of the worker. */
interface Cell {
  readonly route: string;
  readonly cluster: string;
  /** Where it counts in the sums. */
  position: number;
  /** As last reported. */
  readonly values: Float64Array;
}

/** What one worker has reported. */
export class Ledger implements CellHolder {
  readonly #core: Core;
  /** By the worker's number. */
  readonly #cells = new Map<number, Cell>();
  /** Their positions in the sums. */
  readonly #held = new Set<number>();
  readonly #counts = new Map<string, number>();
  readonly #tallies = new Map<string, number>();
  readonly #endpoints = new Map<string, EndpointRow>();
  /** Beyond it those are looked for that can be forgotten. */
  #endpointsBound = MAX_ROWS;
  #unready = "not reported yet";
  #listeners: Report["listeners"] = [];

  constructor(core: Core) {
    this.#core = core;
    core.stats.holders.add(this);
  }

  holds(index: number): boolean {
    return this.#held.has(this.#core.stats.positionOf(index));
  }

  get unready(): string {
    return this.#unready;
  }

  get listeners(): Report["listeners"] {
    return this.#listeners;
  }

  /** Adds what is new. */
  take(report: Report): void {
    this.#unready = report.unready;
    this.#listeners = report.listeners;
    this.#takeCells(report.cells);
    const { counts, tallies } = this.#core;
    for (const [name, value] of Object.entries(report.counts)) {
      // The worker runs the same program: its counts have these names.
      counts[name as keyof ProxyCounts] += value - (this.#counts.get(name) ?? 0);
      this.#counts.set(name, value);
    }
    for (const { family: name, labels, value } of report.tallies) {
      const family = FAMILIES.get(name);
      if (family === undefined) continue;
      const key = [name, ...labels].join("\n");
      tallies.add(tallies.place(family, ...labels), value - (this.#tallies.get(key) ?? 0));
      this.#tallies.set(key, value);
    }
    for (const row of report.endpoints) this.#takeEndpoint(row);
    if (this.#endpoints.size > this.#endpointsBound) this.#forgetEndpoints();
  }

  /** The worker is gone: what only it had in progress is so no more. */
  close(): void {
    const { stats } = this.#core;
    for (const { position, values } of this.#cells.values())
      stats.values[position + stats.inFlightOffset]! -= values[stats.inFlightOffset] ?? 0;
    stats.holders.delete(this);
    for (const row of this.#endpoints.values())
      this.#takeEndpoint({ ...row, numbers: row.numbers.map((one, index) => (index < GAUGES ? 0 : one)) });
    this.#listeners = [];
  }

  #takeCells({ freed, indexes, names, values }: Report["cells"]): void {
    const { stats } = this.#core;
    for (const index of freed) {
      this.#held.delete(this.#cells.get(index)?.position ?? -1);
      this.#cells.delete(index);
    }
    for (const { index, route, cluster } of names) {
      const position = stats.cell(route, cluster);
      this.#cells.set(index, { route, cluster, position, values: new Float64Array(stats.stride) });
      this.#held.add(position);
    }
    indexes.forEach((index, row) => {
      const cell = this.#cells.get(index);
      if (cell === undefined) return;
      if (stats.isOutdated(cell.position)) this.#move(cell);
      const { position, values: before } = cell;
      const now = values.subarray(row * stats.stride, (row + 1) * stats.stride);
      for (let at = 0; at < stats.stride; at++) stats.values[position + at]! += now[at]! - before[at]!;
      before.set(now);
    });
  }

  /** What it counted stays where it is; what it has in progress, and what is to come, goes to a cell of its own. */
  #move(cell: Cell): void {
    const { stats } = this.#core;
    const { inFlightOffset } = stats;
    stats.values[cell.position + inFlightOffset]! -= cell.values[inFlightOffset]!;
    cell.values[inFlightOffset] = 0;
    cell.position = stats.cell(cell.route, cell.cluster);
    this.#held.add(cell.position);
  }

  /** Endpoints come and go: what was reported of those that went is of no use. */
  #forgetEndpoints(): void {
    const known = [...this.#core.clusters.values()].flatMap(({ name, endpoints }) =>
      endpoints.map(({ key }) => keyOf(name, key)),
    );
    const kept = new Set(known);
    for (const key of this.#endpoints.keys()) if (!kept.has(key)) this.#endpoints.delete(key);
    this.#endpointsBound = Math.max(MAX_ROWS, this.#endpoints.size * 2);
  }

  #takeEndpoint(row: EndpointRow): void {
    const key = keyOf(row.cluster, row.endpoint);
    const before = this.#endpoints.get(key)?.numbers;
    const cluster = this.#core.clusters.get(row.cluster);
    const endpoint = cluster?.endpoints.find((one) => one.key === row.endpoint);
    if (endpoint === undefined) {
      this.#endpoints.delete(key);
      return;
    }
    ENDPOINT_NUMBERS.forEach((name, index) => {
      const now = row.numbers[index] ?? 0;
      const last = before?.[index] ?? 0;
      // Named anew after it had been gone, it counts from 0 again.
      endpoint[name] += now < last && index >= GAUGES ? now : now - last;
    });
    this.#endpoints.set(key, row);
    if (cluster !== undefined) sumUp(cluster);
  }
}

const keyOf = (cluster: string, endpoint: string): string => `${cluster}\n${endpoint}`;

function sumUp(cluster: {
  active: number;
  connections: number;
  readonly endpoints: readonly { readonly active: number; readonly connections: number }[];
}): void {
  cluster.active = cluster.endpoints.reduce((sum, { active }) => sum + active, 0);
  cluster.connections = cluster.endpoints.reduce((sum, { connections }) => sum + connections, 0);
}
