// What weir's proxy does with every field of the resources it is sent, as data. A field that would change traffic and is not carried
// out makes it reject the resource (NACK) with the field's path; a field that changes no traffic may be there and is left alone.
// The proxy's validation asks `unsupportedFields`, the bootstrap reader `unsupportedIn`.
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { isMessage } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { ResourceKind } from "./messages.ts";
import { RESOURCE_SCHEMAS } from "./messages.ts";
import { type Descent, visit } from "./unknown.ts";

/** `supported`: carried out (and looked into); `harmless`: changes no traffic; `refused`: would change traffic and is not carried out. */
export type Support = "supported" | "harmless" | "refused";

interface MessageSupport {
  /** Field names, separated by spaces. */
  readonly supported: string;
  readonly harmless?: string;
  readonly refused?: string;
  /** Supported fields of which only these values are (enum numbers, scalars, values of wrappers; for strings of commas, every word). */
  readonly only?: Readonly<Record<string, readonly (number | string | boolean)[]>>;
}

export interface UnsupportedField {
  /** Path in the resource, in the wire's own field names: `virtual_hosts[0].routes[2].route.hash_policy`. */
  readonly path: string;
  readonly why: string;
}

const ACCESS_LOG = "envoy.extensions.access_loggers.";
const BOOTSTRAP = "envoy.config.bootstrap.v3.";
const CLUSTER = "envoy.config.cluster.v3.";
const CORE = "envoy.config.core.v3.";
const ENDPOINT = "envoy.config.endpoint.v3.";
const LISTENER = "envoy.config.listener.v3.";
const MATCHER = "envoy.type.matcher.v3.";
const ROUTE = "envoy.config.route.v3.";
const HCM = "envoy.extensions.filters.network.http_connection_manager.v3.";

