// Metadata of a version's role and the scale subresource, on the embedded server with pods that run.
import { test } from "tap";
import { connectCluster } from "../../src/cluster/client.ts";
import { until } from "../crash/bed.ts";
import { requireKubectl } from "../support/kubectl.ts";
import { tellRoles } from "../support/roles.ts";
import { run, startUp, stateFolder } from "../support/up.ts";

const WAIT_MS = 45_000;

test("roles: metadata reaches living pods and moves with the role, and kubectl scale keeps the split", {
  timeout: 150_000,
}, async (t) => {
  const kubectl = await requireKubectl(t);
  if (kubectl === undefined) return;
  const up = await startUp(await stateFolder(t));
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  await tellRoles(t, {
    client,
    namespace: "default",
    async apply(object) {
      const { code, stderr } = await up.weir(["apply", "-f", "-"], JSON.stringify(object));
      t.equal(code, 0, stderr);
    },
    async kubectl(...args) {
      const { code, stdout, stderr } = await run([kubectl, "--kubeconfig", up.kubeconfig, ...args]);
      t.equal(code, 0, stderr);
      return stdout;
    },
    poll: (claim, ask) =>
      until(claim, WAIT_MS, async () => {
        const found = await ask();
        return found === false ? undefined : found;
      }),
  });
});
