// Schemas of the Kubernetes kinds beside pods that weir reads or writes, as far as it uses them.
import { z } from "zod";
import { podTemplateSpec } from "./podschema.ts";
import {
  anyJson,
  int32,
  int64,
  intOrString,
  kindOf,
  labelSelector,
  opaque,
  open,
  type Parsed,
  stringMap,
  strings,
  time,
} from "./shapes.ts";

const condition = open({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: time.optional(),
  observedGeneration: int64.optional(),
});

export const replicaSetSchema = kindOf({
  spec: open({
    /** Default 1. */
    replicas: int32.optional(),
    minReadySeconds: int32.optional(),
    selector: labelSelector,
    template: podTemplateSpec.optional(),
  }),
  status: open({
    replicas: int32,
    fullyLabeledReplicas: int32.optional(),
    readyReplicas: int32.optional(),
    availableReplicas: int32.optional(),
    terminatingReplicas: int32.optional(),
    observedGeneration: int64.optional(),
    conditions: z.array(condition).optional(),
  }),
});
export type ReplicaSet = Parsed<typeof replicaSetSchema>;

const servicePort = open({
  name: z.string().optional(),
  protocol: z.string().optional(),
  appProtocol: z.string().optional(),
  port: int32,
  /** Default: `port`. A string names a container port. */
  targetPort: intOrString.optional(),
  nodePort: int32.optional(),
});
export type ServicePort = Parsed<typeof servicePort>;

export const serviceSchema = kindOf({
  spec: open({
    type: z.string().optional(),
    selector: stringMap.optional(),
    ports: z.array(servicePort).optional(),
    clusterIP: z.string().optional(),
    clusterIPs: strings.optional(),
    externalName: z.string().optional(),
    sessionAffinity: z.string().optional(),
    // Known by name, so that a misspelt one is found; not read.
    allocateLoadBalancerNodePorts: anyJson.optional(),
    externalIPs: anyJson.optional(),
    externalTrafficPolicy: anyJson.optional(),
    healthCheckNodePort: anyJson.optional(),
    internalTrafficPolicy: anyJson.optional(),
    ipFamilies: anyJson.optional(),
    ipFamilyPolicy: anyJson.optional(),
    loadBalancerClass: anyJson.optional(),
    loadBalancerIP: anyJson.optional(),
    loadBalancerSourceRanges: anyJson.optional(),
    sessionAffinityConfig: anyJson.optional(),
    trafficDistribution: anyJson.optional(),
    publishNotReadyAddresses: z.boolean().optional(),
  }),
  status: opaque.optional(),
});
export type Service = Parsed<typeof serviceSchema>;

const objectReference = open({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  namespace: z.string().optional(),
  name: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  fieldPath: z.string().optional(),
});
export type ObjectReference = Parsed<typeof objectReference>;

const endpoint = open({
  addresses: strings,
  conditions: open({
    /** Absent counts as true. */
    ready: z.boolean().optional(),
    serving: z.boolean().optional(),
    terminating: z.boolean().optional(),
  }).optional(),
  hostname: z.string().optional(),
  nodeName: z.string().optional(),
  targetRef: objectReference.optional(),
  zone: z.string().optional(),
});
export type Endpoint = Parsed<typeof endpoint>;

export const endpointSliceSchema = kindOf({
  addressType: z.string(),
  endpoints: z.array(endpoint),
  ports: z
    .array(
      open({
        name: z.string().optional(),
        protocol: z.string().optional(),
        port: int32.optional(),
        appProtocol: z.string().optional(),
      }),
    )
    .optional(),
});
export type EndpointSlice = Parsed<typeof endpointSliceSchema>;

const ingressPath = open({
  path: z.string().optional(),
  pathType: z.string().optional(),
  backend: open({
    service: open({
      name: z.string(),
      port: open({ name: z.string().optional(), number: int32.optional() }).optional(),
    }).optional(),
    resource: opaque.optional(),
  }),
});
export type IngressPath = Parsed<typeof ingressPath>;

const ingressRule = open({
  host: z.string().optional(),
  http: open({ paths: z.array(ingressPath) }).optional(),
});
export type IngressRule = Parsed<typeof ingressRule>;

export const ingressSchema = kindOf({
  spec: open({
    ingressClassName: z.string().optional(),
    defaultBackend: opaque.optional(),
    tls: z.array(opaque).optional(),
    rules: z.array(ingressRule).optional(),
  }),
  status: open({
    loadBalancer: open({
      ingress: z.array(open({ hostname: z.string().optional(), ip: z.string().optional() })).optional(),
    }).optional(),
  }).optional(),
});
export type Ingress = Parsed<typeof ingressSchema>;

/** Of the AWS load balancer controller: the target group that it keeps the endpoints of a Service's port in. */
export const targetGroupBindingSchema = kindOf({
  spec: open({
    targetGroupARN: z.string(),
    /** `ip`: pods are targets; `instance`: nodes are. */
    targetType: z.string().optional(),
    /** `ipv4`, the default, or `ipv6`. */
    ipAddressType: z.string().optional(),
    serviceRef: open({ name: z.string(), port: intOrString }),
  }),
  status: opaque.optional(),
});
export type TargetGroupBinding = Parsed<typeof targetGroupBindingSchema>;

export const eventSchema = kindOf({
  involvedObject: objectReference,
  reason: z.string().optional(),
  message: z.string().optional(),
  /** `Normal` or `Warning`. */
  type: z.string().optional(),
  count: int32.optional(),
  firstTimestamp: time.optional(),
  lastTimestamp: time.optional(),
  eventTime: time.optional(),
  source: open({ component: z.string().optional(), host: z.string().optional() }).optional(),
  reportingComponent: z.string().optional(),
  reportingInstance: z.string().optional(),
  action: z.string().optional(),
});
export type Event = Parsed<typeof eventSchema>;

export const leaseSchema = kindOf({
  spec: open({
    holderIdentity: z.string().optional(),
    leaseDurationSeconds: int32.optional(),
    acquireTime: time.optional(),
    renewTime: time.optional(),
    leaseTransitions: int32.optional(),
  }),
});
export type Lease = Parsed<typeof leaseSchema>;

export const configMapSchema = kindOf({
  data: stringMap.optional(),
  binaryData: stringMap.optional(),
  immutable: z.boolean().optional(),
});
export type ConfigMap = Parsed<typeof configMapSchema>;

export const secretSchema = kindOf({
  type: z.string().optional(),
  /** Values in base64. */
  data: stringMap.optional(),
  stringData: stringMap.optional(),
  immutable: z.boolean().optional(),
});
export type Secret = Parsed<typeof secretSchema>;

export const namespaceSchema = kindOf({
  spec: open({ finalizers: strings.optional() }),
  status: open({ phase: z.string().optional() }),
});
export type Namespace = Parsed<typeof namespaceSchema>;

export const nodeSchema = kindOf({
  spec: open({
    podCIDR: z.string().optional(),
    unschedulable: z.boolean().optional(),
    taints: z.array(opaque).optional(),
  }),
  status: open({
    capacity: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
    allocatable: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
    conditions: z.array(open({ ...condition.shape, lastHeartbeatTime: time.optional() })).optional(),
    addresses: z.array(open({ type: z.string(), address: z.string() })).optional(),
    nodeInfo: opaque.optional(),
  }),
});
export type Node = Parsed<typeof nodeSchema>;
