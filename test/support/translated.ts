// From manifests to a proxy without a control plane in between: a translation becomes the static part of a bootstrap.
import { type TranslateInput, translateGateway } from "../../src/translate/translate.ts";
import {
  type Bootstrap,
  BootstrapSchema,
  Cluster_DiscoveryType,
  type ClusterLoadAssignment,
  create,
  HttpConnectionManagerSchema,
  type Listener,
  pack,
  type RouteConfiguration,
  unpack,
} from "../../src/xds/types.ts";

/** The bootstrap of a proxy that does what the manifests say; throws when the translation reports a problem. Listeners take any free port. */
export function bootstrapFor(input: TranslateInput): Bootstrap {
  const { snapshot, problems } = translateGateway(input);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const assignments = new Map(snapshot.endpoints.map((endpoints) => [endpoints.clusterName, endpoints]));
  return create(BootstrapSchema, {
    staticResources: {
      listeners: snapshot.listeners.map((listener) => inline(listener, snapshot.routes)),
      clusters: snapshot.clusters.map((cluster) => {
        const { edsClusterConfig: _, lrsServer: __, ...kept } = cluster;
        const loadAssignment = assignments.get(cluster.edsClusterConfig?.serviceName || cluster.name);
        return {
          ...kept,
          clusterDiscoveryType: { case: "type" as const, value: Cluster_DiscoveryType.STATIC },
          ...(loadAssignment === undefined ? {} : { loadAssignment: renamed(loadAssignment, cluster.name) }),
        };
      }),
    },
  });
}

function renamed(assignment: ClusterLoadAssignment, clusterName: string): ClusterLoadAssignment {
  return { ...assignment, clusterName };
}

function inline(listener: Listener, routes: readonly RouteConfiguration[]): Listener {
  const filter = listener.filterChains[0]?.filters[0];
  const manager = unpack(HttpConnectionManagerSchema, filter?.configType.value);
  if (manager?.routeSpecifier.case !== "rds" || filter === undefined)
    throw new Error("the listener has no routes of its own name");
  const { routeConfigName } = manager.routeSpecifier.value;
  const value = routes.find(({ name }) => name === routeConfigName);
  if (value === undefined) throw new Error(`no routes ${routeConfigName}`);
  manager.routeSpecifier = { case: "routeConfig", value };
  filter.configType = { case: "typedConfig", value: pack(HttpConnectionManagerSchema, manager) };
  const address = listener.address?.address;
  if (address?.case === "socketAddress") address.value.portSpecifier = { case: "portValue", value: 0 };
  return listener;
}
