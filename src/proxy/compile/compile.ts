// Configuration in xDS messages → what the data plane runs on. Pure. A resource is taken whole or rejected with the path and reason of
// everything that is wrong with it: nothing that would change traffic is ignored.
import type {
  Cluster,
  ClusterLoadAssignment,
  Listener,
  Message,
  ResourceKind,
  RouteConfiguration,
} from "../../xds/types.ts";
import {
  Cluster_DiscoveryType,
  ConnectionLimitSchema,
  durationMs,
  HttpConnectionManagerSchema,
  unpack,
  unsupportedFields,
} from "../../xds/types.ts";
import type { ClusterOptions, EndpointSet } from "../forward/clusteroptions.ts";
import type { ListenerOptions } from "../http1/listener.ts";
import type { NamedEndpoints } from "../names.ts";
import type { HostTable } from "../route/table.ts";
import { compileClientRules } from "./compileclient.ts";
import { compileOptions } from "./compilecluster.ts";
import { addressOf, endpointsOf } from "./compileendpoints.ts";
import { compileLimits } from "./compilelimits.ts";
import { compileAccessLog } from "./compilelog.ts";
import { compileHalfClose } from "./compilemetadata.ts";
import { compileNames } from "./compilenames.ts";
import { compileHosts } from "./compileroutes.ts";
import { compileSpelling } from "./compilespelling.ts";
import type { CellOf } from "./compilesplit.ts";
import { Problems } from "./problems.ts";

/** Where a listener's routes come from. */
export type RouteSource =
  | { readonly kind: "named"; readonly name: string }
  | { readonly kind: "inline"; readonly config: RouteConfiguration };

export interface CompiledListener {
  readonly options: ListenerOptions;
  readonly routes: RouteSource;
}

export interface CompiledCluster {
  readonly name: string;
  readonly options: ClusterOptions;
  readonly endpoints:
    | { readonly kind: "static"; readonly found: EndpointSet }
    | { readonly kind: "named"; readonly named: NamedEndpoints }
    | { readonly kind: "eds"; readonly name: string };
}

/** Reads a Listener. Throws CONFIG_REJECTED. */
export function compileListener(listener: Listener): CompiledListener {
  const problems = check("listeners", listener);
  const socket = listener.address?.address;
  const address =
    socket?.case === "socketAddress" ? addressOf(socket.value, "address.socket_address", problems) : null;
  if (address === null) problems.add("address", "names no socket address");
  const filters = listener.filterChains[0]?.filters ?? [];
  const pathOf = (index: number): string => `filter_chains[0].filters[${index}].typed_config`;
  const connectionLimit =
    filters.length > 1 ? unpack(ConnectionLimitSchema, filters[0]?.configType.value) : undefined;
  const last = connectionLimit === undefined ? 0 : 1;
  if (listener.filterChains.length !== 1 || filters.length !== last + 1)
    problems.add(
      "filter_chains",
      "must be one chain of one filter, the HTTP connection manager, with at most a connection limit before it",
    );
  const at = pathOf(last);
  const config = filters[last]?.configType;
  const hcm = config?.case === "typedConfig" ? unpack(HttpConnectionManagerSchema, config.value) : undefined;
  if (hcm === undefined) throw problems.and(at, "is not an HTTP connection manager").error();
  let routes: RouteSource = { kind: "named", name: "" };
  if (hcm.routeSpecifier.case === "rds")
    routes = { kind: "named", name: hcm.routeSpecifier.value.routeConfigName };
  else if (hcm.routeSpecifier.case === "routeConfig")
    routes = { kind: "inline", config: hcm.routeSpecifier.value };
  if (routes.kind === "named" && routes.name === "") problems.add(`${at}.route_specifier`, "names no routes");
  const headTimeoutMs = durationMs(hcm.requestHeadersTimeout);
  const idleTimeoutMs = durationMs(hcm.commonHttpProtocolOptions?.idleTimeout);
  const streamIdleMs = durationMs(hcm.streamIdleTimeout);
  const accessLog = compileAccessLog(hcm, at, problems);
  const clientRules = compileClientRules(hcm, at, problems);
  const spelling = compileSpelling(hcm, at, problems);
  const clientLimits = compileLimits(hcm, at, connectionLimit, pathOf(0), problems);
  const isHalfCloseAllowed = compileHalfClose(listener, problems);
  problems.throwIfAny();
  return {
    options: {
      name: listener.name,
      address: address?.address ?? "",
      port: address?.port ?? 0,
      clientRules,
      spelling,
      clientLimits,
      isHalfCloseAllowed,
      ...(accessLog === undefined ? {} : { accessLog }),
      // In Envoy 0 turns a timeout off, and so it does here.
      ...(headTimeoutMs === undefined ? {} : { headTimeoutMs }),
      ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
      ...(streamIdleMs === undefined ? {} : { streamIdleMs }),
    },
    routes,
  };
}

/** Reads a RouteConfiguration; `cellOf` gives the statistics position of (route, cluster). Throws CONFIG_REJECTED. */
export function compileRoutes(config: RouteConfiguration, version: string, cellOf: CellOf): HostTable {
  const problems = check("routes", config);
  problems.throwIfAny();
  const table = compileHosts(config, version, cellOf, problems);
  problems.throwIfAny();
  return table;
}

/** Reads a Cluster. Throws CONFIG_REJECTED. */
export function compileCluster(cluster: Cluster): CompiledCluster {
  const problems = check("clusters", cluster);
  if (cluster.name === "") problems.add("name", "is empty");
  const type =
    cluster.clusterDiscoveryType.case === "type"
      ? cluster.clusterDiscoveryType.value
      : Cluster_DiscoveryType.STATIC;
  const isNamed = type === Cluster_DiscoveryType.STRICT_DNS;
  const found = endpointsOf(cluster.loadAssignment, "load_assignment.", problems, isNamed);
  const options = compileOptions(cluster, problems);
  let endpoints: CompiledCluster["endpoints"] = { kind: "static", found };
  if (type === Cluster_DiscoveryType.EDS)
    endpoints = { kind: "eds", name: cluster.edsClusterConfig?.serviceName || cluster.name };
  else if (isNamed)
    endpoints = { kind: "named", named: { hosts: found, ...compileNames(cluster, problems) } };
  problems.throwIfAny();
  return { name: cluster.name, options, endpoints };
}

/** Reads the endpoints of a cluster. Throws CONFIG_REJECTED. */
export function compileEndpoints(assignment: ClusterLoadAssignment): EndpointSet {
  const problems = check("endpoints", assignment);
  const found = endpointsOf(assignment, "", problems);
  problems.throwIfAny();
  return found;
}

function check(kind: ResourceKind, resource: Message & { readonly name?: string }): Problems {
  const problems = new Problems(kind, resource);
  for (const { path, why } of unsupportedFields(kind, resource)) problems.add(path, why);
  return problems;
}
