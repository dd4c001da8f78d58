// The shipped manifests as they are: the controller's Deployment with two replicas, an example gateway's Deployment, both run by the node
// agent. Three things stand for what a cluster has and a node agent has not: `weir` of the checkout for the image, a kubeconfig with a token
// of the service account for the mounted token, a hosts file for the cluster's DNS.
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Test, test } from "tap";
import { RESOURCES, readPod } from "../../src/api/api.ts";
import { isObject } from "../../src/lib/json.ts";
import {
  answers,
  type KubernetesScene,
  kubectl,
  poll,
  SYSTEM,
  startKubernetesScene,
} from "../support/onkubernetes.ts";
import { rollout, services } from "../support/shop.ts";

const TIMEOUT_MS = 120_000;
const MANIFESTS = new URL("../../deploy/kubernetes/", import.meta.url).pathname;
const LAUNCHER = new URL("../../src/weir.js", import.meta.url).pathname;

test("test bed: the shipped Deployments run a leader, a standby and a gateway that serves", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const scene = await startKubernetesScene(t, { hasAgent: false });
  if (scene === undefined) return;
  const { bed } = scene;
  const hosts = await hostsFile(t, scene);
  const images = join(bed.folder, "images.json");
  const command = [process.execPath, LAUNCHER];
  const env = { KUBECONFIG: scene.controllerKubeconfig };
  await writeFile(images, JSON.stringify({ images: [{ pattern: "weir:*", command, env }] }));
  // The manifests' containers run as a user of their own, who must be able to read what stands for the mounted token.
  await chmod(bed.folder, 0o711);
  await chmod(scene.controllerKubeconfig, 0o644);
  await scene.startAgent("--images", images);
  await kubectl(bed, ["apply", "-f", join(MANIFESTS, "../crds")]);
  await kubectl(bed, ["apply", "-k", MANIFESTS]);
  const addresses = await poll("two controllers are ready", async () => {
    const { items } = await bed.client.list(RESOURCES.endpointSlice, { namespace: SYSTEM });
    const ready = items.flatMap(({ endpoints }) => endpointsOf(endpoints));
    return ready.length === 2 && ready;
  });
  await writeFile(
    hosts,
    ["127.0.0.1 localhost", ...addresses.map((address) => `${address} weir-controller.${SYSTEM}`), ""].join(
      "\n",
    ),
  );
  const pods = (await bed.client.list(RESOURCES.pod, { namespace: SYSTEM })).items.map(
    ({ metadata }) => metadata.name,
  );
  const holder = await poll("one leads", async () => {
    const lease = await bed.client.get(RESOURCES.lease, {
      namespace: SYSTEM,
      name: "argo-rollouts-controller-lock",
    });
    return isObject(lease?.spec) && lease.spec.holderIdentity !== "" ? lease.spec.holderIdentity : undefined;
  });
  t.ok(pods.includes(String(holder)), `${holder} leads`);

  await applyGateway(scene);
  const objects = [
    ...services("web"),
    // The controllers' health pages have 8080, and all pods share the namespace's ports.
    rollout({ name: "web", port: 7070, version: "blue", steps: [{ setWeight: 20 }], isRouted: true }),
  ];
  await kubectl(
    bed,
    ["-n", "default", "apply", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
  );
  await answers(bed, 8000, "web");
  await kubectl(bed, ["-n", "default", "wait", "--for=condition=Healthy", "rollout/web", "--timeout=30s"]);
  const gatewayLabel = "app.kubernetes.io/name=weir-gateway-edge";
  const waitReady = [
    "-n",
    "default",
    "wait",
    "--for=condition=Ready",
    "pod",
    "-l",
    gatewayLabel,
    "--timeout=20s",
  ];
  await kubectl(bed, waitReady);
  const gatewayPods = await bed.client.list(RESOURCES.pod, {
    namespace: "default",
    labelSelector: gatewayLabel,
  });
  t.equal(gatewayPods.items.length, 1);
  t.ok(
    gatewayPods.items.every((pod) =>
      readPod(pod).value.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
    ),
  );
  const record = await bed.client.get(RESOURCES.configMap, {
    namespace: SYSTEM,
    name: "weir-nodes-gateway.default.edge",
  });
  t.match(record?.data, { nodes: `"id":"default/${gatewayPods.items[0]?.metadata.name}"` });
});

/** What `ip netns exec` shows processes inside as /etc/hosts; it must be there before they start, and is written in place later. */
async function hostsFile(t: Test, { bed }: KubernetesScene): Promise<string> {
  const folder = join("/etc/netns", bed.netns?.name ?? "");
  await mkdir(folder, { recursive: true });
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "hosts");
  await writeFile(file, "127.0.0.1 localhost\n");
  return file;
}

function endpointsOf(endpoints: unknown): readonly string[] {
  // The server has validated the slice.
  const list = endpoints as
    | readonly { readonly addresses: readonly string[]; readonly conditions: { readonly ready: boolean } }[]
    | null;
  return (list ?? []).filter(({ conditions }) => conditions.ready).flatMap(({ addresses }) => addresses);
}

/** The example gateway with one replica: pods share the namespace's ports. */
async function applyGateway({ bed }: KubernetesScene): Promise<void> {
  const text = await readFile(join(MANIFESTS, "gateway.yaml"), "utf8");
  await kubectl(bed, ["apply", "-f", "-"], text.replace("replicas: 2", "replicas: 1"));
}
