// What the proxy counts, and how the admin port shows it.
import fc from "fast-check";
import { test } from "tap";
import {
  bucketName,
  bucketOf,
  COUNTER,
  LATENCY_BOUNDS_MS,
  MAX_CELLS,
  Stats,
  snapshotStats,
} from "../../src/proxy/stats.ts";
import { closedPort, rawOrigin, recordingOrigin, scripted, startProxy, talk } from "./support.ts";

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
  const stats = JSON.parse(await get("/stats"));
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
  t.match(dump.listeners, [{ name: "main", port, routes: "static" }]);
  t.match(dump.clusters[0], {
    name: "v1",
    endpoints: [{ address: "127.0.0.1", port: origin.port, idleCount: 1 }],
  });
  t.match(dump.routes[0].hosts[0].routes[0], {
    name: "down",
    path: "/dead",
    clusters: [{ cluster: "dead", weight: 1 }],
  });
  t.match(await get("/nothing"), /^paths: \/ready/);
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
