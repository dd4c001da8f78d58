// The steps of a canary: whether the current one is complete, what the next one asks for. One step at most is completed in a pass, so
// that each is seen by whoever watches.
import { MESSAGES, REASONS, type ReplicaSet, stepText } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import { isExperimentSuccessful } from "../experiment/step.ts";
import type { PlannedEvent, Wait } from "../plan.ts";
import { isReached } from "../pods/progressthreshold.ts";
import { countsOf } from "../pods/replicaset.ts";
import { isDynamic } from "../pods/routedsizes.ts";
import { targetSizes } from "../pods/scaling.ts";
import { hasPause, isHalted, type Mode, type Stage, withoutPause, withPause } from "../stage.ts";
import type { InForce } from "../traffic/inforce.ts";
import { isRouteDue } from "../traffic/managedroutes.ts";
import { isStepRunSuccessful } from "./analysisruns.ts";
import { isPluginDone } from "./stepplugins.ts";

export interface StepPlan {
  readonly stage: Stage;
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
  readonly requeueAtMs?: number;
}

/** Completes the current step if it may be, and enters the pause that the stage then stands at. */
export function planSteps(
  context: Context,
  mode: Mode,
  before: Stage,
  isResumed: boolean,
  inForce: InForce,
): StepPlan {
  const { index } = before;
  if (mode !== "steps" || index === undefined || index >= context.steps.length || isHalted(context, before))
    return { stage: before, events: [], waits: haltedWaits(context, before) };
  const state = stepState(context, before, index, isResumed, inForce);
  if (state.kind === "waiting") return enterPause(context, before, isResumed, state.waits);

  const count = context.steps.length;
  const text = stepText(context.canary.steps?.[index] ?? {});
  const completed: PlannedEvent = {
    type: "Normal",
    reason: REASONS.rolloutStepCompleted,
    message: MESSAGES.stepCompleted(index + 1, count, text),
  };
  const next: Stage = {
    ...withoutPause(before, "CanaryPauseStep"),
    index: index + 1,
    stepRun: undefined,
    experiment: undefined,
  };
  const wasPaused = context.steps[index]?.kind === "pause" && before.controllerPause;
  const resumed: PlannedEvent = { type: "Normal", reason: REASONS.rolloutResumed, message: MESSAGES.resumed };
  const entered = enterPause(context, next, false, []);
  return { ...entered, events: [completed, ...(wasPaused ? [resumed] : []), ...entered.events] };
}

type StepState =
  | { readonly kind: "complete" }
  | { readonly kind: "waiting"; readonly waits: readonly Wait[] };

function stepState(
  context: Context,
  stage: Stage,
  index: number,
  isResumed: boolean,
  inForce: InForce,
): StepState {
  const step = context.steps[index];
  if (step === undefined) return { kind: "complete" };
  switch (step.kind) {
    case "setWeight": {
      const waits = [...sizeWaits(context, "steps", stage), ...weightWaits(context, step.weight, inForce)];
      return waits.length === 0 ? { kind: "complete" } : { kind: "waiting", waits };
    }
    case "pause":
      return unlessUnsure(pauseState(context, stage, step.durationMs, isResumed), isResumed, inForce);
    case "analysis":
      // What the run is doing is told where runs are planned.
      return unlessUnsure(
        isStepRunSuccessful(stage) ? { kind: "complete" } : { kind: "waiting", waits: [] },
        isResumed,
        inForce,
      );
    case "setCanaryScale": {
      const waits = sizeWaits(context, "steps", stage);
      return unlessUnsure(
        waits.length === 0 ? { kind: "complete" } : { kind: "waiting", waits },
        isResumed,
        inForce,
      );
    }
    case "experiment":
      // What the Experiment is doing is told where Experiments are planned.
      return unlessUnsure(
        isExperimentSuccessful(context, stage) ? { kind: "complete" } : { kind: "waiting", waits: [] },
        isResumed,
        inForce,
      );
    case "setHeaderRoute":
    case "setMirrorRoute":
      return routeState(context, stage, step.route.name ?? "", inForce);
    case "plugin":
      // What the plugin is doing is told where it is called.
      return unlessUnsure(
        isPluginDone(stage, index) ? { kind: "complete" } : { kind: "waiting", waits: [] },
        isResumed,
        inForce,
      );
    case "invalid":
      // Validation refuses it; an object that got past that waits rather than skip what its author asked for.
      return {
        kind: "waiting",
        waits: [{ code: "valid", text: `step ${index + 1} (${step.kind}) is not carried out yet` }],
      };
    default:
      return assertNever(step);
  }
}

