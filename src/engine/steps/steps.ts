// The steps of a canary: whether the current one is complete, what the next one asks for. One step at most is completed in a pass, so
// that each is seen by whoever watches.
import {
  MESSAGES,
  memberOf,
  REASONS,
  type ReplicaSet,
  type Step,
  type StepMember,
  stepText,
} from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { formatTime, parseTime } from "../../lib/time.ts";
import { type Context, memberAt } from "../context.ts";
import { isExperimentSuccessful } from "../experiment/step.ts";
import type { PlannedEvent, Wait } from "../plan.ts";
import { isReached } from "../pods/progressthreshold.ts";
import { countsOf } from "../pods/replicaset.ts";
import { isDynamic, shareAt } from "../pods/routedsizes.ts";
import { targetSizes } from "../pods/scaling.ts";
import { hasPause, modeOf, type Stage, withoutPause, withPause } from "../stage.ts";
import { type InForce, isShareSet } from "../traffic/inforce.ts";
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
export function planSteps(context: Context, before: Stage, isResumed: boolean, inForce: InForce): StepPlan {
  const { index } = before;
  const step = index === undefined ? undefined : context.steps[index];
  const isAtStep = index !== undefined && step !== undefined && modeOf(context, before) === "steps";
  const held = haltedWaits(context, before);
  if (!isAtStep || (held.length > 0 && !endsWhileHalted(context, step)))
    return { stage: before, events: [], waits: held };
  const state = stepState(context, before, { step, index, isResumed, inForce });
  if (state.kind === "pausing") return underHalt(enterPause(context, before), held);
  if (state.kind !== "complete") {
    const isHeld = state.kind === "held" ? { isHeld: true } : {};
    // Before a gate has opened the step's pause has not begun: what the user let pass was another one, and is no answer to it.
    const isGated = isResumed && lacksVerdict(context, before, { step, index, isResumed, inForce });
    const heard = isGated ? { controllerPause: before.pauses.length > 0 } : {};
    return underHalt(waitingAt({ ...before, ...isHeld, ...heard }, state.waits), held);
  }

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
  const resumed: PlannedEvent = { type: "Normal", reason: REASONS.rolloutResumed, message: MESSAGES.resumed };
  const isResuming = memberOf(step, "pause") !== undefined && held.length === 0;
  // A pause alone begins with its step; beside other members the next pass sees what those lack.
  const following = context.steps[index + 1];
  const isPause = following?.length === 1 && memberOf(following, "pause") !== undefined;
  const entered = underHalt(isPause ? enterPause(context, next) : waitingAt(next, []), held);
  return { ...entered, events: [completed, ...(isResuming ? [resumed] : [])] };
}

/**
 * Whether a step may end while an inconclusive analysis waits for somebody: one that only waits or asks does, with all its members; what moves
 * traffic or pods does not.
 * Source: Argo: rollout/canary.go completedCurrentCanaryStep, v1.9; there any step ends whose pods are there, and a further pause at once.
 */
function endsWhileHalted(context: Context, step: Step): boolean {
  const isByUser = context.rollout.spec.paused === true;
  const kinds: readonly StepMember["kind"][] = ["pause", "analysis", "experiment", "plugin"];
  return !isByUser && step.every(({ kind }) => kinds.includes(kind));
}

/** While the update is halted, that is what it waits for; a timed pause still ends. */
function underHalt(plan: StepPlan, held: readonly Wait[]): StepPlan {
  return held.length === 0 ? plan : { ...plan, waits: held };
}

type StepState =
  | { readonly kind: "complete" }
  | { readonly kind: "waiting"; readonly waits: readonly Wait[] }
  /** Complete, but for routers that do not follow. */
  | { readonly kind: "held"; readonly waits: readonly Wait[] }
  /** Its pause is to begin. */
  | { readonly kind: "pausing" };

/** The current step, and what is known beside it. */
interface Current {
  readonly step: Step;
  readonly index: number;
  readonly isResumed: boolean;
  readonly inForce: InForce;
}

/**
 * A step is complete when each of its members is. They begin together, but its pause once the others are done, as in a step after theirs: what is to
 * be looked at is there. Argo carries out all members, too (each is looked for by itself), but asks only the first of pause, setCanaryScale, setWeight,
 * experiment, analysis, routes and plugin whether the step is complete: a gate beside a setWeight would hold up nothing.
 * Source: Argo: rollout/canary.go completedCurrentCanaryStep, utils/replicaset/canary.go, rollout/trafficrouting.go, rollout/stepplugin.go, v1.9.
 */
