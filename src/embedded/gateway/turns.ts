// Gateways' proxies are replaced one after another: the next one goes only when the one before is ready again, so that a client that is
// refused by one gateway finds another. Bounded: a proxy that does not become ready delays the others by TURN_MS and no longer.
import type { KubeObject } from "../../api/api.ts";
import { isPodReady, readPod } from "../agent/podspec.ts";

/** How long one replacement may hold back the next, from the old proxy's end on: its drain, and the start of the new one. */
export const TURN_MS = 60_000;

export interface Turns {
  /** Whether the proxy of `key` may go now; then it has the turn. One that serves nobody may always. */
  take(key: string, present: KubeObject, pods: readonly KubeObject[], nowMs: number): boolean;
  /** Says what became of a key: its proxy is as it should be, or there is no Gateway any more. Returns the keys that may try again. */
  release(key: string): readonly string[];
}

/** Makes the turns of one controller. `isCurrent` says whether a gateway's pod runs what it should. */
export function createTurns(isCurrent: (pod: KubeObject) => boolean): Turns {
  const waiting = new Set<string>();
  let turn: { readonly key: string; readonly untilMs: number } | undefined;
  return {
    take(key, present, pods, nowMs) {
      waiting.delete(key);
      if (!isPodReady(readPod(present))) return true;
      const isTaken = turn !== undefined && turn.key !== key && nowMs < turn.untilMs;
      // What an earlier controller began is not remembered, but it shows.
      if (isTaken || pods.some((pod) => pod !== present && isOnItsWay(pod, isCurrent, nowMs))) {
        waiting.add(key);
        return false;
      }
      turn = { key, untilMs: nowMs + TURN_MS };
      return true;
    },
    release(key) {
      waiting.delete(key);
      if (turn?.key !== key) return [];
      turn = undefined;
      return [...waiting];
    },
  };
}

function isOnItsWay(pod: KubeObject, isCurrent: (pod: KubeObject) => boolean, nowMs: number): boolean {
  const { creationTimestamp, deletionTimestamp } = pod.metadata;
  // The API sets deletionTimestamp to the end of the grace period.
  if (deletionTimestamp) return nowMs < Date.parse(deletionTimestamp) + TURN_MS;
  const isYoung = nowMs < Date.parse(creationTimestamp ?? "") + TURN_MS;
  return isYoung && isCurrent(pod) && !isPodReady(readPod(pod));
}
