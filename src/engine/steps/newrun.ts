// The AnalysisRun that a step or the background analysis needs: its name, labels, owner and spec. An unfinished run of the same content
// under that name is taken for the wanted one, so that a crash after creating it leaves no second one.

import { isCompleted } from "../../analysis/assess.ts";
import {
  type AnalysisRun,
  type AnalysisRunSpec,
  apiVersionOf,
  INSTANCE_ID_LABEL,
  type KubeObject,
  memberOf,
  type ObjectMeta,
  POD_HASH_LABEL,
  RESOURCES,
  REVISION_ANNOTATION,
  ROLLOUT_TYPE_LABEL,
  type RolloutAnalysis,
  STEP_INDEX_LABEL,
} from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Context } from "../context.ts";
import { isOwnedBy } from "../context.ts";
import type { Action } from "../plan.ts";
import { ownerReference } from "../pods/newreplicaset.ts";
import { resolveAnalysis } from "./analysistemplates.ts";

/** What a run is for: its label `rollout-type`. */
export type RunKind = "Step" | "Background" | "PrePromotion" | "PostPromotion";

export type NewRun =
  /** Without an action: the run is there already. */
  | { readonly kind: "run"; readonly name: string; readonly action?: Action }
  | { readonly kind: "error"; readonly message: string };

/** Suffixes tried before giving up: each is a finished run of the same step, and those are deleted beyond the history limits. */
const MAX_NAMES = 1000;

/** The run of one kind; `index`: of the step that it is for. */
export function newRun(context: Context, kind: RunKind, index: number): NewRun {
  const analysis = analysisOf(context, kind, index);
  const resolved = resolveAnalysis(context.snapshot, analysis, {
    stable: context.status.stableRS ?? "",
    latest: context.podHash,
  });
  if (resolved.kind === "error") return resolved;
  const { revision } = context;
  const base = `${context.name}-${context.podHash}-${revision}${suffixOf(kind, index)}`;
  const found = freeRunName(context.snapshot.analysis.runs, base, context.uid, resolved.spec);
  if (found.kind !== "free") return found;
  const { name } = found;
  const object = runObject(context, kind, index, { name, revision, analysis, spec: resolved.spec });
  const reason = reasonFor(kind, index);
  return {
    kind: "run",
    name,
    action: { kind: "createAnalysisRun", namespace: context.namespace, name, object, reason },
  };
}

/** The name for a run of this content: free, or that of an unfinished one that is there already. */
export function freeRunName(
  runs: readonly AnalysisRun[],
  base: string,
  ownerUid: string,
  spec: AnalysisRunSpec,
): NewRun | { readonly kind: "free"; readonly name: string } {
  const taken = new Map(runs.map((run) => [run.metadata.name, run]));
  for (let attempt = 0; attempt < MAX_NAMES; attempt += 1) {
    const name = attempt === 0 ? base : `${base}.${attempt}`;
    const existing = taken.get(name);
    if (existing === undefined) return { kind: "free", name };
    const isUsable =
      isOwnedBy(existing, ownerUid) &&
      existing.metadata.deletionTimestamp === undefined &&
      !isCompleted(existing.status.phase) &&
      jsonEqual(existing.spec, spec);
    if (isUsable) return { kind: "run", name };
  }
  return { kind: "error", message: `no free name for an AnalysisRun like ${base}` };
}

function analysisOf({ blueGreen, canary, steps }: Context, kind: RunKind, index: number): RolloutAnalysis {
  switch (kind) {
    case "Background":
      return canary.analysis ?? {};
    case "PrePromotion":
      return blueGreen.prePromotionAnalysis ?? {};
    case "PostPromotion":
      return blueGreen.postPromotionAnalysis ?? {};
    case "Step":
      return memberOf(steps[index], "analysis")?.analysis ?? {};
    default:
      return assertNever(kind);
  }
}

function suffixOf(kind: RunKind, index: number): string {
  const suffixes = { Step: `-${index}`, Background: "", PrePromotion: "-pre", PostPromotion: "-post" };
  return suffixes[kind];
}

function reasonFor(kind: RunKind, index: number): string {
  const reasons = {
    Step: `step ${index + 1} is an analysis`,
    Background: "the update has a background analysis",
    PrePromotion: "the new version is analysed before it gets the traffic",
    PostPromotion: "the new version is analysed once it has the traffic",
  };
  return reasons[kind];
}

/** Which controller an object belongs to, for what is made for it: nothing without. Source: Argo: utils/analysis GetInstanceID, v1.9. */
export function instanceLabel({ labels }: Pick<ObjectMeta, "labels">): Readonly<Record<string, string>> {
  const id = labels?.[INSTANCE_ID_LABEL] ?? "";
  return id === "" ? {} : { [INSTANCE_ID_LABEL]: id };
}

function runObject(
  context: Context,
  kind: RunKind,
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
        ...context.rollout.spec.selector?.matchLabels,
        [POD_HASH_LABEL]: context.podHash,
        [ROLLOUT_TYPE_LABEL]: kind,
        ...instanceLabel(context.rollout.metadata),
        ...(kind === "Step" ? { [STEP_INDEX_LABEL]: String(index) } : {}),
      },
      annotations: { ...extra?.annotations, [REVISION_ANNOTATION]: String(run.revision) },
      ownerReferences: [ownerReference(context)],
    },
    spec: run.spec,
  };
}
