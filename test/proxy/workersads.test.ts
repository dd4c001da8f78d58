// `weir proxy --workers N` under a control plane: one node, whose acknowledgements, counts and last good configuration are those of all workers.
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createXdsServer, type XdsServer } from "../../src/xds/server.ts";
import { HealthStatus } from "../../src/xds/types.ts";
import {
  childrenOf,
  type ProxyProcess,
  startProxyProcess,
  temporaryFolder,
  until,
} from "../support/proxyprocess.ts";
import { requireTool } from "../support/require.ts";
import { adsBootstrap, aListener, aSnapshot } from "../support/xds.ts";
import { closedPort, recordingOrigin, talk } from "./support.ts";

const GROUP = "gateway/default/web";
const [OLD, NEW] = ["default/shop:80/aaa", "default/shop:80/bbb"];
const GET = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

interface Followed {
  readonly proxy: ProxyProcess;
  readonly port: number;
  readonly server: XdsServer;
  snapshot(weights: Readonly<Record<string, number>>): ReturnType<typeof aSnapshot>;
  isAcknowledged(seq: number): boolean;
}

/** Three workers that follow a control plane. */
async function followed(t: Test, more: readonly string[] = []): Promise<Followed> {
  const [port, adminPort] = [await closedPort(), await closedPort()];
  const named = async (name: string): Promise<number> =>
    (await recordingOrigin(t, (_seen, response) => response.end(`<${name}>`))).port;
  const ports = { [OLD]: [await named("old")], [NEW]: [await named("new")] };
  const server = createXdsServer({ clock: systemClock, log: silentLogger, loadReportIntervalMs: 200 });
  const { port: adsPort } = await server.listen({ port: 0 });
  t.teardown(() => server.close());
  const bootstrap = adsBootstrap({
    id: "default/proxy-1",
    group: GROUP,
    endpoints: [{ address: "127.0.0.1", port: adsPort }],
    more: `admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${adminPort} } } }\n`,
  });
  const flags = ["--workers", "3", "--drain-delay", "0s", ...more];
  const proxy = await startProxyProcess(t, bootstrap, adminPort, flags);
  return {
    server,
    proxy,
    port,
    snapshot: (weights) => aSnapshot(weights, { port, ports }),
    isAcknowledged: (seq) => server.nodes(GROUP).some((node) => node.ackedSeq >= seq),
  };
}

async function answers(port: number): Promise<readonly string[]> {
  const all = await Promise.all(Array.from({ length: 30 }, () => talk(port, GET, ANSWERED)));
  return [...new Set(all.map(({ text }) => /<(\w+)>/.exec(text)?.[1] ?? text))];
}

test("workers: a weight is acknowledged when it is in force in all, and one that is stopped is replaced first", async (t) => {
  const { server, proxy, port, snapshot, isAcknowledged } = await followed(t);
  let seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await until(() => isAcknowledged(seq), "acknowledged");
  t.equal(server.nodes(GROUP).length, 1, "one node");
  t.strictSame(await answers(port), ["old"]);
  for (let turn = 0; turn < 10; turn++) {
    seq = server.setSnapshot(GROUP, snapshot(turn % 2 === 0 ? { [OLD]: 0, [NEW]: 100 } : { [OLD]: 100 }));
    await until(() => isAcknowledged(seq), `acknowledged ${turn}`);
    t.strictSame(await answers(port), [turn % 2 === 0 ? "new" : "old"]);
  }
  const [, stopped = 0] = await childrenOf(proxy.pid);
  process.kill(stopped, "SIGSTOP");
  const beganMs = performance.now();
  seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 0, [NEW]: 100 }));
  let isStillStopped = true;
  let wasEarly = false;
  await until(async () => {
    const isAcked = isAcknowledged(seq);
    isStillStopped = (await childrenOf(proxy.pid)).includes(stopped);
    if (isAcked && isStillStopped) wasEarly = true;
    return isAcked;
  }, "acknowledged");
  t.notOk(wasEarly, "not acknowledged while a worker had the old weight");
  const tookMs = performance.now() - beganMs;
  t.ok(tookMs > 2_000 && tookMs < 15_000, `after ${Math.round(tookMs)} ms`);
  await until(async () => (await childrenOf(proxy.pid)).length === 3, "replaced");
  await until(() => /worker=1.*it does not answer/.test(proxy.log()), "said so");
  t.strictSame(await answers(port), ["new"]);
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
});

test("workers: a configuration that cannot be carried out is refused by all, and a new worker has what is in force", async (t) => {
  const { server, proxy, port, snapshot, isAcknowledged } = await followed(t);
  const seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await until(() => isAcknowledged(seq), "acknowledged");
  const bad = snapshot({ [NEW]: 100 });
  for (const host of bad.routes[0]?.virtualHosts ?? [])
    for (const route of host.routes)
      if (route.action.case === "route" && route.action.value.clusterSpecifier.case === "weightedClusters")
        route.action.value.clusterSpecifier.value.totalWeight = 7;
  server.setSnapshot(GROUP, bad);
  await until(() => (server.nodes(GROUP)[0]?.nack?.message ?? "") !== "", "refused");
  t.match(server.nodes(GROUP)[0]?.nack?.message, /total_weight is 7/);
  t.strictSame(await answers(port), ["old"]);
  const before = await childrenOf(proxy.pid);
  process.kill(before[0] ?? 0, "SIGKILL");
  await until(
    async () => (await childrenOf(proxy.pid)).filter((pid) => !before.includes(pid)).length === 1,
    "new",
  );
  t.strictSame(await answers(port), ["old"]);
  await until(() => proxy.log().split("listening worker=0").length > 2, "it listens");
  t.strictSame(await answers(port), ["old"]);
  const better = server.setSnapshot(GROUP, snapshot({ [NEW]: 100 }));
  await until(() => isAcknowledged(better), "a better one is taken");
  t.strictSame(await answers(port), ["new"]);
});

