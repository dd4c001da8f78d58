// One pass over one AnalysisRun: assess, write what has ended, take the measurements that are due, write their outcomes. The run's own
// events and time to live are seen to here as well. Level-based like every pass: a measurement lost with the process is taken again.

import {
  type Assessment,
  applyMeasurement,
  assessRun,
  type DueMeasurement,
  evaluateCondition,
  failUnresolved,
  isCompleted,
  type MeasurementOutcome,
  type ResolvedMetric,
  redact,
  resolveMetric,
  ttlExpiresAtMs,
} from "../analysis/assess.ts";
import {
  type AnalysisRun,
  type AnalysisRunStatus,
  canaryServicesOf,
  controllerOf,
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  type Rollout,
  readSecret,
} from "../api/api.ts";
import { type ClusterClient, type EventRecorder, subjectOf, type WorkResult } from "../cluster/client.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import {
  findProvider,
  type MeasureContext,
  type Outcome,
  type ProviderTable,
} from "../providers/providers.ts";
import { writeStatus } from "./apply.ts";
import type { Caches } from "./caches.ts";
import type { Freshness } from "./freshness.ts";
import { lookAgain, STALE_RETRY_MS } from "./reconcile.ts";
import type { TrafficBook } from "./trafficbook.ts";

/** The longest that one measurement may take, whatever its provider. */
const MEASURE_TIMEOUT_MS = 60_000;

export interface MeasureDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly caches: Caches;
  readonly events: EventRecorder;
  readonly freshness: Freshness;
  readonly book: Pick<TrafficBook, "stepBegin" | "runBegin" | "runEnded">;
  readonly providers: ProviderTable;
}

/** Brings the AnalysisRun under `key` up to now. */
export async function measureRun(deps: MeasureDeps, key: string, signal: AbortSignal): Promise<WorkResult> {
  const { caches, clock, freshness } = deps;
  const passKey = `run ${key}`;
  const raw = caches.analysisRuns.store.get(key);
  if (raw === undefined || raw.metadata.deletionTimestamp !== undefined) {
    deps.book.runEnded(key);
    return freshness.forget(passKey);
  }
  const isFresh = freshness.isFresh(passKey, () => raw.metadata.resourceVersion, clock.nowMs());
  if (!isFresh) return { requeueAfterMs: STALE_RETRY_MS };
  const run = caches.analysisRuns.read(raw);
  if (isCompleted(run.status.phase)) {
    deps.book.runEnded(key);
    return expire(deps, run, signal);
  }
  const rollout = ownerOf(caches, run);
  if (rollout !== undefined) deps.book.runBegin(rollout, run);

  const before = assessRun(run, clock.nowMs());
  const held = await record(deps, passKey, { raw, status: run.status }, before, signal);
  if (tasksOf(before).length === 0) return lookAgain(before, clock.nowMs());
  const after = await measure(deps, run, before, signal);
  await record(deps, passKey, { raw: held, status: before.status }, after, signal);
  return tasksOf(after).length > 0 ? { requeueAfterMs: 1 } : lookAgain(after, clock.nowMs());
}

/** A measurement to take, or one to end because the run is ending. */
interface Task {
  readonly due: DueMeasurement;
  readonly isEnd: boolean;
}

function tasksOf({ measurementsDue, terminateMeasurements }: Assessment): readonly Task[] {
  return [
    ...measurementsDue.map((due) => ({ due, isEnd: false })),
    ...terminateMeasurements.map((due) => ({ due, isEnd: true })),
  ];
}

/** Takes all measurements that are due, side by side, and assesses the run with their outcomes. */
async function measure(
  deps: MeasureDeps,
  run: AnalysisRun,
  before: Assessment,
  signal: AbortSignal,
): Promise<Assessment> {
  const { clock } = deps;
  const tasks = tasksOf(before);
  const startedAtMs = clock.nowMs();
  const secretValues = await readSecrets(deps.client, run, signal);
  const ready = new Map<string, ResolvedMetric>();
  for (const { due } of tasks) {
    const resolved = resolve(run, due.metric, secretValues);
    // As in Argo, one argument that cannot be resolved ends the whole run.
    if (resolved.kind === "error")
      return failUnresolved({ ...run, status: before.status }, resolved.message, clock.nowMs());
    ready.set(due.metric, resolved.value);
  }
  const outcomes = await Promise.all(
    tasks.map(({ due, isEnd }) => take(deps, run, due, isEnd, ready.get(due.metric), signal)),
  );
  let status = before.status;
  for (const [index, outcome] of outcomes.entries()) {
    const due = tasks[index]?.due;
    if (due === undefined) continue;
    const metric = { name: due.metric, isDryRun: due.isDryRun, startedAtMs, secrets: outcome.secrets };
    status = applyMeasurement(status, metric, outcome.outcome, clock.nowMs());
  }
  return assessRun({ ...run, status }, clock.nowMs());
}

/** Writes the status that an assessment came to and emits its events; resolves with the run as written. */
async function record(
  deps: MeasureDeps,
  passKey: string,
  { raw, status }: { readonly raw: KubeObject; readonly status: AnalysisRunStatus },
  assessed: Assessment,
  signal: AbortSignal,
): Promise<KubeObject> {
  const subject = { type: RESOURCES.analysisRun, raw, status };
  const written = await writeStatus(deps, passKey, subject, assessed.status, signal);
  for (const { type, reason, message } of assessed.events)
    await deps.events.record(subjectOf(written), type, reason, message);
  return written;
}

