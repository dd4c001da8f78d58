// The story of a version's role, on whichever server: its metadata reaches living pods and moves with the role, and an autoscaler's write to
// the scale subresource in the middle of it keeps the split.
import type { Test } from "tap";
import {
  avoidedVersion,
  type KubeObject,
  POD_HASH_LABEL,
  type Pod,
  RESOURCES,
  type Rollout,
  readPod,
  readReplicaSet,
  readRollout,
} from "../../src/api/api.ts";
import type { ClusterClient } from "../../src/cluster/client.ts";
import { rollout } from "./shop.ts";

export interface RolesScene {
  readonly client: ClusterClient;
  readonly namespace: string;
  apply(object: KubeObject): Promise<void>;
  /** Runs kubectl, fails with its words, and gives what it printed. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** Asks until there is an answer. */
  poll<T>(claim: string, ask: () => Promise<T | undefined | false>): Promise<T>;
}

const NAME = "web";
const STRATEGY = {
  steps: [{ setWeight: 50 }, { pause: {} }],
  canaryMetadata: { labels: { role: "canary" }, annotations: { trial: "yes" } },
  stableMetadata: { labels: { role: "stable" } },
  // Preferred: the test has one node.
  antiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: { weight: 50 } },
};

/** Tells the story, with assertions. */
export async function tellRoles(t: Test, scene: RolesScene): Promise<void> {
  await scene.apply(web("blue"));
  const blue = (await reach(scene, "Healthy", 1)).status.stableRS ?? "";
  t.strictSame(await roles(scene), { [blue]: ["stable", "stable"] }, "the first version is the stable one");

  await scene.apply(web("green"));
  const paused = await reach(scene, "Paused", 2);
  const green = paused.status.currentPodHash ?? "";
  t.strictSame(await roles(scene), { [blue]: ["stable"], [green]: ["canary trial"] });
  t.equal(await avoided(scene, green), blue, "the canary keeps off the stable version's nodes");
  const [canary] = (await pods(scene)).filter((pod) => hashOf(pod) === green);

  await scene.kubectl("scale", `rollouts/${NAME}`, "--replicas=4");
  await scene.poll("the split of the new size", async () => {
    const { status } = await read(scene);
    return status.availableReplicas === 4 && status.updatedReplicas === 2 && status.replicas === 4;
  });
  const path = `/apis/argoproj.io/v1alpha1/namespaces/${scene.namespace}/rollouts/${NAME}/scale`;
  t.match(JSON.parse(await scene.kubectl("get", "--raw", path)), {
    kind: "Scale",
    spec: { replicas: 4 },
    status: { replicas: 4, selector: `app=${NAME}` },
  });
  t.match((await read(scene)).status, { phase: "Paused", currentStepIndex: 1 }, "the pause stands");
  t.strictSame(await roles(scene), {
    [blue]: ["stable", "stable"],
    [green]: ["canary trial", "canary trial"],
  });

  const body = { status: { pauseConditions: null } };
  const ref = { namespace: scene.namespace, name: NAME };
  await scene.client.patch(RESOURCES.rollout, ref, { type: "merge", body }, { subresource: "status" });
  await reach(scene, "Healthy", 3);
  await scene.poll("the metadata has moved with the role", async () => {
    const now = await roles(scene);
    return Object.keys(now).length === 1 && now[green]?.join() === "stable,stable,stable,stable";
  });
  const uids = (await pods(scene)).map(({ metadata }) => metadata.uid);
  t.ok(uids.includes(canary?.metadata.uid), "the pods live on: they were patched, not replaced");
  t.equal(await avoided(scene, green), undefined, "a stable version keeps off nobody");
  await scene.poll("nothing is remembered of the old role", async () => (await remembered(scene)) === green);
}

/** A Rollout that the API took though parts of its template do not decode: those are left out, and it gets healthy. */
export async function tellMalformed(t: Test, scene: RolesScene): Promise<void> {
  const name = "malformed";
  const object = rollout({ name, version: "blue", replicas: 1, steps: [] });
  const spec = Object(object.spec);
  const resources = { requests: { memory: "invalid", cpu: 0.001 } };
  const [container] = spec.template.spec.containers;
  const pod = {
    ...spec.template.spec,
    containers: [{ ...container, resources }],
    ephemeralContainers: [{ name: "app", image: container.image, resources }],
  };
  await scene.apply({ ...object, spec: { ...spec, template: { ...spec.template, spec: pod } } });
  const { status } = await scene.poll("the malformed Rollout is healthy", async () => {
    const seen = await scene.client.get(RESOURCES.rollout, { namespace: scene.namespace, name });
    const value = seen === undefined ? undefined : readRollout(seen).value;
    return value?.status.phase === "Healthy" && value;
  });
  t.equal(status.availableReplicas, 1);
}

function web(version: string): KubeObject {
  const object = rollout({ name: NAME, version, replicas: 2, steps: [] });
  return { ...object, spec: { ...Object(object.spec), strategy: { canary: STRATEGY } } };
}

async function read({ client, namespace }: RolesScene): Promise<Rollout> {
  const object = await client.get(RESOURCES.rollout, { namespace, name: NAME });
  if (object === undefined) throw new Error("the Rollout is gone");
  return readRollout(object).value;
}

/** The Rollout in this phase, and no write of a status has raised its generation. */
function reach(scene: RolesScene, phase: string, generation: number): Promise<Rollout> {
  return scene.poll(`${phase} at generation ${generation}`, async () => {
    const { metadata, status } = await read(scene);
    const isThere = status.phase === phase && status.observedGeneration === String(generation);
    return isThere && metadata.generation === generation && { ...(await read(scene)), status };
  });
}

async function pods({ client, namespace }: RolesScene): Promise<readonly Pod[]> {
  const { items } = await client.list(RESOURCES.pod, { namespace });
  return items
    .map((item) => readPod(item).value)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined && metadata.labels?.app === NAME);
}

function hashOf({ metadata }: Pod): string {
  return metadata.labels?.[POD_HASH_LABEL] ?? "";
}

/** What the living pods carry of their role, by version. */
async function roles(scene: RolesScene): Promise<Readonly<Record<string, readonly string[]>>> {
  const all: Record<string, string[]> = {};
  for (const pod of await pods(scene)) {
    const { labels, annotations } = pod.metadata;
    const carried = `${labels?.role ?? "none"}${annotations?.trial === undefined ? "" : " trial"}`;
    const of = all[hashOf(pod)] ?? [];
    of.push(carried);
    all[hashOf(pod)] = of;
  }
  return all;
}

async function avoided({ client, namespace }: RolesScene, hash: string): Promise<string | undefined> {
  const object = await client.get(RESOURCES.replicaSet, { namespace, name: `${NAME}-${hash}` });
  if (object === undefined) throw new Error("the ReplicaSet is gone");
  return avoidedVersion(readReplicaSet(object).value.spec.template?.spec?.affinity);
}

/** The versions that remember metadata. */
async function remembered({ client, namespace }: RolesScene): Promise<string> {
  const { items } = await client.list(RESOURCES.replicaSet, { namespace });
  return items
    .filter(({ metadata }) => metadata.annotations?.["rollout.argoproj.io/ephemeral-metadata"] !== undefined)
    .map(({ metadata }) => metadata.labels?.[POD_HASH_LABEL])
    .join();
}
