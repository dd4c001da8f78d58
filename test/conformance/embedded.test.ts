// The API contract on the embedded server: in process, and over sockets with its kubeconfig.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { type ClusterClient, connectCluster, createClusterClient } from "../../src/cluster/client.ts";
import { createEmbeddedServer, type EmbeddedServer } from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { aConfigMap, type Server } from "./scene.ts";
import { runConformance } from "./suite.ts";

/** Above the server's history of changes (HISTORY_CHANGES and its slack). */
const CHANGES = 9_000;

async function startServer(t: Test): Promise<EmbeddedServer> {
  const server = await createEmbeddedServer({ stateDir: ":memory:", clock: systemClock, log: silentLogger });
  t.teardown(() => server.close());
  return server;
}

function underTest(server: EmbeddedServer, client: ClusterClient): Server {
  const inner = createClusterClient(server.transport());
  let count = 0;
  return {
    client,
    acceptsLoopbackEndpoints: true,
    async namespace() {
      count += 1;
      const name = `test-${count}`;
      await inner.create(RESOURCES.namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
      return name;
    },
    async expiredVersion(namespace) {
      const { resourceVersion } = await inner.list(RESOURCES.configMap, { namespace });
      await inner.create(RESOURCES.configMap, aConfigMap(namespace, "busy"));
      for (let change = 0; change < CHANGES; change += 1) {
        const body = { data: { v: String(change) } };
        await inner.patch(RESOURCES.configMap, { namespace, name: "busy" }, { type: "merge", body });
      }
      return resourceVersion;
    },
  };
}

test("embedded server in process", async (t) => {
  const server = await startServer(t);
  const alive = setInterval(() => undefined, 1000); // nothing else here keeps the process alive while it waits for a timer
  t.teardown(() => clearInterval(alive));
  await runConformance(t, underTest(server, createClusterClient(server.transport())));
});

test("embedded server over sockets", async (t) => {
  const server = await startServer(t);
  const folder = await mkdtemp(join(tmpdir(), "weir-conformance-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const kubeconfig = join(folder, "kubeconfig");
  server.writeKubeconfig(kubeconfig, await server.listen({ port: 0 }));
  const connection = await connectCluster({ kubeconfig, env: {} });
  t.teardown(() => connection.close());
  await runConformance(t, underTest(server, connection.client));
});
