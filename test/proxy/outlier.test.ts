// Outlier detection: what ejects an endpoint, for how long, how many at once, and what brings it back. Time is moved by hand.
import { test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { compileOutlier } from "../../src/proxy/compile/compileoutlier.ts";
import { Problems } from "../../src/proxy/compile/problems.ts";
import { Core } from "../../src/proxy/core.ts";
import { DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import type { Endpoint } from "../../src/proxy/forward/endpoint.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { ClusterSchema, create, type MessageInitShape, OutlierDetectionSchema } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { closedPort, eventually, rawOrigin, scripted, startProxy, talk } from "./support.ts";

type Message = MessageInitShape<typeof OutlierDetectionSchema>;

/** An error that is logged is a bug that was caught. */
function failed(line: string): never {
  throw new Error(line);
}

function optionsOf(message: Message) {
  const problems = new Problems("clusters", create(ClusterSchema, { name: "a" }));
  const outlier = compileOutlier(create(OutlierDetectionSchema, message), problems);
  problems.throwIfAny();
  return { ...DEFAULT_CLUSTER_OPTIONS, outlier };
}

function clusterOf(count: number, message: Message, clock = createManualClock()) {
  const core = new Core({ clock, log: createLogger({ level: "error", write: failed }), seed: 7 });
  const cluster = new Cluster(core, "a", optionsOf({ maxEjectionPercent: 50, ...message }));
  cluster.update(addresses(count));
  return { clock, cluster, core };
}

function addresses(count: number) {
  return Array.from({ length: count }, (_, i) => ({ address: "127.0.0.1", port: i + 1, isHealthy: true }));
}

function at(cluster: Cluster, index: number): Endpoint {
  const endpoint = cluster.endpoints[index];
  if (endpoint === undefined) throw new Error(`no endpoint ${index}`);
  return endpoint;
}

function answers(endpoint: Endpoint, status: number, times: number): void {
  for (let i = 0; i < times; i++) endpoint.onAnswer(status);
}

const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });

test("outlier: consecutive answers 5xx eject; any other answer in between begins anew", (t) => {
  const { cluster, core } = clusterOf(4, { consecutive5xx: 3 });
  answers(at(cluster, 0), 500, 2);
  answers(at(cluster, 0), 404, 1);
  answers(at(cluster, 0), 500, 2);
  t.equal(at(cluster, 0).isEjected, false);
  answers(at(cluster, 0), 501, 1);
  t.equal(at(cluster, 0).isEjected, true);
  t.strictSame([...(cluster.detector?.ejections ?? [])], [["5xx", 1]]);
  t.match(core.tallies.all(), [
    { family: { name: "weir_proxy_ejections_total" }, labels: ["a", "5xx"], value: 1 },
  ]);
  t.strictSame([1, 2, 3].map(() => cluster.pick()?.port).sort(), [2, 3, 4]);
  cluster.close();
  t.end();
});

test("outlier: 502 to 504 are counted apart when that is enforced", (t) => {
  const message = { consecutive5xx: 100, consecutiveGatewayFailure: 2 };
  const { cluster } = clusterOf(4, { ...message, enforcingConsecutiveGatewayFailure: 100 });
  answers(at(cluster, 0), 502, 1);
  answers(at(cluster, 0), 500, 1);
  answers(at(cluster, 0), 503, 1);
  t.equal(at(cluster, 0).isEjected, false);
  answers(at(cluster, 0), 504, 1);
  t.strictSame([...(cluster.detector?.ejections ?? [])], [["gateway", 1]]);
  const lax = clusterOf(4, message).cluster;
  answers(at(lax, 0), 503, 20);
  t.equal(at(lax, 0).isEjected, false, "not enforced where nothing is said");
  cluster.close();
  lax.close();
  t.end();
});

