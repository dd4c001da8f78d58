// Label selectors as workloads use them: api's matching, but an empty selector selects nothing.
import { type LabelSelector, selectorMatches as matches } from "../../api/api.ts";

export type { LabelSelector } from "../../api/api.ts";

type Labels = Readonly<Record<string, string>>;

/** Whether the labels fit. An empty selector fits nothing here: no workload means "every pod of the namespace". */
export function selectorMatches(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) return false;
  return matches({ matchLabels, matchExpressions }, labels ?? {});
}
