// Active health checks: when an endpoint counts as failed and as healthy again, over real sockets and a clock that is moved by hand.
import type { Socket } from "node:net";
import { type Test, test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { compileHealth } from "../../src/proxy/compile/compilehealth.ts";
import { Problems } from "../../src/proxy/compile/problems.ts";
import { Core } from "../../src/proxy/core.ts";
import { DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { ClusterSchema, create, fromJson } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { closedPort, eventually, type Json, rawOrigin, startProxy, talk } from "./support.ts";

const HTTP = { http_health_check: { path: "/health" } };
const BASE = {
  timeout: "1s",
  interval: "10s",
  unhealthy_threshold: 3,
  healthy_threshold: 2,
  no_traffic_interval: "10s",
};

/** A cluster of those ports with a check; `next` moves time to the next check and waits until `requests` says that it was made. */
function clusterOf(
  t: Test,
  ports: readonly number[],
  check: Readonly<Record<string, Json>>,
  clock = createManualClock(),
) {
  const core = new Core({ clock, log: createLogger({ level: "error", write: () => undefined }), seed: 7 });
  const problems = new Problems("clusters", create(ClusterSchema, { name: "a" }));
  const message = fromJson(ClusterSchema, { name: "shop", health_checks: [{ ...BASE, ...check }] });
  const health = compileHealth(message.healthChecks, problems);
  problems.throwIfAny();
  const cluster = new Cluster(core, "shop", { ...DEFAULT_CLUSTER_OPTIONS, health, panicPercent: 0 });
  cluster.update(ports.map((port) => ({ address: "127.0.0.1", port, isHealthy: true })));
  t.teardown(() => {
    cluster.close();
    if (core.counts.internalErrors > 0) throw new Error("internal errors");
  });
  return { clock, cluster, health };
}

/** An origin whose behaviour can be changed, and which counts what it was asked. */
async function mutableOrigin(t: Test) {
  const state = { asked: [] as string[], behave: (socket: Socket): void => void socket.end(answer(200)) };
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", (chunk: Buffer) => {
      state.asked.push(chunk.toString());
      state.behave(socket);
    });
  });
  return { state, port: origin.port };
}

function answer(status: number): string {
  return `HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`;
}

test("health: an endpoint gets requests once its first check is good", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const { clock, cluster } = clusterOf(t, [port, await closedPort()], {
    http_health_check: { path: "/health?x", host: "shop.example" },
  });
  t.equal(cluster.pick(), null, "nobody was checked yet");
  await clock.advance(0);
  await eventually(() => cluster.pick()?.port === port, "the first is healthy");
  t.match(state.asked[0], /^GET \/health\?x HTTP\/1\.1\r\n[\s\S]*host: shop\.example\r\n/i);
  t.strictSame(
    cluster.endpoints.map(({ isCheckFailed }) => isCheckFailed),
    [false, true],
  );
});

test("health: thresholds decide over timeouts and lost connections, an unexpected status decides at once", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const { clock, cluster } = clusterOf(t, [port], HTTP);
  const [endpoint] = cluster.endpoints;
  let checks = 0;
  const next = async (): Promise<boolean> => {
    await clock.advance(checks === 0 ? 0 : 10_000);
    checks += 1;
    await eventually(() => state.asked.length === checks, `check ${checks} was made`);
    // A check that ended has set the timer of the next one.
    await eventually(() => clock.pending === 1, "the check is over");
    return endpoint?.isUsable ?? false;
  };
  t.equal(await next(), true);
  state.behave = (socket) => socket.resetAndDestroy();
  t.strictSame([await next(), await next(), await next()], [true, true, false]);
  state.behave = (socket) => void socket.end(answer(200));
  t.strictSame([await next(), await next()], [false, true]);
  state.behave = (socket) => void socket.end(answer(503));
  t.equal(await next(), false, "503 needs no threshold");
});

test("health: a check that is not answered in time has failed", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const { clock, cluster } = clusterOf(t, [port], { ...HTTP, unhealthy_threshold: 1 });
  await clock.advance(0);
  await eventually(() => cluster.pick() !== null, "it is healthy");
  state.behave = () => {
    // It never answers.
  };
  await clock.advance(10_000);
  await eventually(() => state.asked.length === 2, "the second check was made");
  t.not(cluster.pick(), null);
  await clock.advance(1_000);
  t.equal(cluster.pick(), null);
});

