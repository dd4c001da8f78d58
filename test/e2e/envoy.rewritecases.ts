// What test/e2e/envoy.test.ts asks of both proxies about rewriting, redirects, direct responses and sticky splits.
import { type Case, LISTENER, PLAIN } from "./envoy.cases.ts";

/** A header to add, with its action by the first letters: append, absent, over, there. */
const header = (key: string, value: string, action = "APPEND_IF_EXISTS_OR_ADD"): string =>
  `{ header: { key: ${key}, value: "${value}" }, append_action: ${action} }`;
const everyAction = (value: string): string =>
  [
    header("x-append", value),
    header("x-absent", value, "ADD_IF_ABSENT"),
    header("x-over", value, "OVERWRITE_IF_EXISTS_OR_ADD"),
    header("x-there", value, "OVERWRITE_IF_EXISTS"),
  ].join(", ");
const edits = (value: string): string => `request_headers_to_add: [${everyAction(value)}]
                      request_headers_to_remove: [x-gone-${value}]
                      response_headers_to_add: [${everyAction(value)}, ${header("x-twice", value)}]
                      response_headers_to_remove: [set-cookie]`;

const rewriting = (isSpecificLast: boolean): string => `${LISTENER}
                route_config:
                  name: local
                  most_specific_header_mutations_wins: ${isSpecificLast}
                  request_headers_to_add: [${everyAction("config")}]
                  response_headers_to_add: [${everyAction("config")}]
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      ${edits("host")}
                      routes:
                        - match: { prefix: /version }
                          request_headers_to_add: [${everyAction("route")}]
                          route:
                            prefix_rewrite: /v
                            host_rewrite_literal: route.example
                            weighted_clusters:
                              clusters:
                                - name: a
                                  weight: 1
                                  host_rewrite_literal: version.example
                                  request_headers_to_add: [${everyAction("version")}, ${header("x-cluster", "100%% %UPSTREAM_CLUSTER%")}]
                                  request_headers_to_remove: [x-append]
                                  response_headers_to_add: [${everyAction("version")}]
                        - match: { prefix: /own-host }
                          route:
                            weighted_clusters: { clusters: [{ name: b, weight: 1, host_rewrite_literal: "version.example:81" }] }
                        - { match: { path: /exact }, route: { cluster: b, prefix_rewrite: /whole } }
                        - { match: { path_separated_prefix: /api }, route: { cluster: c, prefix_rewrite: /v2 } }
                        - { match: { safe_regex: { regex: "/re/[0-9]+" } }, route: { cluster: d, prefix_rewrite: /pattern } }
                        - { match: { prefix: /Fold, case_sensitive: false }, route: { cluster: a, prefix_rewrite: /low } }
                        - { match: { prefix: /strip/ }, route: { cluster: a, prefix_rewrite: / } }
                        - match: { prefix: / }
                          request_headers_to_add: [${header("x-empty", "")}, { header: { key: x-kept }, keep_empty_value: true }]
                          route: { cluster: a }
  clusters:${PLAIN}
`;

const answering = (match: string, action: string): string => `
                        - match: ${match}
                          response_headers_to_add: [${header("x-backend", "none")}, ${header("content-type", "text/x", "OVERWRITE_IF_EXISTS")}]
                          ${action}`;
const ANSWERS = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:${[
                        answering("{ prefix: /https }", "redirect: { https_redirect: true }"),
                        answering("{ prefix: /scheme }", "redirect: { scheme_redirect: https }"),
                        answering(
                          "{ prefix: /host }",
                          "redirect: { host_redirect: 'o.example', response_code: FOUND }",
                        ),
                        answering(
                          "{ prefix: /port }",
                          "redirect: { port_redirect: 8443, response_code: SEE_OTHER }",
                        ),
                        answering(
                          "{ prefix: /path }",
                          "redirect: { path_redirect: /new, response_code: TEMPORARY_REDIRECT }",
                        ),
                        answering(
                          "{ prefix: /asked }",
                          "redirect: { path_redirect: '/new?own=1', response_code: PERMANENT_REDIRECT }",
                        ),
                        answering("{ prefix: /prefix }", "redirect: { prefix_rewrite: /moved }"),
                        answering(
                          "{ prefix: /strip }",
                          "redirect: { prefix_rewrite: /moved, strip_query: true }",
                        ),
                        answering(
                          "{ prefix: /direct }",
                          "direct_response: { status: 418, body: { inline_string: tea } }",
                        ),
                        answering("{ prefix: /empty }", "direct_response: { status: 200 }"),
                      ].join("")}
  clusters:${PLAIN}
