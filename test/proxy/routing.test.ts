// Hosts, paths, headers, weights; and what is refused with its path.
import fc from "fast-check";
import { test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { compileEndpoints } from "../../src/proxy/compile/compile.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { findHost } from "../../src/proxy/route/match.ts";
import { Dice, pickTarget } from "../../src/proxy/route/split.ts";
import { EMPTY_HOSTS, UNCHANGED, type VirtualHost } from "../../src/proxy/route/table.ts";
import { CONFIG_REJECTED, createProxy } from "../../src/proxy/server.ts";
import { ByteMap } from "../../src/proxy/wire/bytemap.ts";
import {
  BootstrapSchema,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  fromJson,
  RouteConfigurationSchema,
  registry,
} from "../../src/xds/types.ts";
import { bootstrapOf, type Json, recordingOrigin, startProxy, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

/** Routes whose cluster says which one matched: each cluster's origin answers with its name. */
async function namedProxy(
  t: Parameters<typeof startProxy>[0],
  names: readonly string[],
  virtualHosts: readonly Json[],
) {
  const clusters: Record<string, number[]> = {};
  for (const name of names)
    clusters[name] = [(await recordingOrigin(t, (_seen, response) => response.end(`<${name}>`))).port];
  const { port, proxy } = await startProxy(t, { clusters, virtualHosts });
  const ask = async (target: string, host = "a.test", more = ""): Promise<string> => {
    const { text } = await talk(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`, ANSWERED);
    return /<(\w+)>/.exec(text)?.[1] ?? /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? "";
  };
  return { ask, proxy };
}

test("routing: hosts match exactly, then by the longest wildcard, then by star; case does not matter, a port does", async (t) => {
  const host = (name: string, domains: readonly string[]): Json => ({
    name,
    domains: [...domains],
    routes: [{ match: { prefix: "/" }, route: { cluster: name } }],
  });
  const { ask } = await namedProxy(
    t,
    ["exact", "port", "suffix", "longer", "prefix", "any"],
    [
      host("exact", ["a.test", "b.test"]),
      host("port", ["a.test:8080"]),
      host("suffix", ["*.test"]),
      host("longer", ["*.x.test"]),
      host("prefix", ["api.*"]),
      host("any", ["*"]),
    ],
  );
  const cases: readonly (readonly [string, string])[] = [
    ["a.test", "exact"],
    ["A.Test", "exact"],
    ["a.test:80", "any"],
    ["a.test:8080", "port"],
    ["b.test", "exact"],
    ["c.test", "suffix"],
    ["c.x.test", "longer"],
    ["c.x.test:9", "any"],
    ["api.example:9", "prefix"],
    ["api.example", "prefix"],
    ["api.x.test", "longer"],
    ["test", "any"],
    ["[::1]:80", "any"],
  ];
  for (const [name, want] of cases) t.equal(await ask("/", name), want, name);
});

test("routing: with ignore_port_in_host_matching a port in Host does not matter", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const routes = [{ match: { prefix: "/" }, route: { cluster: "one" } }];
  const { port } = await startProxy(t, {
    clusters: { one: [origin.port] },
    hcm: {
      route_config: {
        ignore_port_in_host_matching: true,
        virtual_hosts: [
          { name: "exact", domains: ["a.test"], routes },
          { name: "wild", domains: ["*.b.test"], routes },
        ],
      },
    },
  });
  for (const [host, status] of [
    ["a.test", 200],
    ["a.test:81", 200],
    ["x.b.test:81", 200],
    ["b.test:81", 404],
  ] as const) {
    const { text } = await talk(port, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, ANSWERED);
    t.match(text, new RegExp(`^HTTP/1.1 ${status} `), host);
  }
});

test("routing: the first route that matches serves, by prefix, exact path and separated prefix", async (t) => {
  const route = (match: Json, cluster: string): Json => ({ match, route: { cluster } });
  const { ask } = await namedProxy(
    t,
    ["exact", "separated", "prefix", "nocase"],
    [
      {
        name: "all",
        domains: ["*"],
        routes: [
          route({ path: "/one" }, "exact"),
          route({ path_separated_prefix: "/two" }, "separated"),
          route({ prefix: "/Case", case_sensitive: false }, "nocase"),
          route({ prefix: "/o" }, "prefix"),
        ],
      },
    ],
  );
  const cases: readonly (readonly [string, string])[] = [
    ["/one", "exact"],
    ["/one?x=/two", "exact"],
    ["/one/", "prefix"],
    ["/two", "separated"],
    ["/two/three?q", "separated"],
    ["/twofold", "404"],
    ["/cASE/x", "nocase"],
    ["/other", "prefix"],
    ["/", "404"],
  ];
  for (const [target, want] of cases) t.equal(await ask(target), want, target);
});

test("routing: header rules are AND-ed and may be inverted", async (t) => {
  const route = (cluster: string, ...headers: Json[]): Json => ({
    match: { prefix: "/", headers },
    route: { cluster },
  });
  const { ask } = await namedProxy(
    t,
    ["exact", "prefix", "suffix", "contains", "range", "present", "absent", "method", "both", "rest"],
    [
      {
        name: "all",
        domains: ["*"],
        routes: [
          route("exact", { name: "X-Exact", string_match: { exact: "One" } }),
          route("prefix", { name: "x-prefix", string_match: { prefix: "ab", ignore_case: true } }),
          route("suffix", { name: "x-suffix", string_match: { suffix: "yz" } }),
          route("contains", { name: "x-contains", string_match: { contains: "mid" } }),
          route("range", { name: "x-range", range_match: { start: "-5", end: "10" } }),
          route("present", { name: "x-present", present_match: true }),
          route(
            "both",
            { name: "x-a", string_match: { exact: "1" } },
            { name: "x-b", string_match: { exact: "2" } },
          ),
          route("method", { name: ":method", string_match: { exact: "PUT" } }),
          route(
            "absent",
            { name: "x-there", present_match: true, invert_match: true },
            { name: "x-want", string_match: { exact: "no" }, invert_match: true },
          ),
          route("rest"),
        ],
      },
    ],
  );
  const cases: readonly (readonly [string, string])[] = [
    ["x-exact: One", "exact"],
    ["x-exact: one", "rest"],
    ["X-PREFIX: ABc", "prefix"],
    ["x-suffix: xyz", "suffix"],
    ["x-contains: amidb", "contains"],
    ["x-range: -5", "range"],
    ["x-range: 10", "rest"],
    ["x-range: 1x", "rest"],
    ["x-present:", "present"],
    ["x-a: 1", "rest"],
    ["x-a: 1\r\nx-b: 2", "both"],
    ["x-b: 2\r\nx-a: 1", "both"],
    ["x-exact: On\r\nx-exact: e", "rest"],
    ["x-exact: Two\r\nx-exact: One", "exact"],
    ["x-exact: Two, One", "rest"],
    ["x-want: yes\r\nx-want: no", "rest"],
    ["x-want: yes", "absent"],
    ["x-want: no", "rest"],
    ["x-want: yes\r\nx-there: 1", "rest"],
    ["x-nothing: 1", "rest"],
  ];
  for (const [header, want] of cases) t.equal(await ask("/", "a", `${header}\r\n`), want, header);
});

test("routing: weights split traffic within binomial bounds, to a ten-thousandth, and 0 gets nothing", (t) => {
  const dice = new Dice(12345);
  const draws = 200_000;
  for (const weights of [
    [9_999, 1],
    [9_900, 100],
    [5_000, 5_000],
    [6_700, 3_300],
    [1, 0, 9_999],
    [3_000, 3_000, 4_000],
  ]) {
    let total = 0;
    const bounds = Float64Array.from(weights, (weight) => {
      total += weight;
      return total;
    });
    const targets = weights.map((weight, index) => ({
      cluster: String(index),
      weight,
      cell: index,
      ...UNCHANGED,
    }));
    const counts = weights.map(() => 0);
    for (let draw = 0; draw < draws; draw++)
      counts[pickTarget({ targets, bounds, total, sticky: null }, dice).cell]! += 1;
    weights.forEach((weight, index) => {
      const share = weight / total;
      const sigma = Math.sqrt(draws * share * (1 - share));
      t.ok(Math.abs(counts[index]! - draws * share) <= 5 * sigma, `${weights}: ${counts}`);
      if (weight === 0) t.equal(counts[index], 0);
    });
  }
  t.end();
});

test("routing: a weighted route sends what its weights say, and counts per version", async (t) => {
  const a = await recordingOrigin(t);
  const b = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [a.port], v2: [b.port], v3: [b.port] },
    routes: [
      {
        name: "split",
        match: { prefix: "/" },
        route: {
          weighted_clusters: {
            clusters: [
              { name: "v1", weight: 75 },
              { name: "v2", weight: 25 },
              { name: "v3", weight: 0 },
            ],
          },
        },
      },
    ],
  });
  const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  await talk(port, get.repeat(399) + get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  t.equal(a.seen.length + b.seen.length, 400);
  t.ok(Math.abs(b.seen.length - 100) < 45, `v2 got ${b.seen.length} of 400`);
  const counts = proxy
    .stats()
    .map(({ route, cluster, values }) => [route, cluster, values.get("success") ?? 0]);
  t.strictSame(counts, [
    ["split", "v1", a.seen.length],
    ["split", "v2", b.seen.length],
    ["split", "v3", 0],
  ]);
});

test("routing: the table finds the same host as a naive search over its domains", (t) => {
  const label = fc.constantFrom("a", "b", "api", "x");
  const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
  const domain = fc.oneof(
    name,
    name.map((text) => `*.${text}`),
    name.map((text) => `${text}.*`),
    fc.constant("*"),
  );
  fc.assert(
    fc.property(fc.uniqueArray(domain, { maxLength: 8 }), name, (domains, asked) => {
      const host = (found: string): VirtualHost => ({
        name: found,
        routes: [],
        index: null,
        hasShares: false,
      });
      const entry = (one: string, key: string) => [Buffer.from(key), host(one)] as const;
      const table = {
        ...EMPTY_HOSTS,
        exact: new ByteMap(domains.filter((one) => !one.includes("*")).map((one) => entry(one, one))),
        suffixes: new ByteMap(
          domains.filter((one) => one.startsWith("*.")).map((one) => entry(one, one.slice(1))),
          { isBackward: true },
        ),
        prefixes: new ByteMap(
          domains.filter((one) => one.endsWith(".*")).map((one) => entry(one, one.slice(0, -1))),
        ),
        any: domains.includes("*") ? host("*") : null,
      };
      const rank = (one: string): number => {
        if (one === asked) return 4_000;
        if (one.startsWith("*.") && asked.endsWith(one.slice(1)) && asked.length >= one.length)
          return 2_000 + one.length;
        if (one.endsWith(".*") && asked.startsWith(one.slice(0, -1)) && asked.length >= one.length)
          return 1_000 + one.length;
        return one === "*" ? 1 : 0;
      };
      const best = domains.filter((one) => rank(one) > 0).sort((p, q) => rank(q) - rank(p))[0];
      const bytes = Buffer.from(`x${asked.toUpperCase()}x`);
      return findHost(table, bytes, 1, bytes.length - 1)?.name === best;
    }),
    { seed: 42, numRuns: 500 },
  );
  t.end();
});

/** Routes that no proxy may take, and what its refusal says. */
const REFUSED: readonly (readonly [name: string, route: Json, message: RegExp])[] = [
  [
    "mirror",
    {
      match: { prefix: "/" },
      route: {
        cluster: "a",
        request_mirror_policies: [
          { cluster: "b", runtime_fraction: { default_value: { numerator: 101 } } },
          { cluster_header: "x" },
        ],
      },
    },
    /request_mirror_policies\[1\]\.cluster_header is not supported/,
  ],
  [
    "mirror of more than all",
    {
      match: { prefix: "/" },
      route: {
        cluster: "a",
        request_mirror_policies: [{ cluster: "b", runtime_fraction: { default_value: { numerator: 101 } } }],
      },
    },
    /request_mirror_policies\[0\]\.runtime_fraction\.default_value is more than all: 101\/100/,
  ],
  [
    "fraction of more than all",
    {
      match: { prefix: "/", runtime_fraction: { default_value: { numerator: 101 } } },
      route: { cluster: "a" },
    },
    /routes\[0\]\.match\.runtime_fraction\.default_value is more than all: 101\/100/,
  ],
  [
    "fraction without value",
    { match: { prefix: "/", runtime_fraction: { runtime_key: "x" } }, route: { cluster: "a" } },
    /routes\[0\]\.match\.runtime_fraction\.default_value is missing/,
  ],
  [
    "fraction of unknown parts",
    {
      match: { prefix: "/", runtime_fraction: { default_value: { numerator: 0, denominator: 7 } } },
      route: { cluster: "a" },
    },
    /routes\[0\]\.match\.runtime_fraction\.default_value\.denominator is 7, which stands for no number/,
  ],
  ["no action", { match: { prefix: "/" } }, /has no route action/],
  [
    "no path",
    { match: {}, route: { cluster: "a" } },
    /match has no path, prefix, path_separated_prefix or safe_regex/,
  ],
  [
    "weights of 0",
    { match: { prefix: "/" }, route: { weighted_clusters: { clusters: [{ name: "a", weight: 0 }] } } },
    /weights that add up to 0/,
  ],
  [
    "wrong total",
    {
      match: { prefix: "/" },
      route: { weighted_clusters: { clusters: [{ name: "a", weight: 2 }], total_weight: 3 } },
    },
    /total_weight is 3, but the weights add up to 2/,
  ],
];

test("routing: a configuration that cannot be carried out is rejected with path and reason", (t) => {
  for (const [name, route, message] of REFUSED) {
    const bootstrap = fromJson(BootstrapSchema, bootstrapOf({ clusters: { a: [1] }, routes: [route] }), {
      registry,
    });
    t.throws(
      () => createProxy(bootstrap, { clock: systemClock, log: silentLogger }),
      { code: CONFIG_REJECTED, message },
      name,
    );
  }
  const twice = bootstrapOf({
    clusters: { a: [1] },
    virtualHosts: [
      { name: "x", domains: ["a.test"], routes: [] },
      { name: "y", domains: ["A.test", "a*b"], routes: [] },
    ],
  });
  t.throws(
    () =>
      createProxy(fromJson(BootstrapSchema, twice, { registry }), { clock: systemClock, log: silentLogger }),
    {
      code: CONFIG_REJECTED,
      message:
        /virtual_hosts\[1\]\.domains\[0\] repeats the domain "a\.test"; virtual_hosts\[1\]\.domains\[1\] is no domain/,
    },
  );
  t.end();
});

test("routing: an address that is no IP address is rejected, so that nothing is ever looked up", (t) => {
  for (const address of ["999.1.1.1", "1.2.3", "::1::", "1:2", "localhost", ""]) {
    const endpoint = { address: { socket_address: { address, port_value: 80 } } };
    const assignment = fromJson(ClusterLoadAssignmentSchema, {
      cluster_name: "a",
      endpoints: [{ lb_endpoints: [{ endpoint }] }],
    });
    t.throws(() => compileEndpoints(assignment), {
      code: CONFIG_REJECTED,
      message: /lb_endpoints\[0\]\.endpoint\.address\.socket_address\.address is no IP address/,
    });
  }
  t.end();
});

test("routing: routes that ask to be held against the clusters are rejected while one is missing", async (t) => {
  const core = new Core({ clock: systemClock, log: silentLogger, seed: 1 });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  t.teardown(() => configuration.close());
  const apply = (names: readonly string[], validates: boolean) =>
    configuration.apply({
      listeners: [],
      routes: [
        fromJson(RouteConfigurationSchema, {
          name: "r",
          validate_clusters: validates,
          virtual_hosts: [
            { name: "v", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "b" } }] },
          ],
        }),
      ],
      clusters: names.map((name) => fromJson(ClusterSchema, { name, type: "STATIC" })),
      endpoints: [],
      changed: "routes",
      versions: { listeners: "1", routes: "1", clusters: "1", endpoints: "1" },
    });
  await t.rejects(apply(["a"], true), {
    code: CONFIG_REJECTED,
    message: /routes "r" is rejected: validate_clusters is set, and there is no cluster b/,
  });
  await t.resolves(apply(["a"], false));
  await t.resolves(apply(["a", "b"], true));
});

test("routing: a head parsed in any pieces is the same head", (t) => {
  const token = fc.stringMatching(/^[a-zA-Z0-9-]{1,12}$/);
  const value = fc.stringMatching(/^[ -~]{0,30}$/);
  const request = fc
    .record({
      path: fc.stringMatching(/^\/[a-z0-9/?=&]{0,20}$/),
      fields: fc.array(fc.tuple(token, value), { maxLength: 12 }),
      noise: fc.option(fc.tuple(fc.nat(), fc.nat(255))),
    })
    .map(({ path, fields, noise }) => {
      const text = `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${fields.map(([name, text]) => `${name}: ${text}\r\n`).join("")}\r\n`;
      const bytes = Buffer.from(text, "latin1");
      if (noise !== null) bytes[noise[0] % bytes.length] = noise[1];
      return bytes;
    });
  fc.assert(
    fc.property(request, fc.array(fc.nat(400), { maxLength: 20 }), (bytes, cuts) => {
      const whole = parsed(bytes, []);
      t.strictSame(parsed(bytes, cuts), whole);
      t.strictSame(parsed(bytes, Array.from(bytes.keys())), whole);
    }),
    { seed: 7, numRuns: 300 },
  );
  t.end();
});

/** What the parser makes of a head that becomes visible up to each cut in turn. */
function parsed(bytes: Buffer, cuts: readonly number[]): unknown {
  const parser = new HeadParser();
  parser.reset(KIND.REQUEST);
  const bounds = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
  let result = 0;
  for (const bound of bounds) {
    // Each call sees another copy of the bytes so far, as after a growth of the buffer that holds them.
    const copy = Buffer.concat([Buffer.from("junk"), bytes.subarray(0, bound)]);
    result = parser.run(copy, 4, copy.length);
    if (result !== 0) break;
  }
  const { head } = parser;
  if (result === 2) return parser.refused;
  if (result === 0) return "more";
  const {
    length,
    method,
    targetStart,
    targetEnd,
    pathEnd,
    fieldCount,
    contentLength,
    hasClose,
    hasKeepAlive,
  } = head;
  const fields = [...head.fields.subarray(0, fieldCount * 4)];
  return {
    length,
    method,
    targetStart,
    targetEnd,
    pathEnd,
    contentLength,
    hasClose,
    hasKeepAlive,
    fields,
    kinds: [...head.kinds.subarray(0, fieldCount)],
  };
}
