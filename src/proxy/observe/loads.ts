// Cells → what a load report carries: per cluster, every non-zero counter and latency bucket by `<route>/<name>` (names: stats.ts).
import type { LoadSample } from "../../xds/client.ts";
import { type CellSnapshot, type Stats, snapshotStats } from "./stats.ts";

/** Cumulative since the process began. */
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
    metrics: cells.flatMap(({ route, values }) =>
      [...values].map(([name, value]) => [`${route}/${name}`, value] as const),
    ),
  }));
}
