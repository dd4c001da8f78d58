// From manifests to which rule serves: matches of an HTTPRoute, conditions and normalization of TrafficPolicies.
import { type Test, test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { bootstrapFor } from "../support/translated.ts";
import { httpRoute, input, slice } from "../translate/support.ts";
import { recordingOrigin, startBootstrap, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };
type Rules = NonNullable<HttpRoute["spec"]>["rules"] & object;
type Policy = TrafficPolicy["spec"];

/** A proxy for the Gateway `edge`. Rules lead to Services `web-<port name>`; the answer is `<service> <target> <host>`, or the status of a refusal. */
async function edge(t: Test, rules: Rules, policies: readonly Policy[] = []) {
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
    }),
  );
  const { port } = await startBootstrap(t, bootstrap, "shop/edge:8000");
  return async (target: string, host = "shop.test", ...lines: readonly string[]): Promise<string> => {
    const { text } = await talk(
      port,
      [`GET ${target} HTTP/1.1`, `Host: ${host}`, ...lines, "", ""].join("\r\n"),
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
