// AWS load balancers before a Rollout on a real API server, with the rights of the shipped roles: AWS's SDK asks a server that answers as AWS does. No
// step goes by before a weight is set there, and the pods of the old version stay until those of the new one are registered.
import { type Test, test } from "tap";
import { CLUSTER_RESOURCES, type KubeObject, POD_HASH_LABEL, RESOURCES } from "../../src/api/api.ts";
import { createAwsBalancers } from "../../src/controller/controller.ts";
import { type Elbv2, type Group, groupArn, startElbv2 } from "../support/elbv2.ts";
import { isSettled, poll } from "../support/onkubernetes.ts";
import { ingress, type RouterScene, rollout, services, startRouterScene } from "../support/routerscene.ts";
import type { TestBed } from "../support/testbed.ts";

const { ingress: INGRESS, targetGroupBinding: BINDING } = CLUSTER_RESOURCES;
const DNS = "k8s-shop.eu-central-1.elb.amazonaws.com";
const DEADLINE = "scale-down-deadline";
const PODS = ["web-a", "web-b"].map((name, index) => ({ name, ip: `10.1.0.${index + 1}`, port: 8080 }));

test("test bed: an alb Rollout waits until AWS has set its weights, and for its pods to be registered", {
  timeout: 150_000,
}, async (t) => {
  const elb = await startElbv2(t, []);
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const config = { endpoint: elb.endpoint, region: "eu-central-1", credentials };
  const balancers = await createAwsBalancers({ config });
  const scene = await startRouterScene(t, { balancers }, installBindings);
  if (scene === undefined) return;
  const { namespace } = scene;
  const set = (canary: number, targets: Group["targets"] = []) =>
    hold(elb, namespace, { canary, stable: 100 - canary }, targets);
  set(0);
  await scene.create(...services("web"), ingress("edge", "web-stable"));
  await balanced(scene);
  await scene.create(rollout("web", { alb: { ingress: "edge", servicePort: 80 } }));
  await scene.until("web", isSettled("Healthy"));
  await scene.until("web", ({ status }) => status.alb?.loadBalancer?.name === "k8s-shop");

  await weights(t, scene, set);
  await pods(t, scene, set);
});

async function weights(t: Test, scene: RouterScene, set: (canary: number) => void): Promise<void> {
  await scene.image("web", "2");
  const waiting = await scene.until("web", ({ status }) => status.canary?.weights?.canary.weight === 20);
  t.match(waiting.status, { phase: "Progressing", currentStepIndex: 0 });
  await untilTold(scene, "canary", "not verified: canary weight 20 not yet set (current: 0)");
  set(20);
  const paused = await scene.until("web", isSettled("Paused"));
  t.equal(paused.status.canary?.weights?.verified, true);
  await untilTold(scene, "canary", "verified: canary weight 20 set");
  t.match(paused.status.albs, [
    {
      ingress: "edge",
      loadBalancer: { name: "k8s-shop", fullName: "k8s-shop/9f8e" },
      canaryTargetGroup: { name: "k8s-canary", arn: groupArn("k8s-canary"), fullName: "k8s-canary/0a1b" },
      stableTargetGroup: { name: "k8s-stable" },
    },
  ]);
}

async function pods(
  t: Test,
  scene: RouterScene,
  set: (canary: number, targets?: Group["targets"]) => void,
): Promise<void> {
  const { currentPodHash = "", stableRS = "" } = (await scene.until("web", () => true)).status;
  await scene.create(...(await podsOf(scene, currentPodHash)), slice(), binding());
  await scene.status("web", { promoteFull: true });
  await scene.until("web", ({ status }) => status.canary?.weights?.canary.weight === 100);
  set(100);
  await scene.until("web", ({ status }) => status.stableRS === currentPodHash);
  const old = () => scene.get(RESOURCES.replicaSet, `web-${stableRS}`);
  await untilTold(scene, "stable", "not verified: 0/2 endpoints registered");
  t.equal((await old()).metadata.annotations?.[DEADLINE], undefined, "its delay has not begun");
  set(0, PODS);
  await poll("the old version's delay begins", async () => (await old()).metadata.annotations?.[DEADLINE]);
  await untilTold(scene, "stable", "verified: 2 endpoints registered");
}

/** Waits until this was told of the Service's target group. */
async function untilTold({ client, namespace }: RouterScene, role: string, words: string): Promise<void> {
  const message = `Service web-${role} (TargetGroup ${groupArn(`k8s-${role}`)}) ${words}`;
  await poll(message, async () => {
    const { items } = await client.list(RESOURCES.event, { namespace });
    return items.some((event) => event.message === message);
  });
}

/** What AWS holds. */
function hold(
  elb: Elbv2,
  namespace: string,
  { canary, stable }: { readonly canary: number; readonly stable: number },
  targets: Group["targets"] = [],
): void {
  const groups = [
    { name: "k8s-canary", resource: `${namespace}/edge-web-canary:80` },
    { name: "k8s-stable", resource: `${namespace}/edge-web-stable:80`, targets },
  ];
  const listeners = [[{ "k8s-canary": canary, "k8s-stable": stable }]];
  elb.set([{ name: "k8s-shop", dnsName: DNS, groups, listeners }]);
}

/** The load balancer controller has made one for the Ingress. */
async function balanced({ client, namespace }: RouterScene): Promise<void> {
  const body = { status: { loadBalancer: { ingress: [{ hostname: DNS }] } } };
  const patch = { type: "merge", body } as const;
  await client.patch(INGRESS, { namespace, name: "edge" }, patch, { subresource: "status" });
}

async function podsOf(scene: RouterScene, hash: string): Promise<readonly KubeObject[]> {
  const { metadata } = await scene.get(RESOURCES.replicaSet, `web-${hash}`);
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", controller: true };
  return PODS.map(({ name }) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels: { app: "web", [POD_HASH_LABEL]: hash },
      ownerReferences: [{ ...owner, name: metadata.name, uid: metadata.uid ?? "" }],
    },
    spec: { containers: [{ name: "main", image: "web:2" }] },
  }));
}

function slice(): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-stable-1", labels: { "kubernetes.io/service-name": "web-stable" } },
    addressType: "IPv4",
    ports: [{ name: "", port: 8080 }],
    endpoints: PODS.map(({ name, ip }) => ({ addresses: [ip], targetRef: { kind: "Pod", name } })),
  };
}

function binding(): KubeObject {
  return {
    apiVersion: "elbv2.k8s.aws/v1beta1",
    kind: BINDING.kind,
    metadata: { name: "k8s-stable" },
    spec: {
      targetGroupARN: groupArn("k8s-stable"),
      targetType: "ip",
      serviceRef: { name: "web-stable", port: 80 },
    },
  };
}

/** As the load balancer controller brings it, as far as it matters. */
async function installBindings(bed: TestBed): Promise<void> {
  const { group, version, kind, plural, singular } = BINDING;
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const crd = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular },
      versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: open } }],
    },
  };
  const { code, stderr } = await bed.kubectl(["apply", "-f", "-"], JSON.stringify(crd));
  if (code !== 0) throw new Error(stderr);
  await bed.kubectl(["wait", "--for=condition=Established", "crd", `${plural}.${group}`]);
}
