// A canary without traffic routing on a real Kubernetes control plane: promoted, then another one aborted. The controller has the rights of
// the shipped roles only, and the API server also checks those that only some clusters check.
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import {
  isSettled,
  type KubernetesScene,
  kubectl,
  type Program,
  poll,
  SYSTEM,
  startKubernetesScene,
  weirInside,
} from "../support/onkubernetes.ts";
import { rollout } from "../support/shop.ts";

const TIMEOUT_MS = 120_000;
const NAME = "web";

const EVENTS_OF_ALL = [
  "RolloutAddedToInformer",
  "RolloutUpdated",
  "NewReplicaSetCreated",
  "RolloutNotCompleted",
  "ScalingReplicaSet",
  "RolloutCompleted",
  // the second version, promoted
  "RolloutUpdated",
  "NewReplicaSetCreated",
  "RolloutNotCompleted",
  "ScalingReplicaSet",
  "ScalingReplicaSet",
  "RolloutStepCompleted",
  "RolloutPaused",
  "RolloutStepCompleted",
  "RolloutResumed",
  "ScalingReplicaSet",
  "ScalingReplicaSet",
  "RolloutCompleted",
  // the third, aborted
  "RolloutUpdated",
  "NewReplicaSetCreated",
  "RolloutNotCompleted",
  "ScalingReplicaSet",
  "ScalingReplicaSet",
  "RolloutStepCompleted",
  "RolloutPaused",
  "ScalingReplicaSet",
  "RolloutAborted",
  "ScalingReplicaSet",
];

test("test bed: a canary by replicas is promoted, and another aborted, with the shipped rights alone", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const apiServerFlags = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"];
  const scene = await startKubernetesScene(t, { apiServerFlags });
  if (scene === undefined) return;
  const controller = await scene.startController("ctl", 18_000);
  const green = await promote(t, scene);
  await abort(t, scene, green);
  t.equal(
    scene.history(NAME).at(-1)?.metadata.generation,
    3,
    "status writes raise no generation: one per apply",
  );
  await poll("the last event is there", async () => scene.events(NAME).length >= EVENTS_OF_ALL.length);
  t.strictSame(scene.events(NAME), EVENTS_OF_ALL);
  await deleteAll(t, scene);
  t.equal(await controller.end("SIGTERM"), 0);
  checkLog(t, controller);
  await leadsOnceItsNamespaceIsThere(t, scene);
});

function web(version: string): KubeObject {
  return rollout({ name: NAME, version, replicas: 2, steps: [{ setWeight: 50 }, { pause: {} }] });
}

/** The first version, then another through its steps; returns the hash of the latter. */
async function promote(t: Test, scene: KubernetesScene): Promise<string> {
  await scene.apply(web("blue"));
  const blue = (await scene.until(NAME, isSettled("Healthy"))).status.stableRS ?? "";
  t.strictSame(await scene.pods(), { [blue]: 2 }, "the first version runs without steps");
  await scene.apply(web("green"));
  const paused = await scene.until(NAME, isSettled("Paused"));
  const green = paused.status.currentPodHash ?? "";
  t.match(paused.status, { currentStepIndex: 1, stableRS: blue, message: "CanaryPauseStep" });
  t.strictSame(await scene.pods(), { [blue]: 1, [green]: 1 }, "half of the pods are the canary's");
  const { code, stdout, stderr } = await scene.weir("promote", NAME);
  t.equal(code, 0, stderr);
  t.match(stdout, "rollout 'web' promoted");
  const healthy = await scene.until(NAME, isSettled("Healthy"));
  t.match(healthy.status, { stableRS: green, currentStepIndex: 2, replicas: 2, availableReplicas: 2 });
  t.strictSame(await scene.pods(), { [green]: 2 }, "only the promoted version runs");
  return green;
}

async function abort(t: Test, scene: KubernetesScene, stable: string): Promise<void> {
  await scene.apply(web("red"));
  const red = (await scene.until(NAME, isSettled("Paused"))).status.currentPodHash ?? "";
  t.strictSame(await scene.pods(), { [stable]: 1, [red]: 1 });
  const { code, stderr } = await scene.weir("abort", NAME);
  t.equal(code, 0, stderr);
  const degraded = await scene.until(NAME, isSettled("Degraded"));
  t.match(degraded.status, { abort: true, stableRS: stable, currentPodHash: red });
  t.match(degraded.status.message, /^RolloutAborted: Rollout aborted update to revision 3/);
  await poll("the aborted version is gone", async () => {
    const { [stable]: kept, ...others } = await scene.pods();
    return kept === 2 && Object.keys(others).length === 0;
  });
}

/** What the Rollout owned is its own, so the real garbage collector takes it. */
async function deleteAll(t: Test, scene: KubernetesScene): Promise<void> {
  const { bed, namespace } = scene;
  const owned = (await bed.client.list(RESOURCES.replicaSet, { namespace })).items;
  t.equal(owned.length, 3);
  await kubectl(bed, ["-n", namespace, "delete", "rollout", NAME]);
  await poll("ReplicaSets and pods are collected", async () => {
    const sets = await bed.client.list(RESOURCES.replicaSet, { namespace });
    const pods = await bed.client.list(RESOURCES.pod, { namespace });
    return sets.items.length + pods.items.length === 0;
  });
}

/** Not one right was missing, not one event lost. */
function checkLog(t: Test, controller: Program): void {
  t.notMatch(controller.output(), /^\S+ (warn|error) |forbidden/im);
}

async function leadsOnceItsNamespaceIsThere(t: Test, { bed }: KubernetesScene): Promise<void> {
  const flags = ["--own-namespace", "elsewhere", "--xds-host", "127.0.0.1", "--xds-port", "18000"];
  const controller = weirInside(t, bed, ["controller", "--kubeconfig", bed.innerKubeconfig, ...flags]);
  const said = await controller.said(/ warn /);
  t.match(said, /namespaces \\?"elsewhere\\?" not found/, "it says what is missing");
  await kubectl(bed, ["create", "namespace", "elsewhere"]);
  await controller.said(/started leading lease=elsewhere/);
  t.equal(await controller.end("SIGTERM"), 0);
  t.equal(
    (await bed.client.get(RESOURCES.lease, { namespace: SYSTEM, name: "argo-rollouts-controller-lock" }))
      ?.kind,
    "Lease",
  );
}
