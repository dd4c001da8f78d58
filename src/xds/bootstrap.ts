// Reads an Envoy v3 bootstrap (YAML or JSON, snake_case or camelCase) within the subset that weir's proxy carries out; see
// docs/reference/bootstrap.md. A field that is unknown, not supported or of a wrong form is an error that names file, line, column and
// field: a bootstrap is never half obeyed. What is JSON and right takes a short way: the YAML library would stay in an idle proxy's memory.
import type { JsonValue } from "@bufbuild/protobuf";
import { create, fromJson } from "@bufbuild/protobuf";
import { isObject } from "../lib/json.ts";
import { locate, type Problem } from "./bootstrapproblems.ts";
import { type Bootstrap, BootstrapSchema } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import type { Cluster } from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import { type ApiConfigSource, NodeSchema } from "./gen/envoy/config/core/v3/core_pb.ts";
import { registry } from "./messages.ts";
import { unknownClusters } from "./staticroutes.ts";
import { unsupportedIn } from "./support.ts";

/** Where the control plane is. */
export interface ControlPlane {
  /** `host:port` each. */
  readonly addresses: readonly string[];
  /** Static clusters that stand for the control plane: no traffic is routed to them. */
  readonly clusters: readonly string[];
  /** Whether load is to be reported (`cluster_manager.load_stats_config`). */
  readonly reportsLoad: boolean;
}

/** Who the proxy is, where the command line says so and not the file: replicas share a file. Wins over it, as Envoy's flags do. */
export interface NodeOverride {
  /** `node.id`. */
  readonly serviceNode?: string;
  /** `node.cluster`. */
  readonly serviceCluster?: string;
}

type Taken =
  | { readonly kind: "good"; readonly bootstrap: Bootstrap }
  | { readonly kind: "refused"; readonly problems: readonly Problem[] };

/** Reads and checks. `file` is named in errors. Rejects with BOOTSTRAP_INVALID. */
export async function readBootstrap(
  text: string,
  file: string,
  override: NodeOverride = {},
): Promise<Bootstrap> {
  const plain = plainJson(text);
  const quick = plain === undefined ? undefined : take(plain, override);
  if (quick?.kind === "good") return quick.bootstrap;
  const { readSource } = await import("./bootstrapsource.ts");
  const { json, refuse } = readSource(text, file);
  const taken = take(json, override);
  if (taken.kind === "refused") throw refuse(taken.problems);
  return taken.bootstrap;
}

/** The value of a JSON text in which no object names a key twice; undefined for every other text. */
function plainJson(text: string): JsonValue | undefined {
  let keys = 0;
  try {
    const json: JsonValue = JSON.parse(text, (_key, value: unknown) => {
      if (isObject(value)) keys += Object.keys(value).length;
      return value;
    });
    // In JSON a string before a colon is a key, and a key that comes again leaves no trace in the value.
    const written = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(
      ([, colon]) => colon !== undefined,
    );
    return written.length === keys ? json : undefined;
  } catch {
    return undefined;
  }
}

function take(json: JsonValue, override: NodeOverride): Taken {
  let bootstrap: Bootstrap;
  try {
    bootstrap = fromJson(BootstrapSchema, json, { registry });
  } catch {
    return { kind: "refused", problems: [locate(BootstrapSchema, json, "")] };
  }
  applyOverride(bootstrap, override);
  const problems = [...unsupportedFieldsOf(bootstrap), ...contradictions(bootstrap)];
  return problems.length > 0 ? { kind: "refused", problems } : { kind: "good", bootstrap };
}

function applyOverride(bootstrap: Bootstrap, { serviceNode, serviceCluster }: NodeOverride): void {
  if (serviceNode === undefined && serviceCluster === undefined) return;
  bootstrap.node ??= create(NodeSchema);
  if (serviceNode !== undefined) bootstrap.node.id = serviceNode;
  if (serviceCluster !== undefined) bootstrap.node.cluster = serviceCluster;
}

/** Where the bootstrap says that the control plane is; undefined: there is none. */
export function controlPlaneOf(bootstrap: Bootstrap): ControlPlane | undefined {
  const source = bootstrap.dynamicResources?.adsConfig;
  if (source === undefined) return undefined;
  const clusters = clusterNames(source);
  const addresses = source.grpcServices.flatMap(({ targetSpecifier: target }) => {
    if (target.case === "googleGrpc")
      return [target.value.targetUri.replace(/^(dns|ipv4|ipv6):(\/\/\/?)?/, "")];
    const cluster = bootstrap.staticResources?.clusters.find((one) => one.name === target.value?.clusterName);
    return cluster === undefined ? [] : addressesOf(cluster);
  });
  return { addresses, clusters, reportsLoad: bootstrap.clusterManager?.loadStatsConfig !== undefined };
}

