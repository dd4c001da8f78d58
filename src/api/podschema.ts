// Schema of pods and pod templates: the parts that weir reads. Everything else in a template is carried untouched.
import { z } from "zod";
import {
  int32,
  int64,
  intOrString,
  kindOf,
  opaque,
  open,
  type Parsed,
  stringMap,
  strings,
  time,
} from "./shapes.ts";

const envVar = open({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: open({
    fieldRef: open({ apiVersion: z.string().optional(), fieldPath: z.string() }).optional(),
    resourceFieldRef: opaque.optional(),
    configMapKeyRef: open({
      name: z.string().optional(),
      key: z.string(),
      optional: z.boolean().optional(),
    }).optional(),
    secretKeyRef: open({
      name: z.string().optional(),
      key: z.string(),
      optional: z.boolean().optional(),
    }).optional(),
  }).optional(),
});

const envFromSource = open({
  prefix: z.string().optional(),
  configMapRef: open({ name: z.string().optional(), optional: z.boolean().optional() }).optional(),
  secretRef: open({ name: z.string().optional(), optional: z.boolean().optional() }).optional(),
});

const containerPort = open({
  name: z.string().optional(),
  containerPort: int32,
  hostPort: int32.optional(),
  hostIP: z.string().optional(),
  protocol: z.string().optional(),
});

const exec = open({ command: strings.optional() });
const httpGet = open({
  path: z.string().optional(),
  port: intOrString,
  host: z.string().optional(),
  scheme: z.string().optional(),
  httpHeaders: z.array(open({ name: z.string(), value: z.string() })).optional(),
});
const tcpSocket = open({ port: intOrString, host: z.string().optional() });

const probe = open({
  exec: exec.optional(),
  httpGet: httpGet.optional(),
  tcpSocket: tcpSocket.optional(),
  grpc: open({ port: int32, service: z.string().optional() }).optional(),
  initialDelaySeconds: int32.optional(),
  timeoutSeconds: int32.optional(),
  periodSeconds: int32.optional(),
  successThreshold: int32.optional(),
  failureThreshold: int32.optional(),
  terminationGracePeriodSeconds: int64.optional(),
});

const lifecycleHandler = open({
  exec: exec.optional(),
  httpGet: httpGet.optional(),
  tcpSocket: tcpSocket.optional(),
  sleep: open({ seconds: int64 }).optional(),
});

const quantities = z.record(z.string(), z.union([z.number(), z.string()]));

const container = open({
  name: z.string(),
  image: z.string().optional(),
  command: strings.optional(),
  args: strings.optional(),
  workingDir: z.string().optional(),
  ports: z.array(containerPort).optional(),
  env: z.array(envVar).optional(),
  envFrom: z.array(envFromSource).optional(),
  resources: open({
    limits: quantities.optional(),
    requests: quantities.optional(),
  }).optional(),
  /** `Always` on an init container makes it a sidecar. */
  restartPolicy: z.string().optional(),
  volumeMounts: z.array(opaque).optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  startupProbe: probe.optional(),
  lifecycle: open({
    postStart: lifecycleHandler.optional(),
    preStop: lifecycleHandler.optional(),
  }).optional(),
  imagePullPolicy: z.string().optional(),
  securityContext: opaque.optional(),
});
export type Container = Parsed<typeof container>;
export type Probe = Parsed<typeof probe>;
export type LifecycleHandler = Parsed<typeof lifecycleHandler>;
export type EnvVar = Parsed<typeof envVar>;

const podSpec = open({
  volumes: z.array(opaque).optional(),
  initContainers: z.array(container).optional(),
  containers: z.array(container),
  restartPolicy: z.string().optional(),
  terminationGracePeriodSeconds: int64.optional(),
  activeDeadlineSeconds: int64.optional(),
  nodeSelector: stringMap.optional(),
  serviceAccountName: z.string().optional(),
  nodeName: z.string().optional(),
  hostname: z.string().optional(),
  affinity: opaque.optional(),
  tolerations: z.array(opaque).optional(),
  readinessGates: z.array(open({ conditionType: z.string() })).optional(),
});
export type PodSpec = Parsed<typeof podSpec>;

/** Metadata of a template: a name there has no effect. */
export const templateMeta = open({
  name: z.string().optional(),
  namespace: z.string().optional(),
  labels: stringMap.optional(),
  annotations: stringMap.optional(),
  finalizers: strings.optional(),
});

export const podTemplateSpec = open({ metadata: templateMeta.optional(), spec: podSpec.optional() });
/** A pod template: typed where weir reads it, complete as far as it is carried. */
export type PodTemplateSpec = Parsed<typeof podTemplateSpec>;

const containerState = open({
  waiting: open({ reason: z.string().optional(), message: z.string().optional() }).optional(),
  running: open({ startedAt: time.optional() }).optional(),
  terminated: open({
    exitCode: int32,
    signal: int32.optional(),
    reason: z.string().optional(),
    message: z.string().optional(),
    startedAt: time.optional(),
    finishedAt: time.optional(),
    containerID: z.string().optional(),
  }).optional(),
});
export type ContainerState = Parsed<typeof containerState>;

const containerStatus = open({
  name: z.string(),
  state: containerState.optional(),
  lastState: containerState.optional(),
  ready: z.boolean(),
  restartCount: int32,
  image: z.string(),
  imageID: z.string(),
  containerID: z.string().optional(),
  started: z.boolean().optional(),
});
export type ContainerStatus = Parsed<typeof containerStatus>;

const podCondition = open({
  type: z.string(),
  status: z.string(),
  lastProbeTime: time.optional(),
  lastTransitionTime: time.optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  observedGeneration: int64.optional(),
});
export type PodCondition = Parsed<typeof podCondition>;

const podStatus = open({
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`; absent before the first write. */
  phase: z.string().optional(),
  conditions: z.array(podCondition).optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
  hostIP: z.string().optional(),
  hostIPs: z.array(open({ ip: z.string() })).optional(),
  podIP: z.string().optional(),
  podIPs: z.array(open({ ip: z.string() })).optional(),
  startTime: time.optional(),
  initContainerStatuses: z.array(containerStatus).optional(),
  containerStatuses: z.array(containerStatus).optional(),
  qosClass: z.string().optional(),
  observedGeneration: int64.optional(),
});
export type PodStatus = Parsed<typeof podStatus>;

export const podSchema = kindOf({ spec: podSpec, status: podStatus });
export type Pod = Parsed<typeof podSchema>;
