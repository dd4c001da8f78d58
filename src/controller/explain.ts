// `weir explain`: what the next pass over a Rollout would decide, from the objects alone. Runs observe and decide, applies nothing.
// Whether proxies have acknowledged is taken from what the leader last wrote: status and its words, and the record of proxies.
import {
  type Acknowledgement,
  CLUSTER_RESOURCES,
  type KubeObject,
  RESOURCES,
  type Rollout,
  readRollout,
} from "../api/api.ts";
import type { ClusterClient } from "../cluster/client.ts";
import { decide, explain } from "../engine/decide.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import { silentLogger } from "../lib/log.ts";
import { createCaches } from "./caches.ts";
import { type NodeRecord, readNodeRecords } from "./noderecords.ts";
import { observe, podsOf } from "./observe.ts";
import { podTroubles } from "./podtroubles.ts";
import { unheardBindings } from "./verification.ts";

/** How long the objects may take to be read. */
const READ_TIMEOUT_MS = 10_000;

export interface ExplainDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
}

/** Lines that say how the Rollout stands, what it waits for and what comes next; undefined when it is not there. */
export async function explainRollout(
  { client, clock }: ExplainDeps,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const raw = await client.get(RESOURCES.rollout, { namespace, name }, signal);
  if (raw === undefined) return undefined;
  const { targetGroupBinding: targetGroupBindings } = CLUSTER_RESOURCES;
  const caches = createCaches({ client, clock, log: silentLogger, namespace, targetGroupBindings });
  try {
    caches.start();
    await caches.waitForSync(AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]));
    await caches.workloads.ready(
      readRollout(raw).value,
      AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]),
    );
    const records = await readRecords(client, signal);
    const balancers = lastHeard(raw);
    const first = observe({ caches, balancers, publisher: recorded(clock, raw, undefined, records) }, raw);
    // The first look only tells what the last weights are; with them, the second is the pass that the leader would make.
    const published = decide(first, clock.nowMs()).traffic;
    const second = observe({ caches, balancers, publisher: recorded(clock, raw, published, records) }, raw);
    const plan = decide(second, clock.nowMs());
    const troubles = podTroubles(podsOf(caches, raw));
    return [...explain(plan, clock.nowMs()), ...unheardBindings(caches, second), ...troubles];
  } finally {
    await caches.stop();
  }
}

/** What the leader last heard of load balancers: they are not asked for a look. Undefined: nobody asks them, or they have set the weights. */
function lastHeard(raw: KubeObject): Parameters<typeof observe>[0]["balancers"] {
  const { alb, canary } = readRollout(raw).value.status;
  if (alb === undefined || canary?.weights?.verified !== false) return undefined;
  const words = "had not set the weights when the controller last looked";
  return {
    answers: (_key, { names }) => ({
      balancers: new Map(names.map((name) => [name, words])),
      targets: new Map(),
    }),
    forget: () => undefined,
  };
}

type Recorded = Parameters<typeof observe>[0]["publisher"];

function recorded(
  clock: Clock,
  raw: KubeObject,
  published: ReturnType<Recorded["published"]>,
  records: readonly NodeRecord[],
): Recorded {
  const rollout = readRollout(raw).value;
  return {
    published: () => published,
    // The leader alone hears the proxies: it calls the deadline over, nobody who looks on.
    publishedSinceMs: () => clock.nowMs(),
    acknowledgement: () => lastAcknowledgement(rollout, records),
  };
}

/** The records of proxies, wherever the controller keeps them; none for somebody who may not read them. */
async function readRecords(client: ClusterClient, signal: AbortSignal): Promise<readonly NodeRecord[]> {
  try {
    return await readNodeRecords(client, { signal });
  } catch (error) {
    if (isWeirError(error)) return [];
    throw error;
  }
}

function lastAcknowledgement({ metadata, status }: Rollout, records: readonly NodeRecord[]): Acknowledgement {
  const active = status.blueGreen?.activeSelector;
  const isSwitching = active !== undefined && active !== status.stableRS;
  if (status.canary?.weights?.verified !== false && !isSwitching) return { kind: "yes" };
  const progressing = status.conditions?.find((condition) => condition.type === "Progressing");
  const sinceMs = Date.parse(progressing?.lastUpdateTime ?? "") || 0;
  const key = `${metadata.namespace}/${metadata.name}`;
  const nodes = records.flatMap(({ troubles }) => troubles.filter(({ rollouts }) => rollouts.includes(key)));
  if (nodes.length > 0) return { kind: "no", nodes, sinceMs };
  if (isSwitching) return { kind: "notApplicable" };
  const hasProxies = records.some(({ members }) => members.length > 0);
  const why = hasProxies ? "not every proxy has acknowledged the weights" : "no proxy connected";
  return { kind: "no", nodes: [{ node: "", why }], sinceMs };
}
