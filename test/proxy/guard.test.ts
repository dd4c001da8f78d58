// Bounds, balance by load, and what a bug inside a callback does: one connection, never the process.
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { Core, type Limits } from "../../src/proxy/core.ts";
import { Listener } from "../../src/proxy/listener.ts";
import { Cluster, type ClusterOptions, DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/pool.ts";
import { snapshotStats } from "../../src/proxy/stats.ts";
import { PATH } from "../../src/proxy/table.ts";
import { eventually, recordingOrigin, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

interface Bench {
  readonly core: Core;
  readonly cluster: Cluster;
  readonly port: number;
  readonly logged: string[];
}

/** A core with one listener and one cluster, built from the parts. */
async function startCore(
  t: Test,
  ports: readonly number[],
  options: Partial<ClusterOptions> = {},
  limits: Partial<Limits> = {},
): Promise<Bench> {
  const logged: string[] = [];
  const core = new Core({
    clock: systemClock,
    log: createLogger({ write: (line) => logged.push(line) }),
    limits,
    seed: 5,
  });
  core.deadlines.start();
  const cluster = new Cluster(core, "a", { ...DEFAULT_CLUSTER_OPTIONS, ...options });
  cluster.update(ports.map((port) => ({ address: "127.0.0.1", port, isHealthy: true })));
  core.clusters.set("a", cluster);
  const listener = new Listener(core, { name: "main", address: "127.0.0.1", port: 0 });
  const target = { cluster: "a", weight: 1, cell: core.stats.cell("r", "a") };
  const route = {
    name: "r",
    pathKind: PATH.PREFIX,
    path: Buffer.alloc(0),
    isCaseIgnored: false,
    headers: [],
    split: { targets: [target], bounds: Float64Array.of(1), total: 1, sticky: null },
    timeoutMs: 0,
    idleTimeoutMs: 0,
    mirrors: [],
  };
  listener.hosts = { ...listener.hosts, any: { name: "v", routes: [route] } };
  await listener.open();
  t.teardown(() => {
    listener.close();
    cluster.update([]);
    core.deadlines.stop();
  });
  return { core, cluster, port: listener.port, logged };
}

test("guard: a bug on one connection resets that one, is counted and logged, and the others go on", async (t) => {
  const origin = await recordingOrigin(t);
  const { core, cluster, port, logged } = await startCore(t, [origin.port]);
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  const pick = cluster.pick.bind(cluster);
  cluster.pick = () => {
    throw new Error("planted");
  };
  t.strictSame(await talk(port, GET), { text: "", end: "reset" });
  cluster.pick = pick;
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  t.equal(core.counts.internalErrors, 1);
  t.match(logged.join(), /internal error on a connection.*planted/s);
  t.equal(snapshotStats(core.stats)[0]?.inFlight, 0);
  t.equal(cluster.active, 0);
});

test("guard: requests and connections above a cluster's bounds get 503", async (t) => {
  let answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("late")));
  for (const bound of [{ maxRequests: 2 }, { maxConnections: 2 }]) {
    answers = [];
    const { core, cluster, port } = await startCore(t, [origin.port], bound);
    const waiting = [talk(port, GET, ANSWERED), talk(port, GET, ANSWERED)];
    await eventually(() => answers.length === 2, "two requests wait");
    t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 503 [\s\S]*limit reached\n$/);
    for (const answer of answers) answer();
    for (const conversation of waiting) t.match((await conversation).text, /^HTTP\/1\.1 200 /);
    t.equal(snapshotStats(core.stats)[0]?.values.get("overflow"), 1);
    t.equal(cluster.active, 0);
  }
});

test("guard: client connections above the listener's bound are closed at once", async (t) => {
  const origin = await recordingOrigin(t, () => undefined);
  const { core, port } = await startCore(t, [origin.port], {}, { maxConnections: 1 });
  void talk(port, GET);
  await eventually(() => origin.seen.length === 1, "one connection is in use");
  t.not((await talk(port, GET)).end, "open");
  t.equal(core.counts.connectionsRefused, 1);
});

test("guard: least request prefers the endpoint with fewer requests in progress", async (t) => {
  const { cluster } = await startCore(t, [1, 2], { policy: "leastRequest" });
  const [busy, free] = cluster.endpoints;
  if (busy === undefined || free === undefined) throw new Error("two endpoints");
  busy.active = 10;
  let toFree = 0;
  for (let turn = 0; turn < 1_000; turn++) if (cluster.pick(null) === free) toFree += 1;
  t.ok(toFree > 650 && toFree < 850, `of two random choices one is the free one in 3 of 4 cases: ${toFree}`);
});

test("guard: endpoints that are unhealthy get nothing, and one that is gone finishes what it has", async (t) => {
  let answer: (() => void) | undefined;
  const [one, two] = [
    await recordingOrigin(t, (_seen, response) => {
      answer = () => response.end("one");
    }),
    await recordingOrigin(t, (_seen, response) => response.end("two")),
  ];
  const { cluster, port } = await startCore(t, [one.port]);
  const slow = talk(port, GET, ANSWERED);
  await eventually(() => answer !== undefined, "a request is on the first");
  cluster.update([
    { address: "127.0.0.1", port: two.port, isHealthy: true },
    { address: "127.0.0.1", port: 9, isHealthy: false },
  ]);
  for (let turn = 0; turn < 3; turn++) t.match((await talk(port, GET, ANSWERED)).text, /two$/);
  answer?.();
  t.match((await slow).text, /one$/);
  cluster.update([{ address: "127.0.0.1", port: two.port, isHealthy: false }]);
  t.match((await talk(port, GET, ANSWERED)).text, /no healthy upstream\n$/);
});
