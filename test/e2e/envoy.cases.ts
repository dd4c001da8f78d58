// What test/e2e/envoy.test.ts asks of both proxies: bootstrap files and the requests that go through each.
// `{a}`, `{dead}` … stand for ports of backends, `{port}` and `{admin}` for the proxy's own.

export interface Request {
  /** `METHOD target`, GET when it is a target only. */
  readonly line: string;
  /** Default `shop.example`; null sends none. */
  readonly host?: string | null;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Default 1.1. */
  readonly version?: string;
  /** Where weir answers otherwise on purpose: a name in docs/reference/bootstrap.md, and weir's status. */
  readonly differs?: { readonly name: string; readonly weir: number; readonly envoy: number };
}

export interface Case {
  readonly name: string;
  readonly bootstrap: string;
  readonly requests: readonly Request[];
}

export const endpoint = (port: string, more = ""): string =>
  `{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {${port}} } } }${more} }`;

export const cluster = (name: string, endpoints: readonly string[], more = ""): string => `
    - name: ${name}
      connect_timeout: 1s${more}
      load_assignment: { cluster_name: ${name}, endpoints: [{ lb_endpoints: [${endpoints.join(", ")}] }] }`;

export const LISTENER = `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: {admin} } } }
static_resources:
  listeners:
    - name: main
      address: { socket_address: { address: 127.0.0.1, port_value: {port} } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: main
                delayed_close_timeout: 0.1s
                use_remote_address: true
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`;
export const PLAIN = ["a", "b", "c", "d"].map((name) => cluster(name, [endpoint(name)])).join("");

const HOSTS = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: exact
                      domains: [shop.example, "with-port.example:{port}"]
                      routes:
                        - { match: { path: /exact }, route: { cluster: b } }
                        - { match: { path: /Folded, case_sensitive: false }, route: { cluster: b } }
                        - { match: { path_separated_prefix: /api }, route: { cluster: c } }
                        - { match: { prefix: /pre }, route: { cluster: d } }
                        - { match: { prefix: /FOLD, case_sensitive: false }, route: { cluster: d } }
                        - { match: { prefix: / }, route: { cluster: a } }
                    - { name: suffix, domains: ["*.shop.example"], routes: [{ match: { prefix: / }, route: { cluster: b } }] }
                    - { name: longer, domains: ["*.eu.shop.example"], routes: [{ match: { prefix: / }, route: { cluster: c } }] }
                    - { name: prefix, domains: ["shop.*"], routes: [{ match: { prefix: / }, route: { cluster: d } }] }
                    - { name: bare, domains: [bare.example], routes: [{ match: { prefix: /only }, route: { cluster: a } }] }
  clusters:${PLAIN}
`;

const PATHS: readonly Request[] = [
  "/",
  "/exact",
  "/exact/",
  "/exact?q=1",
  "/Exact",
  "/folded",
  "/FOLDED?x",
  "/api",
  "/api/",
  "/api/v1",
  "/api?x=1",
  "/apix",
  "/prefixed",
  "/pre",
  "/pr",
  "/folding",
  "/a%2Fb",
  "/a/../exact",
  "//exact",
  "/?",
].map((line) => ({ line }));

const LIMITS = `${LISTENER.replace(
  "- name: main",
  `- name: main
      metadata: { filter_metadata: { weir.dev: { half_close: true } } }`,
).replace(
  "- filters:",
  `- filters:
            - name: envoy.filters.network.connection_limit
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit
                stat_prefix: limit
                max_connections: 100`,
)}
                max_request_headers_kb: 2
                common_http_protocol_options:
                  max_headers_count: 20
                  max_connection_duration: 60s
                  max_requests_per_connection: 100
                  max_stream_duration: 30s
                route_config:
                  name: local
                  virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: a } }] }]
  clusters:${PLAIN}
