// From an analysis as a Rollout names it to the spec of an AnalysisRun: the Rollout's arguments get their values here, the rest is
// analysis/'s. What is missing is a value, not a throw: it makes the Rollout InvalidSpec until it appears.
import { type RunSpecResult, runSpecFromTemplates } from "../../analysis/assess.ts";
import type { AnalysisArgument, Argument, RolloutAnalysis } from "../../api/api.ts";
import { asObject, asStrings, isObject } from "../../lib/json.ts";
import type { Snapshot } from "../snapshot.ts";

/** Values for `valueFrom.podTemplateHashValue`. */
export interface Hashes {
  readonly stable: string;
  readonly latest: string;
}

/** The spec of a run of this analysis, or why there can be none. */
export function resolveAnalysis(
  snapshot: Snapshot,
  analysis: RolloutAnalysis,
  hashes: Hashes,
): RunSpecResult {
  const args = resolveArguments(snapshot, analysis.args ?? [], hashes);
  if (args.kind === "error") return args;
  const { templates, clusterTemplates } = snapshot.analysis;
  return runSpecFromTemplates({
    refs: analysis.templates ?? [],
    templates,
    clusterTemplates,
    args: args.value,
    ...(analysis.dryRun === undefined ? {} : { dryRun: analysis.dryRun }),
    ...(analysis.measurementRetention === undefined
      ? {}
      : { measurementRetention: analysis.measurementRetention }),
  });
}

/** The arguments that a Rollout gives, with their values. */
export function resolveArguments(
  snapshot: Snapshot,
  given: readonly AnalysisArgument[],
  hashes: Hashes,
):
  | { readonly kind: "ok"; readonly value: readonly Argument[] }
  | { readonly kind: "error"; readonly message: string } {
  const args: Argument[] = [];
  for (const argument of given) {
    const value = argumentValue(snapshot, argument, hashes);
    if (value === undefined) return { kind: "error", message: `args.${argument.name} was not resolved` };
    args.push({ name: argument.name, value });
  }
  return { kind: "ok", value: args };
}

function argumentValue(snapshot: Snapshot, argument: AnalysisArgument, hashes: Hashes): string | undefined {
  if (argument.value !== undefined) return argument.value;
  const { podTemplateHashValue, fieldRef } = argument.valueFrom ?? {};
  if (podTemplateHashValue !== undefined)
    return podTemplateHashValue === "Stable" ? hashes.stable : hashes.latest;
  return fieldRef === undefined ? undefined : fieldValue(snapshot.raw, fieldRef.fieldPath);
}

/** Whether a field of the Rollout has no value yet: one of its status, most often. An analysis reads it as it begins. Metadata is there. */
export function isUnknownYet(snapshot: Snapshot, { valueFrom }: AnalysisArgument): boolean {
  const path = valueFrom?.fieldRef?.fieldPath;
  return path !== undefined && !path.startsWith("metadata") && fieldValue(snapshot.raw, path) === undefined;
}

/** Labels and annotations as the downward API gives them: all of them, or one, which is empty where it is missing. */
const METADATA_PATH = /^metadata\.(labels|annotations)(?:\['([^']+)'\])?$/;

/** One key of a path: `name`, `['any name']` or `[0]`. */
const PATH_PART = /\.?([^.[\]]+)|\[\s*(?:'([^']*)'|"([^"]*)"|(\d+))\s*\]/gy;

/** The scalar at a path such as `metadata.labels['app']` or `spec.template.spec.containers[0].image`; undefined when there is none. */
export function fieldValue(root: unknown, path: string): string | undefined {
  const [, texts, name] = METADATA_PATH.exec(path) ?? [];
  if (texts !== undefined) {
    const all = asStrings(asObject(asObject(root).metadata)[texts]);
    return name === undefined ? textOf(all) : (all[name] ?? "");
  }
  let at: unknown = root;
  let end = 0;
  for (const match of path.matchAll(PATH_PART)) {
    const key = match[1] ?? match[2] ?? match[3] ?? match[4] ?? "";
    end = match.index + match[0].length;
    if (Array.isArray(at)) at = at[Number(key)];
    else if (isObject(at) && Object.hasOwn(at, key)) at = at[key];
    else return undefined;
  }
  if (end !== path.length) return undefined;
  return typeof at === "string" || typeof at === "number" || typeof at === "boolean" ? String(at) : undefined;
}

/** One `key="value"` a line. */
function textOf(texts: Readonly<Record<string, string>>): string {
  return Object.keys(texts)
    .sort()
    .map((key) => `${key}=${JSON.stringify(texts[key])}`)
    .join("\n");
}
