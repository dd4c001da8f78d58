// The ADS server over real gRPC, against a client that says exactly what a test wants.
import { status } from "@grpc/grpc-js";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { isWeirError } from "../../src/lib/errors.ts";
import { silentLogger } from "../../src/lib/log.ts";
import {
  createXdsServer,
  type NodeView,
  SNAPSHOT_INCONSISTENT,
  type XdsServer,
  type XdsServerOptions,
} from "../../src/xds/server.ts";
import { aRoute, aSnapshot, type BareClient, bareClient, type Heard } from "../support/xds.ts";

const GROUP = "gateway/default/web";
const ROUTE = "default/web:8000";
const OLD = "default/shop:80/aaa";
const NEW = "default/shop:80/bbb";

interface Bed {
  readonly server: XdsServer;
  readonly address: string;
  connect(id: string): BareClient;
}

async function aServer(t: Test, options: Partial<XdsServerOptions> = {}): Promise<Bed> {
  const server = createXdsServer({ clock: systemClock, log: silentLogger, ...options });
  const { host, port } = await server.listen({ port: 0 });
  t.teardown(() => server.close());
  const address = `${host}:${port}`;
  return {
    server,
    address,
    connect(id) {
      const client = bareClient(address, id, GROUP);
      t.teardown(() => client.close());
      return client;
    },
  };
}

/** Resolves once the node's view satisfies `holds`; fails the test after 5 s. */
function seen(server: XdsServer, id: string, holds: (node: NodeView) => boolean): Promise<NodeView> {
  return new Promise((resolve, reject) => {
    const look = (): boolean => {
      const node = server.nodes(GROUP).find((one) => one.id === id);
      if (node === undefined || !holds(node)) return false;
      stop();
      clearTimeout(timer);
      resolve(node);
      return true;
    };
    const stop = server.onChange(look);
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`not seen: ${JSON.stringify(server.nodes(GROUP))}`));
    }, 5_000);
    look();
  });
}

async function expect(
  t: Test,
  client: BareClient,
  kind: Heard["kind"],
  names: readonly string[],
): Promise<Heard> {
  const heard = await client.next();
  t.strictSame([heard.kind, [...heard.names].sort()], [kind, [...names].sort()]);
  return heard;
}

/** Takes everything there is, as Envoy does, and acknowledges it. */
async function takeAll(t: Test, client: BareClient, clusters: readonly string[]): Promise<void> {
  client.ask("clusters");
  client.ack(await expect(t, client, "clusters", clusters));
  client.ask("endpoints", clusters);
  client.ack(await expect(t, client, "endpoints", clusters), clusters);
  client.ask("listeners");
  client.ack(await expect(t, client, "listeners", [ROUTE]));
  client.ask("routes", [ROUTE]);
  client.ack(await expect(t, client, "routes", [ROUTE]), [ROUTE]);
}

test("ads: a node that has acknowledged everything has the publication in force", async (t) => {
  const { server, connect } = await aServer(t);
  t.equal(server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 })), 1);
  const client = connect("default/p1");
  await takeAll(t, client, [OLD]);
  const node = await seen(server, "default/p1", (one) => one.ackedSeq === 1);
  t.match(node, { connected: true, group: GROUP, subscribedRoutes: [ROUTE] });
  t.strictSame(node.acked, { ...server.publication(GROUP)?.versions });
  t.equal(server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 })), 1, "the same content is no new publication");
  t.strictSame(client.waiting, []);
});

test("ads: new clusters come before the routes that name them, old ones go after", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const client = connect("default/p1");
  await takeAll(t, client, [OLD]);
  await seen(server, "default/p1", (node) => node.ackedSeq === 1);
  server.setSnapshot(GROUP, aSnapshot({ [NEW]: 100 }));
  const added = await expect(t, client, "clusters", [OLD, NEW]);
  t.strictSame(client.waiting, [], "nothing else before the clusters are acknowledged");
  client.ack(added);
  client.ask("endpoints", [OLD, NEW]);
  const endpoints = await expect(t, client, "endpoints", [NEW]);
  t.equal(server.nodes(GROUP)[0]?.ackedSeq, 1);
  client.ack(endpoints, [OLD, NEW]);
  const routes = await expect(t, client, "routes", [ROUTE]);
  t.equal(server.nodes(GROUP)[0]?.ackedSeq, 1, "sent is not in force");
  client.ack(routes, [ROUTE]);
  const removal = await expect(t, client, "clusters", [NEW]);
  t.equal(server.nodes(GROUP)[0]?.ackedSeq, 2);
  client.ack(removal);
  await seen(
    server,
    "default/p1",
    (node) => node.acked.clusters === server.publication(GROUP)?.versions.clusters,
  );
});

