// Events do not pile up: each lives an hour after it was last written, and a namespace keeps a bounded number of them.
import { findKind } from "./kinds.ts";
import type { Remover } from "./remover.ts";
import type { Store } from "./store.ts";

/** Time that an event is kept after its last write, as under Kubernetes. */
export const EVENT_TTL_MS = 3_600_000;
/** Events kept per namespace, the newest. */
export const EVENTS_PER_NAMESPACE = 1000;

/** Removes events past their time. Opens its own transaction. */
export function expireEvents(store: Store, remover: Remover, nowMs: number): void {
  const kind = findKind("", "v1", "events");
  if (kind === undefined) return;
  store.transaction(false, () => {
    for (const place of store.writtenBefore(kind, nowMs - EVENT_TTL_MS)) {
      const stored = store.get(kind, place.namespace, place.name);
      if (stored !== undefined) remover.finish(kind, stored.object);
    }
  });
}

/** Removes the oldest events of a namespace beyond the bound. Called within the transaction that wrote an event. */
export function trimEvents(store: Store, remover: Remover, namespace: string): void {
  const kind = findKind("", "v1", "events");
  if (kind === undefined) return;
  for (const place of store.beyondNewest(kind, namespace, EVENTS_PER_NAMESPACE)) {
    const stored = store.get(kind, place.namespace, place.name);
    if (stored !== undefined) remover.finish(kind, stored.object);
  }
}
