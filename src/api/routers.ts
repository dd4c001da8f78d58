// What the traffic routers can do, as validation needs to know it. Routers that weir carries out declare theirs in their own
// files and the caller passes them in; this table holds what Argo grants to each.
import { WEIR_ROUTER } from "./labels.ts";
import type { TrafficRouting } from "./routingschema.ts";

/** What one router can do. */
export interface RouterCapabilities {
  /** Step setHeaderRoute; `exact`: exact values only. */
  readonly headerRoutes: "none" | "exact" | "any";
  /** Step setMirrorRoute. */
  readonly mirrorRoutes: boolean;
  /** A weight on the templates of an experiment step. */
  readonly experimentWeights: boolean;
  /** trafficRouting.maxTrafficWeight. */
  readonly maxTrafficWeight: boolean;
  readonly pingPong: boolean;
  /** stableService and canaryService must be set; `unlessSubsets`, `unlessPingPong`: but for those configurations. */
  readonly services: "required" | "unlessSubsets" | "unlessPingPong" | "optional";
}

/** Router name, as `usedRouters` gives it, to what it can do. */
export type CapabilityTable = Readonly<Record<string, RouterCapabilities>>;

const WEIGHTS_ONLY: RouterCapabilities = {
  headerRoutes: "none",
  mirrorRoutes: false,
  experimentWeights: false,
  maxTrafficWeight: false,
  pingPong: false,
  services: "required",
};

/** A plugin that nobody has declared anything of. Mirroring: Argo validates it for Istio only. */
export const UNKNOWN_PLUGIN: RouterCapabilities = {
  headerRoutes: "any",
  mirrorRoutes: false,
  experimentWeights: true,
  maxTrafficWeight: true,
  pingPong: false,
  services: "optional",
};

/** Source: Argo pkg/apis/rollouts/validation, v1.9; weir's own router at the end. */
export const ROUTER_CAPABILITIES: CapabilityTable = {
  istio: {
    ...WEIGHTS_ONLY,
    headerRoutes: "any",
    mirrorRoutes: true,
    experimentWeights: true,
    pingPong: true,
    services: "unlessSubsets",
  },
  nginx: { ...WEIGHTS_ONLY, maxTrafficWeight: true },
  alb: {
    ...WEIGHTS_ONLY,
    headerRoutes: "exact",
    experimentWeights: true,
    pingPong: true,
    services: "unlessPingPong",
  },
  smi: { ...WEIGHTS_ONLY, experimentWeights: true },
  ambassador: WEIGHTS_ONLY,
  appMesh: WEIGHTS_ONLY,
  traefik: WEIGHTS_ONLY,
  apisix: { ...WEIGHTS_ONLY, headerRoutes: "any" },
  [WEIR_ROUTER]: { ...UNKNOWN_PLUGIN, mirrorRoutes: true, services: "required" },
};

const BUILT_IN = ["istio", "nginx", "alb", "smi", "ambassador", "appMesh", "traefik", "apisix"] as const;

/** The routers that are configured, in the order in which they are reconciled; plugins under their own names. */
export function usedRouters(routing: TrafficRouting | undefined): readonly string[] {
  if (routing === undefined) return [];
  const builtIn = BUILT_IN.filter((name) => routing[name] !== undefined);
  return [...builtIn, ...Object.keys(routing.plugins ?? {}).sort()];
}

/** What each configured router can do. */
export function capabilitiesOf(
  routing: TrafficRouting | undefined,
  table: CapabilityTable,
): readonly RouterCapabilities[] {
  return usedRouters(routing).map((name) => table[name] ?? UNKNOWN_PLUGIN);
}
