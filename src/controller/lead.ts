// What the leader does, and nobody else. Order of beginning: caches sync → every Rollout is reconciled once, so that all intents are known →
// snapshots are rendered → xDS is served. The moment leadership ends, no pass begins any more, wherever this had got to.
import { MESSAGES, REASONS, RESOURCES } from "../api/api.ts";
import {
  type ClusterClient,
  createEventRecorder,
  createWorkQueue,
  type EventRecorder,
  subjectOf,
} from "../cluster/client.ts";
import { decide } from "../engine/decide.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { createProviders, type TrafficStore } from "../providers/providers.ts";
import type { XdsServer } from "../xds/server.ts";
import { createBalancerWatch, type LoadBalancers } from "./balancers.ts";
import type { Caches } from "./caches.ts";
import { createEvictions } from "./evictions.ts";
import { type ExperimentDeps, reconcileExperiment } from "./experiments.ts";
import { freeService, wakeServices } from "./freedservices.ts";
import { createFreshness } from "./freshness.ts";
import { type MeasureDeps, measureRun } from "./measure.ts";
import type { ControllerMetrics, Reconciled } from "./metrics.ts";
import { createNodeRecords } from "./noderecords.ts";
import { observe } from "./observe.ts";
import { createOwedEvents } from "./owedevents.ts";
import { createPublisher } from "./publish.ts";
import { type ReconcileDeps, reconcile } from "./reconcile.ts";
import { createRefusedWrites } from "./refusedwrites.ts";
import { createRouterTroubles } from "./routing.ts";
import { snapshotServer } from "./snapshotserver.ts";
import { createStepPlugins, STEP_PLUGINS, type StepPluginTable } from "./stepplugins.ts";
import { createTrafficBook } from "./trafficbook.ts";
import { createVerdictBook } from "./verification.ts";
import { experimentsOf, wakeExperiments, wakeRollouts } from "./wake.ts";

/** Who writes events, as Argo names it. */
const COMPONENT = "rollouts-controller";
const ROLLOUT_WORKERS = 10;
const EXPERIMENT_WORKERS = 10;
const RUN_WORKERS = 30;
const SERVICE_WORKERS = 2;
/** For so long a Rollout whose first pass fails again and again keeps proxies waiting; then what it would publish is published. */
export const FIRST_PASSES_MS = 10_000;
/** After how long leading is tried again when it could not begin. */
const RETRY_MS = 1_000;

export interface LeadDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly caches: Caches;
  readonly xds: XdsServer;
  /** Where proxies are written down. */
  readonly namespace: string;
  readonly bindAddress: string;
  readonly metrics?: ControllerMetrics;
  /** Asks load balancers; absent: nobody does. */
  readonly balancers?: LoadBalancers;
  /** The step plugins that may be called. Default: all that there are. */
  readonly stepPlugins?: StepPluginTable;
  /** Load reports belong into this store from now on. Called before proxies are served. */
  readonly onStore: (store: TrafficStore) => void;
  /** Proxies are served from now on, or no longer. */
  readonly onServing: (isServing: boolean) => void;
}

/** Reconciles and serves until `signal` aborts. Never rejects: what keeps it from beginning is logged, and it begins again. */
export async function lead(deps: LeadDeps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  while (!signal.aborted) {
    try {
      await leadOnce(deps, signal);
    } catch (error) {
      log.error("leading failed, trying again", { error: messageOf(error) });
      await sleep(clock, RETRY_MS, signal);
    }
  }
}

