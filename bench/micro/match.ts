// What finding a route costs: a head is parsed, respelt and matched against tables of several sizes. Each scene runs in a fresh process, several
// times; medians. `linear` asks routes one by one, as without an index.
//   node bench/micro/match.ts [--rounds 7] [--requests 400000]
import { parseArgs } from "node:util";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { HeadParser, KIND, PARSED } from "../../src/proxy/http1/parse.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import { AS_SPELT, ESCAPED_SLASH, respell, type Spelling } from "../../src/proxy/route/normalise.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import type { HostTable, VirtualHost } from "../../src/proxy/route/table.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { measureScenes } from "../lib/scenes.ts";

const { values } = parseArgs({
  options: {
    scene: { type: "string" },
    rounds: { type: "string", default: "7" },
    requests: { type: "string", default: "400000" },
  },
});
const REQUESTS = Number(values.requests);
const ROUNDS = Number(values.rounds);
const WARM_UP = 50_000;
const DICE = new Dice(1);

type Json = Parameters<typeof fromJson>[1];
type Match = { readonly [field: string]: Json };

interface Scene {
  readonly hosts: readonly { readonly domain: string; readonly matches: readonly Match[] }[];
  readonly heads: readonly Buffer[];
  readonly isLinear?: boolean;
  /** Part of the requests that are enough, for slow scenes. */
  readonly share?: number;
  readonly spelling?: Spelling;
}

const NORMAL: Spelling = {
  isPathNormal: true,
  isSlashMerged: true,
  escapedSlash: ESCAPED_SLASH.REJECT,
  portStrip: 0,
  isDotStripped: true,
};
const BROWSER = Array.from({ length: 18 }, (_, i) => `x-browser-${i}: value of field number ${i}\r\n`).join(
  "",
);

const SCENES: Readonly<Record<string, () => Scene>> = {
  "no match at all (parse only)": () => ({ hosts: [], heads: [head("a.test", "/r9/x")] }),
  "10 routes": () => ({ hosts: [plainHost("a.test")], heads: [head("a.test", "/r9/x")] }),
  "10 routes, normalized": () => ({
    hosts: [plainHost("a.test")],
    heads: [head("a.test", "/r9/x")],
    spelling: NORMAL,
  }),
  "10 routes, normalized, path with parameters": () => ({
    hosts: [plainHost("a.test")],
    heads: [head("a.test", "/r9;v=2/x")],
    spelling: NORMAL,
  }),
  "10 routes, normalized, path to be respelt": () => ({
    hosts: [plainHost("a.test")],
    heads: [head("a.test", "/x/../%729//x")],
    spelling: NORMAL,
  }),
  "10 000 routes over 1 000 hosts": () => {
    const names = Array.from({ length: 1_000 }, (_, i) => `shop-${i}.example.test`);
    return {
      hosts: names.map(plainHost),
      heads: names.map((name, i) => head(name, `/r${i % 10}/x`)),
    };
  },
  "10 000 routes over 1 000 wildcard hosts": () => {
    const names = Array.from({ length: 1_000 }, (_, i) => `shop-${i}.example.test`);
    return {
      hosts: names.map((name) => plainHost(`*.${name}`)),
      heads: names.map((name, i) => head(`www.${name}`, `/r${i % 10}/x`)),
    };
  },
  "2 000 mixed rules, hit on the last": mixed,
  "2 000 mixed rules, hit on the last, linear": () => ({ ...mixed(), isLinear: true, share: 0.02 }),
  "10 mixed rules, 20 fields, hit on the last": () => ({
    ...mixed(10),
    heads: [head("a.test", "/last", BROWSER)],
  }),
  "2 000 mixed rules, 20 fields, hit on the last": () => ({
    ...mixed(),
    heads: [head("a.test", "/last", BROWSER)],
  }),
  "2 000 header rules on one path, hit on the last": () => ({
    hosts: [
      {
        domain: "a.test",
        matches: Array.from({ length: 2_000 }, (_, i) => ({
          prefix: "/",
          headers: [{ name: "x-tenant", string_match: { exact: `tenant-${i}` } }],
        })),
      },
    ],
    heads: [head("a.test", "/last", "x-tenant: tenant-1999\r\n")],
  }),
  "200 patterns without a plain beginning, hit on the last": () => ({
    hosts: [
      {
        domain: "a.test",
        matches: Array.from({ length: 200 }, (_, i) => ({
          safe_regex: { regex: `(/[a-z]+)?/page${i}(/.*)?` },
        })),
      },
    ],
    heads: [head("a.test", "/section/page199/x")],
    share: 0.02,
  }),
};

