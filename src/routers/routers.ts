// The door of routers/: the traffic routers that weir carries out through objects of the cluster, and what the controller asks of all those that a
// Rollout uses. weir's own proxies are not among them: they take the intent itself.
import {
  type CapabilityTable,
  type FieldError,
  type ResourceType,
  ROUTER_CAPABILITIES,
  type Rollout,
  type RouterView,
  type TrafficIntent,
} from "../api/api.ts";
import { alb } from "./alb.ts";
import type { BalancerAnswers } from "./albtargets.ts";
import { nginx } from "./nginx.ts";
import type { ObjectName, Observed, Patch, Router } from "./router.ts";

export type { BalancerAnswers, LoadBalancer, TargetGroup } from "./albtargets.ts";
export {
  expectedTargets,
  podBindings,
  registrationsOf,
  type Target,
  type TargetAnswers,
  type VersionPods,
} from "./registrations.ts";
export type { ObjectName, Observed, Patch } from "./router.ts";

/** In the order in which they are carried out. */
const ROUTERS: readonly Router[] = [nginx, alb];

/** What every router can do, for validation. */
export const CAPABILITIES: CapabilityTable = {
  ...ROUTER_CAPABILITIES,
  ...Object.fromEntries(ROUTERS.map(({ name, capabilities }) => [name, capabilities])),
};

/** The kinds that routers read. */
export const ROUTER_TYPES: readonly ResourceType[] = [...new Set(ROUTERS.flatMap(({ types }) => types))];

/** The objects that the Rollout's routers read or write, there or not. */
export function routerObjects(rollout: Rollout): readonly ObjectName[] {
  return routersOf(rollout).flatMap((router) => router.reads(rollout));
}

/** The kinds that the Rollout's routers work with. */
export function routerTypes(
  rollout: Rollout,
): readonly { readonly router: string; readonly type: ResourceType }[] {
  return routersOf(rollout).flatMap(({ name: router, types }) => types.map((type) => ({ router, type })));
}

/** What is wrong with the settings of the Rollout's routers by themselves. */
export function routerSettingsErrors(rollout: Rollout): readonly FieldError[] {
  return routersOf(rollout).flatMap((router) => router.settingsErrors(rollout));
}

/** The DNS names of load balancers that can tell whether the Rollout's weights are set. */
export function routerBalancers(rollout: Rollout, observed: Observed): readonly string[] {
  return routersOf(rollout).flatMap((router) => router.balancers?.names(rollout, observed) ?? []);
}

/** The Rollout's routers as their objects stand, in their order. `answers`: of their load balancers, where somebody asks them. */
export function observeRouters(
  rollout: Rollout,
  observed: Observed,
  answers?: BalancerAnswers,
): readonly RouterView[] {
  return routersOf(rollout).map((router) => ({
    ...(answers === undefined ? {} : router.balancers?.read(rollout, observed, answers)),
    name: router.name,
    capabilities: router.capabilities,
    state: router.observe(rollout, observed),
    problems: router.problems(rollout, observed),
  }));
}

/** A write, and the router whose it is. */
export type RouterPatch = Patch & { readonly router: string };

/** The writes that bring the objects of all routers to the intent, in their order. */
export function renderRouters(
  rollout: Rollout,
  intent: TrafficIntent,
  observed: Observed,
): readonly RouterPatch[] {
  return routersOf(rollout).flatMap((router) =>
    router.render(rollout, intent, observed).map((patch) => ({ ...patch, router: router.name })),
  );
}

function routersOf(rollout: Rollout): readonly Router[] {
  const routing: Readonly<Record<string, unknown>> = rollout.spec.strategy?.canary?.trafficRouting ?? {};
  return ROUTERS.filter(({ name }) => routing[name] !== undefined);
}