async function leadOnce(deps: LeadDeps, signal: AbortSignal): Promise<void> {
  const { client, clock, log, caches, xds, namespace, bindAddress, onServing } = deps;
  const ended = untilAborted(signal);
  if (!(await hasSynced(deps, signal))) return;
  if (caches.targetGroupBindings?.isServed() === false)
    log.warn(
      "target groups cannot be verified: targetgroupbindings are not installed, or may not be read",
      {},
    );
  const { metrics } = deps;
  const events = counted(createEventRecorder({ client, clock, log, component: COMPONENT }), metrics);
  const records = createNodeRecords({ client, clock, log, namespace });
  const book = createTrafficBook({ client, clock, log, namespace, caches });
  const publisher = createPublisher({
    caches,
    clock,
    log,
    events,
    records,
    server: snapshotServer(xds),
    bindAddress,
    onIntent: (key, intent) => (intent === undefined ? book.forget(key) : book.weightsSet(key, intent)),
    onAcknowledgement(key) {
      rollouts.add(key);
      for (const experiment of experimentsOf(caches, key)) experiments.add(experiment);
    },
    onInForce: (key, afterMs) => metrics?.acknowledged(key, afterMs / 1000),
  });
  const providers = createProviders({ traffic: { window: (query) => book.store.window(query) } });
  const kept = memoryOf(deps, (key) => rollouts.add(key));
  const table = deps.stepPlugins ?? STEP_PLUGINS;
  const stepPlugins = createStepPlugins({ clock, log, table, wake: (key) => rollouts.add(key) });
  const workers = { publisher, book, providers, stepPlugins };
  const shared = { client, clock, log, caches, events, ...kept, ...workers, metrics };
  const first = createFirstPasses(shared, caches.rollouts.store.keys());
  const { rollouts, experiments, runs, services, stop } = createQueues(shared, first, metrics);
  const endings = [
    wakeRollouts(caches, (key) => rollouts.add(key)),
    wakeExperiments(caches, (key) => experiments.add(key)),
    wakeServices(caches, (key) => services.add(key)),
    caches.analysisRuns.subscribe(({ key }) => runs.add(key)),
    tellDeletions(caches, events),
  ];
  let halted: Promise<unknown> | undefined;
  const halt = (): void => {
    onServing(false);
    for (const end of endings.splice(0)) end();
    kept.balancers?.stop();
    halted ??= Promise.all([stop(), publisher.stop(), book.stop(), stepPlugins.stop()]);
  };
  signal.addEventListener("abort", halt, { once: true });
  if (signal.aborted) halt();
  try {
    await Promise.race([book.load(), ended]);
    if (signal.aborted) return;
    deps.onStore(book.store);
    rollouts.start();
    await Promise.race([first.all(signal), ended]);
    await Promise.race([publisher.start(), ended]);
    if (signal.aborted) return;
    onServing(true);
    experiments.start();
    runs.start();
    services.start();
    log.info("leading", { rollouts: caches.rollouts.store.size });
    await ended;
  } finally {
    signal.removeEventListener("abort", halt);
    halt();
    await halted;
    log.info("no longer leading");
  }
}

/** The queues of all that is reconciled; none works yet. */
function createQueues(
  shared: ReconcileDeps & ExperimentDeps & MeasureDeps,
  first: FirstPasses,
  metrics: ControllerMetrics | undefined,
) {
  const { clock, log } = shared;
  const common = { clock, log };
  const timed = async <T>(kind: Reconciled, key: string, pass: () => Promise<T>): Promise<T> => {
    const startedMs = clock.nowMs();
    let hasFailed = true;
    try {
      const result = await pass();
      hasFailed = false;
      return result;
    } finally {
      metrics?.reconciled(kind, key, (clock.nowMs() - startedMs) / 1000, hasFailed);
    }
  };
  const rollouts = createWorkQueue({
    ...common,
    workers: ROLLOUT_WORKERS,
    async process(key, passSignal) {
      const result = await timed("rollout", key, () => reconcile(shared, key, passSignal));
      first.done(key);
      return result;
    },
  });
  const experiments = createWorkQueue({
    ...common,
    workers: EXPERIMENT_WORKERS,
    process: (key, passSignal) =>
      timed("experiment", key, () => reconcileExperiment(shared, key, passSignal)),
  });
  const runs = createWorkQueue({
    ...common,
    workers: RUN_WORKERS,
    process: (key, passSignal) => timed("analysis_run", key, () => measureRun(shared, key, passSignal)),
  });
  const services = createWorkQueue({
    ...common,
    workers: SERVICE_WORKERS,
    process: (key, passSignal) => freeService(shared, key, passSignal),
  });
  const stop = (): Promise<unknown> =>
    Promise.all([rollouts.stop(), experiments.stop(), runs.stop(), services.stop()]);
  return { rollouts, experiments, runs, services, stop };
}

