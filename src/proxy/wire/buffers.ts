// [hot] Read buffers of four sizes, chosen by what the last read brought: idle connections hold a small one, bulk gets a large one.
// Free ones are kept for reuse, up to a bound.

const LARGEST = 64 * 1024;
const SIZES = [2 * 1024, 4 * 1024, 16 * 1024, LARGEST] as const;
/** Smallest levels: of client connections, which may be many and idle, and of upstream ones, whose answers are longer than requests. */
export const LEVEL = { CLIENT: 0, UPSTREAM: 1 } as const;
/** Free buffers kept per size. */
const MAX_FREE = 64;

/** The read buffers of one event loop. */
export class ReadBuffers {
  readonly #free: Buffer[][] = SIZES.map(() => []);

  take(level: number): Buffer {
    return this.#free[level]?.pop() ?? Buffer.allocUnsafeSlow(SIZES[level] ?? SIZES[0]);
  }

  /** The level whose buffers hold so many bytes; the highest, where none does. */
  levelOf(count: number): number {
    const level = SIZES.findIndex((size) => size >= count);
    return level < 0 ? SIZES.length - 1 : level;
  }

  give(level: number, buffer: Buffer): void {
    const free = this.#free[level];
    if (free !== undefined && free.length < MAX_FREE) free.push(buffer);
  }

  /**
   * The level for the next read after one that brought `count` bytes into a buffer of `level`; `expected` bytes of the body are to come, at
   * least. Behind a body it is the smallest: nobody knows when the next read will be.
   */
  nextLevel(level: number, count: number, expected: number): number {
    if (expected === 0) return 0;
    const size = SIZES[level] ?? SIZES[0];
    if (count === size) return expected >= LARGEST ? SIZES.length - 1 : Math.min(level + 1, SIZES.length - 1);
    return level > 0 && count * 4 < size ? level - 1 : level;
  }
}
