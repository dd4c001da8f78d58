// Snapshots as translate/ makes them, and a bare ADS client whose every word a test decides.
import { Client, type ClientDuplexStream, credentials, type StatusObject } from "@grpc/grpc-js";
import type {
  DiscoveryRequest,
  DiscoveryResponse,
} from "../../src/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { DiscoveryRequestSchema } from "../../src/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { NodeView, XdsServer } from "../../src/xds/server.ts";
import { DISCOVERY } from "../../src/xds/services.ts";
import {
  ApiVersion,
  type Cluster,
  Cluster_DiscoveryType,
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  create,
  durationOf,
  FileAccessLogSchema,
  HttpConnectionManagerSchema,
  type Listener,
  ListenerSchema,
  type MessageInitShape,
  pack,
  type ResourceKind,
  type RouteConfiguration,
  RouteConfigurationSchema,
  RouterSchema,
  TYPE_URLS,
  typeNameOf,
  unpackKnown,
  type XdsSnapshot,
} from "../../src/xds/types.ts";

/** How long `nodeSeen` waits: a stock Envoy takes some seconds to start. */
const SEEN_MS = 30_000;
const OVER_ADS = {
  configSourceSpecifier: { case: "ads", value: {} },
  resourceApiVersion: ApiVersion.V3,
} as const;

/** A listener on 127.0.0.1 whose routes come over ADS under its own name; with an access log, if a path is given. */
export function aListener(name: string, port: number, logPath?: string): Listener {
  const log = {
    name: "file",
    configType: { case: "typedConfig", value: pack(FileAccessLogSchema, { path: logPath ?? "" }) },
  } as const;
  const manager = pack(HttpConnectionManagerSchema, {
    statPrefix: name,
    accessLog: logPath === undefined ? [] : [log],
    routeSpecifier: { case: "rds", value: { routeConfigName: name, configSource: OVER_ADS } },
    httpFilters: [
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: pack(RouterSchema, {}) },
      },
    ],
  });
  return create(ListenerSchema, {
    name,
    address: {
      address: {
        case: "socketAddress",
        value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } },
      },
    },
    filterChains: [
      {
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            configType: { case: "typedConfig", value: manager },
          },
        ],
      },
    ],
  });
}

/** All hosts and paths to these clusters, by weight. */
export function aRoute(name: string, weights: Readonly<Record<string, number>>): RouteConfiguration {
  const clusters = Object.entries(weights).map(([cluster, weight]) => ({ name: cluster, weight }));
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  const value = { clusters, totalWeight };
  return create(RouteConfigurationSchema, {
    name,
    ignorePortInHostMatching: true,
    virtualHosts: [
      {
        name: "*",
        domains: ["*"],
        routes: [
          {
            match: { pathSpecifier: { case: "prefix", value: "/" } },
            action: {
              case: "route",
              value: { clusterSpecifier: { case: "weightedClusters", value }, timeout: durationOf(0) },
            },
          },
        ],
      },
    ],
  });
}

export function aCluster(name: string): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: OVER_ADS },
    connectTimeout: durationOf(1000),
    lrsServer: { configSourceSpecifier: { case: "self", value: {} }, resourceApiVersion: ApiVersion.V3 },
  });
}

export function anAssignment(name: string, ports: readonly number[]): ClusterLoadAssignment {
  const lbEndpoints = ports.map((portValue) => ({
    hostIdentifier: {
      case: "endpoint" as const,
      value: {
        address: {
          address: {
            case: "socketAddress" as const,
            value: {
              address: "127.0.0.1",
              portSpecifier: { case: "portValue" as const, value: portValue },
            },
          },
        },
      },
    },
  }));
  return create(ClusterLoadAssignmentSchema, {
    clusterName: name,
    endpoints: ports.length === 0 ? [] : [{ locality: {}, loadBalancingWeight: 1, lbEndpoints }],
  });
}

/** One listener whose routes split traffic by `weights`; each cluster has the endpoints of `ports`. */
export function aSnapshot(
  weights: Readonly<Record<string, number>>,
  options: {
    readonly listener?: string;
    readonly port?: number;
    readonly ports?: Readonly<Record<string, readonly number[]>>;
  } = {},
): XdsSnapshot {
  const name = options.listener ?? "default/web:8000";
  const names = Object.keys(weights);
  return {
    listeners: [aListener(name, options.port ?? 8000)],
    routes: [aRoute(name, weights)],
    clusters: names.map(aCluster),
    endpoints: names.map((cluster) => anAssignment(cluster, options.ports?.[cluster] ?? [9000])),
  };
}

/** A response as a test sees it. */
export interface Heard {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly nonce: string;
  readonly names: readonly string[];
  readonly response: DiscoveryResponse;
}

type RequestInit = Exclude<MessageInitShape<typeof DiscoveryRequestSchema>, DiscoveryRequest>;

