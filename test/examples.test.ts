// The commands of the examples' documents work as typed and print what is shown; every folder of examples is run by somebody; the quick
// start's load generator counts as it says.
import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { test } from "tap";
import { freePort } from "./support/ports.ts";
import { requireTool } from "./support/require.ts";
import { createScene, startBackground, walk } from "./support/typed.ts";
import { missingLines, readBlocks } from "./support/walkthrough.ts";

const EXAMPLES = [
  "deploy/examples/canary-replicas/README.md",
  "deploy/examples/background-analysis/README.md",
  "deploy/examples/ab-test/README.md",
  "deploy/examples/blue-green/README.md",
];
/** Run by test/examples-life.test.ts, beside these: together they would take more than one file may. */
const LIFE = [
  "deploy/examples/experiment/README.md",
  "deploy/examples/rollback/README.md",
  "deploy/examples/workload-ref/README.md",
];
/** Run by test/examples-beyond.test.ts, beside these: each waits for back-offs and intervals. */
const BEYOND_ARGO = [
  "deploy/examples/gradual-abort/README.md",
  "deploy/examples/crash-loop/README.md",
  "deploy/examples/webhook-gate/README.md",
];

test("examples: their commands work as typed and print what is shown", { timeout: 170_000 }, async (t) => {
  if ((await requireTool(t, "curl")) === undefined) return;
  const scene = await createScene(t);
  // What deploy/examples/README.md asks for.
  await startBackground(scene, "npm run -s weir -- up", "ready");
  scene.exports = "export KUBECONFIG=~/.local/state/weir/kubeconfig\n";
  for (const document of EXAMPLES)
    await t.test(document, { timeout: 90_000 }, (t) => walk(t, scene, document));
});

test("examples: every folder of examples is run", async (t) => {
  const folders = (await readdir("deploy/examples", { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const texts = await Promise.all(
    ["README.md", ...EXAMPLES, ...LIFE, ...BEYOND_ARGO].map((document) => readFile(document, "utf8")),
  );
  const run = texts.flatMap((text) => readBlocks(text)).map(({ script }) => script);
  // The quick start has a test of its own, test/e2e/quickstart.test.ts.
  const missed = folders.filter(
    (name) => name !== "quickstart" && !run.some((script) => script.includes(`deploy/examples/${name}/`)),
  );
  t.strictSame(missed, []);
});

test("walkthrough: says which promised lines are missing, whatever ages and pod names are", (t) => {
  const output = "a  ✔ Running  17s\n└──□ shop-95b5dfb8b-k8sxd  Pod  1m5s\nlast: 2 of 2";
  const promised = ["a ✔ Running 3s", "└──□ shop-95b5dfb8b-5t4jb Pod 9s"];
  t.strictSame(missingLines([...promised, "last: 2 of 2"], output), []);
  t.strictSame(missingLines([...promised, "last: 1 of 2"], output), ["last: 1 of 2"]);
  t.strictSame(missingLines(["last: 2 of 2", "a ✔ Running 3s"], output), ["a ✔ Running 3s"], "order counts");
  t.strictSame(missingLines(["└──□ shop-95b5dfb8c-5t4jb Pod 9s"], output).length, 1, "hashes count");
  t.throws(() => readBlocks("```bash\nls\n```\n"), /line 1: a bash block has to say/);
  t.end();
});

test("quick start load: a slow answer counts in the second in which it comes", {
  timeout: 30_000,
}, async (t) => {
  const folder = "deploy/examples/quickstart";
  const port = await freePort();
  // Every answer takes between 1.2 and 3.6 seconds, so that none comes within the second of its request.
  const env = {
    ...process.env,
    PORT: String(port),
    POD_IP: "127.0.0.1",
    VERSION: "slow",
    LATENCY_MS: "2400",
  };
  const app = spawn(process.execPath, [`${folder}/app.ts`], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => app.kill("SIGKILL"));
  await new Promise((resolve) => app.stdout.once("data", resolve));
  const args = [`${folder}/load.ts`, "--targets", `http://127.0.0.1:${port}`, "--rate", "50"];
  const load = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  t.teardown(() => load.kill("SIGKILL"));
  for await (const line of createInterface({ input: load.stdout })) {
    const { second } = JSON.parse(line) as { second?: { answers: number; versions: object } }; // the generator's own format
    if (second === undefined || second.answers === 0) continue;
    t.strictSame(Object.keys(second.versions), ["slow"]);
    return;
  }
  t.fail("no second counted an answer");
});
