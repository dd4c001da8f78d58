// How fast the controller answers on a real Kubernetes control plane, as a watch on its API server sees it: from the write of a new template
// to the new ReplicaSet, and from a promotion to the canary's ReplicaSet scaled. One Rollout of 5 replicas. The pods are those of the real
// ReplicaSet controller; no node runs them: this program reports them ready as soon as they exist.
// Needs the test bed's programs (test/testbed/build, once); no root.
//
//   node bench/control/testbed.ts [--samples 30] [--json FILE]
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Test } from "tap";
import {
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  type Rollout,
  readReplicaSet,
  readRollout,
} from "../../src/api/api.ts";
import { type ClusterClient, createReflector, type Patch } from "../../src/cluster/client.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { startTestBed, type TestBed } from "../../test/support/testbed.ts";
import { machineFacts } from "../lib/machine.ts";
import { quantile } from "../lib/quantile.ts";

const WAIT_MS = 30_000;
const REF = { namespace: "default", name: "web" };
/** argo-rollouts 1.9 with one Rollout of 5 replicas on Kubernetes 1.36, 2 cores: median and 90th percentile. */
const ARGO = { template: [10, 12], promotion: [27, 41] } as const;

const { values: flags } = parseArgs({
  options: { samples: { type: "string", default: "30" }, json: { type: "string" } },
});

/** Milliseconds until the watch showed the effect: since the request was sent, and since it was answered. */
interface Sample {
  readonly sinceSentMs: number;
  readonly sinceAnsweredMs: number;
}

/** What a watch has shown, with the time of each version. */
interface Seen {
  /** Resolves with the time at which the first object was as wanted; one seen before counts. */
  until(claim: string, isWanted: (object: KubeObject) => boolean): Promise<number>;
}

async function main(bed: TestBed): Promise<void> {
  const { client } = bed;
  await client.create(RESOURCES.namespace, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "weir-system" },
  });
  await reportReady(client);
  const sets = await watch(client, "replicaSet");
  const rollouts = await watch(client, "rollout");
  const end = await startController(bed.kubeconfig);
  await client.create(RESOURCES.rollout, manifest());
  await rollouts.until("the first version is healthy", isAt("Healthy", 4));
  const template: Sample[] = [];
  const promotion: Sample[] = [];
  for (let sample = 0; sample < Number(flags.samples); sample += 1) {
    const image = `app:${sample}`;
    template.push(
      await measure(client, templatePatch(image), undefined, () =>
        sets.until("the new ReplicaSet exists", (set) =>
          JSON.stringify(set.spec).includes(`"image":"${image}"`),
        ),
      ),
    );
    await rollouts.until("paused at the first step", isAt("Paused", 1, image));
    const hash = readRollout(await current(client)).value.status.currentPodHash;
    promotion.push(
      await measure(client, { status: { pauseConditions: null } }, "status", () =>
        sets.until(
          "the canary is scaled",
          (set) => set.metadata.labels?.[POD_HASH_LABEL] === hash && replicasOf(set) === 2,
        ),
      ),
    );
    await rollouts.until("paused at the second step", isAt("Paused", 3, image));
    await send(client, { status: { promoteFull: true } }, "status");
    await rollouts.until("promoted", isAt("Healthy", 4, image));
  }
  await end();
  await report(template, promotion);
}

async function report(template: readonly Sample[], promotion: readonly Sample[]): Promise<void> {
  const machine = machineFacts();
  const row = (
    what: string,
    samples: readonly Sample[],
    key: keyof Sample,
    argo: readonly (number | "-")[],
  ): string => {
    const sorted = samples.map((sample) => sample[key]).sort((a, b) => a - b);
    const own = [0.5, 0.9].map((q) => quantile(sorted, q).toFixed(0));
    return `| ${what} | ${own.join(", ")} | ${argo.join(", ")} |`;
  };
  console.log(
    `${template.length} samples; ${machine.cores} cores, ${machine.cpu}, Node ${machine.node}, ${machine.commit}`,
  );
  console.log("| median, 90th percentile in ms | weir | Argo Rollouts |");
  console.log("|---|---|---|");
  console.log(row("template written → new ReplicaSet exists", template, "sinceAnsweredMs", ARGO.template));
  console.log(row("promoted → canary ReplicaSet scaled", promotion, "sinceAnsweredMs", ARGO.promotion));
  console.log(row("the first, since the request was sent", template, "sinceSentMs", ["-"]));
  console.log(row("the second, since the request was sent", promotion, "sinceSentMs", ["-"]));
  console.log("Argo's figures were measured elsewhere, on a like machine (2 cores), not in this run.");
  if (flags.json !== undefined)
    await writeFile(flags.json, `${JSON.stringify({ machine, template, promotion })}\n`);
}

async function measure(
  client: ClusterClient,
  body: unknown,
  subresource: "status" | undefined,
  effect: () => Promise<number>,
): Promise<Sample> {
  const sentMs = performance.now();
  const seen = effect();
  await send(client, body, subresource);
  const answeredMs = performance.now();
  const seenMs = await seen;
  // The effect may be seen before the answer is read.
  return { sinceSentMs: seenMs - sentMs, sinceAnsweredMs: Math.max(seenMs - answeredMs, 0) };
}

