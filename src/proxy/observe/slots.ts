// Which cell of the statistics is whose. A pair (route, cluster) has its cell while a configuration names it or a request is in progress in it,
// and GRACE_MS longer; then the cell is freed, and is another pair's when one comes. A pair that comes back after that begins at 0, as a new
// life: whoever remembers a cell by its number compares the name object, which belongs to one life. None of this is done per request.

/** Most cells; what comes beyond shares the last one, named `overflow`, which is never freed. */
export const MAX_CELLS = 4096;
/** How long a cell stays that nothing names any more: several scrapes see its last values. */
export const GRACE_MS = 600_000;
/** The same while all cells are taken: some load reports. */
export const PRESSED_GRACE_MS = 30_000;
/** How often cells that may be freed are looked for. */
const SWEEP_EVERY_MS = 10_000;

const OVERFLOW = "overflow";

/** One life of a cell. */
export interface CellName {
  readonly route: string;
  readonly cluster: string;
  /** Lives that had begun in this process by then, this one included: a pair's later life has the greater number. */
  readonly life: number;
}

/** Somebody who still needs a cell that nothing names. */
export interface CellHolder {
  holds(index: number): boolean;
}

/** What the values of a cell say, and how they are forgotten. */
export interface CellValues {
  isBusy(index: number): boolean;
  clear(index: number): void;
}

/** The cells of one event loop by number. */
export class Slots {
  /** By number; undefined: free. */
  readonly names: (CellName | undefined)[] = [];
  readonly holders: Set<CellHolder> = new Set();
  readonly #values: CellValues;
  readonly #index = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #isNamed: boolean[] = [];
  /** Since when it was neither named nor busy, as far as was looked. */
  readonly #idleSinceMs: number[] = [];
  #lives = 0;
  /** When was last looked. */
  #nowMs = 0;
  #sweepAtMs = 0;
  /** No cell could be freed, nor can one be before the next look, or `retain`. */
  #isSweptInVain = false;
  #overflow: number | undefined;

  constructor(values: CellValues) {
    this.#values = values;
  }

  /** The cell of a pair: its own, or that of all for which there was none, at least until the next `retain`. */
  of(route: string, cluster: string): number {
    const key = keyOf(route, cluster);
    const index = this.#index.get(key) ?? this.#begin(key, { route, cluster });
    this.#isNamed[index] = true;
    return index;
  }

  /** Whether a pair that got this cell would get one of its own now. */
  isOutdated(index: number): boolean {
    return index === this.#overflow && this.#hasRoom();
  }

  /** `named` has a 1 for each cell that requests to come may count in; others stay for the grace. */
  retain(named: Uint8Array, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#isSweptInVain = false;
    for (let index = 0; index < this.names.length; index++) {
      const isNamed = named[index] === 1;
      if (!isNamed && this.#isNamed[index] === true) this.#idleSinceMs[index] = nowMs;
      this.#isNamed[index] = isNamed;
    }
  }

  /** To be called often: frees cells when it is time to look. */
  look(nowMs: number): void {
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
    this.#nowMs = nowMs;
    this.#isSweptInVain = false;
    this.#sweep(GRACE_MS);
  }

  #begin(key: string, pair: { readonly route: string; readonly cluster: string }): number {
    const isOverflow = key === OVERFLOW_KEY;
    if (!isOverflow && !this.#hasRoom()) return this.of(OVERFLOW, OVERFLOW);
    const index = this.#free.pop() ?? this.names.length;
    this.#lives += 1;
    this.names[index] = { ...pair, life: this.#lives };
    this.#index.set(key, index);
    if (isOverflow) this.#overflow = index;
    return index;
  }

  /** The last one is for what comes beyond. */
  #hasRoom(): boolean {
    const mayGrow = (): boolean =>
      this.names.length < (this.#overflow === undefined ? MAX_CELLS - 1 : MAX_CELLS);
    if (this.#free.length > 0 || mayGrow()) return true;
    // Asked once per pair and table: each time it would go through all cells.
    if (this.#isSweptInVain) return false;
    this.#sweep(PRESSED_GRACE_MS);
    this.#isSweptInVain = this.#free.length === 0;
    return !this.#isSweptInVain;
  }

  #sweep(graceMs: number): void {
    this.names.forEach((name, index) => {
      if (name === undefined || this.#isNamed[index] === true || index === this.#overflow) return;
      if (this.#values.isBusy(index)) this.#idleSinceMs[index] = this.#nowMs;
      const idleMs = this.#nowMs - (this.#idleSinceMs[index] ?? this.#nowMs);
      if (idleMs >= graceMs && !this.#isHeld(index)) this.#release(name, index);
    });
  }

  #isHeld(index: number): boolean {
    for (const holder of this.holders) if (holder.holds(index)) return true;
    return false;
  }

  #release({ route, cluster }: CellName, index: number): void {
    this.#values.clear(index);
    this.names[index] = undefined;
    this.#index.delete(keyOf(route, cluster));
    this.#free.push(index);
  }
}

const keyOf = (route: string, cluster: string): string => `${route}\n${cluster}`;
const OVERFLOW_KEY = keyOf(OVERFLOW, OVERFLOW);
