// What keeps pods from being ready, in their containers' own words: the part of `explain` that a ReplicaSet's counts cannot tell. Pure.
import type { Pod } from "../api/api.ts";

/** Lines at most; the rest is counted. */
const MAX_LINES = 5;

/** One line for each pod that is not ready and says why; the same words are said once. */
export function podTroubles(pods: readonly Pod[]): string[] {
  const byWords = new Map<string, string[]>();
  for (const pod of pods) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    const words = wordsOf(pod);
    if (words !== undefined) byWords.set(words, [...(byWords.get(words) ?? []), pod.metadata.name]);
  }
  const lines = [...byWords].map(([words, [first = "", ...others]]) => {
    const more = others.length > 0 ? ` (and ${others.length} more)` : "";
    return `pod ${first}${more}: ${words}`;
  });
  const left = lines.length - MAX_LINES;
  return left > 0 ? [...lines.slice(0, MAX_LINES), `and ${left} more reasons`] : lines;
}

function wordsOf({ metadata, status }: Pod): string | undefined {
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  for (const { name, state, lastState } of statuses) {
    const waiting = state?.waiting;
    if (waiting?.reason === undefined || waiting.reason === "ContainerCreating") continue;
    const ended = lastState?.terminated;
    const exit = ended === undefined ? "" : `; it ended with exit code ${ended.exitCode}`;
    const log = ended === undefined ? "" : `, its log: kubectl logs --previous ${metadata.name} -c ${name}`;
    return `container ${name} ${waiting.reason}: ${waiting.message ?? "no message"}${exit}${log}`;
  }
  const unready = status.conditions?.find(({ type, status: value }) => type === "Ready" && value === "False");
  return unready?.message === undefined || unready.message === ""
    ? undefined
    : `not ready: ${unready.message}`;
}
