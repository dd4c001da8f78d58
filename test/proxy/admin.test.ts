// What the proxy counts, and how the admin port shows it.

import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { Core } from "../../src/proxy/core.ts";
import { mayAsk } from "../../src/proxy/observe/admin.ts";
import { expose } from "../../src/proxy/observe/exposition.ts";
import { MAX_CELLS } from "../../src/proxy/observe/slots.ts";
import {
  bucketName,
  bucketOf,
  COUNTER,
  LATENCY_BOUNDS_MS,
  Stats,
  snapshotStats,
} from "../../src/proxy/observe/stats.ts";
import { MAX_PLACES, TALLIES, Tallies } from "../../src/proxy/observe/tallies.ts";
import { closedPort, converse, rawOrigin, recordingOrigin, scripted, startProxy, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

test("admin: metrics, stats and configuration in force by HTTP", async (t) => {
  const origin = await recordingOrigin(t, (seen, response) => {
    response.statusCode = Number(seen.url.slice(1));
    response.end("four");
  });
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port], dead: [await closedPort()] },
    hasAdmin: true,
    routes: [
      { name: "down", match: { prefix: "/dead" }, route: { cluster: "dead" } },
      { name: 'shop"', match: { prefix: "/" }, route: { cluster: "v1" } },
    ],
  });
  for (const target of ["/200", "/200", "/404", "/503", "/dead"])
    await talk(port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, ANSWERED);
  await talk(port, "nonsense\r\n\r\n");
  const get = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${proxy.adminPort}${path}`)).text();
  const metrics = await get("/metrics");
  const labels = 'route="shop\\"",cluster="v1"';
  for (const line of [
    `weir_proxy_requests_total{${labels},class="2xx"} 2`,
    `weir_proxy_requests_total{${labels},class="4xx"} 1`,
    `weir_proxy_requests_total{${labels},class="5xx"} 1`,
    `weir_proxy_failures_total{route="down",cluster="dead",kind="connect"} 1`,
    `weir_proxy_response_bytes_total{${labels}} 16`,
    `weir_proxy_request_duration_seconds_count{${labels}} 4`,
    `weir_proxy_request_duration_seconds_bucket{${labels},le="+Inf"} 4`,
    `weir_proxy_requests_in_flight{${labels}} 0`,
    "weir_proxy_requests_refused_total 1",
    "weir_proxy_internal_errors_total 0",
  ])
    t.ok(metrics.includes(`${line}\n`), line);
  for (const line of metrics.trimEnd().split("\n"))
    t.match(
      line,
      /^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})? [\d.e+-]+)$/,
      "exposition format",
    );
  t.equal(await get("/stats?format=prometheus"), metrics);
  t.ok(
    metrics.includes('weir_proxy_own_answers_total{status="503",reason="upstream connection failed"} 1\n'),
  );
  t.match(metrics, /weir_proxy_own_answers_total\{status="400",reason="malformed method"\} 1\n/);
  const lines = (await get("/stats")).split("\n");
  for (const line of [
    'route.shop".cluster.v1.requests: 4',
    "route.down.cluster.dead.connect: 1",
    "proxy.refused: 1",
  ])
    t.ok(lines.includes(line), line);
  t.match(await get("/stats?format=xml"), /format is/);
  const stats = JSON.parse(await get("/stats?format=json"));
  t.match(
    stats.cells.find((cell: { cluster: string }) => cell.cluster === "v1"),
    {
      requests: 4,
      success: 3,
      error: 1,
      status_2xx: 2,
      inFlight: 0,
    },
  );
  const dump = JSON.parse(await get("/config_dump"));
  t.match(dump.listeners, [{ name: "main", port, routes: "static", streamMs: 0, isHalfCloseAllowed: false }]);
  t.match(dump.clusters[0], {
    name: "v1",
    endpoints: [{ address: "127.0.0.1", port: origin.port, idleCount: 1 }],
  });
  t.match(dump.routes[0].hosts[0].routes[0], {
    name: "down",
    path: "/dead",
    streamMs: null,
    clusters: [{ cluster: "dead", weight: 1 }],
  });
  t.match(await get("/nothing"), /^paths: \/ready/);
  const odd = await talk(proxy.adminPort, "GET // HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  t.match(odd.text, /^HTTP\/1\.1 400 /);
});

test("admin: header values that may be credentials are not shown", async (t) => {
  const origin = await recordingOrigin(t);
  const rule = (name: string) => ({ name, exact_match: "Bearer hunter2" });
  const { proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    hasAdmin: true,
    routes: [
      {
        match: { prefix: "/", headers: ["Authorization", "X-Api-Key", "Cookie"].map(rule) },
        route: { cluster: "v1" },
      },
      {
        match: { prefix: "/", headers: [{ name: "x-version", exact_match: "two" }] },
        route: { cluster: "v1" },
      },
    ],
  });
  const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump`)).text();
  t.notMatch(text, /hunter2/);
  t.match(JSON.parse(text).routes[0].hosts[0].routes, [
    { headers: [{ name: "authorization", text: "[redacted]" }, { name: "x-api-key" }, { name: "cookie" }] },
    { headers: [{ name: "x-version", text: "two" }] },
  ]);
});

