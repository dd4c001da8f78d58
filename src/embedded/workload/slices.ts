// The EndpointSlices of a Service: one per pod, because pods of the embedded cluster share an address and differ in their ports; and one per
// backend of a pod that stands for backends elsewhere. Pure.
import { createHash } from "node:crypto";
import { type KubeObject, type ObjectMeta, POD_HASH_LABEL } from "../../api/api.ts";
import { type Endpoint, endpointsOf, healthyOf, isRemote } from "../agent/endpoints.ts";
import {
  actualPorts,
  type ContainerPort,
  isPodFinished,
  isPodReady,
  type Pod,
  readPod,
} from "../agent/podspec.ts";
import { selectorMatches } from "./selector.ts";

export interface Service {
  readonly metadata: ObjectMeta;
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly ports: readonly ServicePort[];
  readonly publishesNotReady: boolean;
}

export interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly protocol?: string;
  readonly appProtocol?: string;
}

/** Label that names the Service of a slice. */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
/** Label by which a controller knows its own slices. */
export const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
/** Value of MANAGED_BY_LABEL, as Kubernetes' own controller has it. */
export const MANAGED_BY = "endpointslice-controller.k8s.io";

/** Reads a Service object. */
export function readService(object: KubeObject): Service {
  // The cast holds because the API server validates Services before it stores them.
  const spec = (object.spec ?? {}) as {
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly ServicePort[];
    readonly publishNotReadyAddresses?: boolean;
    readonly type?: string;
  };
  const hasSelector = Object.keys(spec.selector ?? {}).length > 0 && spec.type !== "ExternalName";
  return {
    metadata: object.metadata,
    selector: hasSelector ? spec.selector : undefined,
    ports: spec.ports ?? [],
    publishesNotReady: spec.publishNotReadyAddresses === true,
  };
}

/** Whether the Service selects a pod with these labels. */
export function serviceSelects(
  service: Service,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return service.selector !== undefined && selectorMatches({ matchLabels: service.selector }, labels);
}

/** The slices that should exist, with computed names: the same Service and pods give the same slices. */
export function desiredSlices(service: Service, pods: readonly KubeObject[]): readonly KubeObject[] {
  const selected = pods
    .map(readPod)
    .filter((pod) => serviceSelects(service, pod.metadata.labels))
    .filter((pod) => !isPodFinished(pod) && pod.status.podIP !== undefined && pod.status.podIP !== "");
  const own = selected.filter((pod) => !isRemote(pod)).map((pod) => sliceOf(service, pod));
  return [...own, ...remoteSlices(service, selected.filter(isRemote))];
}

/** A slice per backend. Pods of one version stand for the same backends: each is listed once, for a pod that stays if there is one. */
function remoteSlices(service: Service, pods: readonly Pod[]): readonly KubeObject[] {
  const slices = new Map<string, KubeObject>();
  const rank = ({ metadata }: Pod): string =>
    `${metadata.deletionTimestamp === undefined ? "stays" : "terminating"} ${metadata.name}`;
  for (const pod of [...pods].sort((a, b) => (rank(a) < rank(b) ? -1 : 1))) {
    const found = endpointsOf(pod);
    if (found.kind === "invalid") continue;
    const healthy = healthyOf(pod);
    for (const endpoint of found.endpoints) {
      const name = `${endpoint.address}:${endpoint.port}`;
      const key = `${pod.metadata.labels?.[POD_HASH_LABEL]} ${name}`;
      const isHealthy = isPodReady(pod) && healthy.has(name);
      if (!slices.has(key)) slices.set(key, sliceOf(service, pod, { endpoint, isHealthy }));
    }
  }
  return [...slices.values()];
}

/** The slice of a pod, or of one of the backends that it stands for. */
function sliceOf(
  service: Service,
  pod: Pod,
  backend?: { readonly endpoint: Endpoint; readonly isHealthy: boolean },
): KubeObject {
  const { name, namespace = "default", uid = "" } = service.metadata;
  const isTerminating = pod.metadata.deletionTimestamp !== undefined;
  const isServing = (backend?.isHealthy ?? isPodReady(pod)) || service.publishesNotReady;
  const of = backend === undefined ? "" : `/${backend.endpoint.address}:${backend.endpoint.port}`;
  const key = createHash("sha256").update(`${uid}/${pod.metadata.uid}${of}`).digest("hex").slice(0, 10);
  const ports =
    backend === undefined
      ? service.ports.flatMap((port) => endpointPort(port, pod))
      : backendPorts(service, pod, backend.endpoint);
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${name}-${key}`,
      namespace,
      labels: { [SERVICE_NAME_LABEL]: name, [MANAGED_BY_LABEL]: MANAGED_BY },
      ownerReferences: [
        { apiVersion: "v1", kind: "Service", name, uid, controller: true, blockOwnerDeletion: true },
      ],
    },
    addressType: "IPv4",
    endpoints: [
      {
        addresses: [backend?.endpoint.address ?? pod.status.podIP],
        conditions: { ready: isServing && !isTerminating, serving: isServing, terminating: isTerminating },
        ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
        targetRef: { kind: "Pod", name: pod.metadata.name, namespace, uid: pod.metadata.uid },
      },
    ],
    ports,
  };
}

/** A backend serves on its one port: the Service's only port, or those whose target it is. */
function backendPorts(
  service: Service,
  pod: Pod,
  { port: actual }: Endpoint,
): readonly Readonly<Record<string, unknown>>[] {
  const [only] = service.ports;
  if (only !== undefined && service.ports.length === 1) return [{ ...portWords(only), port: actual }];
  return service.ports.flatMap((port) => endpointPort(port, pod)).filter(({ port }) => port === actual);
}

/** The port on which the pod serves a Service port; none when the pod has no port of that name. */
function endpointPort(port: ServicePort, pod: Pod): readonly Readonly<Record<string, unknown>>[] {
  const target = port.targetPort ?? port.port;
  const declared = typeof target === "number" ? target : namedPort(pod, target)?.containerPort;
  if (declared === undefined) return [];
  return [{ ...portWords(port), port: actualPorts(pod)?.get(declared) ?? declared }];
}

function portWords({
  name = "",
  protocol = "TCP",
  appProtocol,
}: ServicePort): Readonly<Record<string, unknown>> {
  return { name, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) };
}

function namedPort(pod: Pod, name: string): ContainerPort | undefined {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...(pod.spec.containers ?? []), ...sidecars]
    .flatMap(({ ports }) => ports ?? [])
    .find((port) => port.name === name);
}
