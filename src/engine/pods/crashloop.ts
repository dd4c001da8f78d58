// A new version whose containers end again and again. Its pods are ready for a moment after each start, which is no progress: the deadline goes
// on (pain 6 of the specification: in Argo it begins anew each time and never fires). A Rollout may ask for an abort after some ends.
import { CONDITION_TYPES, crashLoopLimitOf, POD_HASH_LABEL, type Pod } from "../../api/api.ts";
import { parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import type { Wait } from "../plan.ts";
import type { Mode } from "../stage.ts";

/** Ends of a container from which on it counts as looping: one or two happen to programs that wait for others to start. */
const LOOPING_RESTARTS = 3;
/** The kubelet's longest back-off is 5 minutes, and it forgets after 10: who has run for longer has recovered. */
const MEMORY_MS = 600_000;

/** The container of the new version that ended most often. */
export interface CrashLoop {
  readonly pod: string;
  readonly container: string;
  readonly restarts: number;
  readonly exitCode: number | undefined;
  /** When it last ended; undefined when nobody says. */
  readonly endedMs: number | undefined;
}

/** The worst crash loop of the version that is being rolled out; undefined when there is none, and for a version that has been healthy. */
export function crashLoopOf(context: Context): CrashLoop | undefined {
  const worst = worstOf(context);
  return worst !== undefined && worst.restarts >= LOOPING_RESTARTS ? worst : undefined;
}

/** What explain says of it. */
export function crashLoopWaits(context: Context, mode: Mode): readonly Wait[] {
  const loop = crashLoopOf(context);
  if (loop === undefined || mode === "aborted") return [];
  return [{ code: "replicas", text: `${wordsOf(loop)}; that it is ready now and then is no progress` }];
}

/** The words of an abort that the Rollout wants after so many ends; undefined when there were not as many. */
export function crashAbortWords(context: Context): string | undefined {
  const limit = crashLoopLimitOf(context.rollout);
  const { abortedAt, duration } = context.status;
  if (limit === undefined || abortedAt !== undefined) return undefined;
  // An update begins anew with a retry, and gives the containers another chance: they must end once more.
  const worst = worstOf(context, parseTime(duration?.rolloutStartedAt));
  return worst !== undefined && worst.restarts >= limit ? wordsOf(worst) : undefined;
}

/** In words: which, how often, how. */
export function wordsOf({ pod, container, restarts, exitCode }: CrashLoop): string {
  const last = exitCode === undefined ? "" : `, last with exit code ${exitCode}`;
  return `pod ${pod} is crash-looping: container ${container} ended ${restarts} times${last}`;
}

/** Whether Healthy has ever been told: before that, a first version may be stable though its pods have never been available. */
export function wasHealthy({ status }: Context): boolean {
  return status.conditions?.some(({ type }) => type === CONDITION_TYPES.healthy) === true;
}

/** `sinceMs`: those that have ended before do not count. */
function worstOf(context: Context, sinceMs = 0): CrashLoop | undefined {
  // A first version is stable before its pods have ever been available: until Healthy has been told it is still on its way.
  if (context.status.stableRS === context.podHash && wasHealthy(context)) return undefined;
  const loops = (context.snapshot.workload.pods ?? [])
    .filter(({ metadata }) => metadata.labels?.[POD_HASH_LABEL] === context.podHash)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .flatMap((pod) => endsOf(pod))
    .filter(({ endedMs = context.nowMs }) => endedMs >= sinceMs && context.nowMs - endedMs < MEMORY_MS);
  return loops.sort((a, b) => b.restarts - a.restarts || (a.pod < b.pod ? -1 : 1))[0];
}

function endsOf({ metadata, status }: Pod): readonly CrashLoop[] {
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return statuses
    .filter(({ restartCount }) => restartCount > 0)
    .map(({ name, restartCount, state, lastState }) => {
      const ended = state?.terminated ?? lastState?.terminated;
      return {
        pod: metadata.name,
        container: name,
        restarts: restartCount,
        exitCode: ended?.exitCode,
        endedMs: parseTime(ended?.finishedAt),
      };
    });
}
