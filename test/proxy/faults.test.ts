// What the machine runs out of: file descriptors; and what must not grow: memory, over thousands of configurations.
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import {
  type Cluster,
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  fromJson,
  RouteConfigurationSchema,
} from "../../src/xds/types.ts";
import { freePort } from "../support/ports.ts";
import { startProxyProcess, until } from "../support/proxyprocess.ts";
import { aListener } from "../support/xds.ts";
import { bootstrapOf, eventually, recordingOrigin, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

test("faults: without file descriptors requests get 503 or no connection, and all is well when there are some again", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const adminPort = await freePort();
  const bootstrap = JSON.stringify({
    ...Object(bootstrapOf({ clusters: { a: [origin.port] } })),
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } },
  });
  const proxy = await startProxyProcess(
    t,
    bootstrap,
    adminPort,
    [],
    ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"],
  );
  const port = await proxy.listenerPort("main");
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  const holders = Array.from({ length: 100 }, () => {
    const socket = connect(port, "127.0.0.1");
    const state = { socket, text: "", isClosed: false };
    socket.on("data", (chunk: Buffer) => {
      state.text += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      state.isClosed = true;
    });
    socket.write(GET);
    return state;
  });
  t.teardown(() => {
    for (const { socket } of holders) socket.destroy();
  });
  await eventually(() => holders.every(({ text, isClosed }) => text !== "" || isClosed), "nobody hangs");
  const closed = holders.filter(({ text }) => text === "").length;
  const answered = holders.filter(({ text }) => /^HTTP\/1\.1 (?:200|503) /.test(text)).length;
  t.equal(closed + answered, 100);
  t.ok(closed > 30 && answered > 10, `${closed} closed, ${answered} answered`);
  for (const { socket } of holders) socket.destroy();
  await until(async () => (await talk(port, GET, ANSWERED)).text.startsWith("HTTP/1.1 200 "), "served again");
  t.equal(await proxy.metric("weir_proxy_internal_errors_total"), 0);
  t.equal(proxy.child.exitCode, null);
});

test("faults: ten thousand configurations leave no memory behind", { timeout: 120_000 }, async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const core = new Core({ clock: systemClock, log: silentLogger, seed: 1 });
  const configuration = new Configuration(core, { listeners: [], clusters: [] }, true);
  t.teardown(() => configuration.close());
  const listeners = [aListener("main", 0)];
  const apply = (turn: number) => {
    const name = (version: string): string => `default/shop:80/${version}`;
    // Every hundredth time another version: its cluster and endpoint come and go.
    const versions = ["stable", `v${Math.floor(turn / 100)}`];
    const routes = fromJson(RouteConfigurationSchema, {
      name: "main",
      virtual_hosts: Array.from({ length: 5 }, (_, host) => ({
        name: `host${host}`,
        domains: [`host${host}`, ...(host === 0 ? ["*"] : [])],
        routes: [
          {
            name: `route${host}`,
            match: {
              prefix: "/",
              headers: [{ name: "x", string_match: { exact: `${turn}` }, invert_match: true }],
            },
            route: {
              weighted_clusters: {
                clusters: versions.map((version, index) => ({
                  name: name(version),
                  weight: index === 0 ? 100 - (turn % 100) : turn % 100,
                })),
              },
            },
          },
        ],
      })),
    });
    const { clusters, endpoints } = resourcesOf(versions.map(name), origin.port);
    const version = `${turn}`;
    const versionsOf = { listeners: version, routes: version, clusters: version, endpoints: version };
    return configuration.apply({
      listeners,
      routes: [routes],
      clusters,
      endpoints,
      changed: "routes",
      versions: versionsOf,
    });
  };
  const collect = collector();
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed / 1024 / 1024;
  };
  for (let turn = 0; turn < 2_000; turn++) await apply(turn);
  const port = configuration.listeners[0]?.port ?? 0;
  t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  const before = used();
  for (let turn = 2_000; turn < 12_000; turn++) {
    await apply(turn);
    if (turn % 1_000 === 0) t.match((await talk(port, GET, ANSWERED)).text, /^HTTP\/1\.1 200 /);
  }
  const after = used();
  // 100 versions came: their statistics stay, by design, at some 1 KiB for each of 5 routes.
  t.ok(after - before < 4, `${before.toFixed(1)} MiB before, ${after.toFixed(1)} MiB after`);
  t.equal(core.clusters.size, 2);
  t.equal(core.counts.internalErrors, 0);
});

/** Clusters and endpoints of those names: the same messages while the names are, as from a control plane. */
let known: Resources | undefined;
interface Resources {
  readonly names: string;
  readonly clusters: Cluster[];
  readonly endpoints: ClusterLoadAssignment[];
}
function resourcesOf(names: readonly string[], port: number): Resources {
  if (known?.names === names.join()) return known;
  const clusters = names.map((name) =>
    fromJson(ClusterSchema, { name, type: "EDS", eds_cluster_config: { eds_config: { ads: {} } } }),
  );
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  const endpoints = names.map((name) =>
    fromJson(ClusterLoadAssignmentSchema, {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    }),
  );
  known = { names: names.join(), clusters, endpoints };
  return known;
}

function collector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect !== "function") throw new TypeError("no gc");
  return () => void collect();
}
