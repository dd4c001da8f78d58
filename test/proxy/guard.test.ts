// Bounds, balance by load, and what a bug inside a callback does: one connection, never the process.
import { connect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { Core, type Limits } from "../../src/proxy/core.ts";
import { type ClusterOptions, DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { Listener } from "../../src/proxy/http1/listener.ts";
import { snapshotStats } from "../../src/proxy/observe/stats.ts";
import { ANY_REQUEST, UNCHANGED } from "../../src/proxy/route/table.ts";
import { eventually, rawOrigin, recordingOrigin, scripted, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

interface Bench {
  readonly core: Core;
  readonly cluster: Cluster;
  readonly port: number;
  readonly logged: string[];
}

/** A core with one listener and one cluster, built from the parts; at the end it has caught so many bugs as were `planted`. */
async function startCore(
  t: Test,
  ports: readonly number[],
  options: Partial<ClusterOptions> = {},
  limits: Partial<Limits> = {},
  planted = 0,
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
  const target = { cluster: "a", weight: 1, cell: core.stats.cell("r", "a"), ...UNCHANGED };
  const route = {
    name: "r",
    match: ANY_REQUEST,
    split: { targets: [target], bounds: Float64Array.of(1), total: 1, sticky: null },
    hash: null,
    answer: null,
    retry: null,
    isHedged: false,
    timeoutMs: 0,
    idleTimeoutMs: 0,
    streamMs: 0,
    mirrors: [],
  };
  listener.hosts = { ...listener.hosts, any: { name: "v", routes: [route], index: null, hasShares: false } };
  await listener.open();
  t.teardown(() => {
    listener.close();
    cluster.update([]);
    core.deadlines.stop();
    if (core.counts.internalErrors !== planted) throw new Error(`internal errors: ${logged.join("\n")}`);
  });
  return { core, cluster, port: listener.port, logged };
}

test("guard: a bug on one connection resets that one, is counted and logged, and the others go on", async (t) => {
  const origin = await recordingOrigin(t);
  const { core, cluster, port, logged } = await startCore(t, [origin.port], {}, {}, 1);
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

test("guard: requests above a cluster's bound get 503", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("late")));
  const { core, cluster, port } = await startCore(t, [origin.port], { maxRequests: 2 });
  const waiting = [talk(port, GET, ANSWERED), talk(port, GET, ANSWERED)];
  await eventually(() => answers.length === 2, "two requests wait");
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 503 [\s\S]*limit reached\n$/);
  for (const answer of answers) answer();
  for (const conversation of waiting) t.match((await conversation).text, /^HTTP\/1\.1 200 /);
  t.equal(snapshotStats(core.stats)[0]?.values.get("overflow"), 1);
  t.equal(cluster.active, 0);
});

test("guard: above the bound on connections requests wait for one, above the bound on those they get 503", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("late")));
  const { core, cluster, port } = await startCore(t, [origin.port], { maxConnections: 1, maxPending: 1 });
  const first = talk(port, GET, ANSWERED);
  await eventually(() => answers.length === 1, "the first is on its connection");
  const second = talk(port, GET, ANSWERED);
  await eventually(() => cluster.waiting === 1, "the second waits");
  t.equal(cluster.pending, 1);
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 503 [\s\S]*limit reached\n$/);
  answers[0]?.();
  t.match((await first).text, /^HTTP\/1\.1 200 /);
  await eventually(() => answers.length === 2, "the second got the connection");
  t.equal(origin.seen[0]?.peerPort, origin.seen[1]?.peerPort);
  answers[1]?.();
  t.match((await second).text, /^HTTP\/1\.1 200 /);
  t.strictSame([cluster.waiting, cluster.pending, cluster.active, cluster.connections], [0, 0, 0, 1]);
  t.equal(snapshotStats(core.stats)[0]?.values.get("overflow"), 1);
});

