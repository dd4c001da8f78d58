// What a request must be: matches of an HTTPRoute and the section `match` of a TrafficPolicy as xDS matches; what cannot be meant is reported, and
// its match left out.
import { test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { normalEscapes } from "../../src/lib/uripath.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import { RouteMatchSchema, toJson, unsupportedFields } from "../../src/xds/types.ts";
import { httpRoute, input } from "./support.ts";

type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;
type Match = NonNullable<NonNullable<NonNullable<HttpRoute["spec"]>["rules"]>[number]["matches"]>[number];
type Conditions = NonNullable<Sections["match"]>;

const policy = (
  sections: Sections,
  kind = "HTTPRoute",
  name = "web",
  sectionName?: string,
): TrafficPolicy => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "TrafficPolicy",
  metadata: { name: "asked", namespace: "shop" },
  spec: { targetRefs: [{ kind, name, ...(sectionName && { sectionName }) }], ...sections },
});
const backendRefs = [{ name: "other", port: 80 }];

/** The matches as JSON in the wire's names, in their order, and what is reported. */
function matchesOf(matches: readonly Match[], policies: readonly TrafficPolicy[] = []) {
  const rules = matches.map((match) => ({ matches: [match], backendRefs }));
  const { snapshot, problems } = translateGateway(input({ httpRoutes: [httpRoute({ rules })], policies }));
  const [configuration] = snapshot.routes;
  if (configuration === undefined) throw new Error("no routes");
  const routes = configuration.virtualHosts[0]?.routes ?? [];
  return {
    found: routes.map(({ match }) => match && toJson(RouteMatchSchema, match, { useProtoFieldName: true })),
    order: routes.map(({ name }) => name),
    problems: problems.map(({ about, field, message }) => `${about} ${field}: ${message}`),
    unsupported: unsupportedFields("routes", configuration),
  };
}

test("conditions: patterns and parameters of an HTTPRoute reach the match, in words that the proxy takes", (t) => {
  const { found, problems, unsupported } = matchesOf([
    {
      path: { type: "RegularExpression", value: "/v[0-9]+/.*" },
      headers: [
        { name: "X-User", type: "RegularExpression", value: "a.*" },
        { name: "x-user", value: "second" },
      ],
      queryParams: [
        { name: "q", value: "x y" },
        { name: "q", value: "second" },
        { name: "r", type: "RegularExpression", value: "[0-9]+" },
      ],
    },
  ]);
  t.strictSame(found, [
    {
      safe_regex: { regex: "/v[0-9]+/.*" },
      headers: [{ name: "x-user", string_match: { safe_regex: { regex: "a.*" } } }],
      query_parameters: [
        { name: "q", string_match: { exact: "x y" } },
        { name: "r", string_match: { safe_regex: { regex: "[0-9]+" } } },
      ],
    },
  ]);
  t.strictSame([problems, unsupported], [[], []]);
  t.end();
});

test("conditions: a path is spelt as requests will be, unless they are left as they come", (t) => {
  const paths = ["/%61%2d/{x}", "/caf\u00e9", "/a%c3%a9/", "/a%2fb"];
  const matches = paths.map((value): Match => ({ path: { type: "Exact", value } }));
  const spelt = (policies: readonly TrafficPolicy[]): readonly string[] =>
    matches.map((match) => JSON.stringify(matchesOf([match], policies).found[0]));
  t.strictSame(spelt([]), [
    '{"path":"/a-/%7Bx%7D"}',
    '{"path":"/caf%C3%A9"}',
    '{"path":"/a%C3%A9/"}',
    '{"path":"/a%2Fb"}',
  ]);
  const off = policy({ normalization: { path: false } }, "Gateway", "edge");
  t.strictSame(
    spelt([off]),
    paths.map((path) => JSON.stringify({ path })),
  );
  const kept = policy({ normalization: { pathParameters: "keep" } }, "Gateway", "edge");
  t.strictSame(matchesOf([{ path: { type: "Exact", value: "/a;b" } }], [kept]).found, [{ path: "/a;b" }]);
  t.equal(normalEscapes("/%4"), undefined);
  t.equal(normalEscapes("/%zz"), undefined);
  t.equal(normalEscapes("/\ud800"), "/%EF%BF%BD");
  t.end();
});

