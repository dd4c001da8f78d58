// The proxy under a control plane over real gRPC: acknowledged means in force, a bad configuration changes nothing, and without the
// control plane the last good one goes on.
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { Agent, get, type IncomingMessage } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createProxy, type ProxyServer } from "../../src/proxy/server.ts";
import { createXdsServer, type LoadReport, type XdsServer } from "../../src/xds/server.ts";
import {
  BootstrapSchema,
  CircuitBreakersSchema,
  create,
  FileAccessLogSchema,
  fromJson,
  HttpConnectionManagerSchema,
  OutlierDetectionSchema,
  pack,
  registry,
  unpack,
  type XdsSnapshot,
} from "../../src/xds/types.ts";
import { aListener, aSnapshot } from "../support/xds.ts";
import { eventually, listen, portOf, recordingOrigin, talk } from "./support.ts";

const GROUP = "gateway/default/web";
const LISTENER = "default/web:8000";
const [OLD, NEW] = ["default/shop:80/aaa", "default/shop:80/bbb"];
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const GET = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";

async function aServer(t: Test, port = 0): Promise<{ readonly server: XdsServer; readonly port: number }> {
  const server = createXdsServer({ clock: systemClock, log: silentLogger, loadReportIntervalMs: 100 });
  const bound = await server.listen({ port });
  t.teardown(() => server.close());
  return { server, port: bound.port };
}

/** A proxy that follows the server on that port. */
async function aProxy(t: Test, adsPort: number): Promise<ProxyServer> {
  const socket = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  const bootstrap = fromJson(
    BootstrapSchema,
    {
      node: { id: "default/proxy-1", cluster: GROUP },
      admin: { address: socket(0) },
      dynamic_resources: {
        ads_config: {
          api_type: "GRPC",
          transport_api_version: "V3",
          grpc_services: [{ envoy_grpc: { cluster_name: "control_plane" } }],
        },
        lds_config: { ads: {}, resource_api_version: "V3" },
        cds_config: { ads: {}, resource_api_version: "V3" },
      },
      cluster_manager: {
        load_stats_config: {
          api_type: "GRPC",
          transport_api_version: "V3",
          grpc_services: [{ envoy_grpc: { cluster_name: "control_plane" } }],
        },
      },
      static_resources: {
        clusters: [
          {
            name: "control_plane",
            type: "STATIC",
            load_assignment: {
              cluster_name: "control_plane",
              endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(adsPort) } }] }],
            },
          },
        ],
      },
    },
    { registry },
  );
  const proxy = createProxy(bootstrap, {
    clock: systemClock,
    log: silentLogger,
    limits: { drainMs: 100 },
  });
  await proxy.start();
  t.teardown(async () => {
    await proxy.stop();
    if (proxy.internalErrors > 0) throw new Error("internal errors");
  });
  return proxy;
}

interface Versions {
  readonly ports: Readonly<Record<string, readonly number[]>>;
  snapshot(weights: Readonly<Record<string, number>>): XdsSnapshot;
}

/** Two versions whose origins answer with their names. */
async function versions(t: Test): Promise<Versions> {
  const named = async (name: string): Promise<number> =>
    (await recordingOrigin(t, (_seen, response) => response.end(`<${name}>`))).port;
  const ports = { [OLD]: [await named("old")], [NEW]: [await named("new")] };
  return { ports, snapshot: (weights) => aSnapshot(weights, { port: 0, ports }) };
}

async function answerOf(proxy: ProxyServer): Promise<string> {
  const { text } = await talk(proxy.listenerPort(LISTENER) ?? 0, GET, ANSWERED);
  return /<(\w+)>/.exec(text)?.[1] ?? text;
}

const isAcknowledged = (server: XdsServer, seq: number): boolean =>
  server.nodes(GROUP).some((node) => node.ackedSeq >= seq);

