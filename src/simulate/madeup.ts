// The Rollouts that scripts make up: what the words of their first command, `rollout`, stand for.

import { referencePatch, worldWith } from "./manifest.ts";
import { ingressManifest, routingFrom } from "./routing.ts";
import { takeOverFrom } from "./takeover.ts";
import type { World } from "./world.ts";

/** A world in which only Experiments happen. */
export function withoutRollout(): World {
  const world = worldWith({});
  world.hasRollout = false;
  return world;
}

/** `replicas=4 routed steps=20,pause`: the Rollout that these words describe, with what it needs around it. */
export function createWorld(words: readonly string[]): World {
  const options = new Map<string, string>();
  for (const word of words) {
    const [key = "", value = ""] = word.split(/=(.*)/s);
    options.set(key, value);
  }
  const steps = (options.get("steps") ?? "").split(",").filter((text) => text !== "");
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