/** A client that says only what it is told to. */
export interface BareClient {
  /** Resolves with the next response not yet taken; rejects when none comes within 5 s or the stream ends. */
  next(): Promise<Heard>;
  /** Responses not yet taken. */
  readonly waiting: readonly Heard[];
  ask(kind: ResourceKind, names?: readonly string[], version?: string): void;
  ack(heard: Heard, names?: readonly string[]): void;
  nack(
    heard: Heard,
    message: string,
    options?: { readonly names?: readonly string[]; readonly lastGood?: string },
  ): void;
  /** Any request. */
  send(request: RequestInit): void;
  /** How the stream ended. */
  readonly ended: Promise<StatusObject>;
  close(): void;
}

/** Opens an ADS stream as node `id` of `group`. */
export function bareClient(address: string, id: string, group: string): BareClient {
  const client = new Client(address, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = DISCOVERY.StreamAggregatedResources;
  const call: ClientDuplexStream<DiscoveryRequest, DiscoveryResponse> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
  );
  const waiting: Heard[] = [];
  let wake: (() => void) | undefined;
  let status: StatusObject | undefined;
  const ended = new Promise<StatusObject>((resolve) => {
    call.on("status", (final: StatusObject) => {
      status = final;
      resolve(final);
      wake?.();
    });
  });
  // The same news as the status, told twice by the library.
  call.on("error", () => undefined);
  call.on("data", (response: DiscoveryResponse) => {
    waiting.push(heardOf(response));
    wake?.();
  });
  let isFirst = true;
  const send: BareClient["send"] = (request) => {
    const node = isFirst ? { node: { id, cluster: group } } : {};
    isFirst = false;
    call.write(create(DiscoveryRequestSchema, { ...node, ...request }));
  };
  return {
    waiting,
    ended,
    send,
    async next() {
      const deadline = Date.now() + 5_000;
      while (waiting.length === 0) {
        if (status !== undefined) throw new Error(`the stream ended: ${status.details}`);
        if (Date.now() > deadline) throw new Error("no response within 5 s");
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 100);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      const [heard] = waiting.splice(0, 1);
      if (heard === undefined) throw new Error("no response");
      return heard;
    },
    ask: (kind, names = [], version = "") =>
      send({ typeUrl: TYPE_URLS[kind], resourceNames: [...names], versionInfo: version }),
    ack: (heard, names = []) =>
      send({
        typeUrl: TYPE_URLS[heard.kind],
        versionInfo: heard.version,
        responseNonce: heard.nonce,
        resourceNames: [...names],
      }),
    nack: (heard, message, { names = [], lastGood = "" } = {}) =>
      send({
        typeUrl: TYPE_URLS[heard.kind],
        versionInfo: lastGood,
        responseNonce: heard.nonce,
        resourceNames: [...names],
        errorDetail: { code: 3, message },
      }),
    close() {
      call.cancel();
      client.close();
    },
  };
}

function heardOf(response: DiscoveryResponse): Heard {
  const kind = (["listeners", "routes", "clusters", "endpoints"] as const).find(
    (one) => TYPE_URLS[one] === response.typeUrl,
  );
  if (kind === undefined) throw new Error(`unexpected type ${response.typeUrl}`);
  const names = response.resources.map((any) => {
    const message = unpackKnown(any)?.message;
    if (message === undefined) throw new Error(`unknown ${typeNameOf(any)}`);
    const named = message as { readonly name?: string; readonly clusterName?: string };
    return named.name ?? named.clusterName ?? "";
  });
  return { kind, version: response.versionInfo, nonce: response.nonce, names, response };
}

/** Resolves with the node as the server sees it, as soon as `holds` is true of it. */
export function nodeSeen(
  server: XdsServer,
  { group, id }: { readonly group: string; readonly id: string },
  holds: (node: NodeView) => boolean,
): Promise<NodeView> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const node = server.nodes(group).find((one) => one.id === id);
      if (node === undefined || !holds(node)) return;
      stop();
      clearTimeout(timer);
      resolve(node);
    };
    const stop = server.onChange(look);
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`not seen: ${JSON.stringify(server.nodes(group))}`));
    }, SEEN_MS);
    look();
  });
}

/** Options of `adsBootstrap`. */
export interface AdsBootstrap {
  readonly id: string;
  readonly group: string;
  /** Of the control plane. */
  readonly endpoints: readonly { readonly address: string; readonly port: number }[];
  /** Further lines after `node`'s id and cluster: of node where they are indented. */
  readonly more?: string;
}

/** A bootstrap in YAML that takes everything from the control plane `weir`, and reports load to it. */
export function adsBootstrap({ id, group, endpoints, more = "" }: AdsBootstrap): string {
  const source = `
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{ envoy_grpc: { cluster_name: weir } }]`;
  const addresses = endpoints.map(
    ({ address, port }) => `
              - endpoint: { address: { socket_address: { address: "${address}", port_value: ${port} } } }`,
  );
  return `
node:
  id: ${id}
  cluster: ${group}
${more}dynamic_resources:
  ads_config:${source}
  lds_config: { ads: {}, resource_api_version: V3 }
  cds_config: { ads: {}, resource_api_version: V3 }
cluster_manager:
  load_stats_config:${source}
static_resources:
  clusters:
    - name: weir
      type: STATIC
      connect_timeout: 0.25s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
      load_assignment:
        cluster_name: weir
        endpoints:
          - lb_endpoints:${addresses.join("")}
`;
}
