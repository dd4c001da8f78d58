// A small release for tests of the whole program: one pod of the demo app, released by `weir up`, and looks at its pods.
import type { Test } from "tap";
import { RESOURCES, readPod } from "../../src/api/api.ts";
import { type ClusterClient, connectCluster } from "../../src/cluster/client.ts";
import { type RunningUp, startUp, stateFolder } from "./up.ts";

export interface Web {
  readonly tag?: string;
  readonly image?: string;
  readonly command?: string;
  readonly canary?: string;
  /** Whether it is probed on its port. Default true. */
  readonly isProbed?: boolean;
}

/** A Rollout of one pod without traffic routing. */
export function web({
  tag = "blue",
  image = `argoproj/rollouts-demo:${tag}`,
  command,
  canary = "",
  isProbed = true,
}: Web = {}): string {
  return `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: web
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: web
          image: ${image}
${command === undefined ? "" : `          command: ${command}\n`}          ports: [{ containerPort: 8080 }]
${isProbed ? "          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }\n" : ""}  strategy:
    canary:
      maxUnavailable: 0
${canary === "" ? "" : `      ${canary}\n`}      steps:
        - setWeight: 50
`;
}

export async function running(t: Test): Promise<{ readonly up: RunningUp; readonly client: ClusterClient }> {
  const up = await startUp(await stateFolder(t));
  const cluster = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(() => cluster.close());
  return { up, client: cluster.client };
}

export async function released(t: Test, up: RunningUp): Promise<void> {
  t.match(await up.weir(["apply", "-f", "-"], web()), { code: 0 });
  t.match(await up.weir(["status", "web", "--timeout", "30s"]), { code: 0 });
}

/** Pods by name: uid, restarts, and the reason and words of a container that does not run. */
export async function pods(client: ClusterClient): Promise<Map<string, string>> {
  const { items } = await client.list(RESOURCES.pod, { namespace: "default" });
  return new Map(
    items.map((item) => {
      const { metadata, status } = readPod(item).value;
      const [container] = status?.containerStatuses ?? [];
      const waiting = container?.state?.waiting;
      const words = waiting === undefined ? "running" : `${waiting.reason}: ${waiting.message}`;
      return [metadata.name, `${metadata.uid} ${words}`];
    }),
  );
}

export async function until<Found>(words: string, look: () => Promise<Found | undefined>): Promise<Found> {
  for (const deadlineMs = Date.now() + 30_000; Date.now() < deadlineMs; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not in time: ${words}`);
}
