// Configuration in xDS messages → what the data plane runs on. Pure. A resource is taken whole or rejected with the path and reason of
// everything that is wrong with it: nothing that would change traffic is ignored.
import { isIpAddress } from "../../lib/ip.ts";
import type {
  Address,
  Cluster,
  ClusterLoadAssignment,
  Listener,
  Message,
  ResourceKind,
  RouteConfiguration,
  SocketAddress,
} from "../../xds/types.ts";
import {
  Cluster_DiscoveryType,
  ConnectionLimitSchema,
  durationMs,
  HealthStatus,
  HttpConnectionManagerSchema,
  unpack,
  unsupportedFields,
} from "../../xds/types.ts";
import type { ClusterOptions, EndpointAddress } from "../forward/clusteroptions.ts";
import type { ListenerOptions } from "../http1/listener.ts";
import type { HostTable } from "../route/table.ts";
import { compileClientRules } from "./compileclient.ts";
import { compileOptions } from "./compilecluster.ts";
import { compileLimits } from "./compilelimits.ts";
import { compileAccessLog } from "./compilelog.ts";
import { compileHalfClose } from "./compilemetadata.ts";
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
    | { readonly kind: "static"; readonly addresses: readonly EndpointAddress[] }
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
  const isEds = type === Cluster_DiscoveryType.EDS;
  const addresses =
    cluster.loadAssignment === undefined
      ? []
      : addressesOf(cluster.loadAssignment, "load_assignment.", problems);
  const options = compileOptions(cluster, problems);
  problems.throwIfAny();
  return {
    name: cluster.name,
    options,
    endpoints: isEds
      ? { kind: "eds", name: cluster.edsClusterConfig?.serviceName || cluster.name }
      : { kind: "static", addresses },
  };
}

/** Reads the endpoints of a cluster. Throws CONFIG_REJECTED. */
export function compileEndpoints(assignment: ClusterLoadAssignment): readonly EndpointAddress[] {
  const problems = check("endpoints", assignment);
  const addresses = addressesOf(assignment, "", problems);
  problems.throwIfAny();
  return addresses;
}

function check(kind: ResourceKind, resource: Message & { readonly name?: string }): Problems {
  const problems = new Problems(kind, resource);
  for (const { path, why } of unsupportedFields(kind, resource)) problems.add(path, why);
  return problems;
}

function addressesOf(assignment: ClusterLoadAssignment, at: string, problems: Problems): EndpointAddress[] {
  const found: EndpointAddress[] = [];
  assignment.endpoints.forEach((locality, l) => {
    locality.lbEndpoints.forEach((lbEndpoint, e) => {
      const path = `${at}endpoints[${l}].lb_endpoints[${e}]`;
      const host = lbEndpoint.hostIdentifier;
      const address = host.case === "endpoint" ? host.value.address?.address : undefined;
      if (address?.case !== "socketAddress") {
        problems.add(`${path}.endpoint`, "has no socket address");
        return;
      }
      const socket = addressOf(address.value, `${path}.endpoint.address.socket_address`, problems);
      if (socket === null) return;
      const { healthStatus } = lbEndpoint;
      const isHealthy =
        healthStatus === HealthStatus.UNKNOWN ||
        healthStatus === HealthStatus.HEALTHY ||
        healthStatus === HealthStatus.DEGRADED;
      const weight = lbEndpoint.loadBalancingWeight ?? 1;
      if (weight < 1) problems.add(`${path}.load_balancing_weight`, "must be 1 or more");
      const others = host.case === "endpoint" ? host.value.additionalAddresses : [];
      const otherAddresses = others.flatMap(({ address: other }, o) =>
        otherAddress(other, socket, `${path}.endpoint.additional_addresses[${o}]`, problems),
      );
      if (others.length > MAX_OTHER_ADDRESSES)
        problems.add(`${path}.endpoint.additional_addresses`, `are more than ${MAX_OTHER_ADDRESSES}`);
      const check = host.case === "endpoint" ? host.value.healthCheckConfig : undefined;
      found.push({
        ...socket,
        isHealthy,
        weight,
        ...(otherAddresses.length > 0 && { otherAddresses }),
        ...(check !== undefined && {
          ...(check.portValue > 0 && { checkPort: check.portValue }),
          checkHost: check.hostname,
          isCheckDisabled: check.disableActiveHealthCheck,
        }),
      });
    });
  });
  return found;
}

/** Another address of an endpoint; it must have the same port. */
function otherAddress(
  message: Address | undefined,
  { port }: Socket,
  path: string,
  problems: Problems,
): readonly string[] {
  const found = message?.address;
  if (found?.case !== "socketAddress") {
    problems.add(path, "is no socket address");
    return [];
  }
  const socket = addressOf(found.value, `${path}.address.socket_address`, problems);
  if (socket !== null && socket.port !== port)
    problems.add(
      `${path}.address.socket_address.port_value`,
      `is ${socket.port}, but the endpoint's is ${port}`,
    );
  return socket === null ? [] : [socket.address];
}

interface Socket {
  readonly address: string;
  readonly port: number;
}

/** Each costs a new client up to 250 ms when those before it are silent. */
const MAX_OTHER_ADDRESSES = 7;

function addressOf(socket: SocketAddress, path: string, problems: Problems): Socket | null {
  const port = socket.portSpecifier.case === "portValue" ? socket.portSpecifier.value : -1;
  // A host that is none would be looked up, at the first connection and by whatever resolver there is.
  if (!isIpAddress(socket.address))
    problems.add(`${path}.address`, `is no IP address: ${JSON.stringify(socket.address)}`);
  else if (port < 0 || port > 65_535) problems.add(`${path}.port_value`, "is no port");
  else return { address: socket.address, port };
  return null;
}
