// News of writes that a lost pass had done before it failed. The next pass finds them done and says nothing of them; so they are kept, and told
// with what that pass says, in the order in which the lost one would have told them. Events on the status are not kept: it was not written, and
// the next pass decides it anew; a kept one only marks the place where it is told again.
import type { Action, PlannedEvent } from "../engine/decide.ts";

/** Events kept per Rollout; passes that go on failing have little new to tell. */
export const MAX_KEPT = 50;

export interface OwedEvents {
  /** A pass has failed after these of its actions. */
  lost(key: string, done: readonly Action[], events: readonly PlannedEvent[]): void;
  /** What a pass that has succeeded is to tell: what is owed, and its own. */
  settle(key: string, events: readonly PlannedEvent[]): readonly PlannedEvent[];
  forget(key: string): void;
}

interface Kept {
  readonly event: PlannedEvent;
  /** To be told in any case. */
  readonly isOwed: boolean;
}

/** Makes an empty account. Bounded by the Rollouts whose last pass failed. */
export function createOwedEvents(): OwedEvents {
  const kept = new Map<string, readonly Kept[]>();
  return {
    lost(key, done, events) {
      const isDone = ({ of }: PlannedEvent): boolean =>
        done.some(({ kind, name }) => kind === of?.kind && name === of.name);
      const lost = events.map((event) => ({ event, isOwed: isDone(event) }));
      const all = merged(kept.get(key) ?? [], lost);
      if (all.some(({ isOwed }) => isOwed)) kept.set(key, all.slice(-MAX_KEPT));
    },
    settle(key, events) {
      const own = events.map((event) => ({ event, isOwed: true }));
      const all = merged(kept.get(key) ?? [], own);
      kept.delete(key);
      return all.map(({ event }) => event);
    },
    forget: (key) => void kept.delete(key),
  };
}

/** What is owed of the earlier ones and all of the later ones; a later one that was to be told earlier takes that place. */
function merged(earlier: readonly Kept[], later: readonly Kept[]): readonly Kept[] {
  const rest = [...later];
  const inPlace = earlier.flatMap((one) => {
    if (one.isOwed) return [one];
    const at = rest.findIndex(({ event }) => isSame(event, one.event));
    return at < 0 ? [] : rest.splice(at, 1);
  });
  return [...inPlace, ...rest];
}

function isSame(a: PlannedEvent, b: PlannedEvent): boolean {
  return a.reason === b.reason && a.message === b.message;
}
