// Services that no Rollout names any more get their own selector back: without the version and without the mark, so that they do not lead to
// pods that go, and another Rollout may take them. Source: Argo: service/service.go, v1.9.
import {
  MANAGED_BY_ANNOTATION,
  POD_HASH_LABEL,
  RESOURCES,
  readRollout,
  servicesNamedBy,
} from "../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../cluster/client.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Caches } from "./caches.ts";

export interface FreeDeps {
  readonly client: ClusterClient;
  readonly log: Logger;
  readonly caches: Pick<Caches, "rollouts" | "services">;
}

/** Calls `wake` with the keys of Services that may have been left: now those that are marked, then what changes; returns how to stop. */
export function wakeServices(
  { rollouts, services }: FreeDeps["caches"],
  wake: (key: string) => void,
): () => void {
  const marked = (namespace: string | undefined, rollout?: string): void => {
    for (const { metadata } of services.store.list(namespace)) {
      const owner = metadata.annotations?.[MANAGED_BY_ANNOTATION];
      if (owner !== undefined && (rollout ?? owner) === owner) wake(`${metadata.namespace}/${metadata.name}`);
    }
  };
  marked(undefined);
  const endings = [
    services.subscribe(({ key }) => wake(key)),
    rollouts.subscribe((event) => {
      const { metadata } = event.object;
      const isSameSpec = event.kind === "updated" && event.old.metadata.generation === metadata.generation;
      if (event.kind !== "added" && !isSameSpec) marked(metadata.namespace, metadata.name);
    }),
  ];
  return () => {
    for (const end of endings) end();
  };
}

/** Frees the Service under `key` when it is marked and nobody names it. */
export async function freeService(deps: FreeDeps, key: string, signal: AbortSignal): Promise<void> {
  const { client, log, caches } = deps;
  const object = caches.services.store.get(key);
  const owner = object?.metadata.annotations?.[MANAGED_BY_ANNOTATION];
  if (object === undefined || owner === undefined || (await isNamed(deps, key, owner, signal))) return;
  const { namespace = "", name, uid, resourceVersion } = object.metadata;
  const body = {
    metadata: { uid, resourceVersion, annotations: { [MANAGED_BY_ANNOTATION]: null } },
    spec: { selector: { [POD_HASH_LABEL]: null } },
  };
  try {
    await client.patch(RESOURCES.service, { namespace, name }, { type: "merge", body }, { signal });
    log.info("no Rollout names the Service any more, it selects all its pods again", {
      service: key,
      rollout: owner,
    });
  } catch (error) {
    if (!isWeirError(error, CLUSTER_ERRORS.notFound)) throw error;
  }
}

/** Whether some Rollout does. The one of the mark is asked for anew: the cache may not hold it yet. */
async function isNamed(
  { client, caches }: FreeDeps,
  key: string,
  owner: string,
  signal: AbortSignal,
): Promise<boolean> {
  const [namespace = "", name = ""] = key.split("/");
  if (caches.rollouts.list(namespace).some((rollout) => servicesNamedBy(rollout).includes(name))) return true;
  const raw = await client.get(RESOURCES.rollout, { namespace, name: owner }, signal);
  return raw !== undefined && servicesNamedBy(readRollout(raw).value).includes(name);
}
