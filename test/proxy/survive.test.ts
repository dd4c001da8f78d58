// What lives through a change of configuration: each change here brings new messages for everything, and what is known of clusters and endpoints
// by their names goes on. A request ends as it began.
import { type Test, test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import type { Endpoint } from "../../src/proxy/forward/endpoint.ts";
import type { Cluster } from "../../src/proxy/forward/pool.ts";
import { GRACE_MS } from "../../src/proxy/observe/slots.ts";
import { snapshotStats } from "../../src/proxy/observe/stats.ts";
import { BootstrapSchema, fromJson, registry } from "../../src/xds/types.ts";
import { createManualClock, type ManualClock } from "../support/clock.ts";
import { bootstrapOf, eventually, type ProxyOptions, recordingOrigin, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const VERSIONS = { listeners: "1", routes: "1", clusters: "1", endpoints: "1" };

interface Plane {
  readonly clock: ManualClock;
  readonly core: Core;
  readonly port: () => number;
  /** Brings a configuration in force, all of it new messages. */
  swap(options: ProxyOptions): Promise<void>;
  cluster(name: string): Cluster;
  endpoint(name: string, index?: number): Endpoint;
  get(): Promise<string>;
}

async function plane(t: Test, options: ProxyOptions): Promise<Plane> {
  const clock = createManualClock();
  const problems: string[] = [];
  const log = createLogger({ level: "error", write: (line) => problems.push(line) });
  const core = new Core({ clock, log, seed: 7 });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  const swap = async (wanted: ProxyOptions): Promise<void> => {
    const { staticResources } = fromJson(BootstrapSchema, bootstrapOf(wanted), { registry });
    const { listeners = [], clusters = [] } = staticResources ?? {};
    await configuration.apply({
      listeners,
      clusters,
      routes: [],
      endpoints: [],
      changed: "listeners",
      versions: VERSIONS,
    });
  };
  core.deadlines.start();
  await swap(options);
  t.teardown(() => {
    configuration.close();
    core.deadlines.stop();
    if (core.counts.internalErrors > 0) throw new Error(`internal errors: ${problems.join("\n")}`);
  });
  const cluster = (name: string): Cluster => {
    const found = core.clusters.get(name);
    if (found === undefined) throw new Error(`no cluster ${name}`);
    return found;
  };
  const port = (): number => configuration.listeners[0]?.port ?? 0;
  return {
    clock,
    core,
    port,
    swap,
    cluster,
    endpoint(name, index = 0) {
      const found = cluster(name).endpoints[index];
      if (found === undefined) throw new Error(`no endpoint ${index} in ${name}`);
      return found;
    },
    get: async () => (await talk(port(), GET, ANSWERED)).text,
  };
}

test("survive: connections, turns and counts go on through changes of everything", async (t) => {
  const origins = await Promise.all(
    ["one", "two", "three"].map((name) => recordingOrigin(t, (_seen, response) => response.end(name))),
  );
  const options: ProxyOptions = { clusters: { a: origins.map(({ port }) => port) } };
  const { swap, get, core, port } = await plane(t, options);
  const listenerPort = port();
  const turns: string[] = [];
  for (let turn = 0; turn < 9; turn++) {
    turns.push(/(\w+)$/.exec(await get())?.[1] ?? "");
    await swap({ ...options, connectTimeout: `${turn + 2}s` });
  }
  t.strictSame(turns, ["one", "two", "three", "one", "two", "three", "one", "two", "three"]);
  for (const { seen } of origins)
    t.equal(new Set(seen.map(({ peerPort }) => peerPort)).size, 1, "one connection each");
  t.equal(port(), listenerPort);
  const [cell] = snapshotStats(core.stats);
  t.match(Object.fromEntries(cell?.values ?? []), { requests: 9, status_2xx: 9 });
  t.equal(core.stats.names.length, 1, "the same cell");
});

test("survive: an ejection lasts its time, whatever changes", async (t) => {
  const bad = await recordingOrigin(t, (_seen, response) => {
    response.statusCode = 500;
    response.end("bad");
  });
  const good = await recordingOrigin(t, (_seen, response) => response.end("good"));
  const withDetection = (interval: string): ProxyOptions => ({
    clusters: { a: [bad.port, good.port] },
    clusterFields: {
      outlier_detection: {
        interval,
        consecutive_5xx: 2,
        base_ejection_time: "30s",
        max_ejection_percent: 50,
      },
    },
  });
  const { swap, get, clock, endpoint } = await plane(t, withDetection("10s"));
  for (let turn = 0; turn < 4; turn++) await get();
  t.ok(endpoint("a").isEjected);
  const record = endpoint("a").record;
  await swap(withDetection("9s"));
  await swap(withDetection("8s"));
  t.ok(endpoint("a").isEjected);
  t.equal(endpoint("a").record, record);
  const before = bad.seen.length;
  for (let turn = 0; turn < 4; turn++) t.match(await get(), /good$/);
  t.equal(bad.seen.length, before);
  await clock.advance(45_000);
  t.notOk(endpoint("a").isEjected, "back in its time");
});

test("survive: what health checks found out stands, and they go on in their rhythm", async (t) => {
  let checks = 0;
  const sick = await recordingOrigin(t, (seen, response) => {
    if (seen.url === "/health") checks += 1;
    response.statusCode = 503;
    response.end("sick");
  });
  const well = await recordingOrigin(t, (_seen, response) => response.end("well"));
  const checked = (timeout: string): ProxyOptions => ({
    clusters: { a: [sick.port, well.port] },
    clusterFields: {
      health_checks: [
        {
          timeout,
          interval: "10s",
          no_traffic_interval: "10s",
          unhealthy_threshold: 1,
          healthy_threshold: 1,
          http_health_check: { path: "/health" },
        },
      ],
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
    },
  });
  const { swap, get, clock, endpoint } = await plane(t, checked("1s"));
  await clock.advance(10);
  await eventually(() => checks === 1 && endpoint("a", 1).isUsable, "checked once");
  for (let turn = 0; turn < 5; turn++) {
    await swap(checked(`1.${turn + 1}s`));
    t.ok(endpoint("a", 1).isUsable, "still well");
    t.notOk(endpoint("a").isUsable, "still sick");
    t.match(await get(), /well$/);
  }
  t.equal(checks, 1, "a change is no reason to check");
});

test("survive: slow start does not begin anew", async (t) => {
  const origins = await Promise.all(
    [1, 2].map(() => recordingOrigin(t, (_seen, response) => response.end("ok"))),
  );
  const slow = (aggression: number): ProxyOptions => ({
    clusters: { a: origins.map(({ port }) => port) },
    clusterFields: {
      round_robin_lb_config: {
        slow_start_config: {
          slow_start_window: "100s",
          aggression: { default_value: aggression, runtime_key: "a" },
        },
      },
    },
  });
  const { swap, get, clock, endpoint } = await plane(t, slow(1));
  await clock.advance(50_000);
  await get();
  const warmth = endpoint("a").warmth;
  t.ok(warmth > 0.45 && warmth < 0.55, `${warmth}`);
  await swap(slow(1.000_001));
  await get();
  t.ok(Math.abs(endpoint("a").warmth - warmth) < 0.01, `${endpoint("a").warmth} as before`);
});

test("survive: a request in progress counts against the bounds of the next configuration, and ends on its own", async (t) => {
  let answer: (() => void) | undefined;
  const origin = await recordingOrigin(t, (seen, response) => {
    if (seen.url === "/slow") answer = () => response.end("slow");
    else response.end("ok");
  });
  const version = (name: string, maxRequests: number): ProxyOptions => ({
    clusters: { a: [origin.port] },
    routes: [
      {
        match: { prefix: "/" },
        route: { cluster: "a", timeout: "0s" },
        response_headers_to_add: [{ header: { key: "x-version", value: name } }],
      },
    ],
    clusterFields: { circuit_breakers: { thresholds: [{ max_requests: maxRequests }] } },
  });
  const { swap, get, port, cluster } = await plane(t, version("old", 10));
  const slow = talk(port(), GET.replace("/", "/slow"), { until: /slow$/ });
  await eventually(() => answer !== undefined, "in flight");
  await swap(version("new", 1));
  t.equal(cluster("a").active, 1);
  t.match(await get(), /^HTTP\/1\.1 503 /, "the bound is used up");
  answer?.();
  t.match((await slow).text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*x-version: old\r\n/);
  t.match(await get(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*x-version: new\r\n/);
});

test("survive: an endpoint and a cluster that are taken away finish what they have, and nothing new goes there", async (t) => {
  const answers: (() => void)[] = [];
  const leaving = await recordingOrigin(t, (seen, response) => {
    if (seen.url === "/slow") answers.push(() => response.end("left"));
    else response.end("ok");
  });
  const staying = await recordingOrigin(t, (_seen, response) => response.end("stays"));
  const { swap, get, port, endpoint, core } = await plane(t, {
    clusters: { a: [leaving.port], b: [staying.port] },
  });
  await get();
  const gone = endpoint("a");
  t.equal(gone.idleCount, 1);
  const slow = [1, 2].map(() => talk(port(), GET.replace("/", "/slow"), { until: /left$/ }));
  await eventually(() => answers.length === 2, "in flight");
  await swap({ clusters: { a: [staying.port], b: [staying.port] } });
  t.match(await get(), /stays$/);
  await swap({ clusters: { b: [staying.port] } });
  t.strictSame([...core.clusters.keys()], ["b"]);
  t.match(await get(), /stays$/);
  t.equal(gone.connections, 2);
  for (const answer of answers) answer();
  for (const { text } of await Promise.all(slow)) t.match(text, /^HTTP\/1\.1 200 [\s\S]*left$/);
  await eventually(() => gone.connections === 0, "its connections are closed");
  t.equal(gone.idleCount, 0);
  t.equal(gone.active, 0);
  const before = leaving.seen.length;
  await get();
  t.equal(leaving.seen.length, before);
});

test("survive: a cluster that comes back under its name has nothing of its former life but its counts", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const other = await recordingOrigin(t, (_seen, response) => response.end("other"));
  const { swap, get, core } = await plane(t, { clusters: { a: [origin.port] } });
  await get();
  await swap({ clusters: { b: [other.port] } });
  await get();
  await swap({ clusters: { a: [origin.port] } });
  await get();
  t.equal(new Set(origin.seen.map(({ peerPort }) => peerPort)).size, 2, "a new connection");
  const cells = snapshotStats(core.stats);
  t.strictSame(
    cells.map(({ cluster, values }) => [cluster, values.get("requests")]),
    [
      ["a", 2],
      ["b", 1],
    ],
  );
});

test("survive: counts of a version that is gone stay for its last request and ten minutes, then it begins at 0", async (t) => {
  let answer = (): void => undefined;
  const old = await recordingOrigin(t, (seen, response) => {
    if (seen.url === "/") response.end("old");
    else answer = () => response.end("old");
  });
  const next = await recordingOrigin(t, (_seen, response) => response.end("new"));
  const served = (name: string, port: number): ProxyOptions => ({
    clusters: { [name]: [port] },
    routes: [
      { name: "r", match: { prefix: "/" }, route: { cluster: name, timeout: "0s", idle_timeout: "0s" } },
    ],
  });
  const { clock, core, port, swap, get } = await plane(t, served("old", old.port));
  const requests = (): Record<string, number> =>
    Object.fromEntries(
      snapshotStats(core.stats).map(({ cluster, values }) => [cluster, values.get("requests") ?? 0]),
    );
  await get();
  const slow = talk(port(), "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED);
  await eventually(() => old.seen.length === 2, "the slow request");
  await swap(served("new", next.port));
  await get();
  await clock.advance(GRACE_MS + 60_000);
  t.strictSame(requests(), { old: 1, new: 1 }, "one is in progress");
  answer();
  t.match((await slow).text, /old$/);
  t.strictSame(requests(), { old: 2, new: 1 });
  await clock.advance(GRACE_MS + 60_000);
  t.strictSame(requests(), { new: 1 });
  await swap(served("old", old.port));
  await get();
  t.strictSame(requests(), { old: 1, new: 1 });
});
