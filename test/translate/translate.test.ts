// From Gateway API objects and intents to snapshots: names, weights, endpoints by version, precedence, what is refused.
import { test } from "tap";
import type { Gateway, HttpRoute, TrafficIntent } from "../../src/api/api.ts";
import { groupOf, translateGateway } from "../../src/translate/translate.ts";
import type { RouteConfiguration } from "../../src/xds/types.ts";
import { gateway, httpRoute, input, intent, ownStatus, service, slice, weightsOf } from "./support.ts";

const hostsOf = (configuration: RouteConfiguration | undefined): string[] =>
  (configuration?.virtualHosts ?? []).flatMap((host) => host.domains);

test("translate: a backend that a Rollout manages becomes its split, by version", async (t) => {
  const route = httpRoute({ rules: [{ backendRefs: [{ name: "web-stable", port: 80 }] }] });
  const { snapshot, rollouts, problems } = translateGateway(
    input({ httpRoutes: [route], intents: [intent(80, 20)] }),
  );
  t.strictSame(problems, []);
  t.strictSame([...rollouts], [["shop/web", ["shop/edge:8000"]]]);
  t.strictSame(weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]), {
    "shop/web-stable:80/aaa": 80,
    "shop/web-stable:80/bbb": 20,
  });
  t.strictSame(
    snapshot.clusters.map((cluster) => cluster.name),
    ["shop/web-stable:80/aaa", "shop/web-stable:80/bbb"],
  );
  t.strictSame(
    snapshot.endpoints.map((assignment) => assignment.clusterName),
    snapshot.clusters.map((cluster) => cluster.name),
    "every cluster has its assignment",
  );
});

test("translate: a version of weight 0 leaves the route and keeps its cluster", async (t) => {
  const route = httpRoute({ rules: [{ backendRefs: [{ name: "web-stable", port: 80 }] }] });
  const { snapshot } = translateGateway(input({ httpRoutes: [route], intents: [intent(100, 0)] }));
  t.strictSame(weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]), { "shop/web-stable:80/aaa": 1 });
  t.equal(snapshot.clusters.length, 2);
});

test("translate: endpoints of a version are the ready pods of either Service that carry its hash", async (t) => {
  const route = httpRoute({ rules: [{ backendRefs: [{ name: "web-stable", port: 80 }] }] });
  const { snapshot } = translateGateway(
    input({
      httpRoutes: [route],
      intents: [intent(50, 50)],
      slices: (_namespace, name) =>
        name === "web-stable"
          ? [slice(8081, ["a"]), slice(8082, ["aa"], false)]
          : [slice(8083, ["b__"]), slice(8084, ["a___"])],
      podHash: (_namespace, pod) => (pod.startsWith("a") ? "aaa" : "bbb"),
    }),
  );
  const ports = snapshot.endpoints.map((assignment) =>
    assignment.endpoints.flatMap((locality) =>
      locality.lbEndpoints.map((endpoint) => {
        const host = endpoint.hostIdentifier.case === "endpoint" ? endpoint.hostIdentifier.value : undefined;
        const address = host?.address?.address;
        return address?.case === "socketAddress" ? address.value.portSpecifier.value : undefined;
      }),
    ),
  );
  t.strictSame(ports, [[8081, 8084], [8083]]);
});

test("translate: a canary without any endpoint hands its share to the stable version, never the other way round", async (t) => {
  const route = httpRoute({ rules: [{ backendRefs: [{ name: "web-stable", port: 80 }] }] });
  const withPods = (stable: readonly string[], canary: readonly string[]) =>
    translateGateway(
      input({
        httpRoutes: [route],
        intents: [intent(70, 30)],
        slices: (_namespace, name) =>
          name === "web-stable" ? [slice(8081, stable)] : canary.length > 0 ? [slice(8082, canary)] : [],
        podHash: (_namespace, pod) => (pod.startsWith("a") ? "aaa" : "bbb"),
      }),
    );
  const weights = ({ snapshot }: ReturnType<typeof withPods>) =>
    weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]);
  const short = withPods(["a"], []);
  t.strictSame(weights(short), { "shop/web-stable:80/aaa": 1 });
  const lacking = { why: "version bbb has no endpoint in any Service", clusters: ["shop/web-stable:80/bbb"] };
  t.strictSame([...short.withheld], [["shop/web", lacking]]);
  const full = { "shop/web-stable:80/aaa": 70, "shop/web-stable:80/bbb": 30 };
  t.strictSame(weights(withPods([], ["b"])), full, "an unproven version never gets more than its weight");
  t.strictSame(weights(withPods([], [])), full, "where no version has any, the weights stand");
  t.equal(withPods(["a"], ["b"]).withheld.size, 0);
});

