// Routers beside weir's own: whether their objects hold what was decided. Nobody there tells what is in force, so the objects are all that can
// be waited for; that they hold something else is known, not doubted, and so nothing goes on without them.
import {
  REASONS,
  type RolloutStatus,
  type ServiceSplit,
  splitFor,
  type TrafficIntent,
  type Verification,
} from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Context } from "../context.ts";
import type { PlannedEvent, Wait } from "../plan.ts";
import type { Mode } from "../stage.ts";

/** What keeps the routers' objects from holding `intent`, in words; undefined when they hold it, or there is no such router. */
export function unheldWords(context: Context, intent: TrafficIntent): string | undefined {
  const { routers = [] } = context.snapshot.traffic;
  const words = routers.flatMap(({ name, capabilities, state, trouble, verification }) => {
    if (state.kind === "refused") return [`${name}: ${state.why}`];
    const split = splitFor(intent, capabilities);
    if (state.kind === "holds" && jsonEqual(state.split, split))
      return isInFlight(context) ? unverifiedWords(name, split, verification) : [];
    return [`${name} does not hold the weights yet${trouble === undefined ? "" : `: ${trouble}`}`];
  });
  return words.length === 0 ? undefined : words.join("; ");
}

/** The wait for routers where nothing else names it: after the last step, and on the way back. */
export function routerWaits(
  context: Context,
  mode: Mode,
  intent: TrafficIntent | undefined,
): readonly Wait[] {
  const isLast = mode === "promoted" || mode === "aborted";
  const text = isLast && intent !== undefined ? unheldWords(context, intent) : undefined;
  return text === undefined ? [] : [{ code: "acknowledgement", text }];
}

/** Whether somebody tells if the weights are in force: weir's proxies, or load balancers while an update is in flight. */
export function isVerifiable(context: Context): boolean {
  const { acknowledgement, routers = [] } = context.snapshot.traffic;
  if (acknowledgement.kind !== "notApplicable") return true;
  return isInFlight(context) && routers.some(({ verification }) => verification !== undefined);
}

/** Load balancers are believed while a version is on its way, as in Argo: what they say of a promoted one holds nothing up. */
export function isInFlight({ status, podHash }: Context): boolean {
  return (status.stableRS ?? "") !== "" && status.stableRS !== podHash;
}

/** Weights that a load balancer has not set; stable's follows from the others. Source: Argo: utils/conditions/conditions.go. */
function unverifiedWords(
  router: string,
  { weights }: ServiceSplit,
  verification: Verification | undefined,
): readonly string[] {
  if (verification === undefined) return [];
  switch (verification.kind) {
    case "unknown":
      return [`${router}: ${verification.why}`];
    case "notFound":
      return [`${router}: there is no load balancer ${verification.name}`];
    case "failed":
      return [`${router}: load balancer ${verification.name}: ${verification.why}`];
    case "seen":
      return unsetWords(router, weights, verification);
    default:
      return assertNever(verification);
  }
}

function unsetWords(
  router: string,
  weights: ServiceSplit["weights"],
  verification: Extract<Verification, { kind: "seen" }>,
): readonly string[] {
  return verification.balancers.flatMap(({ name, weights: seen }) =>
    weights.slice(0, -1).flatMap(({ service, weight }) => {
      const groups = seen.filter((one) => one.service === service);
      const other = groups.find((group) => group.weight !== weight);
      if (groups.length > 0 && other === undefined) return [];
      const now = other === undefined ? "no target group" : `current: ${other.weight}`;
      return [
        `${router}: Service ${service} (${name}) not verified: canary weight ${weight} not yet set (${now})`,
      ];
    }),
  );
}

/** The status fields that routers know. */
export function routerStatus({ snapshot }: Context): Pick<RolloutStatus, "alb" | "albs"> {
  return Object.assign({}, ...(snapshot.traffic.routers ?? []).map(({ status }) => status ?? {}));
}

/** What only somebody can mend about the routers' objects, to be added to a message. */
export function routerRefusals({ snapshot }: Context): string {
  const { routers = [] } = snapshot.traffic;
  return routers
    .map(({ name, state }) => (state.kind === "refused" ? `; ${name}: ${state.why}` : ""))
    .join("");
}

/**
 * The events of a pass with those of the writes to routers' objects, which come before the news of the weights, as Argo tells them.
 * Source: Argo: rollout/trafficrouting.go, v1.9.
 */
export function withRouterEvents(
  events: readonly PlannedEvent[],
  written: readonly Pick<PlannedEvent, "reason" | "message">[],
): readonly PlannedEvent[] {
  const at = events.findIndex(({ reason }) => reason === REASONS.trafficWeightUpdated);
  const told = written.map(({ reason, message }): PlannedEvent => ({ type: "Normal", reason, message }));
  return at < 0 ? [...events, ...told] : [...events.slice(0, at), ...told, ...events.slice(at)];
}
