// What a user asks of a Rollout that has nothing to do, and the ways to name it.
import { test } from "tap";
import { stringify } from "yaml";
import { rolloutManifest } from "../../src/simulate/manifest.ts";
import { startUp, stateFolder } from "../support/up.ts";

test("a Rollout that is through: is neither aborted nor promoted, and is explained by either name", async (t) => {
  const up = await startUp(await stateFolder(t));
  const manifest = rolloutManifest({ replicas: 0, steps: [{ setWeight: 20 }] });
  const { namespace = "default" } = manifest.metadata;
  const weir = (...args: readonly string[]) => up.weir([...args, "-n", namespace]);
  t.equal((await up.weir(["apply", "-f", "-"], stringify(manifest))).code, 0);
  t.match(await weir("status", "web"), { code: 0, stdout: /Healthy/ });
  t.match(await weir("abort", "web"), {
    code: 1,
    stderr: /nothing to abort: rollout 'web' is not in the middle of an update/,
  });
  t.match(await weir("promote", "web"), {
    code: 0,
    stdout: /nothing to promote: rollout 'web' is not in the middle of an update/,
  });
  t.match(await weir("status", "web", "--no-watch"), { code: 0, stdout: /Healthy/ });
  const { stdout } = await weir("explain", "rollout", "web");
  t.match(stdout, /web/);
  t.equal((await weir("explain", "web")).stdout.split("\n")[0], stdout.split("\n")[0]);
  t.match(await weir("explain", "service", "web"), { code: 2, stderr: /weir explain rollout web/ });
});
