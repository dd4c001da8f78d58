// The manifests of the end-to-end tests on a real control plane: a canary of the demo application, with and without traffic routing.
import type { KubeObject } from "../../src/api/api.ts";

export interface ShopOptions {
  readonly name: string;
  /** The demo's colour. */
  readonly version: string;
  readonly replicas?: number;
  readonly steps: readonly unknown[];
  /** Where the pods listen. Default 8080. */
  readonly port?: number;
  /** Routed by weir's proxies: needs `services(name)`. */
  readonly isRouted?: boolean;
}

/** A canary Rollout. */
export function rollout({
  name,
  version,
  replicas = 2,
  steps,
  port = 8080,
  isRouted = false,
}: ShopOptions): KubeObject {
  const routing = {
    stableService: name,
    canaryService: `${name}-canary`,
    scaleDownDelaySeconds: 2,
    abortScaleDownDelaySeconds: 2,
    trafficRouting: { plugins: { "weir.dev/proxy": {} } },
  };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 10,
          containers: [
            {
              name: "app",
              image: `argoproj/rollouts-demo:${version}`,
              ports: [{ name: "http", containerPort: port }],
              readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 1 },
            },
          ],
        },
      },
      strategy: { canary: { ...(isRouted && routing), steps } },
    },
  };
}

/** The stable and the canary Service of a routed Rollout. */
export function services(name: string): KubeObject[] {
  return [name, `${name}-canary`].map((service) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: service },
    spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  }));
}

/** A Gateway of class weir with one HTTP listener. */
export function gateway(name: string, port: number): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name },
    spec: { gatewayClassName: "weir", listeners: [{ name: "http", protocol: "HTTP", port }] },
  };
}

/** Leads requests for `host` through the gateways to the stable Service. */
export function httpRoute(name: string, host: string, gateways: readonly string[]): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name },
    spec: {
      parentRefs: gateways.map((parent) => ({ name: parent })),
      hostnames: [host],
      rules: [{ backendRefs: [{ name, port: 80 }] }],
    },
  };
}

/** Judges the canary by what the proxies have counted. */
export function analysisTemplate(name: string): KubeObject {
  const settings = { metric: "successRate", version: "canary", since: "step", minRequests: 20 };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name },
    spec: {
      metrics: [
        {
          name: "success-rate",
          interval: "500ms",
          count: 2,
          successCondition: "result >= 0.95",
          provider: { plugin: { "weir.dev/traffic": settings } },
        },
      ],
    },
  };
}
