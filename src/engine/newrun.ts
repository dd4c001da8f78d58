// The AnalysisRun that a step or the background analysis needs: its name, labels, owner and spec. An unfinished run of the same content
// under that name is taken for the wanted one, so that a crash after creating it leaves no second one.

import { isCompleted } from "../analysis/assess.ts";
import {
  type AnalysisRunSpec,
  apiVersionOf,
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  REVISION_ANNOTATION,
  ROLLOUT_TYPE_LABEL,
  type RolloutAnalysis,
  STEP_INDEX_LABEL,
} from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import { resolveAnalysis } from "./analysistemplates.ts";
import type { Context } from "./context.ts";
import { isOwnedBy } from "./context.ts";
import { ownerReference } from "./newreplicaset.ts";
import type { Action } from "./plan.ts";

export type NewRun =
  /** Without an action: the run is there already. */
  | { readonly kind: "run"; readonly name: string; readonly action?: Action }
  | { readonly kind: "error"; readonly message: string };

/** Suffixes tried before giving up: each is a finished run of the same step, and those are deleted beyond the history limits. */
const MAX_NAMES = 1000;

/** The run for the step at `index`, or for the background. */
export function newRun(context: Context, kind: "Step" | "Background", index: number): NewRun {
  const analysis = analysisOf(context, kind, index);
  const resolved = resolveAnalysis(context.snapshot, analysis, {
    stable: context.status.stableRS ?? "",
    latest: context.podHash,
  });
  if (resolved.kind === "error") return resolved;
  const { revision } = context;
  const suffix = kind === "Step" ? `-${index}` : "";
  const base = `${context.name}-${context.podHash}-${revision}${suffix}`;
  const taken = new Map(context.snapshot.analysis.runs.map((run) => [run.metadata.name, run]));
  for (let attempt = 0; attempt < MAX_NAMES; attempt += 1) {
    const name = attempt === 0 ? base : `${base}.${attempt}`;
    const existing = taken.get(name);
    if (existing === undefined) {
      const object = runObject(context, kind, index, { name, revision, analysis, spec: resolved.spec });
      const reason =
        kind === "Step" ? `step ${index + 1} is an analysis` : "the update has a background analysis";
      return {
        kind: "run",
        name,
        action: { kind: "createAnalysisRun", namespace: context.namespace, name, object, reason },
      };
    }
    const isUsable =
      isOwnedBy(existing, context.uid) &&
      existing.metadata.deletionTimestamp === undefined &&
      !isCompleted(existing.status.phase) &&
      jsonEqual(existing.spec, resolved.spec);
    if (isUsable) return { kind: "run", name };
  }
  return { kind: "error", message: `no free name for an AnalysisRun like ${base}` };
}

function analysisOf(context: Context, kind: "Step" | "Background", index: number): RolloutAnalysis {
  if (kind === "Background") return context.canary.analysis ?? {};
  const step = context.steps[index];
  return step?.kind === "analysis" ? step.analysis : {};
}

function runObject(
  context: Context,
  kind: "Step" | "Background",
  index: number,
  run: {
    readonly name: string;
    readonly revision: number;
    readonly analysis: RolloutAnalysis;
    readonly spec: AnalysisRunSpec;
  },
): KubeObject {
  const extra = run.analysis.analysisRunMetadata;
  return {
    apiVersion: apiVersionOf(RESOURCES.analysisRun),
    kind: RESOURCES.analysisRun.kind,
    metadata: {
      name: run.name,
      namespace: context.namespace,
      labels: {
        ...extra?.labels,
        [POD_HASH_LABEL]: context.podHash,
        [ROLLOUT_TYPE_LABEL]: kind,
        ...(kind === "Step" ? { [STEP_INDEX_LABEL]: String(index) } : {}),
      },
      annotations: { ...extra?.annotations, [REVISION_ANNOTATION]: String(run.revision) },
      ownerReferences: [ownerReference(context)],
    },
    spec: run.spec,
  };
}