function stepState(context: Context, stage: Stage, current: Current): StepState {
  const { step, index } = current;
  // Validation refuses it; an object that got past that waits rather than skip what its author asked for.
  if (step.length === 0)
    return completeWithout([{ code: "valid", text: `step ${index + 1} (invalid) is not carried out yet` }]);
  const pause = memberOf(step, "pause");
  const isBegun = pause !== undefined && hasPause(stage, "CanaryPauseStep");
  // Pods that are lost in a pause do not hold up its end; a plugin that has not answered does, as in a pause that Argo began.
  const awaited = step.filter((member) => (isBegun ? member.kind === "plugin" : member !== pause));
  const others = allOf(awaited.map((member) => memberState(context, stage, member, current)));
  if (pause === undefined || others.kind !== "complete") return others;
  return memberState(context, stage, pause, current);
}

/** Whether an analysis, an Experiment or a plugin of the step is at work. */
function lacksVerdict(context: Context, stage: Stage, current: Current): boolean {
  const gates: readonly StepMember["kind"][] = ["analysis", "experiment", "plugin"];
  return current.step.some(
    (member) =>
      gates.includes(member.kind) && memberState(context, stage, member, current).kind === "waiting",
  );
}

function allOf(states: readonly StepState[]): StepState {
  const undone = states.filter((state) => state.kind === "waiting" || state.kind === "held");
  const isHeld = undone.every(({ kind }) => kind === "held");
  return undone.length === 0
    ? { kind: "complete" }
    : { kind: isHeld ? "held" : "waiting", waits: undone.flatMap(({ waits }) => waits) };
}

function memberState(context: Context, stage: Stage, member: StepMember, current: Current): StepState {
  const { index, isResumed, inForce } = current;
  switch (member.kind) {
    case "setWeight":
      return completeWithout([
        ...sizeWaits(context, stage),
        ...weightWaits(context, stage, member.weight, inForce),
      ]);
    case "pause":
      return unlessUnsure(pauseState(context, stage, member.durationMs, isResumed), current);
    case "setCanaryScale":
      return unlessUnsure(
        completeWithout([...sizeWaits(context, stage), ...owedWaits(context, stage)]),
        current,
      );
    // What run, Experiment and plugin are doing is told where they are planned.
    case "analysis":
      return unlessUnsure(completeIf(isStepRunSuccessful(stage)), current);
    case "experiment":
      return unlessUnsure(completeIf(isExperimentSuccessful(context, stage)), current);
    case "plugin":
      return unlessUnsure(completeIf(isPluginDone(stage, index)), current);
    case "setHeaderRoute":
    case "setMirrorRoute":
      return routeState(context, stage, member.route.name ?? "", inForce);
    default:
      return assertNever(member);
  }
}

function completeIf(isDone: boolean): StepState {
  return isDone ? { kind: "complete" } : { kind: "waiting", waits: [] };
}

function completeWithout(waits: readonly Wait[]): StepState {
  return waits.length === 0 ? { kind: "complete" } : { kind: "waiting", waits };
}

/** A route is set once every proxy has it. That pods are missing for it is told where routes are decided. */
function routeState(context: Context, stage: Stage, name: string, inForce: InForce): StepState {
  const isDue = isRouteDue(context, "steps", stage);
  if (isDue || inForce.kind !== "no") return completeIf(!isDue);
  return completeWithout([{ code: "acknowledgement", text: `route ${name}: ${inForce.words}` }]);
}

/**
 * No step goes by while it is not known that every proxy follows the weights that it was taken under: a new leader first hears of the proxies that
 * its predecessor knew, or waits out their grace. What a person has decided goes on.
 */
function unlessUnsure(state: StepState, { isResumed, inForce }: Current): StepState {
  if (state.kind !== "complete" || isResumed || inForce.kind !== "no") return state;
  return { kind: "held", waits: [{ code: "acknowledgement", text: inForce.words }] };
}

function pauseState(
  context: Context,
  stage: Stage,
  durationMs: number | "indefinite",
  isResumed: boolean,
): StepState {
  const pause = stage.pauses.find((condition) => condition.reason === "CanaryPauseStep");
  if (pause === undefined) return isResumed ? { kind: "complete" } : { kind: "pausing" };
  const startMs = parseTime(pause.startTime) ?? context.nowMs;
  if (durationMs === "indefinite")
    return completeWithout([{ code: "pause", text: "paused until it is promoted" }]);
  const untilMs = startMs + durationMs;
  const text = `paused until ${formatTime(untilMs)}, or until it is promoted`;
  return completeWithout(context.nowMs >= untilMs ? [] : [{ code: "pause", text, untilMs }]);
}

