// A Rollout that takes over from a Deployment on a real Kubernetes control plane, with the shipped rights alone: it waits for the Deployment,
// takes its pods down as its own get ready, follows its changes, restarts within a disruption budget, and goes when it is deleted.
import { type Test, test } from "tap";
import {
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  type Rollout,
  WORKLOAD_TYPES,
} from "../../src/api/api.ts";
import { asObject } from "../../src/lib/json.ts";
import {
  isSettled,
  type KubernetesScene,
  kubectl,
  poll,
  startKubernetesScene,
} from "../support/onkubernetes.ts";
import { rollout } from "../support/shop.ts";

const NAME = "web";
const REPLICAS = 2;

test("test bed: a Rollout takes over from a Deployment, and restarts within a disruption budget", {
  timeout: 175_000,
}, async (t) => {
  const apiServerFlags = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"];
  const scene = await startKubernetesScene(t, { apiServerFlags });
  if (scene === undefined) return;
  const controller = await scene.startController("ctl", 18_000);
  const blue = await takeOver(t, scene);
  const green = await follow(t, scene, blue);
  await restart(t, scene, green);
  await undo(t, scene, blue);
  await removeAll(t, scene);
  t.equal(await controller.end("SIGTERM"), 0);
  t.notMatch(controller.output(), /^\S+ error |forbidden/im, "no right was missing");
});

/** Missing first; then the Deployment's pods go as the Rollout's get ready. */
async function takeOver(t: Test, scene: KubernetesScene): Promise<string> {
  const { namespace } = scene;
  await scene.apply(reference());
  const degraded = await scene.until(NAME, isSettled("Degraded"));
  t.match(
    degraded.status.message,
    `InvalidSpec: The Rollout "${NAME}" is invalid: deployments.apps "${namespace}/${NAME}" not found`,
  );
  await scene.apply(deployment("blue"));
  const healthy = await scene.until(NAME, isSettled("Healthy"));
  const blue = healthy.status.stableRS ?? "";
  await poll("the Deployment has no pods left", async () => {
    const { [blue]: own, ...others } = await scene.pods();
    return own === REPLICAS && Object.keys(others).length === 0;
  });
  const held = await workload(scene);
  t.equal(asObject(held.spec).replicas, 0);
  const seen = await scene.until(
    NAME,
    ({ status }) => status.workloadObservedGeneration === String(held.metadata.generation),
  );
  t.equal(
    seen.metadata.annotations?.["rollout.argoproj.io/workload-generation"],
    seen.status.workloadObservedGeneration,
  );
  const sizes = scene.history(NAME).map(({ spec }) => [spec.template, spec.selector]);
  t.strictSame(
    sizes.filter((parts) => parts.some((part) => part !== undefined)),
    [],
    "nothing was written into the spec",
  );
  return blue;
}

/** Another image in the Deployment is an update of the Rollout. */
async function follow(t: Test, scene: KubernetesScene, blue: string): Promise<string> {
  await weir(t, scene, "set", "image", NAME, "app=argoproj/rollouts-demo:green");
  const paused = await scene.until(
    NAME,
    (seen) => isSettled("Paused")(seen) && seen.status.currentPodHash !== blue,
  );
  const green = paused.status.currentPodHash ?? "";
  await weir(t, scene, "promote", NAME);
  await scene.until(NAME, (seen) => isSettled("Healthy")(seen) && seen.status.stableRS === green);
  t.equal(
    asObject((await workload(scene)).spec).replicas,
    0,
    "after the first revision its size is its owner's",
  );
  return green;
}

