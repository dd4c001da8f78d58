// What every file of this room does with messages: type URLs, the registry of what may stand in an Any, packing, durations.
import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Any, Duration } from "@bufbuild/protobuf/wkt";
import { AnySchema, DurationSchema } from "@bufbuild/protobuf/wkt";
import { file_envoy_config_bootstrap_v3_bootstrap } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import type { Cluster } from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import {
  ClusterSchema,
  file_envoy_config_cluster_v3_cluster,
} from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import { file_envoy_config_core_v3_core } from "./gen/envoy/config/core/v3/core_pb.ts";
import type { ClusterLoadAssignment } from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import {
  ClusterLoadAssignmentSchema,
  file_envoy_config_endpoint_v3_endpoint,
} from "./gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { Listener } from "./gen/envoy/config/listener/v3/listener_pb.ts";
import {
  file_envoy_config_listener_v3_listener,
  ListenerSchema,
} from "./gen/envoy/config/listener/v3/listener_pb.ts";
import type { RouteConfiguration } from "./gen/envoy/config/route/v3/route_pb.ts";
import {
  file_envoy_config_route_v3_route,
  RouteConfigurationSchema,
} from "./gen/envoy/config/route/v3/route_pb.ts";
import { file_envoy_extensions_access_loggers_file_v3_file } from "./gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
import { file_envoy_extensions_access_loggers_stream_v3_stream } from "./gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts";
import { file_envoy_extensions_filters_http_router_v3_router } from "./gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { file_envoy_extensions_filters_network_connection_limit_v3_connection_limit } from "./gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.ts";
import { file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { file_envoy_extensions_http_early_header_mutation_header_mutation_v3_header_mutation } from "./gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.ts";
import { file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts } from "./gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts";
import { file_envoy_extensions_upstreams_http_v3_http_protocol_options } from "./gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";

/** The four kinds of resources, by the names their services have. */
export type ResourceKind = "listeners" | "routes" | "clusters" | "endpoints";

/** Type URLs of the resources, as they stand in every request, response and Any. */
export const TYPE_URLS: Readonly<Record<ResourceKind, string>> = {
  listeners: "type.googleapis.com/envoy.config.listener.v3.Listener",
  routes: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  clusters: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoints: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
};

/** All kinds, in the order in which a server sends them: make before break. */
export const RESOURCE_KINDS: readonly ResourceKind[] = ["clusters", "endpoints", "listeners", "routes"];

/** The message type of each kind of resource. */
export interface ResourceMessages {
  readonly listeners: Listener;
  readonly routes: RouteConfiguration;
  readonly clusters: Cluster;
  readonly endpoints: ClusterLoadAssignment;
}

/** Everything that the nodes of one group should have. */
export interface XdsSnapshot {
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

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
  file_envoy_extensions_access_loggers_file_v3_file,
  file_envoy_extensions_access_loggers_stream_v3_stream,
  file_envoy_extensions_filters_http_router_v3_router,
  file_envoy_extensions_filters_network_connection_limit_v3_connection_limit,
  file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
  file_envoy_extensions_http_early_header_mutation_header_mutation_v3_header_mutation,
  file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts,
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
