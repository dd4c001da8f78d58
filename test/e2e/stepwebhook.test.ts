// A step plugin on the embedded server: a gate that is asked again, a step that fails, and what is undone after it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "tap";
import { RESOURCES, readRollout } from "../../src/api/api.ts";
import { connectCluster } from "../../src/cluster/client.ts";
import { until } from "../crash/bed.ts";
import { startUp, stateFolder } from "../support/up.ts";

const WAIT_MS = 40_000;

/** What the plugin sends, as far as this test looks at it. */
interface Question {
  readonly id: string;
  readonly operation: string;
  readonly execution: number;
  readonly step: number;
  readonly status?: unknown;
}

function manifest(tag: string, url: string): string {
  const plugin = `{ name: weir.dev/webhook, config: { url: "${url}", timeout: 5s } }`;
  return `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: gated, namespace: default }
spec:
  replicas: 2
  selector: { matchLabels: { app: gated } }
  template:
    metadata: { labels: { app: gated } }
    spec:
      containers:
        - { name: gated, image: "argoproj/rollouts-demo:${tag}", ports: [{ containerPort: 8080 }] }
  strategy:
    canary:
      steps: [{ plugin: ${plugin} }, { setWeight: 50 }, { plugin: ${plugin} }]
`;
}

test("step webhook: gates a step, fails another, and is told to undo the first", {
  timeout: 110_000,
}, async (t) => {
  const asked: Question[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const question = JSON.parse(body) as Question; // weir's own format
      asked.push(question);
      const { operation, execution, step } = question;
      const isWaiting = operation === "Run" && step === 1 && execution === 1;
      const phase = isWaiting ? "Running" : operation === "Run" && step === 3 ? "Failed" : "Successful";
      const message = phase === "Failed" ? "the error budget is spent" : phase;
      response.end(JSON.stringify({ phase, message, status: { ticket: step }, retryAfter: "11s" }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`; // listens on TCP

  const up = await startUp(await stateFolder(t));
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const status = async () => {
    const object = await client.get(RESOURCES.rollout, { namespace: "default", name: "gated" });
    return object === undefined ? undefined : readRollout(object).value.status;
  };
  t.match(await up.weir(["apply", "-f", "-"], manifest("blue", url)), { code: 0 });
  t.match(await up.weir(["status", "gated", "--timeout", "40s"]), { code: 0 });
  t.strictSame(asked, [], "the first version runs no steps");
  t.match(await up.weir(["apply", "-f", "-"], manifest("green", url)), { code: 0 });

  await until("the gate is asked, and its words are shown", WAIT_MS, async () => {
    const { stdout } = await up.weir(["explain", "gated"]);
    return stdout.includes("step plugin weir.dev/webhook is Running: Running") ? stdout : undefined;
  });
  const last = await until(
    "the failed step has aborted the update, and the first is undone",
    WAIT_MS,
    async () => {
      const now = await status();
      const isUndone =
        now?.canary?.stepPluginStatuses?.some(({ operation }) => operation === "Abort") === true;
      return now?.phase === "Degraded" && isUndone ? now : undefined;
    },
  );
  const words = "Step Plugin 3 (weir.dev/webhook) failed: the error budget is spent";
  t.match(last.message, words);
  t.strictSame(
    asked.map(({ operation, step, execution, status: kept }) => [operation, step, execution, kept]),
    [
      ["Run", 1, 1, undefined],
      ["Run", 1, 2, { ticket: 1 }],
      ["Run", 3, 1, undefined],
      ["Abort", 1, 1, { ticket: 1 }],
    ],
  );
  t.equal(new Set(asked.map(({ id }) => id)).size, 4, "each call has an id of its own");
  t.match(last.canary?.stepPluginStatuses, [
    { index: 0, operation: "Run", phase: "Successful", executions: 2 },
    { index: 2, operation: "Run", phase: "Failed", executions: 1 },
    { index: 0, operation: "Abort", phase: "Successful" },
  ]);
});