test("admin: drains by POST from this machine: not ready, no new connections, answers say close", async (t) => {
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, { clusters: { v1: [origin.port] }, hasAdmin: true });
  const admin = `http://127.0.0.1:${proxy.adminPort}`;
  const status = async (path: string, init: RequestInit = {}): Promise<number> =>
    (await fetch(`${admin}${path}`, init)).status;
  const kept = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await new Promise((resolve) => kept.once("connect", resolve));
  t.equal(await status("/drain_listeners"), 405);
  t.equal(await status("/drain_listeners", { method: "POST", headers: { origin: "http://evil" } }), 403);
  t.equal(await status("/ready", { method: "POST" }), 405);
  t.equal(await status("/ready"), 200);
  t.equal(await status("/drain_listeners", { method: "POST" }), 200);
  t.equal(await status("/ready"), 503);
  const { text, end } = await converse(kept, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", {});
  t.match(text, /^HTTP\/1\.1 200 [\s\S]*connection: close\r\n/);
  t.equal(end, "fin");
});

test("admin: from another machine there are readiness and metrics, and nothing else", (t) => {
  const asked = (from: string, hasOrigin = false): string[] =>
    ["/ready", "/metrics", "/stats/prometheus", "/stats", "/config_dump", "/drain_listeners"].filter((path) =>
      mayAsk(path, from, hasOrigin),
    );
  const everything = asked("127.0.0.1");
  t.equal(everything.length, 6);
  for (const from of ["127.8.9.1", "::1", "::ffff:127.0.0.1"]) t.strictSame(asked(from), everything, from);
  for (const from of ["10.0.0.1", "::ffff:10.0.0.1", "1127.0.0.1", "fe80::1", ""])
    t.strictSame(asked(from), ["/ready", "/metrics", "/stats/prometheus"], from);
  t.notOk(asked("127.0.0.1", true).includes("/drain_listeners"), "a page in a browser changes nothing");
  t.end();
});

test("metrics: a scrape of many cells is written in small slices, with the loop's turns in between", async (t) => {
  const stats = new Stats();
  for (let i = 0; i < 1_000; i++) {
    const cell = stats.cell(`shop/route-with-a-long-name/${i}`, `shop/web:80/${i}`);
    stats.begin(cell);
    stats.end(cell, 200, true, i);
  }
  const { counts, tallies } = new Core({
    clock: systemClock,
    log: createLogger({ level: "error", write: () => undefined }),
  });
  const slices: string[] = [];
  let longestUs = 0;
  for (let from = process.threadCpuUsage(), slicing = expose({ stats, counts, tallies }, true); ; ) {
    const { done, value } = slicing.next();
    const { user, system } = process.threadCpuUsage(from);
    if (done) break;
    slices.push(value);
    longestUs = Math.max(longestUs, user + system);
    from = process.threadCpuUsage();
  }
  t.ok(longestUs < 20_000, `no slice holds the loop for 20 ms: ${longestUs} µs of its time at most`);
  t.ok(Math.max(...slices.map(({ length }) => length)) < 96 * 1024, "no slice is large");
  t.ok(slices.length > 400, `${slices.length} slices`);
  const cells = Array.from({ length: 300 }, (_, i) => ({
    name: `r${i}`,
    match: { prefix: `/${i}` },
    route: { cluster: "v1" },
  }));
  const { proxy } = await startProxy(t, { clusters: { v1: [1] }, hasAdmin: true, routes: cells });
  let turns = 0;
  let isOver = false;
  const probe = (): void => {
    turns += 1;
    if (!isOver) setImmediate(probe);
  };
  probe();
  const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
  isOver = true;
  t.equal(text.match(/weir_proxy_request_duration_seconds_count/g)?.length, 300);
  t.ok(turns >= 100, `${turns} turns of the loop during the scrape`);
});

