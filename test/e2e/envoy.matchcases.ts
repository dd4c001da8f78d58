// What test/e2e/envoy.test.ts asks of both proxies about matching and spelling.
import { type Case, LISTENER, PLAIN, type Request } from "./envoy.cases.ts";

const routes = (rules: readonly (readonly [cluster: string, match: string])[]): string => `
                route_config:
                  name: local
                  virtual_hosts:
                    - name: all
                      domains: [shop.example, bare.example]
                      routes:${rules
                        .map(
                          ([cluster, match]) => `
                        - { match: { ${match} }, route: { cluster: ${cluster} } }`,
                        )
                        .join("")}
  clusters:${PLAIN}
`;
const regex = (pattern: string): string => `{ safe_regex: { regex: '${pattern}' } }`;

const MATCHING = `${LISTENER}${routes([
  ["a", "safe_regex: { regex: '/re/[a-c]+' }, case_sensitive: false"],
  ["b", "safe_regex: { regex: '/(img|pic)/.*\\.png' }"],
  ["c", "safe_regex: { regex: '/lit\\.eral' }"],
  ["d", "safe_regex: { regex: '(?i)/fold.*' }"],
  ["a", `prefix: /h, headers: [{ name: x-re, string_match: ${regex("a.c")} }]`],
  [
    "b",
    `prefix: /h, headers: [{ name: x-re, string_match: ${regex("[0-9]+")}, invert_match: true }, { name: x-not, present_match: true }]`,
  ],
  ["c", "prefix: /h, headers: [{ name: x-utf, string_match: { exact: 'é' } }]"],
  ["d", `prefix: /h, headers: [{ name: x-utf, string_match: ${regex("ü[a-z]")} }]`],
  ["a", "prefix: /q, query_parameters: [{ name: q, string_match: { exact: two } }]"],
  [
    "b",
    `prefix: /q, query_parameters: [{ name: q, string_match: ${regex("[0-9]+")} }, { name: r, present_match: true }]`,
  ],
  ["c", "prefix: /q, query_parameters: [{ name: e, string_match: { exact: '' } }]"],
  ["d", "prefix: /q, query_parameters: [{ name: f, string_match: { suffix: 'END', ignore_case: true } }]"],
  ["a", "prefix: /c, cookies: [{ name: c, string_match: { exact: '1' } }]"],
  [
    "b",
    `prefix: /c, cookies: [{ name: d, string_match: ${regex("[1-3]+")} }, { name: e, string_match: { exact: x }, invert_match: true }]`,
  ],
  [
    "c",
    "prefix: /c, cookies: [{ name: out, string_match: { exact: '1' }, invert_match: true }, { name: in, string_match: { prefix: 'ye' } }]",
  ],
  // All fractions of a request are held against one number: what the first of /half leaves, the second does not take.
  ["d", "prefix: /none, runtime_fraction: { default_value: { numerator: 0 } }"],
  [
    "b",
    "prefix: /none, runtime_fraction: { default_value: { numerator: 10000, denominator: TEN_THOUSAND } }",
  ],
  ["a", "prefix: /half, runtime_fraction: { default_value: { numerator: 50 } }"],
  ["d", "prefix: /half, runtime_fraction: { default_value: { numerator: 50 } }"],
  ["a", "prefix: /half"],
  // What a managed mirror route becomes.
  [
    "d",
    `prefix: /mp, headers: [{ name: ":path", string_match: ${regex("(?:/mp/one|/mp/t.o)(?:\\?.*)?")} }, { name: ":method", string_match: { exact: GET } }]`,
  ],
])}`;

