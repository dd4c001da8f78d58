// The AnalysisRun of one of an Experiment's analyses: its name, owner and spec, with the values that only the Experiment knows in its arguments.
import { runSpecFromTemplates } from "../../analysis/assess.ts";
import {
  type AnalysisRunSpec,
  type Argument,
  apiVersionOf,
  EXPERIMENT_ANALYSIS_ANNOTATION,
  type ExperimentAnalysis,
  type KubeObject,
  RESOURCES,
} from "../../api/api.ts";
import { canonicalJson } from "../../lib/json.ts";
import { formatTime } from "../../lib/time.ts";
import { podHashOf } from "../pods/replicaset.ts";
import { freeRunName, instanceLabel, type NewRun } from "../steps/newrun.ts";
import { type ExperimentContext, experimentReference } from "./context.ts";

const TAG = /\{\{(.*?)\}\}/g;

/** The run to create, or one of the same content that is there already. */
export function newExperimentRun(context: ExperimentContext, analysis: ExperimentAnalysis): NewRun {
  const args = argumentsOf(context, analysis);
  if (args.kind === "error") return args;
  const { templateName, clusterScope } = analysis;
  const { dryRun, measurementRetention } = context.experiment.spec;
  const { templates, clusterTemplates, runs } = context.snapshot.analysis;
  const resolved = runSpecFromTemplates({
    refs: [{ templateName, ...(clusterScope === undefined ? {} : { clusterScope }) }],
    templates,
    clusterTemplates,
    args: args.value,
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(measurementRetention === undefined ? {} : { measurementRetention }),
  });
  if (resolved.kind === "error") return resolved;
  const found = freeRunName(runs, `${context.name}-${analysis.name}`, context.uid, resolved.spec);
  if (found.kind !== "free") return found;
  const { name } = found;
  const refused = context.snapshot.refused.find((one) => one.kind === "AnalysisRun" && one.name === name);
  if (refused !== undefined) return { kind: "error", message: refused.message };
  const object = runObject(context, analysis, name, resolved.spec);
  const reason = `all templates are available: analysis ${analysis.name} begins`;
  const { namespace } = context;
  return { kind: "run", name, action: { kind: "createAnalysisRun", namespace, name, object, reason } };
}

/** What of an analysis must stay as it is while its run goes on, as text. */
export function analysisText({ templateName, clusterScope = false, args = [] }: ExperimentAnalysis): string {
  return canonicalJson({ templateName, clusterScope, args });
}

type Resolved =
  | { readonly kind: "ok"; readonly value: readonly Argument[] }
  | { readonly kind: "error"; readonly message: string };

/** Fills in `{{templates.x.podTemplateHash}}`, `{{experiment.availableAt}}` and their like. Source: Argo: utils/template, v1.9. */
function argumentsOf(context: ExperimentContext, analysis: ExperimentAnalysis): Resolved {
  const known = valuesOf(context);
  const unknown: string[] = [];
  const fill = (text: string): string =>
    text.replaceAll(TAG, (whole: string, tag: string) => {
      const value = known.get(tag.trim());
      if (value === undefined) unknown.push(tag);
      return value ?? whole;
    });
  const value = (analysis.args ?? []).map((argument) =>
    argument.value === undefined ? argument : { ...argument, value: fill(argument.value) },
  );
  const [first] = unknown;
  return first === undefined
    ? { kind: "ok", value }
    : { kind: "error", message: `failed to resolve {{${first}}}` };
}

function valuesOf(context: ExperimentContext): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [template, replicaSet] of context.replicaSets) {
    values.set(`templates.${template}.podTemplateHash`, podHashOf(replicaSet));
    values.set(`templates.${template}.replicaset.name`, replicaSet.metadata.name);
  }
  if (context.availableMs !== undefined)
    values.set("experiment.availableAt", formatTime(context.availableMs));
  if (context.endMs !== undefined) values.set("experiment.finishedAt", formatTime(context.endMs));
  return values;
}

function runObject(
  context: ExperimentContext,
  analysis: ExperimentAnalysis,
  name: string,
  spec: AnalysisRunSpec,
): KubeObject {
  const { metadata, spec: experiment } = context.experiment;
  const extra = experiment.analysisRunMetadata;
  const labels = { ...extra?.labels, ...instanceLabel(metadata) };
  return {
    apiVersion: apiVersionOf(RESOURCES.analysisRun),
    kind: RESOURCES.analysisRun.kind,
    metadata: {
      name,
      namespace: context.namespace,
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      annotations: { ...extra?.annotations, [EXPERIMENT_ANALYSIS_ANNOTATION]: analysisText(analysis) },
      ownerReferences: [experimentReference(context)],
    },
    spec,
  };
}
