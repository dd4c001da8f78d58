// When copies go: behind the requests that came with theirs, in their order, within the mirror's bounds.
import { connect, type Socket } from "node:net";
import { test } from "tap";
import { silentLogger } from "../../src/lib/log.ts";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { Core } from "../../src/proxy/core.ts";
import { DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { startMirrors } from "../../src/proxy/forward/copies.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { BODY } from "../../src/proxy/http1/body.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { snapshotStats } from "../../src/proxy/observe/stats.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import { ByteStore } from "../../src/proxy/wire/bytestore.ts";
import { NO_WIRE, type WireOwner } from "../../src/proxy/wire/wire.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { eventually, rawOrigin, startProxy } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POLICY = { cluster: "main", request_mirror_policies: [{ cluster: "copy" }] };
const ROUTES = {
  virtual_hosts: [{ name: "v", domains: ["*"], routes: [{ match: { prefix: "/" }, route: POLICY }] }],
};

/** A core without sockets: who was connected to which mirror is told by `opened`, copies are asked for with `copy`. */
function coreWithMirror(maxRequests: number, opensAtOnce: boolean) {
  const opened: { readonly owner: WireOwner; text: string }[] = [];
  const core = new Core({
    clock: createManualClock(),
    log: silentLogger,
    seed: 1,
    connect(_context, _host, _others, _port, owner) {
      const one = { owner, text: "" };
      opened.push(one);
      const stand = (): void => {
        owner.onConnect();
        core.outbox.flush();
      };
      if (opensAtOnce) queueMicrotask(stand);
      const write = (view: Uint8Array): boolean => {
        one.text += Buffer.from(view).toString("latin1");
        return true;
      };
      return { ...NO_WIRE, owner, isOpen: true, write };
    },
  });
  const cluster = new Cluster(core, "copy", { ...DEFAULT_CLUSTER_OPTIONS, maxRequests });
  cluster.update([{ address: "192.0.2.2", port: 80, isHealthy: true }]);
  core.clusters.set("copy", cluster);
  const table = compileRoutes(fromJson(RouteConfigurationSchema, ROUTES), "1", (route, name) =>
    core.stats.cell(route, name),
  );
  const copy = (path: string, body: number = BODY.NONE) => {
    const text = `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const parser = new HeadParser();
    parser.reset(KIND.REQUEST);
    parser.run(Buffer.from(text), 0, text.length);
    const route = findRoute(table, parser.head, core.dice);
    if (route === null) throw new Error("no route");
    const head = new ByteStore();
    head.text(Buffer.from(text));
    return startMirrors(core, { route, head, body, isHeadRequest: false });
  };
  const count = (name: string): number =>
    snapshotStats(core.stats)
      .find(({ cluster }) => cluster === "copy")
      ?.values.get(name) ?? 0;
  return { core, cluster, opened, copy, count };
}

test("copies: those of requests that came together go behind all of them", async (t) => {
  const order: string[] = [];
  const origin = (name: string) =>
    rawOrigin(t, (socket) =>
      socket.on("data", (chunk: Buffer) => {
        order.push(name);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${chunk.length > 0 ? "ok" : ""}`);
      }),
    );
  const [main, copy] = [await origin("main"), await origin("copy")];
  const { port } = await startProxy(t, {
    clusters: { main: [main.port], copy: [copy.port] },
    routes: [{ match: { prefix: "/" }, route: POLICY }],
  });
  const count = 6;
  const clients: Socket[] = [];
  for (let opened = 0; opened < count; opened += 1)
    clients.push(connect({ port, host: "127.0.0.1", noDelay: true }));
  t.teardown(() => clients.map((client) => client.destroy()));
  const ask = async (): Promise<void> => {
    for (const client of clients) client.write(GET);
    await eventually(() => order.length === 2 * count, "all arrive");
  };
  // Once for the connections that then wait in the pools.
  await ask();
  order.length = 0;
  await ask();
  t.strictSame(order, [...Array(count).fill("main"), ...Array(count).fill("copy")]);
});

test("copies: one that waits is overtaken by none, neither of its kind nor with a body", async (t) => {
  const { core, opened, copy } = coreWithMirror(10, true);
  t.equal(copy("/1"), null);
  copy("/2");
  t.equal(opened.length, 0, "they wait");
  t.equal(copy("/3", BODY.LENGTH)?.length, 1);
  t.equal(opened.length, 3);
  copy("/4");
  await eventually(() => opened.length === 4, "the last one goes by itself");
  await eventually(() => opened.every(({ text }) => text !== ""), "all are sent");
  t.strictSame(
    opened.map(({ text }) => text.split(" ")[1]),
    ["/1", "/2", "/3", "/4"],
  );
  t.equal(core.counts.internalErrors, 0);
});

test("copies: a mirror's bound holds for those that waited together", async (t) => {
  const { core, cluster, opened, copy, count } = coreWithMirror(2, false);
  for (const path of ["/1", "/2", "/3", "/4"]) copy(path);
  await eventually(() => count("overflow") === 2, "two are too many");
  t.equal(opened.length, 2);
  t.equal(cluster.active, 2);
  t.equal(core.stats.inFlightOfAll, 2);
  t.equal(core.counts.internalErrors, 0);
});

test("copies: a throw while one is sent is counted, ends that one, and the others go", async (t) => {
  const { core, cluster, opened, copy } = coreWithMirror(10, true);
  for (const path of ["/1", "/2"]) copy(path);
  const { connect: connectAs } = cluster;
  let isFirst = true;
  cluster.connect = (endpoint) => {
    const made = connectAs.call(cluster, endpoint);
    if (!isFirst) return made;
    isFirst = false;
    made.begin = () => {
      throw new Error("a bug");
    };
    return made;
  };
  await eventually(() => opened.some(({ text }) => text.includes("/2")), "the second is sent");
  t.equal(core.counts.internalErrors, 1);
  t.equal(cluster.active, 1);
});

test("copies: one that gets no connection because of a throw is not in progress anywhere", async (t) => {
  const { core, cluster, opened, copy } = coreWithMirror(10, true);
  for (const path of ["/1", "/2"]) copy(path);
  const { connect: connectAs } = cluster;
  cluster.connect = () => {
    cluster.connect = connectAs;
    throw new Error("a bug");
  };
  await eventually(() => opened.some(({ text }) => text.includes("/2")), "the second is sent");
  t.equal(core.counts.internalErrors, 1);
  t.equal(cluster.active, 1);
  t.equal(cluster.pick()?.active, 1);
  t.equal(core.stats.inFlightOfAll, 1);
});