`;

const HOST_NAMES: readonly Request[] = [
  "SHOP.example",
  "eu.shop.example",
  "de.eu.shop.example",
  ".shop.example",
  "shop.test",
  "shop.",
  "with-port.example:{port}",
  "with-port.example",
  "shop.example:{port}",
  "shop.example:80",
  "bare.example",
  "nothing.test",
].map((host) => ({ line: "/", host }));

const HEADER_RULES: readonly (readonly [cluster: string, rule: string])[] = [
  ["a", "{ name: x-exact, exact_match: 'one' }"],
  ["b", "{ name: x-exact, exact_match: 'two', invert_match: true }"],
  ["c", "{ name: x-present, present_match: true }"],
  ["d", "{ name: x-prefix, prefix_match: 'pre' }"],
  ["a", "{ name: x-suffix, suffix_match: 'fix' }"],
  ["b", "{ name: x-contains, contains_match: 'mid' }"],
  ["c", "{ name: x-range, range_match: { start: -3, end: 10 } }"],
  ["d", "{ name: x-string, string_match: { exact: 'Folded', ignore_case: true } }"],
  ["a", "{ name: x-string, string_match: { prefix: 'ab' } }"],
  ["b", "{ name: x-string, string_match: { contains: 'MID', ignore_case: true } }"],
  ["c", "{ name: x-string, string_match: { suffix: 'yz' }, invert_match: true }"],
  [
    "d",
    "{ name: x-none, string_match: { exact: '' }, treat_missing_header_as_empty: true }, { name: x-two, present_match: true }",
  ],
  ["a", "{ name: ':method', string_match: { exact: PUT } }"],
  ["b", "{ name: x-absent, present_match: true, invert_match: true }, { name: x-and, exact_match: 'yes' }"],
  ["c", "{ name: x-absent, present_match: false }, { name: ':authority', exact_match: 'c.example' }"],
  ["d", "{ name: ':path', string_match: { suffix: '?d=1' } }"],
];

const HEADERS = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:${HEADER_RULES.map(
                        ([name, rule]) => `
                        - { match: { prefix: /, headers: [${rule}] }, route: { cluster: ${name} } }`,
                      ).join("")}
  clusters:${PLAIN}
`;

const HEADER_LINES: readonly (readonly string[])[] = [
  [],
  ["x-exact: one"],
  ["x-exact: One"],
  ["x-exact: two"],
  ["x-exact: one", "x-exact: one"],
  ["x-exact: zero", "x-exact: one"],
  ["x-exact: two", "x-exact: three"],
  ["x-exact: zero,one"],
  ["x-range: 100", "x-range: 5"],
  ["x-string: xyz", "x-string: other"],
  ["x-string: xyz", "x-string: yz"],
  ["x-prefix: none", "x-prefix: prefer"],
  ["x-two: 1", "x-none: full", "x-none: "],
  ["x-exact:   one  "],
  ["x-exact: two", "x-present: "],
  ["x-present: 1"],
  ["x-prefix: prefer"],
  ["x-prefix: Prefer"],
  ["x-suffix: a fix"],
  ["x-contains: in the middle"],
  ["x-contains: nothing"],
  ["x-range: -3"],
  ["x-range: -4"],
  ["x-range: 9"],
  ["x-range: 10"],
  ["x-range: 9.5"],
  ["x-range: 5x"],
  ["x-range: "],
  ["x-string: FOLDED"],
  ["x-string: abc"],
  ["x-string: a mid b"],
  ["x-string: xyz"],
  ["x-string: other"],
  ["x-two: 1"],
  ["x-two: 1", "x-none: full"],
  ["x-and: yes"],
  ["x-and: yes", "x-absent: there"],
];

const FAILURES = `${LISTENER}
                stream_idle_timeout: 5s
                route_config:
                  name: local
                  validate_clusters: false
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - { match: { prefix: /slow }, route: { cluster: slow, timeout: 0.3s } }
                        - { match: { prefix: /stream }, route: { cluster: slow, timeout: 0s, max_stream_duration: { max_stream_duration: 0.3s } } }
                        - { match: { prefix: /dead }, route: { cluster: dead } }
                        - { match: { prefix: /reset }, route: { cluster: reset } }
                        - { match: { prefix: /garbage }, route: { cluster: garbage } }
                        - { match: { prefix: /error }, route: { cluster: error } }
                        - { match: { prefix: /missing }, route: { cluster: missing } }
                        - { match: { prefix: /empty }, route: { cluster: empty } }
                        - { match: { prefix: /sick }, route: { cluster: sick } }
                        - { match: { prefix: /panic }, route: { cluster: panic } }
                        - { match: { prefix: /retry }, route: { cluster: half, retry_policy: { retry_on: connect-failure, num_retries: 1 } } }
  clusters:${["slow", "dead", "reset", "garbage", "error"].map((name) => cluster(name, [endpoint(name)])).join("")}${cluster("empty", [])}${cluster("sick", [endpoint("a"), endpoint("b"), endpoint("dead", ", health_status: UNHEALTHY")])}${cluster("panic", [endpoint("a", ", health_status: UNHEALTHY")])}${cluster("half", [endpoint("a"), endpoint("dead")])}
`;