/** Begins the pause of the step that the stage stands at. One of no time at all is over in the next pass, which sees it begun. */
function enterPause(context: Context, before: Stage): StepPlan {
  // The event comes with the status.
  const stage = withPause(context, before, "CanaryPauseStep");
  const { durationMs = "indefinite" } = memberAt(context, before.index, "pause") ?? {};
  const state = pauseState(context, stage, durationMs, false);
  return waitingAt(stage, state.kind === "waiting" ? state.waits : []);
}

function waitingAt(stage: Stage, waits: readonly Wait[]): StepPlan {
  const untilMs = waits.find((wait) => wait.code === "pause")?.untilMs;
  return { stage, events: [], waits, ...(untilMs === undefined ? {} : { requeueAtMs: untilMs }) };
}

function sizeWaits(context: Context, stage: Stage): readonly Wait[] {
  const { current, stable, others } = context.roles;
  const target = targetSizes(context, "steps", stage);
  const waits: Wait[] = [];
  const counts = countsOf(current);
  if (!isReached(context.canary, counts, target.canary)) {
    waits.push({ code: "replicas", text: sizeWords("the canary", current, target.canary) });
  }
  // A stable version that follows its traffic is one pass behind it; what it needs holds back the weights.
  const isStableChecked = stable !== undefined && stable !== current && !isDynamic(context);
  if (isStableChecked && !isCreated(stable, target.stable)) {
    waits.push({ code: "replicas", text: sizeWords("stable", stable, target.stable) });
  }
  const isDraining = !context.hasRouter && others.some((replicaSet) => countsOf(replicaSet).available > 0);
  if (isDraining) waits.push({ code: "replicas", text: "pods of older versions are still there" });
  return waits;
}

/** Pods that are missing, or too many: these may be unavailable, and are too many all the same. */
function sizeWords(whose: string, replicaSet: ReplicaSet | undefined, wanted: number): string {
  const { spec, available } = countsOf(replicaSet);
  const pods = Math.max(spec, replicaSet?.status.replicas ?? 0);
  if (available > wanted) return `${whose} still has ${available} pods available and is to have ${wanted}`;
  if (pods > wanted) return `${whose} still has ${pods} pods and is to have ${wanted}`;
  return `${whose} has ${available} of ${wanted} pods available`;
}

/** Whether a ReplicaSet has been asked for `wanted` pods and they exist: stable's may be unready, that is not the update's doing. */
function isCreated(replicaSet: ReplicaSet, wanted: number): boolean {
  return countsOf(replicaSet).spec === wanted && replicaSet.status.replicas === wanted;
}

function weightWaits(context: Context, stage: Stage, weight: number, inForce: InForce): readonly Wait[] {
  const waits = unsetWaits(context, stage, weight);
  if (waits.length > 0 || inForce.kind !== "no") return waits;
  return [{ code: "acknowledgement", text: inForce.words }];
}

/** The pods that a setCanaryScale brings get the share that a step before it asked for: what comes next goes by it. */
function owedWaits(context: Context, stage: Stage): readonly Wait[] {
  const share = shareAt(context, stage.index);
  return share === 0 ? [] : unsetWaits(context, stage, share);
}

/** A share that is not the canary's yet, unless a setCanaryScale of none leaves nobody to send to: then it comes with pods, as in Argo. */
function unsetWaits(context: Context, stage: Stage, weight: number): readonly Wait[] {
  if (!context.hasRouter) return [];
  const isToHaveNone = context.replicas > 0 && targetSizes(context, "steps", stage).canary === 0;
  if (isShareSet(context, weight) || isToHaveNone) return [];
  return [{ code: "weight", text: `the weight is not set to ${weight} yet` }];
}

function haltedWaits(context: Context, stage: Stage): readonly Wait[] {
  if (context.rollout.spec.paused === true)
    return [{ code: "user", text: "paused by the user (spec.paused)" }];
  if (hasPause(stage, "InconclusiveAnalysisRun"))
    return [{ code: "inconclusive", text: "an analysis was inconclusive: promote or abort" }];
  return [];
}
