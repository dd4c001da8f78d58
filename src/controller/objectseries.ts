// Counters and histograms by object: series of objects that are gone are given once more, so that their last values are seen, and then dropped.
/** Objects that may be gone before all are looked through without anybody asking for the figures. */
const SPARE = 1000;

export interface ObjectSeries {
  /** A series (`id` is its own) of the object under `key` has a value. */
  note(kind: string, key: string, id: string, remove: () => void): void;
  /** The figures have been given. */
  given(): void;
}

interface Kept {
  readonly kind: string;
  readonly key: string;
  readonly removals: Map<string, () => void>;
  isGone: boolean;
}

/** Makes an empty record. Bounded by twice the objects that are there, and some. */
export function createObjectSeries(isThere: (kind: string, key: string) => boolean): ObjectSeries {
  const kept = new Map<string, Kept>();
  let bound = SPARE;
  const given = (): void => {
    for (const [id, one] of kept) {
      const isGone = !isThere(one.kind, one.key);
      if (isGone && one.isGone) {
        for (const remove of one.removals.values()) remove();
        kept.delete(id);
      }
      one.isGone = isGone;
    }
  };
  return {
    given,
    note(kind, key, id, remove) {
      const object = `${kind} ${key}`;
      const one = kept.get(object) ?? { kind, key, removals: new Map<string, () => void>(), isGone: false };
      one.removals.set(id, remove);
      kept.set(object, one);
      if (kept.size <= bound) return;
      given();
      given();
      bound = 2 * kept.size + SPARE;
    },
  };
}
