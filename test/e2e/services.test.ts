// What users own stays theirs and may go at any moment: routes are never written to, and a canary Service deleted in mid-flight harms nobody.
import { test } from "tap";
import { type KubeObject, RESOURCES, readRollout } from "../../src/api/api.ts";
import { type ClusterClient, connectCluster } from "../../src/cluster/client.ts";
import { baseManifests, pause, rolloutManifest, until, untilServing } from "../crash/bed.ts";
import { startLoad } from "../crash/load.ts";
import { freePorts } from "../support/ports.ts";
import { startUp, stateFolder } from "../support/up.ts";

const namespace = "default";
const WAIT_MS = 30_000;

async function owned(client: ClusterClient): Promise<readonly string[]> {
  const objects: KubeObject[] = [];
  for (const type of [RESOURCES.httpRoute, RESOURCES.gateway])
    objects.push(...(await client.list(type)).items);
  return objects
    .map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`)
    .sort();
}

test("services: a deleted canary Service harms nobody, and routes are never edited", {
  timeout: 110_000,
}, async (t) => {
  const up = await startUp(await stateFolder(t));
  const ports = await freePorts();
  const apply = async (manifest: string): Promise<void> => {
    const { code, stderr } = await up.weir(["apply", "-f", "-"], manifest);
    t.equal(code, 0, stderr);
  };
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const rollout = async () => {
    const object = await client.get(RESOURCES.rollout, { namespace, name: "demo" });
    return object === undefined ? undefined : readRollout(object).value;
  };

  await apply(await baseManifests(ports));
  // A gateway listens before the first pod is ready.
  t.match(await up.weir(["status", "demo", "--timeout", "40s"]), { code: 0 });
  await untilServing(ports);
  const before = await owned(client);
  const load = startLoad(ports, 100);
  // The first pause has no end, so that the canary stays at its first weight.
  await apply(
    (await rolloutManifest("green")).replace(/duration: \S+/, "{}").replace(/pause:\s+\{\}/, "pause: {}"),
  );
  await until("the canary has its weight in every proxy", WAIT_MS, async () => {
    const weights = (await rollout())?.status.canary?.weights;
    return weights?.canary.weight === 20 && weights.verified === true ? true : undefined;
  });
  const service = await client.get(RESOURCES.service, { namespace, name: "demo-canary" });
  await client.delete(RESOURCES.service, { namespace, name: "demo-canary" });
  await until("the missing Service is said", WAIT_MS, async () => {
    const status = (await rollout())?.status;
    const isSaid = status?.phase === "Degraded" && /"demo-canary" not found/.test(status.message ?? "");
    return isSaid ? true : undefined;
  });
  await pause(2_000);
  const { name, labels } = service?.metadata ?? { name: "demo-canary" };
  const spec = { ...(service?.spec as object), clusterIP: undefined }; // spec of a Service is an object
  const metadata = { name, namespace, ...(labels !== undefined && { labels }) };
  await client.create(RESOURCES.service, { apiVersion: "v1", kind: "Service", metadata, spec });
  await until("it recovers by itself", WAIT_MS, async () =>
    (await rollout())?.status.phase === "Paused" ? true : undefined,
  );
  await up.weir(["promote", "demo", "--full"]);
  await until("it is promoted", WAIT_MS, async () =>
    (await rollout())?.status.phase === "Healthy" ? true : undefined,
  );

  const { failures, sent } = await load.stop();
  t.ok(sent > 300, `${sent} requests`);
  t.strictSame(failures, []);
  t.strictSame(await owned(client), before, "no Gateway and no HTTPRoute was written to");
});
