// [hot] Read buffers of three sizes, chosen by what the last read brought: idle connections hold a small one, bulk gets a large one.
// Free ones are kept for reuse, up to a bound.

const SIZES = [4 * 1024, 16 * 1024, 64 * 1024] as const;
/** Free buffers kept per size. */
const MAX_FREE = 64;

/** The read buffers of one event loop. */
export class ReadBuffers {
  readonly #free: Buffer[][] = SIZES.map(() => []);

  take(level: number): Buffer {
    return this.#free[level]?.pop() ?? Buffer.allocUnsafeSlow(SIZES[level] ?? SIZES[0]);
  }

  give(level: number, buffer: Buffer): void {
    const free = this.#free[level];
    if (free !== undefined && free.length < MAX_FREE) free.push(buffer);
  }

  /** The level for the next read after one that brought `count` bytes into a buffer of `level`. */
  nextLevel(level: number, count: number): number {
    const size = SIZES[level] ?? SIZES[0];
    if (count === size) return level < SIZES.length - 1 ? level + 1 : level;
    return level > 0 && count * 4 < size ? level - 1 : level;
  }
}
