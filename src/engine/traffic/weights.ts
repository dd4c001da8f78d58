// Which share of the traffic each version should have, with a router. Pure choice: decides the weights that the status is to hold.
// A weight is raised only for a version whose pods are there and once the proxies follow the last weights; lowering never waits for a
// proxy. Where the conditions do not hold, the last weights stand. Source of the cases: Argo: rollout/trafficrouting.go, v1.9.
import { POD_HASH_LABEL, type TrafficWeights, type WeightDestination } from "../../api/api.ts";
import { jsonEqual } from "../../lib/json.ts";
import { type Context, isStableGone } from "../context.ts";
import { experimentShares } from "../experiment/step.ts";
import type { Wait } from "../plan.ts";
import { podsNeeded } from "../pods/progressthreshold.ts";
import { availableOf, countsOf } from "../pods/replicaset.ts";
import {
  availableOfVersion,
  canaryPods,
  canarySize,
  holderOf,
  isDynamic,
  isStableAbsent,
  isTakenAway,
  shareAt,
} from "../pods/routedsizes.ts";
import { hasPause, type Mode, type Stage } from "../stage.ts";
import { fitted, shareIn, sharesOf } from "./additional.ts";
import { capacityWait, returningTraffic } from "./gradualabort.ts";
import { type InForce, weightOf } from "./inforce.ts";
import { isVerifiable } from "./otherrouters.ts";

export interface WeightDecision {
  /** Absent without a router, and before there is any version. */
  readonly weights?: TrafficWeights;
  readonly waits: readonly Wait[];
  /** When the weights may move on though nothing else changes. */
  readonly requeueAtMs?: number;
}

/** What the pass has arrived at, and what the proxies follow. */
interface Pass {
  readonly mode: Mode;
  readonly stage: Stage;
  readonly inForce: InForce;
}

/** The weights to hold from now on. `mode` and `stage` are those that the pass has arrived at. */
export function desiredWeights(context: Context, mode: Mode, stage: Stage, inForce: InForce): WeightDecision {
  if (!context.hasRouter) return { waits: [] };
  const { stableRS = "" } = context.status;
  const stableHash = stableRS === "" ? context.podHash : stableRS;
  if (isStableGone(context) && stableHash !== context.podHash) {
    const isThere = availableOf(context.roles.current) > 0 || context.replicas === 0;
    const share = isThere ? context.maxWeight : 0;
    // Nobody answers under its share: the new version has that as soon as it has any pods.
    const isLost = weightOf(context.status.canary?.weights, stableHash) > 0;
    const needed = isLost ? 0 : canaryPods(context, share);
    return settle(context, { mode, stage, inForce }, split(context, stableHash, share), needed);
  }
  // What goes back to stable is taken from the version that has it, which need not be the one that the spec asks for.
  if (mode === "aborted" || stableHash === context.podHash) {
    const { share, waits, ...rest } = returningTraffic(context, mode);
    const podHash = share > 0 ? (holderOf(context) ?? context.podHash) : context.podHash;
    const settled = settle(
      context,
      { mode, stage, inForce },
      split({ ...context, podHash }, stableHash, share),
    );
    const kept = settled.weights?.canary.weight ?? share;
    // What was to go back has not: stable has nobody to answer it, and no time changes that.
    if (mode === "aborted" && kept !== share) return { ...settled, waits: [capacityWait(context, kept)] };
    return { ...settled, waits: [...settled.waits, ...waits], ...rest };
  }
  const share = wantedShare(context, mode, stage);
  const additional = experimentShares(context, mode, stage);
  const needed = mode === "steps" ? canarySize(context, mode, stage) : canaryPods(context, share);
  const wanted = split(context, stableHash, share, additional);
  return settle(context, { mode, stage, inForce }, wanted, needed);
}

function wantedShare(context: Context, mode: Mode, stage: Stage): number {
  const { replicas, maxWeight, roles } = context;
  const available = availableOf(roles.current);
  if ((available === 0 && replicas > 0) || isTakenAway(context, mode, stage)) return 0;
  if (mode !== "promoteFull") return shareAt(context, stage.index);
  if (replicas === 0) return maxWeight;
  // A stable version that shrinks as its traffic does lets go of it pod by pod.
  return isDynamic(context) ? Math.floor((maxWeight * Math.min(available, replicas)) / replicas) : maxWeight;
}

/** Takes the wanted split, or leaves the last one standing and says what it waits for. `needed`: pods that the canary must have for it. */
function settle(context: Context, pass: Pass, wanted: TrafficWeights, needed = 0): WeightDecision {
  const { mode, inForce } = pass;
  const { podTemplateHash: stableHash = "" } = wanted.stable;
  const before = context.status.canary?.weights ?? split(context, stableHash, 0);
  const { next, waits } = raise(context, pass, before, wanted, needed);
  const isStableRaised = next.stable.weight > weightOf(before, stableHash);
  if (!isStableRaised || canCarry(context, mode, next))
    return { weights: withVerdict(context, inForce, next), waits };
  const text = "the stable version has too few available pods for its traffic";
  return { weights: withVerdict(context, inForce, before), waits: [{ code: "replicas", text }] };
}