/** Deletes a finished run whose time to live is over. */
async function expire(
  { client, clock }: MeasureDeps,
  run: AnalysisRun,
  signal: AbortSignal,
): Promise<WorkResult> {
  const atMs = ttlExpiresAtMs(run);
  if (atMs === undefined) return;
  if (clock.nowMs() < atMs) return lookAgain({ requeueAtMs: atMs }, clock.nowMs());
  const { namespace = "", name, uid } = run.metadata;
  await client.delete(
    RESOURCES.analysisRun,
    { namespace, name },
    { signal, ...(uid !== undefined && { uid }) },
  );
}

function resolve(
  run: AnalysisRun,
  name: string,
  secrets: ReadonlyMap<string, string>,
): ReturnType<typeof resolveMetric> {
  const metric = run.spec.metrics.find((candidate) => candidate.name === name);
  if (metric === undefined) return { kind: "error", message: `metric ${name} is not in the spec` };
  return resolveMetric(metric, run.spec.args ?? [], (secret, key) => secrets.get(`${secret}/${key}`));
}

interface Taken {
  readonly outcome: MeasurementOutcome;
  readonly secrets: readonly string[];
}

/** Takes, resumes or ends one measurement. Whatever goes wrong is an outcome of phase Error. */
async function take(
  deps: MeasureDeps,
  run: AnalysisRun,
  due: DueMeasurement,
  isEnd: boolean,
  resolved: ResolvedMetric | undefined,
  signal: AbortSignal,
): Promise<Taken> {
  const failed = (message: string, secrets: readonly string[] = []): Taken => ({
    outcome: { phase: "Error", message: redact(message, secrets) },
    secrets,
  });
  if (resolved === undefined) return failed(`metric ${due.metric} is not in the spec`);
  const { metric: ready, secrets } = resolved;
  const found = findProvider(deps.providers, ready);
  if (found.kind === "unsupported") return failed(found.message);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(MEASURE_TIMEOUT_MS)]);
  const context = contextOf(deps, run, due, ready);
  try {
    const call = isEnd ? found.provider.terminate : found.provider.measure;
    const outcome: Outcome = await call(found.settings, context, limit);
    return { outcome, secrets };
  } catch (error) {
    deps.log.warn("measurement failed", {
      run: run.metadata.name,
      metric: due.metric,
      error: messageOf(error),
    });
    return failed(messageOf(error), secrets);
  }
}

function contextOf(
  { caches, clock, book }: MeasureDeps,
  run: AnalysisRun,
  due: DueMeasurement,
  metric: AnalysisRun["spec"]["metrics"][number],
): MeasureContext {
  const { namespace = "" } = run.metadata;
  const rollout = ownerOf(caches, run);
  const canary = run.metadata.labels?.[POD_HASH_LABEL] ?? rollout?.status.currentPodHash;
  const stable = rollout?.status.stableRS;
  const service =
    rollout && (canaryServicesOf(rollout).root ?? rollout.spec.strategy?.blueGreen?.activeService);
  const step = rollout === undefined ? undefined : book.stepBegin(`${namespace}/${rollout.metadata.name}`);
  const begun = rollout === undefined ? undefined : book.runBegin(rollout, run);
  const runStartedAtMs =
    Date.parse(run.status.startedAt ?? run.metadata.creationTimestamp ?? "") || clock.nowMs();
  return {
    namespace,
    nowMs: clock.nowMs(),
    runStartedAtMs,
    podHashes: { ...(canary !== undefined && { canary }), ...(stable !== undefined && { stable }) },
    ...(service !== undefined && { service }),
    ...(step !== undefined && { stepStartedAtMs: step.atMs }),
    marks: {
      ...(step !== undefined && { step: step.mark }),
      ...(begun !== undefined && { run: begun.mark }),
    },
    ...(due.measurement?.metadata !== undefined && { metadata: due.measurement.metadata }),
    evaluate: (result) =>
      evaluateCondition({
        result,
        nowMs: clock.nowMs(),
        ...(metric.successCondition !== undefined && { success: metric.successCondition }),
        ...(metric.failureCondition !== undefined && { failure: metric.failureCondition }),
      }),
  };
}

/** The Rollout that the run is about: its owner, or that of the Experiment that owns it. */
function ownerOf(caches: Caches, run: AnalysisRun): Rollout | undefined {
  const { namespace = "" } = run.metadata;
  const own = controllerOf(run);
  const experiment =
    own?.kind === RESOURCES.experiment.kind ? caches.experiments.get(namespace, own.name) : undefined;
  const owner = experiment === undefined ? own : controllerOf(experiment);
  return owner?.kind === RESOURCES.rollout.kind ? caches.rollouts.get(namespace, owner.name) : undefined;
}

/** The Secrets that the run's arguments name, read now and kept nowhere; `name/key` → value. */
async function readSecrets(
  client: ClusterClient,
  run: AnalysisRun,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const values = new Map<string, string>();
  const names = new Set(
    (run.spec.args ?? []).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.name ?? []),
  );
  const { namespace = "" } = run.metadata;
  for (const name of names) {
    const object = await client.get(RESOURCES.secret, { namespace, name }, signal);
    if (object === undefined) continue;
    for (const [key, text] of Object.entries(readSecret(object).value.data ?? {})) {
      values.set(`${name}/${key}`, Buffer.from(text, "base64").toString("utf8"));
    }
  }
  return values;
}
