// A stock Envoy in the place of weir's own proxy: it follows a real Rollout of a running `weir up` step by step, measured at the backends,
// and a step waits for its acknowledgement as for any proxy's.

import { Agent, get } from "node:http";
import { test } from "tap";
import { type KubeObject, RESOURCES, type Rollout, readRollout } from "../../src/api/api.ts";
import { type ClusterClient, connectCluster } from "../../src/cluster/client.ts";
import { gatewayBootstrap } from "../../src/embedded/gateway/bootstrap.ts";
import { createGatewayController, PROXY_ANNOTATION } from "../../src/embedded/gateway/gateways.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { requireEnvoy, startEnvoy } from "../support/envoy.ts";
import { freePort } from "../support/ports.ts";
import { startUp, stateFolder } from "../support/up.ts";
import { workloadBed } from "../support/workloads.ts";

const NODE = "default/envoy-1";
const LANES = 8;

const manifests = (port: number, tag: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: web, annotations: { ${PROXY_ANNOTATION}: none } }
spec: { gatewayClassName: weir, listeners: [{ name: http, protocol: HTTP, port: ${port} }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec:
  parentRefs: [{ name: web }]
  hostnames: [shop.example]
  rules: [{ backendRefs: [{ name: shop, port: 80 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: shop }
spec: { selector: { app: shop }, ports: [{ name: http, port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Service
metadata: { name: shop-canary }
spec: { selector: { app: shop }, ports: [{ name: http, port: 80, targetPort: http }] }
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec:
      containers:
        - name: shop
          image: argoproj/rollouts-demo:${tag}
          ports: [{ name: http, containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1 }
  strategy:
    canary:
      stableService: shop
      canaryService: shop-canary
      scaleDownDelaySeconds: 1
      trafficRouting: { plugins: { weir.dev/proxy: {} } }
      steps: [{ setWeight: 20 }, { pause: {} }, { setWeight: 60 }, { pause: {} }]
`;

/** Answers of `count` requests by version; a status but 200 counts as itself, a broken connection as its error. */
async function answers(port: number, agent: Agent, count: number): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (answer: string): void => {
        found[answer] = (found[answer] ?? 0) + 1;
        resolve();
      };
      const request = get({ port, agent, path: "/color", headers: { host: "shop.example" } }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.once("end", () =>
          done(response.statusCode === 200 ? body.trim() : `${response.statusCode}`),
        );
      });
      request.once("error", (error) => done(error.message));
    });
  const lane = async (): Promise<void> => {
    for (let sent = 0; sent < count / LANES; sent += 1) await one();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return found;
}

/** Waits until the Rollout is as wanted; fails with its last state. */
async function untilRollout(
  client: ClusterClient,
  isWanted: (rollout: Rollout) => boolean,
  what: string,
  timeoutMs = 60_000,
): Promise<Rollout> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const object = await client.get(RESOURCES.rollout, { namespace: "default", name: "shop" });
    if (object === undefined) throw new Error("the Rollout is gone");
    const rollout = readRollout(object).value;
    if (isWanted(rollout)) return rollout;
    if (Date.now() > deadlineMs)
      throw new Error(`${what}: not seen; ${JSON.stringify(rollout.status, undefined, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const standsAt =
  (index: number) =>
  ({ status }: Rollout): boolean =>
    status.phase === "Paused" && status.currentStepIndex === index;

test("envoy: a Rollout's weights reach a stock Envoy, and a step waits for its acknowledgement", {
  timeout: 240_000,
}, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const up = await startUp(await stateFolder(t));
  const connection = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(() => connection.close());
  const { client } = connection;
  const [port, adminPort] = [await freePort(), await freePort()];
  const apply = (tag: string) => up.weir(["apply", "-f", "-"], manifests(port, tag));
  t.match(await apply("blue"), { code: 0 });
  const xdsAddress = /^xDS +(\S+)$/m.exec(up.output())?.[1] ?? "";
  // The file that weir's own proxy gets.
  const bootstrap = gatewayBootstrap({ nodeId: NODE, group: "gateway/default/web", adminPort, xdsAddress });
  const envoy = await startEnvoy(t, program, JSON.stringify(bootstrap));

  await untilRollout(client, ({ status }) => status.phase === "Healthy", "the first version is up");
  const agent = new Agent({ keepAlive: true, maxSockets: LANES });
  t.teardown(() => agent.destroy());
  await untilServed(port, agent);
  t.strictSame(await answers(port, agent, 400), { '"blue"': 400 });
  t.strictSame(await proxyPods(client), [], "weir runs no proxy of its own");

  const measure = async (count: number): Promise<number> => {
    const found = await answers(port, agent, count);
    const { '"blue"': blue = 0, '"yellow"': yellow = 0 } = found;
    t.equal(blue + yellow, count, `no request fails: ${JSON.stringify(found)}`);
    return (yellow / count) * 100;
  };
  const holdsShare = async (wanted: number): Promise<void> => {
    const share = await measure(1600);
    const bound = 4 * Math.sqrt((wanted * (100 - wanted)) / 1600);
    t.ok(
      Math.abs(share - wanted) <= bound,
      `${share.toFixed(1)} % of ${wanted} %, within ${bound.toFixed(1)}`,
    );
  };
  t.match(await apply("yellow"), { code: 0 });
  const first = await untilRollout(client, standsAt(1), "the first step is done");
  t.match(first.status.canary?.weights, { canary: { weight: 20 }, verified: true });
  await holdsShare(20);

  // A frozen Envoy has its connection open and says nothing.
  envoy.kill("SIGSTOP");
  t.match(await up.weir(["promote", "shop"]), { code: 0 });
  const isPublished = ({ status }: Rollout): boolean => status.canary?.weights?.canary.weight === 60;
  await untilRollout(client, isPublished, "the weight of the next step is published");
  // The words are written behind the weights.
  let explained = "";
  for (let tries = 0; tries < 20 && !explained.includes(NODE); tries += 1)
    explained = (await up.weir(["explain", "shop"])).stdout;
  t.match(explained, /waits: the proxies have not acknowledged the weights: .*default\/envoy-1/);
  const waiting = await untilRollout(client, isPublished, "it waits");
  t.match(waiting.status, { currentStepIndex: 2, canary: { weights: { verified: false } } });
  envoy.kill("SIGCONT");
  const second = await untilRollout(client, standsAt(3), "the step is done once Envoy has acknowledged");
  t.match(second.status.canary?.weights, { canary: { weight: 60 }, verified: true });
  await holdsShare(60);

  let isDone = false;
  const load = (async () => {
    while (!isDone) await measure(80);
  })();
  t.match(await up.weir(["promote", "shop"]), { code: 0 });
  await untilRollout(client, ({ status }) => status.phase === "Healthy", "it is promoted");
  isDone = true;
  await load;
  t.equal(await measure(400), 100, "all the traffic is on the new version");
});

test("gateways: one that is annotated `weir.dev/proxy: none` has no proxy of weir's", async (t) => {
  const bed = await workloadBed(t);
  const options = { client: bed.client, clock: systemClock, log: silentLogger, stateDir: bed.stateDir };
  const gateways = createGatewayController({ ...options, command: ["weir"], xdsAddress: "127.0.0.1:1" });
  t.teardown(() => gateways.stop());
  const annotations = { [PROXY_ANNOTATION]: "none" };
  const spec = { gatewayClassName: "weir", listeners: [{ name: "http", protocol: "HTTP", port: 8000 }] };
  await bed.create(RESOURCES.gateway, { metadata: { name: "served", annotations }, spec });
  await bed.create(RESOURCES.gateway, { metadata: { name: "web" }, spec });
  gateways.start();
  await bed.until(RESOURCES.pod, "gateway-web", (pod) => pod !== undefined);
  const annotate = (value: string | null) =>
    bed.client.patch(
      RESOURCES.gateway,
      { namespace: "default", name: "web" },
      { type: "merge", body: { metadata: { annotations: { [PROXY_ANNOTATION]: value } } } },
    );
  await annotate("none");
  await bed.untilList(RESOURCES.pod, (pods) => pods.length === 0);
  await annotate(null);
  const pods = await bed.untilList(RESOURCES.pod, (found) => found.length > 0);
  t.strictSame(
    pods.map(nameOf),
    ["gateway-web"],
    "without the annotation it comes back; the other one never had any",
  );
});

async function untilServed(port: number, agent: Agent): Promise<void> {
  const deadlineMs = Date.now() + 20_000;
  for (;;) {
    const found = await answers(port, agent, LANES);
    if (found['"blue"'] === LANES) return;
    if (Date.now() > deadlineMs) throw new Error(`Envoy does not serve: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function proxyPods(client: ClusterClient): Promise<readonly string[]> {
  const { items } = await client.list(RESOURCES.pod, { namespace: "default" });
  return items.map(nameOf).filter((name) => name.startsWith("gateway-"));
}

function nameOf({ metadata }: KubeObject): string {
  return metadata.name;
}
