// What one process has reported, value by value, so that of its cumulative values only the rise is counted: whatever report is repeated or
// overtaken. A proxy forgets a pair of route and version that nothing names any more, and begins at 0 when it comes back. Which life of the pair
// values are of, `<route>/life` says: the values of a greater one are risen from 0, those of a smaller one are late, and count no more. What is
// missing in ABSENT_REPORTS reports in a row is forgotten here as well. Proxies that report no lives forget nothing, and nothing of them is forgotten.

/** Values remembered per process; what comes beyond is not counted. */
export const MAX_VALUES_PER_PROCESS = 50_000;
/** Reports in a row without a pair until its values are forgotten: so many at least, and at most twice as many. */
export const ABSENT_REPORTS = 30;
/** Pairs per process that were forgotten and are still told from new ones; the one longest forgotten makes way. */
export const MAX_ENDED = 4096;

const LIFE = "/life";

/** What is still counted of a route's values in a report: nothing, since they are late; nothing, but they are a baseline. */
type Silence = "late" | "baseline";

/** The values of one process. */
export class Held {
  /** By cluster, then `<route>/<counter>`. */
  readonly #values = new Map<string, Map<string, number>>();
  #size = 0;
  #reports = 0;
  /** The number of the last report that had them, of pairs with a life. */
  readonly #seen = new Map<string, { readonly cluster: string; readonly route: string; report: number }>();
  /** The last life of pairs that were forgotten. */
  readonly #ended = new Map<string, number>();

  /** Takes up values as a predecessor held them. */
  restore(cluster: string, values: Readonly<Record<string, number>>): void {
    const held = new Map(Object.entries(values));
    this.#size += held.size - (this.#values.get(cluster)?.size ?? 0);
    this.#values.set(cluster, held);
    for (const name of held.keys()) if (name.endsWith(LIFE)) this.#see(cluster, routeOf(name));
  }

  /** What is held of a cluster that passes, to be restored from. */
  of(passes: (cluster: string) => boolean): Record<string, Readonly<Record<string, number>>> {
    const own = [...this.#values].filter(([cluster]) => passes(cluster));
    return Object.fromEntries(own.map(([cluster, held]) => [cluster, Object.fromEntries(held)]));
  }

  /** By how much the values of a cluster are higher than what is held of them, and holds them; those that are not are left out. */
  rises(cluster: string, reported: ReadonlyMap<string, number>): (readonly [name: string, amount: number])[] {
    const held = this.#values.get(cluster) ?? new Map<string, number>();
    const silent = this.#enterLives(cluster, held, reported);
    const rises: (readonly [string, number])[] = [];
    for (const [name, total] of reported) {
      const before = held.get(name) ?? 0;
      if (!(total > before)) continue;
      const silence = silent.size === 0 ? undefined : silent.get(routeOf(name));
      if (silence === "late" || !this.#hold(held, name, total)) continue;
      if (silence === undefined) rises.push([name, total - before]);
    }
    if (held.size > 0) this.#values.set(cluster, held);
    return rises;
  }

  /** A report has been taken in whole. */
  reported(): void {
    this.#reports += 1;
    if (this.#reports % ABSENT_REPORTS !== 0) return;
    for (const [key, { cluster, route, report }] of this.#seen)
      if (this.#reports - report > ABSENT_REPORTS) this.#end(key, cluster, route);
  }

  /** Compares the lives that values are of with those of what is held. */
  #enterLives(
    cluster: string,
    held: Map<string, number>,
    reported: ReadonlyMap<string, number>,
  ): ReadonlyMap<string, Silence> {
    const silent = new Map<string, Silence>();
    for (const [name, life] of reported) {
      if (!name.endsWith(LIFE)) continue;
      const route = routeOf(name);
      const key = keyOf(cluster, route);
      const ended = this.#ended.get(key);
      const last = held.get(name) ?? ended ?? 0;
      if (last > 0 && life > last) this.#forget(held, route);
      // Values without a life that is held could not be told from those of the next one.
      if (life < last || !this.#hold(held, name, life)) {
        silent.set(route, "late");
        continue;
      }
      // It was missing for a while only, or this is a late report: what was counted since is not known.
      if (life === ended) silent.set(route, "baseline");
      this.#ended.delete(key);
      this.#see(cluster, route);
    }
    return silent;
  }

  #see(cluster: string, route: string): void {
    this.#seen.set(keyOf(cluster, route), { cluster, route, report: this.#reports });
  }

  /** False when there are too many. */
  #hold(held: Map<string, number>, name: string, total: number): boolean {
    if (!held.has(name)) {
      if (this.#size >= MAX_VALUES_PER_PROCESS) return false;
      this.#size += 1;
    }
    held.set(name, total);
    return true;
  }

  #end(key: string, cluster: string, route: string): void {
    this.#seen.delete(key);
    const held = this.#values.get(cluster);
    this.#ended.set(key, held?.get(route + LIFE) ?? 0);
    const [longest] = this.#ended.keys();
    if (this.#ended.size > MAX_ENDED && longest !== undefined) this.#ended.delete(longest);
    if (held === undefined) return;
    this.#forget(held, route);
    if (held.size === 0) this.#values.delete(cluster);
  }

  #forget(held: Map<string, number>, route: string): void {
    for (const name of held.keys()) if (routeOf(name) === route && held.delete(name)) this.#size -= 1;
  }
}

const keyOf = (cluster: string, route: string): string => `${cluster}\n${route}`;
const routeOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf("/")));