test("translate: a split beside another backend keeps every share exact", async (t) => {
  const backendRefs = [
    { name: "web-stable", port: 80, weight: 3 },
    { name: "other", port: 80, weight: 1 },
  ];
  const { snapshot } = translateGateway(
    input({ httpRoutes: [httpRoute({ rules: [{ backendRefs }] })], intents: [intent(90, 10)] }),
  );
  t.strictSame(weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]), {
    "shop/web-stable:80/aaa": 270,
    "shop/web-stable:80/bbb": 30,
    "shop/other:80": 100,
  });
});

test("translate: a Rollout without an HTTPRoute serves under its Service's names", async (t) => {
  const { snapshot, rollouts } = translateGateway(input({ intents: [intent(100, 0)] }));
  t.strictSame(hostsOf(snapshot.routes[0]), [
    "web-stable",
    "web-stable.shop",
    "web-stable.shop.svc",
    "web-stable.shop.svc.cluster.local",
  ]);
  t.strictSame([...rollouts], [["shop/web", ["shop/edge:8000"]]]);
});

test("translate: an intent confined to other gateways is no split here", async (t) => {
  const route = httpRoute({ rules: [{ backendRefs: [{ name: "web-stable", port: 80 }] }] });
  const confined = { ...intent(50, 50), gateways: ["inner"] };
  const { snapshot, rollouts } = translateGateway(input({ httpRoutes: [route], intents: [confined] }));
  t.strictSame(weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]), { "shop/web-stable:80": 1 });
  t.equal(rollouts.size, 0);
});

test("translate: routes come in the precedence of the Gateway API", async (t) => {
  const backendRefs = [{ name: "other", port: 80 }];
  const rules = [
    { matches: [{ path: { value: "/" } }], backendRefs },
    { matches: [{ path: { value: "/api" } }], backendRefs },
    { matches: [{ path: { value: "/api" }, headers: [{ name: "X-Beta", value: "1" }] }], backendRefs },
    { matches: [{ path: { type: "Exact", value: "/a" } }], backendRefs },
    { matches: [{ path: { value: "/api" }, method: "POST" }], backendRefs },
  ];
  const { snapshot } = translateGateway(input({ httpRoutes: [httpRoute({ rules })] }));
  t.strictSame(
    snapshot.routes[0]?.virtualHosts[0]?.routes.map((route) => route.name),
    ["shop/web/3", "shop/web/4", "shop/web/2", "shop/web/1", "shop/web/0"],
  );
  const match = snapshot.routes[0]?.virtualHosts[0]?.routes[2]?.match;
  t.strictSame(match?.pathSpecifier, { case: "pathSeparatedPrefix", value: "/api" });
  t.equal(match?.headers[0]?.name, "x-beta");
});

test("translate: a rule that says what is not carried out yet answers with 500 and is reported by its field", async (t) => {
  const backendRefs = [{ name: "other", port: 80 }];
  const rules = [
    { matches: [{ path: { type: "Glob", value: "/*" } }], backendRefs },
    { filters: [{ type: "ExtensionRef" }], backendRefs },
    { backendRefs: [{ name: "other" }] },
    { backendRefs: [{ name: "other", port: 80, weight: 0 }] },
    { backendRefs },
  ];
  const { snapshot, problems } = translateGateway(input({ httpRoutes: [httpRoute({ rules })] }));
  t.strictSame(
    snapshot.routes[0]?.virtualHosts[0]?.routes.map((route) => [route.name, ownStatus(route)]),
    [
      ["shop/web/1", 500],
      ["shop/web/2", 500],
      ["shop/web/3", 500],
      ["shop/web/4", undefined],
    ],
    "a match that is not understood takes no request, a rule that is answers them all",
  );
  t.strictSame(
    problems.map((problem) => `${problem.about} ${problem.field}`),
    [
      "HTTPRoute shop/web spec.rules[0].matches[0].path.type",
      "HTTPRoute shop/web spec.rules[1].filters[0]",
      "HTTPRoute shop/web spec.rules[2].backendRefs[0].port",
      "HTTPRoute shop/web spec.rules[3].backendRefs",
    ],
  );
});

test("translate: hosts are those that listener and route have in common", async (t) => {
  const narrow: Gateway = {
    ...gateway,
    spec: {
      gatewayClassName: "weir",
      listeners: [{ name: "http", port: 8000, protocol: "HTTP", hostname: "*.example.com" }],
    },
  };
  const rules = [{ backendRefs: [{ name: "other", port: 80 }] }];
  const hosts = (hostnames: string[]): string[] =>
    hostsOf(
      translateGateway(input({ gateway: narrow, httpRoutes: [httpRoute({ hostnames, rules })] })).snapshot
        .routes[0],
    );
  t.strictSame(hosts(["a.example.com", "example.com", "other.org"]), ["a.example.com"]);
  t.strictSame(hosts(["*.a.example.com"]), ["*.a.example.com"]);
  t.strictSame(hosts([]), ["*.example.com"]);
});

