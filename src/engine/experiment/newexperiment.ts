// The Experiment of a canary step: its name, labels, owner and spec, with pods copied from the stable and the new version's ReplicaSets. An
// unfinished one of the same content under that name is taken for the wanted one, so that a crash after creating it leaves no second one.
import { isCompleted } from "../../analysis/assess.ts";
import {
  apiVersionOf,
  type CanaryStep,
  type KubeObject,
  memberOf,
  POD_HASH_LABEL,
  RESOURCES,
  REVISION_ANNOTATION,
  type ReplicaSet,
} from "../../api/api.ts";
import { jsonEqual } from "../../lib/json.ts";
import { type Context, isOwnedBy } from "../context.ts";
import type { Action } from "../plan.ts";
import { ownerReference } from "../pods/newreplicaset.ts";
import { resolveArguments } from "../steps/analysistemplates.ts";

export type NewExperiment =
  /** Without an action: the Experiment is there already. */
  | { readonly kind: "experiment"; readonly name: string; readonly action?: Action }
  | { readonly kind: "error"; readonly message: string };

type ExperimentStep = NonNullable<CanaryStep["experiment"]>;
type StepTemplate = ExperimentStep["templates"][number];
type Json = Readonly<Record<string, unknown>>;

/** Suffixes tried before giving up: each is a finished Experiment of the same step, and those are deleted beyond the history limits. */
const MAX_NAMES = 1000;

/** The Experiment for the step at `index`. */
export function newExperiment(context: Context, index: number): NewExperiment {
  const step = memberOf(context.steps[index], "experiment");
  const { current, stable } = context.roles;
  if (step === undefined || current === undefined || stable === undefined)
    return { kind: "error", message: "an Experiment needs a stable version" };
  const spec = specOf(context, step.experiment, { canary: current, stable });
  if (spec.kind === "error") return spec;
  const base = `${context.name}-${context.podHash}-${context.revision}-${index}`;
  const taken = new Map((context.snapshot.experiments ?? []).map((one) => [one.metadata.name, one]));
  for (let attempt = 0; attempt < MAX_NAMES; attempt += 1) {
    const name = attempt === 0 ? base : `${base}-${attempt}`;
    const existing = taken.get(name);
    if (existing === undefined) {
      const object = experimentObject(context, name, spec.value);
      const reason = `step ${index + 1} is an experiment`;
      const { namespace } = context;
      return {
        kind: "experiment",
        name,
        action: { kind: "createExperiment", namespace, name, object, reason },
      };
    }
    const isUsable =
      isOwnedBy(existing, context.uid) &&
      existing.metadata.deletionTimestamp === undefined &&
      !isCompleted(existing.status.phase) &&
      jsonEqual(existing.spec, spec.value);
    if (isUsable) return { kind: "experiment", name };
  }
  return { kind: "error", message: `no free name for an Experiment like ${base}` };
}

type Spec =
  | { readonly kind: "ok"; readonly value: Json }
  | { readonly kind: "error"; readonly message: string };

function specOf(
  context: Context,
  step: ExperimentStep,
  versions: Readonly<Record<"canary" | "stable", ReplicaSet>>,
): Spec {
  const analyses: Json[] = [];
  const hashes = { stable: context.status.stableRS ?? "", latest: context.podHash };
  for (const { name, templateName, clusterScope, args = [], requiredForCompletion } of step.analyses ?? []) {
    const resolved = resolveArguments(context.snapshot, args, hashes);
    if (resolved.kind === "error") return resolved;
    analyses.push({
      name,
      templateName,
      ...(clusterScope === undefined ? {} : { clusterScope }),
      ...(resolved.value.length === 0 ? {} : { args: resolved.value }),
      ...(requiredForCompletion === undefined ? {} : { requiredForCompletion }),
    });
  }
  const { progressDeadlineSeconds } = context.rollout.spec;
  const { duration, dryRun, analysisRunMetadata, scaleDownDelaySeconds } = step;
  return {
    kind: "ok",
    value: {
      templates: step.templates.map((template) => templateOfStep(template, versions[template.specRef])),
      ...(duration === undefined ? {} : { duration }),
      ...(progressDeadlineSeconds === undefined ? {} : { progressDeadlineSeconds }),
      ...(scaleDownDelaySeconds === undefined ? {} : { scaleDownDelaySeconds }),
      ...(dryRun === undefined ? {} : { dryRun }),
      ...(analysisRunMetadata === undefined ? {} : { analysisRunMetadata }),
      ...(analyses.length === 0 ? {} : { analyses }),
    },
  };
}

/** A template with a weight needs a Service: the proxies take its endpoints from there. */
function templateOfStep(step: StepTemplate, version: ReplicaSet): Json {
  const { name, replicas, metadata = {}, weight, service } = step;
  const { template = {}, minReadySeconds } = version.spec;
  const selector = step.selector ?? version.spec.selector;
  const { [POD_HASH_LABEL]: _label, ...podLabels } = template.metadata?.labels ?? {};
  const { [POD_HASH_LABEL]: _selected, ...selected } = selector.matchLabels ?? {};
  const labels = { ...podLabels, ...metadata.labels };
  const annotations = { ...template.metadata?.annotations, ...metadata.annotations };
  const hasAnnotations = Object.keys(annotations).length > 0;
  return {
    name,
    ...(replicas === undefined ? {} : { replicas }),
    ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
    selector: { ...selector, matchLabels: { ...selected, ...metadata.labels } },
    template: {
      ...template,
      metadata: { ...template.metadata, labels, ...(hasAnnotations ? { annotations } : {}) },
    },
    ...(weight === undefined && service === undefined ? {} : { service: service ?? {} }),
  };
}

function experimentObject(context: Context, name: string, spec: Json): KubeObject {
  return {
    apiVersion: apiVersionOf(RESOURCES.experiment),
    kind: RESOURCES.experiment.kind,
    metadata: {
      name,
      namespace: context.namespace,
      labels: { ...context.rollout.metadata.labels, [POD_HASH_LABEL]: context.podHash },
      annotations: { [REVISION_ANNOTATION]: String(context.revision) },
      ownerReferences: [ownerReference(context)],
    },
    spec,
  };
}