test("guard: a request that waits gets a connection of its own when the one it waits for breaks, and goes elsewhere when its endpoint goes", async (t) => {
  const sockets: Socket[] = [];
  const broken = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    if (sockets.length > 1) scripted([OK])(socket);
  });
  const { cluster, port } = await startCore(t, [broken.port], { maxConnections: 1 });
  const first = talk(port, GET, ANSWERED);
  await eventually(() => sockets.length === 1, "the first is on its connection");
  const second = talk(port, GET, ANSWERED);
  await eventually(() => cluster.waiting === 1, "the second waits");
  sockets[0]?.resetAndDestroy();
  t.match((await first).text, /^HTTP\/1\.1 502 /);
  t.match((await second).text, /^HTTP\/1\.1 200 /);

  const holding = await recordingOrigin(t, () => undefined);
  const other = await recordingOrigin(t);
  cluster.update([{ address: "127.0.0.1", port: holding.port, isHealthy: true }]);
  void talk(port, GET, ANSWERED);
  await eventually(() => holding.seen.length === 1, "the only connection is in use");
  const moved = talk(port, GET, ANSWERED);
  await eventually(() => cluster.waiting === 1, "a request waits");
  cluster.update([{ address: "127.0.0.1", port: other.port, isHealthy: true }]);
  t.match((await moved).text, /^HTTP\/1\.1 200 /);
  t.equal(cluster.waiting, 0);

  // The same when the other endpoint has a pooled connection: what is sent over it goes out at once.
  cluster.update([{ address: "127.0.0.1", port: holding.port, isHealthy: true }]);
  const both = [other, holding].map(({ port: at }) => ({ address: "127.0.0.1", port: at, isHealthy: true }));
  void talk(port, GET, ANSWERED);
  await eventually(() => holding.seen.length === 2, "the only connection is in use");
  cluster.update(both);
  const [pooled] = cluster.endpoints;
  for (let tries = 0; (pooled?.idleCount ?? 0) === 0 && tries < 4; tries++) void talk(port, GET, ANSWERED);
  await eventually(() => pooled?.idleCount === 1, "a connection is pooled");
  const next = talk(port, GET, ANSWERED);
  const last = talk(port, GET, ANSWERED);
  await eventually(() => cluster.waiting >= 1, "a request waits for the one that holds");
  cluster.update(both.slice(0, 1));
  t.match((await next).text, /^HTTP\/1\.1 200 /);
  t.match((await last).text, /^HTTP\/1\.1 200 /);
});

test("guard: a client that goes while its request waits leaves nothing behind", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("late")));
  const { cluster, port } = await startCore(t, [origin.port], { maxConnections: 1 });
  const first = talk(port, GET, ANSWERED);
  await eventually(() => answers.length === 1, "the first is on its connection");
  const impatient = connect(port, "127.0.0.1", () => impatient.write(GET));
  await eventually(() => cluster.waiting === 1, "the second waits");
  impatient.destroy();
  await eventually(() => cluster.waiting === 0, "nobody waits");
  answers[0]?.();
  await first;
  t.strictSame([cluster.pending, cluster.active], [0, 0]);
  t.equal(origin.seen.length, 1);
});

test("guard: bounds that change hold for what is under way", async (t) => {
  const answers: (() => void)[] = [];
  const origin = await recordingOrigin(t, (_seen, response) => answers.push(() => response.end("late")));
  const { cluster, port } = await startCore(t, [origin.port]);
  const waiting = [talk(port, GET, ANSWERED), talk(port, GET, ANSWERED)];
  await eventually(() => answers.length === 2, "two requests wait");
  cluster.configure({ ...DEFAULT_CLUSTER_OPTIONS, maxRequests: 2 });
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 503 /);
  cluster.configure({ ...DEFAULT_CLUSTER_OPTIONS, maxRequests: 3 });
  waiting.push(talk(port, GET, ANSWERED));
  await eventually(() => answers.length === 3, "a third goes through");
  for (const answer of answers) answer();
  for (const conversation of waiting) t.match((await conversation).text, /^HTTP\/1\.1 200 /);
  t.equal(cluster.active, 0);
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
  const { cluster } = await startCore(t, [1, 2], { balancer: { kind: "leastRequest", choices: 2 } });
  const [busy, free] = cluster.endpoints;
  if (busy === undefined || free === undefined) throw new Error("two endpoints");
  busy.active = 10;
  let toFree = 0;
  for (let turn = 0; turn < 1_000; turn++) if (cluster.pick() === free) toFree += 1;
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
  const { cluster, port } = await startCore(t, [one.port], { panicPercent: 0 });
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