test("workers: what one alone cannot take is in force in none", async (t) => {
  const prlimit = await requireTool(t, "prlimit");
  if (prlimit === undefined) return;
  const { server, proxy, port, snapshot, isAcknowledged } = await followed(t);
  let seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await until(() => isAcknowledged(seq), "acknowledged");
  // One worker that can open nothing more, and a log that all have to open.
  const [, poor = 0] = await childrenOf(proxy.pid);
  const limit = (files: string): unknown => execFileSync(prlimit, [`--pid=${poor}`, `--nofile=${files}:`]);
  limit("3");
  const folder = await temporaryFolder(t);
  const logging = (name: string): ReturnType<typeof aSnapshot> => ({
    ...snapshot({ [OLD]: 100 }),
    listeners: [aListener("default/web:8000", port, join(folder, name))],
  });
  const lines = async (name: string): Promise<number> =>
    (await readFile(join(folder, name), "utf8")).split("\n").length - 1;
  server.setSnapshot(GROUP, logging("refused.log"));
  await until(() => (server.nodes(GROUP)[0]?.nack?.message ?? "") !== "", "refused");
  t.match(server.nodes(GROUP)[0]?.nack?.message, /access_log path .* cannot be opened: EMFILE/);
  limit("1024");
  t.ok((await childrenOf(proxy.pid)).includes(poor), "nobody had to be replaced");
  t.strictSame(await answers(port), ["old"]);
  seq = server.setSnapshot(GROUP, logging("taken.log"));
  await until(() => isAcknowledged(seq), "the next one is taken by all");
  t.strictSame(await answers(port), ["old"]);
  await until(async () => (await lines("taken.log")) === 30, "all of them write");
  t.equal(await lines("refused.log"), 0, "the two that could have written went back");
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
});

test("workers: load reports carry the sums of all, under one epoch", async (t) => {
  const { server, proxy, port, snapshot, isAcknowledged } = await followed(t);
  let reported = 0;
  const epochs = new Set<string>();
  t.teardown(
    server.onLoadReport(({ epoch, clusters }) => {
      epochs.add(epoch ?? "");
      const cluster = clusters.find((one) => one.cluster === OLD);
      const values = [...(cluster?.cumulative ?? [])];
      const now = values.find(([name]) => name.endsWith("/requests"))?.[1] ?? reported;
      t.ok(now >= reported, `${now} after ${reported}`);
      reported = now;
    }),
  );
  const seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await until(() => isAcknowledged(seq), "acknowledged");
  await answers(port);
  await until(() => reported === 30, "thirty reported");
  const [victim = 0] = await childrenOf(proxy.pid);
  process.kill(victim, "SIGKILL");
  await until(() => proxy.log().split("listening worker=0").length > 2, "replaced");
  await answers(port);
  await until(() => reported === 60, "sixty reported");
  t.equal(epochs.size, 1);
});

test("workers: the last good configuration serves all of them without a control plane", async (t) => {
  const folder = await temporaryFolder(t);
  const first = await followed(t, ["--state", folder]);
  const seq = first.server.setSnapshot(GROUP, first.snapshot({ [OLD]: 100 }));
  await until(() => first.isAcknowledged(seq), "acknowledged");
  first.proxy.child.kill("SIGTERM");
  t.equal(await first.proxy.ended, 0);
  const second = await followed(t, ["--state", folder]);
  await second.server.close();
  await until(async () => (await second.proxy.ready()) === "ready\n", "ready");
  t.strictSame(await answers(first.port), ["old"]);
});

test("workers: levels of priority are kept in all of them, and by the last good configuration", async (t) => {
  const folder = await temporaryFolder(t);
  const first = await followed(t, ["--state", folder]);
  const levelled = (health: HealthStatus, second: number): ReturnType<typeof aSnapshot> => {
    const snapshot = first.snapshot({ [OLD]: 100, [NEW]: 0 });
    const [one, two] = snapshot.endpoints.map(({ endpoints }) => endpoints[0]);
    if (one?.lbEndpoints[0] === undefined || two === undefined) throw new Error("each version has endpoints");
    one.lbEndpoints[0].healthStatus = health;
    two.priority = second;
    snapshot.endpoints[0]?.endpoints.push(two);
    snapshot.endpoints[1]?.endpoints.pop();
    return snapshot;
  };
  let seq = first.server.setSnapshot(GROUP, levelled(HealthStatus.HEALTHY, 1));
  await until(() => first.isAcknowledged(seq), "acknowledged");
  t.strictSame(await answers(first.port), ["old"]);
  seq = first.server.setSnapshot(GROUP, levelled(HealthStatus.UNHEALTHY, 1));
  await until(() => first.isAcknowledged(seq), "acknowledged");
  t.strictSame(await answers(first.port), ["new"]);
  first.server.setSnapshot(GROUP, levelled(HealthStatus.HEALTHY, 2));
  await until(() => (first.server.nodes(GROUP)[0]?.nack?.message ?? "") !== "", "refused");
  t.match(
    first.server.nodes(GROUP)[0]?.nack?.message,
    /endpoints\[1\]\.priority is 2, and nothing has priority 1/,
  );
  first.proxy.child.kill("SIGTERM");
  t.equal(await first.proxy.ended, 0);
  const second = await followed(t, ["--state", folder]);
  await second.server.close();
  await until(async () => (await second.proxy.ready()) === "ready\n", "ready");
  t.strictSame(await answers(first.port), ["new"]);
});
