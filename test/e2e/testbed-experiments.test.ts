// Experiments on a real Kubernetes control plane, with the rights of the shipped roles only: as the step of a canary, and alone with a Service,
// a quota's refusal, a changed spec and another run. The API server fills in defaults, which must not look like changes.
import { type Test, test } from "tap";
import { type Experiment, type KubeObject, RESOURCES, readExperiment } from "../../src/api/api.ts";
import {
  isSettled,
  type KubernetesScene,
  kubectl,
  poll,
  startKubernetesScene,
} from "../support/onkubernetes.ts";
import { rollout } from "../support/shop.ts";

const TIMEOUT_MS = 150_000;
const NAME = "web";

test("test bed: Experiments as a step and alone, with the shipped rights alone", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const apiServerFlags = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"];
  const scene = await startKubernetesScene(t, { apiServerFlags });
  if (scene === undefined) return;
  const controller = await scene.startController("ctl", 18_000);
  await asStep(t, scene);
  await alone(t, scene);
  t.notMatch(controller.output(), /^\S+ error |cannot (?:list|watch|get|create|patch|update|delete) /im);
  await refused(t, scene);
  t.equal(await controller.end("SIGTERM"), 0);
});

async function until(
  { bed, namespace }: KubernetesScene,
  name: string,
  isWanted: (experiment: Experiment) => boolean,
): Promise<Experiment> {
  return poll(`Experiment ${name}`, async () => {
    const object = await bed.client.get(RESOURCES.experiment, { namespace, name });
    const experiment = object && readExperiment(object).value;
    return experiment !== undefined && isWanted(experiment) ? experiment : undefined;
  });
}

const isIn =
  (phase: string) =>
  ({ status }: Experiment): boolean =>
    status.phase === phase;
const isInvalid = ({ status }: Experiment): boolean =>
  status.conditions?.some(({ type }) => type === "InvalidSpec") === true;

async function asStep(t: Test, scene: KubernetesScene): Promise<void> {
  const templates = [
    { name: "baseline", specRef: "stable" },
    { name: "trial", specRef: "canary" },
  ];
  const steps = [
    { setWeight: 50 },
    { experiment: { templates, duration: "2s", scaleDownDelaySeconds: 1 } },
    { pause: {} },
  ];
  const web = (version: string) => rollout({ name: NAME, version, replicas: 2, steps });
  await scene.apply(web("blue"));
  await scene.until(NAME, isSettled("Healthy"));
  await scene.apply(web("green"));
  const { status } = await scene.until(NAME, (seen) => seen.status.canary?.currentExperiment !== undefined);
  const name = status.canary?.currentExperiment ?? "";
  const running = await until(scene, name, isIn("Running"));
  t.same(
    running.status.templateStatuses?.map((one) => [one.name, one.status, one.availableReplicas]),
    [
      ["baseline", "Running", 1],
      ["trial", "Running", 1],
    ],
  );
  t.notOk(isInvalid(running), "defaults of the API server are no change");
  const paused = await scene.until(NAME, isSettled("Paused"));
  t.equal(paused.status.currentStepIndex, 2);
  t.match(await until(scene, name, isIn("Successful")), { status: { phase: "Successful" } });
  await until(scene, name, (one) =>
    (one.status.templateStatuses ?? []).every(({ replicas }) => replicas === 0),
  );
}

function duel(version: string): KubeObject {
  const { template } = rollout({ name: "duel", version, steps: [] }).spec as { readonly template: object };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Experiment",
    metadata: { name: "duel" },
    spec: {
      scaleDownDelaySeconds: 0,
      templates: [{ name: "canary", selector: { matchLabels: { app: "duel" } }, service: {}, template }],
    },
  };
}

async function alone(t: Test, scene: KubernetesScene): Promise<void> {
  const { bed, namespace } = scene;
  await scene.apply(duel("blue"));
  const running = await until(scene, "duel", isIn("Running"));
  const [template] = running.status.templateStatuses ?? [];
  t.match(template, { name: "canary", status: "Running", serviceName: "duel-canary" });
  const service = await bed.client.get(RESOURCES.service, { namespace, name: "duel-canary" });
  t.match(service?.metadata.ownerReferences, [{ kind: "Experiment", name: "duel" }]);
  t.match(await kubectl(bed, ["-n", namespace, "get", "exp"]), /NAME +STATUS +AGE\n(?:.*\n)*duel +Running /);

  await scene.apply(duel("green"));
  const changed = await until(scene, "duel", isInvalid);
  t.equal(changed.status.phase, "Running", "what runs goes on");
  const end = JSON.stringify({ spec: { terminate: true } });
  await kubectl(bed, ["-n", namespace, "patch", "exp", "duel", "--type=merge", "-p", end]);
  await until(scene, "duel", isIn("Successful"));
  await poll("the Service is gone", async () => {
    const left = await bed.client.get(RESOURCES.service, { namespace, name: "duel-canary" });
    return left === undefined;
  });

  const again = JSON.stringify({ spec: { terminate: false } });
  await kubectl(bed, ["-n", namespace, "patch", "exp", "duel", "--type=merge", "-p", again]);
  const { code, stderr } = await scene.weir("retry", "experiment", "duel");
  t.equal(code, 0, stderr);
  const rerun = await until(scene, "duel", isIn("Running"));
  t.notOk(isInvalid(rerun), "it runs as it is written now");
  const set = await bed.client.get(RESOURCES.replicaSet, { namespace, name: "duel-canary" });
  t.match(JSON.stringify(set?.spec), /rollouts-demo:green/);
}

/** What the API server refuses for good is an Error with its words. */
async function refused(t: Test, scene: KubernetesScene): Promise<void> {
  const broken = duel("blue");
  const { templates } = broken.spec as { readonly templates: readonly object[] };
  const bad = {
    metadata: { labels: { app: "duel" } },
    spec: { containers: [{ name: "Not A Name", image: "x" }] },
  };
  const spec = { templates: [{ ...templates[0], template: bad }] };
  await scene.apply({ ...broken, metadata: { name: "broken" }, spec });
  const { status } = await until(scene, "broken", isIn("Error"));
  t.match(status.message, /Failed to create ReplicaSet for template 'canary': .*Not A Name/);
}
