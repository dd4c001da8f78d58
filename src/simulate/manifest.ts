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
      strategy: {
        canary: { ...(steps.length === 0 ? {} : { steps }), ...(isRouted ? routed : {}), ...canary },
      },
      ...spec,
    },
  };
}

/** A world with that Rollout and, when it is routed, its two Services. */
export function worldWith(options: Parameters<typeof rolloutManifest>[0]): World {
  const world = new World(rolloutManifest(options));
  const name = options.name ?? "web";
  if (options.isRouted === true)
    for (const role of options.isPingPong === true ? ["ping", "pong"] : ["stable", "canary"])
      world.add("services", serviceManifest(`${name}-${role}`, name));
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

/** The template patch that asks for another image. */
export function imagePatch(image: string): unknown {
  return { template: { spec: { containers: [{ name: "main", image }] } } };
}
