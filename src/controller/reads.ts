// Which changes of the cluster concern which Gateway: a rendering notes every object that it asks for, and a change of anything else
// cannot change its outcome.
import { type KubeObject, POD_HASH_LABEL, SERVICE_NAME_LABEL } from "../api/api.ts";
import type { StoreEvent } from "../cluster/client.ts";
import type { TranslateInput } from "../translate/translate.ts";
import type { Caches } from "./caches.ts";

/** Something changed: `name` is `namespace/name`, for EndpointSlices that of their Service. */
export interface Changed {
  readonly kind: "Gateway" | "HTTPRoute" | "TrafficPolicy" | "Service" | "EndpointSlice" | "Pod";
  readonly name: string;
}

/** Calls `listener` with every change that a rendering may depend on; returns how to stop that. */
export function watchChanges(caches: Caches, listener: (changed: Changed) => void): () => void {
  const tell =
    (kind: Changed["kind"]) =>
    ({ key }: StoreEvent): void =>
      listener({ kind, name: key });
  const endings = [
    caches.gateways.subscribe(tell("Gateway")),
    caches.httpRoutes.subscribe(tell("HTTPRoute")),
    caches.trafficPolicies.subscribe(tell("TrafficPolicy")),
    caches.services.subscribe(tell("Service")),
    caches.endpointSlices.subscribe((event) => {
      for (const object of event.kind === "updated" ? [event.object, event.old] : [event.object])
        listener({ kind: "EndpointSlice", name: serviceOf(object) });
    }),
    caches.pods.subscribe((event) => {
      // All that is read of a pod is its hash; readiness comes with the slices.
      if (event.kind === "updated" && hashOf(event.old) === hashOf(event.object)) return;
      listener({ kind: "Pod", name: event.key });
    }),
  ];
  return () => {
    for (const end of endings) end();
  };
}

/** The lookups of a rendering over the caches; `note` is told of each. */
export function lookups(
  caches: Caches,
  note: (changed: Changed) => void,
): Pick<TranslateInput, "service" | "slices" | "podHash" | "pods"> {
  return {
    service(namespace, name) {
      note({ kind: "Service", name: `${namespace}/${name}` });
      return caches.services.get(namespace, name);
    },
    slices(namespace, service) {
      note({ kind: "EndpointSlice", name: `${namespace}/${service}` });
      const objects = caches.endpointSlices.store.byLabel(SERVICE_NAME_LABEL, service, namespace);
      return objects.map(caches.endpointSlices.read);
    },
    podHash(namespace, pod) {
      note({ kind: "Pod", name: `${namespace}/${pod}` });
      return hashOf(caches.pods.store.get(`${namespace}/${pod}`));
    },
    pods(namespace, podHash) {
      const objects = caches.pods.store.byLabel(POD_HASH_LABEL, podHash, namespace);
      for (const { metadata } of objects) note({ kind: "Pod", name: `${namespace}/${metadata.name}` });
      return objects.map(caches.pods.read);
    },
  };
}

function serviceOf(slice: KubeObject): string {
  return `${slice.metadata.namespace}/${slice.metadata.labels?.[SERVICE_NAME_LABEL]}`;
}

function hashOf(pod: KubeObject | undefined): string | undefined {
  return pod?.metadata.labels?.[POD_HASH_LABEL];
}
