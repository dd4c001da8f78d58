// What TrafficPolicies on a Service become in its cluster, and what `retry` and times per try become in a route.
import { test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import {
  ClusterSchema,
  RetryPolicySchema,
  registry,
  toJson,
  unsupportedFields,
} from "../../src/xds/types.ts";
import { httpRoute, input } from "./support.ts";

type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;
type Rule = NonNullable<NonNullable<HttpRoute["spec"]>["rules"]>[number];

function translated(sections: Sections, kind: "Service" | "HTTPRoute" = "Service", rule: Rule = {}) {
  const policy: TrafficPolicy = {
    apiVersion: "weir.dev/v1alpha1",
    kind: "TrafficPolicy",
    metadata: { name: "asked", namespace: "shop" },
    spec: { targetRefs: [{ kind, name: "web" }], ...sections },
  };
  const rules = [{ backendRefs: [{ name: "web", port: 80 }], ...rule }];
  const { snapshot, problems } = translateGateway(
    input({ httpRoutes: [httpRoute({ rules })], policies: [policy] }),
  );
  const [cluster] = snapshot.clusters;
  const [route] = snapshot.routes;
  const unsupported = [
    ...(cluster === undefined ? [] : unsupportedFields("clusters", cluster)),
    ...(route === undefined ? [] : unsupportedFields("routes", route)),
  ];
  const action = route?.virtualHosts[0]?.routes[0]?.action;
  const retry = action?.case === "route" ? action.value.retryPolicy : undefined;
  return {
    cluster: cluster && toJson(ClusterSchema, cluster, { registry, useProtoFieldName: true }),
    retry: retry && toJson(RetryPolicySchema, retry, { registry, useProtoFieldName: true }),
    isHedged: action?.case === "route" && action.value.hedgePolicy?.hedgeOnPerTryTimeout === true,
    routes: route?.virtualHosts.length ?? 0,
    problems: problems.map(({ about, field }) => `${about} ${field}`),
    unsupported,
  };
}

const BUDGET = { budget_percent: { value: 20 }, min_retry_concurrency: 3 };

test("services: without a policy there is round robin, and a budget of retries for every client", (t) => {
  const { cluster, problems, unsupported, retry } = translated({});
  t.match(cluster, { connect_timeout: "5s", circuit_breakers: { thresholds: [{ retry_budget: BUDGET }] } });
  t.hasStrict(cluster, { name: "shop/web:80" });
  t.strictSame([problems, unsupported, retry], [[], [], undefined]);
  t.end();
});

test("services: connection says how long connections are made, kept and used", (t) => {
  const made = translated({ connection: { timeout: "2s", idle: "30s", maxRequests: 100 } });
  t.strictSame([made.problems, made.unsupported], [[], []]);
  const name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  t.match(made.cluster, {
    connect_timeout: "2s",
    typed_extension_protocol_options: {
      [name]: {
        "@type": `type.googleapis.com/${name}`,
        common_http_protocol_options: { idle_timeout: "30s", max_requests_per_connection: 100 },
        explicit_http_config: { http_protocol_options: {} },
      },
    },
  });
  t.end();
});

test("services: loadBalancer chooses how endpoints are picked", (t) => {
  const slowStart = { window: "30s", aggression: 2, minimumPercent: 5 };
  const slow_start_config = {
    slow_start_window: "30s",
    aggression: { default_value: 2 },
    min_weight_percent: { value: 5 },
  };
  const of = (loadBalancer: Sections["loadBalancer"]) => {
    const made = translated(loadBalancer === undefined ? {} : { loadBalancer });
    t.strictSame([made.problems, made.unsupported], [[], []]);
    return made.cluster;
  };
  t.match(of({ slowStart, panicPercent: 0 }), {
    round_robin_lb_config: { slow_start_config },
    common_lb_config: { healthy_panic_threshold: {} },
  });
  t.match(of({ policy: "LeastRequest", choices: 4, slowStart }), {
    lb_policy: "LEAST_REQUEST",
    least_request_lb_config: { choice_count: 4, slow_start_config },
  });
  t.match(of({ policy: "RingHash", ringSize: 2048 }), {
    lb_policy: "RING_HASH",
    ring_hash_lb_config: { minimum_ring_size: "2048" },
  });
  t.end();
});

test("services: healthChecks, by HTTP and TCP", (t) => {
  const http = translated({ healthChecks: { http: { path: "/healthz" } } });
  t.strictSame([http.problems, http.unsupported], [[], []]);
  t.match(http.cluster, {
    // What is gone from the endpoints is gone, whatever its checks still say.
    ignore_health_on_host_removal: true,
    health_checks: [
      {
        timeout: "1s",
        interval: "10s",
        no_traffic_interval: "10s",
        unhealthy_threshold: 3,
        healthy_threshold: 1,
        http_health_check: {
          path: "/healthz",
          method: "GET",
          expected_statuses: [{ start: "200", end: "400" }],
          retriable_statuses: [{ start: "100", end: "600" }],
        },
      },
    ],
  });
  const statuses = [200, "300-302"];
  const own = translated({
    healthChecks: {
      interval: "5s",
      timeout: "2s",
      unhealthyThreshold: 2,
      healthyThreshold: 4,
      port: 9000,
      http: { path: "/", host: "a.example", method: "HEAD", statuses },
    },
  });
  t.strictSame([own.problems, own.unsupported], [[], []]);
  t.match(own.cluster, {
    health_checks: [
      {
        interval: "5s",
        timeout: "2s",
        unhealthy_threshold: 2,
        healthy_threshold: 4,
        alt_port: 9000,
        http_health_check: {
          host: "a.example",
          method: "HEAD",
          expected_statuses: [
            { start: "200", end: "201" },
            { start: "300", end: "303" },
          ],
        },
      },
    ],
  });
  t.match(translated({ healthChecks: { tcp: {} } }).cluster, { health_checks: [{ tcp_health_check: {} }] });
  t.end();
});

test("services: outlierDetection, with one endpoint that may always be out", (t) => {
  const plain = translated({ outlierDetection: {} });
  t.strictSame([plain.problems, plain.unsupported], [[], []]);
  t.match(plain.cluster, {
    outlier_detection: {
      consecutive_5xx: 5,
      enforcing_consecutive_5xx: 100,
      enforcing_success_rate: 0,
      interval: "10s",
      base_ejection_time: "30s",
      max_ejection_time: "300s",
      max_ejection_percent: 10,
      always_eject_one_host: true,
    },
  });
  const own = translated({
    outlierDetection: {
      consecutive5xx: 0,
      consecutiveGatewayErrors: 3,
      consecutiveLocalFailures: 2,
      successRateDeviations: 1.5,
      interval: "1s",
      baseEjectionTime: "5s",
      maxEjectionTime: "10s",
      maxEjectionPercent: 50,
    },
  });
  t.strictSame([own.problems, own.unsupported], [[], []]);
  t.match(own.cluster, {
    outlier_detection: {
      enforcing_consecutive_5xx: 0,
      consecutive_gateway_failure: 3,
      enforcing_consecutive_gateway_failure: 100,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 2,
      enforcing_success_rate: 100,
      success_rate_stdev_factor: 1500,
      interval: "1s",
      base_ejection_time: "5s",
      max_ejection_time: "10s",
      max_ejection_percent: 50,
    },
  });
  t.end();
});

test("services: circuitBreaker sets bounds; maxRetries replaces the budget", (t) => {
  const bounds = { maxConnections: 10, maxPendingRequests: 5, maxRequests: 20 };
  const own = translated({ circuitBreaker: { ...bounds, retryBudget: { percent: 50, minimum: 1 } } });
  t.strictSame([own.problems, own.unsupported], [[], []]);
  t.match(own.cluster, {
    circuit_breakers: {
      thresholds: [
        {
          max_connections: 10,
          max_pending_requests: 5,
          max_requests: 20,
          retry_budget: { budget_percent: { value: 50 }, min_retry_concurrency: 1 },
        },
      ],
    },
  });
  const fixed = translated({ circuitBreaker: { maxRetries: 7 } });
  t.strictSame(fixed.cluster && JSON.stringify(fixed.cluster).includes("retry_budget"), false);
  t.match(fixed.cluster, { circuit_breakers: { thresholds: [{ max_retries: 7 }] } });
  t.end();
});

test("services: values that are none are reported and left out", (t) => {
  const { problems, unsupported } = translated({
    connection: { timeout: "soon" },
    loadBalancer: { policy: "Best", panicPercent: 101, slowStart: { window: "0s" } },
    healthChecks: { http: { path: "/", statuses: ["20x"] }, interval: "no", unhealthyThreshold: 0 },
    outlierDetection: { maxEjectionPercent: 200, interval: "-1s" },
    circuitBreaker: { maxConnections: -1, retryBudget: { percent: 300 } },
  });
  const at = "TrafficPolicy shop/asked spec";
  t.strictSame(problems.sort(), [
    `${at}.circuitBreaker.maxConnections`,
    `${at}.circuitBreaker.retryBudget.percent`,
    `${at}.connection.timeout`,
    `${at}.healthChecks.http.statuses[0]`,
    `${at}.healthChecks.interval`,
    `${at}.healthChecks.unhealthyThreshold`,
    `${at}.loadBalancer.panicPercent`,
    `${at}.loadBalancer.policy`,
    `${at}.loadBalancer.slowStart.window`,
    `${at}.outlierDetection.interval`,
    `${at}.outlierDetection.maxEjectionPercent`,
  ]);
  t.strictSame(unsupported, []);
  t.strictSame(translated({ healthChecks: {} }).problems, [`${at}.healthChecks`]);
  t.end();
});

const PREDICATE = {
  name: "envoy.retry_host_predicates.previous_hosts",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
  },
};

