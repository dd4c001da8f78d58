// What load balancers say of that which is waited for, in Argo's events. The same verdict comes with every pass that hears it; it is told
// when it differs from the last one. Source: Argo: rollout/trafficrouting/alb/alb.go, rollout/service.go, v1.9; there every pass tells it.
import {
  MESSAGES,
  REASONS,
  type Registration,
  type RouterView,
  type ServiceWeight,
  splitFor,
} from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Context } from "../context.ts";
import type { PlannedEvent } from "../plan.ts";
import type { Mode } from "../stage.ts";
import { intentOf } from "./intent.ts";
import { isInFlight } from "./otherrouters.ts";
import { selectedBy } from "./services.ts";
import { areTargetsAwaited } from "./targets.ts";

/** Of the weights of the status and of the pods of the wanted version; undefined when nothing of it is waited for. */
export function verdictsOf(context: Context, mode: Mode): readonly PlannedEvent[] | undefined {
  const { routers = [], registrations = [] } = context.snapshot.traffic;
  const isWeighed = isInFlight(context) && mode !== "aborted";
  const isAwaited = areTargetsAwaited(context, selectedBy(context.snapshot.services.active));
  if (!isWeighed && !isAwaited) return undefined;
  return [
    ...(isWeighed ? routers.flatMap((router) => weightVerdicts(context, router)) : []),
    ...(isAwaited ? registrations.flatMap(podVerdict) : []),
  ];
}

/** Those of `verdicts` that have not been told. */
export function newVerdicts(
  told: readonly PlannedEvent[],
  verdicts: readonly PlannedEvent[] = [],
): readonly PlannedEvent[] {
  return verdicts.filter((verdict) => !told.some((one) => jsonEqual(one, verdict)));
}

/** What has been told once `verdicts` are. While load balancers are asked anew the last answer stays told. */
export function toldVerdicts(
  told: readonly PlannedEvent[],
  verdicts: readonly PlannedEvent[] | undefined,
): readonly PlannedEvent[] {
  if (verdicts === undefined) return [];
  return verdicts.length === 0 ? told : verdicts;
}

function weightVerdicts(
  context: Context,
  { capabilities, state, verification }: RouterView,
): readonly PlannedEvent[] {
  const { weights } = context.status.canary ?? {};
  if (weights === undefined || verification === undefined || state.kind !== "holds") return [];
  const wanted = splitFor(intentOf(context, weights, []), capabilities).weights;
  if (!jsonEqual(state.split.weights, wanted)) return [];
  const [canary, ...shares] = wanted.slice(0, -1);
  if (canary === undefined || (canary.weight === 0 && shares.length === 0)) return [];
  switch (verification.kind) {
    case "unknown":
      return [];
    case "notFound":
      return [warning(REASONS.loadBalancerNotFound, MESSAGES.loadBalancerNotFound(verification.name))];
    case "failed": {
      const { why } = verification;
      return [
        warning(REASONS.targetGroupVerifyError, MESSAGES.groupVerifyError(canary.service, "unknown", why)),
        warning(REASONS.weightVerifyError, MESSAGES.weightVerifyError(why)),
      ];
    }
    case "seen":
      return verification.balancers.flatMap((balancer) =>
        [canary, ...shares].flatMap((share) => shareVerdict(share, balancer.weights)),
      );
    default:
      return assertNever(verification);
  }
}

type Seen = Extract<NonNullable<RouterView["verification"]>, { kind: "seen" }>["balancers"][number];

/** What one load balancer's target groups have of a share: the first that has another weight, else that all have it. */
function shareVerdict({ service, weight }: ServiceWeight, seen: Seen["weights"]): readonly PlannedEvent[] {
  const groups = seen.filter((one) => one.service === service);
  const group = groups.find((one) => one.weight !== weight) ?? groups[0];
  if (group === undefined) return [];
  const { targetGroup, weight: current } = group;
  if (current === weight)
    return [normal(REASONS.targetGroupVerified, MESSAGES.groupHasWeight(service, targetGroup, weight))];
  const message = MESSAGES.groupLacksWeight(service, targetGroup, weight, current);
  return [warning(REASONS.targetGroupUnverified, message)];
}

function podVerdict({ service, targetGroup, state }: Registration): readonly PlannedEvent[] {
  switch (state.kind) {
    case "unknown":
      return [];
    case "failed":
      return [
        warning(REASONS.targetGroupVerifyError, MESSAGES.groupVerifyError(service, targetGroup, state.why)),
      ];
    case "seen": {
      const { registered, total } = state;
      if (registered >= total)
        return [normal(REASONS.targetGroupVerified, MESSAGES.groupHasPods(service, targetGroup, registered))];
      const message = MESSAGES.groupLacksPods(service, targetGroup, registered, total);
      return [warning(REASONS.targetGroupUnverified, message)];
    }
    default:
      return assertNever(state);
  }
}

function normal(reason: string, message: string): PlannedEvent {
  return { type: "Normal", reason, message };
}

function warning(reason: string, message: string): PlannedEvent {
  return { type: "Warning", reason, message };
}