test("translate: routes of other gateways and other namespaces do not attach", async (t) => {
  const rules = [{ backendRefs: [{ name: "other", port: 80 }] }];
  const elsewhere = httpRoute({ parentRefs: [{ name: "inner" }], rules });
  const foreign: HttpRoute = {
    ...httpRoute({ parentRefs: [{ name: "edge", namespace: "shop" }], rules }),
    metadata: { name: "x", namespace: "else" },
  };
  const { snapshot } = translateGateway(input({ httpRoutes: [elsewhere, foreign] }));
  t.strictSame(hostsOf(snapshot.routes[0]), []);
  t.equal(groupOf(gateway), "gateway/shop/edge");
});

test("translate: weights too great for xDS are scaled down, and none of them to nothing", async (t) => {
  const backendRefs = [
    { name: "web-stable", port: 80, weight: 1_000_000 },
    { name: "other", port: 80, weight: 1 },
  ];
  const wide: TrafficIntent = {
    ...intent(1, 999_999),
    maxWeight: 1_000_000,
  };
  const { snapshot } = translateGateway(
    input({ httpRoutes: [httpRoute({ rules: [{ backendRefs }] })], intents: [wide] }),
  );
  const weights = weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]);
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  t.ok(total <= 0xff_ff_ff_ff && total > 0xff_ff_ff_00, `total ${total}`);
  t.ok((weights["shop/web-stable:80/aaa"] ?? 0) >= 1);
  t.ok(Math.abs((weights["shop/web-stable:80/bbb"] ?? 0) / total - 0.999_998) < 1e-6);
});

test("translate: a mirror filter becomes copies to a cluster of their own, marked by fraction", async (t) => {
  const mirror = (name: string, more: object = {}) => ({
    type: "RequestMirror",
    requestMirror: { backendRef: { name, port: 80 }, ...more },
  });
  const rule = (...filters: ReturnType<typeof mirror>[]) =>
    httpRoute({ rules: [{ filters, backendRefs: [{ name: "web-stable", port: 80 }] }] });
  const render = (route: HttpRoute) =>
    translateGateway(input({ httpRoutes: [route], intents: [intent(100, 0)] }));
  const policiesOf = ({ snapshot }: ReturnType<typeof render>) => {
    const action = snapshot.routes[0]?.virtualHosts[0]?.routes[0]?.action;
    return action?.case === "route"
      ? action.value.requestMirrorPolicies.map(({ cluster, runtimeFraction }) => [
          cluster,
          runtimeFraction?.defaultValue?.numerator,
        ])
      : undefined;
  };
  const good = render(
    rule(
      mirror("web-canary", { percent: 5 }),
      mirror("web-other"),
      mirror("web-other", { fraction: { numerator: 1, denominator: 3000 } }),
    ),
  );
  t.strictSame(policiesOf(good), [
    ["shop/web-stable:80/bbb/mirror", 50_000],
    ["shop/web-other:80/mirror", undefined],
    ["shop/web-other:80/mirror", 333],
  ]);
  const names = good.snapshot.clusters.map(({ name }) => name);
  t.ok(names.includes("shop/web-stable:80/bbb/mirror") && names.includes("shop/web-other:80/mirror"));
  t.strictSame(
    good.snapshot.endpoints.map(({ clusterName }) => clusterName),
    names,
  );
  for (const [bad, words] of [
    [{ percent: 101 }, /percent goes from 0 to 100/],
    [{ percent: 5, fraction: { numerator: 1 } }, /one of the two/],
    [{ backendRef: { name: "x", port: 80, kind: "Ingress" } }, /only Services can be mirrors, not Ingress/],
  ] as const) {
    const { problems, snapshot } = render(rule(mirror("web-other", bad)));
    t.match(problems[0]?.message, words);
    const routes = snapshot.routes[0]?.virtualHosts.flatMap((host) => host.routes) ?? [];
    t.strictSame(routes.filter(({ name }) => name.startsWith("shop/web/")).map(ownStatus), [500]);
  }
});

test("translate: a backend that is not there yet is reported, and may come", (t) => {
  const rules = [
    { backendRefs: [{ name: "gone", port: 80 }] },
    { backendRefs: [{ name: "web", port: 99 }] },
    { backendRefs: [{ name: "web", port: 80 }] },
  ];
  const { problems } = translateGateway(
    input({
      httpRoutes: [httpRoute({ rules })],
      service: (_, name) => (name === "gone" ? undefined : service(name)),
    }),
  );
  t.strictSame(
    problems.map(({ field, message, mayPass }) => [field, message, mayPass]),
    [
      [
        "spec.rules[0].backendRefs[0]",
        "Service gone does not exist; requests for it are answered with 503 until it does",
        true,
      ],
      [
        "spec.rules[1].backendRefs[0]",
        "Service web has no port 99; requests for it are answered with 503 until it does",
        true,
      ],
    ],
  );
  t.end();
});
