// Schema of canary.trafficRouting: every router's settings, complete by field, whether weir carries the router out or not.
import { z } from "zod";
import { int32, int64, opaque, open, type Parsed, stringMap, strings } from "./shapes.ts";

const virtualService = open({
  name: z.string(),
  routes: strings.optional(),
  tlsRoutes: z.array(open({ port: int64.optional(), sniHosts: strings.optional() })).optional(),
  tcpRoutes: z.array(open({ port: int64.optional() })).optional(),
});

const istio = open({
  virtualService: virtualService.optional(),
  virtualServices: z.array(virtualService).optional(),
  destinationRule: open({
    name: z.string(),
    canarySubsetName: z.string(),
    stableSubsetName: z.string(),
    additionalSubsetNames: strings.optional(),
  }).optional(),
});

const nginx = open({
  annotationPrefix: z.string().optional(),
  stableIngress: z.string().optional(),
  stableIngresses: strings.optional(),
  additionalIngressAnnotations: stringMap.optional(),
  canaryIngressAnnotations: stringMap.optional(),
});

const alb = open({
  ingress: z.string().optional(),
  ingresses: strings.optional(),
  servicePort: int32,
  rootService: z.string().optional(),
  annotationPrefix: z.string().optional(),
  stickinessConfig: open({ enabled: z.boolean(), durationSeconds: int64 }).optional(),
});

const virtualNodeRef = open({ name: z.string() });
const appMesh = open({
  virtualService: open({ name: z.string(), routes: strings.optional() }).optional(),
  virtualNodeGroup: open({
    canaryVirtualNodeRef: virtualNodeRef,
    stableVirtualNodeRef: virtualNodeRef,
  }).optional(),
});

export const trafficRouting = open({
  istio: istio.optional(),
  nginx: nginx.optional(),
  alb: alb.optional(),
  smi: open({ rootService: z.string().optional(), trafficSplitName: z.string().optional() }).optional(),
  ambassador: open({ mappings: strings }).optional(),
  appMesh: appMesh.optional(),
  traefik: open({ weightedTraefikServiceName: z.string() }).optional(),
  apisix: open({ route: open({ name: z.string(), rules: strings.optional() }).optional() }).optional(),
  /** Router name to its settings; weir's own is `weir.dev/proxy`. */
  plugins: opaque.optional(),
  managedRoutes: z.array(open({ name: z.string() })).optional(),
  /** Default 100. */
  maxTrafficWeight: int32.optional(),
});
export type TrafficRouting = Parsed<typeof trafficRouting>;