test("health: expected statuses, and retriable ones that count towards the threshold", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const http = {
    path: "/",
    expected_statuses: [{ start: 204, end: 205 }],
    retriable_statuses: [{ start: 500, end: 501 }],
  };
  const { clock, cluster } = clusterOf(t, [port], { http_health_check: http, unhealthy_threshold: 2 });
  state.behave = (socket) => void socket.end("HTTP/1.1 204 X\r\n\r\n");
  await clock.advance(0);
  await eventually(() => cluster.pick() !== null, "204 is good");
  state.behave = (socket) => void socket.end(answer(500));
  await clock.advance(10_000);
  await eventually(() => state.asked.length === 2 && clock.pending === 1, "the second check is over");
  t.not(cluster.pick(), null, "once is not enough");
  await clock.advance(10_000);
  await eventually(() => cluster.pick() === null, "twice is");
});

test("health: TCP checks connect, and may ask for an answer", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const plain = clusterOf(t, [port, await closedPort()], { tcp_health_check: {} });
  await plain.clock.advance(0);
  await eventually(() => plain.cluster.pick()?.port === port, "what can be connected is healthy");
  state.behave = (socket) => void socket.write("+PONG and more");
  const asking = clusterOf(t, [port], {
    tcp_health_check: {
      send: { text: "50494e47" },
      receive: [{ text: "2b50" }, { binary: Buffer.from("NG").toString("base64") }],
    },
  });
  await asking.clock.advance(0);
  await eventually(() => asking.cluster.pick() !== null, "the answer is the right one");
  t.equal(state.asked[0], "PING");
  const other = clusterOf(t, [port], {
    tcp_health_check: { send: { text: "50" }, receive: [{ text: "4e4f" }] },
  });
  await other.clock.advance(0);
  await eventually(() => state.asked.length === 2, "it was asked");
  await other.clock.advance(1_000);
  t.equal(other.cluster.pick(), null, "another answer is not");
});

test("health: checks go on through changes, and end with the endpoint and with the cluster", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const { clock, cluster, health } = clusterOf(t, [port], HTTP);
  await clock.advance(0);
  await eventually(() => cluster.pick() !== null, "it is healthy");
  const other = await closedPort();
  cluster.update([
    { address: "127.0.0.1", port: other, isHealthy: true },
    { address: "127.0.0.1", port, isHealthy: true },
  ]);
  cluster.configure({ ...DEFAULT_CLUSTER_OPTIONS, health, maxRequests: 5, panicPercent: 0 });
  t.equal(cluster.pick()?.port, port, "no first check again");
  cluster.update([{ address: "127.0.0.1", port: other, isHealthy: true }]);
  await clock.advance(60_000);
  t.equal(state.asked.length, 1);
  cluster.configure({ ...DEFAULT_CLUSTER_OPTIONS, panicPercent: 0 });
  t.equal(cluster.pick()?.port, other, "without checks nobody fails them");
  t.equal(clock.pending, 0);
});

test("health: how long it is until the next check depends on what the last ones said, and on traffic", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const good = state.behave;
  const bad = (socket: Socket): void => void socket.resetAndDestroy();
  const intervals = {
    ...HTTP,
    unhealthy_threshold: 2,
    unhealthy_interval: "20s",
    unhealthy_edge_interval: "3s",
    healthy_edge_interval: "4s",
    no_traffic_interval: "60s",
    no_traffic_healthy_interval: "50s",
  };
  /** The wait behind each of the checks that end so. */
  const waits = async (
    hasTraffic: boolean,
    ends: readonly ((socket: Socket) => void)[],
  ): Promise<number[]> => {
    const manual = createManualClock();
    const delays: number[] = [];
    const after: typeof manual.after = (ms, fire) => {
      delays.push(ms);
      return manual.after(ms, fire);
    };
    const { cluster } = clusterOf(t, [port], intervals, { ...manual, after });
    if (hasTraffic) for (const endpoint of cluster.endpoints) endpoint.requests = 1;
    for (const [index, behave] of ends.entries()) {
      state.behave = behave;
      await manual.advance(delays.at(-1) ?? 0);
      // Before each wait stands the check's own time.
      await eventually(
        () => delays.length === 2 * index + 3,
        "the check is over, and the next one is waited for",
      );
    }
    return delays.filter((_, index) => index > 0 && index % 2 === 0).map((ms) => ms / 1_000);
  };
  t.strictSame(
    await waits(true, [good, good, bad, bad, bad, good, good, good]),
    [4, 10, 10, 3, 20, 20, 4, 10],
    "healthy now, healthy, a failure, failed now, failed, a good one, healthy now, healthy",
  );
  t.strictSame(await waits(false, [good, bad, bad]), [50, 50, 60], "nobody uses it");
});

