// Who stays with a version: manifests become hash policies, salts and intervals; what cannot be meant is reported.
import { test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { type TranslateInput, translateGateway } from "../../src/translate/translate.ts";
import { durationMs, type Route } from "../../src/xds/types.ts";
import { httpRoute, input, intent } from "./support.ts";

type Sections = Omit<TrafficPolicy["spec"], "targetRefs">;
type Rule = NonNullable<NonNullable<HttpRoute["spec"]>["rules"]>[number];

const policy = (sections: Sections, kind = "HTTPRoute", name = "web"): TrafficPolicy => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "TrafficPolicy",
  metadata: { name: "stay", namespace: "shop" },
  spec: { targetRefs: [{ kind, name }], ...sections },
});

const BACKEND: Rule = { backendRefs: [{ name: "web-stable", port: 80 }] };

/** What the first route says of its split, as plain data. */
function splitOf(changes: Partial<TranslateInput>, rule: Rule = BACKEND) {
  const { snapshot, problems } = translateGateway(
    input({ httpRoutes: [httpRoute({ rules: [rule] })], intents: [intent(80, 20)], ...changes }),
  );
  return { ...shown(snapshot.routes[0]?.virtualHosts[0]?.routes[0]), problems };
}

function shown(route: Route | undefined) {
  const action = route?.action.case === "route" ? route.action.value : undefined;
  const specifier = action?.clusterSpecifier;
  const weighted = specifier?.case === "weightedClusters" ? specifier.value : undefined;
  return {
    weights: weighted?.clusters.map(({ name, weight }) => [name.replace(/^shop\//, ""), weight]),
    total: weighted?.totalWeight,
    isHashed: weighted?.randomValueSpecifier.case === "useHashPolicy",
    salt: route?.metadata?.filterMetadata["weir.dev"]?.salt,
    keys: action?.hashPolicy.map(({ policySpecifier: { case: kind, value }, terminal }) => {
      if (kind === "cookie")
        return [
          kind,
          value.name,
          durationMs(value.ttl),
          value.path,
          value.attributes.map((one) => `${one.name}=${one.value}`),
          terminal,
        ];
      return kind === "header" ? [kind, value.headerName, terminal] : [kind, terminal];
    }),
  };
}

test("sticky: the section becomes hash policies, the canary first, the Rollout's salt", (t) => {
  const attributes = [{ name: "SameSite", value: "Lax" }, { name: "Secure" }];
  const cookie = { name: "seat", ttl: "24h", path: "/shop", attributes };
  const sticky = { header: "X-User", cookie, clientAddress: true };
  const found = splitOf({ policies: [policy({ sticky })] });
  t.strictSame(found, {
    weights: [
      ["web-stable:80/bbb", 2_000_000],
      ["web-stable:80/aaa", 8_000_000],
    ],
    total: 10_000_000,
    isHashed: true,
    salt: "shop/web/bbb",
    keys: [
      ["header", "x-user", true],
      ["cookie", "seat", 86_400_000, "/shop", ["SameSite=Lax", "Secure="], true],
      ["connectionProperties", true],
    ],
    problems: [],
  });
  t.end();
});

test("sticky: on a Gateway it holds for every route, also for a Rollout's own names; without it nothing is hashed", (t) => {
  const onGateway = [policy({ sticky: { cookie: {} } }, "Gateway", "edge")];
  const named = splitOf({ policies: onGateway });
  t.strictSame(named.keys, [["cookie", "weir-sticky", 0, "/", [], true]]);
  t.strictSame(splitOf({ policies: onGateway, httpRoutes: [] }), named);
  const without = splitOf({});
  t.strictSame([without.isHashed, without.keys, without.salt, without.total], [false, [], undefined, 100]);
  t.end();
});

test("sticky: sessionPersistence goes before the section", (t) => {
  const changes = { policies: [policy({ sticky: { clientAddress: true } })] };
  const persistence = (sessionPersistence: Rule["sessionPersistence"] & object) =>
    splitOf(changes, { ...BACKEND, sessionPersistence });
  t.strictSame(persistence({}).keys, [["cookie", "weir-sticky", 0, "/", [], true]]);
  const permanent = persistence({
    sessionName: "seat",
    type: "Cookie",
    absoluteTimeout: "1h",
    cookieConfig: { lifetimeType: "Permanent" },
  });
  t.strictSame(permanent.keys, [["cookie", "seat", 3_600_000, "/", [], true]]);
  t.strictSame(persistence({ type: "Header", sessionName: "X-Session" }).keys, [
    ["header", "x-session", true],
  ]);
  t.strictSame(splitOf(changes).keys, [["connectionProperties", true]]);
  t.end();
});

test("sticky: what a session cannot have leaves the rule out, and is reported by its field", (t) => {
  const cases: readonly (readonly [Rule["sessionPersistence"] & object, string, RegExp])[] = [
    [{ idleTimeout: "1m" }, "idleTimeout", /not carried out/],
    [{ sessionName: "a b" }, "sessionName", /no name of a cookie or header/],
    [{ type: "Header" }, "sessionName", /needs its name/],
    [{ type: "Header", sessionName: "x", absoluteTimeout: "1h" }, "absoluteTimeout", /no lifetime/],
    [{ type: "Query" }, "type", /is not Cookie or Header/],
    [{ absoluteTimeout: "1h" }, "absoluteTimeout", /browser/],
    [{ cookieConfig: { lifetimeType: "Permanent" } }, "absoluteTimeout", /needs a duration/],
    [{ cookieConfig: { lifetimeType: "Ever" } }, "cookieConfig.lifetimeType", /is not Session or Permanent/],
  ];
  for (const [sessionPersistence, field, message] of cases) {
    const { weights, problems } = splitOf({}, { ...BACKEND, sessionPersistence });
    t.equal(weights, undefined);
    t.match(problems, [
      { about: "HTTPRoute shop/web", field: `spec.rules[0].sessionPersistence.${field}`, message },
    ]);
  }
  t.end();
});

test("sticky: a section that makes no sense is reported and left out", (t) => {
  const cases: readonly (readonly [NonNullable<Sections["sticky"]>, string])[] = [
    [{}, ""],
    [{ clientAddress: false }, ""],
    [{ header: "no name" }, ".header"],
    [{ cookie: { name: "a;b" } }, ".cookie.name"],
    [{ cookie: { ttl: "long" } }, ".cookie.ttl"],
    [{ cookie: { ttl: "-1s" } }, ".cookie.ttl"],
    [{ cookie: { path: "/;x" } }, ".cookie.path"],
    [{ cookie: { attributes: [{ name: "a", value: "b;c" }] } }, ".cookie.attributes[0]"],
    [{ cookie: { attributes: [{ name: "a", value: "b".repeat(1024) }] } }, ".cookie.attributes"],
  ];
  for (const [sticky, field] of cases) {
    const { isHashed, weights, problems } = splitOf({ policies: [policy({ sticky })] });
    t.strictSame([isHashed, weights?.length], [false, 2], "the split itself stays");
    t.match(problems, [
      { about: "TrafficPolicy shop/stay", field: `spec.sticky${field}`, message: /clients do not stay/ },
    ]);
  }
  t.end();
});

test("sticky: plain backends grow against the first one, and their salt is the route's", (t) => {
  const policies = [policy({ sticky: { clientAddress: true } })];
  const backendRefs = [
    { name: "web-a", port: 80, weight: 90 },
    { name: "web-b", port: 80, weight: 7 },
    { name: "web-c", port: 80, weight: 3 },
  ];
  const found = splitOf({ policies, intents: [] }, { backendRefs });
  t.strictSame(found.weights, [
    ["web-b:80", 700_000],
    ["web-a:80", 9_000_000],
    ["web-c:80", 300_000],
  ]);
  t.equal(found.salt, "shop/web");
  t.end();
});

test("sticky: a Rollout beside other backends keeps its versions together", (t) => {
  const policies = [policy({ sticky: { clientAddress: true } })];
  const backendRefs = [
    { name: "web", port: 80, weight: 3 },
    { name: "web-stable", port: 80, weight: 1 },
  ];
  const found = splitOf({ policies }, { backendRefs });
  t.strictSame(found.weights, [
    ["web-stable:80/bbb", 500_000],
    ["web-stable:80/aaa", 2_000_000],
    ["web:80", 7_500_000],
  ]);
  t.equal(found.salt, "shop/web/bbb");
  t.end();
});
