// ClusterLoadAssignment → EndpointSet: addresses, health, weights, priorities. Pure; problems are collected, not thrown. Defaults are Envoy's.
import { isIpAddress } from "../../lib/ip.ts";
import type { Address, ClusterLoadAssignment, LbEndpoint, SocketAddress } from "../../xds/types.ts";
import { HealthStatus } from "../../xds/types.ts";
import {
  DEFAULT_OVERPROVISIONING_PERCENT,
  type EndpointAddress,
  type EndpointSet,
} from "../forward/clusteroptions.ts";
import { isHostName } from "./compilenames.ts";
import type { Problems } from "./problems.ts";

/** Each costs a new client up to 250 ms when those before it are silent. */
const MAX_OTHER_ADDRESSES = 7;
/** Envoy's own limit. */
const MAX_PRIORITY = 128;

export interface Socket {
  readonly address: string;
  readonly port: number;
}

/** Reads the endpoints of a cluster; `at` is where their message stands in its resource. Some clusters have host names for addresses. */
export function endpointsOf(
  assignment: ClusterLoadAssignment | undefined,
  at: string,
  problems: Problems,
  mayBeNames = false,
): EndpointSet {
  const localities = assignment?.endpoints ?? [];
  checkPriorities(localities, at, problems);
  const overprovisioningPercent =
    assignment?.policy?.overprovisioningFactor ?? DEFAULT_OVERPROVISIONING_PERCENT;
  if (overprovisioningPercent < 1) problems.add(`${at}policy.overprovisioning_factor`, "must be 1 or more");
  const addresses: EndpointAddress[] = [];
  const levels = new Map<string, number>();
  localities.forEach(({ lbEndpoints, priority }, l) => {
    lbEndpoints.forEach((lbEndpoint, e) => {
      const path = `${at}endpoints[${l}].lb_endpoints[${e}]`;
      const found = endpointOf(lbEndpoint, priority, path, problems, mayBeNames);
      if (found === null) return;
      // What is known of an endpoint is known by its address.
      const key = `${found.address} ${found.port}`;
      const known = levels.get(key) ?? priority;
      if (known !== priority) problems.add(`${path}.endpoint`, `has priority ${known} too`);
      levels.set(key, known);
      addresses.push(found);
    });
  });
  return { addresses, overprovisioningPercent };
}

/** Levels begin with 0 and leave none out. */
function checkPriorities(
  localities: readonly { readonly priority: number }[],
  at: string,
  problems: Problems,
): void {
  const named = new Set(localities.map(({ priority }) => priority));
  localities.forEach(({ priority }, l) => {
    const path = `${at}endpoints[${l}].priority`;
    if (priority > MAX_PRIORITY) problems.add(path, `must be ${MAX_PRIORITY} or less`);
    else if (priority > 0 && !named.has(priority - 1))
      problems.add(path, `is ${priority}, and nothing has priority ${priority - 1}`);
  });
}

function endpointOf(
  { hostIdentifier: host, healthStatus, loadBalancingWeight }: LbEndpoint,
  priority: number,
  path: string,
  problems: Problems,
  mayBeName: boolean,
): EndpointAddress | null {
  const address = host.case === "endpoint" ? host.value.address?.address : undefined;
  if (address?.case !== "socketAddress") {
    problems.add(`${path}.endpoint`, "has no socket address");
    return null;
  }
  const socket = addressOf(address.value, `${path}.endpoint.address.socket_address`, problems, mayBeName);
  if (socket === null) return null;
  const isHealthy =
    healthStatus === HealthStatus.UNKNOWN ||
    healthStatus === HealthStatus.HEALTHY ||
    healthStatus === HealthStatus.DEGRADED;
  const weight = loadBalancingWeight ?? 1;
  if (weight < 1) problems.add(`${path}.load_balancing_weight`, "must be 1 or more");
  const others = host.case === "endpoint" ? host.value.additionalAddresses : [];
  const otherAddresses = others.flatMap(({ address: other }, o) =>
    otherAddress(other, socket, `${path}.endpoint.additional_addresses[${o}]`, problems),
  );
  if (mayBeName && others.length > 0)
    problems.add(`${path}.endpoint.additional_addresses`, "are for endpoints that are no host names");
  if (others.length > MAX_OTHER_ADDRESSES)
    problems.add(`${path}.endpoint.additional_addresses`, `are more than ${MAX_OTHER_ADDRESSES}`);
  const check = host.case === "endpoint" ? host.value.healthCheckConfig : undefined;
  return {
    ...socket,
    isHealthy,
    ...(healthStatus === HealthStatus.DEGRADED && { isDegraded: true }),
    weight,
    ...(priority > 0 && { priority }),
    ...(otherAddresses.length > 0 && { otherAddresses }),
    ...(check !== undefined && {
      ...(check.portValue > 0 && { checkPort: check.portValue }),
      checkHost: check.hostname,
      isCheckDisabled: check.disableActiveHealthCheck,
    }),
  };
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

/** An IP address, or a host name where that `mayBe`, and a port; or null and a problem. */
export function addressOf(
  socket: SocketAddress,
  path: string,
  problems: Problems,
  mayBeName = false,
): Socket | null {
  const port = socket.portSpecifier.case === "portValue" ? socket.portSpecifier.value : -1;
  const isName = mayBeName && isHostName(socket.address);
  // A host that is none would be looked up, at the first connection and by whatever resolver there is.
  if (!isIpAddress(socket.address) && !isName)
    problems.add(
      `${path}.address`,
      `is no IP address${mayBeName ? " or host name" : ""}: ${JSON.stringify(socket.address)}`,
    );
  else if (port < 0 || port > 65_535) problems.add(`${path}.port_value`, "is no port");
  else return { address: socket.address, port };
  return null;
}
