// How an endpoint is chosen: shares, slow start, consistency, panic, and that nothing of it is lost when configuration changes.
import { test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { Core } from "../../src/proxy/core.ts";
import { warmthOf } from "../../src/proxy/forward/balancer.ts";
import { type ClusterOptions, DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { createManualClock } from "../support/clock.ts";
import { type Json, recordingOrigin, startProxy, talk } from "./support.ts";

/** An error that is logged is a bug that was caught. */
function failed(line: string): never {
  throw new Error(line);
}

function clusterOf(ports: readonly number[], options: Partial<ClusterOptions> = {}) {
  const clock = createManualClock();
  const core = new Core({ clock, log: createLogger({ level: "error", write: failed }), seed: 7 });
  const cluster = new Cluster(core, "a", { ...DEFAULT_CLUSTER_OPTIONS, ...options });
  cluster.update(addresses(ports));
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    core.deadlines.sweep();
  };
  return { cluster, pass };
}

function addresses(ports: readonly number[], weights: readonly number[] = []) {
  return ports.map((port, i) => ({ address: "127.0.0.1", port, isHealthy: true, weight: weights[i] ?? 1 }));
}

/** How often each port is picked. */
function tally(cluster: Cluster, picks: number, hash?: (i: number) => number): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let i = 0; i < picks; i++) {
    const port = cluster.pick(hash?.(i))?.port ?? 0;
    counts[port] = (counts[port] ?? 0) + 1;
  }
  return counts;
}

/** Spread over 32 bits. */
const spread = (i: number): number => Math.imul(i, 0x9e3779b1) >>> 0;

test("balancer: round robin takes turns, and goes on where it was when endpoints come", (t) => {
  const { cluster } = clusterOf([1, 2, 3]);
  t.strictSame(
    [1, 2, 3, 4].map(() => cluster.pick()?.port),
    [1, 2, 3, 1],
  );
  cluster.update(addresses([1, 2, 3, 4]));
  t.strictSame(
    [1, 2, 3].map(() => cluster.pick()?.port),
    [2, 3, 4],
  );
  t.end();
});

test("balancer: weights give shares, exactly and without runs", (t) => {
  const { cluster } = clusterOf([1, 2]);
  cluster.update(addresses([1, 2], [3, 1]));
  t.strictSame(
    [1, 2, 3, 4, 5, 6, 7, 8].map(() => cluster.pick()?.port),
    [1, 1, 2, 1, 1, 1, 2, 1],
  );
  t.end();
});

test("balancer: least request goes by load, and with weights by load for a share", (t) => {
  const { cluster } = clusterOf([1, 2], { balancer: { kind: "leastRequest", choices: 8 } });
  const [busy] = cluster.endpoints;
  if (busy === undefined) throw new Error("there is one");
  busy.active = 5;
  t.ok((tally(cluster, 400)[1] ?? 0) < 20, "the busy one is seldom drawn alone");
  cluster.update(addresses([1, 2], [100, 1]));
  t.ok(
    (tally(cluster, 400)[1] ?? 0) > 380,
    "six requests for a share of 100 are less than one for a share of 1",
  );
  t.end();
});

test("balancer: a new endpoint gets its share bit by bit", async (t) => {
  const { cluster, pass } = clusterOf([1], { slowStart: { windowMs: 10_000, aggression: 1, minimum: 0.1 } });
  await pass(60_000);
  cluster.update(addresses([1, 2]));
  const share = (): number => (tally(cluster, 1_000)[2] ?? 0) / 1_000;
  t.ok(Math.abs(share() - 0.1 / 1.1) < 0.01, "a tenth of a full share at first");
  await pass(5_000);
  t.ok(Math.abs(share() - 0.5 / 1.5) < 0.01, "half of it after half the time");
  await pass(5_000);
  t.equal(share(), 0.5, "all of it at the end");
});