const latin = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
const MATCHED: readonly Request[] = [
  ...[
    "/re/abc",
    "/re/ABC",
    "/re/abc?x",
    "/re/abcd",
    "/re/",
    "/x/re/abc",
    "/img/a.png",
    "/pic/b/c.png?d",
    "/img/apng",
    "/imgs/a.png",
  ],
  ...["/lit.eral", "/literal", "/lit.eral/", "/FOLDed", "/folder?x", "/unfold"],
  ...[
    "/q?q=two",
    "/q?q=two&q=one",
    "/q?q=one&q=two",
    "/q?Q=two",
    "/q?q=12&r",
    "/q?q=12",
    "/q?q=1a&r",
    "/q?e",
    "/q?e=",
    "/q?e=1",
  ],
  ...["/mp/one", "/mp/two?x=1", "/mp/one?", "/mp/three", "/mp/one/x", "/mp?x=/mp/one", "POST /mp/one"],
  ...["/none", "/none/x", ...Array.from({ length: 20 }, () => "/half")],
  ...["/q?x&e", "/q?f=the-end", "/q?f=the-end2", "/q?=&&e&", "/q?q==two", "/q"],
].map((line): Request => ({ line }));
const HEADER_SETS: readonly (readonly string[])[] = [
  ["x-re: abc"],
  ["x-re: xabc"],
  ["x-re: ab", "x-re: abc"],
  ["x-re: 12", "x-not: 1"],
  ["x-re: 12a", "x-not: 1"],
  ["x-not: 1"],
  [latin("x-utf: é")],
  [latin("x-utf: üb")],
  [latin("x-utf: ü")],
];
const COOKIE_SETS: readonly (readonly string[])[] = [
  ["cookie: c=1"],
  ["cookie: b=2; c=1; d=3"],
  ["cookie: c=2; c=1"],
  ["cookie: c=1; c=2"],
  ['cookie: c="1"'],
  ["cookie: xc=1"],
  ["cookie: d=12"],
  ["cookie: d=12; e=x"],
  ["cookie: d=14"],
  ["cookie: in=yes"],
  ["cookie: in=yes; out=1"],
  ["cookie: out=2"],
];

const SPELLING = `${LISTENER}
                normalize_path: true
                merge_slashes: true
                path_with_escaped_slashes_action: REJECT_REQUEST
                strip_matching_host_port: true
                strip_trailing_host_dot: true${routes([
                  ["b", "path: /admin"],
                  ["c", "path_separated_prefix: /api"],
                  ["a", "prefix: /"],
                ])}`;
const UNESCAPING = `${LISTENER}
                normalize_path: true
                path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD
                strip_any_host_port: true${routes([
                  ["b", "path: /admin"],
                  ["a", "prefix: /"],
                ])}`;

const SPELT: readonly Request[] = [
  ...[
    "/",
    "/admin",
    "/%61dmin",
    "//admin",
    "/./admin",
    "/x/../admin",
    "/x/%2e%2E/admin",
    "/../../admin",
    "/x\\..\\admin",
    "/admin/.",
  ],
  ...[
    "/admin?x=/../%61//",
    "/api/a%2Dz/..",
    "/api/..",
    "/a%2fb",
    "/a%5Cb",
    "/a%252fb",
    "/a%00b",
    "/%7E%C3",
    "/...",
    "/a;b/../c",
    "/..;x/admin",
  ],
  ...["/a?b=%2f", "/a{b}|`<>", "/!$&'()*+,;=:@-._~"],
].map((line): Request => ({ line }));
const HOSTS_SPELT: readonly Request[] = [
  "shop.example.",
  "shop.example.:{port}",
  "shop.example:{port}",
  "shop.example:81",
  "SHOP.example.",
  "bare.example:{port}",
].map((host) => ({ line: "/", host }));

export const MATCH_CASES: readonly Case[] = [
  {
    name: "patterns, parameters and cookies",
    bootstrap: MATCHING,
    requests: [
      ...MATCHED,
      ...HEADER_SETS.map((headers) => ({ line: "/h", headers })),
      ...COOKIE_SETS.map((headers) => ({ line: "/c", headers })),
      {
        line: "/c",
        headers: ["cookie: c = 1"],
        differs: { name: "Spaces in a cookie", weir: 200, envoy: 404 },
      },
      { line: "/q?q=%74wo", differs: { name: "Query parameter", weir: 200, envoy: 404 } },
    ],
  },
  {
    name: "spelling, with escaped slashes refused",
    bootstrap: SPELLING,
    requests: [
      ...SPELT,
      ...HOSTS_SPELT,
      { line: "/a%zz", differs: { name: "Malformed escape", weir: 400, envoy: 200 } },
      { line: "/%%36%31", differs: { name: "Malformed escape", weir: 400, envoy: 200 } },
    ],
  },
  {
    name: "spelling, with slashes unescaped",
    bootstrap: UNESCAPING,
    requests: [
      ...["/%2fadmin", "/x%2f..%2fadmin", "/x%5c..%5Cadmin", "/a//b", "/a//../b", "/a%252fb"].map((line) => ({
        line,
      })),
      ...["shop.example:81", "shop.example:{port}", "shop.example.:81"].map((host) => ({ line: "/", host })),
    ],
  },
];
