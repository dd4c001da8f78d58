// Filters of rules and backends: what becomes of them in xDS, and what is refused by its field.
import { test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import type { Route } from "../../src/xds/types.ts";
import { httpRoute, input, intent, ownStatus } from "./support.ts";

type Rule = NonNullable<NonNullable<HttpRoute["spec"]>["rules"]>[number];
type Filter = NonNullable<Rule["filters"]>[number];

const BACKENDS = [{ name: "web-stable", port: 80 }];

function routesOf(rule: Rule, policies: readonly TrafficPolicy[] = []) {
  const { snapshot, problems } = translateGateway(
    input({ httpRoutes: [httpRoute({ rules: [rule] })], intents: [intent(80, 20)], policies }),
  );
  const all = snapshot.routes[0]?.virtualHosts.flatMap((host) => host.routes) ?? [];
  // Without a backend the Rollout serves under its own names beside.
  return { routes: all.filter(({ name }) => name.startsWith("shop/web/")), problems };
}

const editsIn = (
  message: Pick<
    Route,
    "requestHeadersToAdd" | "requestHeadersToRemove" | "responseHeadersToAdd" | "responseHeadersToRemove"
  >,
) => ({
  request: message.requestHeadersToAdd.map(({ header, appendAction }) => [
    header?.key,
    header?.value,
    appendAction,
  ]),
  requestGone: message.requestHeadersToRemove,
  response: message.responseHeadersToAdd.map(({ header, appendAction }) => [
    header?.key,
    header?.value,
    appendAction,
  ]),
  responseGone: message.responseHeadersToRemove,
});

test("filters: header modifiers set, add and remove; a percent sign is one", (t) => {
  const filters: Filter[] = [
    {
      type: "RequestHeaderModifier",
      requestHeaderModifier: {
        set: [{ name: "X-Set", value: "100%" }],
        add: [{ name: "X-Add", value: "" }],
        remove: ["X-Gone"],
      },
    },
    { type: "ResponseHeaderModifier", responseHeaderModifier: { set: [{ name: "X-Set", value: "1" }] } },
  ];
  const { routes, problems } = routesOf({ filters, backendRefs: BACKENDS });
  t.strictSame(problems, []);
  // 0 appends, 2 overwrites.
  t.strictSame(routes.map(editsIn), [
    {
      request: [
        ["X-Set", "100%%", 2],
        ["X-Add", "", 0],
      ],
      requestGone: ["X-Gone"],
      response: [["X-Set", "1", 2]],
      responseGone: [],
    },
  ]);
  t.end();
});

/** The edits of each version: request fields that are set. */
function versions(rule: Rule): unknown {
  const action = routesOf(rule).routes[0]?.action;
  const specifier = action?.case === "route" ? action.value.clusterSpecifier : undefined;
  return specifier?.case === "weightedClusters"
    ? specifier.value.clusters.map((one) => [
        one.name,
        one.weight,
        editsIn(one).request.map(([key, value]) => `${key}: ${value}`),
      ])
    : specifier?.value;
}

test("filters: those of a backend go with its versions; of a Rollout with both Services named, each with its own", (t) => {
  const mark = (value: string): Filter[] => [
    { type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "x-mark", value }] } },
  ];
  const [stable, canary] = ["shop/web-stable:80/aaa", "shop/web-stable:80/bbb"];
  const named = (name: string, value?: string, weight = 1) => ({
    name,
    port: 80,
    weight,
    ...(value !== undefined && { filters: mark(value) }),
  });
  t.strictSame(versions({ backendRefs: [named("web-stable", "both")] }), [
    [canary, 20, ["x-mark: both"]],
    [stable, 80, ["x-mark: both"]],
  ]);
  for (const backendRefs of [
    [named("web-stable", "old"), named("web-canary", "new", 0)],
    [named("web-canary", "new", 0), named("web-stable", "old")],
  ])
    t.strictSame(versions({ backendRefs }), [
      [canary, 20, ["x-mark: new"]],
      [stable, 80, ["x-mark: old"]],
    ]);
  t.strictSame(versions({ backendRefs: [named("web-stable"), named("web-canary", "new")] }), [
    [canary, 40, ["x-mark: new"]],
    [stable, 160, []],
  ]);
  t.strictSame(versions({ backendRefs: [named("web", "one")] }), [["shop/web:80", 1, ["x-mark: one"]]]);
  t.strictSame(versions({ backendRefs: [named("web")] }), "shop/web:80");
  t.end();
});