/** By message; a message that is not listed has no field that is supported. */
export const SUPPORT: Readonly<Record<string, MessageSupport>> = {
  [`${LISTENER}Listener`]: {
    supported: "name address filter_chains metadata",
    harmless:
      "drain_type traffic_direction access_log tcp_backlog_size stat_prefix enable_reuse_port reuse_port ignore_global_conn_limit per_connection_buffer_limit_bytes",
    refused:
      "use_original_dst listener_filters listener_filters_timeout continue_on_listener_filters_timeout transparent freebind api_listener default_filter_chain bind_to_port",
  },
  [`${LISTENER}FilterChain`]: {
    supported: "filters",
    harmless: "name metadata transport_socket_connect_timeout",
    refused: "filter_chain_match transport_socket",
  },
  "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit": {
    supported: "max_connections",
    harmless: "stat_prefix",
    // Connections above the limit are closed at once.
    refused: "delay",
  },
  [`${LISTENER}Filter`]: { supported: "typed_config", harmless: "name" },
  [`${HCM}HttpConnectionManager`]: {
    supported:
      "rds route_config http_filters codec_type stream_idle_timeout request_headers_timeout max_request_headers_kb common_http_protocol_options use_remote_address normalize_path merge_slashes path_with_escaped_slashes_action strip_matching_host_port strip_any_host_port strip_trailing_host_dot xff_num_trusted_hops skip_xff_append generate_request_id preserve_external_request_id always_set_request_id_in_response early_header_mutation_extensions access_log tracing server_header_transformation",
    harmless:
      "stat_prefix drain_timeout delayed_close_timeout stream_error_on_invalid_http_message http2_protocol_options",
    refused: "add_user_agent http_protocol_options request_timeout server_name via upgrade_configs",
    only: {
      codec_type: [0, 1],
      // `Server` is never written to: PASS_THROUGH.
      server_header_transformation: [0, 2],
      path_with_escaped_slashes_action: [0, 1, 2, 4],
    },
  },
  [`${HCM}HttpConnectionManager.Tracing`]: {
    supported: "random_sampling",
    harmless: "client_sampling verbose max_path_tag_length spawn_upstream_span",
    refused: "overall_sampling",
  },
  [`${HCM}Rds`]: { supported: "config_source route_config_name" },
  [`${HCM}HttpFilter`]: { supported: "typed_config", harmless: "name is_optional", refused: "disabled" },
  "envoy.extensions.filters.http.router.v3.Router": {
    supported: "",
    harmless:
      "dynamic_stats upstream_log suppress_envoy_headers strict_check_headers respect_expected_rq_timeout",
  },
  // Of a listener: weir's own part of it; other parts are others' business.
  [`${CORE}Metadata`]: { supported: "filter_metadata", harmless: "typed_filter_metadata" },
  [`${CORE}ConfigSource`]: {
    supported: "ads self resource_api_version",
    harmless: "initial_fetch_timeout",
    refused: "path path_config_source api_config_source",
    only: { resource_api_version: [0, 2] },
  },
  [`${CORE}AggregatedConfigSource`]: { supported: "" },
  [`${CORE}SelfConfigSource`]: {
    supported: "transport_api_version",
    only: { transport_api_version: [0, 2] },
  },
  [`${CORE}Address`]: { supported: "socket_address", refused: "pipe" },
  [`${CORE}SocketAddress`]: {
    supported: "protocol address port_value",
    harmless: "ipv4_compat",
    refused: "named_port resolver_name",
    only: { protocol: [0] },
  },
  [`${CORE}HttpProtocolOptions`]: {
    supported:
      "idle_timeout headers_with_underscores_action max_headers_count max_connection_duration max_stream_duration max_requests_per_connection",
    only: { headers_with_underscores_action: [0, 1, 2] },
  },
  // A typed_config must be the header mutation of Envoy; any other is refused by its type.
  [`${CORE}TypedExtensionConfig`]: { supported: "typed_config", harmless: "name" },
  "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation": { supported: "mutations" },
  "envoy.config.common.mutation_rules.v3.HeaderMutation": { supported: "remove", refused: "append" },
  "envoy.config.accesslog.v3.AccessLog": { supported: "typed_config", harmless: "name", refused: "filter" },
  [`${ACCESS_LOG}file.v3.FileAccessLog`]: {
    supported: "path format json_format typed_json_format log_format",
  },
  [`${ACCESS_LOG}stream.v3.StdoutAccessLog`]: { supported: "log_format" },
  [`${ACCESS_LOG}stream.v3.StderrAccessLog`]: { supported: "log_format" },
  [`${CORE}SubstitutionFormatString`]: {
    supported: "text_format json_format text_format_source omit_empty_values json_format_options",
    harmless: "content_type",
    refused: "formatters",
    only: { omit_empty_values: [false] },
  },
  [`${CORE}JsonFormatOptions`]: { supported: "sort_properties" },
  [`${CORE}DataSource`]: {
    supported: "inline_string",
    refused: "filename inline_bytes environment_variable",
  },
  [`${ROUTE}RouteConfiguration`]: {
    supported:
      "name virtual_hosts ignore_port_in_host_matching ignore_path_parameters_in_path_matching validate_clusters request_mirror_policies request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove max_direct_response_body_size_bytes most_specific_header_mutations_wins",
    harmless: "metadata",
    refused: "internal_only_headers typed_per_filter_config",
  },
  [`${ROUTE}VirtualHost`]: {
    supported:
      "name domains routes request_mirror_policies retry_policy hedge_policy request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove",
    harmless: "metadata",
    // The bound on what is kept for a second try is the cluster's.
    refused:
      "require_tls include_request_attempt_count typed_per_filter_config include_attempt_count_in_response per_request_buffer_limit_bytes",
  },
  [`${ROUTE}Route`]: {
    supported:
      "name match route redirect direct_response request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove",
    harmless: "metadata decorator stat_prefix",
    refused: "non_forwarding_action typed_per_filter_config per_request_buffer_limit_bytes",
  },
  [`${CORE}HeaderValueOption`]: { supported: "header append append_action keep_empty_value" },
  [`${CORE}HeaderValue`]: { supported: "key value raw_value" },
  [`${ROUTE}RedirectAction`]: {
    supported:
      "host_redirect response_code https_redirect scheme_redirect path_redirect prefix_rewrite strip_query port_redirect",
    refused: "regex_rewrite",
  },
  [`${ROUTE}DirectResponseAction`]: { supported: "status body" },
  [`${ROUTE}RouteMatch`]: {
    supported:
      "prefix path path_separated_prefix safe_regex case_sensitive headers query_parameters cookies runtime_fraction",
    refused: "connect_matcher grpc tls_context",
  },
  [`${ROUTE}HeaderMatcher`]: {
    supported:
      "name exact_match range_match present_match prefix_match suffix_match contains_match safe_regex_match string_match invert_match treat_missing_header_as_empty",
  },
  [`${ROUTE}QueryParameterMatcher`]: { supported: "name string_match present_match" },
  [`${ROUTE}CookieMatcher`]: { supported: "name string_match invert_match" },
  [`${MATCHER}StringMatcher`]: {
    supported: "exact prefix suffix contains safe_regex ignore_case",
  },
  [`${MATCHER}RegexMatcher`]: { supported: "regex", harmless: "google_re2" },
  "envoy.type.v3.Int64Range": { supported: "start end" },
  [`${ROUTE}RouteAction`]: {
    supported:
      "cluster weighted_clusters hash_policy timeout idle_timeout retry_policy hedge_policy cluster_not_found_response_code request_mirror_policies prefix_rewrite host_rewrite_literal append_x_forwarded_host max_stream_duration",
    refused:
      "upgrade_configs cluster_header metadata_match auto_host_rewrite host_rewrite_header host_rewrite_path_regex priority regex_rewrite",
    only: { cluster_not_found_response_code: [0] },
  },
  [`${ROUTE}HedgePolicy`]: {
    supported: "hedge_on_per_try_timeout initial_requests",
    refused: "additional_request_chance",
    only: { initial_requests: [1] },
  },
  [`${ROUTE}RouteAction.MaxStreamDuration`]: {
    supported: "max_stream_duration",
    refused: "grpc_timeout_header_max grpc_timeout_header_offset",
  },
  [`${ROUTE}RouteAction.RequestMirrorPolicy`]: {
    supported: "cluster runtime_fraction disable_shadow_host_suffix_append",
    harmless: "trace_sampled",
    refused: "cluster_header",
  },
  [`${CORE}RuntimeFractionalPercent`]: { supported: "default_value", harmless: "runtime_key" },
  "envoy.type.v3.FractionalPercent": { supported: "numerator denominator" },
  [`${ROUTE}WeightedCluster`]: {
    supported: "clusters total_weight use_hash_policy",
    harmless: "runtime_key_prefix",
    refused: "header_name",
  },
  [`${ROUTE}RouteAction.HashPolicy`]: {
    supported: "header cookie connection_properties terminal",
    refused: "query_parameter filter_state",
  },
  [`${ROUTE}RouteAction.HashPolicy.Header`]: { supported: "header_name", refused: "regex_rewrite" },
  [`${ROUTE}RouteAction.HashPolicy.Cookie`]: { supported: "name ttl path attributes" },
  [`${ROUTE}RouteAction.HashPolicy.CookieAttribute`]: { supported: "name value" },
  [`${ROUTE}RouteAction.HashPolicy.ConnectionProperties`]: { supported: "source_ip" },
  [`${ROUTE}WeightedCluster.ClusterWeight`]: {
    supported:
      "name weight request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove host_rewrite_literal",
    refused: "metadata_match typed_per_filter_config cluster_header",
  },
  [`${ROUTE}RetryPolicy`]: {
    supported:
      "retry_on num_retries per_try_timeout retry_host_predicate retriable_status_codes retry_back_off retriable_headers retriable_request_headers",
    // Of the endpoints that were not tried yet, one is found at once.
    harmless: "host_selection_retry_max_attempts",
    refused: "rate_limited_retry_back_off per_try_idle_timeout",
    only: {
      // refused-stream cannot happen in HTTP/1.
      retry_on: [
        "",
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "refused-stream",
        "retriable-4xx",
        "retriable-status-codes",
        "retriable-headers",
      ],
    },
  },
  [`${ROUTE}RetryPolicy.RetryHostPredicate`]: { supported: "typed_config", harmless: "name" },
  [`${ROUTE}RetryPolicy.RetryBackOff`]: { supported: "base_interval max_interval" },
  "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate": { supported: "" },
  // ignore_health_on_host_removal is harmless for it says what is done anyway: docs/reference/bootstrap.md, where weir differs.
  [`${CLUSTER}Cluster`]: {
    supported:
      "name type eds_cluster_config connect_timeout lb_policy load_assignment lrs_server per_connection_buffer_limit_bytes circuit_breakers common_lb_config dns_refresh_rate dns_lookup_family ring_hash_lb_config least_request_lb_config round_robin_lb_config outlier_detection health_checks typed_extension_protocol_options",
    harmless:
      "metadata alt_stat_name wait_for_warm_on_init cleanup_interval respect_dns_ttl close_connections_on_host_health_failure ignore_health_on_host_removal",
    refused:
      "max_requests_per_connection http_protocol_options http2_protocol_options maglev_lb_config transport_socket common_http_protocol_options upstream_connection_options",
    only: { type: [0, 1, 3], lb_policy: [0, 1, 2], dns_lookup_family: [0, 1, 2, 3, 4] },
  },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    supported: "common_http_protocol_options explicit_http_config",
    refused: "upstream_http_protocol_options use_downstream_protocol_config auto_config",
  },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig": {
    supported: "http_protocol_options",
    refused: "http2_protocol_options",
  },
  // Of clusters: these settings are about what clients may send, and trailers of answers are always sent on.
  [`${CORE}Http1ProtocolOptions`]: {
    supported: "",
    harmless: "allow_absolute_url accept_http_10 default_host_for_http_10 enable_trailers",
    refused: "allow_chunked_length",
  },
  [`${CLUSTER}OutlierDetection`]: {
    supported:
      "consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx enforcing_success_rate success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor consecutive_gateway_failure enforcing_consecutive_gateway_failure split_external_local_origin_errors consecutive_local_origin_failure enforcing_consecutive_local_origin_failure enforcing_local_origin_success_rate failure_percentage_threshold enforcing_failure_percentage enforcing_failure_percentage_local_origin failure_percentage_minimum_hosts failure_percentage_request_volume max_ejection_time max_ejection_time_jitter successful_active_health_check_uneject_host always_eject_one_host",
  },
  [`${CLUSTER}CircuitBreakers`]: { supported: "thresholds", refused: "per_host_thresholds" },
  [`${CLUSTER}CircuitBreakers.Thresholds`]: {
    supported: "priority max_connections max_pending_requests max_requests max_retries retry_budget",
    harmless: "track_remaining max_connection_pools",
  },
  [`${CLUSTER}CircuitBreakers.Thresholds.RetryBudget`]: { supported: "budget_percent min_retry_concurrency" },
  [`${CLUSTER}Cluster.CommonLbConfig`]: {
    supported: "healthy_panic_threshold",
    // There is one locality, and its endpoints are told of at once.
    harmless: "zone_aware_lb_config update_merge_window close_connections_on_host_set_change",
    refused: "locality_weighted_lb_config ignore_new_hosts_until_first_hc",
  },
  [`${CLUSTER}Cluster.RoundRobinLbConfig`]: { supported: "slow_start_config" },
  [`${CLUSTER}Cluster.LeastRequestLbConfig`]: {
    supported: "choice_count slow_start_config",
    refused: "active_request_bias",
  },
  [`${CLUSTER}Cluster.RingHashLbConfig`]: {
    supported: "minimum_ring_size hash_function maximum_ring_size",
    only: { hash_function: [0] },
  },
  [`${CLUSTER}Cluster.SlowStartConfig`]: { supported: "slow_start_window aggression min_weight_percent" },
  [`${CORE}RuntimeDouble`]: { supported: "default_value", harmless: "runtime_key" },
  "envoy.type.v3.Percent": { supported: "value" },
  [`${CLUSTER}Cluster.EdsClusterConfig`]: { supported: "eds_config service_name" },
  [`${ENDPOINT}ClusterLoadAssignment`]: {
    supported: "cluster_name endpoints policy",
    refused: "named_endpoints",
  },
  [`${ENDPOINT}ClusterLoadAssignment.Policy`]: {
    supported: "overprovisioning_factor",
    refused: "drop_overloads endpoint_stale_after weighted_priority_health",
  },
  [`${ENDPOINT}LocalityLbEndpoints`]: {
    supported: "lb_endpoints priority",
    harmless: "locality load_balancing_weight proximity metadata",
  },
  [`${ENDPOINT}LbEndpoint`]: {
    supported: "endpoint health_status load_balancing_weight",
    harmless: "metadata",
    refused: "endpoint_name",
  },
  [`${ENDPOINT}Endpoint`]: {
    supported: "address health_check_config additional_addresses",
    harmless: "hostname",
  },
  [`${ENDPOINT}Endpoint.AdditionalAddress`]: { supported: "address" },
  [`${ENDPOINT}Endpoint.HealthCheckConfig`]: {
    supported: "port_value hostname disable_active_health_check",
    refused: "address",
  },
  [`${CORE}HealthCheck`]: {
    supported:
      "timeout interval interval_jitter unhealthy_threshold healthy_threshold alt_port http_health_check tcp_health_check no_traffic_interval unhealthy_interval unhealthy_edge_interval healthy_edge_interval interval_jitter_percent initial_jitter no_traffic_healthy_interval",
    // Every check makes a connection.
    harmless: "reuse_connection",
    refused: "grpc_health_check",
  },
  [`${CORE}HealthCheck.HttpHealthCheck`]: {
    supported: "host path expected_statuses retriable_statuses method codec_client_type",
    refused: "request_headers_to_add request_headers_to_remove service_name_matcher",
    only: { codec_client_type: [0], method: [0, 1, 2] },
  },
  [`${CORE}HealthCheck.TcpHealthCheck`]: { supported: "send receive" },
  [`${CORE}HealthCheck.Payload`]: { supported: "text binary" },
  // The bootstrap.
  [`${BOOTSTRAP}Bootstrap`]: {
    supported: "node static_resources dynamic_resources cluster_manager admin",
  },
  [`${BOOTSTRAP}Admin`]: { supported: "address" },
  [`${BOOTSTRAP}ClusterManager`]: { supported: "load_stats_config", harmless: "local_cluster_name" },
  [`${BOOTSTRAP}Bootstrap.StaticResources`]: { supported: "listeners clusters" },
  [`${BOOTSTRAP}Bootstrap.DynamicResources`]: { supported: "lds_config cds_config ads_config" },
  [`${CORE}Node`]: {
    supported: "id cluster metadata locality",
    harmless:
      "user_agent_name user_agent_version user_agent_build_version extensions client_features listening_addresses",
  },
  [`${CORE}Locality`]: { supported: "region zone sub_zone" },
  [`${CORE}ApiConfigSource`]: {
    supported: "api_type grpc_services transport_api_version",
    harmless: "set_node_on_first_message_only refresh_delay request_timeout",
    refused: "cluster_names",
    only: { api_type: [2], transport_api_version: [0, 2] },
  },
  [`${CORE}GrpcService`]: {
    supported: "envoy_grpc google_grpc",
    harmless: "timeout",
    refused: "initial_metadata",
  },
  [`${CORE}GrpcService.EnvoyGrpc`]: { supported: "cluster_name", harmless: "authority" },
  [`${CORE}GrpcService.GoogleGrpc`]: { supported: "target_uri", harmless: "stat_prefix" },
};

