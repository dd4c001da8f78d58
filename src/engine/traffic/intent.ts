// What routers are asked for: weights and routes of a Rollout as an intent, which weir's proxies and other routers' objects are made from.
import { type ManagedRoute, proxyRoutingOf, type TrafficIntent, type TrafficWeights } from "../../api/api.ts";
import type { Context } from "../context.ts";
import { sharesOf, sumOf } from "./additional.ts";

/** What the routers should do for these weights and routes. */
export function intentOf(
  context: Context,
  weights: TrafficWeights,
  routes: readonly ManagedRoute[],
): TrafficIntent {
  const { services, namespace, name, maxWeight } = context;
  const stableHash = weights.stable.podTemplateHash ?? "";
  const canaryHash = weights.canary.podTemplateHash ?? stableHash;
  const gateways = proxyRoutingOf(context.rollout)?.gateways;
  return {
    namespace,
    rollout: name,
    // As the weights name them: with ping-pong the parts have changed by the time that a promotion is published.
    stableService: weights.stable.serviceName ?? services.stable ?? "",
    canaryService: weights.canary.serviceName ?? services.canary ?? "",
    ...(services.isPingPong && services.root !== undefined ? { rootService: services.root } : {}),
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
    ...(routes.length === 0 || canaryHash === stableHash ? {} : { routes }),
  };
}

/** What was published last, or what the status says was decided: for passes that decide no weights. */
export function lastIntent(context: Context): TrafficIntent | undefined {
  // As they were decided: parts of what they add up to, whatever the maximum is now.
  const { weights } = context.rollout.status.canary ?? {};
  if (!context.hasRouter || weights === undefined) return context.snapshot.traffic.published;
  const maxWeight = sumOf([weights.canary, weights.stable, ...sharesOf(weights)]);
  // Which routes were in force the status does not tell, and the steps may be what is wrong.
  return intentOf({ ...context, maxWeight }, weights, context.snapshot.traffic.published?.routes ?? []);
}