test("balancer: an endpoint that comes back starts slowly again; one that stays does not, whatever is configured", async (t) => {
  const options = {
    ...DEFAULT_CLUSTER_OPTIONS,
    slowStart: { windowMs: 10_000, aggression: 2, minimum: 0.1 },
  };
  const { cluster, pass } = clusterOf([1, 2], options);
  await pass(60_000);
  cluster.configure({ ...options, maxRequests: 7 });
  t.strictSame(tally(cluster, 100), { 1: 50, 2: 50 });
  const [, second] = cluster.endpoints;
  if (second === undefined) throw new Error("there are two");
  cluster.setHealth(second, { isCheckFailed: true });
  t.strictSame(tally(cluster, 100), { 1: 100 });
  cluster.setHealth(second, { isCheckFailed: false });
  await pass(2_500);
  t.ok(Math.abs((tally(cluster, 3_000)[2] ?? 0) / 3_000 - 1 / 3) < 0.01, "the root of a quarter is a half");
  t.equal(warmthOf(2_500, options.slowStart), 0.5);
});

test("balancer: a ring spreads hashes evenly, the same in every process", (t) => {
  const ring = { kind: "ringHash", minimumSize: 1_024, maximumSize: 65_536 } as const;
  const ports = [1, 2, 3, 4, 5];
  const { cluster } = clusterOf(ports, { balancer: ring });
  const counts = tally(cluster, 20_000, spread);
  for (const port of ports) t.ok(Math.abs((counts[port] ?? 0) - 4_000) < 800, `${port}: ${counts[port]}`);
  // Envoy and any other process have the same points: XXH64 of "127.0.0.1:1_0" and so on.
  const again = clusterOf(ports, { balancer: ring }).cluster;
  for (let i = 0; i < 100; i++) t.equal(cluster.pick(spread(i))?.port, again.pick(spread(i))?.port);
  t.end();
});

test("balancer: a ring has no more points than it may", async (t) => {
  const pointsOf = (maximumSize: number): number => {
    const { cluster } = clusterOf([1, 2], {
      balancer: { kind: "ringHash", minimumSize: 1_024, maximumSize },
    });
    const owners = Array.from({ length: 20_000 }, (_, i) => cluster.pick(i * 214_748)?.port);
    return owners.filter((owner, i) => i > 0 && owner !== owners[i - 1]).length;
  };
  t.ok(pointsOf(4) <= 5, "so few change hands along the ring");
  t.ok(pointsOf(65_536) > 300);
  const config = (ring: Json) =>
    startProxy(t, {
      clusters: { a: [1] },
      clusterFields: { lb_policy: "RING_HASH", ring_hash_lb_config: ring },
    });
  await t.rejects(config({ minimum_ring_size: 10, maximum_ring_size: 5 }), /is above maximum_ring_size/);
  await config({ minimum_ring_size: 4, maximum_ring_size: 4 });
});

test("balancer: on a ring, an endpoint that comes moves little beside its own share, and gives it back when it goes", (t) => {
  const { cluster } = clusterOf([1, 2, 3, 4], {
    balancer: { kind: "ringHash", minimumSize: 1_024, maximumSize: 65_536 },
  });
  const owners = Array.from({ length: 4_000 }, (_, i) => cluster.pick(spread(i))?.port);
  cluster.update(addresses([1, 2, 3, 4, 5]));
  const now = owners.map((_owner, i) => cluster.pick(spread(i))?.port);
  const moved = now.filter((owner, i) => owner !== owners[i]).length;
  const toNew = now.filter((owner) => owner === 5).length;
  t.ok(toNew > 600 && toNew < 1_000, `about a fifth is the new one's: ${toNew}`);
  // As in Envoy, the others give up points too, so that the ring keeps its size: a little moves between them.
  t.ok(moved - toNew < 400, `${moved} moved, of them ${toNew} to the new one`);
  cluster.update(addresses([4, 3, 2, 1]));
  t.strictSame(
    Array.from({ length: 4_000 }, (_, i) => cluster.pick(spread(i))?.port),
    owners,
  );
  t.end();
});

