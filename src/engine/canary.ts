// One pass of a canary whose ReplicaSet exists: what the user and the analyses say, which step is done, then weights, Services, pods and
// promotion, each from what was observed and from the choices before it. The order of this page is the order of the pass.
import {
  type CanaryServices,
  type ManagedRoute,
  MESSAGES,
  PROMOTION_REASONS,
  REASONS,
  stepText,
  type TrafficWeights,
} from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import { type Context, isStableGone } from "./context.ts";
import type { Decision } from "./decision.ts";
import { judgeExperiment, planExperiments } from "./experiment/step.ts";
import type { Action, PlannedEvent, PluginCall, Wait } from "./plan.ts";
import { crashLoopWaits } from "./pods/crashloop.ts";
import { podsNeeded } from "./pods/progressthreshold.ts";
import { countsOf } from "./pods/replicaset.ts";
import { planScaling } from "./pods/scaling.ts";
import { stableWaits } from "./pods/shortage.ts";
import {
  afterUser,
  isHalted,
  lastIndex,
  type Mode,
  modeOf,
  promotedStage,
  type Stage,
  withoutPause,
} from "./stage.ts";
import { canaryStatus, unsettledCanary } from "./status/canarystatus.ts";
import { canaryRuns, judgeRuns, planRuns } from "./steps/analysisruns.ts";
import { planPlugins, recordPlugins } from "./steps/stepplugins.ts";
import { planSteps } from "./steps/steps.ts";
import { sharesOf } from "./traffic/additional.ts";
import { type InForce, isShareSet, overdueAt } from "./traffic/inforce.ts";
import { intentOf } from "./traffic/intent.ts";
import { inForceNow, planRoutes } from "./traffic/managedroutes.ts";
import { routerWaits } from "./traffic/otherrouters.ts";
import { planPingPong } from "./traffic/pingpong.ts";
import { planServices } from "./traffic/services.ts";
import { desiredWeights } from "./traffic/weights.ts";

/** Decides the pass. `reset`: the stage to begin with when the spec's version or steps have changed. */
export function decideCanary(context: Context, reset: Stage | undefined): Decision {
  const inForce = inForceNow(context);
  const progress = progressOf(context, reset, inForce);
  const { mode } = progress;
  const promotion = promotionOf(context, progress, inForce);
  const after = promotion.reason === undefined ? unpromoted(context, progress) : promoted(context, progress);
  const { weights, ...weighed } = desiredWeights(after.context, after.mode, after.stage, inForce);
  const { routes, ...routed } = planRoutes(context, after.mode, after.stage);
  const wishes = { mode, stage: progress.stage, stableHash: after.stableHash, weights, routes, inForce };
  const services = context.services.isPingPong
    ? planPingPong(context, wishes)
    : planServices(context, wishes);
  const scaling = planScaling(context, { ...wishes, selected: services.selected });
  const report = reportOf(context, { ...after, weights, routes, areServicesSettled: services.isSettled });
  return {
    planner: PLANNER_NAMES[mode],
    mode,
    stage: after.stage,
    stableHash: after.stableHash,
    promotion: promotion.reason,
    ...report,
    calls: progress.calls,
    actions: [...progress.actions, ...services.actions, ...scaling.actions],
    events: {
      first: [],
      steps: progress.events,
      scaling: [...weightEvents(context, weights), ...scaling.events, ...services.events],
      last: [],
    },
    waits: [
      ...progress.waits,
      ...weighed.waits,
      ...abortWaits(context, mode, weighed.waits),
      ...routed.waits,
      ...promotion.waits,
      ...services.waits,
      ...routerWaits(context, after.mode, report.traffic),
      ...scaling.waits,
    ],
    warnings: scaling.warnings,
    requeueAtMs: [...progress.requeueAtMs, weighed.requeueAtMs, scaling.requeueAtMs, overdueAt(inForce)],
    next: nextWords(context, mode, after.stage, promotion.reason),
  };
}

/** How far the update has come, and what its place in the steps asks for. */
interface Progress {
  readonly mode: Mode;
  readonly stage: Stage;
  readonly calls: readonly PluginCall[];
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
  readonly requeueAtMs: readonly (number | undefined)[];
}

