// Routers beside weir's own on a real API server, with the rights of the shipped roles: Ingresses that follow the weights of a Rollout, are put
// right when somebody changes them, and are left alone when they are somebody else's. Pods are played: a ReplicaSet has those that it asks for.
import { join } from "node:path";
import { type Test, test } from "tap";
import {
  CLUSTER_RESOURCES,
  type KubeObject,
  RESOURCES,
  type ResourceType,
  type Rollout,
  readIngress,
  readRollout,
} from "../../src/api/api.ts";
import { type ClusterClient, connectCluster, createReflector } from "../../src/cluster/client.ts";
import { createController } from "../../src/controller/controller.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { isObject } from "../../src/lib/json.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { isSettled, kubectl, poll, SYSTEM, serviceAccountKubeconfig } from "../support/onkubernetes.ts";
import { startTestBed, type TestBed } from "../support/testbed.ts";

const BOUNDED = { timeout: 150_000 };
const MANIFESTS = new URL("../../deploy/kubernetes/", import.meta.url).pathname;
const { ingress: INGRESS } = CLUSTER_RESOURCES;
const ALB = "alb.ingress.kubernetes.io";
const WEIGHT = "nginx.ingress.kubernetes.io/canary-weight";

test(
  "routers on Kubernetes: nginx's canary Ingress and alb's action follow a Rollout",
  BOUNDED,
  async (t) => {
    const scene = await startScene(t);
    if (scene === undefined) return;
    await t.test("nginx", (sub) => nginx(sub, scene));
    await t.test("a foreign Ingress", (sub) => foreign(sub, scene));
    await t.test("alb", (sub) => alb(sub, scene));
  },
);

async function nginx(t: Test, scene: Scene): Promise<void> {
  await scene.create(...services("web"), ingress("shop", "web-stable"));
  await scene.create(rollout("web", { nginx: { stableIngress: "shop" } }));
  await scene.until("web", isSettled("Healthy"));
  const made = await scene.get(INGRESS, "web-shop-canary");
  t.match(made.metadata, {
    annotations: { "nginx.ingress.kubernetes.io/canary": "true", [WEIGHT]: "0" },
    ownerReferences: [{ kind: "Rollout", name: "web", controller: true }],
  });
  t.match(made.spec, { rules: [{ http: { paths: [{ backend: { service: { name: "web-canary" } } }] } }] });

  await scene.image("web", "2");
  const paused = await scene.until("web", isSettled("Paused"));
  t.equal(paused.status.canary?.weights?.canary.weight, 20);
  t.equal(paused.status.canary?.weights?.verified, undefined, "nobody verifies");
  t.equal(await weightOf(scene), "20");

  await scene.patch(INGRESS, "web-shop-canary", { metadata: { annotations: { [WEIGHT]: "90" } } });
  await poll("the weight is put right", async () => (await weightOf(scene)) === "20");

  await scene.status("web", { pauseConditions: null });
  await scene.until("web", (seen) => isSettled("Paused")(seen) && seen.status.currentStepIndex === 3);
  t.equal(await weightOf(scene), "60");
  await scene.status("web", { abort: true });
  await scene.until("web", isSettled("Degraded"));
  await poll("stable has all after the abort", async () => (await weightOf(scene)) === "0");

  await scene.image("web", "3");
  await scene.until("web", isSettled("Paused"));
  await scene.status("web", { promoteFull: true });
  const healthy = await scene.until("web", isSettled("Healthy"));
  t.equal(healthy.status.stableRS, healthy.status.currentPodHash);
  t.equal(await weightOf(scene), "0", "Healthy is said when the Ingress holds what the status says");
  t.strictSame(scene.weights("web-shop-canary"), ["0", "20", "90", "20", "60", "0", "20", "100", "0"]);
  const told = await scene.events("web");
  t.strictSame(
    told.filter((reason) => reason.endsWith("CanaryIngress")),
    ["CreatingCanaryIngress", ...Array.from({ length: 7 }, () => "PatchingCanaryIngress")],
  );
  t.equal(
    told.indexOf("PatchingCanaryIngress") + 1,
    told.indexOf("TrafficWeightUpdated"),
    "as Argo tells them",
  );
}

async function weightOf(scene: Scene): Promise<string | undefined> {
  return (await scene.get(INGRESS, "web-shop-canary")).metadata.annotations?.[WEIGHT];
}

async function foreign(t: Test, scene: Scene): Promise<void> {
  await scene.create(...services("api"), ingress("edge", "api-stable"), ingress("api-edge-canary", "other"));
  const before = await scene.get(INGRESS, "api-edge-canary");
  await scene.create(rollout("api", { nginx: { stableIngress: "edge" } }));
  const refused = /nginx: canary ingress `api-edge-canary` controlled by different object/;
  await scene.until("api", ({ status }) => refused.test(status.message ?? ""));
  t.strictSame(await scene.get(INGRESS, "api-edge-canary"), before, "it is not written to");
  const { client, namespace } = scene;
  await client.delete(INGRESS, { namespace, name: "api-edge-canary" });
  await scene.until("api", isSettled("Healthy"));
  t.match((await scene.get(INGRESS, "api-edge-canary")).metadata.ownerReferences, [{ name: "api" }]);
}

