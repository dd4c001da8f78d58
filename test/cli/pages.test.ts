// /metrics, /healthz and /readyz of the control plane's processes.
import { test } from "tap";
import { serveHealth, serveMetrics } from "../../src/cli/pages.ts";
import { createMetrics, HTTP_LISTEN_FAILED } from "../../src/controller/controller.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { startUp, stateFolder } from "../support/up.ts";

const common = { host: "127.0.0.1", log: silentLogger };

test("pages: a taken default moves to the next free port, a port that was asked for is an error", async (t) => {
  const first = await serveMetrics(createMetrics(), common);
  const second = await serveMetrics(createMetrics(), common);
  t.teardown(() => Promise.all([first.close(), second.close()]));
  t.ok(second.port > first.port, `${first.port}, ${second.port}`);
  await t.rejects(serveMetrics(createMetrics(), { ...common, port: first.port }), {
    code: HTTP_LISTEN_FAILED,
  });
});

test("pages: /readyz follows the caches, /healthz does not", async (t) => {
  let isReady = false;
  const server = await serveHealth(() => isReady, { ...common, port: 0 });
  t.teardown(() => server.close());
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${server.port}${path}`)).status;
  t.strictSame([await get("/readyz"), await get("/healthz")], [503, 200]);
  isReady = true;
  t.strictSame([await get("/readyz"), await get("/healthz")], [200, 200]);
});

test("pages: weir up serves its figures and says where", { timeout: 60_000 }, async (t) => {
  const ports = ["--api-port", "0", "--xds-port", "0", "--metrics-port", "0"];
  const up = await startUp(await stateFolder(t), ports);
  const [, url = ""] = /^metrics +(http:\S+)$/m.exec(up.output()) ?? [];
  const response = await fetch(url);
  t.match(response.headers.get("content-type"), "text/plain");
  t.match(await response.text(), /^# TYPE rollout_reconcile histogram$/m);
  t.equal(await up.kill("SIGTERM"), 0);
});