/** What the user and the verdicts say, the step that is done, then what is to run at the step that it leads to. */
function progressOf(context: Context, reset: Stage | undefined, inForce: InForce): Progress {
  const user = afterUser(context, reset);
  const judged = judgeRuns(context, user.stage, user.isResumed);
  const tried = judgeExperiment(context, judged.stage, user.isResumed);
  const answered = recordPlugins(context, tried);
  const stepped = planSteps(context, answered.stage, user.isResumed, inForce);
  const mode = modeOf(context, stepped.stage);
  // A version that takes over from a stable one that is gone stands at no step: it waits for pods, and they have their deadline.
  const isTakingOver = mode === "firstDeploy" && !isHalted(context, stepped.stage);
  const stage = isTakingOver ? withoutPause(stepped.stage, "CanaryPauseStep") : stepped.stage;
  const plugins = planPlugins(context, mode, stage);
  const runs = planRuns(context, canaryRuns(context, mode, plugins.stage), mode !== "steps", plugins.stage);
  const experiments = planExperiments(context, mode, runs.stage);
  return {
    mode,
    stage: experiments.stage,
    calls: plugins.calls,
    actions: [...runs.actions, ...experiments.actions],
    events: [
      ...judged.events,
      ...answered.events,
      ...stepped.events,
      ...plugins.events,
      ...experiments.events,
    ],
    waits: [
      ...stepped.waits,
      ...plugins.waits,
      ...crashLoopWaits(context, mode),
      ...runs.waits,
      ...experiments.waits,
    ],
    requeueAtMs: [stepped.requeueAtMs, plugins.requeueAtMs],
  };
}

/** Whether the wanted version becomes the stable one now, and why or why not. */
function promotionOf(
  context: Context,
  { mode, stage }: Progress,
  inForce: InForce,
): { readonly reason?: string; readonly waits: readonly Wait[] } {
  const isDue =
    mode === "firstDeploy" ||
    mode === "promoteFull" ||
    mode === "rollback" ||
    (mode === "steps" && stage.index === lastIndex(context));
  if (mode === "promoted")
    return { waits: [...unacknowledged(context, inForce), ...stableWaits(context, context.roles.current)] };
  if (!isDue || isHalted(context, stage)) return { waits: [] };
  const waits = promotionWaits(context, mode, inForce);
  if (waits.length > 0) return { waits };
  if (mode === "firstDeploy")
    return { reason: PROMOTION_REASONS.initialDeploy, waits: stableWaits(context, context.roles.current) };
  if (mode === "promoteFull") return { reason: PROMOTION_REASONS.fullPromotion, waits };
  if (mode === "rollback") return { reason: PROMOTION_REASONS.rollbackInWindow, waits };
  return { reason: PROMOTION_REASONS.allSteps(context.steps.length), waits };
}

/** The proxies that keep a stable version from being called healthy, by name. */
function unacknowledged({ status }: Context, inForce: InForce): readonly Wait[] {
  const isAwaited = status.canary?.weights?.verified === false && inForce.kind === "no";
  return isAwaited ? [{ code: "acknowledgement", text: inForce.words }] : [];
}

function promotionWaits(context: Context, mode: Mode, inForce: InForce): readonly Wait[] {
  const { replicas, roles, hasRouter, maxWeight } = context;
  const counts = countsOf(roles.current);
  const waits: Wait[] = [];
  // A first version is stable once it has its size: what mends it goes through the steps. Source: Argo: rollout/sync.go shouldFullPromote, v1.9.
  const isFirst = mode === "firstDeploy" && !isStableGone(context);
  const needed = isFirst ? 0 : podsNeeded(context.canary, replicas);
  if (counts.spec < replicas || counts.available < needed)
    waits.push({
      code: "replicas",
      text: `the new version has ${counts.available} of ${replicas} pods available`,
    });
  if (!hasRouter || isFirst) return waits;
  if (!isShareSet(context, maxWeight))
    waits.push({ code: "weight", text: "the new version does not have all the traffic yet" });
  else if (inForce.kind === "no") waits.push({ code: "acknowledgement", text: inForce.words });
  return waits;
}

