// The door of engine/ and the page to read first: what one pass does about one Rollout. Planners stand in fixed precedence: deleted →
// invalid → the wanted version's ReplicaSet → canary or blue-green (where promote full clears an abort, and an abort comes before the rest).
// Pure: from a snapshot and the time to a plan. Nothing here performs or waits.
import { assertNever } from "../lib/assert.ts";
import { assemble, type Parts } from "./assemble.ts";
import { decideBlueGreen, prepareBlueGreen } from "./bluegreen.ts";
import { decideCanary, prepareCanary } from "./canary.ts";
import { type Context, contextOf } from "./context.ts";
import type { Decision } from "./decision.ts";
import { invalidReason } from "./invalid.ts";
import type { Action, Plan, Wait } from "./plan.ts";
import { planEphemeral } from "./pods/ephemeral.ts";
import { planRestart, type RestartPlan } from "./pods/restart.ts";
import { planHistory, planRevision, type RevisionPlan } from "./pods/revision.ts";
import { planMigration } from "./pods/workload.ts";
import type { Snapshot } from "./snapshot.ts";
import { firstStage, type Stage } from "./stage.ts";
import { forcedAbortStage, unheardOf } from "./status/deadline.ts";
import { completed, firstSight, skipped } from "./status/passevents.ts";
import { type BuiltStatus, buildStatus, collisionStatus, invalidStatus } from "./status/status.ts";
import { lastIntent } from "./traffic/intent.ts";
import { verdictsOf } from "./traffic/verdicts.ts";
import { oneWriteEach } from "./writes.ts";

export type { ExperimentPlan } from "./experiment/plan.ts";
export { type ExperimentProblem, experimentProblems } from "./experiment/spec.ts";
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
export { updateLeft } from "./stage.ts";
export { actionText, explain } from "./status/explain.ts";
export { mayBeSentTo } from "./traffic/additional.ts";
export { withRouterEvents } from "./traffic/otherrouters.ts";
export { type PodsInQuestion, podsInQuestion } from "./traffic/targets.ts";
export { newVerdicts, toldVerdicts } from "./traffic/verdicts.ts";

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
  return undecided(context, {
    planner: "deleted",
    status: context.rollout.status,
    next: "nothing: the Rollout is being deleted",
  });
}

/** Nothing is touched, the running release goes on. */
function planInvalid(context: Context, reason: string): Plan {
  const retryAtMs = context.nowMs + context.snapshot.config.invalidRetryMs;
  return undecided(context, {
    planner: "invalid",
    status: invalidStatus(context, reason),
    events: firstSight(context),
    requeueAtMs: [retryAtMs],
    waits: [{ code: "valid", text: reason }],
    next: "it goes on by itself once the spec is right and what it names exists",
  });
}

/** Another salt, another name: the next pass creates it. */
function planCollision(context: Context, collisionCount: number): Plan {
  return undecided(context, {
    planner: "name taken",
    status: collisionStatus(context, collisionCount),
    events: firstSight(context),
    next: "create the ReplicaSet under another name",
  });
}

/** A pass that decides nothing about the traffic: the last weights stay published, other routers' objects are left as they are. */
function undecided(context: Context, parts: Omit<Parts, "traffic" | "isTrafficDecided">): Plan {
  return assemble(context, { ...parts, traffic: lastIntent(context), isTrafficDecided: false });
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
    isTrafficDecided: true,
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

/** One pass of the update; where it finds that crashes or the deadline end the update, the pass that aborts it. */
function planUpdate(context: Context, revision: Extract<RevisionPlan, { kind: "ready" }>): Plan {
  const reset = changedStage(context);
  const first = decideHeard(context, revision.revision, reset);
  const abortStage = forcedAbortStage(context, first.decision, first.built.deadline);
  const { decision, restart, built } =
    abortStage === undefined ? first : decideFrom(context, revision.revision, abortStage, false);
  const { deadline, events } = built;
  const history = planHistory(context);
  const migration = planMigration(context, decision, revision.revision);
  const ephemeral = planEphemeral(context, decision.stableHash, [...decision.actions, ...history]);
  return assemble(context, {
    ...decision,
    isTrafficDecided: true,
    verdicts: verdictsOf(context, decision.mode),
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
      ...completed(context, decision, revision.revision),
      ...events.aborted,
      ...events.paused,
      ...decision.events.last,
    ],
    waits: [...decision.waits, ...restart.waits, ...migration.waits],
    requeueAtMs: [...decision.requeueAtMs, ...restart.requeueAtMs, deadline.atMs, ephemeral.requeueAtMs],
  });
}

/**
 * The pass before it is known whether crashes or the deadline end the update. A leader that has just begun has heard no router yet: it does not call
 * the deadline over when the update would move on if they all followed.
 */
function decideHeard(context: Context, revision: number, reset: Stage | undefined): Decided {
  const decided = decideFrom(context, revision, reset, reset !== undefined);
  const unheard = decided.built.deadline.timedOut === undefined ? undefined : unheardOf(context);
  if (unheard === undefined) return decided;
  const followed = decideFrom(unheard.ifFollowed, revision, reset, reset !== undefined);
  if (followed.built.deadline.timedOut !== undefined) return decided;
  return decideFrom(context, revision, reset, reset !== undefined, unheard.untilMs);
}

interface Decided {
  readonly decision: Decision;
  readonly restart: RestartPlan;
  readonly built: BuiltStatus;
}

/** What the strategy decides, and the status that this leads to. `reset`: the stage to begin with instead of the status's. */
function decideFrom(
  context: Context,
  revision: number,
  reset: Stage | undefined,
  isNewVersion: boolean,
  deadlineHeldUntilMs?: number,
): Decided {
  const decision = strategistOf(context).decide(context, reset);
  const restart = planRestart(context, decision, isNewVersion);
  const { restartedAt } = restart;
  const built = buildStatus(context, decision, {
    revision,
    isCreating: false,
    refused: undefined,
    restartedAt,
    deadlineHeldUntilMs,
  });
  return { decision, restart, built };
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
