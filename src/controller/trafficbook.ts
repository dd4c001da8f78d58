// The proxies' counts over changes of leader: one store a term, begun on what the leader before wrote down, and the instants that windows of
// analysis begin at. At each of these (weights change, a run begins) one ConfigMap a Rollout says where the cumulative counters of every
// process stood; what they have risen by since then is what was counted, whoever led meanwhile. Written again when another process has begun to
// report, so that what it counts is known too.
import { gunzipSync, gzipSync } from "node:zlib";
import {
  type AnalysisRun,
  type KubeObject,
  RESOURCES,
  type Rollout,
  rootServiceOf,
  type TrafficIntent,
  WEIR_TRAFFIC_METRIC,
} from "../api/api.ts";
import type { ClusterClient } from "../cluster/client.ts";
import { type Clock, sleep, type Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { isObject, jsonEqual } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import {
  readCheckpoint,
  type TrafficCheckpoint,
  type TrafficScope,
  TrafficStore,
} from "../providers/providers.ts";
import type { Caches } from "./caches.ts";
import { type ConfigMapWriter, createConfigMapWriter } from "./configmaps.ts";

/** Label of the ConfigMaps that say where counting stood. */
const LABEL = "weir.dev/traffic-counts";
const NAME_PREFIX = "weir-traffic-";
const RETRY_MS = 1_000;
/** Records are made so long after what they are about: many changes make one, and none of it delays the proxies' new weights. */
const RECORD_DELAY_MS = 100;
/** Largest record, packed, as text: etcd takes no object above 1.5 MiB. A larger one is not written: a successor then begins its windows anew. */
const MAX_RECORD_CHARS = 900_000;
/** Largest record when unpacked. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

const LONG_AGO_MS = 0;

/** An instant that windows begin at. */
export interface WindowBegin {
  readonly mark: string;
  /** Some time long ago when it is not known. The counts say themselves where they begin. */
  readonly atMs: number;
}

export interface TrafficBook {
  /** The counts of this term. */
  readonly store: TrafficStore;
  /** Reads what a predecessor wrote and begins the store on it. Retries until it is read or the book is stopped. */
  load(): Promise<void>;
  /** The weights of a Rollout have been decided anew; the same that the record knows go on with its window. */
  weightsSet(key: string, intent: TrafficIntent): void;
  /** When the weights now published were set. */
  stepBegin(key: string): WindowBegin | undefined;
  /** When a run of that Rollout began: now, if nothing is known of it. Undefined for runs that ask nothing of the proxies' counts. */
  runBegin(rollout: Rollout, run: AnalysisRun): WindowBegin | undefined;
  runEnded(key: string): void;
  /** The Rollout is gone, or is routed by others. */
  forget(key: string): void;
  stop(): Promise<void>;
}

export interface TrafficBookDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** The controller's namespace. */
  readonly namespace: string;
  readonly caches: Pick<Caches, "rollouts" | "analysisRuns">;
}

interface Kept {
  readonly rollout: string;
  readonly scope: TrafficScope;
  /** The intent whose weights are counted; as it was read, until a pass has decided one. */
  readonly intent: unknown;
  /** A new version is on its way. */
  readonly isUpdate: boolean;
}

/** Makes the book of one term. */
export function createTrafficBook(deps: TrafficBookDeps): TrafficBook {
  return new Book(deps);
}

class Book implements TrafficBook {
  readonly #deps: TrafficBookDeps;
  readonly #stopping = new AbortController();
  readonly #writer: ConfigMapWriter;
  readonly #kept = new Map<string, Kept>();
  /** Rollouts with a record. */
  readonly #recorded = new Set<string>();
  /** Whose weights were set before this process led, by somebody who wrote down nothing about them. */
  readonly #unrecorded = new Set<string>();
  #store: TrafficStore;
  /** Rollouts whose record is to be written. */
  readonly #due = new Set<string>();
  #timer: Timer | undefined;

