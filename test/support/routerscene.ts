// A Rollout with a router beside weir's own on a real API server: a controller with the rights of the shipped roles, ReplicaSets that have the pods
// they ask for, and what the watches have shown of Ingresses and events.
import { join } from "node:path";
import type { Test } from "tap";
import {
  CLUSTER_RESOURCES,
  type KubeObject,
  RESOURCES,
  type ResourceType,
  type Rollout,
  readRollout,
} from "../../src/api/api.ts";
import { type ClusterClient, connectCluster, createReflector } from "../../src/cluster/client.ts";
import { type ControllerOptions, createController } from "../../src/controller/controller.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { isObject } from "../../src/lib/json.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { kubectl, poll, SYSTEM, serviceAccountKubeconfig } from "./onkubernetes.ts";
import { startTestBed, type TestBed } from "./testbed.ts";

const MANIFESTS = new URL("../../deploy/kubernetes/", import.meta.url).pathname;
const { ingress: INGRESS } = CLUSTER_RESOURCES;
/** The annotation that nginx takes the canary's weight from. */
export const WEIGHT = "nginx.ingress.kubernetes.io/canary-weight";

export interface RouterScene {
  readonly client: ClusterClient;
  readonly namespace: string;
  create(...objects: readonly KubeObject[]): Promise<void>;
  get(type: ResourceType, name: string): Promise<KubeObject>;
  patch(type: ResourceType, name: string, body: Readonly<Record<string, unknown>>): Promise<void>;
  /** As the plugin does it. */
  status(name: string, status: Readonly<Record<string, unknown>>): Promise<void>;
  image(name: string, tag: string): Promise<void>;
  until(name: string, isWanted: (rollout: Rollout) => boolean): Promise<Rollout>;
  /** The weights that an Ingress has had, one after the other. */
  weights(name: string): readonly string[];
  /** Reasons of the events about the Rollout, in order; a repeat is one more. */
  events(name: string): Promise<readonly string[]>;
}

/** Starts it; undefined after the test was told that the machine lacks what it needs. `prepare`: before the controller begins. */
export async function startRouterScene(
  t: Test,
  options: Partial<ControllerOptions> = {},
  prepare: (bed: TestBed) => Promise<void> = async () => undefined,
): Promise<RouterScene | undefined> {
  const bed = await startTestBed(t);
  if (bed === undefined) return undefined;
  await kubectl(bed, ["apply", "-f", join(MANIFESTS, "namespace.yaml"), "-f", join(MANIFESTS, "rbac.yaml")]);
  await prepare(bed);
  const connection = await connectCluster({ kubeconfig: await serviceAccountKubeconfig(bed), env: {} });
  t.teardown(() => connection.close());
  const namespace = await bed.namespace("routers");
  playReplicaSets(t, bed);
  const seen = watchIngresses(t, bed, namespace);
  const news: string[][] = [];
  watch(t, bed, RESOURCES.event, namespace, ({ involvedObject: about, reason }) => {
    if (isObject(about) && about.kind === "Rollout") news.push([String(about.name), String(reason)]);
  });
  const controller = createController({
    client: connection.client,
    clock: systemClock,
    log: silentLogger,
    namespace: SYSTEM,
    xdsPort: 0,
    ...options,
  });
  await controller.start();
  t.teardown(() => controller.stop());
  return sceneOf(bed, namespace, seen, news);
}