/** A header route at weight 0, then weights, then a promotion in which the two Services change places. */
async function alb(t: Test, scene: Scene): Promise<void> {
  await scene.create(...services("lb", "root", "ping", "pong"), ingress("public", "lb-root"));
  const match = [
    { headerName: "X-Group", headerValue: { exact: "beta" } },
    { headerName: "X-Group", headerValue: { exact: "staff" } },
  ];
  const routing = {
    alb: { ingress: "public", servicePort: 80, rootService: "lb-root" },
    managedRoutes: [{ name: "lb-beta" }],
  };
  await scene.create(
    rollout("lb", routing, {
      pingPong: { pingService: "lb-ping", pongService: "lb-pong" },
      steps: [
        { setCanaryScale: { replicas: 1 } },
        { setHeaderRoute: { name: "lb-beta", match } },
        { pause: {} },
        { setHeaderRoute: { name: "lb-beta" } },
        { setWeight: 20 },
        { pause: {} },
      ],
    }),
  );
  await scene.until("lb", isSettled("Healthy"));
  t.strictSame(await targets(scene, "lb-root"), { "lb-pong": 0, "lb-ping": 100 });

  await scene.image("lb", "2");
  await scene.until("lb", isSettled("Paused"));
  t.strictSame(
    await targets(scene, "lb-root"),
    { "lb-pong": 0, "lb-ping": 100 },
    "nobody else sees the canary",
  );
  t.strictSame(await targets(scene, "lb-beta"), { "lb-pong": 100 });
  const routed = await scene.get(INGRESS, "public");
  t.strictSame(JSON.parse(routed.metadata.annotations?.[`${ALB}/conditions.lb-beta`] ?? ""), [
    { field: "http-header", httpHeaderConfig: { httpHeaderName: "X-Group", values: ["beta", "staff"] } },
  ]);
  t.strictSame(pathsOf(routed), ["lb-beta", "lb-root"], "the route comes first");

  await scene.status("lb", { pauseConditions: null });
  await scene.until("lb", (seen) => isSettled("Paused")(seen) && seen.status.currentStepIndex === 5);
  t.strictSame(await targets(scene, "lb-root"), { "lb-pong": 20, "lb-ping": 80 });
  const after = await scene.get(INGRESS, "public");
  t.strictSame(pathsOf(after), ["lb-root"]);
  const { annotations = {} } = after.metadata;
  const kept = {
    [`${ALB}/actions.lb-root`]: annotations[`${ALB}/actions.lb-root`],
    "example.com/own": "kept",
  };
  const book = { "rollouts.argoproj.io/managed-alb-annotations": `{"lb":["${ALB}/actions.lb-root"]}` };
  t.strictSame(annotations, { ...kept, ...book }, "the route is gone, what is the user's stays");

  await scene.status("lb", { pauseConditions: null });
  const healthy = await scene.until("lb", isSettled("Healthy"));
  t.equal(healthy.status.canary?.stablePingPong, "pong");
  t.strictSame(await targets(scene, "lb-root"), { "lb-ping": 0, "lb-pong": 100 });
}

/** The weights of an action of the Ingress, by Service. */
async function targets(scene: Scene, action: string): Promise<Readonly<Record<string, number>>> {
  const { annotations = {} } = (await scene.get(INGRESS, "public")).metadata;
  const { ForwardConfig } = JSON.parse(annotations[`${ALB}/actions.${action}`] ?? "");
  const groups: readonly { readonly ServiceName: string; readonly Weight: number }[] =
    ForwardConfig.TargetGroups;
  return Object.fromEntries(groups.map(({ ServiceName, Weight }) => [ServiceName, Weight]));
}

function pathsOf(object: KubeObject): readonly (string | undefined)[] {
  const { value } = readIngress(object);
  return (value.spec.rules?.[0]?.http?.paths ?? []).map(({ backend }) => backend.service?.name);
}

interface Scene {
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

async function startScene(t: Test): Promise<Scene | undefined> {
  const bed = await startTestBed(t);
  if (bed === undefined) return undefined;
  await kubectl(bed, ["apply", "-f", join(MANIFESTS, "namespace.yaml"), "-f", join(MANIFESTS, "rbac.yaml")]);
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
): Scene {
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

function services(name: string, ...roles: readonly string[]): KubeObject[] {
  return (roles.length === 0 ? ["stable", "canary"] : roles).map((role) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `${name}-${role}` },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  }));
}

function ingress(name: string, service: string): KubeObject {
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

function rollout(
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
