// weir's apply and kubectl's understand each other: each sees the other's work as its own, on both servers.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { applyObject, type ClusterClient, connectCluster } from "../../src/cluster/client.ts";
import { createEmbeddedServer } from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { requireBinaries, startTestBed } from "../support/testbed.ts";
import { aConfigMap, aReplicaSet, aRollout } from "./scene.ts";

interface Scene {
  readonly client: ClusterClient;
  readonly namespace: string;
  kubectl(args: readonly string[], input?: string): Promise<{ code: number; stdout: string; stderr: string }>;
}

async function understandEachOther(t: Test, { client, namespace, kubectl }: Scene): Promise<void> {
  const manifests = (image: string): KubeObject[] => {
    const replicaSet = structuredClone(aReplicaSet(namespace, "rs"));
    Object(replicaSet.spec).template.spec.containers[0].image = image;
    const rollout = structuredClone(aRollout(namespace, "r"));
    Object(rollout.spec).template.spec.containers[0].image = image;
    const ports = [{ name: "http", port: 80, targetPort: 8080 }];
    const metadata = { name: "s", namespace };
    const service = { apiVersion: "v1", kind: "Service", metadata, spec: { selector: { app: "r" }, ports } };
    return [replicaSet, rollout, service, aConfigMap(namespace, "c", { v: image, a: "b" })];
  };
  const apply = async (image: string): Promise<string[]> => {
    const results: string[] = [];
    for (const manifest of manifests(image)) results.push((await applyObject(client, manifest)).result);
    return results;
  };
  const kubectlApply = async (image: string): Promise<string[]> => {
    const list = { apiVersion: "v1", kind: "List", items: manifests(image) };
    const { code, stdout, stderr } = await kubectl(["apply", "-f", "-"], JSON.stringify(list));
    t.equal(code, 0, stderr);
    t.notMatch(stderr, /missing the kubectl.kubernetes.io\/last-applied-configuration/);
    return stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" ").at(-1) ?? "");
  };
  const all = (word: string): string[] => Array<string>(4).fill(word);
  t.strictSame(await apply("web:1"), all("created"));
  t.strictSame(await kubectlApply("web:1"), all("unchanged"), "kubectl after weir");
  t.strictSame((await kubectlApply("web:2")).slice(0, 2), ["configured", "configured"]);
  t.strictSame(await apply("web:2"), all("unchanged"), "weir after kubectl");
  t.strictSame((await apply("web:3")).slice(0, 2), ["configured", "configured"]);
  t.strictSame(await kubectlApply("web:3"), all("unchanged"), "kubectl after weir's change");
  const found = await client.get(RESOURCES.rollout, { namespace, name: "r" });
  t.match(found, { spec: { template: { spec: { containers: [{ image: "web:3" }] } } } });
}

test("apply: weir and kubectl see each other's work as their own on Kubernetes", async (t) => {
  const bed = await startTestBed(t);
  if (bed === undefined) return;
  await understandEachOther(t, {
    client: bed.client,
    namespace: await bed.namespace(),
    kubectl: bed.kubectl,
  });
});

test("apply: weir and kubectl see each other's work as their own on the embedded server", async (t) => {
  const binaries = await requireBinaries(t);
  if (binaries === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "weir-kubectl-"));
  const server = await createEmbeddedServer({ stateDir: ":memory:", clock: systemClock, log: silentLogger });
  const kubeconfig = join(folder, "kubeconfig");
  server.writeKubeconfig(kubeconfig, await server.listen({ port: 0 }));
  const { client, close } = await connectCluster({ kubeconfig, env: {} });
  t.teardown(async () => {
    await close();
    await server.close();
    await rm(folder, { recursive: true });
  });
  const options = { timeout: 60_000, env: { KUBECONFIG: kubeconfig, HOME: folder } };
  await understandEachOther(t, {
    client,
    namespace: "default",
    kubectl: (args, input) =>
      new Promise((resolve) => {
        const child = execFile(join(binaries, "kubectl"), [...args], options, (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : 1, stdout, stderr }),
        );
        child.stdin?.end(input ?? "");
      }),
  });
});