function head(host: string, target: string, more = ""): Buffer {
  return Buffer.from(
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: bench\r\nAccept: */*\r\n${more}\r\n`,
  );
}

function plainHost(domain: string) {
  return { domain, matches: Array.from({ length: 10 }, (_, i) => ({ path_separated_prefix: `/r${i}` })) };
}

/** Every kind of rule in turn, about a thing of its own each. */
function mixed(count = 2_000): Scene {
  const kinds: readonly ((i: number) => Match)[] = [
    (i) => ({ path: `/exact/${i}` }),
    (i) => ({ prefix: `/prefix-${i}` }),
    (i) => ({ path_separated_prefix: `/part/${i}` }),
    (i) => ({ prefix: "/", headers: [{ name: "x-user", string_match: { exact: `user-${i}` } }] }),
    (i) => ({ prefix: "/", headers: [{ name: `x-flag-${i}`, present_match: true }] }),
    (i) => ({ prefix: "/", query_parameters: [{ name: "version", string_match: { exact: String(i) } }] }),
    (i) => ({ prefix: "/", cookies: [{ name: "group", string_match: { exact: `g${i}` } }] }),
    (i) => ({ safe_regex: { regex: `/pattern-${i}/[0-9]+` } }),
    (i) => ({ path: `/Folded/${i}`, case_sensitive: false }),
    (i) => ({ prefix: `/api/${i}/`, headers: [{ name: ":method", string_match: { exact: "PUT" } }] }),
  ];
  const matches = Array.from({ length: count - 1 }, (_, i) => kinds[i % kinds.length]?.(i) ?? {});
  return {
    hosts: [{ domain: "a.test", matches: [...matches, { path: "/last" }] }],
    heads: [head("a.test", "/last")],
  };
}

function run(name: string): number {
  const scene = SCENES[name]?.();
  if (scene === undefined) throw new Error(`no scene ${name}`);
  const table = tableOf(scene);
  const parser = new HeadParser();
  const { heads, spelling = AS_SPELT, share = 1 } = scene;
  const requests = Math.ceil(REQUESTS * share);
  const isMatched = scene.hosts.length > 0;
  const own = { port: 80 };
  let found = 0;
  const serve = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const bytes = heads[i % heads.length];
      if (bytes === undefined) continue;
      parser.reset(KIND.REQUEST);
      if (parser.run(bytes, 0, bytes.length) !== PARSED.DONE) throw new Error(parser.refused.reason);
      if (spelling !== AS_SPELT && respell(parser.head, spelling, own) !== null) throw new Error("refused");
      if (isMatched && findRoute(table, parser.head, DICE) !== null) found += 1;
    }
  };
  if (name.includes("respelt")) return respelling(parser, heads[0] ?? Buffer.alloc(0), table, spelling);
  serve(Math.ceil(WARM_UP * share));
  found = 0;
  const before = process.cpuUsage();
  serve(requests);
  const { user, system } = process.cpuUsage(before);
  if (isMatched && found !== requests) throw new Error(`${name}: ${found} of ${requests} found a route`);
  return ((user + system) * 1_000) / requests;
}

/** Respelling is done in place: each request is a new copy. */
function respelling(parser: HeadParser, bytes: Buffer, table: HostTable, spelling: Spelling): number {
  const copy = Buffer.alloc(bytes.length);
  const serve = (count: number): void => {
    for (let i = 0; i < count; i++) {
      bytes.copy(copy);
      parser.reset(KIND.REQUEST);
      parser.run(copy, 0, copy.length);
      if (
        respell(parser.head, spelling, { port: 80 }) !== null ||
        findRoute(table, parser.head, DICE) === null
      )
        throw new Error("no route");
    }
  };
  serve(WARM_UP);
  const before = process.cpuUsage();
  serve(REQUESTS);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / REQUESTS;
}

/** Where paths are normalized, rules see them without their parameters, too: so it is on weir's Gateways. */
function tableOf({ hosts, isLinear = false, spelling = AS_SPELT }: Scene): HostTable {
  const virtual_hosts = hosts.map(({ domain, matches }) => ({
    name: domain,
    domains: [domain],
    routes: matches.map((match) => ({ match, route: { cluster: "c" } })),
  }));
  const config = { virtual_hosts, ignore_path_parameters_in_path_matching: spelling.isPathNormal };
  const table = compileRoutes(fromJson(RouteConfigurationSchema, config), "1", () => 0);
  if (!isLinear) return table;
  for (const [, host] of table.exact.entries) {
    // A table is never changed but here, to show what its index is worth.
    const open: { -readonly [field in keyof VirtualHost]: VirtualHost[field] } = host;
    open.index = null;
  }
  return table;
}

if (values.scene !== undefined) process.stdout.write(`${run(values.scene)}\n`);
else
  measureScenes(Object.keys(SCENES), {
    file: import.meta.filename,
    args: ["--requests", String(REQUESTS)],
    rounds: ROUNDS,
    unit: "ns",
    digits: 0,
  });
