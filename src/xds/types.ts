// The door to xDS messages: the generated types and schemas that other rooms build and read, the type URLs, packing into Any, and
// what of them weir's proxy does not carry out. Messages are plain objects: build them with `create(ClusterSchema, {...})`;
// fields that the schema does not know survive in `$unknown`.
export type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
export { create, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
export type { Any, Duration } from "@bufbuild/protobuf/wkt";
export type { Bootstrap } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
export { BootstrapSchema } from "./gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
export type {
  CircuitBreakers,
  Cluster,
  Cluster_SlowStartConfig as SlowStartConfig,
  OutlierDetection,
} from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
export {
  CircuitBreakersSchema,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
  ClusterSchema,
  OutlierDetectionSchema,
} from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
export type {
  Address,
  ConfigSource,
  HeaderValueOption,
  HealthCheck,
  HealthCheck_Payload,
  Node,
  RuntimeFractionalPercent,
  SocketAddress,
  SubstitutionFormatString,
} from "./gen/envoy/config/core/v3/core_pb.ts";
export {
  AddressSchema,
  ApiVersion,
  ConfigSourceSchema,
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
  HealthStatus,
  HttpProtocolOptions_HeadersWithUnderscoresAction,
  NodeSchema,
  RequestMethod,
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
  CookieMatcher,
  DirectResponseAction,
  HeaderMatcher,
  QueryParameterMatcher,
  RedirectAction,
  RetryPolicy,
  Route,
  RouteAction,
  RouteAction_HashPolicy,
  RouteAction_RequestMirrorPolicy as RequestMirrorPolicy,
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
export type { FileAccessLog } from "./gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
export { FileAccessLogSchema } from "./gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
export {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from "./gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts";
export type { Router } from "./gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
export { RouterSchema } from "./gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
export type { ConnectionLimit } from "./gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.ts";
export { ConnectionLimitSchema } from "./gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.ts";
export type { HttpConnectionManager } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
export {
  HttpConnectionManager_CodecType,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManagerSchema,
} from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
export { HeaderMutationSchema } from "./gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.ts";
export { PreviousHostsPredicateSchema } from "./gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts";
export type { HttpProtocolOptions } from "./gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
export { HttpProtocolOptionsSchema } from "./gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
export type { RegexMatcher, StringMatcher } from "./gen/envoy/type/matcher/v3/matcher_pb.ts";
export { RegexMatcherSchema, StringMatcherSchema } from "./gen/envoy/type/matcher/v3/matcher_pb.ts";
export type { FractionalPercent } from "./gen/envoy/type/v3/type_pb.ts";
export { FractionalPercent_DenominatorType, FractionalPercentSchema } from "./gen/envoy/type/v3/type_pb.ts";

export type { LogCommand, LogJson, LogToken } from "./logcommands.ts";
export { LOG_COMMANDS, logFormatProblems, logTokens } from "./logcommands.ts";
export type { ResourceKind, ResourceMessages, XdsSnapshot } from "./messages.ts";
export {
  durationMs,
  durationOf,
  pack,
  RESOURCE_KINDS,
  RESOURCE_SCHEMAS,
  registry,
  TYPE_URLS,
  typeNameOf,
  unpack,
  unpackKnown,
} from "./messages.ts";
export { decodeResource, decodeSnapshot, encodeResource, encodeSnapshot } from "./snapshotbytes.ts";
export type { UnsupportedField } from "./support.ts";
export { unsupportedFields } from "./support.ts";
export { unknownFieldPaths } from "./unknown.ts";
