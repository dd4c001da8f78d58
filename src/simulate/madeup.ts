// The Rollouts that scripts make up: what the words of their first command, `rollout`, stand for.

import { didYouMean } from "../api/api.ts";
import { faultOf } from "./arguments.ts";
import { referencePatch, worldWith } from "./manifest.ts";
import { ingressManifest, routingFrom } from "./routing.ts";
import { takeOverFrom } from "./takeover.ts";
import type { World } from "./world.ts";

/** The words that `rollout` knows, each with what follows its `=`; undefined where nothing does. */
const OPTIONS: Readonly<Record<string, string | undefined>> = {
  replicas: "N",
  steps: "STEP,STEP…",
  routed: undefined,
  pingpong: undefined,
  routes: "NAME,NAME…",
  max: "N",
  nginx: "INGRESS",
  alb: "INGRESS",
  canary: "JSON",
  bluegreen: "[JSON]",
  spec: "JSON",
  ref: "KIND[:SCALEDOWN]",
  readiness: "auto|manual",
  argo: "HASH[,HASH]",
};

/** What a word of `steps` may be. */
const STEP_FORMS =
  "20, pause, pause:30s, analysis:NAME, plugin:NAME, scale:N, scale:N%, scale:match, header:NAME:HEADER=VALUE, header:NAME, mirror:NAME:N, mirror:NAME";
const STEP =
  /^(?:\d+|pause(?::.+)?|(?:analysis|plugin):[^:]+|scale:(?:\d+%?|match)|header:[^:]+(?::[^:=]+=.*)?|mirror:[^:]+(?::\d+)?)$/;

/** A world in which only Experiments happen. */
export function withoutRollout(): World {
  const world = worldWith({});
  world.hasRollout = false;
  return world;
}

/** `replicas=4 routed steps=20,pause`: the Rollout that these words describe, with what it needs around it. */
export function createWorld(words: readonly string[]): World {
  const options = optionsOf(words);
  const steps = stepsIn(options.get("steps") ?? "");
  const canary = options.get("canary");
  const blueGreen = options.get("bluegreen");
  const spec = options.get("spec");
  const trafficRouting = routingFrom(options);
  const settings = canary === undefined ? {} : JSON.parse(canary);
  const world = worldWith({
    replicas: Number(options.get("replicas") ?? 1),
    isRouted: options.has("routed") || options.has("pingpong") || trafficRouting !== undefined,
    isPingPong: options.has("pingpong"),
    routing: managedFrom(options),
    steps: steps.map(stepFrom),
    canary:
      trafficRouting === undefined
        ? settings
        : { trafficRouting: { ...trafficRouting, ...managedFrom(options) }, ...settings },
    ...(blueGreen === undefined ? {} : { blueGreen: JSON.parse(blueGreen === "" ? "{}" : blueGreen) }),
    ...(spec === undefined ? {} : { spec: JSON.parse(spec) }),
  });
  for (const router of ["nginx", "alb"])
    if (options.has(router)) world.add("ingresses", ingressManifest(options.get(router) ?? "", "web-stable"));
  const argo = options.get("argo");
  if (argo !== undefined) takeOverFrom(world, argo);
  const ref = options.get("ref");
  if (ref !== undefined) world.editSpec(referencePatch(ref));
  if (options.get("readiness") === "manual") world.readiness = "manual";
  return world;
}

function optionsOf(words: readonly string[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const word of words) {
    const [key = "", value = ""] = word.split(/=(.*)/s);
    const fault = options.has(key) ? "stands twice" : optionFault(key, value, word.includes("="));
    if (fault !== undefined) throw new Error(`${key} ${fault}`);
    options.set(key, value);
  }
  return options;
}

/** What is wrong with one word; undefined for nothing. The line is the caller's to name. */
function optionFault(key: string, value: string, hasValue: boolean): string | undefined {
  const known = Object.keys(OPTIONS);
  if (!known.includes(key))
    return `is no word of \`rollout\`${didYouMean(key, known)}; there are: ${known.join(", ")}`;
  const form = OPTIONS[key];
  if (form === undefined) return hasValue ? `stands alone, without =${value}` : undefined;
  if (value === "") return form.startsWith("[") ? undefined : `needs a value: ${key}=${form}`;
  const fault = faultOf(form.replaceAll(/[[\]]/g, ""), value);
  return fault === undefined ? undefined : `is wrong: ${fault}; write: ${key}=${form}`;
}

function stepsIn(text: string): readonly string[] {
  const steps = text.split(",").filter((step) => step !== "");
  const wrong = steps.find((step) => !STEP.test(step));
  if (wrong !== undefined) throw new Error(`${wrong} is no step; a step is one of: ${STEP_FORMS}`);
  return steps;
}

/**
 * `20`, `pause`, `pause:30s`, `analysis:name`, `scale:3` (pods), `scale:25%` (share), `scale:match`, `plugin:name`, `header:name:X-Group=b` (or
 * `header:name` to remove it), `mirror:name:20` (percent of all).
 */
function stepFrom(text: string): unknown {
  const [kind = "", value, rest] = text.split(":");
  if (kind === "pause") return { pause: value === undefined ? {} : { duration: value } };
  if (kind === "analysis") return { analysis: { templates: [{ templateName: value }] } };
  if (kind === "plugin") return { plugin: { name: value ?? "" } };
  if (kind === "scale") return { setCanaryScale: scaleFrom(value) };
  if (kind === "header" || kind === "mirror") return routeStep(kind, value ?? "", rest);
  return { setWeight: Number(kind) };
}

function scaleFrom(text = ""): unknown {
  if (text === "match") return { matchTrafficWeight: true };
  return text.endsWith("%") ? { weight: Number(text.slice(0, -1)) } : { replicas: Number(text) };
}

/** `routes=beta,copies` names the managed routes, `max=1000` the sum of weights. */
function managedFrom(options: ReadonlyMap<string, string>): Readonly<Record<string, unknown>> {
  const names = options.get("routes")?.split(",");
  const max = options.get("max");
  return {
    ...(names && { managedRoutes: names.map((name) => ({ name })) }),
    ...(max !== undefined && { maxTrafficWeight: Number(max) }),
  };
}

function routeStep(kind: "header" | "mirror", name: string, of: string | undefined): unknown {
  if (kind === "mirror") {
    const match = [{ path: { prefix: "/" } }];
    const set = of === undefined ? {} : { match, percentage: Number(of) };
    return { setMirrorRoute: { name, ...set } };
  }
  const [headerName, exact] = (of ?? "").split("=");
  const set = of === undefined ? {} : { match: [{ headerName, headerValue: { exact } }] };
  return { setHeaderRoute: { name, ...set } };
}
