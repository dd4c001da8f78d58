// The quick start's story: version 1 serves, version 2 is good and is promoted, version 3 is bad and is aborted, all under load through two
// gateways. It uses what users use: manifests, apply, the Rollout's status. What it sees goes to `onScene`; what came of it is returned.

import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type KubeObject, RESOURCES, type Rollout, readPod, readRollout } from "../../api/api.ts";
import { applyObject, type ClusterClient } from "../../cluster/client.ts";
import { GATEWAY_LABEL } from "../../embedded/embedded.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { WeirError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { isPortFree } from "../../lib/ports.ts";
import { CLI_ERRORS } from "../cli.ts";
import { readManifests } from "../manifests.ts";
import { phaseSeen } from "../rolloutview.ts";
import { type Load, type LoadSummary, startLoad } from "./load.ts";
import type { PhaseSums, StoryFacts, WeightTime } from "./summary.ts";

export const NAMESPACE = "default";
export const ROLLOUT = "demo";
const VERSIONS = { first: "blue", good: "green", bad: "red" };
const RATE = 200;
/** How long the first version serves alone, and how long is looked at what comes after the abort. */
const CALM_MS = 4_000;
const POLL_MS = 100;
const PORT_TRIES = 100;

/** What the story tells while it goes on. */
export interface Scene {
  readonly title?: string;
  readonly note?: string;
  readonly second?: LoadSummary;
  readonly weightTime?: WeightTime;
}

export interface StoryDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onScene: (scene: Scene) => void;
}

export interface StoryResult {
  readonly facts: StoryFacts;
  /** Ports of the two gateways. */
  readonly ports: readonly number[];
}

/** Tells the story from beginning to end. Throws when something does not come about; the load has ended then. */
export async function tellStory(deps: StoryDeps): Promise<StoryResult> {
  const { clock, onScene } = deps;
  const startedMs = clock.nowMs();
  const over = new AbortController();
  const signal = AbortSignal.any([deps.signal, over.signal]);
  let load: Load | undefined;
  try {
    onScene({ title: `version 1 (${VERSIONS.first}) starts: two gateways, four processes` });
    const ports = await applyBase(deps);
    await untilRollout(deps, (rollout) => isHealthy(rollout) && imageTag(rollout) === VERSIONS.first);
    await untilGatewaysReady(deps, ports.length);
    const weightTimes: WeightTime[] = [];
    const following = followWeights(deps, signal, (time) => {
      weightTimes.push(time);
      onScene({ weightTime: time });
    });
    load = startLoad({
      command: loadCommand(ports),
      onSecond: (second) => onScene({ second }),
      onEnd: (code) => over.abort(failed(`the load generator ended with ${code}`)),
    });
    onScene({ title: `version 1 (${VERSIONS.first}) serves, ${RATE} requests/s through both gateways` });
    await sleep(clock, CALM_MS, signal);
    const first = { name: "version 1 alone", load: await load.mark("good") };

    onScene({ title: `version 2 (${VERSIONS.good}) is rolled out` });
    await applyVersion(deps, "rollout-v2");
    const good = await untilRollout(deps, (rollout) => isSettled(rollout, VERSIONS.good));
    await sleep(clock, CALM_MS / 2, signal);
    const second = { name: "version 2 rolled out", load: await load.mark("bad") };

    onScene({ title: `version 3 (${VERSIONS.bad}) is rolled out: a fifth of its answers are errors` });
    await applyVersion(deps, "rollout-v3");
    const bad = await untilRollout(deps, (rollout) => isSettled(rollout, VERSIONS.bad) && isBack(rollout));
    // Answers of the bad version that were under way when the weight changed still belong to its phase.
    await sleep(clock, 1_000, signal);
    const third = { name: "version 3 rolled out", load: await load.mark("after") };
    onScene({ title: `version 3 was aborted, ${VERSIONS.good} serves` });
    await sleep(clock, CALM_MS, signal);
    const after: PhaseSums = { name: "after the abort", load: await load.mark("end") };
    over.abort();
    await following;
    return {
      ports,
      facts: {
        versions: VERSIONS,
        phases: { first, good: second, bad: third, after },
        isGoodPromoted: phaseSeen(good).phase === "Healthy",
        isBadAborted: bad.status.abort === true,
        weightTimes,
        tookMs: clock.nowMs() - startedMs,
      },
    };
  } finally {
    over.abort();
    await load?.stop();
  }
}

function failed(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.environment, message });
}

/** Where the example lies: beside src/ in the checkout, beside dist/src/ in the package. */
function example(name: string): string {
  return fileURLToPath(new URL(`../../../deploy/examples/quickstart/${name}`, import.meta.url));
}

/** In the installed package the generator is JavaScript, and the manifests lie outside of dist/. */
function manifestPath(name: string): string {
  const path = example(name);
  return extname(import.meta.url) === ".ts" ? path : path.replace(/[\\/]dist([\\/]deploy[\\/])/, "$1");
}

function loadCommand(ports: readonly number[]): string[] {
  const targets = ports.map((port) => `http://127.0.0.1:${port}`).join(",");
  const program = example(`load${extname(import.meta.url)}`);
  return [process.execPath, program, "--targets", targets, "--rate", String(RATE), "--host", ROLLOUT];
}