const shown = ({ match, action }: Route): unknown[] => {
  const specifier = match?.pathSpecifier;
  const path = specifier?.case === "safeRegex" ? specifier.value.regex : specifier?.value;
  if (action.case === "redirect") {
    const { hostRedirect, portRedirect, responseCode, schemeRewriteSpecifier, pathRewriteSpecifier } =
      action.value;
    return [
      path,
      responseCode,
      schemeRewriteSpecifier.value,
      hostRedirect,
      portRedirect,
      pathRewriteSpecifier.case,
      pathRewriteSpecifier.value,
    ];
  }
  const value = action.case === "route" ? action.value : undefined;
  return [specifier?.case, path, value?.prefixRewrite, value?.hostRewriteSpecifier.value];
};

test("filters: URLRewrite replaces prefixes, whole paths and hosts", (t) => {
  const rewritten = (path: Rule["matches"] & object, urlRewrite: Filter["urlRewrite"] & object) => {
    const { routes, problems } = routesOf({
      matches: path,
      filters: [{ type: "URLRewrite", urlRewrite }],
      backendRefs: BACKENDS,
    });
    t.strictSame(problems, []);
    return routes.map(shown);
  };
  const under = (value: string): Rule["matches"] & object => [{ path: { type: "PathPrefix", value } }];
  const prefix = (replacePrefixMatch: string) => ({
    path: { type: "ReplacePrefixMatch", replacePrefixMatch },
  });
  const full = { path: { type: "ReplaceFullPath", replaceFullPath: "/new" } };
  t.strictSame(rewritten(under("/api"), prefix("/v2/")), [["pathSeparatedPrefix", "/api", "/v2", undefined]]);
  t.strictSame(rewritten(under("/api"), prefix("/")), [
    ["path", "/api", "/", undefined],
    ["prefix", "/api/", "/", undefined],
  ]);
  t.strictSame(rewritten(under("/"), prefix("/v2")), [["prefix", "/", "/v2/", undefined]]);
  t.strictSame(rewritten(under("/"), prefix("/")), [["prefix", "/", "", undefined]]);
  t.strictSame(rewritten(under("/a.b"), full), [["safeRegex", "/a\\.b(/.*)?", "/new", undefined]]);
  t.strictSame(rewritten(under("/"), full), [["safeRegex", "/.*", "/new", undefined]]);
  t.strictSame(rewritten([{ path: { type: "Exact", value: "/one" } }], full), [
    ["path", "/one", "/new", undefined],
  ]);
  t.strictSame(rewritten(under("/api"), { hostname: "inner.test" }), [
    ["pathSeparatedPrefix", "/api", "", "inner.test"],
  ]);
  t.end();
});

test("filters: RequestRedirect states what it says, and the port that goes with the scheme or the listener", (t) => {
  const redirected = (requestRedirect: Filter["requestRedirect"] & object) => {
    const matches = [{ path: { value: "/api" } }];
    const { routes, problems } = routesOf({
      matches,
      filters: [{ type: "RequestRedirect", requestRedirect }],
    });
    t.strictSame(problems, []);
    return routes.map(shown);
  };
  // 1 is 302, 0 is 301, 4 is 308.
  t.strictSame(redirected({}), [["/api", 1, undefined, "", 8000, undefined, undefined]]);
  t.strictSame(redirected({ scheme: "https", statusCode: 301 }), [
    ["/api", 0, "https", "", 443, undefined, undefined],
  ]);
  t.strictSame(
    redirected({
      scheme: "http",
      hostname: "o.test",
      port: 81,
      statusCode: 308,
      path: { type: "ReplaceFullPath", replaceFullPath: "/new" },
    }),
    [["/api", 4, "http", "o.test", 81, "pathRedirect", "/new"]],
  );
  t.strictSame(redirected({ path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } }), [
    ["/api", 1, undefined, "", 8000, "prefixRewrite", "/"],
    ["/api/", 1, undefined, "", 8000, "prefixRewrite", "/"],
  ]);
  t.end();
});