test("outlier: what the proxy notices itself counts as 5xx, or apart when split", (t) => {
  const { cluster } = clusterOf(4, { consecutive5xx: 3 });
  at(cluster, 0).onConnectFailed();
  at(cluster, 0).onReset();
  at(cluster, 0).onLate();
  t.strictSame([...(cluster.detector?.ejections ?? [])], [["5xx", 1]]);
  const split = clusterOf(4, {
    consecutive5xx: 3,
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailure: 4,
  }).cluster;
  for (let i = 0; i < 3; i++) at(split, 0).onConnectFailed();
  answers(at(split, 0), 503, 1);
  for (let i = 0; i < 3; i++) at(split, 0).onConnectFailed();
  t.equal(at(split, 0).isEjected, false, "an answer of any kind begins anew");
  at(split, 0).onLate();
  t.strictSame([...(split.detector?.ejections ?? [])], [["local", 1]]);
  cluster.close();
  split.close();
  t.end();
});

test("outlier: an ejection lasts longer each time, up to its bound, and good intervals are credited", async (t) => {
  const { clock, cluster } = clusterOf(4, {
    consecutive5xx: 1,
    interval: seconds(10),
    baseEjectionTime: seconds(30),
    maxEjectionTime: seconds(60),
  });
  const endpoint = at(cluster, 0);
  const lasts = async (): Promise<number> => {
    answers(endpoint, 500, 1);
    let passed = 0;
    for (; endpoint.isEjected; passed += 10) await clock.advance(10_000);
    return passed;
  };
  t.strictSame([await lasts(), await lasts(), await lasts(), await lasts()], [30, 60, 60, 60]);
  await clock.advance(40_000);
  t.equal(await lasts(), 30, "four good intervals took the four ejections off");
  cluster.close();
  t.equal(clock.pending, 0, "nothing is left when the cluster goes");
});

test("outlier: nobody is back early, or out for longer, when somebody sets the machine's clock", async (t) => {
  const manual = createManualClock();
  let setMs = 0;
  const moved = { ...manual, nowMs: () => manual.nowMs() + setMs };
  const { cluster } = clusterOf(
    4,
    { consecutive5xx: 1, interval: seconds(10), baseEjectionTime: seconds(30) },
    moved,
  );
  t.teardown(() => cluster.close());
  const [first, adopted] = [at(cluster, 0), at(cluster, 1)];
  answers(first, 500, 1);
  cluster.detector?.adopt(adopted, 20_000);
  setMs = 86_400_000;
  await manual.advance(10_000);
  t.strictSame([first.isEjected, adopted.isEjected], [true, true], "a day later it is too early still");
  setMs = -86_400_000;
  await manual.advance(10_000);
  t.strictSame([first.isEjected, adopted.isEjected], [true, false]);
  await manual.advance(10_000);
  t.equal(first.isEjected, false);
});

test("outlier: only so many are ejected at once, one always where that is allowed", (t) => {
  const { cluster } = clusterOf(10, { consecutive5xx: 1, maxEjectionPercent: 20 });
  for (const endpoint of cluster.endpoints) answers(endpoint, 500, 1);
  t.equal(cluster.endpoints.filter(({ isEjected }) => isEjected).length, 2);
  const few = clusterOf(2, { consecutive5xx: 1, maxEjectionPercent: 10 }).cluster;
  for (const endpoint of few.endpoints) answers(endpoint, 500, 1);
  t.equal(few.endpoints.filter(({ isEjected }) => isEjected).length, 0);
  const one = clusterOf(2, { consecutive5xx: 1, maxEjectionPercent: 10, alwaysEjectOneHost: true }).cluster;
  for (const endpoint of one.endpoints) answers(endpoint, 500, 1);
  t.equal(one.endpoints.filter(({ isEjected }) => isEjected).length, 1);
  for (const each of [cluster, few, one]) each.close();
  t.end();
});

test("outlier: an endpoint far below the others' rate of successes is ejected", async (t) => {
  const { clock, cluster } = clusterOf(6, { consecutive5xx: 1_000 });
  for (let turn = 0; turn < 100; turn++)
    cluster.endpoints.forEach((endpoint, i) => {
      endpoint.onAnswer(i === 2 && turn % 2 === 0 ? 500 : 200);
    });
  await clock.advance(10_000);
  t.strictSame([...(cluster.detector?.ejections ?? [])], [["success_rate", 1]]);
  t.equal(at(cluster, 2).isEjected, true);
  const quiet = clusterOf(6, { consecutive5xx: 1_000 });
  quiet.cluster.endpoints.forEach((endpoint, i) => {
    answers(endpoint, i === 2 ? 500 : 200, 99);
  });
  await quiet.clock.advance(10_000);
  t.equal(quiet.cluster.detector?.ejections.size, 0, "too few requests to judge by");
  cluster.close();
  quiet.cluster.close();
});