const MESSAGES = `${LISTENER}
                route_config:
                  name: local
                  ignore_port_in_host_matching: true
                  virtual_hosts:
                    - { name: shop, domains: [shop.example], routes: [{ match: { prefix: / }, route: { cluster: a } }] }
                    - { name: other, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: b } }] }
  clusters:${PLAIN}
`;

const TO_A = `
                route_config:
                  name: local
                  virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: a } }] }]
  clusters:${PLAIN}
`;

/** Behind a proxy that is trusted. */
const TRUSTING = `${LISTENER}
                xff_num_trusted_hops: 1
                common_http_protocol_options: { headers_with_underscores_action: DROP_HEADER }
                early_header_mutation_extensions:
                  - name: remove
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation
                      mutations: [{ remove: x-inner }, { remove: X-Debug }]${TO_A}`;

/** Passes on what came. */
const KEEPING = `${LISTENER}
                skip_xff_append: true
                common_http_protocol_options: { headers_with_underscores_action: REJECT_REQUEST }${TO_A}`;

const CLIENT_LINES: readonly (readonly string[])[] = [
  [],
  ["x-forwarded-for: 10.1.2.3"],
  ["x-forwarded-for: 10.1.2.3, 10.4.5.6", "x-forwarded-for: 10.7.8.9"],
  ["x-forwarded-for: junk"],
  ["x-forwarded-proto: https"],
  ["x-forwarded-host: other.example"],
  ["x-inner: 1", "X-INNER: 2", "x-debug: 3", "x-other: 4"],
  ["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: a=1"],
];
const clientRequests = (lines: readonly (readonly string[])[]): readonly Request[] =>
  lines.map((headers) => ({ line: "/", headers }));

/** Lines of an access log at `{log}`. */
export const LOGGED = `${LISTENER}
                preserve_external_request_id: true
                access_log:
                  - name: file
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
                      path: {log}
                      log_format:
                        json_format:
                          request: "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%"
                          host: "%REQ(:AUTHORITY)%"
                          agent: "%REQ(X-None?User-Agent):3%"
                          id: "%REQ(X-REQUEST-ID)%"
                          none: "%REQ(X-None)%"
                          code: "%RESPONSE_CODE%"
                          flags: "%RESPONSE_FLAGS%"
                          received: "%BYTES_RECEIVED%"
                          backend: "%RESP(X-Backend)%"
                          cluster: "%UPSTREAM_CLUSTER%"
                          endpoint: "%UPSTREAM_HOST%"
                          route: "%ROUTE_NAME%"
                          percent: "100%%"
                route_config:
                  name: local
                  validate_clusters: false
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - { name: slow, match: { prefix: /slow }, route: { cluster: slow, timeout: 0.3s } }
                        - { name: missing, match: { prefix: /missing }, route: { cluster: missing } }
                        - { name: empty, match: { prefix: /empty }, route: { cluster: empty } }
                        - { name: dead, match: { prefix: /dead }, route: { cluster: dead } }
                        - { name: error, match: { prefix: /error }, route: { cluster: error, retry_policy: { retry_on: 5xx, num_retries: 1 } } }
                        - { name: again, match: { prefix: /again }, route: { cluster: dead, retry_policy: { retry_on: connect-failure, num_retries: 2 } } }
                        - { name: all, match: { prefix: /all }, route: { cluster: a } }
  clusters:${["slow", "dead", "error"].map((name) => cluster(name, [endpoint(name)])).join("")}${cluster("empty", [])}${PLAIN}
`;

