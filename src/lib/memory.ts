// Memory of this process: how much of what there is it uses, giving back what starting up took, and how often V8 collects what is old.
// Start-up leaves more garbage than an idle process ever makes, so that V8 would keep the pages for good: measured on the xDS client, 14 of
// 87 MiB.
import { totalmem } from "node:os";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * How much the heap of what is alive may grow, in percent, before V8 collects its old part again. Left alone V8 settles on some 10 % in a
 * process that allocates little: 2 MB of garbage cost a proxy's clients 30 ms every 7 s then (bench/README.md, 1 000 slow clients).
 */
const HEAP_GROWTH_PERCENT = 100;

/**
 * Collects all garbage once and returns its pages to the system; from then on the heap may grow by HEAP_GROWTH_PERCENT. Stops the process for
 * some 100 ms: call it once, before there is load (when the first configuration is in force).
 */
export function releaseStartupMemory(): void {
  // Before the collection, which sets the next limit.
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** Shares in use: of the heap that V8 may have, and of the memory that the machine or the container has. */
export function memoryUse(): { readonly heap: number; readonly resident: number } {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  // Without a container's limit this is 0 or beyond what any machine has.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  return { heap: used / limit, resident: residentBytes() / Math.min(constrained, totalmem()) };
}

let lastResident = 0;

/** Read from a file of the system: a process without a free descriptor goes by what it read last. */
function residentBytes(): number {
  try {
    lastResident = process.memoryUsage.rss();
  } catch {
    // EMFILE or ENFILE. The next look comes within a second.
  }
  return lastResident;
}
