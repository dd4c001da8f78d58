// How long a weight takes to be in force: from the status write that decided it to the write that saw every proxy's acknowledgement.
// A local cluster with real proxies, one Gateway each; a canary whose steps are weights only, so each change waits for the one before.
// With --rate, a process of its own sends requests through all gateways meanwhile, and every failed one counts.
//
//   node bench/control/weights.ts [--proxies 10] [--changes 100] [--rate 0] [--json FILE]
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type KubeObject, RESOURCES, readPod, readRollout } from "../../src/api/api.ts";
import { type Local, startLocal } from "../../src/cli/local.ts";
import { type Load, type LoadSummary, startLoad } from "../../src/cli/quickstart/load.ts";
import { applyObject } from "../../src/cluster/client.ts";
import { GATEWAY_LABEL } from "../../src/embedded/embedded.ts";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { machineFacts } from "../lib/machine.ts";
import { quantile } from "../lib/quantile.ts";

const FIRST_PORT = 18_100;
const LOAD_PROGRAM = fileURLToPath(new URL("../../deploy/examples/quickstart/load.ts", import.meta.url));
/** More changes than these are several releases: a status write carries all steps with it. */
const STEPS_PER_RELEASE = 1000;
const HARD_STOP_MS = 600_000;
/** The demo's colours, in turn: by the time one comes again its last pods are gone. */
const VERSIONS = ["blue", "green", "yellow", "orange", "purple", "red"];

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

function manifests(version: string, steps: number): KubeObject[] {
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
            steps: Array.from({ length: steps }, (_, index) => ({ setWeight: 10 + (index % 40) })),
          },
        },
      },
    },
  ];
}

/** A load over all gateways, in a process of its own: what the control plane does cannot slow it down. Resolves when it is under way. */
async function begunLoad(): Promise<Load> {
  const targets = Array.from({ length: proxies }, (_, index) => `http://127.0.0.1:${FIRST_PORT + index}`);
  const args = ["--targets", targets.join(","), "--rate", String(rate), "--host", "web-stable"];
  const begun = Promise.withResolvers<void>();
  const load = startLoad({
    command: [process.execPath, LOAD_PROGRAM, ...args],
    onSecond: () => begun.resolve(),
    onEnd: (code) => begun.reject(new Error(`the load generator ended with ${code}`)),
  });
  await begun.promise;
  await load.mark("changes");
  return load;
}

/** The rate that came about, and everything that went wrong: a request that gets no 2xx answer has failed. */
function loadFigures(summary: LoadSummary): Readonly<Record<string, number>> {
  const statuses = Object.values(summary.versions).flatMap(({ statuses: counts }) => Object.entries(counts));
  const refused = statuses.filter(([status]) => !status.startsWith("2"));
  const seconds = (summary.untilMs - summary.sinceMs) / 1000;
  return {
    askedPerSecond: rate,
    sentPerSecond: Math.round((summary.sent / seconds) * 10) / 10,
    requests: summary.sent,
    failed: summary.failed + refused.reduce((sum, [, count]) => sum + count, 0),
    retried: summary.retried,
    skipped: summary.skipped,
  };
}

/** Applies a version and collects how long each weight took, until the Rollout is healthy. */
async function roll(local: Local, release: number, steps: number): Promise<number[]> {
  const { items, resourceVersion } = await local.client.list(RESOURCES.rollout, { namespace: "default" });
  const from = items.length === 0 ? undefined : readRollout(items[0] as KubeObject).value.status.stableRS; // length was checked
  const signal = AbortSignal.timeout(HARD_STOP_MS);
  const version = VERSIONS[release % VERSIONS.length] ?? "";
  for (const object of manifests(version, steps)) await applyObject(local.client, object);
  const took: number[] = [];
  let weight: number | undefined;
  let decidedMs = 0;
  let isOpen = false;
  for await (const event of local.client.watch(RESOURCES.rollout, {
    namespace: "default",
    resourceVersion,
    signal,
  })) {
    if (event.type === "BOOKMARK") continue;
    const { status, metadata } = readRollout(event.object).value;
    const now = performance.now();
    const seen = status.canary?.weights?.canary.weight;
    const isVerified = status.canary?.weights?.verified === true;
    if (isOpen && (seen !== weight || isVerified)) {
      took.push(now - decidedMs);
      isOpen = false;
    }
    if (seen !== weight) {
      weight = seen;
      decidedMs = now;
      // From 0 and to the full weight the change waits for pods, not for proxies.
      isOpen = seen !== undefined && seen > 0 && seen < 100;
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
  const [loadAverageBefore] = loadavg();
  const stateDir = await mkdtemp(join(tmpdir(), "weir-bench-"));
  const local = await startLocal({ stateDir, clock: systemClock, log: createLogger({ level: "error" }) });
  let load: Load | undefined;
  try {
    await roll(local, 0, 1);
    await untilProxiesReady(local);
    load = rate > 0 ? await begunLoad() : undefined;
    const samples: number[] = [];
    for (let release = 1; samples.length < changes; release += 1)
      samples.push(...(await roll(local, release, Math.min(changes - samples.length, STEPS_PER_RELEASE))));
    const summary = await load?.mark("over");
    const took = samples.sort((a, b) => a - b);
    const result = {
      machine: machineFacts(),
      loadAverageBefore,
      proxies,
      changes: took.length,
      p50Ms: quantile(took, 0.5),
      p90Ms: quantile(took, 0.9),
      p99Ms: quantile(took, 0.99),
      maxMs: took.at(-1),
      ...(summary !== undefined && { load: loadFigures(summary) }),
    };
    console.log(JSON.stringify(result, undefined, 2));
    if (flags.json !== undefined)
      await writeFile(flags.json, `${JSON.stringify({ ...result, samplesMs: took })}\n`);
  } finally {
    await load?.stop();
    await local.stop({ keepPods: false });
    await rm(stateDir, { recursive: true, force: true });
  }
}

await main();