/** A fresh start: the Rollout of an earlier story goes, then everything is applied. Returns the gateways' ports. */
async function applyBase(deps: StoryDeps): Promise<number[]> {
  const { client, signal } = deps;
  const ref = { namespace: NAMESPACE, name: ROLLOUT };
  await client.delete(RESOURCES.rollout, ref, { signal });
  await poll(deps, async () => {
    const { items } = await client.list(RESOURCES.pod, {
      namespace: NAMESPACE,
      labelSelector: `app=${ROLLOUT}`,
      signal,
    });
    return items.length === 0 ? true : undefined;
  });
  const manifests = await readManifests([manifestPath("base")], process.stdin);
  const ports: number[] = [];
  for (const { object, type } of manifests) {
    const placed: KubeObject = { ...object, metadata: { ...object.metadata, namespace: NAMESPACE } };
    const isGateway = type.kind === RESOURCES.gateway.kind;
    await applyObject(client, isGateway ? await onFreePort(deps, placed, ports) : placed, { type, signal });
  }
  return ports;
}

/** The Gateway on its own port, or the next free one (and says so), unless it is there already and keeps the one it has. */
async function onFreePort(
  { client, signal, onScene }: StoryDeps,
  gateway: KubeObject,
  ports: number[],
): Promise<KubeObject> {
  const { name } = gateway.metadata;
  const known = portOf(await client.get(RESOURCES.gateway, { namespace: NAMESPACE, name }, signal));
  const wanted = portOf(gateway) ?? 8000;
  let port = known ?? wanted;
  while (known === undefined && (ports.includes(port) || !(await isPortFree(port)))) {
    port += 1;
    if (port >= wanted + PORT_TRIES) throw failed(`no free port for gateway ${name} from ${wanted} on`);
  }
  if (port !== wanted) onScene({ note: `gateway ${name} listens on port ${port}` });
  ports.push(port);
  return { ...gateway, spec: { ...specOf(gateway), listeners: [{ name: "http", protocol: "HTTP", port }] } };
}

function specOf(gateway: KubeObject): Readonly<Record<string, unknown>> {
  return isObject(gateway.spec) ? gateway.spec : {};
}

function portOf(gateway: KubeObject | undefined): number | undefined {
  const listeners = gateway === undefined ? undefined : specOf(gateway).listeners;
  const [first]: readonly unknown[] = Array.isArray(listeners) ? listeners : [];
  return isObject(first) && typeof first.port === "number" ? first.port : undefined;
}

async function applyVersion({ client, signal }: StoryDeps, name: string): Promise<void> {
  const manifests = await readManifests([manifestPath(`${name}.yaml`)], process.stdin);
  for (const { object, type } of manifests) {
    await applyObject(
      client,
      { ...object, metadata: { ...object.metadata, namespace: NAMESPACE } },
      { type, signal },
    );
  }
}

function imageTag(rollout: Rollout): string | undefined {
  return rollout.spec.template?.spec?.containers?.[0]?.image?.split(":").at(-1);
}

function isHealthy(rollout: Rollout): boolean {
  return phaseSeen(rollout).phase === "Healthy" && rollout.status.stableRS === rollout.status.currentPodHash;
}

/** Healthy or Degraded with this version. */
function isSettled(rollout: Rollout, tag: string): boolean {
  const { phase } = phaseSeen(rollout);
  return imageTag(rollout) === tag && (isHealthy(rollout) || phase === "Degraded");
}

/** No traffic goes to the canary, and every proxy has said so. */
function isBack(rollout: Rollout): boolean {
  const weights = rollout.status.canary?.weights;
  return weights === undefined || (weights.canary.weight === 0 && weights.verified === true);
}

function untilRollout(deps: StoryDeps, isThere: (rollout: Rollout) => boolean): Promise<Rollout> {
  return poll(deps, async () => {
    const object = await deps.client.get(
      RESOURCES.rollout,
      { namespace: NAMESPACE, name: ROLLOUT },
      deps.signal,
    );
    const rollout = object === undefined ? undefined : readRollout(object).value;
    return rollout !== undefined && isThere(rollout) ? rollout : undefined;
  });
}

function untilGatewaysReady(deps: StoryDeps, count: number): Promise<true> {
  return poll(deps, async () => {
    const { items } = await deps.client.list(RESOURCES.pod, {
      labelSelector: GATEWAY_LABEL,
      signal: deps.signal,
    });
    const ready = items.filter((pod) =>
      readPod(pod).value.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
    );
    return ready.length >= count ? true : undefined;
  });
}

/** Asks until there is an answer; ends with the story's signal. */
async function poll<T>({ clock, signal }: StoryDeps, ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(clock, POLL_MS, signal);
  }
}

/** Times each weight from the status that decided it to the one that saw it acknowledged (or had gone on). */
async function followWeights(
  { client, clock }: StoryDeps,
  signal: AbortSignal,
  onTime: (time: WeightTime) => void,
): Promise<void> {
  const { resourceVersion } = await client.list(RESOURCES.rollout, { namespace: NAMESPACE, signal });
  let open: { readonly weight: number; readonly version: string; readonly sinceMs: number } | undefined;
  const close = (): void => {
    if (open !== undefined)
      onTime({ version: open.version, weight: open.weight, tookMs: clock.nowMs() - open.sinceMs });
    open = undefined;
  };
  let last: number | undefined;
  try {
    for await (const event of client.watch(RESOURCES.rollout, {
      namespace: NAMESPACE,
      resourceVersion,
      signal,
    })) {
      if (event.type === "BOOKMARK" || event.object.metadata.name !== ROLLOUT) continue;
      const rollout = readRollout(event.object).value;
      const weights = rollout.status.canary?.weights;
      const weight = weights?.canary.weight;
      if (open !== undefined && (weights?.verified === true || weight !== open.weight)) close();
      if (weight !== undefined && weight !== last && weights?.verified !== true) {
        open = { weight, version: imageTag(rollout) ?? "", sinceMs: clock.nowMs() };
      }
      last = weight;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
