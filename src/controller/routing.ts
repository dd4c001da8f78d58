// The objects of routers beside weir's own: what the caches hold of them, and writing what was rendered. Nothing is decided here.
import { type FieldError, invalid, type KubeObject, type Rollout, type RouterView } from "../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../cluster/client.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import {
  type BalancerAnswers,
  observeRouters,
  type Patch,
  type RouterPatch,
  routerObjects,
  routerTypes,
} from "../routers/routers.ts";
import type { Caches } from "./caches.ts";
import { type Freshness, objectId } from "./freshness.ts";

/** What the API said to the last write of a router's objects, for as long as it says so. */
export interface RouterTroubles {
  of(key: string, router: string): string | undefined;
  /** Replaces what is known of the Rollout. */
  set(key: string, troubles: ReadonlyMap<string, string>): void;
}

/** Makes an empty record. Bounded by the Rollouts whose last write to a router failed. */
export function createRouterTroubles(): RouterTroubles {
  const byKey = new Map<string, ReadonlyMap<string, string>>();
  return {
    of: (key, router) => byKey.get(key)?.get(router),
    set(key, troubles) {
      if (troubles.size === 0) byKey.delete(key);
      else byKey.set(key, troubles);
    },
  };
}

/** The objects of the Rollout's routers that are there. */
export function routedObjects(caches: Pick<Caches, "routed">, rollout: Rollout): readonly KubeObject[] {
  return routerObjects(rollout).flatMap(({ type, namespace, name }) => {
    const view = caches.routed.find((one) => one.type === type);
    return view?.get(namespace, name) ?? [];
  });
}

/** The Rollout's routers as their objects stand. */
export function routerViews(
  caches: Pick<Caches, "routed">,
  rollout: Rollout,
  trouble: (router: string) => string | undefined,
  answers?: BalancerAnswers,
): readonly RouterView[] {
  return observeRouters(rollout, routedObjects(caches, rollout), answers).map((view) => {
    const words = trouble(view.name);
    return words === undefined ? view : { ...view, trouble: words };
  });
}

/** Routers whose objects this API server does not have. Argo without their CRDs says as much. */
export function unservedErrors(caches: Pick<Caches, "routed">, rollout: Rollout): readonly FieldError[] {
  return routerTypes(rollout).flatMap(({ router, type }) => {
    if (caches.routed.find((one) => one.type === type)?.isServed() === true) return [];
    const path = ["spec", "strategy", "canary", "trafficRouting", router];
    const detail = `this API server has no ${type.plural}.${type.group} that the controller may read; routers other than weir's own need a Kubernetes cluster`;
    return [invalid(path, JSON.stringify(router), detail, path.join("."))];
  });
}

export interface RouterWriteDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly freshness: Freshness;
  readonly troubles: RouterTroubles;
}

export interface RouterWrites {
  readonly events: readonly Patch["event"][];
  /** What the first write that failed threw; those after it were not tried. */
  readonly error?: unknown;
}

/** Writes in order, until one fails. */
export async function writeRouters(
  deps: RouterWriteDeps,
  key: string,
  patches: readonly RouterPatch[],
  signal: () => AbortSignal,
): Promise<RouterWrites> {
  const events: Patch["event"][] = [];
  const { log, troubles } = deps;
  for (const patch of patches) {
    const { router, name, event } = patch;
    try {
      await writeRouter(deps, key, patch, signal());
    } catch (error) {
      // Somebody else was faster: the next pass sees what they wrote.
      const isConflict = isWeirError(error, CLUSTER_ERRORS.conflict);
      troubles.set(key, new Map(isConflict ? [] : [[router, messageOf(error)]]));
      return { events, error };
    }
    log.info("applied", {
      action: `${patch.verb} ${name.type.kind}`,
      name: name.name,
      reason: event.message,
    });
    events.push(event);
  }
  troubles.set(key, new Map());
  return { events };
}

async function writeRouter(
  { client, clock, freshness }: RouterWriteDeps,
  key: string,
  patch: Patch,
  signal: AbortSignal,
): Promise<void> {
  const { type, namespace, name } = patch.name;
  const written =
    patch.verb === "create"
      ? await client.create(type, patch.object, signal)
      : await client.patch(type, { namespace, name }, { type: "merge", body: patch.body }, { signal });
  freshness.wrote(key, objectId(type.kind, namespace, name), written.metadata.resourceVersion, clock.nowMs());
}