test("routes: an HTTPRoute's retry stands for lost connections and its codes, on other endpoints first", (t) => {
  const retry = { codes: [500, 503], attempts: 3, backoff: "100ms" };
  const made = translated({}, "Service", { retry, timeouts: { request: "10s", backendRequest: "2s" } });
  t.strictSame([made.problems, made.unsupported], [[], []]);
  t.strictSame(made.retry, {
    retry_on: "connect-failure,reset,retriable-status-codes",
    retriable_status_codes: [500, 503],
    num_retries: 3,
    per_try_timeout: "2s",
    retry_back_off: { base_interval: "0.100s", max_interval: "1s" },
    retry_host_predicate: [PREDICATE],
    host_selection_retry_max_attempts: "5",
  });
  t.match(translated({}, "Service", { retry: {} }).retry, {
    retry_on: "connect-failure,reset",
    num_retries: 1,
    retry_back_off: { base_interval: "0.025s", max_interval: "0.250s" },
  });
  t.equal(translated({}, "Service", { retry: { attempts: 0 } }).retry, undefined);
  t.strictSame(translated({}, "Service", { timeouts: { backendRequest: "2s" } }).retry, {
    num_retries: 0,
    per_try_timeout: "2s",
  });
  t.end();
});

test("routes: a TrafficPolicy's retry, which a rule's own goes before", (t) => {
  const retry = {
    on: ["5xx", "retriable-4xx"],
    codes: [425],
    attempts: 2,
    backoff: { base: "10ms", max: "50ms" },
  };
  const made = translated({ retry, timeouts: { perTry: "1s" } }, "HTTPRoute");
  t.strictSame([made.problems, made.unsupported], [[], []]);
  t.match(made.retry, {
    retry_on: "5xx,retriable-4xx,retriable-status-codes",
    retriable_status_codes: [425],
    num_retries: 2,
    per_try_timeout: "1s",
    retry_back_off: { base_interval: "0.010s", max_interval: "0.050s" },
  });
  t.match(translated({ retry }, "HTTPRoute", { retry: { attempts: 5 } }).retry, {
    retry_on: "connect-failure,reset",
    num_retries: 5,
  });
  t.end();
});

