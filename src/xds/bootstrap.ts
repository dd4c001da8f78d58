// Reads an Envoy v3 bootstrap (YAML or JSON, snake_case or camelCase) within the subset that weir's proxy carries out; see
// docs/reference/bootstrap.md. A field that is unknown, not supported or of a wrong form is an error that names file, line, column and
// field: a bootstrap is never half obeyed. Pure.
import type { DescMessage, JsonValue } from "@bufbuild/protobuf";
import { create, fromJson } from "@bufbuild/protobuf";
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node as YamlNode } from "yaml";
import { messageOf, WeirError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import { type Bootstrap, BootstrapSchema } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { type Cluster, Cluster_DiscoveryType } from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import { type ApiConfigSource, NodeSchema } from "./gen/envoy/config/core/v3/core_pb.ts";
import { registry } from "./messages.ts";
import { unknownClusters } from "./staticroutes.ts";
import { unsupportedIn } from "./support.ts";

/** Code of every bootstrap that is refused. */
export const BOOTSTRAP_INVALID = "WEIR_ERR_XDS_BOOTSTRAP";
/** Problems that one error names. */
const MAX_PROBLEMS = 10;
const MAX_ALIASES = 100;

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

interface Problem {
  readonly path: string;
  readonly why: string;
}

/** Reads and checks. `file` is named in errors. Throws BOOTSTRAP_INVALID. */
export function readBootstrap(text: string, file: string, override: NodeOverride = {}): Bootstrap {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const refuse = (problems: readonly Problem[], offsets: ReadonlyMap<string, number>): WeirError => {
    const named = problems.slice(0, MAX_PROBLEMS).map(({ path, why }) => {
      const { line, col } = lines.linePos(offsetOf(path, offsets));
      return `${file}:${line}:${col}: ${path === "" ? "the bootstrap" : path} ${why}`;
    });
    if (problems.length > MAX_PROBLEMS) named.push(`and ${problems.length - MAX_PROBLEMS} more`);
    return new WeirError({ code: BOOTSTRAP_INVALID, source: "user", message: named.join("\n") });
  };
  const [syntax] = document.errors;
  if (syntax !== undefined)
    throw refuse([{ path: "", why: `is not YAML: ${syntax.message}` }], new Map([["", syntax.pos[0]]]));
  const found: Found = { problems: [], offsets: new Map() };
  if (isMap(document.contents))
    indexMessage(document.contents, BootstrapSchema, "", found, (node) =>
      isAlias(node) ? node.resolve(document) : node,
    );
  else found.problems.push({ path: "", why: "is no mapping" });
  if (found.problems.length > 0) throw refuse(found.problems, found.offsets);
  // The YAML library types its result as any; proto-JSON takes what JSON can hold and refuses the rest.
  const json = document.toJS({ maxAliasCount: MAX_ALIASES }) as JsonValue;
  let bootstrap: Bootstrap;
  try {
    bootstrap = fromJson(BootstrapSchema, json, { registry });
  } catch {
    throw refuse([locate(BootstrapSchema, json, "")], found.offsets);
  }
  applyOverride(bootstrap, override);
  const problems = [...unsupportedFieldsOf(bootstrap), ...contradictions(bootstrap)];
  if (problems.length > 0) throw refuse(problems, found.offsets);
  return bootstrap;
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
  const endpoints = (cluster.loadAssignment?.endpoints ?? []).flatMap((locality) => locality.lbEndpoints);
  return endpoints.flatMap(({ hostIdentifier: host }) => {
    const address = host.case === "endpoint" ? host.value.address?.address : undefined;
    if (address?.case !== "socketAddress" || address.value.portSpecifier.case !== "portValue") return [];
    const name = address.value.address;
    return [`${name.includes(":") ? `[${name}]` : name}:${address.value.portSpecifier.value}`];
  });
}

/** Unsupported fields, except what a control plane's cluster must say for Envoy: that it speaks HTTP/2, and names to resolve. */
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
    const isNamed = cluster.clusterDiscoveryType.value === Cluster_DiscoveryType.STRICT_DNS;
    return [...fields, ...(isNamed ? ["type"] : [])].map((field) => at + field);
  });
  return unsupportedIn(BootstrapSchema, bootstrap).filter(({ path }) => !allowed.includes(path));
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
  for (const { path, cluster } of unknownClusters(bootstrap))
    problems.push({ path, why: `names ${cluster}, which is not among static_resources.clusters` });
  if ((bootstrap.staticResources?.listeners ?? []).length === 0 && dynamic?.ldsConfig === undefined)
    problems.push({
      path: "",
      why: "has no listeners: neither static_resources.listeners nor dynamic_resources.lds_config",
    });
  return problems;
}