test("ads: weights alone change the routes alone, and changes coalesce while an answer is outstanding", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100, [NEW]: 0 }));
  const client = connect("default/p1");
  await takeAll(t, client, [OLD, NEW]);
  await seen(server, "default/p1", (node) => node.ackedSeq === 1);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 95, [NEW]: 5 }));
  const first = await expect(t, client, "routes", [ROUTE]);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 90, [NEW]: 10 }));
  const last = server.setSnapshot(GROUP, aSnapshot({ [OLD]: 80, [NEW]: 20 }));
  client.ack(first, [ROUTE]);
  const second = await expect(t, client, "routes", [ROUTE]);
  t.equal(second.version, server.publication(GROUP)?.versions.routes, "the newest, not the one between");
  client.ack(second, [ROUTE]);
  await seen(server, "default/p1", (node) => node.ackedSeq === last);
});

test("ads: one node's rejection holds that node alone, and is not answered with the same content again", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100, [NEW]: 0 }));
  const [good, bad] = [connect("default/good"), connect("default/bad")];
  await takeAll(t, good, [OLD, NEW]);
  await takeAll(t, bad, [OLD, NEW]);
  await seen(server, "default/good", (one) => one.ackedSeq === 1);
  await seen(server, "default/bad", (one) => one.ackedSeq === 1);
  const before = server.publication(GROUP)?.versions.routes ?? "";
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 50, [NEW]: 50 }));
  good.ack(await expect(t, good, "routes", [ROUTE]), [ROUTE]);
  bad.nack(await expect(t, bad, "routes", [ROUTE]), "no such luck", { names: [ROUTE], lastGood: before });
  const node = await seen(server, "default/bad", (one) => one.nack !== undefined);
  t.match(node, {
    ackedSeq: 1,
    nack: { kind: "routes", message: "no such luck" },
    acked: { routes: before },
  });
  await seen(server, "default/good", (one) => one.ackedSeq === 2);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 50, [NEW]: 50 }));
  t.strictSame(bad.waiting, [], "what was rejected is not sent again");
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 60, [NEW]: 40 }));
  bad.ack(await expect(t, bad, "routes", [ROUTE]), [ROUTE]);
  const healed = await seen(server, "default/bad", (one) => one.ackedSeq === 3);
  t.equal(healed.nack, undefined);
});

test("ads: an answer to an older response is ignored", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const client = connect("default/p1");
  await takeAll(t, client, [OLD]);
  await seen(server, "default/p1", (node) => node.ackedSeq === 1);
  server.setSnapshot(GROUP, { ...aSnapshot({ [OLD]: 100 }), routes: [aRoute(ROUTE, { [OLD]: 7 })] });
  const first = await expect(t, client, "routes", [ROUTE]);
  client.ack({ ...first, nonce: "stale" }, [ROUTE]);
  // The server handles requests in order: the answer to a question that follows shows that the stale one had no effect.
  client.ask("endpoints", []);
  client.ask("endpoints", [OLD]);
  await expect(t, client, "endpoints", [OLD]).catch(() => undefined);
  t.equal(server.nodes(GROUP)[0]?.ackedSeq, 1);
  client.ack(first, [ROUTE]);
});

test("ads: a node that comes back with the present versions counts as acknowledged, without a push", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const versions = server.publication(GROUP)?.versions;
  const client = connect("default/p1");
  for (const kind of ["clusters", "listeners"] as const) client.ask(kind, [], versions?.[kind]);
  client.ask("endpoints", [OLD], versions?.endpoints);
  client.ask("routes", [ROUTE], versions?.routes);
  await seen(server, "default/p1", (node) => node.ackedSeq === 1);
  t.strictSame(client.waiting, []);
  server.setSnapshot(GROUP, { ...aSnapshot({ [OLD]: 100 }), routes: [aRoute(ROUTE, { [OLD]: 7 })] });
  await expect(t, client, "routes", [ROUTE]);
});

test("ads: a node that comes back with what it had before keeps its clusters until its routes are new", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const first = connect("default/p1");
  await takeAll(t, first, [OLD]);
  const node = await seen(server, "default/p1", (one) => one.ackedSeq === 1);
  first.close();
  await seen(server, "default/p1", (one) => !one.connected);
  server.setSnapshot(GROUP, aSnapshot({ [NEW]: 100 }));
  const again = connect("default/p1");
  again.ask("clusters", [], node.acked.clusters);
  again.ask("endpoints", [OLD], node.acked.endpoints);
  again.ask("listeners", [], node.acked.listeners);
  again.ask("routes", [ROUTE], node.acked.routes);
  again.ack(await expect(t, again, "clusters", [OLD, NEW]));
  again.ask("endpoints", [OLD, NEW]);
  again.ack(await expect(t, again, "endpoints", [NEW]), [OLD, NEW]);
  again.ack(await expect(t, again, "routes", [ROUTE]), [ROUTE]);
  again.ack(await expect(t, again, "clusters", [NEW]));
  await seen(server, "default/p1", (one) => one.connected && one.ackedSeq === 2);
});

