// Manifests of the usual shape, for scripts that make up their Rollout (`> rollout replicas=4 routed steps=20,pause`) and for tests.
import { type KubeObject, WEIR_ROUTER } from "../api/api.ts";
import { World } from "./world.ts";

/** A Rollout manifest of the usual shape. */
export function rolloutManifest(options: {
  readonly name?: string;
  readonly replicas?: number;
  readonly image?: string;
  readonly isRouted?: boolean;
  /** With two Services that swap their parts. */
  readonly isPingPong?: boolean;
  /** Of trafficRouting, besides weir's router. */
  readonly routing?: Readonly<Record<string, unknown>>;
  readonly steps?: readonly unknown[];
  readonly canary?: Readonly<Record<string, unknown>>;
  /** Blue-green in place of a canary, with an active Service `<name>-active`. */
  readonly blueGreen?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}): KubeObject {
  const {
    name = "web",
    replicas = 1,
    image = "web:1",
    isRouted = false,
    isPingPong = false,
    routing = {},
    steps = [],
    canary = {},
    blueGreen,
    spec = {},
  } = options;
  const routed = {
    ...(isPingPong
      ? { pingPong: { pingService: `${name}-ping`, pongService: `${name}-pong` } }
      : { stableService: `${name}-stable`, canaryService: `${name}-canary` }),
    trafficRouting: { plugins: { [WEIR_ROUTER]: {} }, ...routing },
  };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name, namespace: "default", uid: `uid-rollout-${name}` },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "main", image }] } },
      strategy:
        blueGreen === undefined
          ? {
              canary: { ...(steps.length === 0 ? {} : { steps }), ...(isRouted ? routed : {}), ...canary },
            }
          : { blueGreen: { activeService: `${name}-active`, ...blueGreen } },
      ...spec,
    },
  };
}

/** A world with that Rollout and its Services: a canary's two when it is routed, those that blue-green names. */
export function worldWith(options: Parameters<typeof rolloutManifest>[0]): World {
  const world = new World(rolloutManifest(options));
  const name = options.name ?? "web";
  const { isRouted = false, isPingPong = false, blueGreen } = options;
  const roles = isPingPong ? ["ping", "pong"] : ["stable", "canary"];
  const routed = isRouted ? roles.map((role) => `${name}-${role}`) : [];
  const preview = typeof blueGreen?.previewService === "string" ? [blueGreen.previewService] : [];
  world.isBlueGreenRouted = isRouted && blueGreen !== undefined;
  for (const service of blueGreen === undefined ? routed : [`${name}-active`, ...preview])
    world.add("services", serviceManifest(service, name));
  return world;
}

/** A Service over the pods of `app`. */
export function serviceManifest(name: string, app = "web"): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { selector: { app }, ports: [{ port: 80 }] },
  };
}

/** The spec patch of a Rollout that takes its pods from a workload named like it: `Deployment`, `Deployment:onsuccess`, `PodTemplate`. */
export function referencePatch(text: string): unknown {
  const [kind = "", scaleDown] = text.split(":");
  const apiVersion = kind === "PodTemplate" ? "v1" : "apps/v1";
  return {
    template: null,
    ...(kind === "PodTemplate" ? {} : { selector: null }),
    workloadRef: { apiVersion, kind, name: "web", ...(scaleDown === undefined ? {} : { scaleDown }) },
  };
}

/** A workload: its kind, image and replicas. */
export function workloadManifest([kind = "", image = "", replicas]: readonly string[]): KubeObject {
  const labels = { app: "web" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", image }] } };
  const metadata = { name: "web", namespace: "default" };
  if (kind === "PodTemplate") return { apiVersion: "v1", kind, metadata, template };
  const spec = { replicas: Number(replicas ?? 0), selector: { matchLabels: labels }, template };
  return { apiVersion: "apps/v1", kind, metadata, spec };
}

/** The template patch that asks for another image. */
export function imagePatch(image: string): unknown {
  return { template: { spec: { containers: [{ name: "main", image }] } } };
}