/** The wanted split as far as the shares of canary and experiments may rise: what may not stays, and stable has the rest. */
function raise(
  context: Context,
  pass: Pass,
  before: TrafficWeights,
  wanted: TrafficWeights,
  needed: number,
): { readonly next: TrafficWeights; readonly waits: readonly Wait[] } {
  const { podTemplateHash: stableHash = "" } = wanted.stable;
  const { podTemplateHash: canaryHash = "", weight } = wanted.canary;
  const isCanaryRaised = canaryHash !== stableHash && weight > weightOf(before, canaryHash);
  const canaryWaits = isCanaryRaised ? raiseWaits(context, pass, needed) : [];
  const raised = sharesOf(wanted).filter((one) => one.weight > shareIn(before, one));
  const moreWaits = raised.length > 0 ? anyRaiseWaits(context, pass) : [];
  const waits = [...canaryWaits, ...moreWaits];
  if (waits.length === 0) return { next: wanted, waits };
  // A canary that follows another one begins at 0.
  const isSame = before.canary.podTemplateHash === canaryHash;
  const share = isSame ? before.canary.weight : 0;
  const held = (one: WeightDestination) => ({ ...one, weight: Math.min(one.weight, shareIn(before, one)) });
  const additional = moreWaits.length > 0 ? sharesOf(wanted).map(held) : sharesOf(wanted);
  return { next: split(context, stableHash, canaryWaits.length > 0 ? share : weight, additional), waits };
}

/** What keeps the canary's share from rising; nothing when it may. */
function raiseWaits(context: Context, pass: Pass, needed: number): readonly Wait[] {
  const waits: Wait[] = [];
  const counts = countsOf(context.roles.current);
  if (counts.spec < needed || counts.available < podsNeeded(context.canary, needed)) {
    waits.push({ code: "replicas", text: `the canary has ${counts.available} of ${needed} pods available` });
  }
  if (!isSelected(context)) {
    waits.push({ code: "replicas", text: "the canary Service does not select the canary's pods yet" });
  }
  return [...waits, ...anyRaiseWaits(context, pass)];
}

/** What keeps any share from rising. */
function anyRaiseWaits(context: Context, { stage, inForce }: Pass): readonly Wait[] {
  const waits: Wait[] = [];
  const isHeld = !isStableGone(context);
  if (isHeld && context.rollout.spec.paused === true)
    waits.push({ code: "user", text: "paused by the user" });
  if (isHeld && hasPause(stage, "InconclusiveAnalysisRun"))
    waits.push({ code: "inconclusive", text: "an analysis was inconclusive: promote or abort" });
  if (inForce.kind === "no" && context.status.canary?.weights !== undefined)
    waits.push({ code: "acknowledgement", text: inForce.words });
  return waits;
}

/** Whether a Service selects the wanted version: the proxies take its endpoints from there. */
export function isSelected(context: Context): boolean {
  const { stable, canary } = context.snapshot.services;
  const named = [stable, canary].filter((service) => service !== undefined);
  return (
    named.length === 0 || named.some((service) => service.spec.selector?.[POD_HASH_LABEL] === context.podHash)
  );
}

/** Whether stable has the pods for its share. An abort, and a canary that is gone, take what there is, if there is any. */
function canCarry(context: Context, mode: Mode, wanted: TrafficWeights): boolean {
  const { replicas, maxWeight } = context;
  const available = availableOfVersion(context, wanted.stable.podTemplateHash);
  if (available >= (wanted.stable.weight * replicas) / maxWeight) return true;
  const holder = holderOf(context);
  const isGone = availableOfVersion(context, holder) === 0;
  // Where neither stable nor the version that has the traffic answers, the new one may.
  if (available === 0) return isGone && wanted.canary.weight > 0 && isStableAbsent(context);
  if (isGone || mode === "aborted") return true;
  // Of a version that another one replaces in mid-update, stable takes the share though a few of its pods are missing: only a stable version that
  // shrinks as its traffic does must have grown first.
  const isReplaced = mode === "steps" && holder !== context.podHash;
  const grown = (wanted.stable.weight * replicas) / maxWeight - context.maxUnavailable;
  return isReplaced && (!isDynamic(context) || available >= grown);
}

function split(
  context: Context,
  stableHash: string,
  share: number,
  additional: readonly WeightDestination[] = [],
): TrafficWeights {
  // The canary and the experiments share what there is, the canary first: stable gets no less than nothing.
  const fitting = fitted(additional, context.maxWeight - share);
  const rest = fitting.reduce((left, { weight }) => left - weight, context.maxWeight - share);
  const { services } = context;
  const named = (service: string | undefined): { serviceName?: string } =>
    service === undefined ? {} : { serviceName: service };
  return {
    canary: { weight: share, ...named(services.canary), podTemplateHash: context.podHash },
    stable: { weight: rest, ...named(services.stable), podTemplateHash: stableHash },
    ...(fitting.length === 0 ? {} : { additional: fitting }),
  };
}

/** Adds whether the proxies are known to follow: true stays until the weights change. */
function withVerdict(context: Context, inForce: InForce, next: TrafficWeights): TrafficWeights {
  const { canary, stable, additional } = next;
  const plain = additional === undefined ? { canary, stable } : { canary, stable, additional };
  // Objects that hold the weights verify nothing: no proxy has said that it follows them.
  if (!isVerifiable(context)) return plain;
  const last = context.status.canary?.weights;
  const isSame = last !== undefined && isSameSplit(last, next);
  return { ...plain, verified: isSame && (inForce.kind === "yes" || last.verified === true) };
}

/** Whether both give every version the same share under the same role. */
function isSameSplit(a: TrafficWeights, b: TrafficWeights): boolean {
  return jsonEqual([a.canary, a.stable, sharesOf(a)], [b.canary, b.stable, sharesOf(b)]);
}
