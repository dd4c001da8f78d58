// The node agent as a client of a real Kubernetes control plane: its scheduler binds pods to the agent's node, its controllers make
// and collect them, its EndpointSlices lead to processes that answer. All inside a network namespace of the test's own.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { isPodReady, readPod } from "../../src/embedded/agent/podspec.ts";
import { startTestBed, type TestBed } from "../support/testbed.ts";

const TIMEOUT_MS = 110_000;

const deployment = (replicas: number): string =>
  JSON.stringify({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "demo" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "demo" } },
      template: {
        metadata: { labels: { app: "demo" } },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: "demo",
              image: "argoproj/rollouts-demo:yellow",
              ports: [{ name: "http", containerPort: 8080 }],
              readinessProbe: { periodSeconds: 1, httpGet: { path: "/healthz", port: "http" } },
            },
          ],
        },
      },
    },
  });

const service = JSON.stringify({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "demo" },
  spec: { selector: { app: "demo" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
});

interface Slice {
  readonly endpoints?: readonly {
    readonly addresses: readonly string[];
    readonly conditions: { readonly ready: boolean };
  }[];
  readonly ports?: readonly { readonly port: number }[];
}

function startAgent(t: Test, bed: TestBed): void {
  const launcher = new URL("../../src/weir.js", import.meta.url).pathname;
  const argv = [process.execPath, launcher, "agent", "--kubeconfig", bed.innerKubeconfig, "--node", "local"];
  const more = ["--dir", join(bed.folder, "agent"), "--pod-cidr", "10.244.0.0/16", "--log-level", "warn"];
  const [command = "", ...args] = bed.netns?.inside([...argv, ...more]) ?? [];
  const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  t.teardown(async () => {
    child.kill("SIGTERM");
    await exited;
  });
}

async function until<T>(read: () => Promise<T>, isWanted: (value: T) => boolean): Promise<T> {
  for (const deadlineMs = Date.now() + 45_000; ; ) {
    const value = await read();
    if (isWanted(value)) return value;
    if (Date.now() > deadlineMs) throw new Error(`not as wanted: ${JSON.stringify(value, undefined, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("agent: serves a real control plane: scheduled pods run, are ready, answer at their own addresses, and end", async (t) => {
  t.setTimeout(TIMEOUT_MS);
  const bed = await startTestBed(t, {
    hasControllers: true,
    hasScheduler: true,
    isInNamespace: true,
    hasCrds: false,
  });
  if (bed === undefined) return;
  const { client } = bed;
  startAgent(t, bed);
  const namespace = await bed.namespace();
  for (const manifest of [deployment(2), service]) {
    const { code, stderr } = await bed.kubectl(["-n", namespace, "apply", "-f", "-"], manifest);
    t.equal(code, 0, stderr);
  }
  const pods = async (): Promise<readonly KubeObject[]> =>
    (await client.list(RESOURCES.pod, { namespace })).items;
  const ready = await until(
    pods,
    (found) => found.length === 2 && found.every((pod) => isPodReady(readPod(pod))),
  );
  t.match(
    ready.map((pod) => readPod(pod).spec.nodeName),
    ["local", "local"],
  );
  const slices = await until(
    async () =>
      (await client.list(RESOURCES.endpointSlice, { namespace })).items as unknown as readonly Slice[],
    (found) =>
      found.flatMap(({ endpoints = [] }) => endpoints).filter(({ conditions }) => conditions.ready).length ===
      2,
  );
  const addresses = slices.flatMap(({ endpoints = [], ports = [] }) =>
    endpoints.map(({ addresses: [host = ""] }) => ({ host, port: ports[0]?.port ?? 0 })),
  );
  t.equal(new Set(addresses.map(({ host }) => host)).size, 2);
  for (const { host, port } of addresses) {
    t.match(host, /^10\.244\./);
    t.equal(port, 8080);
    const forwarded = await bed.netns?.forward(host, port);
    t.equal(await (await fetch(`http://127.0.0.1:${forwarded}/color`)).text(), '"yellow"\n');
  }
  const leases = await client.list(RESOURCES.lease, { namespace: "kube-node-lease" });
  t.match(leases.items, [{ metadata: { name: "local" }, spec: { holderIdentity: "local" } }]);
  const described = await bed.kubectl(["-n", namespace, "get", "pods", "-o", "wide", "--no-headers"]);
  t.match(described.stdout, /1\/1 +Running +0 .*10\.244\.\d+\.\d+ +local/);
  t.equal((await bed.kubectl(["-n", namespace, "delete", "deployment", "demo", "--wait=false"])).code, 0);
  t.equal((await until(pods, (found) => found.length === 0)).length, 0);
});
