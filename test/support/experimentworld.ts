// A world with one Experiment and no Rollout, for tests that look at what a single pass over it decides.
import {
  type ExperimentStatus,
  type KubeObject,
  readExperiment,
  type TemplateStatus,
} from "../../src/api/api.ts";
import { applyMergePatch } from "../../src/lib/patch.ts";
import { experimentPlan, passExperiments, patchExperiment } from "../../src/simulate/experiments.ts";
import { rolloutManifest, World } from "./world.ts";

const NAME = "duel";

/** By which what it makes refers to it. */
export const EXPERIMENT_OWNER = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Experiment",
  name: NAME,
  uid: "uid-duel",
  controller: true,
  blockOwnerDeletion: true,
} as const;

/** One with these templates and whatever else its spec says; nothing has been done about it yet. */
export function experimentWorld(templates: readonly object[], spec: object = {}): World {
  const world = new World(rolloutManifest({}));
  world.hasRollout = false;
  world.add("experiments", {
    apiVersion: EXPERIMENT_OWNER.apiVersion,
    kind: EXPERIMENT_OWNER.kind,
    metadata: { name: NAME, namespace: "default", uid: EXPERIMENT_OWNER.uid },
    spec: { templates, ...spec },
  });
  return world;
}

/** A template with one pod of one container, which listens on 8080. */
export function templateManifest(name: string, more: object = {}): object {
  const labels = { app: "web", template: name };
  const containers = [{ name: "main", image: `web:${name}`, ports: [{ containerPort: 8080 }] }];
  return {
    name,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers } },
    ...more,
  };
}

/** One whose template `a` is up and running behind a Service, named like its ReplicaSet unless `service` gives another name. */
export function servedExperiment(service: object = {}, spec: object = {}): World {
  const world = experimentWorld([templateManifest("a", { service })], spec);
  world.settle();
  return world;
}

/** What the next pass decides. */
export function nextPass(world: World): ReturnType<typeof experimentPlan> {
  return experimentPlan(world, NAME);
}

/** The same in short: kind and name of each action. */
export function doings(world: World): readonly string[] {
  return nextPass(world).actions.map(({ kind, name }) => `${kind} ${name}`);
}

/** Carries out so many passes, and nothing else: no ReplicaSet gets its pods. */
export function pass(world: World, times = 1): void {
  for (let count = 0; count < times; count += 1) passExperiments(world);
}

export function changeSpec(world: World, spec: object): void {
  patchExperiment(world, NAME, { spec });
}

export function changeStatus(world: World, status: object): void {
  patchExperiment(world, NAME, { status });
}

/** Fields of a template's status; undefined takes one away. */
export type TemplatePatch = { readonly [Key in keyof TemplateStatus]?: TemplateStatus[Key] | undefined };

/** As if the last pass had written this of the template. */
export function changeTemplateStatus(world: World, name: string, patch: TemplatePatch): void {
  const templateStatuses = (experimentStatus(world).templateStatuses ?? []).map((status) =>
    status.name === name ? { ...status, ...patch } : status,
  );
  changeStatus(world, { templateStatuses });
}

/** As it is stored. */
export function experimentStatus(world: World): ExperimentStatus {
  const stored = world.experiments.get(NAME);
  if (stored === undefined) throw new Error("the Experiment is gone");
  return readExperiment(stored).value.status;
}

/** Changes an object of the world as somebody's merge patch does. */
export function changeObject(
  world: World,
  kind: "replicaSets" | "services",
  name: string,
  patch: object,
): void {
  const stored = world[kind].get(name);
  if (stored === undefined) throw new Error(`there is no ${name}`);
  // A merge of an object with an object patch is an object of the same kind.
  world.add(kind, applyMergePatch(stored, patch) as KubeObject);
}