test("outlier: a share of failures ejects where that is enforced", async (t) => {
  const message = { consecutive5xx: 1_000, enforcingSuccessRate: 0, failurePercentageThreshold: 50 };
  const { clock, cluster } = clusterOf(6, { ...message, enforcingFailurePercentage: 100 });
  for (let turn = 0; turn < 50; turn++)
    cluster.endpoints.forEach((endpoint, i) => {
      endpoint.onAnswer(i === 1 && turn % 2 === 0 ? 500 : 200);
    });
  await clock.advance(10_000);
  t.strictSame([...(cluster.detector?.ejections ?? [])], [["failure_percentage", 1]]);
  cluster.close();
});

test("outlier: rates are judged among as many endpoints, with as many requests, as is asked for", async (t) => {
  // Of three endpoints one fails every second of ten requests, by an answer or by what the proxy notices itself.
  const ejections = async (message: Message, isLocal = false): Promise<unknown[]> => {
    const { clock, cluster } = clusterOf(3, {
      consecutive5xx: 1_000,
      consecutiveLocalOriginFailure: 1_000,
      enforcingSuccessRate: 0,
      enforcingLocalOriginSuccessRate: 0,
      splitExternalLocalOriginErrors: isLocal,
      ...message,
    });
    for (let turn = 0; turn < 10; turn++)
      for (const [index, endpoint] of cluster.endpoints.entries()) {
        const isBad = index === 1 && turn % 2 === 0;
        if (isBad && isLocal) endpoint.onReset();
        else endpoint.onAnswer(isBad ? 500 : 200);
      }
    await clock.advance(10_000);
    const found = [...(cluster.detector?.ejections ?? [])];
    cluster.close();
    return found;
  };
  const rate = { successRateMinimumHosts: 3, successRateRequestVolume: 10, successRateStdevFactor: 500 };
  const bySuccess = [["success_rate", 1]];
  t.strictSame(await ejections({ ...rate, enforcingSuccessRate: 100 }), bySuccess);
  t.strictSame(await ejections({ ...rate, enforcingSuccessRate: 100, successRateMinimumHosts: 4 }), []);
  t.strictSame(await ejections({ ...rate, enforcingSuccessRate: 100, successRateRequestVolume: 11 }), []);
  t.strictSame(await ejections({ ...rate, enforcingSuccessRate: 100, successRateStdevFactor: 1_900 }), []);
  t.strictSame(await ejections({ ...rate, enforcingLocalOriginSuccessRate: 100 }, true), bySuccess);
  t.strictSame(
    await ejections({ ...rate, enforcingSuccessRate: 100 }, true),
    [],
    "answers alone are judged there",
  );
  const share = {
    failurePercentageThreshold: 50,
    failurePercentageMinimumHosts: 3,
    failurePercentageRequestVolume: 10,
  };
  const byShare = [["failure_percentage", 1]];
  t.strictSame(await ejections({ ...share, enforcingFailurePercentage: 100 }), byShare);
  for (const more of [
    { failurePercentageThreshold: 51 },
    { failurePercentageMinimumHosts: 4 },
    { failurePercentageRequestVolume: 11 },
  ])
    t.strictSame(await ejections({ ...share, enforcingFailurePercentage: 100, ...more }), []);
  t.strictSame(await ejections({ ...share, enforcingFailurePercentageLocalOrigin: 100 }, true), byShare);
});

test("outlier: local failures in a row eject only where that is enforced", (t) => {
  for (const [enforcingConsecutiveLocalOriginFailure, isOut] of [
    [100, true],
    [0, false],
  ] as const) {
    const { cluster } = clusterOf(4, {
      splitExternalLocalOriginErrors: true,
      consecutiveLocalOriginFailure: 3,
      enforcingConsecutiveLocalOriginFailure,
    });
    for (let i = 0; i < 6; i++) at(cluster, 0).onReset();
    t.equal(at(cluster, 0).isEjected, isOut);
    cluster.close();
  }
  t.end();
});