/** What of one resource the proxy does not carry out: refused and unknown fields, refused values, extensions it does not know. Empty: all is well. */
export function unsupportedFields(kind: ResourceKind, resource: Message): readonly UnsupportedField[] {
  return unsupportedIn(RESOURCE_SCHEMAS[kind], resource);
}

/** The same of any message of the table. */
export function unsupportedIn(schema: DescMessage, message: Message): readonly UnsupportedField[] {
  const found: UnsupportedField[] = [];
  visit(schema, message, {
    field: (path, field, message) => judge(path, field, message, found),
    unknown: (path) => found.push({ path, why: "is a field that this proxy does not know" }),
    opaque: (path, typeName, why) =>
      found.push({
        path,
        why:
          why === undefined ? `holds ${typeName}, which this proxy does not know` : `does not decode: ${why}`,
      }),
  });
  return found;
}

/** The verdict of the table for one field. */
export function supportOf(field: DescField): Support {
  const row = SUPPORT[field.parent.typeName];
  const isListed = (names: string | undefined): boolean => names?.split(" ").includes(field.name) ?? false;
  if (isListed(row?.supported)) return "supported";
  return isListed(row?.harmless) ? "harmless" : "refused";
}

function judge(path: string, field: DescField, message: ReflectMessage, found: UnsupportedField[]): Descent {
  const verdict = supportOf(field);
  if (verdict === "harmless") return "over";
  if (verdict === "refused") {
    found.push({ path, why: "is not supported by this proxy" });
    return "over";
  }
  const only = SUPPORT[field.parent.typeName]?.only?.[field.name];
  const value = plainValue(message.get(field));
  if (only !== undefined && !valueWords(value).every((word) => only.some((allowed) => allowed === word)))
    found.push({ path, why: `has a value that this proxy does not support: ${shown(field, value)}` });
  if (isNegative(message.get(field))) found.push({ path, why: "is below 0" });
  // Well-known types have nothing in them to judge, but for Any.
  const inner = field.message?.typeName;
  return inner?.startsWith("google.protobuf.") && inner !== "google.protobuf.Any" ? "over" : "into";
}

function isNegative(value: unknown): boolean {
  const inner = typeof value === "object" && value !== null && "message" in value ? value.message : undefined;
  return isMessage(inner, DurationSchema) && (inner.seconds < 0n || inner.nanos < 0);
}

/** The value inside a wrapper message; other values as they are. */
function plainValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("message" in value)) return value;
  const { message } = value;
  return typeof message === "object" && message !== null && "value" in message ? message.value : message;
}

function valueWords(value: unknown): readonly unknown[] {
  return typeof value === "string" ? value.split(",").map((word) => word.trim()) : [value];
}

function shown(field: DescField, value: unknown): string {
  const name = field.enum?.values.find((candidate) => candidate.number === value)?.name;
  return name ?? String(value);
}
