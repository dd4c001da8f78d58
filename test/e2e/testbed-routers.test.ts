// Routers beside weir's own on a real API server, with the rights of the shipped roles: Ingresses that follow the weights of a Rollout, are put
// right when somebody changes them, and are left alone when they are somebody else's. Pods are played: a ReplicaSet has those that it asks for.
import { type Test, test } from "tap";
import { CLUSTER_RESOURCES, type KubeObject, readIngress } from "../../src/api/api.ts";
import { isSettled, poll } from "../support/onkubernetes.ts";
import {
  ingress,
  type RouterScene,
  rollout,
  services,
  startRouterScene,
  WEIGHT,
} from "../support/routerscene.ts";

const BOUNDED = { timeout: 150_000 };
const { ingress: INGRESS } = CLUSTER_RESOURCES;
const ALB = "alb.ingress.kubernetes.io";

test(
  "routers on Kubernetes: nginx's canary Ingress and alb's action follow a Rollout",
  BOUNDED,
  async (t) => {
    const scene = await startRouterScene(t);
    if (scene === undefined) return;
    await t.test("nginx", (sub) => nginx(sub, scene));
    await t.test("a foreign Ingress", (sub) => foreign(sub, scene));
    await t.test("alb", (sub) => alb(sub, scene));
  },
);

async function nginx(t: Test, scene: RouterScene): Promise<void> {
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

async function weightOf(scene: RouterScene): Promise<string | undefined> {
  return (await scene.get(INGRESS, "web-shop-canary")).metadata.annotations?.[WEIGHT];
}

async function foreign(t: Test, scene: RouterScene): Promise<void> {
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
async function alb(t: Test, scene: RouterScene): Promise<void> {
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
async function targets(scene: RouterScene, action: string): Promise<Readonly<Record<string, number>>> {
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