test("conditions: the section match adds to each match of the rules that it is put on", (t) => {
  const match: Conditions = {
    headers: [
      { name: "X-Build", range: { from: 10, to: 20 } },
      { name: "x-kind", prefix: "be", ignoreCase: true, not: true },
      { name: "x-debug", present: false },
    ],
    queryParams: [
      { name: "v", contains: "2" },
      { name: "off", present: false },
    ],
    cookies: [
      { name: "canary", exact: "always" },
      { name: "opt-out", present: true, not: true },
      { name: "seen", present: true },
    ],
  };
  const { found, problems, unsupported } = matchesOf(
    [{ headers: [{ name: "x-own", value: "1" }] }],
    [policy({ match })],
  );
  t.strictSame(found, [
    {
      prefix: "/",
      headers: [
        { name: "x-own", string_match: { exact: "1" } },
        { name: "x-build", range_match: { start: "10", end: "20" } },
        { name: "x-kind", string_match: { prefix: "be", ignore_case: true }, invert_match: true },
        { name: "x-debug", present_match: false },
      ],
      query_parameters: [
        { name: "v", string_match: { contains: "2" } },
        { name: "off", present_match: false },
      ],
      cookies: [
        { name: "canary", string_match: { exact: "always" } },
        { name: "opt-out", string_match: { safe_regex: { regex: ".*" } }, invert_match: true },
        { name: "seen", string_match: { safe_regex: { regex: ".*" } } },
      ],
    },
  ]);
  t.strictSame([problems, unsupported], [[], []]);
  t.end();
});

test("conditions: a rule with conditions comes before the same rule without, and patterns between exact paths and prefixes", (t) => {
  const rules = [
    { name: "plain", backendRefs },
    { name: "canary", backendRefs },
    { matches: [{ path: { type: "RegularExpression", value: "/a.*" } }], backendRefs },
    { matches: [{ path: { type: "Exact", value: "/a" } }], backendRefs },
    { matches: [{ path: { value: "/abc" } }], backendRefs },
    { matches: [{ queryParams: [{ name: "q", value: "1" }] }], backendRefs },
  ];
  const policies = [
    policy({ match: { cookies: [{ name: "c", exact: "1" }] } }, "HTTPRoute", "web", "canary"),
  ];
  const { snapshot } = translateGateway(input({ httpRoutes: [httpRoute({ rules })], policies }));
  t.strictSame(
    snapshot.routes[0]?.virtualHosts[0]?.routes.map(({ name }) => name),
    ["shop/web/3", "shop/web/2", "shop/web/4", "shop/web/1", "shop/web/5", "shop/web/0"],
  );
  t.end();
});

test("conditions: what cannot be meant leaves its match out and is reported by its field", (t) => {
  const cases: readonly (readonly [Match, string])[] = [
    [{ path: { type: "RegularExpression", value: "/(?=a)" } }, "path.value: is no pattern in RE2's syntax"],
    [{ path: { type: "Glob", value: "/*" } }, 'path.type: "Glob" is not Exact'],
    [{ path: { value: "/a/../b" } }, "path.value: no request has // or a dot segment"],
    [{ path: { value: "/a//b" } }, "path.value: no request has //"],
    [{ path: { value: "/a;b" } }, "path.value: no request has a ; in its path"],
    [{ path: { value: "/%4" } }, 'path.value: "/%4" is no path'],
    [{ path: { value: "a" } }, 'path.value: "a" is no path'],
    [{ headers: [{ name: "x", type: "RegularExpression", value: "(" }] }, "headers[0].value: is no pattern"],
    [{ headers: [{ name: "x", type: "Prefix", value: "a" }] }, 'headers[0].type: "Prefix" is not Exact'],
    [{ headers: [{ name: "", value: "a" }] }, "headers[0].name: is empty"],
    [{ headers: [{ name: ":scheme", value: "https" }] }, 'headers[0].name: ":scheme" is no name of a header'],
    [
      { queryParams: [{ name: "x", type: "RegularExpression", value: "" }] },
      "queryParams[0].value: is an empty",
    ],
  ];
  for (const [match, want] of cases) {
    const { found, problems } = matchesOf([match]);
    t.strictSame(found, [], want);
    t.equal(problems.length, 1, want);
    t.ok(problems[0]?.startsWith(`HTTPRoute shop/web spec.rules[0].matches[0].${want}`), want);
  }
  const sections: readonly (readonly [Conditions, string])[] = [
    [{ headers: [{ name: "x" }] }, "headers[0]: needs exactly one of"],
    [{ headers: [{ name: "x", exact: "a", prefix: "b" }] }, "headers[0]: needs exactly one of"],
    [{ headers: [{ name: "x", exact: "a", range: { from: 1, to: 2 } }] }, "headers[0]: needs exactly one of"],
    [{ headers: [{ name: "x", range: { from: 2, to: 2 } }] }, "headers[0].range: no number"],
    [{ headers: [{ name: "", exact: "a" }] }, "headers[0].name: is empty"],
    [{ headers: [{ name: "a b", present: true }] }, 'headers[0].name: "a b" is no name of a header'],
    [{ cookies: [{ name: "x", regex: "[" }] }, "cookies[0].regex: is no pattern"],
    [{ cookies: [{ name: "x", regex: "a", ignoreCase: true }] }, "cookies[0].regex: write (?i)"],
    [{ queryParams: [{ name: "x", prefix: "" }] }, "queryParams[0].prefix: is empty"],
  ];
  for (const [match, want] of sections) {
    const { found, problems } = matchesOf([{}], [policy({ match })]);
    t.strictSame(found, [], want);
    t.equal(problems.length, 1, want);
    t.ok(problems[0]?.startsWith(`TrafficPolicy shop/asked spec.match.${want}`), want);
  }
  t.end();
});