`;

const sticky = (policies: string): string => `
                            weighted_clusters:
                              use_hash_policy: true
                              clusters: [{ name: a, weight: 20 }, { name: b, weight: 50 }, { name: a, weight: 5 }, { name: c, weight: 25 }]
                            hash_policy: [${policies}]`;
const STICKY = `${LISTENER}
                route_config:
                  name: local
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - match: { prefix: /header }
                          route:${sticky("{ header: { header_name: x-user } }")}
                        - match: { prefix: /cookie }
                          route:${sticky("{ cookie: { name: seat } }")}
                        - match: { prefix: /address }
                          route:${sticky("{ connection_properties: { source_ip: true } }")}
                        - match: { prefix: /joined }
                          route:${sticky("{ header: { header_name: x-user } }, { cookie: { name: seat } }, { header: { header_name: x-more } }")}
                        - match: { prefix: /first }
                          route:${sticky("{ header: { header_name: x-user }, terminal: true }, { cookie: { name: seat } }")}
  clusters:${PLAIN}
`;
const KEYS = [...Array.from({ length: 12 }, (_, i) => `user-${i}`), "x", "0123456789abcdef".repeat(3)];

export const REWRITE_CASES: readonly Case[] = [
  ...[false, true].map((isSpecificLast) => ({
    name: `rewrites, ${isSpecificLast ? "the most specific" : "the least specific"} last`,
    bootstrap: rewriting(isSpecificLast),
    requests: [
      { line: "/version/x?q" },
      {
        line: "/version",
        headers: [
          ...[
            "x-append: old",
            "x-absent: old",
            "x-over: old",
            "x-over: older",
            "x-there: old",
            "x-gone-host: 1",
          ],
          "x-kept: 1",
        ],
      },
      { line: "/own-host" },
      { line: "/exact?q" },
      { line: "/api/users?x" },
      { line: "/api" },
      { line: "/re/12?x" },
      { line: "/fOLD/x" },
      { line: "/strip/x" },
      { line: "/strip/" },
      { line: "/other", headers: ["x-empty: there", "x-kept: there"] },
      { line: "POST /api/x", headers: ["content-length: 2"], body: "hi" },
      { line: "http://shop.example/api/x", host: "other.example" },
    ],
  })),
  {
    name: "redirects and direct responses",
    bootstrap: ANSWERS,
    requests: [
      ...["https", "scheme", "host", "port", "path", "asked", "prefix", "strip"].map((path) => ({
        line: `/${path}/x?q=1`,
      })),
      ...["https", "host", "port"].flatMap((path) => [
        { line: `/${path}`, host: "shop.example:80" },
        { line: `/${path}`, host: "shop.example:8080" },
      ]),
      { line: "HEAD /host" },
      { line: "/direct" },
      { line: "HEAD /direct" },
      { line: "POST /direct", headers: ["content-length: 2"], body: "hi" },
      { line: "/empty" },
    ],
  },
  {
    name: "sticky splits",
    bootstrap: STICKY,
    requests: [
      ...KEYS.flatMap((key) => [
        { line: "/header", headers: [`x-user: ${key}`] },
        { line: "/cookie", headers: [`cookie: a=b; seat=${key}; c=d`] },
        { line: "/joined", headers: [`x-user: ${key}`, "cookie: seat=1"] },
        { line: "/joined", headers: ["x-user: u", `cookie: seat=${key}`, "x-more: m"] },
        { line: "/joined", headers: [`x-more: ${key}`] },
        { line: "/first", headers: [`x-user: ${key}`, `cookie: seat=${key}`] },
      ]),
      { line: "/header", headers: ["x-user: b", "x-user: a"] },
      { line: "/header", headers: ["x-user: a", "x-user: c", "x-user: b"] },
      { line: "/cookie", headers: ['cookie: seat="quoted"'] },
      { line: "/cookie", headers: ["cookie: seat=one; seat=two"] },
      { line: "/cookie", headers: ["cookie: a=1", "cookie: seat=two"] },
      { line: "/address" },
    ],
  },
];
