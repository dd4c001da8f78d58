// weir and Envoy, from one and the same Envoy v3 bootstrap.

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type Fields = Readonly<Record<string, Json>>;

export interface BootstrapParts {
  readonly port: number;
  readonly adminPort: number;
  readonly virtualHosts: readonly Json[];
  readonly clusters: readonly Json[];
  /** Further fields of the connection manager. */
  readonly manager?: Fields;
}

/** Ports of the two versions' origins. */
export interface Versions {
  readonly v1: number;
  readonly v2: number;
}

/** Hosts of the full configuration, and the one that is asked for: the last. */
export const HOSTS = ["shop0.example", "shop1.example", "shop2.example", "shop3.example", "shop4.example"];
export const ASKED_HOST = "shop4.example";
/** Of ten routes of a host: a rule on a header, eight paths, the rest. */
export const PATHS = Array.from({ length: 8 }, (_, index) => `/service${index}`);
export const ASKED_PATH = "/service7";
const TYPES = "type.googleapis.com/envoy.extensions";

export function bootstrap(parts: BootstrapParts): Json {
  return {
    node: { id: "bench", cluster: "bench" },
    admin: { address: socket(parts.adminPort) },
    static_resources: {
      listeners: [listener("main", parts.port, manager(parts.virtualHosts, parts.manager))],
      clusters: parts.clusters,
    },
  };
}

/** One route, two versions 90/10, X-Forwarded-For. */
export function bareBootstrap(port: number, adminPort: number, { v1, v2 }: Versions): Json {
  return bootstrap({
    port,
    adminPort,
    virtualHosts: [{ name: "all", domains: ["*"], routes: [route("all", { prefix: "/" }, split())] }],
    clusters: [cluster("v1", v1), cluster("v2", v2)],
    manager: { generate_request_id: false },
  });
}

/** Everything on: 50 routes over 5 hosts, header rules, retries, timeouts, outlier detection, request ids, an access log, path normalisation. */
export function fullBootstrap(port: number, adminPort: number, { v1, v2 }: Versions, log: string): Json {
  return bootstrap({
    port,
    adminPort,
    virtualHosts: fullHosts(),
    clusters: [cluster("v1", v1, GUARDS), cluster("v2", v2, GUARDS)],
    manager: fullManager(log),
  });
}

/** The connection manager's fields that come with everything on. */
export function fullManager(log: string): Fields {
  return {
    access_log: [
      {
        name: "file",
        typed_config: { "@type": `${TYPES}.access_loggers.file.v3.FileAccessLog`, path: log },
      },
    ],
    stream_idle_timeout: "300s",
    request_headers_timeout: "10s",
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: "REJECT_REQUEST",
  };
}

/** The virtual hosts of everything on; `canary` of 100 requests go to the second version. */
export function fullHosts(canary = 10): Json[] {
  return HOSTS.map((host) => ({ name: host, domains: [host], routes: fullRoutes(host, canary) }));
}

function fullRoutes(host: string, canary: number): Json[] {
  const guarded: Fields = {
    timeout: "15s",
    retry_policy: {
      retry_on: "connect-failure,reset,retriable-status-codes",
      retriable_status_codes: [503],
      num_retries: 2,
      per_try_timeout: "5s",
    },
  };
  const byHeader = {
    prefix: "/",
    headers: [{ name: "x-version", string_match: { exact: "v2" } }],
  };
  return [
    route(`${host} by header`, byHeader, { cluster: "v2", ...guarded }),
    ...PATHS.map((path) => route(`${host} ${path}`, { prefix: path }, split(guarded, canary))),
    route(`${host} rest`, { prefix: "/" }, split(guarded, canary)),
  ];
}

export const GUARDS: Fields = {
  outlier_detection: { consecutive_5xx: 5, interval: "10s", base_ejection_time: "30s" },
  circuit_breakers: {
    thresholds: [{ retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 3 } }],
  },
};

export function route(name: string, match: Json, action: Json): Json {
  return { name, match, route: action };
}

/** To both versions, 90/10 or as `canary` says. */
export function split(more: Fields = {}, canary = 10): Json {
  const clusters = [
    { name: "v1", weight: 100 - canary },
    { name: "v2", weight: canary },
  ];
  return { weighted_clusters: { clusters }, ...more };
}

export function cluster(name: string, port: number, more: Fields = {}): Json {
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(port) } }] }],
    },
    ...more,
  };
}

export function listener(name: string, port: number, hcm: Json): Json {
  return {
    name,
    address: socket(port),
    filter_chains: [
      { filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: hcm }] },
    ],
  };
}

export function manager(virtualHosts: readonly Json[], more: Fields = {}): Json {
  return {
    "@type": `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "bench",
    use_remote_address: true,
    route_config: { name: "bench", virtual_hosts: virtualHosts },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": `${TYPES}.filters.http.router.v3.Router` },
      },
    ],
    ...more,
  };
}

const socket = (port: number): Json => ({ socket_address: { address: "127.0.0.1", port_value: port } });
