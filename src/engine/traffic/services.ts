// Which version the stable and the canary Service select. The proxies take a version's endpoints from the pods that either Service
// selects, so a selector leaves a version only when no proxy may still send to it, and goes to one only when it has available pods.
import { MANAGED_BY_ANNOTATION, MESSAGES, POD_HASH_LABEL, REASONS, type Service } from "../../api/api.ts";
import { type Context, isStableGone } from "../context.ts";
import type { Action, PlannedEvent, Wait } from "../plan.ts";
import { countsOf, podHashOf } from "../pods/replicaset.ts";
import { isStableAbsent, isTakenAway } from "../pods/routedsizes.ts";
import type { Mode, Stage } from "../stage.ts";
import { type InForce, podsToKeep, type TrafficWishes } from "./inforce.ts";

export interface ServicePlan {
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
  readonly waits: readonly Wait[];
  /** Whether every named Service selects what it should, once the actions are done. */
  readonly isSettled: boolean;
  /** Versions that the Services select once the actions are done. */
  readonly selected: ReadonlySet<string>;
}

export interface ServiceWishes extends TrafficWishes {
  readonly mode: Mode;
  readonly stage: Stage;
  /** The stable version as this pass leaves it; empty before there is one. */
  readonly stableHash: string;
}

/** Switches what may be switched now. */
export function planServices(context: Context, wishes: ServiceWishes): ServicePlan {
  const { stable, canary } = context.snapshot.services;
  const isPassedBy = wishes.mode !== "aborted" && isStableAbsent(context);
  const isNew = wishes.stableHash === "" || isStableGone(context) || isPassedBy;
  const stableWish = isNew ? context.podHash : wishes.stableHash;
  const canaryWish = wishes.mode === "aborted" ? stableWish : context.podHash;
  const first = planService(context, wishes, stable, stableWish, selectedBy(canary));
  // Where both select one version, one of them may leave it, not both.
  const [left] = first.selected;
  const parts = [first, planService(context, wishes, canary, canaryWish, left)];
  return {
    actions: parts.flatMap((part) => part.actions),
    events: parts.flatMap((part) => part.events),
    waits: parts.flatMap((part) => part.waits),
    isSettled: parts.every((part) => part.isSettled),
    selected: new Set(parts.flatMap((part) => [...part.selected])),
  };
}

/** Points one Service at version `wish`, as soon as it may go there. `elsewhere`: the version that the other Service selects. */
export function planService(
  context: Context,
  wishes: ServiceWishes,
  service: Service | undefined,
  wish: string,
  elsewhere: string | undefined,
): ServicePlan {
  const seen = selectedBy(service);
  const isAdopted = service?.metadata.annotations?.[MANAGED_BY_ANNOTATION] === context.name;
  const keep = {
    actions: [],
    events: [],
    waits: [],
    isSettled: service === undefined || seen === wish,
    selected: new Set([seen]),
  };
  if (service === undefined || (seen === wish && isAdopted)) return keep;
  if (seen !== wish && wish === context.podHash && isTakenAway(context, wishes.mode, wishes.stage))
    return keep;
  const obstacle =
    seen === wish ? undefined : obstacleOf(context, wishes, { from: seen, to: wish, elsewhere });
  // Nobody waits for pods before they are made.
  const isUnbegun =
    wishes.mode === "steps" && wish === context.podHash && countsOf(context.roles.current).spec === 0;
  if (obstacle !== undefined) return { ...keep, waits: isUnbegun ? [] : [obstacle] };
  return { ...selectVersion(context, service, wish), waits: [], isSettled: true, selected: new Set([wish]) };
}

/** Points the Service at a version, and marks it as managed. Only a change of the version is told. */
export function selectVersion(
  context: Context,
  service: Service,
  wish: string,
): Pick<ServicePlan, "actions" | "events"> {
  const seen = selectedBy(service);
  const { namespace = "", name, uid = "" } = service.metadata;
  const action: Action = {
    kind: "selectPods",
    namespace,
    name,
    uid,
    podHash: wish,
    managedBy: context.name,
    reason: seen === wish ? "mark the Service as managed" : `point the Service at version ${wish}`,
  };
  const message = MESSAGES.switchedService(name, seen, wish);
  const of = { kind: "selectPods", name } as const;
  const event: PlannedEvent = { type: "Normal", reason: REASONS.switchService, message, of };
  return { actions: [action], events: seen === wish ? [] : [event] };
}

/** A selector on its way from one version to another, and the version that the other Service selects. */
interface Move {
  readonly from: string;
  readonly to: string;
  readonly elsewhere: string | undefined;
}

/** What forbids to take the selector from one version to another; undefined when nothing does. */
function obstacleOf(
  context: Context,
  wishes: ServiceWishes,
  { from, to, elsewhere }: Move,
): Wait | undefined {
  if (context.rollout.spec.paused === true && wishes.mode !== "aborted")
    return { code: "user", text: "paused by the user (spec.paused)" };
  const next = context.roles.owned.find((replicaSet) => podHashOf(replicaSet) === to);
  const counts = next === undefined ? { spec: 0, available: 0 } : countsOf(next);
  // The first selector of all needs the whole version, a change of versions one pod: an abort waits for none, its version serves.
  const isFirst = from === "";
  const one = Math.min(context.replicas, 1);
  const needed = isFirst ? Math.max(counts.spec, one) : one;
  if (counts.available < needed) {
    return {
      code: "replicas",
      text: `version ${to} has ${counts.available} of ${needed} pods for its Service`,
    };
  }
  if (isFirst) return undefined;
  // A version that is to have no pods at all is sent to as long as its weight is in force.
  const { pods } = podsToKeep({ ...context, replicas: Math.max(context.replicas, 1) }, wishes, from);
  if (pods > 0 && elsewhere !== from)
    return { code: "acknowledgement", text: stillSends(context, wishes.inForce, from) };
  return undefined;
}

/** Who is known, or not known, not to send to a version any more. */
function stillSends(context: Context, inForce: InForce, from: string): string {
  const { routers } = context.snapshot.traffic;
  if (routers === undefined || inForce.kind !== "no") return `proxies may still send to version ${from}`;
  return `version ${from} may still get traffic: ${inForce.words}`;
}

/** The version that a Service selects; empty when it selects none in particular, or is not there. */
export function selectedBy(service: Service | undefined): string {
  return service?.spec.selector?.[POD_HASH_LABEL] ?? "";
}