test("ads: connections, ejections and counts of endpoints outlive every swap", async (t) => {
  const { server, port } = await aServer(t);
  const bad = await recordingOrigin(t, (_seen, response) => response.writeHead(500).end("<bad>"));
  const good = await recordingOrigin(t, (_seen, response) => response.end("<good>"));
  const later = await recordingOrigin(t, (_seen, response) => response.end("<later>"));
  const snapshot = (ports: readonly number[], maxRequests: number): XdsSnapshot => {
    const made = aSnapshot({ [OLD]: maxRequests }, { port: 0, ports: { [OLD]: ports } });
    const outlierDetection = create(OutlierDetectionSchema, { consecutive5xx: 2, maxEjectionPercent: 50 });
    const circuitBreakers = create(CircuitBreakersSchema, { thresholds: [{ maxRequests }] });
    return {
      ...made,
      clusters: made.clusters.map((cluster) => ({ ...cluster, outlierDetection, circuitBreakers })),
    };
  };
  const proxy = await aProxy(t, port);
  let seq = server.setSnapshot(GROUP, snapshot([bad.port, good.port], 100));
  await eventually(() => isAcknowledged(server, seq), "acknowledged");
  const answers: string[] = [];
  for (let turn = 0; turn < 6; turn++) answers.push(await answerOf(proxy));
  t.equal(answers.filter((answer) => answer === "bad").length, 2, "then it is ejected");
  for (let swap = 1; swap <= 10; swap++) {
    const ports = swap % 2 === 0 ? [bad.port, good.port] : [later.port, good.port, bad.port];
    seq = server.setSnapshot(GROUP, snapshot(ports, 100 + swap));
    await eventually(() => isAcknowledged(server, seq), "acknowledged");
    t.not(await answerOf(proxy), "bad");
  }
  const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/clusters`)).text();
  for (const line of [
    `${OLD}::default_priority::max_requests::110`,
    `${OLD}::ejections_5xx::1`,
    `${OLD}::127.0.0.1:${bad.port}::health_flags::/failed_outlier_check`,
    `${OLD}::127.0.0.1:${bad.port}::rq_error::2`,
    `${OLD}::127.0.0.1:${good.port}::health_flags::healthy`,
    `${OLD}::127.0.0.1:${good.port}::cx_total::1`,
    `${OLD}::127.0.0.1:${good.port}::rq_success::${good.seen.length}`,
  ])
    t.ok(text.includes(`${line}\n`), line);
});

test("ads: an acknowledged configuration is in force, and each change swaps whole", async (t) => {
  const { server, port } = await aServer(t);
  const { snapshot } = await versions(t);
  const proxy = await aProxy(t, port);
  t.match(proxy.unreadyReason(), /nothing received/);
  let seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await eventually(() => isAcknowledged(server, seq), "acknowledged");
  t.equal(proxy.unreadyReason(), "");
  t.equal(await answerOf(proxy), "old");
  const listenerPort = proxy.listenerPort(LISTENER);
  for (let turn = 0; turn < 20; turn++) {
    const version = turn % 2 === 0 ? NEW : OLD;
    seq = server.setSnapshot(
      GROUP,
      snapshot({ [OLD]: version === OLD ? 100 : 0, [NEW]: version === NEW ? 100 : 0 }),
    );
    await eventually(() => isAcknowledged(server, seq), `acknowledged ${turn}`);
    t.equal(await answerOf(proxy), version === NEW ? "new" : "old");
  }
  t.equal(proxy.listenerPort(LISTENER), listenerPort, "the listener stayed open");
});

test("ads: what cannot be carried out is refused in words, and what was in force stays", async (t) => {
  const { server, port } = await aServer(t);
  const { snapshot } = await versions(t);
  const proxy = await aProxy(t, port);
  const seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await eventually(() => isAcknowledged(server, seq), "acknowledged");
  const bad = snapshot({ [OLD]: 0, [NEW]: 100 });
  for (const host of bad.routes[0]?.virtualHosts ?? [])
    for (const route of host.routes)
      if (route.match !== undefined) route.match.pathSpecifier = { case: "path", value: "" };
  const route = bad.routes[0]?.virtualHosts[0]?.routes[0];
  if (route?.action.case === "route" && route.action.value.clusterSpecifier.case === "weightedClusters")
    route.action.value.clusterSpecifier.value.totalWeight = 7;
  server.setSnapshot(GROUP, bad);
  const rejection = (): string => server.nodes(GROUP)[0]?.nack?.message ?? "";
  await eventually(() => rejection() !== "", "refused");
  t.match(rejection(), /total_weight is 7, but the weights add up to 100/);
  t.equal(await answerOf(proxy), "old");
  t.equal(proxy.unreadyReason(), "");
  const better = server.setSnapshot(GROUP, snapshot({ [OLD]: 0, [NEW]: 100 }));
  await eventually(() => isAcknowledged(server, better), "a better one is taken");
  t.equal(await answerOf(proxy), "new");
});

/** The snapshot with requests logged to `path`. */
function logged(snapshot: XdsSnapshot, path: string): XdsSnapshot {
  for (const filter of snapshot.listeners.flatMap(({ filterChains }) => filterChains[0]?.filters ?? [])) {
    const manager = unpack(HttpConnectionManagerSchema, filter.configType.value);
    if (manager === undefined) continue;
    const log = pack(FileAccessLogSchema, {
      path,
      accessLogFormat: { case: "format", value: "%UPSTREAM_CLUSTER%\n" },
    });
    const { $typeName: _, ...settings } = manager;
    const value = pack(HttpConnectionManagerSchema, {
      ...settings,
      accessLog: [{ name: "file", configType: { case: "typedConfig", value: log } }],
    });
    filter.configType = { case: "typedConfig", value };
  }
  return snapshot;
}

test("ads: an access log comes and goes on open connections; one that cannot be opened is refused", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-log-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "log");
  const { server, port } = await aServer(t);
  const { snapshot } = await versions(t);
  const proxy = await aProxy(t, port);
  const apply = async (wanted: XdsSnapshot): Promise<void> => {
    const seq = server.setSnapshot(GROUP, wanted);
    await eventually(() => isAcknowledged(server, seq), "acknowledged");
  };
  await apply(snapshot({ [OLD]: 100 }));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const ask = async (): Promise<void> => {
    const request = get({ port: proxy.listenerPort(LISTENER), agent });
    const [response] = (await once(request, "response")) as [IncomingMessage]; // So the event is declared.
    await once(response.resume(), "end");
  };
  await ask();
  await apply(logged(snapshot({ [OLD]: 100 }), path));
  await ask();
  await apply(logged(snapshot({ [NEW]: 100 }), path));
  await ask();
  server.setSnapshot(GROUP, logged(snapshot({ [NEW]: 100 }), join(folder, "none", "log")));
  await eventually(() => server.nodes(GROUP)[0]?.nack !== undefined, "refused");
  t.match(server.nodes(GROUP)[0]?.nack?.message, /none\/log" cannot be opened: ENOENT/);
  await ask();
  await apply(snapshot({ [OLD]: 100 }));
  await ask();
  await eventually(async () => (await readFile(path, "utf8")).split("\n").length === 4, "three lines");
  t.equal(await readFile(path, "utf8"), `${OLD}\n${NEW}\n${NEW}\n`);
  const open = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  t.notOk((await Promise.all(open)).includes(path), "the file is closed");
});

test("ads: a port that is taken is refused, and traffic goes on", async (t) => {
  const blocker = createServer();
  await listen(blocker);
  t.teardown(() => blocker.close());
  const { server, port } = await aServer(t);
  const { snapshot } = await versions(t);
  const proxy = await aProxy(t, port);
  const good = snapshot({ [OLD]: 100 });
  const seq = server.setSnapshot(GROUP, good);
  await eventually(() => isAcknowledged(server, seq), "acknowledged");
  const second = aListener("default/web:9000", portOf(blocker));
  const routes = good.routes.map((one) => ({ ...one, name: "default/web:9000" }));
  const wanted = server.setSnapshot(GROUP, {
    ...good,
    listeners: [...good.listeners, second],
    routes: [...good.routes, ...routes],
  });
  t.equal(await answerOf(proxy), "old");
  blocker.close();
  await once(blocker, "close");
  await eventually(() => isAcknowledged(server, wanted), "taken once the port is free");
  t.match((await talk(proxy.listenerPort("default/web:9000") ?? 0, GET, ANSWERED)).text, /<old>/);
  const without = server.setSnapshot(GROUP, good);
  await eventually(() => isAcknowledged(server, without), "acknowledged");
  t.equal(proxy.listenerPort("default/web:9000"), undefined, "a listener that is gone is closed");
});

test("ads: without the control plane the last good configuration goes on, and a new one is found", async (t) => {
  const { server, port } = await aServer(t);
  const { snapshot } = await versions(t);
  const proxy = await aProxy(t, port);
  const seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await eventually(() => isAcknowledged(server, seq), "acknowledged");
  await server.close();
  for (let turn = 0; turn < 5; turn++) t.equal(await answerOf(proxy), "old");
  t.equal(proxy.unreadyReason(), "");
  const { server: next } = await aServer(t, port);
  const nextSeq = next.setSnapshot(GROUP, snapshot({ [OLD]: 0, [NEW]: 100 }));
  await eventually(() => isAcknowledged(next, nextSeq), "acknowledged to the new one");
  t.equal(await answerOf(proxy), "new");
});

test("ads: 0 requests fail while weights, endpoints and versions change under load", async (t) => {
  const { server, port } = await aServer(t);
  const { snapshot } = await versions(t);
  const proxy = await aProxy(t, port);
  let seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await eventually(() => isAcknowledged(server, seq), "acknowledged");
  const listenerPort = proxy.listenerPort(LISTENER) ?? 0;
  let isOver = false;
  let sent = 0;
  const failures: string[] = [];
  const load = async (): Promise<void> => {
    while (!isOver) {
      const { text } = await talk(listenerPort, GET, ANSWERED);
      sent += 1;
      if (!/^HTTP\/1\.1 200 /.test(text)) failures.push(text);
    }
  };
  const workers = Array.from({ length: 4 }, () => load());
  for (let change = 0; change < 100; change++) {
    const weight = (change * 7) % 101;
    const weights = change % 10 === 9 ? { [NEW]: 100 } : { [OLD]: 100 - weight, [NEW]: weight };
    seq = server.setSnapshot(GROUP, snapshot(weights));
    await eventually(() => isAcknowledged(server, seq), `acknowledged change ${change}`);
  }
  isOver = true;
  await Promise.all(workers);
  t.strictSame(failures, []);
  t.ok(sent > 100, `${sent} requests`);
  t.equal(
    proxy.stats().reduce((sum, { values }) => sum + (values.get("error") ?? 0), 0),
    0,
  );
});

test("ads: load reports carry the counts per version, cumulative, under the process's epoch", async (t) => {
  const { server, port } = await aServer(t);
  const { snapshot } = await versions(t);
  const proxy = await aProxy(t, port);
  const reports: LoadReport[] = [];
  t.teardown(server.onLoadReport((report) => reports.push(report)));
  const seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await eventually(() => isAcknowledged(server, seq), "acknowledged");
  for (let turn = 0; turn < 7; turn++) await answerOf(proxy);
  const reported = (): number => {
    const cluster = reports.at(-1)?.clusters.find((one) => one.cluster === OLD);
    return [...(cluster?.cumulative ?? [])].find(([name]) => name.endsWith("/requests"))?.[1] ?? 0;
  };
  await eventually(() => reported() === 7, "seven requests reported");
  const last = reports.at(-1);
  t.equal(last?.nodeId, "default/proxy-1");
  t.match(last?.epoch, /^\w+-\d+-\w+$/);
  const values = new Map(last?.clusters.find((one) => one.cluster === OLD)?.cumulative);
  const sum = (part: RegExp): number =>
    [...values].reduce((total, [name, value]) => total + (part.test(name) ? value : 0), 0);
  t.equal(sum(/\/success$/), 7);
  t.equal(sum(/\/status_2xx$/), 7);
  t.equal(sum(/\/le_[\d.]+$/), 7, "every request is in one bucket");
});
