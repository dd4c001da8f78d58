// The Experiments of the model: what the controller's passes over them see and do. Their ReplicaSets, Services and runs lie in the same
// world as the Rollout's.
import {
  controllerOf,
  EXPERIMENT_TEMPLATE_ANNOTATION,
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  readExperiment,
  readService,
} from "../api/api.ts";
import {
  type Action,
  actionText,
  decideExperiment,
  type ExperimentPlan,
  type ExperimentSnapshot,
  mayBeSentTo,
  requestOf,
} from "../engine/decide.ts";
import { applyMergePatch, diffMergePatch } from "../lib/patch.ts";
import type { World } from "./world.ts";

export interface ExperimentPasses {
  /** What they do, in the words of scripts. */
  readonly lines: readonly string[];
  readonly hasWritten: boolean;
}

/** One pass over each Experiment. */
export function passExperiments(world: World): ExperimentPasses {
  const lines: string[] = [];
  let hasWritten = false;
  for (const name of world.experiments.keys()) {
    const plan = experimentPlan(world, name);
    lines.push(...plan.actions.map((action) => `- ${actionText(action)}`));
    hasWritten = applyExperiment(world, name, plan) || hasWritten;
    const told = plan.events.map(({ reason, message }) => `! ${reason} (${name}): ${message}`);
    // A pass that is lost tells nothing.
    lines.push(...(world.refused.has(name) ? ["? the API has refused it"] : told));
  }
  return { lines, hasWritten };
}

/** When the next Experiment wants to be looked at though nothing changes; undefined: none does. */
export function experimentsDueMs(world: World): number | undefined {
  const times = [...world.experiments.keys()].flatMap(
    (name) => experimentPlan(world, name).requeueAtMs ?? [],
  );
  return times.length === 0 ? undefined : Math.min(...times);
}

/** How each Experiment stands and what it waits for. */
export function experimentStates(world: World): readonly string[] {
  return [...world.experiments.keys()].flatMap((name) => {
    const { status, waits } = experimentPlan(world, name);
    const templates = (status.templateStatuses ?? []).map(
      ({ name: template, availableReplicas, replicas, status: code }) =>
        `${template} ${availableReplicas}/${replicas} ${code}`,
    );
    const runs = (status.analysisRuns ?? []).map((run) => `${run.name} ${run.phase}`);
    const message = status.message === undefined ? "" : ` (${status.message})`;
    const parts = [templates.join(", "), runs.join(", ")].filter((part) => part !== "");
    return [
      `~ ${name} ${status.phase ?? "-"}${message}: ${parts.join("; ")}`,
      ...waits.map(({ text }) => `~ waits: ${text}`),
    ];
  });
}

/** The ReplicaSet of a template, whichever Experiment it belongs to. */
export function replicaSetOfTemplate(world: World, template: string): KubeObject {
  const found = [...world.replicaSets.values()].find(
    ({ metadata }) => metadata.annotations?.[EXPERIMENT_TEMPLATE_ANNOTATION] === template,
  );
  if (found === undefined) throw new Error(`template ${template} has no ReplicaSet`);
  return found;
}

/** Changes an Experiment as a user does. */
export function patchExperiment(world: World, name: string, patch: unknown): void {
  const experiment = world.experiments.get(name);
  if (experiment === undefined) throw new Error(`no Experiment ${name}`);
  // A merge of an object with an object patch is an object with the same kind and name.
  world.add("experiments", applyMergePatch(experiment, patch) as KubeObject);
  world.refused.delete(name);
}

/** What the next pass over an Experiment decides. */
export function experimentPlan(world: World, name: string): ExperimentPlan {
  const raw = world.experiments.get(name);
  if (raw === undefined) throw new Error(`no Experiment ${name}`);
  return decideExperiment(snapshotOf(world, raw), world.nowMs);
}

function snapshotOf(world: World, raw: KubeObject): ExperimentSnapshot {
  const { workload, analysis, traffic, config } = world.snapshot();
  const { published, acknowledgement } = traffic;
  const { weights } = world.status().canary ?? {};
  const hashes = workload.replicaSets.flatMap(({ metadata }) => metadata.labels?.[POD_HASH_LABEL] ?? []);
  return {
    experiment: readExperiment(raw).value,
    raw,
    workload: { replicaSets: workload.replicaSets },
    services: [...world.services.values()].map((service) => readService(service).value),
    analysis,
    routed: hashes.filter((hash) => mayBeSentTo(hash, published, acknowledgement, weights)),
    refused: world.refused.get(raw.metadata.name) ?? [],
    config,
  };
}

/** Carries a plan out; tells whether anything was written. */
export function applyExperiment(world: World, name: string, plan: ExperimentPlan): boolean {
  for (const action of plan.actions) {
    const refusal = refusalOf(world, action);
    if (refusal === undefined) world.write(action);
    else {
      world.refused.set(name, [refusal]);
      return true;
    }
  }
  world.refused.delete(name);
  const raw = world.experiments.get(name);
  const status = diffMergePatch(raw?.status ?? {}, plan.status);
  if (raw !== undefined && status !== undefined)
    world.add("experiments", applyMergePatch(raw, { status }) as KubeObject);
  if (raw !== undefined && controllerOf(raw)?.kind === RESOURCES.rollout.kind)
    world.events.push(...plan.rolloutEvents);
  return plan.actions.length > 0 || status !== undefined;
}

/** What the API answers to a creation while the script has it refuse them. */
function refusalOf(world: World, action: Action) {
  const request = requestOf(action);
  const kind = request.type.kind;
  const isRefused = world.refusing !== undefined && request.verb === "create";
  if (!isRefused || (kind !== "ReplicaSet" && kind !== "Service" && kind !== "AnalysisRun")) return undefined;
  return { kind, name: action.name, message: world.refusing ?? "" } as const;
}
