// Routes that stand in a bootstrap itself: the clusters that they name must stand there too, unless the route configuration says
// `validate_clusters: false`. Envoy refuses such a file as well. Pure.
import type { Bootstrap } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import type { RouteAction, RouteConfiguration } from "./gen/envoy/config/route/v3/route_pb.ts";
import { HttpConnectionManagerSchema } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { unpack } from "./messages.ts";

export interface UnknownCluster {
  /** Of the field that names it. */
  readonly path: string;
  readonly cluster: string;
}

/** The clusters that static routes name and the bootstrap does not define. */
export function unknownClusters({ staticResources }: Bootstrap): readonly UnknownCluster[] {
  const known = new Set(staticResources?.clusters.map(({ name }) => name));
  const found = (staticResources?.listeners ?? []).flatMap((listener, l) =>
    listener.filterChains.flatMap((chain, c) =>
      chain.filters.flatMap((filter, f) => {
        const any = filter.configType.case === "typedConfig" ? filter.configType.value : undefined;
        const routes = any && unpack(HttpConnectionManagerSchema, any)?.routeSpecifier;
        const at = `static_resources.listeners[${l}].filter_chains[${c}].filters[${f}].typed_config.route_config`;
        return routes?.case === "routeConfig" ? namedClusters(routes.value, at) : [];
      }),
    ),
  );
  return found.filter(({ cluster }) => !known.has(cluster));
}

function namedClusters(config: RouteConfiguration, at: string): readonly UnknownCluster[] {
  if (config.validateClusters === false) return [];
  return config.virtualHosts.flatMap((host, h) =>
    host.routes.flatMap(({ action }, r) =>
      action.case === "route" ? clustersOf(action.value, `${at}.virtual_hosts[${h}].routes[${r}].route`) : [],
    ),
  );
}

function clustersOf({ clusterSpecifier: named }: RouteAction, at: string): readonly UnknownCluster[] {
  if (named.case === "cluster") return [{ path: `${at}.cluster`, cluster: named.value }];
  if (named.case !== "weightedClusters") return [];
  return named.value.clusters.map(({ name }, i) => ({
    path: `${at}.weighted_clusters.clusters[${i}].name`,
    cluster: name,
  }));
}