test("health: checks are spread by lot", async (t) => {
  const { port } = await mutableOrigin(t);
  const first: number[] = [];
  const later: number[] = [];
  for (let turn = 0; turn < 12; turn++) {
    const manual = createManualClock(turn);
    const delays: number[] = [];
    const after: typeof manual.after = (ms, fire) => {
      delays.push(ms);
      return manual.after(ms, fire);
    };
    const spread = { ...HTTP, initial_jitter: "5s", interval_jitter: "2s", interval_jitter_percent: 50 };
    const { cluster } = clusterOf(t, [port, port + turn + 1], spread, { ...manual, after });
    first.push(...delays);
    const before = delays.length;
    await manual.advance(5_000);
    await eventually(() => delays.length === 2 * before + 2, "all are waited for again");
    later.push(...delays.filter((ms) => ms >= 10_000));
    cluster.close();
  }
  t.ok(
    first.every((ms) => ms >= 0 && ms < 5_000),
    `${first}`,
  );
  t.ok(later.every((ms) => ms >= 10_000 && ms < 17_000) && later.length > 10, `${later}`);
  t.ok(new Set(later).size > 1, "they differ");
});

test("health: an endpoint whose checks are turned off is healthy unasked", async (t) => {
  const served = await rawOrigin(t, (socket) => socket.once("data", () => void socket.end(answer(200))));
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [] },
    clusterFields: {
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
      health_checks: [{ ...BASE, ...HTTP }],
      load_assignment: {
        cluster_name: "a",
        endpoints: [
          {
            lb_endpoints: [
              {
                endpoint: {
                  address: { socket_address: { address: "127.0.0.1", port_value: served.port } },
                  health_check_config: { port_value: await closedPort(), disable_active_health_check: true },
                },
              },
            ],
          },
        ],
      },
    },
  });
  const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  for (let turn = 0; turn < 3; turn++) t.match((await talk(port, get)).text, /^HTTP\/1\.1 200 /);
  t.equal(served.connections(), proxy.stats()[0]?.values.get("requests"), "nobody but requests came");
});

test("health: another port and another host for an endpoint", async (t) => {
  const { state, port } = await mutableOrigin(t);
  const clock = createManualClock();
  const endpoint = (target: number, check: Readonly<Record<string, Json>>): Json => ({
    endpoint: {
      address: { socket_address: { address: "127.0.0.1", port_value: target } },
      health_check_config: check,
    },
  });
  const served = await rawOrigin(t, (socket) => socket.once("data", () => void socket.end(answer(200))));
  const { port: proxyPort } = await startProxy(t, {
    clusters: { a: [] },
    clock,
    clusterFields: {
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
      health_checks: [{ ...BASE, ...HTTP }],
      load_assignment: {
        cluster_name: "a",
        endpoints: [
          {
            lb_endpoints: [
              endpoint(served.port, { port_value: port, hostname: "probe.example" }),
              endpoint(await closedPort(), { port_value: await closedPort() }),
            ],
          },
        ],
      },
    },
  });
  const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  t.match((await talk(proxyPort, get)).text, /^HTTP\/1\.1 503 /);
  await clock.advance(0);
  await eventually(() => state.asked.length === 1 && clock.pending >= 1, "the first was checked");
  t.match(state.asked[0], /host: probe\.example/i);
  let text = "";
  for (let tries = 0; tries < 100 && !text.startsWith("HTTP/1.1 200"); tries++)
    text = (await talk(proxyPort, get)).text;
  t.match(text, /^HTTP\/1\.1 200 /);
  for (let turn = 0; turn < 4; turn++) t.match((await talk(proxyPort, get)).text, /^HTTP\/1\.1 200 /);
});
