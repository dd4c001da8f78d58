// Cases of test/e2e/policy.test.ts about clients that stay with their version, rewriting, redirects and answers of the proxy's own.
import type { Case } from "./policy.cases.ts";

const TO_ONE = "backendRefs: [{ name: one, port: 80 }]";

export const REWRITE_CASES: readonly Case[] = [
  {
    feature: "clients that stay with their version ([how](sticky.md))",
    rules: `
    - backendRefs: [{ name: one, port: 80, weight: 50 }, { name: two, port: 80, weight: 50 }]`,
    policies: [
      `  targetRefs: [{ kind: HTTPRoute, name: ROUTE }]
  sticky: { header: x-user, cookie: { name: seat, ttl: 1h } }`,
    ],
    async check({ ask, equal, match }) {
      const versions = new Set<string | undefined>();
      for (let user = 0; user < 12; user++) {
        const headers = { "x-user": `user-${user}` };
        const { echoed } = await ask("/", { headers });
        versions.add(echoed?.backend);
        equal((await ask("/", { headers })).echoed?.backend, echoed?.backend, `user ${user}`);
      }
      equal([...versions].sort(), ["one", "two"]);
      const first = await ask("/");
      const [cookie = ""] = [first.headers["set-cookie"]].flat();
      match(cookie, /^seat=[0-9a-f]{32}; Max-Age=3600; Path=\/; HttpOnly$/);
      const again = await ask("/", { headers: { cookie: cookie.split(";")[0] ?? "" } });
      equal([again.echoed?.backend, again.headers["set-cookie"]], [first.echoed?.backend, undefined]);
    },
  },
  {
    feature: "header fields of requests and answers",
    rules: `
    - filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: { set: [{ name: x-set, value: new }], add: [{ name: x-add, value: new }], remove: [x-gone] }
        - { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-answer, value: "100%" }] } }
      backendRefs:
        - name: one
          port: 80
          filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-backend, value: first }] } }]`,
    async check({ ask, equal, match }) {
      const headers = { "x-set": "old", "x-add": "old", "x-gone": "1", "x-backend": "forged" };
      const answer = await ask("/", { headers });
      match(answer.echoed?.headers, { "x-set": "new", "x-add": "old, new", "x-backend": "first" });
      equal(answer.echoed?.headers["x-gone"], undefined);
      equal(answer.headers["x-answer"], "100%");
    },
  },
  {
    feature: "path and host on their way",
    rules: `
    - matches: [{ path: { value: /api } }]
      filters: [{ type: URLRewrite, urlRewrite: { hostname: inner.test, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
      ${TO_ONE}
    - filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /whole } } }]
      ${TO_ONE}`,
    async check({ ask, match }) {
      match((await ask("/api/x?q")).echoed, { url: "/x?q", headers: { host: "inner.test" } });
      match((await ask("/api")).echoed, { url: "/" });
      match((await ask("/apix?q")).echoed, { url: "/whole?q" });
    },
  },
  {
    feature: "redirect",
    rules: `
    - filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, hostname: o.test, statusCode: 308 } }]`,
    async check({ ask, equal }) {
      const answer = await ask("/a?b");
      equal([answer.status, answer.headers.location], [308, "https://o.test/a?b"]);
    },
  },
  {
    feature: "an answer of the proxy's own",
    policies: [
      `  targetRefs: [{ kind: HTTPRoute, name: ROUTE }]
  directResponse: { status: 503, body: '{"closed":true}', contentType: application/problem+json }`,
    ],
    async check({ ask, equal }) {
      const answer = await ask("/");
      equal([answer.status, answer.text], [503, '{"closed":true}']);
      equal(answer.headers["content-type"], "application/problem+json");
    },
  },
];
