// Server and client over real gRPC through a random history: at no moment does the proxy hold a route to a cluster without endpoints.
import fc from "fast-check";
import { test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createXdsClient, type XdsUpdate } from "../../src/xds/client.ts";
import { createXdsServer, type XdsServer } from "../../src/xds/server.ts";
import { clustersOf } from "../../src/xds/snapshot.ts";
import { create, NodeSchema } from "../../src/xds/types.ts";
import { aSnapshot } from "../support/xds.ts";

const GROUP = "gateway/default/web";
const weights = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.integer({ min: 1, max: 9 }), {
  minKeys: 1,
});
const history = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: weights.map((chosen) => ({ kind: "publish" as const, weights: chosen })) },
    { weight: 1, arbitrary: fc.constant({ kind: "cut" as const }) },
    { weight: 2, arbitrary: fc.constant({ kind: "wait" as const }) },
  ),
  { minLength: 10, maxLength: 25 },
);

function settled(server: XdsServer, seq: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (!server.nodes(GROUP).some((node) => node.connected && node.ackedSeq >= seq)) return;
      stop();
      clearTimeout(timer);
      resolve();
    };
    const stop = server.onChange(look);
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`not settled: ${JSON.stringify(server.nodes(GROUP))}`));
    }, 10_000);
    look();
  });
}

function danglingIn(update: XdsUpdate): readonly string[] {
  const held = new Set(update.endpoints.map((one) => one.clusterName));
  const known = new Set(update.clusters.map((one) => one.name));
  return update.routes.flatMap(clustersOf).filter((name) => !held.has(name) || !known.has(name));
}

test("history: over gRPC, too, no update holds a route to a cluster without endpoints", {
  timeout: 90_000,
}, async (t) => {
  for (const [run, steps] of fc.sample(history, { numRuns: 12, seed: 20261122 }).entries()) {
    const server = createXdsServer({ clock: systemClock, log: silentLogger });
    const { port } = await server.listen({ port: 0 });
    const dangling: string[] = [];
    const client = createXdsClient({
      addresses: [`127.0.0.1:${port}`],
      node: create(NodeSchema, { id: "default/p1", cluster: GROUP }),
      clock: systemClock,
      log: silentLogger,
      onUpdate(update) {
        dangling.push(...danglingIn(update));
        return { kind: "ok" };
      },
    });
    let seq = server.setSnapshot(GROUP, aSnapshot({ a: 1 }));
    client.start();
    for (const step of steps) {
      if (step.kind === "publish") seq = server.setSnapshot(GROUP, aSnapshot(step.weights));
      else if (step.kind === "wait") await settled(server, seq);
      else {
        server.setServing(false);
        server.setServing(true);
      }
    }
    await settled(server, seq);
    t.strictSame(dangling, [], `history ${run} of ${steps.length} steps`);
    t.strictSame(server.nodes(GROUP)[0]?.acked.routes, server.publication(GROUP)?.versions.routes);
    client.close();
    await server.close();
  }
});
