// Leadership by Lease on a real Kubernetes control plane: two controllers as processes, a canary in mid-flight, load on its gateway. The
// leader is killed: the standby takes over when the Lease has run out and finishes the rollout. The next one is asked to end: it gives the
// Lease back at once.
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES, type Rollout } from "../../src/api/api.ts";
import { isObject } from "../../src/lib/json.ts";
import {
  answers,
  isSettled,
  type KubernetesScene,
  type Program,
  SYSTEM,
  startKubernetesScene,
} from "../support/onkubernetes.ts";
import { gateway, rollout, services } from "../support/shop.ts";

const TIMEOUT_MS = 120_000;
const NAME = "shop";
const PORTS = [18_000, 18_001];
/** The shipped duration of the Lease, and how long a candidate may take to look again (and this machine to run it). */
const LEASE_MS = 15_000;
const SLACK_MS = 10_000;
/** A candidate looks every 2 s to 2.4 s; far less than waiting for the Lease to run out. */
const RELEASE_MS = 8_000;

test("test bed: a standby finishes the rollout of a killed leader, and a leader that ends hands over at once", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const scene = await startKubernetesScene(t);
  if (scene === undefined) return;
  const first = await scene.startController("ctl-a", 18_000);
  await first.said(/ leading rollouts=/);
  const second = await scene.startController("ctl-b", 18_001);
  await scene.apply(...services(NAME), gateway("edge", 8000), shop("blue"));
  await scene.startProxy("edge", 9901, PORTS);
  await scene.until(NAME, isSettled("Healthy"));
  await answers(scene.bed, 8000, NAME);
  const load = scene.startLoad([8000], 100, NAME);
  await scene.apply(shop("green"));
  const green = (await scene.until(NAME, isPausedAt20)).status.currentPodHash;
  t.match(await lease(scene), { holderIdentity: "ctl-a", leaseDurationSeconds: 15, leaseTransitions: 0 });
  t.notMatch(second.output(), /applied|started leading/, "a standby writes nothing");

  await takesOver(t, scene, first, second, String(green));
  await handsOver(t, scene, second);

  await load.end("SIGTERM");
  const total =
    load
      .output()
      .split("\n")
      .find((line) => line.startsWith('{"total"')) ?? "{}";
  t.match(
    JSON.parse(total),
    { failed: 0, retried: 0, failures: {}, sent: Number },
    "no request failed meanwhile",
  );
});

function shop(version: string): KubeObject {
  return rollout({ name: NAME, version, steps: [{ setWeight: 20 }, { pause: {} }], isRouted: true });
}

const isPausedAt20 = (seen: Rollout): boolean =>
  isSettled("Paused")(seen) &&
  seen.status.canary?.weights?.verified === true &&
  seen.status.canary.weights.canary.weight === 20;

/** The leader is killed, and the user promotes while nobody leads. */
async function takesOver(
  t: Test,
  scene: KubernetesScene,
  first: Program,
  second: Program,
  green: string,
): Promise<void> {
  t.equal(await first.end("SIGKILL"), null);
  const killedMs = Date.now();
  t.equal((await scene.weir("promote", NAME)).code, 0);
  await second.said(/ started leading /);
  const afterMs = Date.now() - killedMs;
  t.ok(
    afterMs > LEASE_MS - SLACK_MS && afterMs < LEASE_MS + SLACK_MS,
    `took over ${afterMs} ms after the kill`,
  );
  const healthy = await scene.until(NAME, isSettled("Healthy"));
  t.match(healthy.status, { stableRS: green, canary: { weights: { verified: true } } });
  t.match(await lease(scene), { holderIdentity: "ctl-b", leaseTransitions: 1 });
}

/** The leader is asked to end; its successor carries on with a new update. */
async function handsOver(t: Test, scene: KubernetesScene, second: Program): Promise<void> {
  const third = await scene.startController("ctl-c", 18_000);
  await third.said(/leader changed .*leader=ctl-b/);
  t.equal(await second.end("SIGTERM"), 0);
  const endedMs = Date.now();
  await third.said(/ started leading /);
  t.ok(Date.now() - endedMs < RELEASE_MS, `took over ${Date.now() - endedMs} ms after the end`);
  t.match(await lease(scene), { holderIdentity: "ctl-c", leaseTransitions: 2 });
  await scene.apply(shop("red"));
  await scene.until(NAME, isPausedAt20);
  t.equal((await scene.weir("abort", NAME)).code, 0);
  const aborted = await scene.until(NAME, isSettled("Degraded"));
  t.match(aborted.status.canary?.weights, { canary: { weight: 0 } });
  for (const controller of [second, third]) t.notMatch(controller.output(), /forbidden|^\S+ error /im);
}

async function lease({ bed }: KubernetesScene): Promise<unknown> {
  const ref = { namespace: SYSTEM, name: "argo-rollouts-controller-lock" };
  const found = await bed.client.get(RESOURCES.lease, ref);
  return isObject(found?.spec) ? found.spec : undefined;
}
