// Routes that serve a fraction of the requests they match (runtime_fraction): how many, which, and what that costs the others.
import { test } from "tap";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import type { HostTable } from "../../src/proxy/route/table.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { type Json, recordingOrigin, startProxy, talk } from "./support.ts";

const fraction = (numerator: number, denominator = "HUNDRED"): Json => ({
  default_value: { numerator, denominator },
  runtime_key: "nobody.sets.this",
});

/** `matches` by name of the route. */
function tableOf(matches: Readonly<Record<string, Json>>): HostTable {
  const routes = Object.entries(matches).map(([name, match]) => ({ name, match, route: { cluster: "c" } }));
  const config = { virtual_hosts: [{ name: "all", domains: ["*"], routes }] };
  return compileRoutes(fromJson(RouteConfigurationSchema, config), "1", () => 0);
}

/** How many of `count` requests each route got. */
function counted(table: HostTable, count: number): Readonly<Record<string, number>> {
  const dice = new Dice(5);
  const parser = new HeadParser();
  const bytes = Buffer.from("GET / HTTP/1.1\r\nhost: a\r\nx-user: one\r\n\r\n");
  const found: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    parser.reset(KIND.REQUEST);
    parser.run(bytes, 0, bytes.length);
    const name = findRoute(table, parser.head, dice)?.name ?? "none";
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

test("shares: through sockets each route serves its fraction, and 0 serves nothing", async (t) => {
  const [half, rest, none] = [await recordingOrigin(t), await recordingOrigin(t), await recordingOrigin(t)];
  const { port, proxy } = await startProxy(t, {
    clusters: { half: [half.port], rest: [rest.port], none: [none.port] },
    hasAdmin: true,
    routes: [
      { match: { prefix: "/", runtime_fraction: fraction(0) }, route: { cluster: "none" } },
      {
        match: { prefix: "/", runtime_fraction: fraction(2_500, "TEN_THOUSAND") },
        route: { cluster: "half" },
      },
      { match: { prefix: "/", runtime_fraction: fraction(100) }, route: { cluster: "rest" } },
      { match: { prefix: "/" }, route: { cluster: "none" } },
    ],
  });
  const count = 800;
  const get = "GET / HTTP/1.1\r\nHost: a\r\n";
  const { text } = await talk(port, `${`${get}\r\n`.repeat(count - 1)}${get}Connection: close\r\n\r\n`, {
    patienceMs: 60_000,
  });
  t.equal(text.split("HTTP/1.1 200").length - 1, count);
  t.equal(none.seen.length, 0);
  // Four standard deviations of 800 tries at a quarter.
  t.ok(Math.abs(half.seen.length - 200) < 49, `${half.seen.length} of about 200`);
  t.equal(half.seen.length + rest.seen.length, count);
  const dump = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump`)).text();
  t.match(JSON.parse(dump).routes[0].hosts[0].routes, [{ fraction: 0 }, { fraction: 0.25 }, { fraction: 1 }]);
});

test("shares: one number decides for all routes of a request, as in Envoy", (t) => {
  const found = counted(
    tableOf({
      first: { prefix: "/", runtime_fraction: fraction(5) },
      second: { prefix: "/", runtime_fraction: fraction(5) },
      third: { prefix: "/", runtime_fraction: fraction(25) },
      rest: { prefix: "/" },
    }),
    20_000,
  );
  t.equal(found.second, undefined, "what 5 % left, another 5 % does not take");
  // Four standard deviations of 20 000 tries at 5, 20 and 75 %.
  t.ok(Math.abs((found.first ?? 0) - 1_000) < 124, `first: ${found.first}`);
  t.ok(Math.abs((found.third ?? 0) - 4_000) < 227, `third: ${found.third}`);
  t.ok(Math.abs((found.rest ?? 0) - 15_000) < 246, `rest: ${found.rest}`);
  t.end();
});

test("shares: of one number each denominator sees another part, as in Envoy", (t) => {
  const found = counted(
    tableOf({
      first: { prefix: "/", runtime_fraction: fraction(50) },
      second: { prefix: "/", runtime_fraction: fraction(500_000, "MILLION") },
      third: { prefix: "/", runtime_fraction: fraction(2_500, "TEN_THOUSAND") },
      rest: { prefix: "/" },
    }),
    20_000,
  );
  // Of 10^6 numbers, n % 100 < 50 is a half; n < 500 000 of the rest a half; n % 10 000 < 2 500 of what is left a quarter.
  for (const [name, want] of [
    ["first", 10_000],
    ["second", 5_000],
    ["third", 1_250],
    ["rest", 3_750],
  ] as const)
    t.ok(Math.abs((found[name] ?? 0) - want) < 4 * Math.sqrt(want), `${name}: ${found[name]}`);
  t.end();
});

test("shares: a fraction holds beside the other rules of its route", (t) => {
  const user = (exact: string): Json => [{ name: "x-user", string_match: { exact } }];
  const found = counted(
    tableOf({
      other: { prefix: "/", headers: user("two"), runtime_fraction: fraction(99) },
      path: { path: "/x", runtime_fraction: fraction(99) },
      half: { prefix: "/", headers: user("one"), runtime_fraction: fraction(50) },
      all: { prefix: "/", headers: user("one"), runtime_fraction: fraction(100) },
    }),
    10_000,
  );
  t.strictSame(Object.keys(found).sort(), ["all", "half"]);
  t.ok(Math.abs((found.half ?? 0) - 5_000) < 201, `half: ${found.half}`);
  t.end();
});

test("shares: a version is split off by a number of its own", (t) => {
  const dice = new Dice(5);
  const table = tableOf({ low: { prefix: "/", runtime_fraction: fraction(10) }, rest: { prefix: "/" } });
  const parser = new HeadParser();
  const bytes = Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  let [low, lowAndLow] = [0, 0];
  for (let i = 0; i < 20_000; i++) {
    parser.reset(KIND.REQUEST);
    parser.run(bytes, 0, bytes.length);
    if (findRoute(table, parser.head, dice)?.name !== "low") continue;
    low += 1;
    if (dice.below(100) < 50) lowAndLow += 1;
  }
  // Four standard deviations of 2 000 tries at a half.
  t.ok(Math.abs(lowAndLow - low / 2) < 90, `${lowAndLow} of ${low}`);
  t.end();
});

test("shares: all requests cost nothing: no rule, and no number is drawn", (t) => {
  const table = tableOf({ all: { prefix: "/", runtime_fraction: fraction(1_000_000, "MILLION") } });
  t.match(table.any, { hasShares: false, routes: [{ match: { hasRules: false } }] });
  const dice = new Dice(5);
  const parser = new HeadParser();
  const bytes = Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  parser.reset(KIND.REQUEST);
  parser.run(bytes, 0, bytes.length);
  t.equal(findRoute(table, parser.head, dice)?.name, "all");
  t.equal(dice.next(), new Dice(5).next());
  t.end();
});
