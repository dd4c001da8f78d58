// The EndpointSlices of a Service: one per pod, because pods of the embedded cluster share an address and differ in their ports. Pure.
import { createHash } from "node:crypto";
import type { KubeObject, ObjectMeta } from "../../api/api.ts";
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
  return pods
    .map(readPod)
    .filter((pod) => serviceSelects(service, pod.metadata.labels))
    .filter((pod) => !isPodFinished(pod) && pod.status.podIP !== undefined && pod.status.podIP !== "")
    .map((pod) => sliceOf(service, pod));
}

function sliceOf(service: Service, pod: Pod): KubeObject {
  const { name, namespace = "default", uid = "" } = service.metadata;
  const isTerminating = pod.metadata.deletionTimestamp !== undefined;
  const isServing = isPodReady(pod) || service.publishesNotReady;
  const key = createHash("sha256").update(`${uid}/${pod.metadata.uid}`).digest("hex").slice(0, 10);
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
        addresses: [pod.status.podIP],
        conditions: { ready: isServing && !isTerminating, serving: isServing, terminating: isTerminating },
        ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
        targetRef: { kind: "Pod", name: pod.metadata.name, namespace, uid: pod.metadata.uid },
      },
    ],
    ports: service.ports.flatMap((port) => endpointPort(port, pod)),
  };
}

/** The port on which the pod serves a Service port; none when the pod has no port of that name. */
function endpointPort(port: ServicePort, pod: Pod): readonly Readonly<Record<string, unknown>>[] {
  const target = port.targetPort ?? port.port;
  const declared = typeof target === "number" ? target : namedPort(pod, target)?.containerPort;
  if (declared === undefined) return [];
  return [
    {
      name: port.name ?? "",
      port: actualPorts(pod)?.get(declared) ?? declared,
      protocol: port.protocol ?? "TCP",
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    },
  ];
}

function namedPort(pod: Pod, name: string): ContainerPort | undefined {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...(pod.spec.containers ?? []), ...sidecars]
    .flatMap(({ ports }) => ports ?? [])
    .find((port) => port.name === name);
}
