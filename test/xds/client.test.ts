// The ADS and LRS client against our server, over real gRPC on loopback; the order of things that our own server never sends is in
// assembly.test.ts.
import { createServer, connect as netConnect, type Socket } from "node:net";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import {
  createXdsClient,
  EPOCH_KEY,
  type LoadSample,
  type Verdict,
  type XdsClient,
  type XdsClientOptions,
  type XdsUpdate,
} from "../../src/xds/client.ts";
import { createXdsServer, type LoadReport, type NodeView, type XdsServer } from "../../src/xds/server.ts";
import { create, NodeSchema, type XdsSnapshot } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { until } from "../support/web.ts";
import { aRoute, aSnapshot, nodeSeen } from "../support/xds.ts";

const GROUP = "gateway/default/web";
const ROUTE = "default/web:8000";
const OLD = "default/shop:80/aaa";
const NEW = "default/shop:80/bbb";

async function aServer(t: Test, port = 0): Promise<{ server: XdsServer; address: string }> {
  const server = createXdsServer({ clock: systemClock, log: silentLogger, loadReportIntervalMs: 100 });
  const bound = await server.listen({ port });
  t.teardown(() => server.close());
  return { server, address: `${bound.host}:${bound.port}` };
}

function aClient(
  t: Test,
  addresses: readonly string[],
  options: Partial<XdsClientOptions> & { readonly id?: string } = {},
): { readonly client: XdsClient; readonly updates: XdsUpdate[] } {
  const updates: XdsUpdate[] = [];
  const client = createXdsClient({
    addresses,
    node: create(NodeSchema, {
      id: options.id ?? "default/p1",
      cluster: GROUP,
      metadata: { [EPOCH_KEY]: "e1" },
    }),
    clock: systemClock,
    log: silentLogger,
    ...options,
    onUpdate(update) {
      updates.push(update);
      return options.onUpdate?.(update) ?? { kind: "ok" };
    },
  });
  client.start();
  t.teardown(() => client.close());
  return { client, updates };
}

const seen = (server: XdsServer, holds: (node: NodeView) => boolean, id = "default/p1"): Promise<NodeView> =>
  nodeSeen(server, { group: GROUP, id }, holds);

const namesOf = (update: XdsUpdate | undefined): readonly string[] =>
  (update?.clusters ?? []).map((one) => one.name).sort();

test("client: what it acknowledges is what it brought in force, kind by kind", async (t) => {
  const { server, address } = await aServer(t);
  const seq = server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const { client, updates } = aClient(t, [address]);
  const node = await seen(server, (one) => one.ackedSeq === seq);
  t.match(node, { epoch: "e1", subscribedRoutes: [ROUTE], connected: true });
  t.strictSame(
    updates.map((update) => update.changed),
    ["clusters", "endpoints", "listeners", "routes"],
  );
  t.match(updates.at(-1), {
    listeners: [{ name: ROUTE }],
    routes: [{ name: ROUTE }],
    clusters: [{ name: OLD }],
    endpoints: [{ clusterName: OLD }],
  });
  t.strictSame(client.status(), {
    connectedTo: address,
    versions: { ...server.publication(GROUP)?.versions },
    rejections: {},
  });
});

test("client: a change of weights is one update, and the rest stays the same objects", async (t) => {
  const { server, address } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100, [NEW]: 0 }));
  const { updates } = aClient(t, [address]);
  await seen(server, (one) => one.ackedSeq === 1);
  const before = updates.at(-1);
  const count = updates.length;
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 90, [NEW]: 10 }));
  await seen(server, (one) => one.ackedSeq === 2);
  t.equal(updates.length, count + 1);
  t.equal(updates.at(-1)?.changed, "routes");
  t.equal(updates.at(-1)?.clusters[0], before?.clusters[0]);
});

test("client: the acknowledgement waits until the configuration is in force", async (t) => {
  const { server, address } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  let release = (_verdict: Verdict): void => undefined;
  let asked: (() => void) | undefined;
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  aClient(t, [address], {
    onUpdate: (update) => {
      if (update.changed !== "routes") return { kind: "ok" };
      asked?.();
      return new Promise<Verdict>((resolve) => {
        release = resolve;
      });
    },
  });
  await isAsked;
  t.equal(server.nodes(GROUP)[0]?.ackedSeq, 0);
  release({ kind: "ok" });
  await seen(server, (one) => one.ackedSeq === 1);
});

