// Cells → what a load report carries: per cluster, every non-zero counter and latency bucket by `<route>/<name>` (names: stats.ts), and with
// them which life of the cell it is: a value that began anew at 0 comes with a greater `<route>/life`, and one that is only late does not.
import type { LoadSample } from "../../xds/client.ts";
import { type CellSnapshot, type Stats, snapshotStats } from "./stats.ts";

/** Counter that tells one life of a cell from the next. */
const LIFE = "life";

/** Cumulative since the life of each cell began. */
export function loadSamples(stats: Stats): readonly LoadSample[] {
  const byCluster = new Map<string, CellSnapshot[]>();
  for (const cell of snapshotStats(stats)) {
    const cells = byCluster.get(cell.cluster) ?? [];
    cells.push(cell);
    byCluster.set(cell.cluster, cells);
  }
  return [...byCluster].map(([cluster, cells]) => ({
    cluster,
    inProgress: cells.reduce((sum, { inFlight }) => sum + inFlight, 0),
    metrics: cells.flatMap(({ route, life, values }) => {
      const all = values.size === 0 ? [] : [[LIFE, life] as const, ...values];
      return all.map(([name, value]) => [`${route}/${name}`, value] as const);
    }),
  }));
}
