// What a controller has asked for and not yet seen in its cache: until it has, the cache counts as stale and nothing further is created
// or deleted, so that a slow watch never doubles pods. Source: Kubernetes pkg/controller/controller_utils.go (UIDTrackingControllerExpectations).

export interface Expectations {
  /** Begins anew for a key: so many creations, and the deletion of these uids. */
  expect(key: string, creations: number, deletions: readonly string[], nowMs: number): void;
  creationObserved(key: string): void;
  deletionObserved(key: string, uid: string): void;
  /** Whether everything asked for was seen, or so long ago that the events must have been missed. */
  isSatisfied(key: string, nowMs: number): boolean;
  forget(key: string): void;
}

/** After so long without the events, the cache is believed again. */
export const EXPECTATION_TIMEOUT_MS = 300_000;

interface Pending {
  creations: number;
  readonly deletions: Set<string>;
  readonly sinceMs: number;
}

/** Makes an empty record; bounded by the number of keys. */
export function createExpectations(): Expectations {
  const pending = new Map<string, Pending>();
  return {
    expect(key, creations, deletions, nowMs) {
      pending.set(key, { creations, deletions: new Set(deletions), sinceMs: nowMs });
    },
    creationObserved(key) {
      const entry = pending.get(key);
      if (entry !== undefined) entry.creations -= 1;
    },
    deletionObserved(key, uid) {
      pending.get(key)?.deletions.delete(uid);
    },
    isSatisfied(key, nowMs) {
      const entry = pending.get(key);
      if (entry === undefined) return true;
      if (entry.creations <= 0 && entry.deletions.size === 0) return true;
      return nowMs - entry.sinceMs > EXPECTATION_TIMEOUT_MS;
    },
    forget(key) {
      pending.delete(key);
    },
  };
}
