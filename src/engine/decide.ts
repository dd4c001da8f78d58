// The door of engine/ and the page to read first: what one pass does about one Rollout. Planners stand in fixed precedence: deleted →
// invalid → the wanted version's ReplicaSet → canary or blue-green (where promote full clears an abort, and an abort comes before the rest).
// Pure: from a snapshot and the time to a plan. Nothing here performs or waits.
import { MESSAGES, REASONS, type TrafficIntent, usesWeirRouter } from "../api/api.ts";
import { assertNever } from "../lib/assert.ts";
import { decideBlueGreen, prepareBlueGreen } from "./bluegreen.ts";
import { decideCanary, prepareCanary } from "./canary.ts";
import { type Context, contextOf, isPromoted } from "./context.ts";
import type { Decision } from "./decision.ts";
import { invalidReason } from "./invalid.ts";
import type { Action, Plan, PlannedEvent, PluginCall, Wait } from "./plan.ts";
import { planEphemeral } from "./pods/ephemeral.ts";
import { planRestart } from "./pods/restart.ts";
import { planHistory, planRevision, type RevisionPlan } from "./pods/revision.ts";
import { canSkipSteps } from "./pods/rollbackwindow.ts";
import { planMigration } from "./pods/workload.ts";
import type { Snapshot } from "./snapshot.ts";
import { firstStage, type Stage } from "./stage.ts";
import { forcedAbortStage } from "./status/deadline.ts";
import { explanationOf } from "./status/explain.ts";
import { buildStatus, collisionStatus, invalidStatus, isFirstSight } from "./status/status.ts";
import { endedRecord } from "./status/timing.ts";
import { intentOf } from "./traffic/traffic.ts";
import { oneWriteEach } from "./writes.ts";

export type { ExperimentPlan } from "./experiment/plan.ts";
export { experimentProblem } from "./experiment/spec.ts";
export { decideExperiment } from "./experiment.ts";
export { findReferenceProblems, type ReferenceProblem } from "./invalid.ts";
export type {
  Action,
  AnnotationChanges,
  ExplainedVersion,
  Explanation,
  Plan,
  PlannedEvent,
  PluginCall,
  Wait,
  WaitCode,
} from "./plan.ts";
export { type ActionRequest, type ObjectName, requestOf } from "./request.ts";
export {
  type AnalysisSnapshot,
  DEFAULT_ENGINE_CONFIG,
  type EngineConfig,
  type ExperimentSnapshot,
  type PluginAnswer,
  type PluginOutcome,
  type PluginsSnapshot,
  type RefusedEviction,
  type RefusedWrite,
  type ServicesSnapshot,
  type Snapshot,
  type TrafficSnapshot,
  type ValidationSnapshot,
  type WorkloadSnapshot,
} from "./snapshot.ts";
export { actionText, explain } from "./status/explain.ts";
export { mayBeSentTo } from "./traffic/additional.ts";
export { withRouterEvents } from "./traffic/routed.ts";

/** Decides one pass. */
export function decide(snapshot: Snapshot, nowMs: number): Plan {
  const context = contextOf(snapshot, nowMs);
  if (snapshot.rollout.metadata.deletionTimestamp !== undefined) return planDeleted(context);
  const reason = invalidReason(context);
  if (reason !== undefined) return planInvalid(context, reason);
  const revision = planRevision(context);
  switch (revision.kind) {
    case "collision":
      return planCollision(context, revision.collisionCount);
    case "preparing":
      return planPreparing(context, revision);
    case "ready":
      return planUpdate({ ...context, revision: revision.revision }, revision);
    default:
      return assertNever(revision);
  }
}

/** The owner is going: the API takes its ReplicaSets and runs with it, the proxies keep what they have. */
function planDeleted(context: Context): Plan {
  return assemble(context, {
    planner: "deleted",
    status: context.status,
    traffic: lastIntent(context),
    next: "nothing: the Rollout is being deleted",
  });
}

/** Nothing is touched, the running release goes on; the last weights stay published. */
function planInvalid(context: Context, reason: string): Plan {
  const retryAtMs = context.nowMs + context.snapshot.config.invalidRetryMs;
  return assemble(context, {
    planner: "invalid",
    status: invalidStatus(context, reason),
    events: firstSight(context),
    traffic: lastIntent(context),
    requeueAtMs: [retryAtMs],
    waits: [{ code: "valid", text: reason }],
    next: "it goes on by itself once the spec is right and what it names exists",
  });
}

