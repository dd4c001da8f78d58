// What routes answer by themselves: redirects and direct responses.
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { CONFIG_REJECTED, createProxy } from "../../src/proxy/server.ts";
import { BootstrapSchema, fromJson, registry } from "../../src/xds/types.ts";
import { bootstrapOf, type Json, startProxy, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };

/** A proxy with these routes and no cluster; `ask` gives whole answers. */
async function setup(t: Test, routes: readonly Json[], hcm: Readonly<Record<string, Json>> = {}) {
  const virtualHosts = [{ name: "all", domains: ["*"], routes: [...routes] }];
  const { port, proxy } = await startProxy(t, { clusters: {}, virtualHosts, hcm, hasAdmin: true });
  const ask = async (request: string, ...lines: readonly string[]): Promise<string> =>
    (await talk(port, [`${request} HTTP/1.1`, ...lines, "Connection: close", "", ""].join("\r\n"), ANSWERED))
      .text;
  return { ask, port, proxy };
}

const locationIn = (answer: string): string | undefined => /^location: (.*)\r$/m.exec(answer)?.[1];
const at = (path: string, redirect: Json): Json => ({ match: { path_separated_prefix: path }, redirect });

test("redirect: a request without a host is answered by a path, never by another host", async (t) => {
  const { port } = await setup(t, [{ match: { prefix: "/old" }, redirect: { prefix_rewrite: "/" } }]);
  for (const [target, want] of [
    ["/old", "/"],
    ["/old/a", "/a"],
    ["/old//evil.test/a", "/evil.test/a"],
    ["/old\\evil.test/a", "/evil.test/a"],
  ] as const) {
    const { text } = await talk(port, `GET ${target} HTTP/1.0\r\n\r\n`, ANSWERED);
    t.equal(locationIn(text), want, target);
  }
});

test("redirect: scheme, host, port, path and query are the request's unless the route says otherwise", async (t) => {
  const all = {
    scheme_redirect: "https",
    host_redirect: "o.test",
    port_redirect: 444,
    prefix_rewrite: "/x",
    strip_query: true,
  };
  const { ask } = await setup(t, [
    at("/https", { https_redirect: true }),
    at("/scheme", { scheme_redirect: "HTTPS" }),
    at("/host", { host_redirect: "other.test" }),
    at("/port", { port_redirect: 8443 }),
    at("/plain", { https_redirect: true, port_redirect: 443 }),
    at("/eighty", { port_redirect: 80 }),
    at("/path", { path_redirect: "/new" }),
    at("/asked", { path_redirect: "/new?own=1" }),
    at("/prefix", { prefix_rewrite: "/moved" }),
    at("/strip", { path_redirect: "/new", strip_query: true }),
    at("/all", all),
  ]);
  for (const [host, target, want] of [
    ["a.test:81", "/https/x?q", "https://a.test:81/https/x?q"],
    ["a.test:80", "/https", "https://a.test/https"],
    ["[::1]:80", "/https", "https://[::1]/https"],
    ["[::1]", "/https", "https://[::1]/https"],
    ["a.test:81", "/scheme", "https://a.test:81/scheme"],
    ["a.test:81", "/host?q", "http://other.test/host?q"],
    ["a.test:81", "/port", "http://a.test:8443/port"],
    ["a.test", "/port", "http://a.test:8443/port"],
    ["a.test:81", "/plain", "https://a.test/plain"],
    ["a.test:81", "/eighty", "http://a.test/eighty"],
    ["a.test", "/path/x?q=1", "http://a.test/new?q=1"],
    ["a.test", "/asked?q=1", "http://a.test/new?own=1"],
    ["a.test", "/prefix/x?q=1", "http://a.test/moved/x?q=1"],
    ["a.test", "/strip?q=1", "http://a.test/new"],
    ["a.test:81", "/all/y?q=1", "https://o.test:444/x/y"],
  ] as const) {
    const answer = await ask(`GET ${target}`, `Host: ${host}`);
    t.match(answer, /^HTTP\/1\.1 301 Moved Permanently\r\n/);
    t.match(answer, /\r\ncontent-length: 0\r\n/);
    t.equal(locationIn(answer), want, `${host}${target}`);
  }
});

test("redirect: every status, edits of the answer, and a count", async (t) => {
  const codes = ["MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"];
  const { ask, proxy } = await setup(t, [
    ...codes.map((response_code, i) => at(`/${i}`, { response_code, host_redirect: "o.test" })),
    {
      match: { prefix: "/" },
      redirect: { host_redirect: "o.test" },
      response_headers_to_add: [{ header: { key: "cache-control", value: "no-store" } }],
      response_headers_to_remove: ["date"],
    },
  ]);
  const statuses: (string | undefined)[] = [];
  for (const i of codes.keys())
    statuses.push(/^HTTP\/1\.1 (\d+ [\w ]+)/.exec(await ask(`GET /${i}`, "Host: a"))?.[1]);
  t.strictSame(statuses, [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
  ]);
  const edited = await ask("GET /", "Host: a");
  t.match(edited, /\r\nlocation: http:\/\/o\.test\/\r\n[\s\S]*cache-control: no-store\r\n\r\n$/);
  t.notMatch(edited, /^date:/m);
  const scrape = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const { text } = await talk(proxy.adminPort ?? 0, scrape);
  t.match(text, /^weir_proxy_own_answers_total\{status="301",reason="redirect"\} 2$/m);
});

