// What the traffic routers can do, as validation needs to know it, and the split that those which know Services only should hold. A router
// that weir carries out through its objects declares what it can do in its own file (src/routers); here stand the others.
import type { FieldError } from "./fielderror.ts";
import { WEIR_ROUTER } from "./labels.ts";
import type { RolloutStatus } from "./rolloutschema.ts";
import type { TrafficRouting } from "./routingschema.ts";
import type { HeaderMatch, TrafficIntent } from "./traffic.ts";

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
  /** stableService and canaryService must be set; `unlessPingPong`: but with pingPong; `unlessSubsets`: but with pingPong or Istio's subsets. */
  readonly services: "required" | "unlessSubsets" | "unlessPingPong" | "optional";
}

/** Router name, as `usedRouters` gives it, to what it can do. */
export type CapabilityTable = Readonly<Record<string, RouterCapabilities>>;

/** The least that a router can do. */
export const WEIGHTS_ONLY: RouterCapabilities = {
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

/** Of the routers that have no file in src/routers. Source: Argo pkg/apis/rollouts/validation, v1.9; weir's own router at the end. */
export const ROUTER_CAPABILITIES: CapabilityTable = {
  istio: {
    ...WEIGHTS_ONLY,
    headerRoutes: "any",
    mirrorRoutes: true,
    experimentWeights: true,
    pingPong: true,
    services: "unlessSubsets",
  },
  smi: { ...WEIGHTS_ONLY, experimentWeights: true },
  ambassador: WEIGHTS_ONLY,
  appMesh: WEIGHTS_ONLY,
  traefik: WEIGHTS_ONLY,
  apisix: { ...WEIGHTS_ONLY, headerRoutes: "any" },
  [WEIR_ROUTER]: { ...UNKNOWN_PLUGIN, mirrorRoutes: true, pingPong: true, services: "unlessPingPong" },
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

/** A share of the traffic, by Service. */
export interface ServiceWeight {
  readonly service: string;
  readonly weight: number;
}

/** Requests that all go to the canary, whatever the weights. */
export interface HeaderRoute {
  readonly name: string;
  /** Matches of one header stand together. */
  readonly matches: readonly HeaderMatch[];
}

/** An intent as a router that knows Services carries it out, and as its objects hold it. */
export interface ServiceSplit {
  /** The canary first, then Services of experiments, stable last. They add up to the maximum. */
  readonly weights: readonly ServiceWeight[];
  /** In order of precedence. */
  readonly headerRoutes: readonly HeaderRoute[];
}

/** One router of a Rollout, as its objects were observed. */
export interface RouterView {
  readonly name: string;
  readonly capabilities: RouterCapabilities;
  readonly state: RouterState;
  /** What is wrong about the objects that its settings name. */
  readonly problems: readonly RouterProblem[];
  /** What the API said to the last write, where it took none. */
  readonly trouble?: string;
  /** What the load balancers themselves say. Absent: nobody asks them. */
  readonly verification?: Verification;
  /** Fields of the status that only this router knows. */
  readonly status?: Pick<RolloutStatus, "alb" | "albs">;
}

export type Verification =
  /** The weights that each load balancer really has. */
  | { readonly kind: "seen"; readonly balancers: readonly SeenBalancer[] }
  /** There is nothing to ask yet, or no answer. */
  | { readonly kind: "unknown"; readonly why: string }
  /** No load balancer has this DNS name. */
  | { readonly kind: "notFound"; readonly name: string }
  /** The load balancer with this DNS name cannot be asked. */
  | { readonly kind: "failed"; readonly name: string; readonly why: string };

interface SeenBalancer {
  readonly name: string;
  readonly weights: readonly GroupWeight[];
}

/** The share of a Service as the rules of a load balancer set it. */
export interface GroupWeight extends ServiceWeight {
  /** ARN of the target group. */
  readonly targetGroup: string;
}

/** A target group that holds pods of a Service, and how many of those of the wanted version are registered in it. */
export interface Registration {
  readonly service: string;
  /** ARN. */
  readonly targetGroup: string;
  readonly state:
    | { readonly kind: "seen"; readonly registered: number; readonly total: number }
    /** Nobody has asked, or there is no answer yet. */
    | { readonly kind: "unknown" }
    /** It cannot be asked. */
    | { readonly kind: "failed"; readonly why: string };
}

export type RouterState =
  /** All its objects hold this split. */
  | { readonly kind: "holds"; readonly split: ServiceSplit }
  /** They hold no split of ours, or not all the same. */
  | { readonly kind: "nothing" }
  /** They may not be written to: somebody has to act. */
  | { readonly kind: "refused"; readonly why: string };

export interface RouterProblem {
  readonly error: FieldError;
  /** The object's kind and name when it is not there at all: `ingress "web"`. */
  readonly missing?: string;
}

/** What of `intent` a router with these abilities carries out; stable has what nobody else gets. */
export function splitFor(
  intent: TrafficIntent,
  { experimentWeights, headerRoutes }: RouterCapabilities,
): ServiceSplit {
  const { canaryService, stableService, maxWeight, versions, routes = [] } = intent;
  const canary = versions.find(({ role }) => role === "canary")?.weight ?? 0;
  // Without its Service's name a share cannot be sent anywhere. Argo stores such a target group and never repairs it.
  const shares = versions.flatMap(({ role, service = "", weight }) =>
    experimentWeights && role === "experiment" && service !== "" ? [{ service, weight }] : [],
  );
  const rest = shares.reduce((left, { weight }) => left - weight, maxWeight - canary);
  return {
    weights: [
      { service: canaryService, weight: canary },
      ...shares,
      { service: stableService, weight: Math.max(0, rest) },
    ],
    headerRoutes:
      headerRoutes === "none"
        ? []
        : routes.flatMap((route) =>
            route.kind === "header" ? [{ name: route.name, matches: byHeader(route.matches) }] : [],
          ),
  };
}

/** The matches in groups of one header each, in the order in which the headers first appear. */
function byHeader(matches: readonly HeaderMatch[]): readonly HeaderMatch[] {
  return [...Map.groupBy(matches, ({ name }) => name).values()].flat();
}