function send(client: ClusterClient, body: unknown, subresource?: "status"): Promise<KubeObject> {
  const patch: Patch = { type: "merge", body };
  return client.patch(RESOURCES.rollout, REF, patch, subresource === undefined ? {} : { subresource });
}

async function current(client: ClusterClient): Promise<KubeObject> {
  const found = await client.get(RESOURCES.rollout, REF);
  if (found === undefined) throw new Error("the Rollout is gone");
  return found;
}

/** In this phase and at this step, decided upon the spec as it stands. */
function isAt(phase: string, step: number, image?: string): (object: KubeObject) => boolean {
  return (object) => {
    const rollout: Rollout = readRollout(object).value;
    const { status, metadata } = rollout;
    const isObserved = status.observedGeneration === String(metadata.generation);
    const hasImage = image === undefined || JSON.stringify(object.spec).includes(`"image":"${image}"`);
    return isObserved && hasImage && status.phase === phase && status.currentStepIndex === step;
  };
}

function replicasOf(set: KubeObject): number | undefined {
  return readReplicaSet(set).value.spec.replicas;
}

async function watch(client: ClusterClient, kind: "replicaSet" | "rollout"): Promise<Seen> {
  const reflector = createReflector({
    client,
    type: RESOURCES[kind],
    namespace: REF.namespace,
    clock: systemClock,
    log: silentLogger,
  });
  const listeners = new Set<(object: KubeObject) => void>();
  reflector.subscribe((event) => {
    for (const hear of [...listeners]) hear(event.object);
  });
  reflector.start();
  await reflector.waitForSync();
  endings.push(() => reflector.stop());
  return {
    until: (claim, isWanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`not in time: ${claim}`)), WAIT_MS);
        const hear = (object: KubeObject): void => {
          if (!isWanted(object)) return;
          clearTimeout(timer);
          listeners.delete(hear);
          resolve(performance.now());
        };
        listeners.add(hear);
        for (const object of reflector.store.list(REF.namespace)) hear(object);
      }),
  };
}

/** Stands in for a kubelet: every pod is ready at once. */
async function reportReady(client: ClusterClient): Promise<void> {
  const reflector = createReflector({
    client,
    type: RESOURCES.pod,
    namespace: REF.namespace,
    clock: systemClock,
    log: silentLogger,
  });
  reflector.subscribe((event) => {
    if (event.kind !== "added") return;
    const { name } = event.object.metadata;
    const conditions = [{ type: "Ready", status: "True", lastTransitionTime: new Date().toISOString() }];
    const patch: Patch = { type: "merge", body: { status: { phase: "Running", conditions } } };
    const ref = { namespace: REF.namespace, name };
    // A pod that is deleted in the same moment needs no report.
    client.patch(RESOURCES.pod, ref, patch, { subresource: "status" }).catch(() => undefined);
  });
  reflector.start();
  endings.push(() => reflector.stop());
  await reflector.waitForSync();
}

/** `weir controller` as a process; resolves with how to end it when it leads. */
async function startController(kubeconfig: string): Promise<() => Promise<void>> {
  const launcher = new URL("../../src/weir.js", import.meta.url).pathname;
  const args = [
    launcher,
    "controller",
    "--kubeconfig",
    kubeconfig,
    "--xds-host",
    "127.0.0.1",
    "--xds-port",
    "0",
    "--metrics-port",
    "0",
    "--health-port",
    "0",
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes(" leading rollouts=")) resolve();
    });
    void exited.then(() => reject(new Error(`the controller ended:\n${said}`)));
  });
  const end = async (): Promise<void> => {
    child.kill("SIGTERM");
    await exited;
  };
  endings.push(end);
  return end;
}

function templatePatch(image: string): unknown {
  return { spec: { template: { spec: { containers: [{ name: "app", image }] } } } };
}

function manifest(): KubeObject {
  const steps = [{ setWeight: 20 }, { pause: {} }, { setWeight: 40 }, { pause: {} }];
  const template = {
    metadata: { labels: { app: "web" } },
    spec: { containers: [{ name: "app", image: "app:first" }] },
  };
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { ...REF },
    spec: {
      replicas: 5,
      selector: { matchLabels: { app: "web" } },
      template,
      strategy: { canary: { steps } },
    },
  };
}

const endings: (() => unknown)[] = [];
/** The part of a test that the test bed needs: it says what is missing, and ends with this program. */
const harness = {
  teardown: (end: () => unknown) => endings.push(end),
  pass: (reason: string) => console.error(`cannot run: ${reason}`),
  fail: (reason: string) => console.error(`cannot run: ${reason}`),
};
try {
  // The cast holds because the test bed calls nothing else of it.
  const bed = await startTestBed(harness as unknown as Test, { hasControllers: true });
  if (bed === undefined) process.exitCode = 1;
  else await main(bed);
} finally {
  for (const end of endings.reverse()) await end();
}
