// A worker's side of the counts: what changed since the last report, bounded. What did not fit comes with the next one.
import type { Configuration } from "../configuration.ts";
import type { Core } from "../core.ts";
import type { Endpoint } from "../forward/endpoint.ts";
import type { CellHolder, CellName } from "../observe/slots.ts";
import { type EndpointRow, MAX_ROWS, type Report } from "./messages.ts";

/** Of an endpoint, in the order of an EndpointRow's numbers. The first GAUGES of them may fall. */
export const ENDPOINT_NUMBERS = [
  "active",
  "connections",
  "connectionsTotal",
  "connectionsFailed",
  "requests",
  "successes",
  "errors",
  "timeouts",
] as const;
export const GAUGES = 2;

/** Makes the reports of one worker. No cell is freed before its last values are in one. */
export class Reporter implements CellHolder {
  readonly #core: Core;
  readonly #configuration: Configuration;
  /** Values last reported, cell by cell. */
  #reported = new Float64Array(0);
  /** Names last reported: another object is another life. */
  readonly #named: (CellName | undefined)[] = [];
  readonly #endpoints = new WeakMap<Endpoint, readonly number[]>();
  /** Where the next report goes on when one was full. */
  #nextCell = 0;

  constructor(core: Core, configuration: Configuration) {
    this.#core = core;
    this.#configuration = configuration;
    core.stats.holders.add(this);
  }

  holds(index: number): boolean {
    return this.#hasChanged(index);
  }

  report(): Report {
    const { counts, tallies } = this.#core;
    return {
      kind: "report",
      unready: this.#configuration.isReady ? "" : this.#configuration.missing,
      counts: { ...counts },
      cells: this.#cells(),
      tallies: tallies.all().map(({ family, labels, value }) => ({ family: family.name, labels, value })),
      endpoints: this.#endpointRows(),
      listeners: this.#configuration.listeners.map(({ name, port, connectionCount }) => ({
        name,
        port,
        connections: connectionCount,
      })),
    };
  }

  #cells(): Report["cells"] {
    const { stats } = this.#core;
    const { names, stride } = stats;
    if (this.#reported.length < stats.values.length) {
      const grown = new Float64Array(stats.values.length);
      grown.set(this.#reported);
      this.#reported = grown;
    }
    const freed = this.#freed();
    const indexes: number[] = [];
    for (let step = 0; step < names.length && indexes.length < MAX_ROWS; step++) {
      const index = (this.#nextCell + step) % names.length;
      const isNew = this.#named[index] !== names[index];
      if (names[index] !== undefined && (isNew || this.#hasChanged(index))) indexes.push(index);
    }
    this.#nextCell = indexes.length < MAX_ROWS ? 0 : ((indexes.at(-1) ?? 0) + 1) % names.length;
    const values = new Float64Array(indexes.length * stride);
    const fresh: Report["cells"]["names"][number][] = [];
    indexes.forEach((index, row) => {
      const cell = stats.row(index);
      values.set(cell, row * stride);
      this.#reported.set(cell, stats.positionOf(index));
      const name = names[index];
      if (name !== undefined && this.#named[index] !== name)
        fresh.push({ index, route: name.route, cluster: name.cluster });
      this.#named[index] = name;
    });
    return { freed, indexes, names: fresh, values };
  }

  /** The cells that were named in a report and have ended their life since; what is reported of them is forgotten. */
  #freed(): number[] {
    const { stats } = this.#core;
    return this.#named.flatMap((name, index) => {
      if (name === undefined || stats.names[index] === name) return [];
      this.#named[index] = undefined;
      const from = stats.positionOf(index);
      this.#reported.fill(0, from, from + stats.stride);
      return index;
    });
  }

  /** Whether there is something to report of the life that the cell has now. */
  #hasChanged(index: number): boolean {
    const { stats } = this.#core;
    const from = stats.positionOf(index);
    const isReported = this.#named[index] === stats.names[index];
    for (let at = from; at < from + stats.stride; at++)
      if (stats.values[at] !== (isReported ? (this.#reported[at] ?? 0) : 0)) return true;
    return false;
  }

  #endpointRows(): EndpointRow[] {
    const rows: EndpointRow[] = [];
    for (const cluster of this.#core.clusters.values())
      for (const endpoint of cluster.endpoints) {
        if (rows.length === MAX_ROWS) return rows;
        const numbers = ENDPOINT_NUMBERS.map((name) => endpoint[name]);
        const before = this.#endpoints.get(endpoint);
        if (before === undefined ? numbers.every((one) => one === 0) : isSame(numbers, before)) continue;
        this.#endpoints.set(endpoint, numbers);
        rows.push({ cluster: cluster.name, endpoint: endpoint.key, numbers });
      }
    return rows;
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.every((value, index) => value === b[index]);
}