/** Another salt, another name: the next pass creates it. */
function planCollision(context: Context, collisionCount: number): Plan {
  return assemble(context, {
    planner: "name taken",
    status: collisionStatus(context, collisionCount),
    events: firstSight(context),
    traffic: lastIntent(context),
    requeueAtMs: [context.nowMs + 1],
    next: "create the ReplicaSet under another name",
  });
}

/** Creates or adopts what the update stands on; the update begins when it is there. */
function planPreparing(context: Context, revision: Extract<RevisionPlan, { kind: "preparing" }>): Plan {
  const reset = changedStage(context);
  const decision = strategistOf(context).prepare(context, reset);
  const built = buildStatus(context, decision, {
    revision: revision.revision,
    isCreating: revision.isNew,
    refused: revision.refused,
    restartedAt: planRestart(context, decision, reset !== undefined).restartedAt,
  });
  return assemble(context, {
    ...decision,
    routing: decision.traffic,
    status: built.status,
    actions: [...revision.steps.actions, ...decision.actions, ...defaulted(context)],
    events: [
      ...firstSight(context),
      ...revision.steps.events,
      ...decision.events.first,
      ...built.events.incomplete,
      ...decision.events.steps,
      ...built.events.aborted,
      ...built.events.paused,
    ],
    waits: [...decision.waits, ...(revision.waits ?? []), ...refusalWaits(revision.refused)],
    requeueAtMs: preparingAtMs(context, revision),
  });
}

/** How soon to look again while an object of ours is on its way out. */
const RECHECK_MS = 1000;
/** How soon to try again what the API has refused for good: a quota may have grown. */
const REFUSED_MS = 5000;

function preparingAtMs(
  { nowMs }: Context,
  { steps, refused }: Extract<RevisionPlan, { kind: "preparing" }>,
): readonly number[] {
  if (refused !== undefined) return [nowMs + REFUSED_MS];
  return steps.actions.length > 0 ? [] : [nowMs + RECHECK_MS];
}

function refusalWaits(refused: string | undefined): readonly Wait[] {
  return refused === undefined
    ? []
    : [{ code: "retry", text: `the API refuses the new version's ReplicaSet: ${refused}` }];
}

/** One pass of the update. */
function planUpdate(context: Context, revision: Extract<RevisionPlan, { kind: "ready" }>): Plan {
  const reset = changedStage(context);
  const strategist = strategistOf(context);
  let decision = strategist.decide(context, reset);
  let restart = planRestart(context, decision, reset !== undefined);
  const pass = { revision: revision.revision, isCreating: false, refused: undefined };
  let built = buildStatus(context, decision, { ...pass, restartedAt: restart.restartedAt });
  const abortStage = forcedAbortStage(context, decision, built.deadline);
  if (abortStage !== undefined) {
    decision = strategist.decide(context, abortStage);
    restart = planRestart(context, decision, false);
    built = buildStatus(context, decision, { ...pass, restartedAt: restart.restartedAt });
  }
  const { deadline, events } = built;
  const completed = completedEvents(context, decision, revision.revision);
  const history = planHistory(context);
  const migration = planMigration(context, decision, revision.revision);
  const ephemeral = planEphemeral(context, decision.stableHash, [...decision.actions, ...history]);
  return assemble(context, {
    ...decision,
    routing: decision.traffic,
    status: built.status,
    actions: oneWriteEach([
      ...defaulted(context),
      ...revision.steps.actions,
      ...ephemeral.versions,
      ...decision.actions,
      ...history,
      ...ephemeral.pods,
      ...restart.actions,
      ...migration.actions,
    ]),
    events: [
      ...firstSight(context),
      ...revision.steps.events,
      ...decision.events.first,
      ...events.incomplete,
      ...skipped(context, reset),
      ...decision.events.steps,
      ...decision.events.scaling,
      ...completed,
      ...events.aborted,
      ...events.paused,
      ...decision.events.last,
    ],
    waits: [...decision.waits, ...restart.waits, ...migration.waits],
    requeueAtMs: [
      ...decision.requeueAtMs,
      ...restart.requeueAtMs,
      deadline.atMs,
      ephemeral.requeueAtMs,
    ].filter((atMs) => atMs !== undefined),
  });
}

interface Strategist {
  /** A pass over an update whose ReplicaSet is there. `reset`: the stage to begin with when the spec's version or steps have changed. */
  decide(this: void, context: Context, reset: Stage | undefined): Decision;
  /** A pass in which something has to exist first. */
  prepare(this: void, context: Context, reset: Stage | undefined): Decision;
}

