// The workload controllers of the embedded server: what a controller manager does in Kubernetes, as far as weir needs it
// (ReplicaSets, EndpointSlices, collection of finished pods). Clients of the API like any other; start them once per server.
import { RESOURCES, type ResourceType } from "../../api/api.ts";
import {
  type ClusterClient,
  createEventRecorder,
  createReflector,
  type Reflector,
} from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { createEndpointSliceController } from "./endpointslice.ts";
import { createPodCollector } from "./podgc.ts";
import { createReplicaSetController } from "./replicaset.ts";

export interface WorkloadDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface WorkloadControllers {
  /** Resolves true once all caches have synced and the controllers work; false when stopped before. */
  readonly ready: Promise<boolean>;
  /** Ends all and waits. Idempotent. */
  stop(): Promise<void>;
}

/** Starts all of them. */
export function startWorkloadControllers(deps: WorkloadDeps): WorkloadControllers {
  const reflect = (type: ResourceType): Reflector => createReflector({ ...deps, type });
  const replicaSets = reflect(RESOURCES.replicaSet);
  const pods = reflect(RESOURCES.pod);
  const services = reflect(RESOURCES.service);
  const slices = reflect(RESOURCES.endpointSlice);
  const reflectors = [replicaSets, pods, services, slices];
  const events = createEventRecorder({ ...deps, component: "replicaset-controller" });
  const controllers = [
    createReplicaSetController({ ...deps, record: events.record, replicaSets, pods }),
    createEndpointSliceController({ ...deps, services, pods, slices }),
    createPodCollector({ ...deps, pods }),
  ];
  const begin = async (): Promise<boolean> => {
    for (const reflector of reflectors) reflector.start();
    const synced = await Promise.all(reflectors.map((reflector) => reflector.waitForSync()));
    if (synced.includes(false)) return false;
    for (const controller of controllers) controller.start();
    return true;
  };
  let stopped: Promise<void> | undefined;
  return {
    ready: begin(),
    stop() {
      stopped ??= (async () => {
        await Promise.all(reflectors.map((reflector) => reflector.stop()));
        await Promise.all(controllers.map((controller) => controller.stop()));
        await events.flush();
      })();
      return stopped;
    },
  };
}
