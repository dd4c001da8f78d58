// The EndpointSlice controller of the embedded server: for each Service with a selector, keeps the slices of slices.ts. Slices that
// others made, and Services without a selector, stay untouched.
import { type KubeObject, keyOf, RESOURCES } from "../../api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterClient,
  createWorkQueue,
  type Reflector,
  type StoreEvent,
} from "../../cluster/client.ts";
import type { Clock } from "../../lib/clock.ts";
import { isWeirError } from "../../lib/errors.ts";
import { jsonEqual } from "../../lib/json.ts";
import type { Logger } from "../../lib/log.ts";
import type { Controller } from "./replicaset.ts";
import {
  desiredSlices,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  readService,
  SERVICE_NAME_LABEL,
  serviceSelects,
} from "./slices.ts";

export interface EndpointSliceDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly services: Reflector;
  readonly pods: Reflector;
  readonly slices: Reflector;
}

const WORKERS = 4;

/** Makes the controller. */
export function createEndpointSliceController(deps: EndpointSliceDeps): Controller {
  const queue = createWorkQueue({
    clock: deps.clock,
    log: deps.log.child({ controller: "endpointslice" }),
    process: (key) => sync(deps, key),
    workers: WORKERS,
    baseDelayMs: 20,
  });
  const unsubscribe = [
    deps.services.subscribe(({ key }) => queue.add(key)),
    deps.pods.subscribe((event) => {
      for (const key of servicesOf(deps, event)) queue.add(key);
    }),
    deps.slices.subscribe(({ object }) => {
      const service = object.metadata.labels?.[SERVICE_NAME_LABEL];
      if (service !== undefined && isOwn(object)) queue.add(`${object.metadata.namespace}/${service}`);
    }),
  ];
  return {
    start: () => queue.start(),
    async stop() {
      for (const end of unsubscribe) end();
      await queue.stop();
    },
  };
}

/** Services that select the pod, or did before the change. */
function servicesOf(deps: EndpointSliceDeps, event: StoreEvent): readonly string[] {
  const labels = [event.object.metadata.labels];
  if (event.kind === "updated") labels.push(event.old.metadata.labels);
  return deps.services.store
    .list(event.object.metadata.namespace)
    .filter((object) => labels.some((set) => serviceSelects(readService(object), set)))
    .map(keyOf);
}

function isOwn(slice: KubeObject): boolean {
  return slice.metadata.labels?.[MANAGED_BY_LABEL] === MANAGED_BY;
}

async function sync(deps: EndpointSliceDeps, key: string): Promise<void> {
  const [namespace = "", name = ""] = key.split("/");
  const object = deps.services.store.get(key);
  const service = object === undefined ? undefined : readService(object);
  if (service !== undefined && service.selector === undefined) return;
  const desired = service === undefined ? [] : desiredSlices(service, deps.pods.store.list(namespace));
  const existing = new Map(
    deps.slices.store
      .byLabel(SERVICE_NAME_LABEL, name, namespace)
      .filter(isOwn)
      .map((slice) => [slice.metadata.name, slice]),
  );
  for (const slice of desired) {
    await write(deps, slice, existing.get(slice.metadata.name));
    existing.delete(slice.metadata.name);
  }
  for (const { metadata } of existing.values()) {
    await deps.client.delete(
      RESOURCES.endpointSlice,
      { namespace, name: metadata.name },
      metadata.uid === undefined ? {} : { uid: metadata.uid },
    );
  }
}

async function write(
  deps: EndpointSliceDeps,
  slice: KubeObject,
  before: KubeObject | undefined,
): Promise<void> {
  const { namespace = "", name } = slice.metadata;
  if (before === undefined) {
    try {
      await deps.client.create(RESOURCES.endpointSlice, slice);
      return;
    } catch (error) {
      // The cache has not seen the one of an earlier pass yet.
      if (!isWeirError(error, CLUSTER_ERRORS.alreadyExists)) throw error;
    }
  }
  const body = { endpoints: slice.endpoints, ports: slice.ports };
  const isSame =
    before !== undefined &&
    jsonEqual(before.endpoints, body.endpoints) &&
    jsonEqual(before.ports, body.ports);
  if (!isSame) await deps.client.patch(RESOURCES.endpointSlice, { namespace, name }, { type: "merge", body });
}