/** The page that decides for the Rollout's strategy. */
function strategistOf({ strategy }: Context): Strategist {
  switch (strategy.kind) {
    case "canary":
    case "none":
      return { decide: decideCanary, prepare: prepareCanary };
    case "blueGreen":
      return { decide: decideBlueGreen, prepare: prepareBlueGreen };
    default:
      return assertNever(strategy);
  }
}

/** The stage to begin with, when the spec asks for other pods or other steps than the last status knew. */
function changedStage(context: Context): Stage | undefined {
  const { currentPodHash, currentStepHash } = context.status;
  const areStepsSame = context.isObserved || (currentStepHash ?? "") === context.stepHash;
  const isSame = currentPodHash === context.podHash && areStepsSame;
  return isSame ? undefined : firstStage(context);
}

/** Autoscalers need spec.replicas to be written out. */
function defaulted(context: Context): readonly Action[] {
  if (context.rollout.spec.replicas !== undefined) return [];
  const { namespace, name, uid, replicas } = context;
  const reason = "autoscalers need spec.replicas to be there";
  return [{ kind: "defaultReplicas", namespace, name, uid, replicas, reason }];
}

function skipped(context: Context, reset: Stage | undefined): readonly PlannedEvent[] {
  if (reset === undefined || context.steps.length === 0) return [];
  const message = isPromoted(context)
    ? MESSAGES.skipStepsToStable
    : canSkipSteps(context)
      ? MESSAGES.skipStepsInWindow
      : undefined;
  return message === undefined ? [] : [{ type: "Normal", reason: REASONS.skipSteps, message }];
}

function completedEvents(context: Context, decision: Decision, revision: number): readonly PlannedEvent[] {
  if (decision.promotion === undefined) return [];
  const message = MESSAGES.rolloutCompleted(revision, context.podHash, decision.promotion);
  return [{ type: "Normal", reason: REASONS.rolloutCompleted, message }];
}

function firstSight(context: Context): readonly PlannedEvent[] {
  if (!isFirstSight(context.snapshot.raw)) return [];
  const message = `Rollout resource added to informer: ${context.namespace}/${context.name}`;
  return [{ type: "Normal", reason: REASONS.rolloutAddedToInformer, message }];
}

/** What was published last, or what the status says was decided: for passes that decide no weights. */
function lastIntent(context: Context): TrafficIntent | undefined {
  const { weights } = context.status.canary ?? {};
  if (!context.hasRouter || weights === undefined) return context.snapshot.traffic.published;
  // Which routes were in force the status does not tell, and the steps may be what is wrong.
  return intentOf(context, weights, context.snapshot.traffic.published?.routes ?? []);
}

interface Parts {
  readonly planner: string;
  readonly status: Plan["status"];
  readonly actions?: readonly Action[];
  readonly calls?: readonly PluginCall[];
  readonly events?: readonly PlannedEvent[];
  readonly traffic: TrafficIntent | undefined;
  readonly routing?: TrafficIntent | undefined;
  readonly requeueAtMs?: readonly number[];
  readonly waits?: readonly Wait[];
  readonly warnings?: readonly string[];
  readonly next: string;
}

/** Whether an intent is weir's proxies' business: not where other routers alone split the traffic. */
function isForProxies({ hasRouter, rollout }: Context): boolean {
  return !hasRouter || usesWeirRouter(rollout);
}

/** Puts a plan together, with its explanation. */
function assemble(context: Context, parts: Parts): Plan {
  const {
    status,
    traffic,
    routing,
    actions = [],
    calls = [],
    events = [],
    requeueAtMs = [],
    waits = [],
    warnings = [],
  } = parts;
  const soonestMs = Math.min(...requeueAtMs);
  const ended = endedRecord(context.status.duration, status.duration);
  return {
    actions,
    status,
    ...(ended === undefined ? {} : { ended }),
    ...(traffic === undefined || !isForProxies(context) ? {} : { traffic }),
    ...(routing === undefined || context.snapshot.traffic.routers === undefined ? {} : { routing }),
    events,
    ...(calls.length === 0 ? {} : { calls }),
    ...(requeueAtMs.length === 0 ? {} : { requeueAtMs: Math.max(soonestMs, context.nowMs + 1) }),
    warnings,
    explanation: explanationOf(context, {
      planner: parts.planner,
      status,
      traffic,
      actions,
      waits,
      next: parts.next,
    }),
  };
}
