// Own writes that the caches have not caught up with. A pass that decided upon a cache older than what this process wrote would
// do things twice, so such a pass is put off until the watch has brought the writes.

/** A write whose event never comes (the object was deleted right after) is forgotten after this time. */
export const FORGET_MS = 10_000;

interface Write {
  /** Undefined for a deletion. */
  readonly resourceVersion: string | undefined;
  readonly atMs: number;
}

/** How the caches see an object now. */
export type CachedVersion = (object: string) => string | undefined;

export interface Freshness {
  /** Remembers a write that the pass for `key` made. */
  wrote(key: string, object: string, resourceVersion: string | undefined, atMs: number): void;
  /** Whether the caches hold every remembered write of `key` or something newer. Forgets what they hold. */
  isFresh(key: string, cached: CachedVersion, nowMs: number): boolean;
  forget(key: string): void;
}

/** The name under which an object is known here. */
export function objectId(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

/** Makes an empty record. Bounded by the objects of passes of the last 10 s. */
export function createFreshness(): Freshness {
  const byKey = new Map<string, Map<string, Write>>();
  return {
    wrote(key, object, resourceVersion, atMs) {
      const writes = byKey.get(key) ?? new Map<string, Write>();
      writes.set(object, { resourceVersion, atMs });
      byKey.set(key, writes);
    },
    isFresh(key, cached, nowMs) {
      const writes = byKey.get(key);
      if (writes === undefined) return true;
      for (const [object, write] of writes) {
        if (hasCaughtUp(write, cached(object)) || nowMs - write.atMs >= FORGET_MS) writes.delete(object);
      }
      if (writes.size === 0) byKey.delete(key);
      return writes.size === 0;
    },
    forget(key) {
      byKey.delete(key);
    },
  };
}

/** Versions of one kind grow with every write (Kubernetes promises their order since 1.35; every server before kept it). */
function hasCaughtUp(write: Write, cached: string | undefined): boolean {
  if (write.resourceVersion === undefined) return cached === undefined;
  return cached !== undefined && BigInt(cached) >= BigInt(write.resourceVersion);
}
