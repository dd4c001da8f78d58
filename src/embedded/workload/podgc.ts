// Deletes finished pods when there are too many, the oldest first: each keeps its logs on disk until then.
// Pods whose owner is gone are the server's own garbage collection, not this one's.
import { type KubeObject, RESOURCES } from "../../api/api.ts";
import { type ClusterClient, createWorkQueue, type Reflector } from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { isPodFinished, readPod } from "../agent/podspec.ts";
import type { Controller } from "./replicaset.ts";

export interface PodCollectorDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly pods: Reflector;
  /** Finished pods kept. Default MAX_FINISHED_PODS. */
  readonly maxFinished?: number;
}

/** Finished pods that are kept for their logs. */
export const MAX_FINISHED_PODS = 100;

/** Makes the collector. */
export function createPodCollector(deps: PodCollectorDeps): Controller {
  const queue = createWorkQueue({
    clock: deps.clock,
    log: deps.log.child({ controller: "podgc" }),
    process: () => collect(deps),
  });
  const unsubscribe = deps.pods.subscribe(({ kind, object }) => {
    if (kind !== "deleted" && isPodFinished(readPod(object))) queue.add("all");
  });
  return {
    start: () => queue.start(),
    async stop() {
      unsubscribe();
      await queue.stop();
    },
  };
}

async function collect(deps: PodCollectorDeps): Promise<void> {
  const finished = deps.pods.store
    .list()
    .filter((object) => isPodFinished(readPod(object)) && object.metadata.deletionTimestamp === undefined)
    .sort(byAge);
  const surplus = finished.slice(0, Math.max(0, finished.length - (deps.maxFinished ?? MAX_FINISHED_PODS)));
  for (const { metadata } of surplus) {
    const { name, namespace, uid } = metadata;
    await deps.client.delete(
      RESOURCES.pod,
      { name, ...(namespace === undefined ? {} : { namespace }) },
      uid === undefined ? {} : { uid },
    );
  }
}

function byAge(a: KubeObject, b: KubeObject): number {
  return Date.parse(a.metadata.creationTimestamp ?? "") - Date.parse(b.metadata.creationTimestamp ?? "");
}