test("client: a rejection carries our words, keeps what is in force, and ends with content that is accepted", async (t) => {
  const { server, address } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const { client, updates } = aClient(t, [address], {
    onUpdate: (update) => {
      const weight = JSON.stringify(
        update.routes.map((one) => one.virtualHosts[0]?.routes[0]?.action.value),
        (_key, value) => (typeof value === "bigint" ? String(value) : value),
      );
      return weight.includes("13") ? { kind: "rejected", message: "13 is bad luck" } : { kind: "ok" };
    },
  });
  await seen(server, (one) => one.ackedSeq === 1);
  const good = client.status().versions.routes;
  server.setSnapshot(GROUP, { ...aSnapshot({ [OLD]: 100 }), routes: [aRoute(ROUTE, { [OLD]: 13 })] });
  const node = await seen(server, (one) => one.nack !== undefined);
  t.match(node, {
    ackedSeq: 1,
    nack: { kind: "routes", message: "13 is bad luck" },
    acked: { routes: good },
  });
  t.match(client.status(), { versions: { routes: good }, rejections: { routes: "13 is bad luck" } });
  const tries = updates.length;
  server.setSnapshot(GROUP, { ...aSnapshot({ [OLD]: 100 }), routes: [aRoute(ROUTE, { [OLD]: 14 })] });
  await seen(server, (one) => one.ackedSeq === 3);
  t.equal(updates.length, tries + 1, "tried once each");
  t.strictSame(client.status().rejections, {});
});

test("client: survives its server, comes back to another address and says what it has", async (t) => {
  const first = await aServer(t);
  const second = await aServer(t);
  const snapshot = aSnapshot({ [OLD]: 100 });
  first.server.setSnapshot(GROUP, snapshot);
  second.server.setSnapshot(GROUP, snapshot);
  second.server.setServing(false);
  const reported = new Promise<LoadReport>((resolve) => void second.server.onLoadReport(resolve));
  const reportLoads = (): LoadSample[] => [{ cluster: OLD, metrics: [["shop/requests_total", 7]] }];
  const { client, updates } = aClient(t, [second.address, first.address], { reportLoads });
  await seen(first.server, (one) => one.ackedSeq === 1);
  t.equal(client.status().connectedTo, first.address, "the standby refused");
  const count = updates.length;
  second.server.setServing(true);
  first.server.setServing(false);
  const node = await seen(second.server, (one) => one.ackedSeq === 1);
  t.equal(updates.length, count, "nothing was pushed again");
  t.strictSame(node.acked, { ...second.server.publication(GROUP)?.versions });
  const report = await reported;
  t.equal(report.clusters[0]?.cumulative.get("shop/requests_total"), 7, "it reports load there as well");
  t.equal(client.status().connectedTo, second.address);
});

test("client: a new leader that publishes something else brings it in force without a hole", async (t) => {
  const first = await aServer(t);
  const second = await aServer(t);
  first.server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  second.server.setSnapshot(GROUP, aSnapshot({ [NEW]: 100 }));
  second.server.setServing(false);
  const { updates } = aClient(t, [first.address, second.address]);
  await seen(first.server, (one) => one.ackedSeq === 1);
  second.server.setServing(true);
  first.server.setServing(false);
  await seen(second.server, (one) => one.ackedSeq === 1);
  const dangling = updates.filter((update) => {
    const names = namesOf(update);
    return update.routes.length > 0 && !names.includes(OLD) && !names.includes(NEW);
  });
  t.strictSame(dangling, []);
  const routeNames = (update: XdsUpdate): string => {
    const action = update.routes[0]?.virtualHosts[0]?.routes[0]?.action;
    const target = action?.case === "route" ? action.value.clusterSpecifier : undefined;
    return target?.case === "weightedClusters" ? (target.value.clusters[0]?.name ?? "") : "";
  };
  for (const update of updates.filter((one) => one.routes.length > 0))
    t.ok(namesOf(update).includes(routeNames(update)), `${update.changed}: ${routeNames(update)} is there`);
  t.strictSame(namesOf(updates.at(-1)), [NEW]);
});

