// What a user does with a Rollout after its first day, by the CLI against the embedded server: another image, a restart, back to a former
// revision; the same with the pod template in another object.
import { type Test, test } from "tap";
import { type KubeObject, POD_HASH_LABEL, RESOURCES, type Rollout, readRollout } from "../../src/api/api.ts";
import { type ClusterClient, connectCluster } from "../../src/cluster/client.ts";
import { asObject } from "../../src/lib/json.ts";
import { until } from "../crash/bed.ts";
import { rollout as manifest } from "../support/shop.ts";
import { type RunningUp, startUp, stateFolder } from "../support/up.ts";

const WAIT_MS = 45_000;
const namespace = "default";

interface Scene {
  readonly up: RunningUp;
  readonly client: ClusterClient;
  /** Waits for a phase that was decided upon the spec as it stands. */
  reach(name: string, phase: string, isWanted?: (rollout: Rollout) => boolean): Promise<Rollout>;
  apply(...objects: readonly KubeObject[]): Promise<void>;
  weir(...args: readonly string[]): Promise<string>;
}

test("life: another image, a restart and an undo, by the CLI", { timeout: 170_000 }, async (t) => {
  const scene = await startScene(t);
  await scene.apply(web("blue"));
  const blue = (await scene.reach("web", "Healthy")).status.stableRS ?? "";

  t.match(await scene.weir("set", "image", "web", "app=argoproj/rollouts-demo:green"), /"web" image updated/);
  const paused = await scene.reach("web", "Paused", ({ status }) => status.currentPodHash !== blue);
  const green = paused.status.currentPodHash ?? "";
  await scene.weir("promote", "web");
  await scene.reach("web", "Healthy", ({ status }) => status.stableRS === green);

  await restart(t, scene, green);

  t.match(await scene.weir("undo", "web"), /rollout 'web' undo/);
  const back = await scene.reach("web", "Paused", ({ status }) => status.currentPodHash === blue);
  t.equal(
    back.metadata.annotations?.["rollout.argoproj.io/revision"],
    "3",
    "an old version comes back as a new revision",
  );
  t.match(await scene.weir("undo", "web", "--to-revision", "3"), /skipped rollback/);
  const { code, stderr } = await scene.up.weir(["undo", "web", "--to-revision", "1"]);
  t.match({ code, stderr }, { code: 2, stderr: /unable to find specified revision 1 in history/ });
});

test("life: a Rollout with the template of a ReplicaSet, which set image and undo change", {
  timeout: 170_000,
}, async (t) => {
  const scene = await startScene(t);
  const { spec = {} } = web("blue") as { spec?: Record<string, unknown> }; // as this file makes it
  const { template, selector, ...own } = spec;
  const base = { apiVersion: "apps/v1", kind: "ReplicaSet", metadata: { name: "base" } };
  await scene.apply(
    {
      ...web("blue"),
      spec: { ...own, workloadRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "base" } },
    },
    { ...base, spec: { replicas: 0, selector, template } },
  );
  const blue = (await scene.reach("web", "Healthy")).status.stableRS ?? "";
  t.match(
    await scene.weir("set", "image", "web", "app=argoproj/rollouts-demo:green"),
    /"base" image updated/,
  );
  await scene.reach("web", "Paused", ({ status }) => status.currentPodHash !== blue);
  t.match(await scene.weir("undo", "rollout/web", "--to-revision", "1"), /rollout 'web' undo/);
  const healthy = await scene.reach("web", "Healthy", ({ status }) => status.currentPodHash === blue);
  const held = await scene.client.get(RESOURCES.rollout, { namespace, name: "web" });
  t.notOk("template" in asObject(held?.spec), "the template is never written into the spec");
  const workload = await scene.client.get(RESOURCES.replicaSet, { namespace, name: "base" });
  t.equal(healthy.status.workloadObservedGeneration, String(workload?.metadata.generation));
});

async function restart(t: Test, scene: Scene, version: string): Promise<void> {
  const before = await pods(scene, version);
  t.match(await scene.weir("restart", "web"), /rollout 'web' restarts in 0s/);
  const restarted = await scene.reach(
    "web",
    "Healthy",
    ({ spec, status }) => spec.restartAt === status.restartedAt,
  );
  t.equal(restarted.status.stableRS, version);
  const after = await until("the new pods", WAIT_MS, async () => {
    const now = await pods(scene, version);
    return now.length === before.length ? now : undefined;
  });
  t.strictSame(
    after.filter((uid) => before.includes(uid)),
    [],
    "no pod of before is left",
  );
  t.match(await scene.weir("restart", "web", "--in", "1h"), /restarts in 1h/);
  const later = await scene.reach(
    "web",
    "Progressing",
    ({ status }) => status.message === "rollout is restarting",
  );
  t.not(later.spec.restartAt, later.status.restartedAt);
  t.strictSame(await pods(scene, version), after);
}

async function pods({ client }: Scene, version: string): Promise<readonly string[]> {
  const { items } = await client.list(RESOURCES.pod, {
    namespace,
    labelSelector: `${POD_HASH_LABEL}=${version}`,
  });
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.uid ?? "")
    .sort();
}

function web(version: string): KubeObject {
  return manifest({ name: "web", version, replicas: 2, steps: [{ setWeight: 50 }, { pause: {} }] });
}

async function startScene(t: Test): Promise<Scene> {
  const up = await startUp(await stateFolder(t));
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const weir = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await up.weir(args, input);
    t.equal(code, 0, stderr);
    return stdout;
  };
  return {
    up,
    client,
    weir: (...args) => weir(args),
    async apply(...items) {
      await weir(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    },
    reach: (name, phase, isWanted = () => true) =>
      until(`${name} is ${phase}`, WAIT_MS, async () => {
        const object = await client.get(RESOURCES.rollout, { namespace, name });
        const rollout = object === undefined ? undefined : readRollout(object).value;
        if (rollout?.status.phase !== phase || !isWanted(rollout)) return undefined;
        return rollout.status.observedGeneration === String(rollout.metadata.generation)
          ? rollout
          : undefined;
      }),
  };
}