function sceneOf(
  { client }: TestBed,
  namespace: string,
  seen: ReadonlyMap<string, readonly string[]>,
  news: readonly string[][],
): RouterScene {
  const get = async (type: ResourceType, name: string): Promise<KubeObject> => {
    const found = await client.get(type, { namespace, name });
    if (found === undefined) throw new Error(`no ${type.kind} ${name}`);
    return found;
  };
  const patch = async (
    type: ResourceType,
    name: string,
    body: Readonly<Record<string, unknown>>,
    subresource?: "status",
  ): Promise<void> => {
    const options = subresource === undefined ? {} : { subresource };
    await client.patch(type, { namespace, name }, { type: "merge", body }, options);
  };
  return {
    client,
    namespace,
    get,
    patch,
    async create(...objects) {
      for (const object of objects)
        await client.create(typeOf(object), { ...object, metadata: { ...object.metadata, namespace } });
    },
    status: (name, status) => patch(RESOURCES.rollout, name, { status }, "status"),
    image: (name, tag) =>
      patch(RESOURCES.rollout, name, {
        spec: { template: { spec: { containers: [{ name: "main", image: `web:${tag}` }] } } },
      }),
    until: (name, isWanted) =>
      poll(`${name}: ${isWanted}`, async () => {
        const { value } = readRollout(await get(RESOURCES.rollout, name));
        return isWanted(value) ? value : undefined;
      }),
    weights: (name) => seen.get(name) ?? [],
    async events(name) {
      const reasons = () => news.filter(([about]) => about === name).map(([, reason = ""]) => reason);
      await poll(
        "the last event is there",
        async () => reasons().filter((r) => r === "RolloutCompleted").length >= 2,
      );
      return reasons();
    },
  };
}

/** A ReplicaSet's pods are available as soon as they are asked for. */
function playReplicaSets(t: Test, bed: TestBed): void {
  watch(t, bed, RESOURCES.replicaSet, undefined, ({ metadata, spec }) => {
    const { name, namespace = "", generation = 0 } = metadata;
    const replicas = isObject(spec) ? Number(spec.replicas ?? 1) : 0;
    const counts = { replicas, readyReplicas: replicas, availableReplicas: replicas };
    const body = { status: { ...counts, fullyLabeledReplicas: replicas, observedGeneration: generation } };
    const write = bed.client.patch(
      RESOURCES.replicaSet,
      { namespace, name },
      { type: "merge", body },
      { subresource: "status" },
    );
    write.catch(() => undefined); // it has gone, or the bed has
  });
}

function watchIngresses(t: Test, bed: TestBed, namespace: string): ReadonlyMap<string, readonly string[]> {
  const seen = new Map<string, string[]>();
  watch(t, bed, INGRESS, namespace, ({ metadata }) => {
    const weight = metadata.annotations?.[WEIGHT];
    const known = seen.get(metadata.name) ?? [];
    if (weight !== undefined && known.at(-1) !== weight) seen.set(metadata.name, [...known, weight]);
  });
  return seen;
}

function watch(
  t: Test,
  { client }: TestBed,
  type: ResourceType,
  namespace: string | undefined,
  onSeen: (object: KubeObject) => void,
): void {
  const scope = namespace === undefined ? {} : { namespace };
  const reflector = createReflector({ client, type, ...scope, clock: systemClock, log: silentLogger });
  reflector.subscribe(({ kind, object }) => {
    if (kind !== "deleted") onSeen(object);
  });
  reflector.start();
  t.teardown(() => reflector.stop());
}

function typeOf({ kind }: KubeObject): ResourceType {
  return (
    Object.values<ResourceType>({ ...RESOURCES, ...CLUSTER_RESOURCES }).find((type) => type.kind === kind) ??
    INGRESS
  );
}

/** The Services of a Rollout, by default stable and canary. */
export function services(name: string, ...roles: readonly string[]): KubeObject[] {
  return (roles.length === 0 ? ["stable", "canary"] : roles).map((role) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `${name}-${role}` },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  }));
}

/** An Ingress as a user writes it, with everything for one Service. */
export function ingress(name: string, service: string): KubeObject {
  const backend = { service: { name: service, port: { number: 80 } } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, annotations: { "example.com/own": "kept" } },
    spec: {
      rules: [{ host: "shop.example.com", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
    },
  };
}

/** A Rollout whose canary goes in two steps. */
export function rollout(
  name: string,
  trafficRouting: Readonly<Record<string, unknown>>,
  canary: Readonly<Record<string, unknown>> = {
    stableService: `${name}-stable`,
    canaryService: `${name}-canary`,
    steps: [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }, { pause: {} }],
  },
): KubeObject {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "main", image: "web:1" }] },
      },
      strategy: { canary: { trafficRouting, ...canary } },
    },
  };
}
