// What a Rollout wants of the routers (TrafficIntent), and what the data plane says of it (Acknowledgement).
// The engine produces intents, translate/ and the routers carry them out, the controller brings acknowledgements back.

/** One version of a service: the pods that carry one pod-template hash. */
export interface VersionWeight {
  readonly podHash: string;
  readonly role: "stable" | "canary";
  /** Share of `maxWeight`, 0 to maxWeight. */
  readonly weight: number;
}

/** The split that should be in force for one Rollout. A pure function of what the Rollout's pass decided. */
export interface TrafficIntent {
  readonly namespace: string;
  readonly rollout: string;
  readonly stableService: string;
  readonly canaryService: string;
  /** Names of Gateways (in the Rollout's namespace) to which the split is confined; absent: wherever the services are routed. */
  readonly gateways?: readonly string[];
  /** Default 100. The weights of `versions` add up to it. */
  readonly maxWeight: number;
  /** Stable first; the canary only while it differs from stable. Entries of weight 0 stay: their clusters are kept warm. */
  readonly versions: readonly VersionWeight[];
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
