// The supervisor's side of the counts: adds each worker's to the sums that /metrics, /stats and load reports show. Counters never fall: those of a
// worker that died stay, but for what it had not reported. Gauges go with it.
import type { Core, ProxyCounts } from "../core.ts";
import { TALLIES } from "../observe/tallies.ts";
import type { EndpointRow, Report } from "./messages.ts";
import { ENDPOINT_NUMBERS, GAUGES } from "./report.ts";

const FAMILIES = new Map(Object.values(TALLIES).map((family) => [family.name as string, family]));

/** What one worker has reported. */
export class Ledger {
  readonly #core: Core;
  /** Position in the sums by the worker's cell. */
  readonly #cells: number[] = [];
  readonly #values: Float64Array[] = [];
  readonly #counts = new Map<string, number>();
  readonly #tallies = new Map<string, number>();
  readonly #endpoints = new Map<string, EndpointRow>();
  #unready = "not reported yet";
  #listeners: Report["listeners"] = [];

  constructor(core: Core) {
    this.#core = core;
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
  }

  /** The worker is gone: what only it had in progress is so no more. */
  close(): void {
    const { stats } = this.#core;
    this.#cells.forEach((cell, index) => {
      const values = this.#values[index];
      if (values !== undefined)
        stats.values[cell + stats.inFlightOffset]! -= values[stats.inFlightOffset] ?? 0;
    });
    for (const row of this.#endpoints.values())
      this.#takeEndpoint({ ...row, numbers: row.numbers.map((one, index) => (index < GAUGES ? 0 : one)) });
    this.#listeners = [];
  }

  #takeCells({ indexes, names, values }: Report["cells"]): void {
    const { stats } = this.#core;
    for (const { index, route, cluster } of names) this.#cells[index] = stats.cell(route, cluster);
    indexes.forEach((index, row) => {
      const cell = this.#cells[index];
      if (cell === undefined) return;
      const now = values.slice(row * stats.stride, (row + 1) * stats.stride);
      const before = this.#values[index];
      for (let at = 0; at < stats.stride; at++) stats.values[cell + at]! += now[at]! - (before?.[at] ?? 0);
      this.#values[index] = now;
    });
  }

  #takeEndpoint(row: EndpointRow): void {
    const key = `${row.cluster}\n${row.endpoint}`;
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

function sumUp(cluster: {
  active: number;
  connections: number;
  readonly endpoints: readonly { readonly active: number; readonly connections: number }[];
}): void {
  cluster.active = cluster.endpoints.reduce((sum, { active }) => sum + active, 0);
  cluster.connections = cluster.endpoints.reduce((sum, { connections }) => sum + connections, 0);
}
