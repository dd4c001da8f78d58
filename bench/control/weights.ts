// How long a weight takes to be in force: from the status write that decided it to the write that saw every proxy's acknowledgement.
// A local cluster with real proxies, one Gateway each; a canary whose steps are weights only, so each change waits for the one before.
// With --load, requests run through all gateways meanwhile, and every failed one counts.
//
//   node bench/control/weights.ts [--proxies 10] [--changes 100] [--rate 0] [--json FILE]
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type KubeObject, RESOURCES, readPod, readRollout } from "../../src/api/api.ts";
import { type Local, startLocal } from "../../src/cli/local.ts";
import { applyObject } from "../../src/cluster/client.ts";
import { GATEWAY_LABEL } from "../../src/embedded/embedded.ts";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { machineFacts } from "../lib/machine.ts";
import { quantile } from "../lib/quantile.ts";

const FIRST_PORT = 18_100;
const HARD_STOP_MS = 600_000;

const { values: flags } = parseArgs({
  options: {
    proxies: { type: "string", default: "10" },
    changes: { type: "string", default: "100" },
    rate: { type: "string", default: "0" },
    json: { type: "string" },
  },
});
const proxies = Number(flags.proxies);
const changes = Number(flags.changes);
const rate = Number(flags.rate);

function manifests(version: string): KubeObject[] {
  const metadata = { name: "web", namespace: "default" };
  const ports = Array.from({ length: proxies }, (_, index) => FIRST_PORT + index);
  const service = (name: string): KubeObject => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  });
  return [
    service("web-stable"),
    service("web-canary"),
    ...ports.map((port, index) => ({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      metadata: { name: `edge-${index}`, namespace: "default" },
      spec: { gatewayClassName: "weir", listeners: [{ name: "http", port, protocol: "HTTP" }] },
    })),
    {
      apiVersion: "argoproj.io/v1alpha1",
      kind: "Rollout",
      metadata,
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            containers: [
              {
                name: "app",
                image: `argoproj/rollouts-demo:${version}`,
                ports: [{ containerPort: 8080 }],
                readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
              },
            ],
          },
        },
        strategy: {
          canary: {
            stableService: "web-stable",
            canaryService: "web-canary",
            trafficRouting: { plugins: { "weir.dev/proxy": {} } },
            // Two replicas and weights on both sides of 50: a change moves weights, and hardly ever pods.
            steps: Array.from({ length: changes }, (_, index) => ({ setWeight: 10 + (index % 40) })),
          },
        },
      },
    },
  ];
}

interface Load {
  readonly counts: { requests: number; failed: number };
  stop(): Promise<void>;
}

/** An open-loop load over all gateways; a request that gets no 2xx answer has failed. */
function startLoad(): Load {
  const counts = { requests: 0, failed: 0 };
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const open = new Set<Promise<void>>();
  let next = 0;
  const send = (): void => {
    const port = FIRST_PORT + (next++ % proxies);
    const done = new Promise<void>((resolve) => {
      const end = (isOk: boolean): void => {
        counts.requests += 1;
        if (!isOk) counts.failed += 1;
        resolve();
      };
      const outgoing = request(
        { port, host: "127.0.0.1", path: "/", headers: { host: "web-stable" }, agent },
        (answer) => {
          answer.resume();
          answer.once("end", () => end(answer.statusCode === 200));
          answer.once("error", () => end(false));
        },
      );
      outgoing.once("error", () => end(false));
      outgoing.end();
    });
    open.add(done);
    void done.then(() => open.delete(done));
  };
  const timer = setInterval(send, 1000 / rate);
  return {
    counts,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      agent.destroy();
    },
  };
}

/** Applies a version and collects how long each weight took, until the Rollout is healthy. */
async function roll(local: Local, version: string): Promise<number[]> {
  const { items, resourceVersion } = await local.client.list(RESOURCES.rollout, { namespace: "default" });
  const from = items.length === 0 ? undefined : readRollout(items[0] as KubeObject).value.status.stableRS; // length was checked
  const signal = AbortSignal.timeout(HARD_STOP_MS);
  for (const object of manifests(version)) await applyObject(local.client, object);
  const took: number[] = [];
  let weight: number | undefined;
  let decidedMs = 0;
  for await (const event of local.client.watch(RESOURCES.rollout, {
    namespace: "default",
    resourceVersion,
    signal,
  })) {
    if (event.type === "BOOKMARK") continue;
    const { status, metadata } = readRollout(event.object).value;
    const now = performance.now();
    const seen = status.canary?.weights?.canary.weight;
    if (seen !== weight) {
      // From 0 and to the full weight the change waits for pods, not for proxies.
      if (weight !== undefined && weight > 0 && weight < 100) took.push(now - decidedMs);
      weight = seen;
      decidedMs = now;
    }
    const isObserved = status.observedGeneration === String(metadata.generation);
    if (isObserved && status.phase === "Healthy" && status.stableRS !== from) return took;
    if (status.phase === "Degraded" && !/InvalidSpec/.test(status.message ?? ""))
      throw new Error(status.message);
  }
  throw new Error("the rollout did not end in time");
}

/** Every gateway's proxy serves: a load before that would count what no proxy could answer. */
async function untilProxiesReady(local: Local): Promise<void> {
  const signal = AbortSignal.timeout(HARD_STOP_MS);
  for (;;) {
    const { items } = await local.client.list(RESOURCES.pod, { labelSelector: GATEWAY_LABEL, signal });
    const ready = items.filter((pod) =>
      readPod(pod).value.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
    );
    if (ready.length === proxies) return;
    await sleep(systemClock, 100, signal);
  }
}

async function main(): Promise<void> {
  const stateDir = await mkdtemp(join(tmpdir(), "weir-bench-"));
  const local = await startLocal({ stateDir, clock: systemClock, log: createLogger({ level: "error" }) });
  try {
    await roll(local, "blue");
    await untilProxiesReady(local);
    const load = rate > 0 ? startLoad() : undefined;
    const took = (await roll(local, "green")).sort((a, b) => a - b);
    await load?.stop();
    const result = {
      machine: machineFacts(),
      proxies,
      changes: took.length,
      p50Ms: quantile(took, 0.5),
      p90Ms: quantile(took, 0.9),
      p99Ms: quantile(took, 0.99),
      maxMs: took.at(-1),
      ...(load !== undefined && { rate, ...load.counts }),
    };
    console.log(JSON.stringify(result, undefined, 2));
    if (flags.json !== undefined)
      await writeFile(flags.json, `${JSON.stringify({ ...result, samplesMs: took })}\n`);
  } finally {
    await local.stop({ keepPods: false });
    await rm(stateDir, { recursive: true, force: true });
  }
}

await main();