test("metrics: every family is documented", async (t) => {
  const documented = await readFile(join(import.meta.dirname, "../../docs/reference/metrics.md"), "utf8");
  const { counts, stats, tallies } = new Core({
    clock: systemClock,
    log: createLogger({ level: "error", write: () => undefined }),
  });
  const exposed = [...expose({ stats, counts, tallies }, true)].join("").matchAll(/^# HELP (\w+) /gm);
  const names = [
    ...[...exposed].map(([, name = ""]) => name),
    ...Object.values(TALLIES).map(({ name }) => name),
  ];
  t.ok(names.length > 15);
  for (const name of names) t.ok(documented.includes(`| \`${name}\` | `), name);
});

test("tallies: label values are bounded, and what comes beyond is counted together", (t) => {
  const tallies = new Tallies();
  for (let i = 0; i < MAX_PLACES + 50; i++) tallies.add(tallies.place(TALLIES.ejections, `c${i}`, "5xx"), 1);
  tallies.add(tallies.place(TALLIES.ejections, "c0", "5xx"), 1);
  const all = tallies.all();
  t.equal(all.length, MAX_PLACES);
  t.match(
    [all[0], all.at(-1)],
    [
      { labels: ["c0", "5xx"], value: 2 },
      { labels: ["overflow", "overflow"], value: 51 },
    ],
  );
  t.end();
});

test("stats: each way a request can end is counted once, requests = success + error", async (t) => {
  const cut = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"], true));
  const bad = await rawOrigin(t, scripted(["HTTP/1.1 x\r\n\r\n"]));
  const { port, proxy } = await startProxy(t, {
    clusters: { cut: [cut.port], bad: [bad.port] },
    routes: [
      { name: "r", match: { prefix: "/cut" }, route: { cluster: "cut" } },
      { name: "r", match: { prefix: "/bad" }, route: { cluster: "bad" } },
    ],
  });
  await talk(port, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
  await talk(port, "GET /bad HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED);
  const byCluster = new Map(proxy.stats().map((cell) => [cell.cluster, cell.values]));
  t.match(Object.fromEntries(byCluster.get("cut") ?? []), { requests: 1, error: 1, status_2xx: 1, reset: 1 });
  t.match(Object.fromEntries(byCluster.get("bad") ?? []), {
    requests: 1,
    error: 1,
    status_5xx: 1,
    protocol: 1,
  });
  for (const values of byCluster.values()) t.equal(values.get("success"), undefined);
});

test("stats: a latency lies in the bucket between its bounds", (t) => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 200_000, noNaN: true }), (latencyMs) => {
      const index = bucketOf(latencyMs);
      const upper = LATENCY_BOUNDS_MS[index] ?? Number.POSITIVE_INFINITY;
      const lower = LATENCY_BOUNDS_MS[index - 1] ?? 0;
      return lower < latencyMs && latencyMs <= upper;
    }),
    { seed: 1, numRuns: 2_000 },
  );
  t.equal(bucketName(bucketOf(0)), "le_0.0625");
  t.equal(bucketName(bucketOf(1)), "le_1");
  t.equal(bucketName(bucketOf(100_000)), "le_inf");
  t.end();
});

test("stats: cells keep their counts as their number grows, and are bounded", (t) => {
  const stats = new Stats();
  const first = stats.cell("r", "c0");
  stats.begin(first);
  stats.end(first, 200, true, 3);
  for (let index = 1; index < MAX_CELLS + 10; index++)
    stats.add(stats.cell("r", `c${index}`), COUNTER.RETRIES, 1);
  t.equal(stats.cell("r", "c0"), first);
  const cells = snapshotStats(stats);
  t.equal(cells.length, MAX_CELLS);
  t.match(Object.fromEntries(cells[0]?.values ?? []), { requests: 1, success: 1, status_2xx: 1, le_3: 1 });
  t.equal(cells.at(-1)?.cluster, "overflow");
  t.equal(cells.at(-1)?.values.get("retries"), 11);
  t.end();
});

test("admin: /clusters shows bounds, health and counts, as Envoy's lines and as JSON", async (t) => {
  const origin = await recordingOrigin(t, (seen, response) => {
    response.statusCode = Number(seen.url.slice(1));
    response.end("four");
  });
  const dead = await closedPort();
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port], down: [dead] },
    clusterFields: {
      circuit_breakers: { thresholds: [{ max_connections: 7, retry_budget: {} }] },
      outlier_detection: { consecutive_5xx: 1, always_eject_one_host: true },
    },
    routes: [
      { match: { prefix: "/dead" }, route: { cluster: "down" } },
      { match: { prefix: "/" }, route: { cluster: "v1" } },
    ],
    hasAdmin: true,
  });
  for (const target of ["/200", "/404", "/dead"])
    await talk(port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, ANSWERED);
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${proxy.adminPort}${path}`);
  const text = await (await get("/clusters")).text();
  const at = `v1::127.0.0.1:${origin.port}`;
  for (const line of [
    "v1::default_priority::max_connections::7",
    "v1::default_priority::max_pending_requests::1024",
    "v1::default_priority::retry_budget_percent::20",
    `${at}::health_flags::healthy`,
    `${at}::cx_active::1`,
    `${at}::rq_total::2`,
    `${at}::rq_success::2`,
    `${at}::weight::1`,
    `down::127.0.0.1:${dead}::health_flags::/failed_outlier_check`,
    `down::127.0.0.1:${dead}::cx_connect_fail::1`,
    "down::ejections_5xx::1",
    "down::panic::true",
  ])
    t.ok(text.includes(`${line}\n`), line);
  t.match(await (await get("/clusters?format=json")).json(), {
    clusters: [
      {
        name: "v1",
        bounds: { max_connections: 7, max_requests: 1024 },
        panic: false,
        endpoints: [{ address: `127.0.0.1:${origin.port}`, health_flags: "healthy", rq_success: 2 }],
      },
      { name: "down", endpoints: [{ health_flags: "/failed_outlier_check", times_ejected: 1 }] },
    ],
  });
  const metrics = await (await get("/metrics")).text();
  t.match(metrics, /weir_proxy_ejections_total\{cluster="down",cause="5xx"\} 1\n/);
});
