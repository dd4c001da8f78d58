// The bootstrap file of a proxy that the embedded cluster starts for a Gateway: who it is, where it listens for its operator, and which
// control plane it follows. Envoy takes the same file.

export interface BootstrapOptions {
  /** `<namespace>/<pod>`. */
  readonly nodeId: string;
  /** Node group: `gateway/<namespace>/<name>`. */
  readonly group: string;
  readonly adminPort: number;
  /** The control plane, as `host:port`. */
  readonly xdsAddress: string;
}

const CLUSTER = "weir-control-plane";
const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** An Envoy v3 bootstrap as JSON. */
export function gatewayBootstrap({ nodeId, group, adminPort, xdsAddress }: BootstrapOptions): unknown {
  const separator = xdsAddress.lastIndexOf(":");
  const server = socket(xdsAddress.slice(0, separator), Number(xdsAddress.slice(separator + 1)));
  const grpc = {
    api_type: "GRPC",
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: CLUSTER } }],
  };
  const ads = { ads: {}, resource_api_version: "V3" };
  return {
    node: { id: nodeId, cluster: group },
    admin: { address: socket("127.0.0.1", adminPort) },
    dynamic_resources: { ads_config: grpc, lds_config: ads, cds_config: ads },
    cluster_manager: { load_stats_config: grpc },
    static_resources: {
      clusters: [
        {
          name: CLUSTER,
          type: "STATIC",
          connect_timeout: "1s",
          typed_extension_protocol_options: {
            [HTTP_OPTIONS]: {
              "@type": `type.googleapis.com/${HTTP_OPTIONS}`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: CLUSTER,
            endpoints: [{ lb_endpoints: [{ endpoint: { address: server } }] }],
          },
        },
      ],
    },
  };
}

function socket(address: string, port: number): unknown {
  return { socket_address: { address, port_value: port } };
}