test("ads: a client that names its resources gets those, and more when it asks for more", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 50, [NEW]: 50 }));
  const client = connect("grpc");
  client.ask("listeners", [ROUTE]);
  client.ack(await expect(t, client, "listeners", [ROUTE]), [ROUTE]);
  client.ask("routes", [ROUTE]);
  client.ack(await expect(t, client, "routes", [ROUTE]), [ROUTE]);
  client.ask("clusters", [OLD]);
  const one = await expect(t, client, "clusters", [OLD]);
  client.ack(one, [OLD]);
  client.send({
    typeUrl: one.response.typeUrl,
    versionInfo: one.version,
    responseNonce: one.nonce,
    resourceNames: [OLD, NEW],
  });
  await expect(t, client, "clusters", [OLD, NEW]);
});

test("ads: an unchanged assignment is repeated after its cluster changed", async (t) => {
  const { server, connect } = await aServer(t);
  const snapshot = aSnapshot({ [OLD]: 100 });
  server.setSnapshot(GROUP, snapshot);
  const client = connect("default/p1");
  await takeAll(t, client, [OLD]);
  await seen(server, "default/p1", (node) => node.ackedSeq === 1);
  const changed = structuredClone(snapshot);
  const [cluster] = changed.clusters;
  if (cluster !== undefined) cluster.altStatName = "other";
  server.setSnapshot(GROUP, changed);
  client.ack(await expect(t, client, "clusters", [OLD]));
  client.ack(await expect(t, client, "endpoints", [OLD]), [OLD]);
  await seen(server, "default/p1", (node) => node.ackedSeq === 2);
});

test("ads: nothing is sent before something was published for the group", async (t) => {
  const { server, connect } = await aServer(t);
  const client = connect("default/p1");
  client.ask("clusters");
  client.ask("listeners");
  await seen(server, "default/p1", (node) => node.connected);
  t.strictSame(client.waiting, []);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  await expect(t, client, "clusters", [OLD]);
});

test("ads: a server that does not serve ends streams with UNAVAILABLE, and takes them when it serves again", async (t) => {
  const { server, connect } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const client = connect("default/p1");
  client.ask("clusters");
  await client.next();
  server.setServing(false);
  t.match(await client.ended, { code: status.UNAVAILABLE, details: "not the leader" });
  const refused = connect("default/p2");
  t.match(await refused.ended, { code: status.UNAVAILABLE, details: "not the leader" });
  t.match(server.nodes(GROUP), [{ id: "default/p1", connected: false }]);
  server.setServing(true);
  const taken = connect("default/p3");
  taken.ask("clusters");
  await expect(t, taken, "clusters", [OLD]);
});

test("ads: a stream that does not say who asks is refused", async (t) => {
  const { connect } = await aServer(t);
  const client = connect("");
  client.ask("clusters");
  t.match(await client.ended, { code: status.INVALID_ARGUMENT, details: /node\.id/ });
});

test("ads: streams are bounded", async (t) => {
  const { connect, server } = await aServer(t, { maxStreams: 1 });
  const client = connect("default/p1");
  client.ask("clusters");
  await seen(server, "default/p1", (node) => node.connected);
  t.match(await connect("default/p2").ended, { code: status.RESOURCE_EXHAUSTED });
});

test("ads: an inconsistent snapshot is refused by name and leaves the old one in force", async (t) => {
  const { server } = await aServer(t);
  server.setSnapshot(GROUP, aSnapshot({ [OLD]: 100 }));
  const broken = { ...aSnapshot({ [OLD]: 100 }), clusters: [], listeners: [] };
  try {
    server.setSnapshot(GROUP, broken);
    t.fail("it was taken");
  } catch (error) {
    t.ok(isWeirError(error, SNAPSHOT_INCONSISTENT));
    t.match(String(error), `route configuration ${ROUTE} names cluster ${OLD}, which is not there`);
    t.match(String(error), `load assignment ${OLD} has no cluster`);
    t.match(String(error), `route configuration ${ROUTE} has no listener`);
  }
  t.equal(server.publication(GROUP)?.seq, 1);
});

test("ads: a taken port is named", async (t) => {
  const { address } = await aServer(t);
  const other = createXdsServer({ clock: systemClock, log: silentLogger });
  t.teardown(() => other.close());
  await t.rejects(other.listen({ port: Number(address.split(":")[1]) }), {
    code: "WEIR_ERR_XDS_LISTEN",
    message: address,
  });
});
