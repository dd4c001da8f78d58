// Managed routes of Rollouts: header routes before the weighted one, mirror routes with copies, both on top of a rule's own match.
import { test } from "tap";
import type { HttpRoute, ManagedRoute, TrafficIntent } from "../../src/api/api.ts";
import { type TranslateInput, translateGateway } from "../../src/translate/translate.ts";
import type { Route } from "../../src/xds/types.ts";
import { httpRoute, input, intent, slice, weightsOf } from "./support.ts";

const beta: ManagedRoute = {
  kind: "header",
  name: "beta",
  matches: [{ name: "X-Group", value: { kind: "exact", value: "b" } }],
};
const copies: ManagedRoute = {
  kind: "mirror",
  name: "copies",
  matches: [{ method: { kind: "exact", value: "GET" }, headers: [] }],
  percent: 35,
};
const withRoutes = (...routes: readonly ManagedRoute[]): TrafficIntent => ({ ...intent(100, 0), routes });
const STABLE = "shop/web-stable:80/aaa";
const CANARY = "shop/web-stable:80/bbb";

function translated(
  spec: HttpRoute["spec"] | undefined,
  intents: readonly TrafficIntent[],
  changes: Partial<TranslateInput> = {},
) {
  return translateGateway(
    input({
      httpRoutes: spec === undefined ? [] : [httpRoute(spec)],
      intents,
      slices: (_namespace, name) => [slice(8080, name.endsWith("stable") ? ["a"] : ["bb"])],
      podHash: (_namespace, pod) => (pod === "a" ? "aaa" : "bbb"),
      ...changes,
    }),
  );
}

const routesOf = ({ snapshot }: ReturnType<typeof translated>): readonly Route[] =>
  snapshot.routes[0]?.virtualHosts[0]?.routes ?? [];

/** A route in one line: its name, what it matches, where it leads, what it copies. */
function words(route: Route): string {
  const { match } = route;
  const path = match?.pathSpecifier;
  const headers = (match?.headers ?? []).map(({ name, headerMatchSpecifier: is }) => {
    const pattern = is.case === "stringMatch" ? is.value.matchPattern : undefined;
    const value = pattern?.case === "safeRegex" ? pattern.value.regex : pattern?.value;
    return `${name} ${pattern?.case} ${String(value)}`;
  });
  const action = route.action.case === "route" ? route.action.value : undefined;
  const mirrors = (action?.requestMirrorPolicies ?? []).map(({ cluster, runtimeFraction }) => {
    const numerator = runtimeFraction?.defaultValue?.numerator ?? 100;
    return `copies ${numerator} to ${cluster}`;
  });
  const conditions = [String(path?.value), ...headers].join(", ");
  return [`${route.name} [${conditions}]`, JSON.stringify(weightsOf(route)), ...mirrors].join(" ");
}

const RULE = { backendRefs: [{ name: "web-stable", port: 80 }] };

test("managed routes: a header route stands before the weighted one and leads to the canary alone", async (t) => {
  const translation = translated({ rules: [RULE] }, [withRoutes(beta)]);
  t.strictSame(translation.problems, []);
  t.strictSame(routesOf(translation).map(words), [
    `shop/web/0~beta [/, x-group exact b] {"${CANARY}":1}`,
    `shop/web/0 [/] {"${STABLE}":1}`,
  ]);
});

test("managed routes: matches are alternatives, and every kind of comparison is carried out", async (t) => {
  const route: ManagedRoute = {
    ...beta,
    matches: [
      ...beta.matches,
      { name: "user-agent", value: { kind: "prefix", value: "Mozilla" } },
      { name: "cookie", value: { kind: "regex", value: "(.*; ?)?group=b(;.*)?" } },
    ],
  };
  t.strictSame(routesOf(translated({ rules: [RULE] }, [withRoutes(route)])).map(words), [
    `shop/web/0~beta [/, x-group exact b] {"${CANARY}":1}`,
    `shop/web/0~beta.1 [/, user-agent prefix Mozilla] {"${CANARY}":1}`,
    `shop/web/0~beta.2 [/, cookie safeRegex (.*; ?)?group=b(;.*)?] {"${CANARY}":1}`,
    `shop/web/0 [/] {"${STABLE}":1}`,
  ]);
});

test("managed routes: an HTTPRoute's own match and precedence hold for them, too", async (t) => {
  const rules = [
    { ...RULE, matches: [{ path: { value: "/" } }] },
    { ...RULE, matches: [{ path: { value: "/api" }, headers: [{ name: "x-env", value: "live" }] }] },
    { backendRefs: [{ name: "other", port: 80 }], matches: [{ path: { value: "/api/old" } }] },
  ];
  t.strictSame(
    routesOf(translated({ rules }, [withRoutes(beta)])).map(words),
    [
      `shop/web/2 [/api/old] {"shop/other:80":1}`,
      `shop/web/1~beta [/api, x-env exact live, x-group exact b] {"${CANARY}":1}`,
      `shop/web/1 [/api, x-env exact live] {"${STABLE}":1}`,
      `shop/web/0~beta [/, x-group exact b] {"${CANARY}":1}`,
      `shop/web/0 [/] {"${STABLE}":1}`,
    ],
    "a header never takes a request away from a narrower rule",
  );
});