/** Until when an aborted update is not over for those who are served: until stable is whole. What keeps traffic for want of its pods says so. */
function abortWaits(context: Context, mode: Mode, returning: readonly Wait[]): readonly Wait[] {
  const { stable } = context.roles;
  if (mode !== "aborted" || stable === undefined) return [];
  return returning.some(({ code }) => code === "replicas") ? [] : stableWaits(context, stable);
}

/** What the pass leaves behind: the weights and routes follow from it, and the status tells it. */
interface Outcome {
  readonly context: Context;
  readonly mode: Mode;
  readonly stage: Stage;
  readonly stableHash: string;
}

function unpromoted(context: Context, { mode, stage }: Progress): Outcome {
  return { context, mode, stage, stableHash: context.status.stableRS ?? "" };
}

/** The wanted version is the stable one. */
function promoted(context: Context, { stage }: Progress): Outcome {
  const stableHash = context.podHash;
  const after: Context = {
    ...context,
    status: { ...context.status, stableRS: stableHash },
    services: context.services.isPingPong ? swapped(context.services) : context.services,
    roles: { ...context.roles, stable: context.roles.current },
  };
  return { context: after, mode: "promoted", stage: promotedStage(context, stage), stableHash };
}

/** Ping and pong after a promotion: each has the other's part. */
function swapped({ stable, canary, ...rest }: CanaryServices): CanaryServices {
  return { ...rest, ...(canary && { stable: canary }), ...(stable && { canary: stable }) };
}

/** What the status and the proxies are told of a pass. */
function reportOf(
  context: Context,
  pass: {
    readonly stage: Stage;
    readonly stableHash: string;
    readonly weights: TrafficWeights | undefined;
    readonly routes: readonly ManagedRoute[];
    readonly areServicesSettled: boolean;
  },
): Pick<Decision, "status" | "unsettled" | "traffic"> {
  const { weights, routes } = pass;
  return {
    status: canaryStatus(context, pass),
    unsettled: unsettledCanary(context, pass),
    traffic: weights === undefined ? undefined : intentOf(context, weights, routes),
  };
}

function weightEvents(context: Context, decided: TrafficWeights | undefined): readonly PlannedEvent[] {
  if (decided === undefined) return [];
  const known = context.status.canary?.weights;
  const before = known?.canary.weight;
  const after = decided.canary.weight;
  const isSame = jsonEqual(sharesOf(known), sharesOf(decided));
  if (before === undefined || (before === after && isSame)) return [];
  const message = MESSAGES.trafficWeightUpdated(before, after, isSame ? undefined : sharesOf(decided));
  return [{ type: "Normal", reason: REASONS.trafficWeightUpdated, message }];
}

const PLANNER_NAMES: Readonly<Record<Mode, string>> = {
  firstDeploy: "first deploy",
  promoted: "promoted",
  promoteFull: "promote full",
  rollback: "rollback inside the window",
  aborted: "abort",
  steps: "steps",
};

function nextWords(context: Context, mode: Mode, stage: Stage, promotion: string | undefined): string {
  if (mode === "aborted") return "nothing until somebody retries, or applies another version";
  if (promotion !== undefined || mode === "promoted") return "nothing: the version is the stable one";
  if (mode === "firstDeploy") return "make this first version the stable one";
  const at = stage.index ?? 0;
  const following = mode === "steps" ? context.steps[at + 1] : undefined;
  if (following === undefined) return "make the new version the stable one";
  return `step ${at + 2} of ${context.steps.length}: ${stepText(context.canary.steps?.[at + 1] ?? {})}`;
}

/** A pass in which something has to exist first: nothing moves but what the user asked for, and traffic that a version has lost. */
export function prepareCanary(context: Context, reset: Stage | undefined): Decision {
  const { stage } = afterUser(context, reset);
  const mode = modeOf(context, stage);
  const stableHash = context.status.stableRS ?? "";
  const { weights } = desiredWeights(context, mode, stage, inForceNow(context));
  return {
    planner: "revision",
    mode,
    stage,
    stableHash,
    promotion: undefined,
    ...reportOf(context, { stage, stableHash, weights, routes: [], areServicesSettled: false }),
    actions: [],
    events: { first: [], steps: planPlugins(context, mode, stage).events, scaling: [], last: [] },
    waits: [],
    warnings: [],
    requeueAtMs: [],
    next: "scale the new version",
  };
}
