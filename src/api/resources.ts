// The kinds that weir reads or writes, with their paths in the API. One table for the client, the embedded server and the CLI.

export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly isNamespaced: boolean;
  /** `status`: /status is a subresource and plain writes leave status alone. `scale`: /scale exists. */
  readonly subresources: readonly ("status" | "scale" | "log")[];
}

function resource(
  groupVersion: string,
  kind: string,
  names: string,
  subresources: ResourceType["subresources"] = [],
  isNamespaced = true,
): ResourceType {
  const [plural = "", singular = "", ...shortNames] = names.split(" ");
  const [version = "", group = ""] = groupVersion.split("/").reverse();
  return { group, version, kind, plural, singular, shortNames, isNamespaced, subresources };
}

export const RESOURCES = {
  rollout: resource("argoproj.io/v1alpha1", "Rollout", "rollouts rollout ro", ["status", "scale"]),
  analysisRun: resource("argoproj.io/v1alpha1", "AnalysisRun", "analysisruns analysisrun ar"),
  analysisTemplate: resource(
    "argoproj.io/v1alpha1",
    "AnalysisTemplate",
    "analysistemplates analysistemplate at",
  ),
  clusterAnalysisTemplate: resource(
    "argoproj.io/v1alpha1",
    "ClusterAnalysisTemplate",
    "clusteranalysistemplates clusteranalysistemplate cat",
    [],
    false,
  ),
  experiment: resource("argoproj.io/v1alpha1", "Experiment", "experiments experiment exp"),
  replicaSet: resource("apps/v1", "ReplicaSet", "replicasets replicaset rs", ["status", "scale"]),
  pod: resource("v1", "Pod", "pods pod po", ["status", "log"]),
  service: resource("v1", "Service", "services service svc", ["status"]),
  configMap: resource("v1", "ConfigMap", "configmaps configmap cm"),
  secret: resource("v1", "Secret", "secrets secret"),
  namespace: resource("v1", "Namespace", "namespaces namespace ns", ["status"], false),
  node: resource("v1", "Node", "nodes node no", ["status"], false),
  event: resource("v1", "Event", "events event ev"),
  endpointSlice: resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices endpointslice"),
  lease: resource("coordination.k8s.io/v1", "Lease", "leases lease"),
  gateway: resource("gateway.networking.k8s.io/v1", "Gateway", "gateways gateway gtw", ["status"]),
  httpRoute: resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes httproute", ["status"]),
  trafficPolicy: resource("weir.dev/v1alpha1", "TrafficPolicy", "trafficpolicies trafficpolicy tp"),
} as const satisfies Readonly<Record<string, ResourceType>>;

/** Kinds that a Kubernetes cluster may have and the embedded server does not. */
export const CLUSTER_RESOURCES = {
  ingress: resource("networking.k8s.io/v1", "Ingress", "ingresses ingress ing", ["status"]),
  targetGroupBinding: resource(
    "elbv2.k8s.aws/v1beta1",
    "TargetGroupBinding",
    "targetgroupbindings targetgroupbinding",
    ["status"],
  ),
} as const satisfies Readonly<Record<string, ResourceType>>;

/** `v1` or `group/version`, as in an object's `apiVersion`. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === "" ? type.version : `${type.group}/${type.version}`;
}