/** Tells the upstream which host was asked for. */
const FORWARDING = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - { match: { prefix: / }, route: { cluster: a, host_rewrite_literal: inner.example, append_x_forwarded_host: true } }
  clusters:${PLAIN}
`;

export const ELSEWHERE = `retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts, typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate } }], host_selection_retry_max_attempts: 20`;
const retried = (cluster: string, policy: string): string =>
  `{ cluster: ${cluster}, retry_policy: { ${policy}, ${ELSEWHERE} } }`;

const NAMED = "\n      type: STRICT_DNS\n      dns_lookup_family: V4_ONLY";

const UPSTREAMS = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - { match: { prefix: /ring }, route: { cluster: ring, hash_policy: [{ header: { header_name: x-user } }] } }
                        - { match: { prefix: /joined }, route: { cluster: ring, hash_policy: [{ header: { header_name: x-user } }, { header: { header_name: x-cart } }] } }
                        - { match: { prefix: /weighted-ring }, route: { cluster: weighted-ring, hash_policy: [{ header: { header_name: x-user } }] } }
                        - { match: { prefix: /5xx }, route: ${retried("failing", "retry_on: 5xx")} }
                        - { match: { prefix: /codes }, route: ${retried("failing", "retry_on: retriable-status-codes, retriable_status_codes: [500]")} }
                        - { match: { prefix: /connect }, route: ${retried("refusing", "retry_on: connect-failure")} }
                        - { match: { prefix: /reset }, route: ${retried("resetting", "retry_on: reset")} }
                        - { match: { prefix: /late }, route: ${retried("slowly", 'retry_on: 5xx, per_try_timeout: "0.3s"')} }
                        - { match: { prefix: /status/503 }, route: ${retried("echo", "retry_on: 5xx, num_retries: 2")} }
                        - { match: { prefix: /status/409 }, route: ${retried("echo", "retry_on: retriable-4xx")} }
                        - { match: { prefix: /per-try }, route: { cluster: slow, retry_policy: { num_retries: 0, per_try_timeout: 0.3s } } }
                        - { match: { prefix: /no-requests }, route: { cluster: no-requests } }
                        - { match: { prefix: /no-pending }, route: { cluster: no-pending } }
                        - { match: { prefix: /no-connections }, route: { cluster: no-connections } }
                        - { match: { prefix: /few-usable }, route: { cluster: few-usable } }
                        - { match: { prefix: /none-usable }, route: { cluster: none-usable } }
                        - { match: { prefix: /named }, route: { cluster: named } }
                        - { match: { prefix: /nameless }, route: { cluster: nameless } }
  clusters:${[
    cluster(
      "ring",
      ["a", "b", "c", "d"].map((name) => endpoint(name)),
      "\n      lb_policy: RING_HASH",
    ),
    cluster(
      "weighted-ring",
      [endpoint("a", ", load_balancing_weight: 3"), endpoint("b", ", load_balancing_weight: 1")],
      "\n      lb_policy: RING_HASH\n      ring_hash_lb_config: { minimum_ring_size: 64 }",
    ),
    cluster("failing", [endpoint("error"), endpoint("a")]),
    cluster("refusing", [endpoint("dead"), endpoint("a")]),
    cluster("resetting", [endpoint("reset"), endpoint("a")]),
    cluster("slowly", [endpoint("slow"), endpoint("a")]),
    cluster("echo", [endpoint("a")]),
    cluster("slow", [endpoint("slow")]),
    cluster(
      "no-requests",
      [endpoint("a")],
      "\n      circuit_breakers: { thresholds: [{ max_requests: 0 }] }",
    ),
    cluster(
      "no-pending",
      [endpoint("a")],
      "\n      circuit_breakers: { thresholds: [{ max_pending_requests: 0 }] }",
    ),
    cluster(
      "no-connections",
      [endpoint("a")],
      "\n      circuit_breakers: { thresholds: [{ max_connections: 0 }] }",
    ),
    cluster(
      "few-usable",
      [endpoint("a"), ...["b", "c"].map((name) => endpoint(name, ", health_status: UNHEALTHY"))],
      "\n      common_lb_config: { healthy_panic_threshold: { value: 30 } }",
    ),
    cluster(
      "none-usable",
      [endpoint("a", ", health_status: UNHEALTHY")],
      "\n      common_lb_config: { healthy_panic_threshold: { value: 0 } }",
    ),
    cluster("named", [endpoint("a").replace("127.0.0.1", "localhost")], NAMED),
    cluster("nameless", [endpoint("a").replace("127.0.0.1", "no-such-name.invalid")], NAMED),
  ].join("")}
`;
const USERS = Array.from({ length: 24 }, (_, user) => `x-user: user-${user}`);

