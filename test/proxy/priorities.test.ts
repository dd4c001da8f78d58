// Priorities of endpoints: which level serves, what spills to the next ones, what happens when none is well; from the messages of a control
// plane to who answers over sockets. Time is moved by hand, the dice are fixed.
import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { type Test, test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { CONFIG_REJECTED } from "../../src/proxy/compile/problems.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { type LevelHealth, type LevelRules, sharesOf } from "../../src/proxy/forward/levels.ts";
import type { Cluster } from "../../src/proxy/forward/pool.ts";
import {
  BootstrapSchema,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  fromBinary,
  fromJson,
  registry,
  toBinary,
} from "../../src/xds/types.ts";
import { binomialP } from "../support/binomial.ts";
import { createManualClock } from "../support/clock.ts";
import {
  bootstrapOf,
  closedPort,
  eventually,
  type Json,
  recordingOrigin,
  startProxy,
  talk,
} from "./support.ts";

const RULES: LevelRules = { overprovisioningPercent: 140, panicPercent: 50 };
const VERSIONS = { listeners: "1", routes: "1", clusters: "1", endpoints: "1" };

/** Levels of 100 endpoints, of which so many are usable. */
const hundreds = (...usable: readonly number[]): LevelHealth[] =>
  usable.map((healthy) => ({ count: 100, healthy, degraded: 0 }));
const loadsOf = (levels: readonly LevelHealth[], rules = RULES): readonly number[] =>
  sharesOf(levels, rules).map(({ loadPercent }) => loadPercent);
const panicsOf = (levels: readonly LevelHealth[], rules = RULES): readonly boolean[] =>
  sharesOf(levels, rules).map(({ isPanicking }) => isPanicking);

test("priorities: a level serves alone while 1/1.4 of it is usable, and spills what it cannot carry", (t) => {
  for (const [usable, loads] of [
    [
      [100, 100],
      [100, 0],
    ],
    [
      [72, 72],
      [100, 0],
    ],
    [
      [71, 71],
      [99, 1],
    ],
    [
      [50, 60],
      [70, 30],
    ],
    [
      [25, 100],
      [35, 65],
    ],
    [
      [0, 100],
      [0, 100],
    ],
    [
      [25, 25, 100],
      [35, 35, 30],
    ],
    [
      [0, 0, 72],
      [0, 0, 100],
    ],
    // Together 98: each gets its part of the whole, the first one what rounding leaves.
    [
      [25, 25, 20],
      [37, 35, 28],
    ],
    [
      [5, 65],
      [8, 92],
    ],
  ] as const)
    t.strictSame(loadsOf(hundreds(...usable), { ...RULES, panicPercent: 0 }), loads, `${usable}`);
  t.strictSame(loadsOf(hundreds(90, 100), { ...RULES, overprovisioningPercent: 100 }), [90, 10]);
  t.strictSame(loadsOf(hundreds(50, 100), { ...RULES, overprovisioningPercent: 200 }), [100, 0]);
  t.strictSame(
    loadsOf([{ count: 0, healthy: 0, degraded: 0 }, ...hundreds(100)]),
    [0, 100],
    "an empty level carries nothing",
  );
  t.end();
});

test("priorities: a level panics only when all levels together are not whole", (t) => {
  t.strictSame(panicsOf(hundreds(10, 100)), [false, false]);
  t.strictSame(panicsOf(hundreds(5, 65)), [true, false]);
  t.strictSame(panicsOf(hundreds(0, 0)), [true, true]);
  t.strictSame(panicsOf(hundreds(0, 0), { ...RULES, panicPercent: 0 }), [false, false]);
  // All panic: by the number of endpoints, well or not.
  const uneven = [
    { count: 2, healthy: 0, degraded: 0 },
    { count: 1, healthy: 0, degraded: 0 },
  ];
  t.strictSame(loadsOf(uneven), [67, 33]);
  t.strictSame(loadsOf(uneven, { ...RULES, panicPercent: 0 }), [100, 0]);
  t.end();
});

const anyLevels = fc
  .array(
    fc
      .record({ healthy: fc.nat(8), degraded: fc.nat(3), others: fc.nat(8) })
      .map(({ others, ...usable }) => ({
        ...usable,
        count: usable.healthy + usable.degraded + others,
      })),
    { minLength: 1, maxLength: 6 },
  )
  .filter((levels) => levels.some(({ count }) => count > 0));
const anyRules = fc.record({
  overprovisioningPercent: fc.integer({ min: 1, max: 400 }),
  panicPercent: fc.integer({ min: 0, max: 100 }),
});

test("priorities: whatever is well, the loads are those of a naive reading of the rules, 100 together", (t) => {
  fc.assert(
    fc.property(anyLevels, anyRules, (levels, rules) => {
      const shares = sharesOf(levels, rules);
      const loads = [
        ...shares.map(({ loadPercent, degradedPercent }) => loadPercent - degradedPercent),
        ...shares.map(({ degradedPercent }) => degradedPercent),
      ];
      deepEqual(loads, naiveLoads(levels, rules));
      equal(
        loads.reduce((sum, load) => sum + load, 0),
        100,
      );
      const isAnyUsable = levels.some(({ healthy, degraded }) => healthy + degraded > 0);
      for (const [i, { loadPercent, degradedPercent, isPanicking }] of shares.entries()) {
        const { count = 0, healthy = 0, degraded = 0 } = levels[i] ?? {};
        if (!isAnyUsable && !isPanicking) continue;
        if (loadPercent > degradedPercent) ok(isPanicking ? count : healthy, "who has load has endpoints");
        if (degradedPercent > 0) ok(isPanicking ? count : degraded, "degraded ones too");
      }
    }),
    { numRuns: 2_000 },
  );
  t.end();
});

/**
 * One percent after the other goes to the first that may still take one, healthy ones of all levels before degraded ones; what nobody may take
 * goes to the first that is there.
 */
function naiveLoads(levels: readonly LevelHealth[], rules: LevelRules): readonly number[] {
  const takers = [
    ...levels.map(({ count, healthy }) => ({ count, usable: healthy, isDegraded: false })),
    ...levels.map(({ count, degraded }) => ({ count, usable: degraded, isDegraded: true })),
  ];
  type Taker = (typeof takers)[number];
  const health = ({ count, usable }: Taker): number => {
    if (count === 0) return 0;
    return Math.min(100, Math.trunc((usable * rules.overprovisioningPercent) / count));
  };
  let whole = 0;
  for (const taker of takers) whole = Math.min(100, whole + health(taker));
  const areAllPanicking =
    whole < 100 &&
    levels.every(
      ({ count, healthy, degraded }) =>
        count === 0 || (healthy + degraded) * 100 < rules.panicPercent * count,
    );
  const all = levels.reduce((sum, { count }) => sum + count, 0);
  const room = takers.map((taker) => {
    if (areAllPanicking) return taker.isDegraded ? 0 : Math.trunc((taker.count * 100) / all);
    return whole === 0 ? 0 : Math.trunc((health(taker) * 100) / whole);
  });
  const isThere = (taker: Taker): boolean => {
    if (areAllPanicking) return taker.count > 0;
    return whole === 0 ? taker.usable > 0 : health(taker) > 0;
  };
  const loads = takers.map(() => 0);
  for (let percent = 0; percent < 100; percent++) {
    const free = loads.findIndex((load, i) => load < (room[i] ?? 0));
    const at = free === -1 ? Math.max(0, takers.findIndex(isThere)) : free;
    loads[at] = (loads[at] ?? 0) + 1;
  }
  return loads;
}

interface Plane {
  readonly core: Core;
  readonly clock: ReturnType<typeof createManualClock>;
  readonly cluster: Cluster;
  /** Brings an assignment in force, as bytes from a control plane. */
  assign(assignment: Json): Promise<void>;
  /** Who answered so many requests, in order. */
  ask(count?: number, fields?: string): Promise<string[]>;
}

/** One listener, and one cluster `a` whose endpoints come over EDS. */
async function plane(t: Test, clusterFields: Json, assignment: Json, route: Json = {}): Promise<Plane> {
  const clock = createManualClock();
  const problems: string[] = [];
  const log = createLogger({ level: "error", write: (line) => problems.push(line) });
  const core = new Core({ clock, log, seed: 7 });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  core.deadlines.start();
  t.teardown(() => {
    configuration.close();
    core.deadlines.stop();
    if (core.counts.internalErrors > 0) throw new Error(`internal errors: ${problems.join("\n")}`);
  });
  const routes = [{ match: { prefix: "/" }, route: { cluster: "a", ...Object(route) } }];
  const bootstrap = fromJson(BootstrapSchema, bootstrapOf({ clusters: {}, routes }), { registry });
  const listeners = bootstrap.staticResources?.listeners ?? [];
  const eds = { name: "a", type: "EDS", eds_cluster_config: { eds_config: { ads: {} } } };
  const clusters = [fromJson(ClusterSchema, { ...eds, ...Object(clusterFields) })];
  const assign = async (wanted: Json): Promise<void> => {
    const message = fromJson(ClusterLoadAssignmentSchema, { cluster_name: "a", ...Object(wanted) });
    const endpoints = [
      fromBinary(ClusterLoadAssignmentSchema, toBinary(ClusterLoadAssignmentSchema, message)),
    ];
    const versions = VERSIONS;
    await configuration.apply({ listeners, clusters, routes: [], endpoints, changed: "endpoints", versions });
  };
  await assign(assignment);
  const cluster = core.clusters.get("a");
  if (cluster === undefined) throw new Error("no cluster");
  return {
    core,
    clock,
    cluster,
    assign,
    async ask(count = 1, fields = "") {
      const request = `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
      const last = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`;
      const port = configuration.listeners[0]?.port ?? 0;
      const { text } = await talk(port, request.repeat(count - 1) + last, { patienceMs: 30_000 });
      return [...text.matchAll(/HTTP\/1\.1 (?:200[\s\S]*?<(.*?)>|(\d+))/g)].map(
        ([, name, no]) => name ?? no ?? "",
      );
    },
  };
}

interface NamedOrigin {
  readonly name: string;
  readonly port: number;
  /** What it answers. */
  status: number;
  readonly seen: readonly { readonly peerPort: number }[];
}

/** Origins that answer with their names, until they are told otherwise. */
function origins(t: Test, ...names: readonly string[]): Promise<NamedOrigin[]> {
  return Promise.all(
    names.map(async (name) => {
      const state = { status: 200 };
      const { port, seen } = await recordingOrigin(t, (_seen, response) =>
        response.writeHead(state.status).end(`<${name}>`),
      );
      return Object.assign(state, { name, port, seen });
    }),
  );
}

const endpoint = (port: number): Json => ({
  address: { socket_address: { address: "127.0.0.1", port_value: port } },
});

/** Levels of origins; those named in `down` are said to be unhealthy. */
function levels(all: readonly (readonly { name: string; port: number }[])[], down = "") {
  return {
    endpoints: all.map((level, priority) => ({
      priority,
      lb_endpoints: level.map(({ name, port }) => ({
        endpoint: endpoint(port),
        ...(down.split(" ").includes(name) && { health_status: "UNHEALTHY" }),
      })),
    })),
  };
}

const only = (names: readonly string[]): string => [...new Set(names)].sort().join(" ");

test("priorities: the next level serves while the first fails its health checks, and no longer than that", async (t) => {
  const [a, b] = await origins(t, "a", "b");
  if (a === undefined || b === undefined) throw new Error("there are two");
  const check = {
    timeout: "1s",
    interval: "10s",
    no_traffic_interval: "10s",
    unhealthy_threshold: 1,
    healthy_threshold: 1,
    http_health_check: { path: "/" },
  };
  const { ask, clock, cluster } = await plane(t, { health_checks: [check] }, levels([[a], [b]]));
  const is = (...usable: readonly boolean[]) =>
    eventually(
      () => cluster.endpoints.every(({ isUsable }, i) => isUsable === usable[i]),
      `usable: ${usable}`,
    );
  await clock.advance(0);
  await is(true, true);
  t.equal(only(await ask(6)), "a");
  a.status = 503;
  await clock.advance(10_000);
  await is(false, true);
  t.equal(cluster.isPanicking, false);
  t.equal(only(await ask(6)), "b");
  a.status = 200;
  await clock.advance(10_000);
  await is(true, true);
  t.equal(only(await ask(6)), "a");
});

test("priorities: the next level serves while the first is ejected", async (t) => {
  const [a, b] = await origins(t, "a", "b");
  if (a === undefined || b === undefined) throw new Error("there are two");
  const outlier = {
    consecutive_5xx: 3,
    interval: "10s",
    base_ejection_time: "30s",
    max_ejection_percent: 50,
  };
  const { ask, clock } = await plane(t, { outlier_detection: outlier }, levels([[a], [b]]));
  a.status = 500;
  t.strictSame(await ask(5), ["500", "500", "500", "b", "b"]);
  a.status = 200;
  await clock.advance(29_000);
  t.equal(only(await ask(3)), "b");
  await clock.advance(11_000);
  t.equal(only(await ask(3)), "a");
});

test("priorities: a level of which half is usable keeps 70 %, more or less by the assignment's factor", async (t) => {
  const [a, b, c] = await origins(t, "a", "b", "c");
  if (a === undefined || b === undefined || c === undefined) throw new Error("there are three");
  for (const lb_policy of ["ROUND_ROBIN", "LEAST_REQUEST", "RING_HASH"]) {
    const half = levels([[a, b], [c]], "b");
    const { ask, assign, cluster } = await plane(t, { lb_policy }, half);
    const countOf = async (): Promise<number> => {
      const names = await ask(500);
      t.equal(only(names), "a c");
      return names.filter((name) => name === "a").length;
    };
    t.ok(binomialP(await countOf(), 500, 0.7) > 1e-6, lb_policy);
    t.strictSame(
      cluster.levels.map(({ loadPercent }) => loadPercent),
      [70, 30],
    );
    await assign({ ...half, policy: { overprovisioning_factor: 100 } });
    t.ok(binomialP(await countOf(), 500, 0.5) > 1e-6, `${lb_policy}, 100`);
    await assign({ ...half, policy: { overprovisioning_factor: 200 } });
    t.equal(only(await ask(20)), "a");
  }
});

test("priorities: degraded endpoints get what the healthy ones of all levels cannot carry", async (t) => {
  const [a, b, c] = await origins(t, "a", "b", "c");
  if (a === undefined || b === undefined || c === undefined) throw new Error("there are three");
  const of = (priority: number, ...known: readonly (readonly [NamedOrigin, string])[]): Json => ({
    priority,
    lb_endpoints: known.map(([{ port }, health_status]) => ({ endpoint: endpoint(port), health_status })),
  });
  const { ask, assign, cluster } = await plane(
    t,
    {},
    { endpoints: [of(0, [a, "HEALTHY"], [b, "DEGRADED"])] },
  );
  const names = await ask(500);
  t.equal(only(names), "a b");
  t.ok(
    binomialP(names.filter((name) => name === "a").length, 500, 0.7) > 1e-6,
    "half of a level carries 70 %",
  );
  t.strictSame(cluster.levels, [{ loadPercent: 100, degradedPercent: 30, isPanicking: false }]);
  await assign({ endpoints: [of(0, [a, "UNHEALTHY"], [b, "DEGRADED"]), of(1, [c, "HEALTHY"])] });
  t.equal(only(await ask(20)), "c", "a lower level that is healthy goes before");
  await assign({ endpoints: [of(0, [a, "UNHEALTHY"], [b, "DEGRADED"]), of(1, [c, "UNHEALTHY"])] });
  t.equal(only(await ask(20)), "b");
  await assign({ endpoints: [of(0, [a, "HEALTHY"], [b, "HEALTHY"])] });
  t.equal(cluster.levels.length, 0);
  t.equal(only(await ask(4)), "a b");
});

test("priorities: by hash, who is served by a level stays there while it carries less or more", async (t) => {
  const all = await origins(t, "a", "b", "c", "d", "e");
  const both = [all.slice(0, 4), all.slice(4)];
  const route = { hash_policy: [{ header: { header_name: "x-user" } }] };
  const { ask, assign } = await plane(t, { lb_policy: "RING_HASH" }, levels(both, "c d"), route);
  const users = Array.from({ length: 60 }, (_, user) => `x-user: ${user}\r\n`);
  const served = async (): Promise<string[]> => {
    const names: string[] = [];
    for (const user of users) names.push(only(await ask(2, user)));
    return names;
  };
  const before = await served();
  t.strictSame(await served(), before);
  const spilt = before.filter((name) => name === "e").length;
  t.ok(binomialP(spilt, users.length, 0.3) > 1e-6, `${spilt} spilt`);
  await assign(levels(both, "b c d"));
  const after = await served();
  t.strictSame(
    after.filter((_name, i) => before[i] === "e"),
    Array.from({ length: spilt }, () => "e"),
    "who had gone to the next level is there",
  );
  t.ok(after.filter((name) => name === "e").length > spilt, "and others came");
  await assign(levels(both, "c d"));
  t.strictSame(await served(), before, "and went again");
});

test("priorities: a further try goes on to another level that has load, never to one that has none", async (t) => {
  const [b] = await origins(t, "b");
  if (b === undefined) throw new Error("there is one");
  const dead = { name: "dead", port: await closedPort() };
  const down = { name: "down", port: await closedPort() };
  const { ask, assign } = await plane(t, {}, levels([[dead, down], [b]], "down"));
  t.strictSame(
    await ask(20),
    Array.from({ length: 20 }, () => "b"),
  );
  await assign(levels([[dead], [b]]));
  t.strictSame(await ask(3), ["503", "503", "503"]);
});

test("priorities: with all levels down all endpoints get requests, or none with the threshold at 0", async (t) => {
  const all = await origins(t, "a", "b", "c");
  const both = [all.slice(0, 1), all.slice(1)];
  const panicking = await plane(t, {}, levels(both, "a b c"));
  const names = await panicking.ask(300);
  t.equal(only(names), "a b c");
  t.ok(binomialP(names.filter((name) => name === "a").length, 300, 0.34) > 1e-6, "by their number");
  t.equal(panicking.cluster.isPanicking, true);
  const off = { common_lb_config: { healthy_panic_threshold: { value: 0 } } };
  const refusing = await plane(t, off, levels(both, "a b c"));
  t.strictSame(await refusing.ask(2), ["503", "503"]);
  await refusing.assign(levels(both, "a b"));
  t.equal(only(await refusing.ask(5)), "c");
});

test("priorities: connections, ejections, slow start and turns live on when endpoints change their level", async (t) => {
  const all = await origins(t, "a", "b", "c");
  const [a, b, c] = all;
  if (a === undefined || b === undefined || c === undefined) throw new Error("there are three");
  const outlier = { consecutive_5xx: 1, base_ejection_time: "300s", max_ejection_percent: 100 };
  const slow = { slow_start_config: { slow_start_window: "60s" } };
  const fields = { outlier_detection: outlier, lb_policy: "ROUND_ROBIN", round_robin_lb_config: slow };
  const { ask, assign, cluster, clock } = await plane(t, fields, levels([[a, b, c]]));
  await clock.advance(120_000);
  t.equal(only(await ask(6)), "a b c", "one level");
  const before = [...cluster.endpoints];
  a.status = 500;
  await ask(3);
  t.equal(before[0]?.isEjected, true);
  await assign(levels([[b], [c, a]]));
  t.strictSame(
    cluster.endpoints.map((one) => before.indexOf(one)),
    [1, 2, 0],
  );
  t.equal(before[0]?.isEjected, true);
  t.equal(only(await ask(4)), "b");
  await assign(levels([[a], [b, c]]));
  t.strictSame(await ask(4).then(only), "b c", "the ejected one's level has no load");
  t.ok(
    cluster.endpoints.every(({ warmth }) => warmth === 1),
    "nobody is new",
  );
  await assign(levels([[c, b]]));
  t.equal(cluster.levels.length, 0);
  t.equal(only(await ask(4)), "b c");
  for (const { seen } of [b, c])
    t.equal(new Set(seen.map(({ peerPort }) => peerPort)).size, 1, "one connection");
});

test("priorities: the first level goes on with its turns when others come and go, and with another policy", async (t) => {
  const at = (...ports: readonly number[]) => ports.map((port) => ({ name: `${port}`, port }));
  const { assign, cluster } = await plane(t, {}, levels([at(1, 2, 3)]));
  const turns = (count: number) => Array.from({ length: count }, () => cluster.pick()?.port);
  t.strictSame(turns(2), [1, 2]);
  await assign(levels([at(1, 2, 3), at(4)]));
  t.strictSame(turns(2), [3, 1]);
  await assign(levels([at(1, 2, 3)]));
  t.strictSame(turns(2), [2, 3]);
  await assign(levels([at(1, 2), at(3)], "2"));
  const { options } = cluster;
  cluster.configure({ ...options, balancer: { kind: "ringHash", minimumSize: 64, maximumSize: 64 } });
  t.strictSame(
    Array.from({ length: 100 }, (_, hash) => cluster.pick(hash)?.port),
    Array.from({ length: 100 }, (_, hash) => (hash < 70 ? 1 : 3)),
    "each hash in a hundred has its level",
  );
  await assign(levels([at(1), at(2, 3)], "1 2"));
  t.strictSame(
    cluster.levels.map(({ loadPercent, isPanicking }) => [loadPercent, isPanicking]),
    [
      [0, true],
      [100, false],
    ],
  );
  t.equal(cluster.isPanicking, false, "nothing goes to those that panic");
});

test("priorities: gaps and what cannot be are refused by their paths, and what was in force stays", async (t) => {
  const [a, b] = await origins(t, "a", "b");
  if (a === undefined || b === undefined) throw new Error("there are two");
  const { ask, assign } = await plane(t, {}, levels([[a], [b]]));
  const at = (priority: number, port = a.port): Json => ({
    priority,
    lb_endpoints: [{ endpoint: endpoint(port) }],
  });
  const refusals: readonly (readonly [Json, RegExp])[] = [
    [{ endpoints: [at(1)] }, /endpoints\[0\]\.priority is 1, and nothing has priority 0/],
    [
      { endpoints: [at(0), { lb_endpoints: [], priority: 3 }, at(1, b.port)] },
      /endpoints\[1\]\.priority is 3, and nothing has priority 2/,
    ],
    [{ endpoints: [at(0), at(129, b.port)] }, /endpoints\[1\]\.priority must be 128 or less/],
    [{ endpoints: [at(0), at(1)] }, /endpoints\[1\]\.lb_endpoints\[0\]\.endpoint has priority 0 too/],
    [{ policy: { overprovisioning_factor: 0 } }, /policy\.overprovisioning_factor must be 1 or more/],
    [{ policy: { weighted_priority_health: true } }, /policy\.weighted_priority_health is not supported/],
    [{ policy: { drop_overloads: [{}] } }, /policy\.drop_overloads is not supported/],
  ];
  for (const [assignment, message] of refusals)
    await t.rejects(assign(assignment), { code: CONFIG_REJECTED, message });
  t.equal(only(await ask(3)), "a");
  await assign({ endpoints: [{ lb_endpoints: [] }, at(1, b.port), at(2)] });
  t.equal(only(await ask(3)), "b", "an empty level is one");
});

test("priorities: static endpoints have them too, and the admin port shows them", async (t) => {
  const [a, b] = await origins(t, "a", "b");
  if (a === undefined || b === undefined) throw new Error("there are two");
  const policy = { overprovisioning_factor: 120 };
  const last = {
    priority: 2,
    lb_endpoints: [{ endpoint: endpoint(await closedPort()), health_status: "DEGRADED" }],
  };
  const { endpoints } = levels([[a], [b]], "a");
  const load_assignment = { cluster_name: "v1", policy, endpoints: [...endpoints, last] };
  const { proxy, port } = await startProxy(t, {
    clusters: { v1: [] },
    clusterFields: { load_assignment },
    hasAdmin: true,
  });
  const { text } = await talk(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  t.match(text, /<b>/);
  const admin = `http://127.0.0.1:${proxy.adminPort}`;
  const lines = await (await fetch(`${admin}/clusters`)).text();
  for (const line of [
    "v1::priority_0_load_percent::0",
    "v1::priority_1_load_percent::100",
    `v1::127.0.0.1:${a.port}::priority::0`,
    `v1::127.0.0.1:${b.port}::priority::1`,
  ])
    t.ok(lines.includes(`${line}\n`), line);
  const dump: unknown = await (await fetch(`${admin}/config_dump`)).json();
  t.match(dump, {
    clusters: [
      {
        overprovisioningPercent: 120,
        endpoints: [
          { priority: 0, isDegraded: false },
          { port: b.port, priority: 1, isDegraded: false },
          { priority: 2, isDegraded: true },
        ],
      },
    ],
  });
});