test("routes: late tries go on where a policy says so, with a time for one try and tries to begin beside it", (t) => {
  const retry = { hedgeOnPerTryTimeout: true };
  const timeouts = { perTry: "1s" };
  const hedged = translated({ retry, timeouts }, "HTTPRoute");
  t.strictSame([hedged.problems, hedged.unsupported, hedged.isHedged], [[], [], true]);
  t.match(hedged.retry, { retry_on: "connect-failure,reset", num_retries: 1, per_try_timeout: "1s" });
  const ofRule = { retry: { attempts: 2 }, timeouts: { backendRequest: "2s" } };
  const own = translated({ retry }, "HTTPRoute", ofRule);
  t.strictSame([own.problems, own.isHedged], [[], true]);
  t.match(own.retry, { num_retries: 2, per_try_timeout: "2s" });
  t.equal(translated({ retry: { hedgeOnPerTryTimeout: false }, timeouts }, "HTTPRoute").isHedged, false);
  t.equal(translated({ retry: {}, timeouts }, "HTTPRoute").isHedged, false);
  for (const made of [
    translated({ retry }, "HTTPRoute"),
    translated({ retry, timeouts: { perTry: "0s" } }, "HTTPRoute"),
    translated({ retry: { ...retry, attempts: 0 }, timeouts }, "HTTPRoute"),
  ]) {
    t.strictSame(made.problems, ["TrafficPolicy shop/asked spec.retry.hedgeOnPerTryTimeout"]);
    t.equal(made.isHedged, false);
  }
  // What is wrong is told once, and a rule that wants no hedging is no fault of the policy.
  for (const [made, problems] of [
    [translated({ retry: { ...retry, on: ["no"] }, timeouts }, "HTTPRoute"), ["retry.on[0]"]],
    [translated({ retry, timeouts: { perTry: "soon" } }, "HTTPRoute"), ["timeouts.perTry"]],
    [translated({ retry, timeouts }, "HTTPRoute", { retry: { attempts: 0 } }), []],
    [translated({ retry, timeouts }, "HTTPRoute", { timeouts: { backendRequest: "0s" } }), []],
  ] as const) {
    t.strictSame(
      made.problems,
      problems.map((field) => `TrafficPolicy shop/asked spec.${field}`),
    );
    t.equal(made.isHedged, false);
  }
  t.end();
});

test("routes: a rule whose retry means nothing is left out, a policy's is reported", (t) => {
  for (const [rule, field] of [
    [{ retry: { codes: [200] } }, ".retry.codes[0]"],
    [{ retry: { attempts: -1 } }, ".retry.attempts"],
    [{ retry: { backoff: "soon" } }, ".retry.backoff"],
    [{ timeouts: { backendRequest: "soon" } }, ".timeouts.backendRequest"],
  ] as const) {
    const made = translated({}, "Service", rule);
    t.strictSame(made.problems, [`HTTPRoute shop/web spec.rules[0]${field}`]);
    t.equal(made.retry, undefined);
  }
  for (const [retry, field] of [
    [{ on: ["always"] }, "on[0]"],
    [{ codes: [99] }, "codes[0]"],
    [{ attempts: 1_000 }, "attempts"],
    [{ backoff: { base: "1" } }, "backoff.base"],
    [{ backoff: { base: "1s", max: "10ms" } }, "backoff.max"],
  ] as const) {
    const made = translated({ retry }, "HTTPRoute");
    t.strictSame(made.problems, [`TrafficPolicy shop/asked spec.retry.${field}`]);
    t.equal(made.retry, undefined);
  }
  t.end();
});