function clusterNames(source: ApiConfigSource | undefined): readonly string[] {
  return (source?.grpcServices ?? []).flatMap(({ targetSpecifier: target }) =>
    target.case === "envoyGrpc" ? [target.value.clusterName] : [],
  );
}

function addressesOf(cluster: Cluster): readonly string[] {
  // They are tried in this order.
  const localities = (cluster.loadAssignment?.endpoints ?? []).toSorted((a, b) => a.priority - b.priority);
  return localities
    .flatMap(({ lbEndpoints }) => lbEndpoints)
    .flatMap(({ hostIdentifier: host }) => {
      const address = host.case === "endpoint" ? host.value.address?.address : undefined;
      if (address?.case !== "socketAddress" || address.value.portSpecifier.case !== "portValue") return [];
      const name = address.value.address;
      return [`${name.includes(":") ? `[${name}]` : name}:${address.value.portSpecifier.value}`];
    });
}

/** Unsupported fields, except what a control plane's cluster must say for Envoy: that it speaks HTTP/2. */
function unsupportedFieldsOf(bootstrap: Bootstrap): readonly Problem[] {
  const names = new Set(clusterNames(bootstrap.dynamicResources?.adsConfig));
  const allowed = (bootstrap.staticResources?.clusters ?? []).flatMap((cluster, index) => {
    if (!names.has(cluster.name)) return [];
    const at = `static_resources.clusters[${index}].`;
    const fields = [
      "typed_extension_protocol_options",
      "http2_protocol_options",
      "upstream_connection_options",
    ];
    return fields.map((field) => at + field);
  });
  // The field itself, or something inside.
  const isAllowed = (path: string): boolean =>
    allowed.some((field) => path === field || path.startsWith(`${field}[`) || path.startsWith(`${field}.`));
  return unsupportedIn(BootstrapSchema, bootstrap).filter(({ path }) => !isAllowed(path));
}

function contradictions(bootstrap: Bootstrap): readonly Problem[] {
  const problems: Problem[] = [];
  const dynamic = bootstrap.dynamicResources;
  const source = dynamic?.adsConfig;
  if (dynamic !== undefined) {
    if (!bootstrap.node?.id)
      problems.push({ path: "node", why: "must have an id: the control plane knows a proxy by it" });
    if (!bootstrap.node?.cluster)
      problems.push({ path: "node", why: "must have a cluster: the group of its proxies" });
    if (source === undefined) problems.push({ path: "dynamic_resources", why: "must have ads_config" });
    else if (source.grpcServices.length === 0)
      problems.push({ path: "dynamic_resources.ads_config", why: "must have grpc_services" });
  }
  const known = new Map(bootstrap.staticResources?.clusters.map((cluster) => [cluster.name, cluster]));
  clusterNames(source).forEach((name, index) => {
    const path = `dynamic_resources.ads_config.grpc_services[${index}].envoy_grpc.cluster_name`;
    const cluster = known.get(name);
    if (cluster === undefined)
      problems.push({ path, why: `names ${name}, which is not among static_resources.clusters` });
    else if (addressesOf(cluster).length === 0)
      problems.push({ path, why: `names ${name}, which has no endpoints` });
  });
  const ours = clusterNames(source);
  for (const name of clusterNames(bootstrap.clusterManager?.loadStatsConfig)) {
    const path = "cluster_manager.load_stats_config";
    if (!ours.includes(name))
      problems.push({ path, why: `names ${name}: load goes to the server of ads_config only` });
  }
  const { listeners = [], clusters = [] } = bootstrap.staticResources ?? {};
  for (const [kind, resources] of Object.entries({ listeners, clusters })) {
    const names = resources.map(({ name }) => name);
    names.forEach((name, index) => {
      if (names.indexOf(name) < index)
        problems.push({
          path: `static_resources.${kind}[${index}].name`,
          why: `repeats the name ${JSON.stringify(name)}`,
        });
    });
  }
  for (const { path, cluster } of unknownClusters(bootstrap))
    problems.push({ path, why: `names ${cluster}, which is not among static_resources.clusters` });
  if ((bootstrap.staticResources?.listeners ?? []).length === 0 && dynamic?.ldsConfig === undefined)
    problems.push({
      path: "",
      why: "has no listeners: neither static_resources.listeners nor dynamic_resources.lds_config",
    });
  return problems;
}
