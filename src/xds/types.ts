// The door to xDS messages: the generated types and schemas that other rooms build and read, the type URLs, and packing into Any.
// Messages are plain objects: build them with `create(ClusterSchema, {...})`. Unknown fields survive in `$unknown`.
import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Any, Duration } from "@bufbuild/protobuf/wkt";
import { AnySchema, DurationSchema } from "@bufbuild/protobuf/wkt";
import { file_envoy_config_bootstrap_v3_bootstrap } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import {
  ClusterSchema,
  file_envoy_config_cluster_v3_cluster,
} from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import { file_envoy_config_core_v3_core } from "./gen/envoy/config/core/v3/core_pb.ts";
import {
  ClusterLoadAssignmentSchema,
  file_envoy_config_endpoint_v3_endpoint,
} from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import {
  file_envoy_config_listener_v3_listener,
  ListenerSchema,
} from "./gen/envoy/config/listener/v3/listener_pb.ts";
import {
  file_envoy_config_route_v3_route,
  RouteConfigurationSchema,
} from "./gen/envoy/config/route/v3/route_pb.ts";
import { file_envoy_extensions_filters_http_router_v3_router } from "./gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { file_envoy_extensions_upstreams_http_v3_http_protocol_options } from "./gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";

export type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
export { create, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
export type { Any, Duration } from "@bufbuild/protobuf/wkt";
export type { Bootstrap } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
export { BootstrapSchema } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
export type { CircuitBreakers, Cluster, OutlierDetection } from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
export {
  CircuitBreakersSchema,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
  OutlierDetectionSchema,
} from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
export type {
  Address,
  ConfigSource,
  HeaderValueOption,
  HealthCheck,
  Node,
  RuntimeFractionalPercent,
  SocketAddress,
} from "./gen/envoy/config/core/v3/core_pb.ts";
export {
  AddressSchema,
  ApiVersion,
  ConfigSourceSchema,
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
  HealthStatus,
  NodeSchema,
  SocketAddress_Protocol,
} from "./gen/envoy/config/core/v3/core_pb.ts";
export type {
  ClusterLoadAssignment,
  ClusterStats,
  LbEndpoint,
  LocalityLbEndpoints,
} from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
export {
  ClusterLoadAssignmentSchema,
  ClusterStatsSchema,
  LbEndpointSchema,
} from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
export type { FilterChain, Listener } from "./gen/envoy/config/listener/v3/listener_pb.ts";
export { ListenerSchema } from "./gen/envoy/config/listener/v3/listener_pb.ts";
export type {
  HeaderMatcher,
  QueryParameterMatcher,
  RedirectAction,
  RetryPolicy,
  Route,
  RouteAction,
  RouteConfiguration,
  RouteMatch,
  VirtualHost,
  WeightedCluster,
  WeightedCluster_ClusterWeight,
} from "./gen/envoy/config/route/v3/route_pb.ts";
export {
  HeaderMatcherSchema,
  RedirectAction_RedirectResponseCode,
  RetryPolicySchema,
  RouteActionSchema,
  RouteConfigurationSchema,
  RouteMatchSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from "./gen/envoy/config/route/v3/route_pb.ts";
export type { Router } from "./gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
export { RouterSchema } from "./gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
export type { HttpConnectionManager } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
export {
  HttpConnectionManager_CodecType,
  HttpConnectionManagerSchema,
} from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
export type { HttpProtocolOptions } from "./gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
export { HttpProtocolOptionsSchema } from "./gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
export type { StringMatcher } from "./gen/envoy/type/matcher/v3/matcher_pb.ts";
export { RegexMatcherSchema, StringMatcherSchema } from "./gen/envoy/type/matcher/v3/matcher_pb.ts";
export type { FractionalPercent } from "./gen/envoy/type/v3/type_pb.ts";
export { FractionalPercent_DenominatorType, FractionalPercentSchema } from "./gen/envoy/type/v3/type_pb.ts";

/** The four kinds of resources, by the names their services have. */
export type ResourceKind = "listeners" | "routes" | "clusters" | "endpoints";

/** Type URLs of the resources, as they stand in every request, response and Any. */
export const TYPE_URLS: Readonly<Record<ResourceKind, string>> = {
  listeners: "type.googleapis.com/envoy.config.listener.v3.Listener",
  routes: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  clusters: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoints: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
};

/** The schema of each kind of resource. */
export const RESOURCE_SCHEMAS = {
  listeners: ListenerSchema,
  routes: RouteConfigurationSchema,
  clusters: ClusterSchema,
  endpoints: ClusterLoadAssignmentSchema,
} as const;

/** Every message that may stand inside an Any: for proto-JSON and for looking into extensions. */
export const registry = createRegistry(
  file_envoy_config_bootstrap_v3_bootstrap,
  file_envoy_config_cluster_v3_cluster,
  file_envoy_config_core_v3_core,
  file_envoy_config_endpoint_v3_endpoint,
  file_envoy_config_listener_v3_listener,
  file_envoy_config_route_v3_route,
  file_envoy_extensions_filters_http_router_v3_router,
  file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
  file_envoy_extensions_upstreams_http_v3_http_protocol_options,
);

/** Wraps a message (or what `create` takes) into an Any. */
export function pack<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return create(AnySchema, {
    typeUrl: `type.googleapis.com/${schema.typeName}`,
    value: toBinary(schema, create(schema, init)),
  });
}

/** Reads a message out of an Any; undefined when the Any is absent or holds another type. Throws when its bytes are damaged. */
export function unpack<Desc extends DescMessage>(
  schema: Desc,
  any: Any | undefined,
): MessageShape<Desc> | undefined {
  return any !== undefined && typeNameOf(any) === schema.typeName ? fromBinary(schema, any.value) : undefined;
}

/** Reads whatever message an Any holds; undefined when its type is not in the registry. Throws when its bytes are damaged. */
export function unpackKnown(
  any: Any,
): { readonly schema: DescMessage; readonly message: Message } | undefined {
  const schema = registry.getMessage(typeNameOf(any));
  return schema === undefined ? undefined : { schema, message: fromBinary(schema, any.value) };
}

/** The full message name in an Any's type URL. */
export function typeNameOf(any: Any): string {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
}

/** Milliseconds of a Duration, exact to the microsecond within 285 years; undefined stays undefined. */
export function durationMs(duration: Duration): number;
export function durationMs(duration: Duration | undefined): number | undefined;
export function durationMs(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** A Duration of so many milliseconds. */
export function durationOf(milliseconds: number): Duration {
  const seconds = Math.trunc(milliseconds / 1000);
  const nanos = Math.round((milliseconds - seconds * 1000) * 1e6);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos });
}