/** Waits for the caches, and for the workloads that Rollouts refer to: a first pass must not take what is not listed yet for missing. */
async function hasSynced({ caches, clock, log }: LeadDeps, signal: AbortSignal): Promise<boolean> {
  if (!(await caches.waitForSync(signal))) return false;
  const late = new AbortController();
  const timer = clock.after(FIRST_PASSES_MS, () => {
    log.warn("workloads that Rollouts refer to cannot be listed", {});
    late.abort();
  });
  const either = AbortSignal.any([signal, late.signal]);
  await Promise.all(caches.rollouts.list().map((rollout) => caches.workloads.ready(rollout, either)));
  timer.cancel();
  return !signal.aborted;
}

/** What passes remember of what they did, for as long as this process leads. */
function memoryOf(deps: LeadDeps, wake: (key: string) => void) {
  const { balancers } = deps;
  return {
    freshness: createFreshness(),
    owed: createOwedEvents(),
    evictions: createEvictions(deps),
    refused: createRefusedWrites(),
    troubles: createRouterTroubles(),
    verdicts: createVerdictBook(),
    balancers: balancers === undefined ? undefined : createBalancerWatch({ ...deps, balancers, wake }),
  };
}

/** Says of each Rollout that goes that it is gone, as no pass over it does. Source: Argo: rollout/controller.go NewController, v1.9. */
function tellDeletions({ rollouts }: Caches, events: EventRecorder): () => void {
  return rollouts.subscribe(({ kind, object }) => {
    if (kind !== "deleted") return;
    const { name, namespace = "" } = object.metadata;
    const message = MESSAGES.rolloutDeleted(name, namespace);
    void events.record(subjectOf(object), "Normal", REASONS.rolloutDeleted, message);
  });
}

/** The recorder, with the events on Rollouts counted. */
function counted(recorder: EventRecorder, metrics: ControllerMetrics | undefined): EventRecorder {
  if (metrics === undefined) return recorder;
  return {
    flush: () => recorder.flush(),
    record(subject, type, reason, message) {
      const { kind, namespace, name } = subject;
      if (kind === RESOURCES.rollout.kind) metrics.eventWritten(`${namespace}/${name}`, type, reason);
      return recorder.record(subject, type, reason, message);
    },
  };
}

interface FirstPasses {
  /** A pass over `key` has succeeded. */
  done(key: string): void;
  /** Resolves when every Rollout has been reconciled; the intents of those that fail for too long are set from what a pass would decide. */
  all(signal: AbortSignal): Promise<void>;
}

function createFirstPasses(deps: ReconcileDeps, keys: Iterable<string>): FirstPasses {
  const left = new Set(keys);
  const none = Promise.withResolvers<void>();
  if (left.size === 0) none.resolve();
  return {
    done(key) {
      if (left.delete(key) && left.size === 0) none.resolve();
    },
    async all(signal) {
      await Promise.race([none.promise, sleep(deps.clock, FIRST_PASSES_MS, signal)]);
      for (const key of left) {
        const raw = deps.caches.rollouts.store.get(key);
        if (raw === undefined || signal.aborted) continue;
        // Weights can only be kept or lowered here: while nothing is published, none is raised.
        const { traffic } = decide(observe(deps, raw), deps.clock.nowMs());
        deps.log.warn("a rollout is published though its first pass has not succeeded", { rollout: key });
        if (traffic !== undefined) deps.publisher.setIntent(key, traffic);
      }
    },
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
