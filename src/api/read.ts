// Reads objects of the API tolerantly: a value that does not decode is dropped and reported, the rest serves; what is missing
// takes Go's zero value, as in Argo. Interprets the zod schemas in one pass and gives back the very object that came in when nothing was wrong.
import type { z } from "zod";
import {
  analysisRunSchema,
  analysisTemplateSchema,
  clusterAnalysisTemplateSchema,
} from "./analysisschema.ts";
import { type Decoder, decoderOf, type Finding } from "./decode.ts";
import { experimentSchema } from "./experimentschema.ts";
import { gatewaySchema, httpRouteSchema } from "./gatewayschema.ts";
import {
  configMapSchema,
  endpointSliceSchema,
  eventSchema,
  ingressSchema,
  leaseSchema,
  namespaceSchema,
  nodeSchema,
  replicaSetSchema,
  secretSchema,
  serviceSchema,
  targetGroupBindingSchema,
} from "./kubeschema.ts";
import type { KubeObject } from "./meta.ts";
import { podSchema } from "./podschema.ts";
import { trafficPolicySchema } from "./policyschema.ts";
import { rolloutSchema } from "./rolloutschema.ts";
import type { Parsed } from "./shapes.ts";

/** What a tolerant read found. */
export interface Read<T> {
  /** The typed view. Shares structure with the object that was read: neither may be written to. */
  readonly value: T;
  /** Values that did not decode, with the reason; usually empty. */
  readonly dropped: readonly Finding[];
}

/** The schemas of the kinds that weir reads. */
export const SCHEMAS = {
  Rollout: rolloutSchema,
  AnalysisRun: analysisRunSchema,
  AnalysisTemplate: analysisTemplateSchema,
  ClusterAnalysisTemplate: clusterAnalysisTemplateSchema,
  Experiment: experimentSchema,
  ReplicaSet: replicaSetSchema,
  Pod: podSchema,
  Service: serviceSchema,
  EndpointSlice: endpointSliceSchema,
  Event: eventSchema,
  Lease: leaseSchema,
  ConfigMap: configMapSchema,
  Secret: secretSchema,
  Namespace: namespaceSchema,
  Node: nodeSchema,
  Gateway: gatewaySchema,
  HTTPRoute: httpRouteSchema,
  TrafficPolicy: trafficPolicySchema,
} as const satisfies Readonly<Record<string, z.ZodType>>;
export type ReadableKind = keyof typeof SCHEMAS;

export const readRollout = reader(rolloutSchema);
export const readAnalysisRun = reader(analysisRunSchema);
export const readAnalysisTemplate = reader(analysisTemplateSchema);
export const readClusterAnalysisTemplate = reader(clusterAnalysisTemplateSchema);
export const readExperiment = reader(experimentSchema);
export const readReplicaSet = reader(replicaSetSchema);
export const readPod = reader(podSchema);
export const readService = reader(serviceSchema);
export const readEndpointSlice = reader(endpointSliceSchema);
export const readEvent = reader(eventSchema);
export const readLease = reader(leaseSchema);
export const readConfigMap = reader(configMapSchema);
export const readSecret = reader(secretSchema);
export const readNamespace = reader(namespaceSchema);
export const readNode = reader(nodeSchema);
export const readGateway = reader(gatewaySchema);
export const readHttpRoute = reader(httpRouteSchema);
export const readTrafficPolicy = reader(trafficPolicySchema);
export const readIngress = reader(ingressSchema);
export const readTargetGroupBinding = reader(targetGroupBindingSchema);

function reader<S extends z.ZodType>(schema: S): (object: KubeObject) => Read<Parsed<S>> {
  let decoder: Decoder | undefined;
  return (object) => {
    decoder ??= decoderOf(schema);
    const { value, dropped } = decoder.read(object);
    // The decoder was made from this schema and fills in every required field, so the value has its type.
    return { value: value as Parsed<S>, dropped };
  };
}