test("balancer: a route's hash policy keeps a client's requests on one endpoint", async (t) => {
  const origins = await Promise.all([1, 2, 3, 4].map(() => recordingOrigin(t)));
  const { port } = await startProxy(t, {
    clusters: { a: origins.map((origin) => origin.port) },
    clusterFields: { lb_policy: "RING_HASH" },
    routes: [
      {
        match: { prefix: "/cookie" },
        route: { cluster: "a", hash_policy: [{ cookie: { name: "user", ttl: "60s" } }] },
      },
      {
        match: { prefix: "/" },
        route: { cluster: "a", hash_policy: [{ header: { header_name: "x-user" } }] },
      },
    ],
  });
  const ask = async (path: string, field: string): Promise<string> =>
    (await talk(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${field}\r\nConnection: close\r\n\r\n`)).text;
  const used = (): number[] => origins.flatMap(({ seen }, i) => seen.splice(0).map(() => i));
  const users = new Set<number>();
  for (let user = 0; user < 20; user++) {
    for (let turn = 0; turn < 3; turn++) await ask("/", `x-user: ${user}`);
    const by = new Set(used());
    t.equal(by.size, 1);
    for (const i of by) users.add(i);
  }
  t.ok(users.size > 2, "and users differ");
  const cookie = /set-cookie: (user=[^;]+)/i.exec(await ask("/cookie", "x: y"))?.[1] ?? "";
  t.not(cookie, "");
  for (let turn = 0; turn < 3; turn++) t.notMatch(await ask("/cookie", `Cookie: ${cookie}`), /set-cookie/i);
  t.equal(new Set(used()).size, 1, "also the request that got the cookie");
});

test("balancer: a further try goes to an endpoint that was not tried, as long as there is one", (t) => {
  for (const balancer of [
    DEFAULT_CLUSTER_OPTIONS.balancer,
    { kind: "leastRequest", choices: 2 },
    { kind: "ringHash", minimumSize: 64, maximumSize: 64 },
  ] as const) {
    const { cluster } = clusterOf([1, 2, 3], { balancer });
    for (let turn = 0; turn < 50; turn++) {
      const first = cluster.pick(spread(turn));
      if (first === null) throw new Error("there is one");
      const second = cluster.pick(spread(turn), [first]);
      if (second === null) throw new Error("there is another");
      const third = cluster.pick(spread(turn), [first, second]);
      t.equal(new Set([first, second, third]).size, 3);
      t.equal(cluster.pick(spread(turn), cluster.endpoints), null);
    }
  }
  t.end();
});

test("balancer: with too few usable endpoints all get requests; a threshold of 0 turns that off", (t) => {
  const { cluster } = clusterOf([1, 2, 3, 4]);
  const fail = (count: number): void => {
    for (const [i, endpoint] of cluster.endpoints.entries())
      cluster.setHealth(endpoint, { isCheckFailed: i < count });
  };
  fail(2);
  t.equal(cluster.isPanicking, false);
  t.strictSame(tally(cluster, 100), { 3: 50, 4: 50 });
  fail(3);
  t.equal(cluster.isPanicking, true);
  t.strictSame(tally(cluster, 100), { 1: 25, 2: 25, 3: 25, 4: 25 });
  cluster.configure({ ...DEFAULT_CLUSTER_OPTIONS, panicPercent: 0 });
  t.strictSame(tally(cluster, 100), { 4: 100 });
  fail(4);
  t.equal(cluster.pick(), null);
  t.end();
});

test("balancer: health and counts of an endpoint stay with it through every change", (t) => {
  const { cluster } = clusterOf([1, 2]);
  const [first] = cluster.endpoints;
  if (first === undefined) throw new Error("there is one");
  cluster.setHealth(first, { isEjected: true });
  first.successes = 5;
  cluster.update(addresses([3, 1]));
  cluster.configure({ ...DEFAULT_CLUSTER_OPTIONS, balancer: { kind: "leastRequest", choices: 2 } });
  t.equal(cluster.endpoints[1], first);
  t.strictSame([first.isEjected, first.successes], [true, 5]);
  t.strictSame(tally(cluster, 10), { 3: 10 });
  t.end();
});
