// A stock Envoy as the data plane: it follows weights that this server publishes, measured at the backends, without a failed request;
// it acknowledges, rejects and reports load by the same rules as weir's own proxy.

import { once } from "node:events";
import { Agent, createServer, get } from "node:http";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { controlPlaneOf, readBootstrap } from "../../src/xds/client.ts";
import { createXdsServer, type LoadReport, type NodeView, type XdsServer } from "../../src/xds/server.ts";
import type { XdsSnapshot } from "../../src/xds/types.ts";
import { requireEnvoy, startEnvoy } from "../support/envoy.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/web.ts";
import { adsBootstrap, aSnapshot, nodeSeen } from "../support/xds.ts";

const GROUP = "gateway/default/web";
const LISTENER = "default/web:8000";
const NODE = "default/web-7f9c";
const STABLE = "default/shop:80/5c9f7b6d8";
const CANARY = "default/shop:80/68d4cc9f7";

interface Backend {
  readonly port: number;
  requests: number;
}

async function aBackend(t: Test): Promise<Backend> {
  const server = createServer((_request, response) => {
    backend.requests += 1;
    response.end("ok");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const bound = server.address();
  const backend: Backend = { port: typeof bound === "object" ? (bound?.port ?? 0) : 0, requests: 0 };
  return backend;
}

const inForce = (server: XdsServer, holds: (node: NodeView) => boolean): Promise<NodeView> =>
  nodeSeen(server, { group: GROUP, id: NODE }, holds);

/** Status codes of `count` requests, eight at a time. */
async function load(port: number, agent: Agent, count: number): Promise<Map<number, number>> {
  const codes = new Map<number, number>();
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (code: number): void => {
        codes.set(code, (codes.get(code) ?? 0) + 1);
        resolve();
      };
      get({ port, host: "127.0.0.1", agent, path: "/" }, (response) => {
        response.resume();
        response.once("end", () => done(response.statusCode ?? 0));
      }).once("error", () => done(0));
    });
  const lane = async (share: number): Promise<void> => {
    for (let sent = 0; sent < share; sent += 1) await one();
  };
  await Promise.all(Array.from({ length: 8 }, () => lane(count / 8)));
  return codes;
}

test("envoy: follows the weights of a canary without a failed request", { timeout: 120_000 }, async (t) => {
  const program = await requireEnvoy(t);
  if (program === undefined) return;
  const [stable, canary] = [await aBackend(t), await aBackend(t)];
  const port = await freePort();
  const server = createXdsServer({ clock: systemClock, log: silentLogger });
  t.teardown(() => server.close());
  const { port: xdsPort } = await server.listen({ port: 0 });
  const endpoints = [{ address: "127.0.0.1", port: xdsPort }];
  const bootstrap = adsBootstrap({ id: NODE, group: GROUP, endpoints });
  const { addresses, clusters } = controlPlaneOf(await readBootstrap(bootstrap, "bootstrap.yaml")) ?? {};
  t.strictSame([addresses, clusters], [[`127.0.0.1:${xdsPort}`], ["weir"]]);
  const reports: LoadReport[] = [];
  server.onLoadReport((report) => void reports.push(report));
  const reportedOnCanary = (): number =>
    reports
      .flatMap((report) => report.clusters)
      .filter(({ cluster }) => cluster === CANARY)
      .reduce((sum, { delta }) => sum + delta.issued, 0);

  const snapshot = (weights: Readonly<Record<string, number>>): XdsSnapshot =>
    aSnapshot(weights, {
      listener: LISTENER,
      port,
      ports: { [STABLE]: [stable.port], [CANARY]: [canary.port] },
    });
  const publish = async (weights: Readonly<Record<string, number>>): Promise<void> => {
    const seq = server.setSnapshot(GROUP, snapshot(weights));
    await inForce(server, (node) => node.ackedSeq >= seq);
  };
  await startEnvoy(t, program, bootstrap);
  await publish({ [STABLE]: 100 });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => agent.destroy());
  const measure = async (count: number): Promise<number> => {
    const [before, beforeCanary] = [stable.requests, canary.requests];
    t.strictSame([...(await load(port, agent, count))], [[200, count]]);
    const share =
      (canary.requests - beforeCanary) / (canary.requests - beforeCanary + stable.requests - before);
    return Math.round(share * 1000) / 10;
  };

  t.equal(await measure(400), 0, "all on stable");
  const steps = [
    { [STABLE]: 90, [CANARY]: 10 },
    { [STABLE]: 50, [CANARY]: 50 },
    { [STABLE]: 0, [CANARY]: 100 },
  ];
  for (const weights of steps) {
    // Load runs while the change happens, too.
    const [codes] = await Promise.all([load(port, agent, 400), publish(weights)]);
    t.strictSame([...codes], [[200, 400]], "no request fails during the change");
    const wanted = weights[CANARY] ?? 0;
    const share = await measure(1600);
    const bound = 4 * Math.sqrt((wanted * (100 - wanted)) / 1600);
    t.ok(Math.abs(share - wanted) <= bound, `${share} % of ${wanted} %, within ${bound.toFixed(1)}`);
  }
  const [codes] = await Promise.all([load(port, agent, 400), publish({ [CANARY]: 100 })]);
  t.strictSame([...codes], [[200, 400]], "nor when the old cluster goes");
  t.equal(await measure(400), 100, "all on the canary");

  const goodSeq = server.publication(GROUP)?.seq;
  const bad = snapshot({ [CANARY]: 100 });
  bad.routes[0]?.virtualHosts.push(...structuredClone(bad.routes[0].virtualHosts));
  server.setSnapshot(GROUP, bad);
  const rejected = await inForce(server, (node) => node.nack !== undefined);
  t.match(rejected, { ackedSeq: goodSeq, nack: { kind: "routes", message: /wildcard/ } });
  t.equal(await measure(80), 100, "it serves on with what it had");
  // Envoy reports once a second; of a cluster that is new it leaves out what came before its first period, of one that goes what it
  // has not reported yet.
  await until("load reports that count the canary's requests", async () =>
    reportedOnCanary() > 1000 ? true : undefined,
  );
  t.ok(reportedOnCanary() <= canary.requests, `${reportedOnCanary()} of ${canary.requests} reported`);
  await publish({ [STABLE]: 100 });
  t.equal(await measure(80), 0, "and takes what is good again");
  const told = server.nodes(GROUP)[0];
  t.match(told, { userAgent: /^envoy/, connected: true, nack: undefined });
});
