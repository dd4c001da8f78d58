// A gradual abort on the embedded server, under load: stable had shrunk to nothing, and its traffic comes back as its pods do, step by step,
// without a request lost.
import { test } from "tap";
import { RESOURCES, readReplicaSet, readRollout } from "../../src/api/api.ts";
import { connectCluster } from "../../src/cluster/client.ts";
import { baseManifests, rolloutManifest, until, untilServing } from "../crash/bed.ts";
import { startLoad } from "../crash/load.ts";
import { freePorts } from "../support/ports.ts";
import { startUp, stateFolder } from "../support/up.ts";

const namespace = "default";
const WAIT_MS = 40_000;

/** All traffic to the new version at once, then wait; the stable version shrinks with its share. */
function gradual(manifest: string): string {
  return manifest
    .replace(
      "  name: demo\n",
      '  name: demo\n  annotations: { weir.dev/abort-step: "40", weir.dev/abort-interval: 2s }\n',
    )
    .replace(/scaleDownDelaySeconds: \d+/, "dynamicStableScale: true")
    .replace(/steps:[\s\S]*$/, "steps: [{ setWeight: 100 }, { pause: {} }]\n");
}

test("gradual abort: traffic comes back in steps, no faster than pods, and no request is lost", {
  timeout: 110_000,
}, async (t) => {
  const up = await startUp(await stateFolder(t));
  const ports = await freePorts();
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const weights = async () => {
    const object = await client.get(RESOURCES.rollout, { namespace, name: "demo" });
    return object === undefined ? undefined : readRollout(object).value.status;
  };
  t.match(await up.weir(["apply", "-f", "-"], await baseManifests(ports)), { code: 0 });
  t.match(await up.weir(["status", "demo", "--timeout", "40s"]), { code: 0 });
  await untilServing(ports);
  const load = startLoad(ports, 100);
  t.match(await up.weir(["apply", "-f", "-"], gradual(await rolloutManifest("green"))), { code: 0 });
  const stableHash = await until(
    "the new version has everything, the stable one no pods",
    WAIT_MS,
    async () => {
      const status = await weights();
      const { items } = await client.list(RESOURCES.replicaSet, { namespace });
      const stable = items
        .map((item) => readReplicaSet(item).value)
        .find(({ metadata }) => metadata.name.endsWith(`-${status?.stableRS}`));
      const isGone = status?.canary?.weights?.canary.weight === 100 && stable?.status.replicas === 0;
      return isGone ? status.stableRS : undefined;
    },
  );

  const seen: number[] = [];
  const abort = up.weir(["abort", "demo"]);
  await until("all traffic is back", WAIT_MS, async () => {
    const status = await weights();
    const weight = status?.canary?.weights?.canary.weight ?? -1;
    if (seen.at(-1) !== weight) seen.push(weight);
    const { items } = await client.list(RESOURCES.replicaSet, { namespace });
    const stable = items
      .map((item) => readReplicaSet(item).value)
      .find(({ metadata }) => metadata.name.endsWith(`-${stableHash}`));
    const carried = 100 - Math.floor(((stable?.status.availableReplicas ?? 0) * 100) / 4);
    if (weight < carried)
      t.fail(`${100 - weight} % of the traffic for ${stable?.status.availableReplicas} of 4 pods`);
    return weight === 0 ? true : undefined;
  });
  await abort;
  t.equal(seen[0], 100);
  t.ok(seen.length >= 4, `three steps or more: ${seen.join(", ")}`);
  for (const [at, weight] of seen.entries()) {
    const before = seen[at - 1] ?? 100;
    t.ok(weight <= before && before - weight <= 40, `${before} to ${weight}`);
  }
  const { failures, sent } = await load.stop();
  t.ok(sent > 300, `${sent} requests`);
  t.strictSame(failures, []);
});
