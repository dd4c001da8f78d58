// Commands of scripts about Experiments.
import { type KubeObject, RESOURCES } from "../api/api.ts";
import { isObject } from "../lib/json.ts";
import { patchExperiment, replicaSetOfTemplate } from "./experiments.ts";
import type { World } from "./world.ts";

interface Command {
  readonly form: string;
  readonly act: (world: World, args: readonly string[]) => void;
  readonly notOnFiles?: string;
}

const INVENTED = "it makes an object up: put the object into the files";

/** By the name of the command. */
export const EXPERIMENT_COMMANDS: Readonly<Record<string, Command>> = {
  experiment: {
    form: "[NAME] [OPTION...]",
    notOnFiles: "Experiments come from the Rollout's steps",
    act: (world, [name, ...rest]) => {
      if (name !== undefined) world.add("experiments", experimentManifest(name, rest));
    },
  },
  forgetrun: { form: "RUN", act: (world, [name = ""]) => void world.runs.delete(name) },
  experimentspec: {
    form: "NAME JSON",
    act: (world, [name = "", json = ""]) => patchExperiment(world, name, { spec: JSON.parse(json) }),
  },
  terminate: {
    form: "EXPERIMENT",
    act: (world, [name = ""]) => patchExperiment(world, name, { spec: { terminate: true } }),
  },
  retryexperiment: {
    form: "EXPERIMENT",
    act: (world, [name = ""]) => patchExperiment(world, name, { status: null }),
  },
  templateready: {
    form: "TEMPLATE N",
    act: (world, [name = "", count]) =>
      world.setReady(replicaSetOfTemplate(world, name).metadata.name, Number(count)),
  },
  run: {
    form: "RUN PHASE [WORDS]",
    act: (world, [name = "", phase = "", message]) => world.setRun(name, phase, message),
  },
  object: {
    form: "JSON",
    notOnFiles: INVENTED,
    act: (world, [json = ""]) => addObject(world, json),
  },
  refusing: {
    form: "[WORDS]",
    act: (world, [words]) => {
      world.refusing = words;
    },
  },
};

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