/** A relay that can stop passing bytes without closing anything, as a broken network does. */
async function aRelay(t: Test, target: string): Promise<{ address: string; freeze(): void; thaw(): void }> {
  const sockets = new Set<Socket>();
  let isFrozen = false;
  const [host = "", port = ""] = target.split(":");
  const relay = createServer((near) => {
    const far = netConnect(Number(port), host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => to.write(chunk));
      from.on("close", () => to.destroy());
      from.on("error", () => to.destroy());
      if (isFrozen) from.pause();
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  const bound = relay.address();
  return {
    address: `127.0.0.1:${typeof bound === "object" ? bound?.port : 0}`,
    freeze() {
      isFrozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      isFrozen = false;
      for (const socket of sockets) socket.resume();
    },
  };
}

test("client: a partition is noticed on both sides within 12 s, and healed", async (t) => {
  const { server, address } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const relay = await aRelay(t, address);
  const { client } = aClient(t, [relay.address]);
  aClient(t, [address], { id: "default/p2" });
  await seen(server, (one) => one.ackedSeq === 1);
  await seen(server, (one) => one.ackedSeq === 1, "default/p2");
  const startMs = Date.now();
  relay.freeze();
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 50, [NEW]: 50 }));
  await seen(server, (one) => one.ackedSeq === 2, "default/p2");
  t.ok(Date.now() - startMs < 3_000, "the partitioned node holds nobody else");
  t.match(
    server.nodes(GROUP).find((one) => one.id === "default/p1"),
    { connected: true, ackedSeq: 1 },
  );
  await seen(server, (one) => !one.connected);
  t.ok(Date.now() - startMs < 12_000, `noticed after ${Date.now() - startMs} ms`);
  relay.thaw();
  await seen(server, (one) => one.connected && one.ackedSeq === 2);
  t.equal(client.status().connectedTo, relay.address);
});

test("client: reports load cumulatively at the server's interval", async (t) => {
  const { server, address } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  let requests = 0;
  const reports: LoadReport[] = [];
  const enough = new Promise<void>((resolve) => {
    server.onLoadReport((report) => {
      reports.push(report);
      if (reports.length === 3) resolve();
    });
  });
  aClient(t, [address], {
    reportLoads: () => {
      requests += 10;
      return [{ cluster: OLD, metrics: [["shop/requests_total", requests]], inProgress: 2 }];
    },
  });
  await enough;
  const [first] = reports;
  t.match(first, {
    nodeId: "default/p1",
    group: GROUP,
    epoch: "e1",
    clusters: [{ cluster: OLD, delta: { inProgress: 2, issued: 0, intervalMs: 100 } }],
  });
  t.strictSame(
    reports.map((report) => report.clusters[0]?.cumulative.get("shop/requests_total")),
    [10, 20, 30],
  );
});

test("client: a refusal that waits is not taken for an acceptance when routes of other names are asked for", async (t) => {
  const serverClock = createManualClock();
  const server = createXdsServer({ clock: serverClock, log: silentLogger });
  const bound = await server.listen({ port: 0 });
  t.teardown(() => server.close());
  const both = (old: number): XdsSnapshot => {
    const [one, other] = [aSnapshot({ [OLD]: old, [NEW]: 1 }), aSnapshot({ [OLD]: 1 }, { listener: "b" })];
    return {
      ...one,
      listeners: [...one.listeners, ...other.listeners],
      routes: [...one.routes, ...other.routes],
    };
  };
  let [good, refusals] = ["", 0];
  const { client } = aClient(t, [`${bound.host}:${bound.port}`], {
    // Pauses of this clock never end.
    clock: createManualClock(),
    onUpdate(update) {
      if (update.changed !== "routes" || good === "") return { kind: "ok" };
      refusals += 1;
      return { kind: "rejected", message: "port taken", isTransient: true };
    },
  });
  server.setSnapshot(GROUP, both(1));
  await seen(server, (one) => one.ackedSeq === 1);
  good = client.status().versions.routes;
  server.setSnapshot(GROUP, both(2));
  await seen(server, (one) => one.nack !== undefined);
  await serverClock.advance(2_000);
  await until("it is offered and refused again", async () => refusals === 2 || undefined);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 2, [NEW]: 1 }));
  const node = await seen(server, (one) => one.subscribedRoutes.length === 1);
  t.match(node, { acked: { routes: good }, ackedSeq: 1, nack: { kind: "routes", message: "port taken" } });
});
