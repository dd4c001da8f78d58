// The test bed itself: what tests of other rooms rely on.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { test } from "tap";
import { RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS, connectCluster } from "../../src/cluster/client.ts";
import { isWeirError } from "../../src/lib/errors.ts";
import { startTestBed } from "../support/testbed.ts";

const run = promisify(execFile);

test("test bed: in a network namespace pods' addresses are local, and the test reaches them by a forward", async (t) => {
  const bed = await startTestBed(t, { isInNamespace: true, hasGatewayApi: true });
  if (bed?.netns === undefined) return;
  const { netns, client } = bed;
  t.ok((await readdir("/run/netns")).includes(netns.name));
  const script = `require("http").createServer((q, a) => a.end("from a pod")).listen(8080, "10.244.3.7", () => console.log("up"))`;
  const [command = "", ...args] = netns.inside([process.execPath, "-e", script]);
  const pod = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => pod.kill());
  await once(pod.stdout, "data");
  const port = await netns.forward("10.244.3.7", 8080);
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
  t.equal(await answer.text(), "from a pod");
  const [kubectl = "", ...words] = netns.inside(["cat", bed.innerKubeconfig]);
  t.match((await run(kubectl, words)).stdout, /"server": "https:\/\/127\.0\.0\.1:/);
  const namespace = await bed.namespace();
  const gateway = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "web", namespace },
    spec: { gatewayClassName: "weir", listeners: [{ name: "http", port: 8000, protocol: "HTTP" }] },
  };
  t.match(await client.create(RESOURCES.gateway, gateway), { metadata: { generation: 1 } });
});

test("test bed: the user without rights is refused, the administrator is not", async (t) => {
  const bed = await startTestBed(t, { hasCrds: false });
  if (bed === undefined) return;
  const powerless = await connectCluster({ kubeconfig: bed.powerlessKubeconfig, env: {} });
  t.teardown(() => powerless.close());
  const namespace = await bed.namespace();
  await t.rejects(powerless.client.list(RESOURCES.secret, { namespace }), {
    code: CLUSTER_ERRORS.forbidden,
    message: /User "nobody" cannot list resource "secrets"/,
    context: { httpStatus: 403 },
  });
  t.strictSame((await bed.client.list(RESOURCES.secret, { namespace })).items, []);
  await bed.killApiServer();
  const gone = await bed.client.list(RESOURCES.secret, { namespace }).catch((error: unknown) => error);
  t.ok(isWeirError(gone, CLUSTER_ERRORS.unavailable));
  await bed.startApiServer();
  t.strictSame((await bed.client.list(RESOURCES.secret, { namespace })).items, []);
});