test("redirect: a trusted hop's scheme counts, a client's does not", async (t) => {
  const redirect = [{ match: { prefix: "/" }, redirect: { path_redirect: "/x" } }];
  const edge = await setup(t, redirect);
  t.equal(locationIn(await edge.ask("GET /", "Host: a", "X-Forwarded-Proto: https")), "http://a/x");
  const behind = await setup(t, redirect, { xff_num_trusted_hops: 1, use_remote_address: true });
  t.equal(locationIn(await behind.ask("GET /", "Host: a", "X-Forwarded-Proto: https")), "https://a/x");
});

test("direct response: status and body are the route's; HEAD has no body, 204 no length", async (t) => {
  const own = (path: string, direct_response: Json): Json => ({ match: { path }, direct_response });
  const { ask, port } = await setup(t, [
    own("/teapot", { status: 418, body: { inline_string: "kurz und klein: ä\n" } }),
    own("/none", { status: 204 }),
    {
      match: { path: "/json" },
      direct_response: { status: 503, body: { inline_string: "{}" } },
      response_headers_to_add: [
        {
          header: { key: "content-type", value: "application/json" },
          append_action: "OVERWRITE_IF_EXISTS_OR_ADD",
        },
      ],
    },
  ]);
  const teapot = await ask("GET /teapot", "Host: a");
  t.match(teapot, /^HTTP\/1\.1 418 I'm a [tT]eapot\r\n/);
  t.match(teapot, /\r\ncontent-length: 19\r\n[\s\S]*content-type: text\/plain\r\n\r\n/);
  t.ok(teapot.endsWith("\r\n\r\nkurz und klein: \xc3\xa4\n"));
  t.match(await ask("HEAD /teapot", "Host: a"), /content-length: 19\r\n[\s\S]*\r\n\r\n$/);
  const none = await ask("GET /none", "Host: a");
  t.match(none, /^HTTP\/1\.1 204 No Content\r\n/);
  t.notMatch(none, /content-(length|type)/);
  const json = await ask("GET /json", "Host: a");
  t.ok(json.endsWith("\r\ncontent-type: application/json\r\n\r\n{}"));
  t.notMatch(json, /text\/plain/);
  const get = "GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
  const { text } = await talk(port, get + get, { until: /204[\s\S]*204[\s\S]*\r\n\r\n$/ });
  t.match(text, /^HTTP\/1\.1 204[\s\S]*HTTP\/1\.1 204/, "the connection goes on");
});

test("direct response: a route configuration says how long a body may be", async (t) => {
  const table = (bytes: number, most: number): Promise<unknown> =>
    startProxy(t, {
      clusters: {},
      hcm: {
        route_config: {
          max_direct_response_body_size_bytes: most,
          virtual_hosts: [
            {
              name: "all",
              domains: ["*"],
              routes: [
                {
                  match: { prefix: "/" },
                  direct_response: { status: 200, body: { inline_string: "x".repeat(bytes) } },
                },
              ],
            },
          ],
        },
      },
    });
  await table(9_000, 9_000);
  await t.rejects(table(11, 10), { code: CONFIG_REJECTED, message: /body has 11 bytes, more than 10/ });
  await t.rejects(table(1, 2 ** 21), {
    code: CONFIG_REJECTED,
    message: /max_direct_response_body_size_bytes/,
  });
});

const direct = (direct_response: Json): Record<string, Json> => ({ direct_response });
const redirect = (more: Json): Record<string, Json> => ({ redirect: more });
const REFUSED: readonly (readonly [action: Record<string, Json>, message: RegExp])[] = [
  [redirect({ path_redirect: "new" }), /routes\[0\]\.redirect\.path_redirect does not begin with a slash/],
  [redirect({ path_redirect: "/a\r\nx: y" }), /redirect\.path_redirect has a byte/],
  [redirect({ host_redirect: "a/b" }), /redirect\.host_redirect is no host/],
  [redirect({ port_redirect: 70_000 }), /redirect\.port_redirect is no port/],
  [redirect({ scheme_redirect: "ht tp" }), /redirect\.scheme_redirect is no scheme/],
  [direct({ status: 99 }), /direct_response\.status is 99, not 200 to 599/],
  [
    direct({ status: 204, body: { inline_string: "x" } }),
    /direct_response\.body may not be there with status 204/,
  ],
  [
    direct({ status: 200, body: { inline_string: "x".repeat(4097) } }),
    /direct_response\.body has 4097 bytes, more than 4096/,
  ],
  [direct({ status: 200, body: { inline_bytes: "AAE=" } }), /direct_response\.body\.inline_bytes is not/],
  [
    direct({ status: 200, body: { filename: "/etc/passwd" } }),
    /direct_response\.body\.filename is not supported/,
  ],
  [
    direct({ status: 200, body: { environment_variable: "HOME" } }),
    /body\.environment_variable is not supported/,
  ],
];

test("redirect: what cannot be carried out is refused with its path", (t) => {
  for (const [action, message] of REFUSED) {
    const routes = [{ match: { prefix: "/" }, ...action }];
    const bootstrap = fromJson(BootstrapSchema, bootstrapOf({ clusters: {}, routes }), { registry });
    t.throws(
      () => createProxy(bootstrap, { clock: systemClock, log: silentLogger }),
      { code: CONFIG_REJECTED, message },
      String(message),
    );
  }
  t.end();
});
