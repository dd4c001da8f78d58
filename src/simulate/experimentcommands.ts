// Commands of scripts about Experiments.
import { type KubeObject, RESOURCES } from "../api/api.ts";
import { isObject } from "../lib/json.ts";
import { patchExperiment, replicaSetOfTemplate } from "./experiments.ts";
import type { World } from "./world.ts";

type Commands = Readonly<Record<string, () => void>>;

/** By the name of the command. */
export function experimentCommands(world: World, words: readonly string[]): Commands {
  const [name = "", ...rest] = words;
  const text = rest.join(" ");
  return {
    experiment: () => {
      if (name !== "") world.add("experiments", experimentManifest(name, rest));
    },
    forgetrun: () => void world.runs.delete(name),
    experimentspec: () => patchExperiment(world, name, { spec: JSON.parse(text) }),
    terminate: () => patchExperiment(world, name, { spec: { terminate: true } }),
    retryexperiment: () => patchExperiment(world, name, { status: null }),
    templateready: () =>
      world.setReady(replicaSetOfTemplate(world, name).metadata.name, Number.parseInt(text, 10)),
    run: () => {
      const [phase = "", ...message] = rest;
      world.setRun(name, phase, message.length === 0 ? undefined : message.join(" "));
    },
    object: () => addObject(world, words.join(" ")),
    refusing: () => {
      world.refusing = words.length === 0 ? undefined : words.join(" ");
    },
  };
}

/** `templates=baseline,canary:2`, `analyses=errors!,latency` (required with !), `duration=5m`, `spec={…}` over all that. */
function experimentManifest(name: string, words: readonly string[]): KubeObject {
  const options = new Map(
    words.map((word): [string, string] => {
      const [key = "", value = ""] = word.split(/=(.*)/s);
      return [key, value];
    }),
  );
  const list = (key: string): string[] => (options.get(key) ?? "").split(",").filter((text) => text !== "");
  const duration = options.get("duration");
  const analyses = list("analyses").map((text) => {
    const templateName = text.replace(/!$/, "");
    return {
      name: templateName,
      templateName,
      ...(text.endsWith("!") ? { requiredForCompletion: true } : {}),
    };
  });
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: RESOURCES.experiment.kind,
    metadata: { name, namespace: "default", uid: `uid-${name}` },
    spec: {
      templates: list("templates").map(templateFrom),
      ...(duration === undefined ? {} : { duration }),
      ...(analyses.length === 0 ? {} : { analyses }),
      ...JSON.parse(options.get("spec") ?? "{}"),
    },
  };
}

/** `canary` or `canary:2`: with 2 pods. */
function templateFrom(text: string): unknown {
  const [name = "", replicas] = text.split(":");
  const labels = { app: "web", template: name };
  const containers = [{ name: "main", image: `web:${name}`, ports: [{ containerPort: 8080 }] }];
  return {
    name,
    ...(replicas === undefined ? {} : { replicas: Number(replicas) }),
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers } },
  };
}

const STORES = {
  AnalysisTemplate: "templates",
  ReplicaSet: "replicaSets",
  Service: "services",
  AnalysisRun: "runs",
} as const;

function addObject(world: World, text: string): void {
  const object: unknown = JSON.parse(text);
  if (!isObject(object) || typeof object.kind !== "string" || !Object.hasOwn(STORES, object.kind))
    throw new Error(`no object for the world: ${text}`);
  // The script's author writes whole objects.
  const whole = object as KubeObject;
  const { kind } = object as { readonly kind: keyof typeof STORES };
  world.add(STORES[kind], { ...whole, metadata: { namespace: "default", ...whole.metadata } });
}