test("managed routes: they are tried in their order, and a mirror route follows the weights", async (t) => {
  const both = { ...withRoutes(copies, beta), versions: intent(80, 20).versions };
  t.strictSame(routesOf(translated({ rules: [RULE] }, [both])).map(words), [
    `shop/web/0~copies [/, :method exact GET] {"${CANARY}":20,"${STABLE}":80} copies 35 to ${CANARY}/mirror`,
    `shop/web/0~beta [/, x-group exact b] {"${CANARY}":1}`,
    `shop/web/0 [/] {"${CANARY}":20,"${STABLE}":80}`,
  ]);
});

test("managed routes: the path of a mirror match is compared without its query", async (t) => {
  const at = (path: { kind: "exact" | "prefix" | "regex"; value: string }): ManagedRoute => ({
    ...copies,
    percent: 100,
    matches: [{ path, headers: [{ name: "x", value: { kind: "exact", value: "1" } }] }],
  });
  const first = (path: { kind: "exact" | "prefix" | "regex"; value: string }): string | undefined =>
    routesOf(translated({ rules: [RULE] }, [withRoutes(at(path))])).map(words)[0];
  const line = (path: string): string =>
    `shop/web/0~copies [/, :path ${path}, x exact 1] {"${STABLE}":1} copies 100 to ${CANARY}/mirror`;
  t.equal(first({ kind: "exact", value: "/a.b" }), line("safeRegex /a\\.b(?:\\?.*)?"));
  t.equal(first({ kind: "prefix", value: "/a" }), line("prefix /a"));
  t.equal(first({ kind: "regex", value: "/a|/b" }), line("safeRegex (?:/a|/b)(?:\\?.*)?"));
});

test("managed routes: beside another backend only the Rollout's share goes to the canary", async (t) => {
  const backendRefs = [
    { name: "web-canary", port: 80, weight: 3 },
    { name: "other", port: 80, weight: 1 },
  ];
  const [first, last] = routesOf(translated({ rules: [{ backendRefs }] }, [withRoutes(beta)]));
  t.strictSame(weightsOf(first), { [CANARY]: 300, "shop/other:80": 100 });
  t.strictSame(weightsOf(last), { [STABLE]: 300, "shop/other:80": 100 });
});

test("managed routes: two Rollouts behind one rule have theirs each, and both together", async (t) => {
  const other: TrafficIntent = {
    ...withRoutes({
      ...beta,
      name: "dark",
      matches: [{ name: "x-dark", value: { kind: "exact", value: "1" } }],
    }),
    rollout: "api",
    stableService: "api-stable",
    canaryService: "api-canary",
  };
  const backendRefs = [
    { name: "web-stable", port: 80 },
    { name: "api-stable", port: 80 },
  ];
  const routes = routesOf(translated({ rules: [{ backendRefs }] }, [withRoutes(beta), other]));
  t.strictSame(
    routes.map((route) => [
      route.name,
      Object.keys(weightsOf(route)).map((name) => name.replace("shop/", "")),
    ]),
    [
      ["shop/web/0~beta~dark", ["web-stable:80/bbb", "api-stable:80/bbb"]],
      ["shop/web/0~beta", ["web-stable:80/bbb", "api-stable:80/aaa"]],
      ["shop/web/0~dark", ["web-stable:80/aaa", "api-stable:80/bbb"]],
      ["shop/web/0", ["web-stable:80/aaa", "api-stable:80/aaa"]],
    ],
  );
});

test("managed routes: a Rollout without an HTTPRoute has them under its Service's names", async (t) => {
  const translation = translated(undefined, [withRoutes(beta, copies)]);
  t.strictSame(routesOf(translation).map(words), [
    `shop/web-stable:80~beta [/, x-group exact b] {"${CANARY}":1}`,
    `shop/web-stable:80~copies [/, :method exact GET] {"${STABLE}":1} copies 35 to ${CANARY}/mirror`,
    `shop/web-stable:80 [/] {"${STABLE}":1}`,
  ]);
  t.strictSame(
    translation.snapshot.clusters.map(({ name }) => name),
    [STABLE, CANARY, `${CANARY}/mirror`],
  );
});

test("managed routes: a canary without an endpoint is led nobody to, which is said", async (t) => {
  const translation = translated({ rules: [RULE] }, [withRoutes(beta, copies)], {
    slices: (_namespace, name) => (name === "web-stable" ? [slice(8080, ["a"])] : []),
  });
  t.strictSame(
    routesOf(translation).map(({ name }) => name),
    ["shop/web/0~copies", "shop/web/0"],
  );
  const { why } = translation.withheld.get("shop/web") ?? {};
  t.equal(why, "version bbb has no endpoint in any Service");
});

test("managed routes: without a canary there are none", async (t) => {
  const promoted = { ...withRoutes(beta, copies), versions: intent(100, 0).versions.slice(0, 1) };
  const translation = translated({ rules: [RULE] }, [promoted]);
  t.strictSame(routesOf(translation).map(words), [`shop/web/0 [/] {"${STABLE}":1}`]);
});

test("managed routes: a pattern that cannot be read is left out and told", async (t) => {
  const broken: ManagedRoute = {
    ...beta,
    matches: [{ name: "x", value: { kind: "regex", value: "(" } }, ...beta.matches],
  };
  const { problems, ...rest } = translated({ rules: [RULE] }, [withRoutes(broken)]);
  t.strictSame(
    routesOf({ problems, ...rest }).map(({ name }) => name),
    ["shop/web/0~beta", "shop/web/0"],
  );
  t.equal(problems[0]?.about, "Rollout shop/web");
  t.match(problems[0]?.message, /^"\(" is no pattern in RE2's syntax: .*; the match is left out$/);
});
