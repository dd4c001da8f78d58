// The examples of what a Rollout's versions live through, and of Experiments: their commands work as typed and print what is shown.
import { test } from "tap";
import { requireTool } from "./support/require.ts";
import { createScene, startBackground, walk } from "./support/typed.ts";

test("examples of a Rollout's life: their commands work as typed", { timeout: 170_000 }, async (t) => {
  if ((await requireTool(t, "curl")) === undefined) return;
  const scene = await createScene(t);
  await startBackground(scene, "npm run -s weir -- up", "ready");
  scene.exports = "export KUBECONFIG=~/.local/state/weir/kubeconfig\n";
  for (const name of ["experiment", "rollback", "workload-ref"])
    await t.test(name, { timeout: 90_000 }, (t) => walk(t, scene, `deploy/examples/${name}/README.md`));
});