/** A cluster of one backend that fails and one that does not, under that detection. */
export const ejecting = (detection: string): string => `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: both } }] }]
  clusters:${cluster("both", [endpoint("error"), endpoint("a")], `\n      outlier_detection: { ${detection} }`)}
`;

/** Two backends of which the second fails its health check, by a port of its own. */
export const CHECKED = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: both } }] }]
  clusters:
    - name: both
      connect_timeout: 1s
      health_checks: [{ timeout: 1s, interval: 0.2s, no_traffic_interval: 0.2s, unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: { path: /status/204, expected_statuses: [{ start: 204, end: 205 }] } }]
      load_assignment:
        cluster_name: both
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {a} } } }
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {b} } }, health_check_config: { port_value: {error} } }
`;

export const CASES: readonly Case[] = [
  {
    name: "upstreams",
    bootstrap: UPSTREAMS,
    requests: [
      ...USERS.map((user) => ({ line: "/ring", headers: [user] })),
      ...USERS.slice(0, 8).map((user) => ({ line: "/joined", headers: [user, "x-cart: 7"] })),
      ...USERS.map((user) => ({ line: "/weighted-ring", headers: [user] })),
      ...["/5xx", "/codes", "/connect", "/reset", "/late"].flatMap((line) => [{ line }, { line }]),
      { line: "POST /5xx", headers: ["content-length: 5"], body: "hello" },
      { line: "POST /5xx", headers: ["transfer-encoding: chunked"], body: "5\r\nhello\r\n0\r\n\r\n" },
      { line: "/status/503" },
      { line: "/status/409" },
      { line: "/per-try" },
      { line: "/no-requests" },
      { line: "/no-pending" },
      { line: "/no-connections" },
      ...Array.from({ length: 4 }, () => ({ line: "/few-usable" })),
      { line: "/none-usable" },
      { line: "/named" },
      { line: "/nameless" },
    ],
  },
  {
    name: "the host that was asked for",
    bootstrap: FORWARDING,
    requests: clientRequests([
      [],
      ["x-forwarded-host: edge.example"],
      ["x-forwarded-host: edge.example, shop.example"],
      ["x-forwarded-host: shop.example", "x-forwarded-host: b.example"],
    ]),
  },
  {
    name: "what a trusted proxy says of clients",
    bootstrap: TRUSTING,
    requests: clientRequests([...CLIENT_LINES, ["x_user: 1", "x-user: 2"]]),
  },
  {
    name: "what clients say of themselves",
    bootstrap: KEEPING,
    // Envoy makes one field of two X-Forwarded-For, weir leaves them as they came.
    requests: clientRequests([
      ...CLIENT_LINES.filter((lines) => lines.filter((one) => one.startsWith("x-forwarded-for")).length < 2),
      ["x_user: 1"],
      ["x-user: 2"],
    ]),
  },
  {
    name: "hosts and paths",
    bootstrap: HOSTS,
    requests: [...PATHS, ...HOST_NAMES, { line: "/only/1", host: "bare.example" }],
  },
  {
    name: "header rules",
    bootstrap: HEADERS,
    requests: [
      ...HEADER_LINES.map((headers) => ({ line: "/", headers })),
      { line: "PUT /" },
      { line: "/", host: "c.example" },
      { line: "/x?d=1" },
    ],
  },
  {
    name: "failures",
    bootstrap: FAILURES,
    requests: [
      { line: "/slow" },
      { line: "/stream" },
      { line: "/dead" },
      { line: "/reset", differs: { name: "Reset by the upstream", weir: 502, envoy: 503 } },
      { line: "/garbage" },
      { line: "/error" },
      { line: "/missing" },
      { line: "/empty" },
      { line: "/none" },
      { line: "/panic" },
      ...Array.from({ length: 6 }, () => ({ line: "/sick" })),
      ...Array.from({ length: 6 }, () => ({ line: "/retry" })),
    ],
  },
  {
    name: "limits",
    bootstrap: LIMITS,
    requests: [
      { line: "/" },
      { line: "/", headers: [`x-fits: ${"f".repeat(1_500)}`] },
      { line: "/", headers: [`x-large: ${"l".repeat(3_000)}`] },
      { line: "/", headers: Array.from({ length: 5 }, (_, index) => `x-${index}: 1`) },
      { line: "/", headers: Array.from({ length: 25 }, (_, index) => `x-${index}: 1`) },
    ],
  },
  {
    name: "messages",
    bootstrap: MESSAGES,
    requests: [
      { line: "HEAD /" },
      { line: "DELETE /thing" },
      { line: "OPTIONS /thing" },
      { line: "PATCH /thing", headers: ["content-length: 5"], body: "hello" },
      { line: "POST /thing", headers: ["content-length: 0"] },
      { line: "POST /thing", headers: ["transfer-encoding: chunked"], body: "5\r\nhello\r\n0\r\n\r\n" },
      { line: "/", host: "shop.example:81" },
      { line: "/", host: "other.example:81" },
      { line: "/status/204" },
      { line: "/status/304" },
      { line: "/status/404" },
      { line: "/status/503" },
      { line: "/", headers: ["x-forwarded-for: 10.1.2.3"] },
      { line: "/", headers: ["x-forwarded-proto: https"] },
      { line: "/", headers: ["cookie: a=1", "cookie: b=2", "accept: text/html", "x-Mixed-Case: Kept As Is"] },
      { line: "/", headers: ["connection: x-hop, close", "x-hop: 1"] },
      { line: "/", headers: ["te: gzip", "keep-alive: timeout=5"] },
      { line: "http://shop.example/absolute?q", host: "other.example" },
      { line: "/", host: null },
      { line: "/", headers: ["content-length: 1", "content-length: 2"], body: "xx" },
      { line: "/", headers: ["content-length: x"], body: "x" },
      { line: "/", headers: ["bad name: 1"] },
      { line: "/frag#x" },
      { line: "TRACE /" },
      { line: "CONNECT shop.example:80", differs: { name: "CONNECT", weir: 405, envoy: 404 } },
      { line: "/", version: "1.0", differs: { name: "HTTP/1.0", weir: 200, envoy: 426 } },
      { line: "/", version: "2.5", differs: { name: "HTTP/2.5", weir: 505, envoy: 426 } },
      {
        line: "/",
        headers: ["upgrade: websocket", "connection: upgrade, close"],
        differs: { name: "Upgrade", weir: 200, envoy: 403 },
      },
      { line: `/${"y".repeat(20_000)}`, differs: { name: "Long target", weir: 414, envoy: 431 } },
    ],
  },
];

/** Two clusters by weight, one of weight 0. */
/** Requests go to `a`, copies to `b` and, with the host as it is, to `c`. */
export const MIRRORED = `${LISTENER}
                route_config:
                  name: local
                  ignore_port_in_host_matching: true
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      request_mirror_policies: [{ cluster: d }]
                      routes:
                        - match: { prefix: / }
                          route:
                            cluster: a
                            request_mirror_policies:
                              - { cluster: b }
                              - { cluster: c, disable_shadow_host_suffix_append: true, runtime_fraction: { default_value: { numerator: 10000, denominator: TEN_THOUSAND } } }
                              - { cluster: d, runtime_fraction: { default_value: { numerator: 0 } } }
  clusters:${PLAIN}
`;

export const WEIGHTED = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - match: { prefix: / }
                          route:
                            weighted_clusters:
                              clusters: [{ name: a, weight: 300 }, { name: b, weight: 100 }, { name: c, weight: 0 }]
  clusters:${PLAIN}
`;
