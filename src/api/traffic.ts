// What a Rollout wants of the routers (TrafficIntent), and what the data plane says of it (Acknowledgement).
// The engine produces intents, translate/ and the routers carry them out, the controller brings acknowledgements back.

/** One version of a service: the pods that carry one pod-template hash. */
export interface VersionWeight {
  readonly podHash: string;
  readonly role: "stable" | "canary" | "experiment";
  /** Share of `maxWeight`, 0 to maxWeight. */
  readonly weight: number;
  /** Of an `experiment` alone: the Service that selects its pods, which neither of the Rollout's own does. */
  readonly service?: string;
}

/** How a text is compared: `regex` is RE2 and holds of the whole text. */
export interface TextMatch {
  readonly kind: "exact" | "prefix" | "regex";
  readonly value: string;
}

/** One header and what its value must be. */
export interface HeaderMatch {
  /** As written; names of headers are compared without case. */
  readonly name: string;
  readonly value: TextMatch;
}

/** What a request must be to be copied: all of what is there. `path` is the path without its query. */
export interface MirrorMatch {
  readonly method?: TextMatch;
  readonly path?: TextMatch;
  readonly headers: readonly HeaderMatch[];
}

/**
 * Requests that are treated apart from the weights, on every route of the Rollout's Services and on top of that route's own conditions; any of
 * `matches` is enough. `header`: all of them go to the canary. `mirror`: they follow the weights, and the canary gets copies of `percent` of them.
 */
export type ManagedRoute =
  | { readonly kind: "header"; readonly name: string; readonly matches: readonly HeaderMatch[] }
  | {
      readonly kind: "mirror";
      readonly name: string;
      readonly matches: readonly MirrorMatch[];
      /** 0 to 100. */
      readonly percent: number;
    };

/** The split that should be in force for one Rollout. A pure function of what the Rollout's pass decided. */
export interface TrafficIntent {
  readonly namespace: string;
  readonly rollout: string;
  /** The Service of the stable version; with ping-pong whichever of the two it is now. */
  readonly stableService: string;
  readonly canaryService: string;
  /** The Service by whose name clients and counters know the Rollout, the same over all promotions; absent: `stableService`. */
  readonly rootService?: string;
  /**
   * Blue-green: `stableService` is the active one and follows the weights, 0 or all; `canaryService` is the preview and leads to the newest
   * version alone. No proxy has to carry it.
   */
  readonly isBlueGreen?: true;
  /** Names of Gateways (in the Rollout's namespace) to which the split is confined; absent: wherever the services are routed. */
  readonly gateways?: readonly string[];
  /** Default 100. The weights of `versions` add up to it. */
  readonly maxWeight: number;
  /**
   * Stable first; the canary only while it differs from stable; then the versions of an experiment. Entries of weight 0 stay: their clusters
   * are kept warm.
   */
  readonly versions: readonly VersionWeight[];
  /** The first that a request matches decides. Absent: none. Only together with a canary among `versions`. */
  readonly routes?: readonly ManagedRoute[];
}

/** The name by which clients and counters know the Rollout. */
export function rootServiceOf(intent: Pick<TrafficIntent, "rootService" | "stableService">): string {
  return intent.rootService ?? intent.stableService;
}

/** What the names of a managed route's routes in the proxies end with; behind it `.1` and so on for its further matches. */
export function managedRouteSuffix(name: string): string {
  return `~${encodeURIComponent(name).replaceAll("~", "%7E")}`;
}

/** Whether a route of the proxies is one of managed route `name`. */
export function isOfManagedRoute(route: string, name: string): boolean {
  const [, ...parts] = route.split("~");
  const wanted = managedRouteSuffix(name).slice(1);
  return parts.some(
    (part) =>
      part === wanted || (part.startsWith(`${wanted}.`) && /^\d+$/.test(part.slice(wanted.length + 1))),
  );
}

/** A proxy that has not acknowledged, and why, in its own words where it gave some. */
export interface SilentNode {
  readonly node: string;
  readonly why: string;
  /** It refused what was published: somebody has to act, waiting alone does not help. */
  readonly hasRefused?: boolean;
}

/**
 * Whether the intent last decided is in force in every proxy that must carry it.
 * `notApplicable`: no router, or a router that cannot tell; it gates nothing.
 */
export type Acknowledgement =
  | { readonly kind: "yes" }
  | { readonly kind: "no"; readonly nodes: readonly SilentNode[]; readonly sinceMs: number }
  | { readonly kind: "notApplicable" };
