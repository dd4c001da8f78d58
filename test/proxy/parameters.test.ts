// Path parameters (`/cart;v=2`): rules see paths without them where the route configuration says so, and what is forwarded keeps them.
import fc from "fast-check";
import { test } from "tap";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import { behindPlain, writePlain } from "../../src/proxy/route/parameters.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import type { HostTable } from "../../src/proxy/route/table.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { type Json, recordingOrigin, startProxy, talk } from "./support.ts";

const RUNS = Number(process.env.WEIR_PROPERTY_RUNS ?? 500);
const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };

function plainOf(path: string): string {
  const out = Buffer.alloc(path.length);
  return out.toString("latin1", 0, writePlain(out, Buffer.from(`..${path}!`), 2, path.length + 2));
}

/** `matches` by name of the route; each leads somewhere. */
function tableOf(matches: Readonly<Record<string, Json>>, ignores = true): HostTable {
  const routes = Object.entries(matches).map(([name, match]) => ({ name, match, route: { cluster: "c" } }));
  const config = {
    ignore_path_parameters_in_path_matching: ignores,
    virtual_hosts: [{ name: "all", domains: ["*"], routes }],
  };
  return compileRoutes(fromJson(RouteConfigurationSchema, config), "1", () => 0);
}

function served(table: HostTable, target: string): string | undefined {
  const parser = new HeadParser();
  parser.reset(KIND.REQUEST);
  const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`, "latin1");
  parser.run(bytes, 0, bytes.length);
  return findRoute(table, parser.head, new Dice(1))?.name;
}

test("parameters: a path is seen without what stands behind a semicolon in each segment", (t) => {
  for (const [path, want] of [
    ["/", "/"],
    ["/a/b", "/a/b"],
    ["/a;x", "/a"],
    ["/a;x=1;y=2/b;z/", "/a/b/"],
    ["/;x/a", "/a"],
    ["/;x/;y/a", "/a"],
    ["/;x", "/"],
    ["/a/;x", "/a/"],
    ["/a;/b", "/a/b"],
    ["/a%3Bx", "/a%3Bx"],
    ["//a;x//", "//a//"],
  ] as const)
    t.equal(plainOf(path), want, path);
  t.end();
});

test("parameters: what is left behind a prefix begins where the prefix ends in the path as it came", (t) => {
  for (const [path, length, want] of [
    ["/a/b", 2, "/b"],
    ["/a;x/b", 2, ";x/b"],
    ["/a;x/b;y/c", 4, ";y/c"],
    ["/;x/a/b", 2, "/b"],
    ["/a;x/b", 3, "b"],
    ["/a;x", 2, ";x"],
    ["/a", 2, ""],
    ["/a;x", 9, ""],
  ] as const) {
    const buf = Buffer.from(`..${path}!`);
    const at = behindPlain(buf, 2, 2 + path.length, length);
    t.equal(buf.toString("latin1", at, 2 + path.length), want, `${path} ${length}`);
  }
  t.end();
});

test("parameters: no spelling of them passes a rule on a path, of few routes or of many", (t) => {
  const matches = {
    exact: { path: "/admin/users" },
    folder: { path_separated_prefix: "/admin" },
    pattern: { safe_regex: { regex: "/v[0-9]+/keys" } },
    folded: { prefix: "/secret/", case_sensitive: false },
  };
  const more = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`m${i}`, { path: `/m/${i}` }]));
  const few = tableOf({ ...matches, open: { prefix: "/" } });
  const many = tableOf({ ...more, ...matches, open: { prefix: "/" } });
  const asKept = tableOf({ ...matches, open: { prefix: "/" } }, false);
  const wanted: readonly (readonly [string, string])[] = [
    ["/admin/users", "exact"],
    ["/admin", "folder"],
    ["/admin/x", "folder"],
    ["/v1/keys", "pattern"],
    ["/Secret/a", "folded"],
    ["/administer", "open"],
  ];
  const parameter = fc.constantFrom("", "", ";", ";x", ";a=1;b", ";jsessionid=0");
  const between = fc.constantFrom("", "", "", "/;", "/;x");
  const disguise = fc.array(fc.tuple(between, parameter), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(fc.constantFrom(...wanted), disguise, ([path, name], parts) => {
      const segments = path.slice(1).split("/");
      const spelt = segments.map((segment, i) => `${parts[i]![0]}/${segment}${parts[i]![1]}`).join("");
      t.equal(served(few, `${spelt}?q;/x`), name, spelt);
      t.equal(served(many, spelt), name, spelt);
      t.equal(served(few, `http://a${spelt}`), name, spelt);
    }),
    { seed: 41, numRuns: RUNS },
  );
  t.equal(
    served(asKept, "/admin;x"),
    "open",
    "where nothing is said, they are part of the path, as in Envoy",
  );
  t.equal(served(tableOf({ kept: { path: "/a;x" } }, false), "/a;x"), "kept");
  t.end();
});

test("parameters: they are forwarded, also behind a prefix that is replaced, and in redirects", async (t) => {
  const origin = await recordingOrigin(t);
  const routes = [
    { match: { path_separated_prefix: "/shop" }, route: { cluster: "a", prefix_rewrite: "/store" } },
    { match: { prefix: "/top/" }, route: { cluster: "a", prefix_rewrite: "/" } },
    { match: { prefix: "/old" }, redirect: { prefix_rewrite: "/new", host_redirect: "b.test" } },
    { match: { prefix: "/" }, route: { cluster: "a" } },
  ];
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    hcm: {
      route_config: {
        name: "static",
        ignore_path_parameters_in_path_matching: true,
        virtual_hosts: [{ name: "all", domains: ["*"], routes }],
      },
    },
  });
  const ask = async (target: string): Promise<string> =>
    (await talk(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, ANSWERED)).text;
  for (const [asked, want] of [
    ["/cart;v=2/items;n?q;r", "/cart;v=2/items;n?q;r"],
    ["/shop;jsessionid=1", "/store;jsessionid=1"],
    ["/shop;x/a;y?z", "/store;x/a;y?z"],
    ["/;x/shop/a", "/store/a"],
    ["/shopping;x", "/shopping;x"],
    ["/top;x/a", "/a"],
  ] as const) {
    await ask(asked);
    t.equal(origin.seen.at(-1)?.url, want, asked);
  }
  t.match(await ask("/old;x/a;y"), /location: http:\/\/b\.test\/new;x\/a;y\r\n/);
});