/** The budget refuses every eviction at first. */
async function restart(t: Test, scene: KubernetesScene, version: string): Promise<void> {
  await scene.apply(budget(REPLICAS));
  await poll("the budget is known", async () => {
    const found = await kubectl(scene.bed, ["-n", scene.namespace, "get", "pdb", NAME, "-o", "json"]);
    return asObject(asObject(JSON.parse(found)).status).currentHealthy === REPLICAS;
  });
  const before = await uids(scene, version);
  await weir(t, scene, "restart", NAME);
  const restarting = await scene.until(NAME, ({ status }) => status.message === "rollout is restarting");
  t.equal(restarting.status.phase, "Progressing");
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  t.strictSame(await uids(scene, version), before, "the budget refuses every eviction");
  await scene.apply(budget(REPLICAS - 1));
  const isRestarted = ({ spec, status }: Rollout): boolean => spec.restartAt === status.restartedAt;
  await scene.until(NAME, (seen) => isSettled("Healthy")(seen) && isRestarted(seen));
  const after = await poll("all pods are new", async () => {
    const now = await uids(scene, version);
    return now.length === REPLICAS && now;
  });
  t.strictSame(
    after.filter((uid) => before.includes(uid)),
    [],
  );
  const least = Math.min(...sizesSince(scene, restarting));
  t.equal(least, REPLICAS - 1, "one pod at a time was missing");
}

async function undo(t: Test, scene: KubernetesScene, blue: string): Promise<void> {
  await weir(t, scene, "undo", NAME, "--to-revision", "1");
  await scene.until(NAME, (seen) => isSettled("Paused")(seen) && seen.status.currentPodHash === blue);
  const { spec } = await workload(scene);
  t.match(spec, { template: { spec: { containers: [{ image: "argoproj/rollouts-demo:blue" }] } } });
}

/** Foreground deletion ends, though the controller takes no part in it. */
async function removeAll(t: Test, scene: KubernetesScene): Promise<void> {
  const { bed, namespace } = scene;
  const flags = ["--cascade=foreground", "--timeout=60s"];
  await kubectl(bed, ["-n", namespace, "delete", "rollout", NAME, ...flags]);
  const sets = await bed.client.list(RESOURCES.replicaSet, { namespace, labelSelector: POD_HASH_LABEL });
  t.strictSame(
    sets.items.map(({ metadata }) => metadata.name),
    [],
  );
}

async function weir(t: Test, scene: KubernetesScene, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await scene.weir(...args);
  t.equal(code, 0, stderr);
}

async function workload({ bed, namespace }: KubernetesScene): Promise<KubeObject> {
  const found = await bed.client.get(WORKLOAD_TYPES.deployment, { namespace, name: NAME });
  if (found === undefined) throw new Error("the Deployment is gone");
  return found;
}

async function uids({ bed, namespace }: KubernetesScene, version: string): Promise<readonly string[]> {
  const { items } = await bed.client.list(RESOURCES.pod, {
    namespace,
    labelSelector: `${POD_HASH_LABEL}=${version}`,
  });
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.uid ?? "")
    .sort();
}

/** Available pods in every version of the Rollout from one on. */
function sizesSince(scene: KubernetesScene, from: Rollout): readonly number[] {
  const history = scene.history(NAME);
  return history.slice(history.indexOf(from)).map(({ status }) => status.availableReplicas ?? 0);
}

function reference(): KubeObject {
  const { spec, ...rest } = rollout({
    name: NAME,
    version: "",
    replicas: REPLICAS,
    steps: [{ setWeight: 50 }, { pause: {} }],
  });
  const { template: _, selector: __, ...own } = asObject(spec);
  const workloadRef = { apiVersion: "apps/v1", kind: "Deployment", name: NAME, scaleDown: "progressively" };
  return { ...rest, spec: { ...own, workloadRef } };
}

function deployment(version: string): KubeObject {
  const { template, selector } = asObject(rollout({ name: NAME, version, steps: [] }).spec);
  const spec = { replicas: REPLICAS, selector, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: NAME }, spec };
}

function budget(minAvailable: number): KubeObject {
  const spec = { minAvailable, selector: { matchLabels: { app: NAME } } };
  return { apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: { name: NAME }, spec };
}
