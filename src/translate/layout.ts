// How versions share [0, total) when clients stay with theirs. A client's place never moves, so whoever owns it serves: each version beside
// stable grows and shrinks at an edge of its own, against stable, which has what is left. So raising one weight moves clients from stable to
// that version and nobody else, and lowering it moves them back.
//
//   one:  [ canary | stable ]      two:  [ a | stable | b ]      more:  [ a | stable | b ][ c | stable | d ]…
//
// With more than two beside stable each pair has an equal part of the whole; what does not fit in there goes into the next parts. Pure.

/** What takes a share of a split. */
export interface Share<T> {
  readonly target: T;
  /** Any unit; only the proportions count. */
  readonly weight: number;
}

/** A run of places that belong to one version. */
export interface Interval<T> {
  readonly target: T;
  readonly width: number;
}

/** Places of a sticky split: the same for whatever sum the weights are written in, so that another sum moves nobody. */
export const STICKY_TOTAL = 10_000_000;

/**
 * The intervals, in order, of `STICKY_TOTAL` places. `blocks` are the versions beside `stable`; versions within one block grow and shrink
 * together. A share above 0 gets at least one place, a share of 0 none.
 */
export function layOut<T>(blocks: readonly (readonly Share<T>[])[], stable: Share<T>): Interval<T>[] {
  const total = blocks.flat().reduce((sum, { weight }) => sum + weight, stable.weight);
  const widths = blocks.map((block) =>
    block.map(({ target, weight }) => ({ target, width: placesOf(weight, total) })),
  );
  fit(widths.flat(), stable.weight > 0 ? 1 : 0);
  const taken = widths.flat().reduce((sum, { width }) => sum + width, 0);
  let rest = STICKY_TOTAL - taken;
  if (stable.weight === 0 && rest > 0) {
    // What rounding left over: stable gets nothing.
    const widest = widths.flat().reduce((most, part) => (part.width > most.width ? part : most));
    widest.width += rest;
    rest = 0;
  }
  const intervals = widths.length <= 2 ? around(widths, stable.target, rest) : inParts(widths, stable.target);
  return intervals.filter(({ width }) => width > 0);
}

interface Part<T> {
  readonly target: T;
  width: number;
}

function placesOf(weight: number, total: number): number {
  return weight === 0 ? 0 : Math.max(1, Math.round((weight / total) * STICKY_TOTAL));
}

/** Rounding up may have given away more than there is; the widest give it back. */
function fit<T>(parts: readonly Part<T>[], spared: number): void {
  let excess = parts.reduce((sum, { width }) => sum + width, spared) - STICKY_TOTAL;
  for (const part of [...parts].sort((a, b) => b.width - a.width)) {
    const given = Math.max(0, Math.min(excess, part.width - 1));
    part.width -= given;
    excess -= given;
  }
}

function around<T>(
  [left = [], right = []]: readonly (readonly Part<T>[])[],
  stable: T,
  rest: number,
): Interval<T>[] {
  return [...left, { target: stable, width: rest }, ...right];
}

/** One part of the whole for each pair of blocks. */
function inParts<T>(blocks: readonly (readonly Part<T>[])[], stable: T): Interval<T>[] {
  const count = Math.ceil(blocks.length / 2);
  const parts = Array.from({ length: count }, (_, index) => {
    const size =
      Math.floor(((index + 1) * STICKY_TOTAL) / count) - Math.floor((index * STICKY_TOTAL) / count);
    const left = cut(blocks[index * 2] ?? [], size);
    const right = cut(blocks[index * 2 + 1] ?? [], size - left.width);
    return { left, right, guests: [] as Part<T>[], free: size - left.width - right.width };
  });
  parts.forEach(({ left, right }, index) => {
    for (const spill of [...left.spilt, ...right.spilt]) {
      for (let step = 1; step < count && spill.width > 0; step += 1) {
        const host = parts[(index + step) % count];
        const width = Math.min(spill.width, host?.free ?? 0);
        if (host === undefined || width === 0) continue;
        host.guests.push({ target: spill.target, width });
        host.free -= width;
        spill.width -= width;
      }
    }
  });
  return parts.flatMap(({ left, right, guests, free }) => [
    ...left.kept,
    ...guests,
    { target: stable, width: free },
    ...right.kept,
  ]);
}

/** The beginning of a block that fits into `size` places, and what does not. */
function cut<T>(
  block: readonly Part<T>[],
  size: number,
): { kept: Part<T>[]; spilt: Part<T>[]; width: number } {
  const kept: Part<T>[] = [];
  const spilt: Part<T>[] = [];
  let width = 0;
  for (const { target, width: wanted } of block) {
    const fits = Math.min(wanted, size - width);
    if (fits > 0) kept.push({ target, width: fits });
    if (wanted > fits) spilt.push({ target, width: wanted - fits });
    width += fits;
  }
  return { kept, spilt, width };
}