test("outlier: jitter makes ejections longer by lot, and a good check ends one where that is not turned off", (t) => {
  const { cluster, clock } = clusterOf(40, {
    consecutive5xx: 1,
    maxEjectionPercent: 100,
    baseEjectionTime: seconds(30),
    maxEjectionTimeJitter: seconds(20),
  });
  const lengths = cluster.endpoints.map((endpoint) => {
    answers(endpoint, 500, 1);
    return (endpoint.record?.ejectedUntilMs ?? 0) - clock.nowMs();
  });
  t.ok(
    lengths.every((ms) => ms >= 30_000 && ms < 50_000),
    `${lengths}`,
  );
  t.ok(new Set(lengths).size > 20);
  cluster.detector?.onCheckPassed(at(cluster, 0));
  t.equal(at(cluster, 0).isEjected, false);
  cluster.close();
  const stern = clusterOf(4, { consecutive5xx: 1, successfulActiveHealthCheckUnejectHost: false }).cluster;
  answers(at(stern, 0), 500, 1);
  stern.detector?.onCheckPassed(at(stern, 0));
  t.equal(at(stern, 0).isEjected, true);
  stern.close();
  t.end();
});

test("outlier: ejections and their number outlive changes of the cluster", async (t) => {
  const { clock, cluster } = clusterOf(4, { consecutive5xx: 2 });
  const endpoint = at(cluster, 0);
  answers(endpoint, 500, 3);
  cluster.update(addresses(3));
  cluster.configure({ ...optionsOf({ consecutive5xx: 2, maxEjectionPercent: 50 }), maxRequests: 5 });
  t.equal(at(cluster, 0), endpoint);
  t.equal(endpoint.isEjected, true);
  await clock.advance(30_000);
  t.equal(endpoint.isEjected, false);
  answers(endpoint, 500, 2);
  await clock.advance(50_000);
  t.equal(endpoint.isEjected, true, "the second time lasts longer");
  cluster.configure(DEFAULT_CLUSTER_OPTIONS);
  t.equal(endpoint.isEjected, false, "without detection nobody is out");
  cluster.close();
});

test("outlier: an endpoint that fails loses its traffic and gets it back when its time is over", async (t) => {
  let isBroken = true;
  const broken = await rawOrigin(t, (socket) => {
    socket.on("data", () => {
      const status = isBroken ? 500 : 200;
      socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 3\r\n\r\n${status}`);
    });
  });
  const good = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n200"]));
  const clock = createManualClock();
  const detection = { consecutive_5xx: 3, max_ejection_percent: 50, base_ejection_time: "30s" };
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [broken.port, good.port] },
    clusterFields: { outlier_detection: detection },
    clock,
  });
  const statuses = async (count: number): Promise<string[]> => {
    const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const last = get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    const { text } = await talk(port, get.repeat(count - 1) + last);
    return text.match(/(?<=HTTP\/1\.1 )\d+/g) ?? [];
  };
  t.equal((await statuses(20)).filter((status) => status === "500").length, 3);
  await clock.advance(29_000);
  t.notOk((await statuses(6)).includes("500"));
  isBroken = false;
  await clock.advance(15_000);
  t.notOk((await statuses(6)).includes("500"));
  t.equal(broken.connections() > 1, true, "the one that was out serves again");
  t.equal(proxy.stats()[0]?.values.get("status_5xx"), 3);
});

test("outlier: endpoints that cannot be connected are ejected too", async (t) => {
  const dead = await closedPort();
  const good = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]));
  const { port, proxy } = await startProxy(t, {
    clusters: { a: [dead, good.port] },
    clusterFields: { outlier_detection: { consecutive_5xx: 3, max_ejection_percent: 50 } },
  });
  const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const ended = talk(port, get.repeat(19) + get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  t.equal((await ended).text.match(/HTTP\/1\.1 200/g)?.length, 20);
  await eventually(() => proxy.stats()[0]?.values.get("connect") === 3, "three were tried in vain");
});
