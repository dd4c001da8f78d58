// The bootstrap of weir's proxy: one route, two versions 90/10.
export function weirBootstrap(port: number, adminPort: number, origin: number): unknown {
  const socket = (portValue: number) => ({
    socket_address: { address: "127.0.0.1", port_value: portValue },
  });
  const cluster = (name: string, portValue: number) => ({
    name,
    type: "STATIC",
    connect_timeout: "5s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(portValue) } }] }],
    },
  });
  const clusters = [
    { name: "v1", weight: 90 },
    { name: "v2", weight: 10 },
  ];
  const manager = {
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "bench",
    route_config: {
      name: "bench",
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [{ name: "bench", match: { prefix: "/" }, route: { weighted_clusters: { clusters } } }],
        },
      ],
    },
    http_filters: [
      {
        name: "router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
  };
  return {
    node: { id: "bench", cluster: "bench" },
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: [
        {
          name: "main",
          address: socket(port),
          filter_chains: [{ filters: [{ name: "hcm", typed_config: manager }] }],
        },
      ],
      clusters: [cluster("v1", origin), cluster("v2", origin + 1)],
    },
  };
}