  constructor(deps: TrafficBookDeps) {
    const { client, clock, log, namespace } = deps;
    this.#deps = deps;
    this.#writer = createConfigMapWriter({ client, clock, log, namespace, what: "where counting stands" });
    this.#store = new TrafficStore(clock.nowMs());
  }

  get store(): TrafficStore {
    return this.#store;
  }

  async load(): Promise<void> {
    const { clock, caches } = this.#deps;
    const records = await readRecords(this.#deps, this.#stopping.signal);
    const checkpoints = records.map(({ checkpoint }) => withoutEnded(checkpoint, caches));
    this.#store = new TrafficStore(clock.nowMs(), checkpoints, () => {
      for (const [key, { isUpdate }] of this.#kept) if (isUpdate) this.#recordSoon(key);
    });
    for (const { entry } of records) {
      this.#kept.set(entry.rollout, entry);
      this.#recorded.add(entry.rollout);
      if (caches.rollouts.store.get(entry.rollout) === undefined) this.forget(entry.rollout);
    }
    for (const { metadata, status } of caches.rollouts.list()) {
      const key = `${metadata.namespace}/${metadata.name}`;
      if (status.canary?.weights !== undefined && !this.#kept.has(key)) this.#unrecorded.add(key);
    }
  }

  weightsSet(key: string, intent: TrafficIntent): void {
    const mark = stepMark(key);
    const before = this.#kept.get(key);
    if (this.#store.markedAtMs(mark) !== undefined && jsonEqual(before?.intent, intent)) return;
    const scope = { namespace: intent.namespace, service: rootServiceOf(intent) };
    this.#kept.set(key, { rollout: key, scope, intent, isUpdate: intent.versions.length > 1 });
    this.#store.mark(mark, scope, this.#deps.clock.nowMs());
    if (before !== undefined) this.#unrecorded.delete(key);
    this.#recordSoon(key);
  }

  stepBegin(key: string): WindowBegin | undefined {
    const begin = beginOf(this.#store, stepMark(key));
    return begin !== undefined && this.#unrecorded.has(key) ? { ...begin, atMs: LONG_AGO_MS } : begin;
  }

  runBegin(rollout: Rollout, run: AnalysisRun): WindowBegin | undefined {
    const key = `${rollout.metadata.namespace}/${rollout.metadata.name}`;
    const scope = this.#kept.get(key)?.scope;
    const mark = runMark(`${run.metadata.namespace}/${run.metadata.name}`);
    if (scope === undefined || !asksForTraffic(run)) return undefined;
    if (this.#store.markedAtMs(mark) === undefined) {
      this.#store.mark(mark, scope, this.#deps.clock.nowMs());
      this.#recordSoon(key);
    }
    return beginOf(this.#store, mark);
  }

  runEnded(key: string): void {
    this.#store.unmark(runMark(key));
  }

  forget(key: string): void {
    this.#kept.delete(key);
    this.#unrecorded.delete(key);
    this.#store.unmark(stepMark(key));
    this.#unrecord(key);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    await this.#writer.stop();
  }

  #recordSoon(key: string): void {
    this.#due.add(key);
    this.#timer ??= this.#deps.clock.after(RECORD_DELAY_MS, () => {
      this.#timer = undefined;
      for (const due of this.#due) this.#record(due);
      this.#due.clear();
    });
  }

  #unrecord(key: string): void {
    if (this.#recorded.delete(key)) this.#writer.remove(recordName(key));
  }

  #record(key: string): void {
    const { caches, clock, log, namespace } = this.#deps;
    const entry = this.#kept.get(key);
    if (entry === undefined) return;
    const body = isAnalysed(caches.rollouts.store.get(key), caches)
      ? recordOf(namespace, entry, this.#store.checkpoint(entry.scope, clock.nowMs()), log)
      : undefined;
    // An older record would tell of other weights.
    if (body === undefined) this.#unrecord(key);
    else {
      this.#recorded.add(key);
      this.#writer.write(recordName(key), body);
    }
  }
}

const stepMark = (key: string): string => `step ${key}`;
const RUN_PREFIX = "run ";
const runMark = (key: string): string => `${RUN_PREFIX}${key}`;

function beginOf(store: TrafficStore, mark: string): WindowBegin | undefined {
  const atMs = store.markedAtMs(mark);
  return atMs === undefined ? undefined : { mark, atMs };
}

/** Without the marks of runs that were deleted while nobody led. */
function withoutEnded(
  checkpoint: TrafficCheckpoint,
  { analysisRuns }: TrafficBookDeps["caches"],
): TrafficCheckpoint {
  const live = new Set(analysisRuns.store.keys().map(runMark));
  const marks = checkpoint.marks.filter(({ name }) => !name.startsWith(RUN_PREFIX) || live.has(name));
  return { ...checkpoint, marks };
}

function asksForTraffic({ spec }: AnalysisRun): boolean {
  return spec.metrics.some(({ provider }) => provider.plugin?.[WEIR_TRAFFIC_METRIC] !== undefined);
}

/** Whether anybody will ask: counts of a Rollout without analysis are not written down. */
function isAnalysed(rollout: KubeObject | undefined, { rollouts }: TrafficBookDeps["caches"]): boolean {
  if (rollout === undefined) return false;
  const { canary, blueGreen } = rollouts.read(rollout).spec.strategy ?? {};
  const gates = [canary?.analysis, blueGreen?.prePromotionAnalysis, blueGreen?.postPromotionAnalysis];
  const ofSteps = (canary?.steps ?? []).map((step) => step.analysis ?? step.experiment?.analyses);
  return [...gates, ...ofSteps].some((analysis) => analysis !== undefined);
}

/** `shop/web` becomes `weir-traffic-shop.web`. */
function recordName(key: string): string {
  return `${NAME_PREFIX}${key.replaceAll("/", ".")}`;
}

interface ReadRecord {
  readonly entry: Kept;
  readonly checkpoint: TrafficCheckpoint;
}

async function readRecords(
  { client, clock, log, namespace }: TrafficBookDeps,
  signal: AbortSignal,
): Promise<readonly ReadRecord[]> {
  while (!signal.aborted) {
    try {
      const { items } = await client.list(RESOURCES.configMap, { namespace, labelSelector: LABEL, signal });
      return items.flatMap(parseRecord);
    } catch (error) {
      log.warn("where counting stood cannot be read, trying again", { error: messageOf(error) });
      await sleep(clock, RETRY_MS, signal);
    }
  }
  return [];
}

function recordOf(
  namespace: string,
  { rollout, intent }: Kept,
  checkpoint: TrafficCheckpoint,
  log: Logger,
): KubeObject | undefined {
  const counts = gzipSync(JSON.stringify(checkpoint)).toString("base64");
  if (counts.length > MAX_RECORD_CHARS) {
    log.warn("too many counts to be written down: a successor begins windows anew", { rollout });
    return undefined;
  }
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: recordName(rollout), namespace, labels: { [LABEL]: "true" } },
    data: { rollout, weights: JSON.stringify(intent), counts },
  };
}

/** A record that cannot be read is as good as none: windows begin anew, and say so. */
function parseRecord(object: KubeObject): ReadRecord[] {
  const { rollout, weights, counts } = isObject(object.data) ? object.data : {};
  if (typeof rollout !== "string" || typeof weights !== "string" || typeof counts !== "string") return [];
  try {
    const unpacked = gunzipSync(Buffer.from(counts, "base64"), { maxOutputLength: MAX_UNPACKED_BYTES });
    const checkpoint = readCheckpoint(JSON.parse(unpacked.toString("utf8")));
    const intent: unknown = JSON.parse(weights);
    if (checkpoint === undefined) return [];
    return [{ entry: { rollout, intent, scope: checkpoint.scope, isUpdate: true }, checkpoint }];
  } catch {
    return []; // damaged by hand: see above
  }
}
