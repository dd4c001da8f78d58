// The examples of what weir does beyond Argo: their commands work as typed and print what is shown.
import { test } from "tap";
import { requireTool } from "./support/require.ts";
import { createScene, startBackground, walk } from "./support/typed.ts";

test("examples beyond Argo: their commands work as typed", { timeout: 230_000 }, async (t) => {
  if ((await requireTool(t, "curl")) === undefined) return;
  const scene = await createScene(t);
  await startBackground(scene, "npm run -s weir -- up", "ready");
  scene.exports = "export KUBECONFIG=~/.local/state/weir/kubeconfig\n";
  for (const name of ["gradual-abort", "crash-loop", "webhook-gate"])
    await t.test(name, { timeout: 120_000 }, (t) => walk(t, scene, `deploy/examples/${name}/README.md`));
});
