// Objects that translations are tested with: a Gateway `edge` and Services `web*` in the namespace `shop`.
import type { EndpointSlice, Gateway, HttpRoute, Service, TrafficIntent } from "../../src/api/api.ts";
import type { TranslateInput } from "../../src/translate/translate.ts";
import type { Route } from "../../src/xds/types.ts";

export const gateway: Gateway = {
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { name: "edge", namespace: "shop" },
  spec: { gatewayClassName: "weir", listeners: [{ name: "http", port: 8000, protocol: "HTTP" }] },
  status: {},
};

export const service = (name: string): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "shop" },
  spec: {
    selector: { app: "web" },
    ports: [
      { name: "http", port: 80 },
      { name: "admin", port: 81 },
    ],
  },
});

export const slice = (port: number, pods: readonly string[], ready = true): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: `web-${port}`, namespace: "shop" },
  addressType: "IPv4",
  ports: [{ name: "http", port }],
  endpoints: pods.map((pod) => ({
    addresses: [`10.244.0.${pod.length}`],
    conditions: { ready },
    targetRef: { kind: "Pod", name: pod, namespace: "shop" },
  })),
});

export const httpRoute = (spec: HttpRoute["spec"], name = "web"): HttpRoute => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "HTTPRoute",
  metadata: { name, namespace: "shop", creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: { parentRefs: [{ name: "edge" }], ...spec },
  status: {},
});

export const intent = (stable: number, canary: number): TrafficIntent => ({
  namespace: "shop",
  rollout: "web",
  stableService: "web-stable",
  canaryService: "web-canary",
  maxWeight: 100,
  versions: [
    { podHash: "aaa", role: "stable", weight: stable },
    { podHash: "bbb", role: "canary", weight: canary },
  ],
});

export function input(changes: Partial<TranslateInput> = {}): TranslateInput {
  return {
    gateway,
    bindAddress: "127.0.0.1",
    httpRoutes: [],
    policies: [],
    intents: [],
    service: (_namespace, name) => service(name),
    slices: () => [],
    podHash: () => undefined,
    ...changes,
  };
}

/** The status with which a route answers by itself; undefined when it forwards. */
export function ownStatus(route: Route | undefined): number | undefined {
  return route?.action.case === "directResponse" ? route.action.value.status : undefined;
}

/** The clusters of a route and their weights; 1 where it has a single one. */
export function weightsOf(route: Route | undefined): Record<string, number> {
  const specifier = route?.action.case === "route" ? route.action.value.clusterSpecifier : undefined;
  if (specifier?.case === "cluster") return { [specifier.value]: 1 };
  if (specifier?.case !== "weightedClusters") return {};
  return Object.fromEntries(specifier.value.clusters.map(({ name, weight }) => [name, weight ?? Number.NaN]));
}
