// What translate reads: one Gateway and the objects that its routes lead to. Lookups are functions, so that nothing is copied.
import type {
  EndpointSlice,
  Gateway,
  HttpRoute,
  Pod,
  Service,
  TrafficIntent,
  TrafficPolicy,
} from "../api/api.ts";
import type { Memo } from "./memo.ts";

export interface TranslateInput {
  readonly gateway: Gateway;
  /** Address that listeners bind when the Gateway names none. */
  readonly bindAddress: string;
  /** All HTTPRoutes; those that do not attach to the Gateway are left alone. */
  readonly httpRoutes: readonly HttpRoute[];
  /** All TrafficPolicies; those that attach elsewhere are left alone. */
  readonly policies: readonly TrafficPolicy[];
  /** All intents; each makes its two Services one split. */
  readonly intents: readonly TrafficIntent[];
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): readonly EndpointSlice[];
  /** The pod-template hash that a pod carries. */
  podHash(namespace: string, pod: string): string | undefined;
  /** The pods of a version. Absent: a version that no Service selects has the endpoints that `memo` remembers, and no others. */
  pods?(namespace: string, podHash: string): readonly Pod[];
  /** Messages of the Gateway's last translation, to be taken over where nothing has changed. */
  readonly memo?: Memo;
}

/** Something in the manifests that is not carried out, and what happens instead. */
export interface Problem {
  /** `HTTPRoute ns/name`, `Gateway ns/name`, `TrafficPolicy ns/name` or `Rollout ns/name`. */
  readonly about: string;
  /** Path of the field. */
  readonly field: string;
  readonly message: string;
  /** What is missing may come by itself, a moment later when manifests are applied together. */
  readonly mayPass?: boolean;
}

/** One Service port as a destination, before it is known which versions share it. */
export interface Destination {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
}

/** Collects problems during one translation. */
export type Report = (about: string, field: string, message: string, mayPass?: boolean) => void;