interface Found {
  readonly problems: Problem[];
  /** Where each field's key stands, by path. */
  readonly offsets: Map<string, number>;
}

type Resolve = (node: unknown) => unknown;

/** Notes where the fields of a mapping stand, and names those that the schema does not know. */
function indexMessage(node: YamlNode, schema: DescMessage, at: string, found: Found, resolve: Resolve): void {
  if (!isMap(node)) return;
  const typeUrl = schema.typeName === "google.protobuf.Any" ? node.get("@type") : undefined;
  let known: DescMessage | undefined = schema;
  if (typeof typeUrl === "string") {
    known = registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
    if (known === undefined)
      found.problems.push({ path: at, why: `is a ${typeUrl}, which this proxy does not know` });
  }
  // These have a form of their own in JSON.
  if (known === undefined || known.typeName.startsWith("google.protobuf.")) return;
  for (const { key, value } of node.items) {
    if (!isScalar(key) || key.value === "@type") continue;
    const name = String(key.value);
    const field = known.fields.find((one) => one.name === name || one.jsonName === name);
    const path = at === "" ? (field?.name ?? name) : `${at}.${field?.name ?? name}`;
    found.offsets.set(path, key.range?.[0] ?? 0);
    if (field === undefined) {
      found.problems.push({ path, why: `is not a field of ${known.typeName} that this proxy knows` });
      continue;
    }
    const inner = resolve(value);
    const schemaOfValue = field.message;
    if (schemaOfValue === undefined) continue;
    if (field.fieldKind === "message") indexOne(inner, schemaOfValue, path, found, resolve);
    if (field.fieldKind === "list" && isSeq(inner))
      for (const [index, item] of inner.items.entries())
        indexOne(resolve(item), schemaOfValue, `${path}[${index}]`, found, resolve);
    if (field.fieldKind === "map" && isMap(inner))
      for (const pair of inner.items)
        indexOne(
          resolve(pair.value),
          schemaOfValue,
          `${path}[${JSON.stringify(String(pair.key))}]`,
          found,
          resolve,
        );
  }
}

function indexOne(node: unknown, schema: DescMessage, path: string, found: Found, resolve: Resolve): void {
  if (!isMap(node)) return;
  found.offsets.set(path, found.offsets.get(path) ?? node.range?.[0] ?? 0);
  indexMessage(node, schema, path, found, resolve);
}

/** The offset of a path, or of the nearest field around it. */
function offsetOf(path: string, offsets: ReadonlyMap<string, number>): number {
  for (let at = path; at !== ""; at = at.replace(/(\.[^.[\]"]+|\[[^[\]]*\]|^[^.[]+)$/, "")) {
    const offset = offsets.get(at);
    if (offset !== undefined) return offset;
  }
  return offsets.get("") ?? 0;
}

/** Finds the innermost value that does not have the form its field asks for. */
function locate(schema: DescMessage, json: JsonValue, at: string): Problem {
  if (isObject(json) && !schema.typeName.startsWith("google.protobuf.")) {
    for (const [key, value] of Object.entries(json)) {
      const field = schema.fields.find((one) => one.name === key || one.jsonName === key);
      if (field === undefined) continue;
      // A part of a JSON value is a JSON value.
      const part = { [key]: value } as JsonValue;
      if (problemOf(schema, part) === undefined) continue;
      const path = at === "" ? field.name : `${at}.${field.name}`;
      if (field.message === undefined) return { path, why: problemOf(schema, part) ?? "" };
      if (field.fieldKind === "message") return locateAny(field.message, value as JsonValue, path);
      if (field.fieldKind === "list" && Array.isArray(value)) {
        const items: readonly JsonValue[] = value;
        const message = field.message;
        const index = items.findIndex((item) => problemOf(message, item) !== undefined);
        if (index >= 0) return locateAny(message, items[index] ?? null, `${path}[${index}]`);
      }
      return { path, why: problemOf(schema, part) ?? "" };
    }
  }
  return { path: at, why: problemOf(schema, json) ?? "is not what proto-JSON allows here" };
}

/** As `locate`, and through an Any into what it holds. */
function locateAny(schema: DescMessage, json: JsonValue, at: string): Problem {
  if (schema.typeName !== "google.protobuf.Any" || !isObject(json)) return locate(schema, json, at);
  const { "@type": typeUrl, ...rest } = json;
  const inner =
    typeof typeUrl === "string"
      ? registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1))
      : undefined;
  // What is left of a JSON object is one.
  return inner === undefined ? locate(schema, json, at) : locate(inner, rest as JsonValue, at);
}

function problemOf(schema: DescMessage, json: JsonValue): string | undefined {
  try {
    fromJson(schema, json, { registry });
    return undefined;
  } catch (error) {
    return `has a wrong value: ${messageOf(error)}`;
  }
}