const headers = (requestHeaderModifier: Filter["requestHeaderModifier"] & object): Filter[] => [
  { type: "RequestHeaderModifier", requestHeaderModifier },
];
const rewrite = (urlRewrite: Filter["urlRewrite"] & object): Filter[] => [{ type: "URLRewrite", urlRewrite }];
const redirect = (requestRedirect: Filter["requestRedirect"] & object): Filter[] => [
  { type: "RequestRedirect", requestRedirect },
];
const EXACT = [{ path: { type: "Exact", value: "/one" } }];
const REFUSED: readonly (readonly [rule: Rule, field: string, message: RegExp])[] = [
  [
    { filters: headers({ set: [{ name: "Host", value: "x" }] }) },
    "filters[0].requestHeaderModifier.set[0]",
    /Host may not be edited/,
  ],
  [
    { filters: headers({ add: [{ name: "a b", value: "x" }] }) },
    "filters[0].requestHeaderModifier.add[0]",
    /is no header name/,
  ],
  [
    { filters: headers({ add: [{ name: "a", value: "x\n" }] }) },
    "filters[0].requestHeaderModifier.add[0]",
    /control byte/,
  ],
  [
    { filters: headers({ remove: ["Connection"] }) },
    "filters[0].requestHeaderModifier.remove[0]",
    /Connection may not be edited/,
  ],
  [
    { filters: headers({ add: [{ name: "a", value: "x".repeat(9_000) }] }) },
    "filters[0].requestHeaderModifier",
    /adds more than 8192 bytes/,
  ],
  [{ filters: [...headers({}), ...headers({})] }, "filters[1]", /stands twice/],
  [{ filters: [{ type: "CORS" }] }, "filters[0]", /CORS is not carried out/],
  [{ filters: rewrite({ hostname: "a b" }) }, "filters[0].urlRewrite.hostname", /is no host name/],
  [
    { filters: rewrite({ path: { type: "Other" } }) },
    "filters[0].urlRewrite.path.type",
    /is not ReplaceFullPath/,
  ],
  [
    { filters: rewrite({ path: { type: "ReplaceFullPath", replaceFullPath: "/a?b" } }) },
    "filters[0].urlRewrite.path.replaceFullPath",
    /is no path without a query/,
  ],
  [
    { matches: EXACT, filters: rewrite({ path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/x" } }) },
    "filters[0].urlRewrite.path.type",
    /needs a match of type PathPrefix/,
  ],
  [{ filters: [...rewrite({}), ...redirect({})] }, "filters[0].urlRewrite", /redirects forwards nothing/],
  [{ filters: redirect({}), backendRefs: BACKENDS }, "backendRefs", /redirects has no backends/],
  [{ filters: redirect({ scheme: "ftp" }) }, "filters[0].requestRedirect.scheme", /is not http or https/],
  [{ filters: redirect({ statusCode: 300 }) }, "filters[0].requestRedirect.statusCode", /300 is not 301/],
  [
    { backendRefs: [{ name: "web", port: 80, filters: rewrite({}) }] },
    "backendRefs[0].filters[0]",
    /URLRewrite is not carried out here/,
  ],
  [
    {
      backendRefs: [
        { name: "web", port: 80, filters: headers({ remove: ["x"] }) },
        { name: "web", port: 80 },
      ],
    },
    "backendRefs[1].filters",
    /named before with other filters/,
  ],
];

test("filters: what cannot be carried out answers with 500, and is reported by its field", (t) => {
  for (const [rule, field, message] of REFUSED) {
    const isRedirect = rule.filters?.some(({ type }) => type === "RequestRedirect") ?? false;
    const { routes, problems } = routesOf(isRedirect ? rule : { backendRefs: BACKENDS, ...rule });
    t.strictSame(routes.map(ownStatus), [500], field);
    t.match(problems, [{ about: "HTTPRoute shop/web", field: `spec.rules[0].${field}`, message }]);
  }
  t.end();
});

test("filters: a TrafficPolicy's directResponse answers a rule without backends", (t) => {
  const policy = (directResponse: TrafficPolicy["spec"]["directResponse"] & object): TrafficPolicy => ({
    apiVersion: "weir.dev/v1alpha1",
    kind: "TrafficPolicy",
    metadata: { name: "closed", namespace: "shop" },
    spec: { targetRefs: [{ kind: "HTTPRoute", name: "web" }], directResponse },
  });
  const { routes, problems } = routesOf({}, [
    policy({ status: 503, body: "{}", contentType: "application/json" }),
  ]);
  t.strictSame(problems, []);
  const action = routes[0]?.action;
  t.match(action, { case: "directResponse", value: { status: 503, body: { specifier: { value: "{}" } } } });
  t.strictSame(
    routes.map((route) => editsIn(route).response),
    [[["content-type", "application/json", 2]]],
  );
  for (const [section, field] of [
    [{ status: 99 }, "status"],
    [{ status: 200, body: "x".repeat(4097) }, "body"],
    [{ status: 204, body: "x" }, "body"],
    [{ status: 200, contentType: "a\nb" }, "contentType"],
  ] as const) {
    const bad = routesOf({ backendRefs: BACKENDS }, [policy(section)]);
    t.equal(bad.routes[0]?.action.case, "route", "requests are forwarded");
    t.match(bad.problems, [{ about: "TrafficPolicy shop/closed", field: `spec.directResponse.${field}` }]);
  }
  t.end();
});
