// From manifests to which rule serves: matches of an HTTPRoute, conditions and normalization of TrafficPolicies.
import { type Test, test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import type { TranslateInput } from "../../src/translate/translate.ts";
import { bootstrapFor } from "../support/translated.ts";
import { gateway, httpRoute, input, slice } from "../translate/support.ts";
import { recordingOrigin, startBootstrap, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };
type Rules = NonNullable<HttpRoute["spec"]>["rules"] & object;
type Policy = TrafficPolicy["spec"];

/**
 * A proxy for the Gateway `edge`. Rules lead to Services `web-<port name>`; the answer is `<service> <target> <host>`, or the status of a refusal.
 * A target is asked for by GET, or as the request line's begin says: `POST /`.
 */
async function edge(
  t: Test,
  rules: Rules,
  policies: readonly Policy[] = [],
  more: Partial<TranslateInput> = {},
) {
  const services = new Map<string, number>();
  for (const name of ["web-one", "web-two", "web-three"]) {
    const origin = await recordingOrigin(t, (seen, response) =>
      response.end(`<${name} ${seen.url} ${seen.headers.host}>`),
    );
    services.set(name, origin.port);
  }
  const bootstrap = bootstrapFor(
    input({
      httpRoutes: [httpRoute({ hostnames: ["shop.test"], rules })],
      slices: (_namespace, service) => {
        const made = slice(services.get(service) ?? 0, ["a"]);
        const endpoints = (made.endpoints ?? []).map((one) => ({ ...one, addresses: ["127.0.0.1"] }));
        return [{ ...made, endpoints }];
      },
      policies: policies.map((spec, index) => ({
        apiVersion: "weir.dev/v1alpha1",
        kind: "TrafficPolicy",
        metadata: { name: `p${index}`, namespace: "shop" },
        spec,
      })),
      ...more,
    }),
  );
  const { port } = await startBootstrap(t, bootstrap, "shop/edge:8000");
  return async (target: string, host = "shop.test", ...lines: readonly string[]): Promise<string> => {
    const begin = target.includes(" ") ? target : `GET ${target}`;
    const { text } = await talk(
      port,
      [`${begin} HTTP/1.1`, `Host: ${host}`, ...lines, "", ""].join("\r\n"),
      ANSWERED,
    );
    return /<web-(.*)>/.exec(text)?.[1] ?? text.slice(9, 12);
  };
}

const to = (name: string) => [{ name: `web-${name}`, port: 80 }];

test("from a match: patterns and query parameters of an HTTPRoute decide", async (t) => {
  const ask = await edge(t, [
    { matches: [{ path: { type: "RegularExpression", value: "/v[0-9]+/users" } }], backendRefs: to("one") },
    { matches: [{ queryParams: [{ name: "q", value: "x y" }] }], backendRefs: to("two") },
    {
      matches: [{ headers: [{ name: "x-user", type: "RegularExpression", value: "(ann|bob)[0-9]*" }] }],
      backendRefs: to("three"),
    },
  ]);
  t.equal(await ask("/v12/users?x"), "one /v12/users?x shop.test");
  t.equal(await ask("/v12/users/1"), "404");
  t.equal(await ask("/?q=x%20y"), "two /?q=x%20y shop.test");
  t.equal(await ask("/?q=x+y&q=z"), "two /?q=x+y&q=z shop.test");
  t.equal(await ask("/?q=z&q=x+y"), "404");
  t.equal(await ask("/", "shop.test", "X-User: bob7"), "three / shop.test");
  t.equal(await ask("/", "shop.test", "X-User: bobby"), "404");
});

test("from a match: hosts of routes and listeners decide, a name before a wildcard", async (t) => {
  const route = (name: string, service: string, hostnames: string[]): HttpRoute =>
    httpRoute({ hostnames, rules: [{ backendRefs: to(service) }] }, name);
  const httpRoutes = [
    route("name", "one", ["shop.test", "own.wild.test"]),
    route("wild", "two", ["*.wild.test"]),
    route("wilder", "three", ["*.deep.wild.test"]),
  ];
  const served = async (ask: Awaited<ReturnType<typeof edge>>, host: string): Promise<string> =>
    (await ask("/", host)).split(" ")[0] ?? "";
  const any = await edge(t, [], [], { httpRoutes });
  for (const [host, want] of [
    ["shop.test", "one"],
    ["SHOP.Test.", "one"],
    ["shop.test:99", "one"],
    ["own.wild.test", "one"],
    ["a.wild.test", "two"],
    ["b.a.wild.test", "two"],
    ["a.deep.wild.test", "three"],
    ["wild.test", "404"],
    ["other.test", "404"],
  ] as const)
    t.equal(await served(any, host), want, host);
  const listeners = [{ name: "http", port: 8000, protocol: "HTTP", hostname: "*.wild.test" }];
  const some = await edge(t, [], [], {
    httpRoutes,
    gateway: { ...gateway, spec: { gatewayClassName: "weir", listeners } },
  });
  t.strictSame(
    [await served(some, "shop.test"), await served(some, "own.wild.test"), await served(some, "a.wild.test")],
    ["404", "one", "two"],
  );
});

test("from a match: a rule's method decides", async (t) => {
  const ask = await edge(t, [
    { matches: [{ method: "POST" }, { method: "PURGE", path: { value: "/cache" } }], backendRefs: to("two") },
    { matches: [{ method: "GET" }], backendRefs: to("one") },
  ]);
  t.equal(await ask("/"), "one / shop.test");
  t.equal(await ask("POST /"), "two / shop.test");
  t.equal(await ask("PURGE /cache"), "two /cache shop.test");
  t.equal(await ask("PURGE /"), "404");
  t.equal(await ask("post /"), "404", "methods have their case");
});

test("from a match: weights of backends are their shares, and 0 gets nothing", async (t) => {
  const backend = (name: string, weight: number) => ({ name: `web-${name}`, port: 80, weight });
  const ask = await edge(t, [{ backendRefs: [backend("one", 30), backend("two", 10), backend("three", 0)] }]);
  const counts: Record<string, number> = {};
  for (let turn = 0; turn < 200; turn++) {
    const service = (await ask("/")).split(" ")[0] ?? "";
    counts[service] = (counts[service] ?? 0) + 1;
  }
  t.strictSame(Object.keys(counts).sort(), ["one", "two"]);
  // Four standard deviations of 200 requests at a quarter.
  t.ok(Math.abs((counts.two ?? 0) - 50) < 25, JSON.stringify(counts));
});

/** A condition of the section `match`, what holds under it and what does not: a query and field lines. */
type Decided = readonly [
  match: NonNullable<Policy["match"]>,
  holds: readonly [query: string, ...lines: string[]],
  fails: readonly [query: string, ...lines: string[]],
];
const header = (test: object, holds: string, fails: string): Decided => [
  { headers: [{ name: "X-A", ...test }] },
  ["", `x-a: ${holds}`],
  ["", `x-a: ${fails}`],
];
const query = (test: object, holds: string, fails: string): Decided => [
  { queryParams: [{ name: "q", ...test }] },
  [holds],
  [fails],
];
const cookie = (test: object, holds: string, fails: string): Decided => [
  { cookies: [{ name: "c", ...test }] },
  ["", `Cookie: a=b; ${holds}`],
  ["", `Cookie: a=b; ${fails}`],
];
const DECIDED: readonly Decided[] = [
  header({ prefix: "ab" }, "abc", "cab"),
  header({ suffix: "yz" }, "xyz", "yzx"),
  header({ contains: "mid" }, "a mid b", "a m id b"),
  header({ exact: "One", ignoreCase: true }, "oNE", "one two"),
  header({ contains: "Mid", ignoreCase: true }, "aMIDb", "aMb"),
  header({ regex: "[0-9]+(px|em)" }, "12px", "12px;"),
  header({ exact: "1", not: true }, "2", "1"),
  header({ regex: "a.*", not: true }, "b", "ab"),
  [{ headers: [{ name: "x-a", present: true }] }, ["", "x-a:"], [""]],
  [{ headers: [{ name: "x-a", present: true, not: true }] }, [""], ["", "x-a: 1"]],
  query({ exact: "a b" }, "?q=a%20b", "?q=a%2520b"),
  query({ prefix: "ab" }, "?q=abc", "?q=cab"),
  query({ suffix: "yz", ignoreCase: true }, "?q=XYZ", "?q=yzx"),
  query({ contains: "mid" }, "?q=amidb", "?q=ab&r=mid"),
  query({ regex: "[a-c]{2}" }, "?q=ab", "?q=abc"),
  query({ present: true }, "?q", "?r"),
  cookie({ prefix: "ab" }, "c=abc", "c=cab"),
  cookie({ suffix: "yz" }, "c=xyz", "c=yzx"),
  cookie({ contains: "mid" }, "c=amidb", "d=amidb"),
  cookie({ regex: "[0-9]+" }, "c=12", "c=1a"),
  cookie({ exact: "1", not: true }, "c=2", "c=1"),
  cookie({ present: true }, "c=1", "d=1"),
];

test("from a match: each condition that a TrafficPolicy can state decides", async (t) => {
  const conditional = DECIDED.map((_, index) => ({
    name: `r${index}`,
    matches: [{ path: { value: `/r${index}` } }],
    backendRefs: to("two"),
  }));
  const ask = await edge(
    t,
    [...conditional, { backendRefs: to("one") }],
    DECIDED.map(([match], index) => ({
      targetRefs: [{ kind: "HTTPRoute", name: "web", sectionName: `r${index}` }],
      match,
    })),
  );
  const served = async (index: number, [question, ...lines]: Decided[1]): Promise<string> =>
    (await ask(`/r${index}${question}`, "shop.test", ...lines)).split(" ")[0] ?? "";
  for (const [index, [match, holds, fails]] of DECIDED.entries())
    t.strictSame(
      [await served(index, holds), await served(index, fails)],
      ["two", "one"],
      JSON.stringify(match),
    );
});

test("from a match: conditions of a TrafficPolicy hold for the rule that it names", async (t) => {
  const ask = await edge(
    t,
    [
      { name: "rest", backendRefs: to("one") },
      { name: "canary", backendRefs: to("two") },
      { name: "build", matches: [{ path: { value: "/build" } }], backendRefs: to("three") },
    ],
    [
      {
        targetRefs: [{ kind: "HTTPRoute", name: "web", sectionName: "canary" }],
        match: {
          cookies: [{ name: "canary", exact: "always" }],
          headers: [{ name: "x-bot", present: false }],
        },
      },
      {
        targetRefs: [{ kind: "HTTPRoute", name: "web", sectionName: "build" }],
        match: {
          headers: [{ name: "x-build", range: { from: 10, to: 20 } }],
          queryParams: [{ name: "old", present: false }],
        },
      },
    ],
  );
  const served = async (...asked: Parameters<typeof ask>): Promise<string> =>
    (await ask(...asked)).split(" ")[0] ?? "";
  t.equal(await served("/"), "one");
  t.equal(await served("/", "shop.test", "Cookie: a=b; canary=always"), "two");
  t.equal(await served("/", "shop.test", "Cookie: canary=never"), "one");
  t.equal(await served("/", "shop.test", "Cookie: canary=always", "X-Bot: 1"), "one");
  t.equal(await served("/build", "shop.test", "X-Build: 10"), "three");
  t.equal(await served("/build", "shop.test", "X-Build: 20"), "one");
  t.equal(await served("/build?old", "shop.test", "X-Build: 10"), "one");
});

test("from a match: a Gateway's requests are in one spelling, and a policy can leave them as they come", async (t) => {
  const rules: Rules = [
    { matches: [{ path: { value: "/admin" } }], backendRefs: to("two") },
    { backendRefs: to("one") },
  ];
  const ask = await edge(t, rules);
  for (const target of [
    "/admin",
    "/%61dmin",
    "//admin",
    "/x/../admin",
    "/./admin",
    "/x/..;/admin",
    "/x\\..\\admin",
    "/x;a/..;b/admin",
    "http://other.test/../admin",
  ]) {
    const host = target.startsWith("http") ? "other.test" : "shop.test";
    t.equal(await ask(target.replace("other.test", "shop.test"), host), "two /admin shop.test", target);
  }
  t.equal(await ask("/admin;x"), "two /admin;x shop.test");
  t.equal(await ask("/;x//admin"), "two /;x/admin shop.test");
  t.equal(await ask("/admin", "SHOP.test.:99"), "two /admin SHOP.test:99");
  t.equal(await ask("/x%2f..%2fadmin"), "400");
  t.equal(await ask("/admin%00"), "400");
  const kept = await edge(t, rules, [
    {
      targetRefs: [{ kind: "Gateway", name: "edge" }],
      normalization: {
        path: false,
        mergeSlashes: false,
        escapedSlashes: "keep",
        pathParameters: "keep",
        stripTrailingDot: false,
      },
    },
  ]);
  t.equal(await kept("/admin;x"), "one /admin;x shop.test");
  t.equal(await kept("/%61dmin/..%2f//x"), "one /%61dmin/..%2f//x shop.test");
  t.equal(await kept("/", "shop.test."), "404");
  const unescaped = await edge(t, rules, [
    {
      targetRefs: [{ kind: "Gateway", name: "edge" }],
      normalization: { escapedSlashes: "unescape", stripHostPort: "any" },
    },
  ]);
  t.equal(await unescaped("/x%2f..%2Fadmin", "shop.test:99"), "two /admin shop.test");
});
