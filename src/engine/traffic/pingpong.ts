// Services that swap their parts: only the one on the canary's side is moved, at the begin of an update. A promotion makes it the stable one, the
// other goes on selecting the version that was replaced until the next update. Source: Argo: rollout/service.go reconcilePingAndPongService, v1.9.
import { type Context, isStableGone } from "../context.ts";
import { planService, type ServicePlan, type ServiceWishes, selectedBy } from "./services.ts";

/** Switches what may be switched now. */
export function planPingPong(context: Context, wishes: ServiceWishes): ServicePlan {
  const { stable, canary } = context.snapshot.services;
  const { stableRS = "" } = context.status;
  // Nobody answers on the side of a stable version that is gone: what takes over is selected there before it gets the traffic.
  const stableHash = isStableGone(context) ? context.podHash : stableRS;
  const isInFlight = wishes.mode !== "aborted" && wishes.mode !== "promoted";
  // Nothing to move as a rule: it was the canary's before. Argo leaves one that somebody else has moved.
  const kept =
    stableHash === "" ? [] : [planService(context, wishes, stable, stableHash, selectedBy(canary))];
  // Where both select one version, one of them may leave it, not both.
  const left = kept[0] === undefined ? selectedBy(stable) : [...kept[0].selected][0];
  const parts = [
    ...kept,
    ...(isInFlight ? [planService(context, wishes, canary, context.podHash, left)] : []),
  ];
  const selected = new Set(parts.flatMap((part) => [...part.selected]));
  const seen = [stable, canary].map(selectedBy).filter((hash) => hash !== "");
  return {
    actions: parts.flatMap((part) => part.actions),
    events: parts.flatMap((part) => part.events),
    waits: parts.flatMap((part) => part.waits),
    isSettled:
      parts.every((part) => part.isSettled) &&
      (selected.has(wishes.stableHash) || seen.includes(wishes.stableHash)),
    // The side that is not in use holds nothing back: it may select a version that has no pods any more.
    selected,
  };
}
