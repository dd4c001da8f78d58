// What is known of the weights in force: whether the proxies have taken over what was last decided, and so how much of a version may be
// taken down. Lowering a weight never waits; raising one and taking pods away do.
import { type Acknowledgement, proxyRoutingOf, type TrafficIntent, type TrafficWeights } from "../api/api.ts";
import { jsonEqual } from "../lib/json.ts";
import { sharesOf } from "./additional.ts";
import type { Context } from "./context.ts";
import { unheldWords } from "./routed.ts";

export type InForce =
  /** No router that could tell: nothing waits. */
  | { readonly kind: "notApplicable" }
  /** Every router follows the weights of the status. */
  | { readonly kind: "yes" }
  /** Some router may follow older weights. `isOverdue`: it had its time, scale-downs no longer wait for it. */
  | {
      readonly kind: "no";
      readonly words: string;
      readonly isOverdue: boolean;
      readonly overdueAtMs?: number;
    };

/** Whether the weights that the status holds are in force, at every router that there is. */
export function inForceOf(context: Context): InForce {
  const { weights } = context.status.canary ?? {};
  if (!context.hasRouter) return { kind: "notApplicable" };
  const { acknowledgement, routers = [] } = context.snapshot.traffic;
  const proxies =
    acknowledgement.kind === "notApplicable" ? undefined : proxiesFollow(context, acknowledgement);
  if (routers.length === 0) return proxies ?? { kind: "notApplicable" };
  const words =
    weights === undefined ? "no weights are decided yet" : unheldWords(context, intentOf(context, weights));
  return words === undefined ? (proxies ?? { kind: "yes" }) : { kind: "no", words, isOverdue: false };
}

/** Whether weir's proxies follow them. */
function proxiesFollow(context: Context, acknowledgement: Acknowledgement): InForce {
  const { published } = context.snapshot.traffic;
  const { weights } = context.status.canary ?? {};
  const waiting = (why: string) => `the proxies have not acknowledged the weights: ${why}`;
  if (published === undefined || weights === undefined)
    return { kind: "no", words: waiting("the weights are not published yet"), isOverdue: false };
  if (!jsonEqual(published, intentOf(context, weights)))
    return { kind: "no", words: waiting("the new weights are not published yet"), isOverdue: false };
  if (acknowledgement.kind !== "no") return { kind: acknowledgement.kind };
  const overdueAtMs =
    acknowledgement.sinceMs + Math.max(context.scaleDownDelayMs, context.snapshot.config.nodeGraceMs);
  const words = acknowledgement.nodes
    .map(({ node, why }) => (node === "" ? why : `${node}: ${why}`))
    .join("; ");
  return { kind: "no", words: waiting(words), isOverdue: context.nowMs >= overdueAtMs, overdueAtMs };
}

/** What the routers should do for these weights. */
export function intentOf(context: Context, weights: TrafficWeights): TrafficIntent {
  const { canary, namespace, name, maxWeight } = context;
  const stableHash = weights.stable.podTemplateHash ?? "";
  const canaryHash = weights.canary.podTemplateHash ?? stableHash;
  const gateways = proxyRoutingOf(context.rollout)?.gateways;
  return {
    namespace,
    rollout: name,
    stableService: canary.stableService ?? "",
    canaryService: canary.canaryService ?? "",
    ...(gateways === undefined ? {} : { gateways }),
    maxWeight,
    versions: [
      { podHash: stableHash, role: "stable", weight: weights.stable.weight },
      ...(canaryHash === stableHash
        ? []
        : [{ podHash: canaryHash, role: "canary" as const, weight: weights.canary.weight }]),
      ...sharesOf(weights).map(({ podTemplateHash = "", serviceName = "", weight }) => ({
        podHash: podTemplateHash,
        role: "experiment" as const,
        weight,
        service: serviceName,
      })),
    ],
  };
}

/** The share of one version in these weights, 0 to maxWeight. */
export function weightOf(weights: TrafficWeights | undefined, podHash: string): number {
  if (weights === undefined) return 0;
  if (weights.stable.podTemplateHash === podHash) return weights.stable.weight;
  return weights.canary.podTemplateHash === podHash ? weights.canary.weight : 0;
}

/**
 * The pods that a version must keep for the traffic that may still reach it. `decided`: the weights that this pass decides.
 * `overdue`: a proxy has not acknowledged in time, the scale-down goes on without it.
 */
export function podsToKeep(
  context: Context,
  inForce: InForce,
  decided: TrafficWeights | undefined,
  podHash: string,
): { readonly pods: number; readonly isOverdue: boolean } {
  if (inForce.kind === "notApplicable") return { pods: 0, isOverdue: false };
  const { replicas, maxWeight } = context;
  const share = (weight: number): number => Math.ceil((weight * replicas) / maxWeight);
  const wanted = share(weightOf(decided, podHash));
  const seen = share(weightOf(context.status.canary?.weights, podHash));
  if (inForce.kind === "yes") return { pods: Math.max(wanted, seen), isOverdue: false };
  // Older weights may be in force somewhere: nobody knows which.
  if (!inForce.isOverdue) return { pods: replicas, isOverdue: false };
  return { pods: Math.max(wanted, seen), isOverdue: true };
}
