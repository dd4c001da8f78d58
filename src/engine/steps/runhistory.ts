// Finished AnalysisRuns and Experiments of a Rollout that go: those of versions that are gone, and those beyond the history limits.
import { isCompleted } from "../../analysis/assess.ts";
import { type AnalysisPhase, type ObjectMeta, POD_HASH_LABEL, runHistoryLimitsOf } from "../../api/api.ts";
import { parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import { podHashOf } from "../pods/replicaset.ts";

interface Finished {
  readonly metadata: ObjectMeta;
  readonly status: { readonly phase?: AnalysisPhase };
}

/** Those of `own` to delete, oldest first kept out; what the status still shows stays. */
export function beyondHistory<T extends Finished>(
  context: Context,
  own: readonly T[],
  shown: ReadonlySet<string | undefined>,
): readonly T[] {
  const limits = runHistoryLimitsOf(context.rollout);
  const versions = new Set([context.podHash, ...context.roles.owned.map(podHashOf)]);
  const isOfVersion = ({ metadata }: T): boolean => versions.has(metadata.labels?.[POD_HASH_LABEL] ?? "");
  const old = own.filter(({ metadata, status }) => isCompleted(status.phase) && !shown.has(metadata.name));
  const newestFirst = old.filter(isOfVersion).sort((a, b) => createdMs(b) - createdMs(a));
  const isSuccess = ({ status }: T): boolean => status.phase === "Successful";
  return [
    ...old.filter((one) => !isOfVersion(one)),
    ...newestFirst.filter(isSuccess).slice(limits.successful),
    ...newestFirst.filter((one) => !isSuccess(one)).slice(limits.unsuccessful),
  ];
}

function createdMs({ metadata }: Finished): number {
  return parseTime(metadata.creationTimestamp) ?? 0;
}