/** A route is set once every proxy has it. That pods are missing for it is told where routes are decided. */
function routeState(context: Context, stage: Stage, name: string, inForce: InForce): StepState {
  if (isRouteDue(context, "steps", stage)) return { kind: "waiting", waits: [] };
  if (inForce.kind !== "no") return { kind: "complete" };
  const text = `route ${name}: ${inForce.words}`;
  return { kind: "waiting", waits: [{ code: "acknowledgement", text }] };
}

/**
 * No step goes by while it is not known that every proxy follows the weights that it was taken under: a new leader first hears of the proxies that
 * its predecessor knew, or waits out their grace. What a person has decided goes on.
 */
function unlessUnsure(state: StepState, isResumed: boolean, inForce: InForce): StepState {
  if (state.kind === "waiting" || isResumed || inForce.kind !== "no") return state;
  return { kind: "waiting", waits: [{ code: "acknowledgement", text: inForce.words }] };
}

function pauseState(
  context: Context,
  stage: Stage,
  durationMs: number | "indefinite",
  isResumed: boolean,
): StepState {
  const pause = stage.pauses.find((condition) => condition.reason === "CanaryPauseStep");
  if (pause === undefined) return isResumed ? { kind: "complete" } : { kind: "waiting", waits: [] };
  const startMs = parseTime(pause.startTime) ?? context.nowMs;
  if (durationMs === "indefinite")
    return { kind: "waiting", waits: [{ code: "pause", text: "paused until it is promoted" }] };
  const untilMs = startMs + durationMs;
  if (context.nowMs >= untilMs) return { kind: "complete" };
  const text = `paused until ${formatTime(untilMs)}, or until it is promoted`;
  return { kind: "waiting", waits: [{ code: "pause", text, untilMs }] };
}

/** At a pause step without its condition: adds it. */
function enterPause(context: Context, stage: Stage, isResumed: boolean, waits: readonly Wait[]): StepPlan {
  const step = stage.index === undefined ? undefined : context.steps[stage.index];
  if (step?.kind !== "pause" || isResumed || hasPause(stage, "CanaryPauseStep")) {
    const untilMs = waits.find((wait) => wait.code === "pause")?.untilMs;
    return { stage, events: [], waits, ...(untilMs === undefined ? {} : { requeueAtMs: untilMs }) };
  }
  // The event comes with the status.
  const paused = withPause(context, stage, "CanaryPauseStep");
  const state = pauseState(context, paused, step.durationMs, false);
  const pauseWaits = state.kind === "waiting" ? state.waits : [];
  const untilMs = state.kind === "complete" ? context.nowMs + 1 : pauseWaits[0]?.untilMs;
  return {
    stage: paused,
    events: [],
    waits: pauseWaits,
    ...(untilMs === undefined ? {} : { requeueAtMs: untilMs }),
  };
}

function sizeWaits(context: Context, mode: Mode, stage: Stage): readonly Wait[] {
  const { current, stable, others } = context.roles;
  const target = targetSizes(context, mode, stage);
  const waits: Wait[] = [];
  const counts = current === undefined ? { spec: 0, available: 0 } : countsOf(current);
  if (!isReached(context.canary, counts, target.canary)) {
    const text = `the canary has ${counts.available} of ${target.canary} pods available`;
    waits.push({ code: "replicas", text });
  }
  // A stable version that follows its traffic is one pass behind it; what it needs holds back the weights.
  const isStableChecked = stable !== undefined && stable !== current && !isDynamic(context);
  if (isStableChecked && !isCreated(stable, target.stable)) {
    const text = `stable has ${countsOf(stable).available} of ${target.stable} pods available`;
    waits.push({ code: "replicas", text });
  }
  const isDraining = !context.hasRouter && others.some((replicaSet) => countsOf(replicaSet).available > 0);
  if (isDraining) waits.push({ code: "replicas", text: "pods of older versions are still there" });
  return waits;
}

/** Whether a ReplicaSet has been asked for `wanted` pods and they exist: stable's may be unready, that is not the update's doing. */
function isCreated(replicaSet: ReplicaSet, wanted: number): boolean {
  return countsOf(replicaSet).spec === wanted && replicaSet.status.replicas === wanted;
}

function weightWaits(context: Context, weight: number, inForce: InForce): readonly Wait[] {
  if (!context.hasRouter) return [];
  const set = context.status.canary?.weights?.canary;
  if (set?.weight !== weight || set.podTemplateHash !== context.podHash)
    return [{ code: "acknowledgement", text: `the weight is not set to ${weight} yet` }];
  if (inForce.kind === "no") return [{ code: "acknowledgement", text: inForce.words }];
  return [];
}

function haltedWaits(context: Context, stage: Stage): readonly Wait[] {
  if (context.rollout.spec.paused === true)
    return [{ code: "user", text: "paused by the user (spec.paused)" }];
  if (hasPause(stage, "InconclusiveAnalysisRun"))
    return [{ code: "inconclusive", text: "an analysis was inconclusive: promote or abort" }];
  return [];
}
