// What one change of a weight costs the control plane: a Gateway with many Rollouts behind it is translated and encoded anew, as the publisher
// does it. Every measurement is a fresh process of its own kind; rounds after a warm-up are medians.
//   node bench/micro/render.ts [--rollouts 200] [--rounds 40] [--routes] [--memo false]
import { parseArgs } from "node:util";
import type { EndpointSlice, Gateway, HttpRoute, Service, TrafficIntent } from "../../src/api/api.ts";
import { createMemo, type TranslateInput, translateGateway } from "../../src/translate/translate.ts";
import { GroupTable } from "../../src/xds/groups.ts";
import { machineFacts } from "../lib/machine.ts";
import { quantile } from "../lib/quantile.ts";

const { values } = parseArgs({
  options: {
    rollouts: { type: "string", default: "200" },
    rounds: { type: "string", default: "40" },
    routes: { type: "boolean", default: false },
    memo: { type: "string", default: "true" },
  },
});
const COUNT = Number(values.rollouts);
const ROUNDS = Number(values.rounds);
const PODS = 5;
const WARM_UP = 10;

/** One Rollout's Services, pods and slices, under names of its own. */
interface Scene {
  readonly services: ReadonlyMap<string, Service>;
  readonly slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  readonly hashes: ReadonlyMap<string, string>;
  readonly httpRoutes: readonly HttpRoute[];
}

function sceneOf(count: number, hasRoutes: boolean): Scene {
  const services = new Map<string, Service>();
  const slices = new Map<string, readonly EndpointSlice[]>();
  const hashes = new Map<string, string>();
  const httpRoutes: HttpRoute[] = [];
  for (let index = 0; index < count; index += 1) {
    for (const [name, hash] of [
      [`app-${index}`, "stable"],
      [`app-${index}-canary`, "canary"],
    ] as const) {
      const metadata = { namespace: "shop", name };
      services.set(name, { apiVersion: "v1", kind: "Service", metadata, spec: { ports: [{ port: 80 }] } });
      const pods = Array.from({ length: PODS }, (_, pod) => `${name}-${pod}`);
      for (const pod of pods) hashes.set(pod, hash);
      const endpoints = pods.map((pod, at) => ({
        addresses: [`10.${index % 250}.${hash === "stable" ? 0 : 1}.${at + 1}`],
        conditions: { ready: true },
        targetRef: { kind: "Pod", name: pod },
      }));
      const slice = { addressType: "IPv4", endpoints, ports: [{ name: "", port: 8080 }] };
      slices.set(name, [{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", metadata, ...slice }]);
    }
    if (hasRoutes) httpRoutes.push(routeOf(index));
  }
  return { services, slices, hashes, httpRoutes };
}

function routeOf(index: number): HttpRoute {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { namespace: "shop", name: `app-${index}` },
    spec: {
      parentRefs: [{ name: "edge" }],
      hostnames: [`app-${index}.example.com`],
      rules: [{ backendRefs: [{ name: `app-${index}`, port: 80 }] }],
    },
    status: {},
  };
}

const intentOf = (index: number, canary: number): TrafficIntent => ({
  namespace: "shop",
  rollout: `app-${index}`,
  stableService: `app-${index}`,
  canaryService: `app-${index}-canary`,
  maxWeight: 100,
  versions: [
    { podHash: "stable", role: "stable", weight: 100 - canary },
    { podHash: "canary", role: "canary", weight: canary },
  ],
});

const gateway: Gateway = {
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { namespace: "shop", name: "edge" },
  spec: { gatewayClassName: "weir", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
  status: {},
};

const scene = sceneOf(COUNT, values.routes);
const intents = Array.from({ length: COUNT }, (_, index) => intentOf(index, 0));
const groups = new GroupTable();
const lookups = {
  service: (_: string, name: string) => scene.services.get(name),
  slices: (_: string, name: string) => scene.slices.get(name) ?? [],
  podHash: (_: string, pod: string) => scene.hashes.get(pod),
};
const base: Omit<TranslateInput, "intents"> = {
  gateway,
  bindAddress: "127.0.0.1",
  httpRoutes: scene.httpRoutes,
  policies: [],
  ...lookups,
};

const memo = values.memo === "false" ? undefined : createMemo();
const translating: number[] = [];
const encoding: number[] = [];
const working: number[] = [];
for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
  const at = round % COUNT;
  intents[at] = intentOf(at, (round % 99) + 1);
  const cpu = process.threadCpuUsage();
  const beganMs = performance.now();
  const { snapshot } = translateGateway({ ...base, intents: [...intents], ...(memo && { memo }) });
  const translatedMs = performance.now();
  const { isNew } = groups.publish("gateway/shop/edge", snapshot);
  const endedMs = performance.now();
  const used = process.threadCpuUsage(cpu);
  if (!isNew) throw new Error("the changed weight is not a new publication");
  translating.push(translatedMs - beganMs);
  encoding.push(endedMs - translatedMs);
  working.push((used.user + used.system) / 1000);
}
const share = (list: readonly number[], q: number): number =>
  Number(
    quantile(
      list.slice(WARM_UP).sort((a, b) => a - b),
      q,
    ).toFixed(2),
  );
const median = (list: readonly number[]): number => share(list, 0.5);
const whole = translating.map((ms, index) => ms + (encoding[index] ?? 0));
const result = {
  rollouts: COUNT,
  httpRoutes: scene.httpRoutes.length,
  firstMs: Number((whole[0] ?? 0).toFixed(1)),
  translateMs: median(translating),
  encodeMs: median(encoding),
  totalMs: median(whole),
  cpuMs: median(working),
  p95Ms: share(whole, 0.95),
};
console.log(JSON.stringify({ ...result, machine: machineFacts() }, undefined, 1));
