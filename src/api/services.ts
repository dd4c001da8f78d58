// The Services of a canary by the version that they serve now. With ping-pong the two swap their parts at every promotion, so that no selector
// moves while a version becomes the stable one. Source: Argo: utils/trafficrouting GetStableAndCanaryServices, v1.9.
import type { PingPong, Rollout } from "./rolloutschema.ts";
import { usedRouters } from "./routers.ts";

/** Names of a canary's Services. */
export interface CanaryServices {
  readonly stable?: string;
  readonly canary?: string;
  /** By which clients and counters know the Rollout, whatever is promoted. */
  readonly root?: string;
  readonly isPingPong: boolean;
}

/** The names as the spec and the status tell them; none for other strategies. */
export function canaryServicesOf(rollout: Rollout): CanaryServices {
  const { stableService, canaryService, pingPong, trafficRouting } = rollout.spec?.strategy?.canary ?? {};
  const isNamed = (stableService ?? "") !== "" || (canaryService ?? "") !== "";
  // Beside stable and canary Services ALB alone prefers ping and pong.
  if (pingPong !== undefined && (!isNamed || usedRouters(trafficRouting).includes("alb"))) {
    const { pingService: ping, pongService: pong } = pingPong;
    const isStablePing = rollout.status?.canary?.stablePingPong === "ping";
    const [stable, canary] = isStablePing ? [ping, pong] : [pong, ping];
    return { stable, canary, root: ping, isPingPong: true };
  }
  return {
    ...(stableService !== undefined && { stable: stableService, root: stableService }),
    ...(canaryService !== undefined && { canary: canaryService }),
    isPingPong: false,
  };
}

/** Every Service whose pods the Rollout chooses, whatever its strategy. */
export function servicesNamedBy({ spec }: Rollout): readonly string[] {
  const { canary, blueGreen } = spec?.strategy ?? {};
  const { pingService, pongService } = canary?.pingPong ?? {};
  const canaries = [canary?.stableService, canary?.canaryService, pingService, pongService];
  const names = [...canaries, blueGreen?.activeService, blueGreen?.previewService];
  return names.flatMap((name) => (name === undefined || name === "" ? [] : [name]));
}

/** Which Service is the stable one after a promotion: a first one begins with ping. */
export function pingPongAfter(before: PingPong | undefined): PingPong {
  return before === "ping" ? "pong" : "ping";
}
