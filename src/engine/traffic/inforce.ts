// What is known of the weights in force: whether the proxies have taken over what was last decided, and so how much of a version may be
// taken down. Lowering a weight never waits; raising one and taking pods away do.
import type { Acknowledgement, ManagedRoute, TrafficWeights } from "../../api/api.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Context } from "../context.ts";
import { intentOf } from "./intent.ts";
import { unheldWords } from "./otherrouters.ts";

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

/** What a pass decides about traffic, and what it knows of it. */
export interface TrafficWishes {
  readonly weights: TrafficWeights | undefined;
  readonly routes: readonly ManagedRoute[];
  readonly inForce: InForce;
}

/** Whether the weights that the status holds are in force at every router that there is, and `routes` with them. */
export function inForceOf(context: Context, routes: readonly ManagedRoute[]): InForce {
  const { weights } = context.status.canary ?? {};
  if (!context.hasRouter) return { kind: "notApplicable" };
  const { acknowledgement, routers = [] } = context.snapshot.traffic;
  const proxies =
    acknowledgement.kind === "notApplicable" ? undefined : proxiesFollow(context, acknowledgement, routes);
  if (routers.length === 0) return proxies ?? { kind: "notApplicable" };
  const words =
    weights === undefined
      ? "no weights are decided yet"
      : unheldWords(context, intentOf(context, weights, routes));
  return words === undefined ? (proxies ?? { kind: "yes" }) : { kind: "no", words, isOverdue: false };
}

/** Whether weir's proxies follow them. */
function proxiesFollow(
  context: Context,
  acknowledgement: Acknowledgement,
  routes: readonly ManagedRoute[],
): InForce {
  const { published } = context.snapshot.traffic;
  const { weights } = context.status.canary ?? {};
  const waiting = (why: string) => `the proxies have not acknowledged the weights: ${why}`;
  if (published === undefined || weights === undefined)
    return { kind: "no", words: waiting("the weights are not published yet"), isOverdue: false };
  if (!jsonEqual(published, intentOf(context, weights, routes)))
    return { kind: "no", words: waiting("the new weights are not published yet"), isOverdue: false };
  if (acknowledgement.kind !== "no") return { kind: acknowledgement.kind };
  return silence(context, acknowledgement, waiting);
}

/** Which proxies may still follow older weights, and how long scale-downs wait for them. */
export function silence(
  context: Context,
  acknowledgement: Extract<Acknowledgement, { kind: "no" }>,
  waiting: (why: string) => string,
): Extract<InForce, { kind: "no" }> {
  const overdueAtMs =
    acknowledgement.sinceMs + Math.max(context.scaleDownDelayMs, context.snapshot.config.nodeGraceMs);
  const words = acknowledgement.nodes
    .map(({ node, why }) => (node === "" ? why : `${node}: ${why}`))
    .join("; ");
  return { kind: "no", words: waiting(words), isOverdue: context.nowMs >= overdueAtMs, overdueAtMs };
}

/** When Services and pods no longer wait for silent proxies: nothing else may wake the Rollout then. */
export function overdueAt(inForce: InForce): number | undefined {
  return inForce.kind === "no" && !inForce.isOverdue ? inForce.overdueAtMs : undefined;
}

/** Whether the canary's share that was decided last is the wanted version's, and this one. */
export function isShareSet({ status, podHash }: Context, share: number): boolean {
  const set = status.canary?.weights?.canary;
  return set?.weight === share && set.podTemplateHash === podHash;
}

/** The share of one version in these weights, 0 to maxWeight. */
export function weightOf(weights: TrafficWeights | undefined, podHash: string): number {
  if (weights === undefined) return 0;
  if (weights.stable.podTemplateHash === podHash) return weights.stable.weight;
  return weights.canary.podTemplateHash === podHash ? weights.canary.weight : 0;
}

/**
 * The pods that a version must keep for the traffic that may still reach it, as this pass decides it. `isOverdue`: a proxy has not acknowledged in
 * time, the scale-down goes on without it.
 */
export function podsToKeep(
  context: Context,
  { inForce, weights, routes }: TrafficWishes,
  podHash: string,
): { readonly pods: number; readonly isOverdue: boolean } {
  if (inForce.kind === "notApplicable") return { pods: 0, isOverdue: false };
  const { replicas, maxWeight } = context;
  const share = (weight: number): number => Math.ceil((weight * replicas) / maxWeight);
  // How much a header route brings nobody knows: it is the steps that say how many pods that takes.
  const isLed = podHash === context.podHash && routes.some(({ kind }) => kind === "header");
  const wanted = Math.max(share(weightOf(weights, podHash)), isLed ? 1 : 0);
  const seen = share(weightOf(context.status.canary?.weights, podHash));
  if (inForce.kind === "yes")
    return { pods: !isLed && wasLed(context, podHash) ? replicas : Math.max(wanted, seen), isOverdue: false };
  // Older weights may be in force somewhere: nobody knows which.
  if (!inForce.isOverdue) return { pods: replicas, isOverdue: false };
  return { pods: Math.max(wanted, seen), isOverdue: true };
}

/** Whether a header route in force leads to the version. */
function wasLed({ snapshot }: Context, podHash: string): boolean {
  const { versions = [], routes = [] } = snapshot.traffic.published ?? {};
  return (
    routes.some(({ kind }) => kind === "header") &&
    versions.some((version) => version.role === "canary" && version.podHash === podHash)
  );
}
