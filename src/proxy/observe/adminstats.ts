// All counters of the proxy as lines of text or as JSON, in slices. What has never been counted is left out.
import type { Counted } from "./exposition.ts";
import { type CellSnapshot, snapshotCells } from "./stats.ts";

/** Cells in one slice. */
const CELLS_PER_SLICE = 50;

/** Lines `name: value`, as Envoy's /stats: `route.<route>.cluster.<cluster>.<counter>`, `proxy.<count>`, and the tallies by their labels. */
export function* statsText({ stats, counts, tallies }: Counted): Generator<string> {
  yield lines(Object.entries(counts).map(([name, value]) => [`proxy.${name}`, value]));
  yield lines(tallies.all().map(({ family, labels, value }) => [[family.name, ...labels].join("."), value]));
  for (let from = 0; from < stats.names.length; from += CELLS_PER_SLICE) {
    const cells = snapshotCells(stats, from, from + CELLS_PER_SLICE);
    yield cells
      .map((cell) => lines(valuesOf(cell).map(([name, value]) => [nameOf(cell, name), value])))
      .join("");
  }
}

/** `{counts, tallies, cells}`. */
export function* statsJson({ stats, counts, tallies }: Counted): Generator<string> {
  const tallied = tallies.all().map(({ family, labels, value }) => ({
    name: family.name,
    ...Object.fromEntries(family.labels.map((label, index) => [label, labels[index]])),
    value,
  }));
  yield `{"counts":${JSON.stringify(counts)},"tallies":${JSON.stringify(tallied)},"cells":[`;
  let comma = "";
  for (let from = 0; from < stats.names.length; from += CELLS_PER_SLICE) {
    const cells = snapshotCells(stats, from, from + CELLS_PER_SLICE).map(
      ({ route, cluster, inFlight, values }) =>
        JSON.stringify({ route, cluster, inFlight, ...Object.fromEntries(values) }),
    );
    if (cells.length === 0) continue;
    yield comma + cells.join(",");
    comma = ",";
  }
  yield "]}\n";
}

function valuesOf(cell: CellSnapshot): (readonly [string, number])[] {
  return [["inFlight", cell.inFlight], ...cell.values];
}

function nameOf({ route, cluster }: CellSnapshot, name: string): string {
  return `route.${route}.cluster.${cluster}.${name}`;
}

function lines(values: readonly (readonly [name: string, value: number])[]): string {
  return values.map(([name, value]) => `${name.replace(/[\r\n]/g, " ")}: ${value}\n`).join("");
}
