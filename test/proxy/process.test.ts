// `weir proxy` as a process: how it ends when it is told to, under load and twice.
import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { type ProxyProcess, startProxyProcess, until } from "../support/proxyprocess.ts";
import { bootstrapOf, closedPort, type Json, recordingOrigin, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

async function started(
  t: Test,
  originPort: number,
  args: readonly string[],
  hcm: Readonly<Record<string, Json>> = {},
): Promise<ProxyProcess> {
  const adminPort = await closedPort();
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } };
  const json = Object.assign({}, bootstrapOf({ clusters: { a: [originPort] }, hcm }), { admin });
  const proxy = await startProxyProcess(t, JSON.stringify(json), adminPort, args);
  await until(async () => (await proxy.ready()) === "ready\n", "ready");
  return proxy;
}

for (const workers of [1, 2]) {
  test(`process: told to end under load, ${workers} of it fail no request of a client that looks at /ready`, (t) =>
    drainedUnderLoad(t, workers));
}

async function drainedUnderLoad(t: Test, workers: number): Promise<void> {
  const origin = await recordingOrigin(t, (_seen, response) => setTimeout(() => response.end("ok"), 2));
  const flags = ["--drain-delay", "600ms", "--drain-timeout", "5s", "--workers", String(workers)];
  const proxies = [await started(t, origin.port, flags), await started(t, origin.port, flags)];
  const ports = await Promise.all(proxies.map((proxy) => proxy.listenerPort("main")));
  const usable = [true, true];
  let isOver = false;
  const looking = proxies.map(async (proxy, index) => {
    while (!isOver) {
      usable[index] = (await proxy.ready()) === "ready\n";
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  const failures: string[] = [];
  const served = [0, 0];
  const load = async (first: number): Promise<void> => {
    for (let turn = first; !isOver; turn++) {
      const index = usable[turn % 2] ? turn % 2 : (turn + 1) % 2;
      const { text } = await talk(ports[index] ?? 0, GET, ANSWERED);
      if (/^HTTP\/1\.1 200 [\s\S]*ok/.test(text)) served[index] = (served[index] ?? 0) + 1;
      else failures.push(`${index}: ${text}`);
    }
  };
  const loads = [0, 1, 2, 3].map((first) => load(first));
  await until(() => served.every((count) => count > 50), "load runs");
  proxies[0]?.child.kill("SIGTERM");
  t.equal(await proxies[0]?.ended, 0);
  const before = served[1] ?? 0;
  await until(() => (served[1] ?? 0) > before + 50, "the other one serves on");
  isOver = true;
  await Promise.all([...loads, ...looking]);
  t.strictSame(failures, []);
  t.equal(await proxies[1]?.metric("weir_proxy_internal_errors_total"), 0);
}

test("process: a second SIGTERM ends it at once", async (t) => {
  const origin = await recordingOrigin(t);
  const proxy = await started(t, origin.port, ["--drain-delay", "1h"]);
  const port = await proxy.listenerPort("main");
  proxy.child.kill("SIGTERM");
  const toldMs = performance.now();
  await until(async () => (await proxy.ready()) === "not ready: draining\n", "draining");
  t.match((await talk(port, GET, { until: /\r\n\r\n/ })).text, /connection: close/, "it still serves");
  // Signals close behind one another count as one: they may come from a terminal and from a parent.
  await until(() => performance.now() > toldMs + 700, "it is a second one");
  proxy.child.kill("SIGTERM");
  t.equal(await proxy.ended, 0);
});

test("process: the example gateway for Kubernetes gives its proxies longer than they take to drain", async (t) => {
  const text = await readFile("deploy/kubernetes/gateway.yaml", "utf8");
  const seconds = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  const drainS = seconds(/--drain-delay=(\d+)s/) + seconds(/--drain-timeout=(\d+)s/);
  t.ok(seconds(/terminationGracePeriodSeconds: (\d+)/) > drainS, `${drainS} s`);
});

test("process: SIGUSR1 opens the access log anew, and nothing of it is lost", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-log-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "access.log");
  const origin = await recordingOrigin(t);
  const typed_config = {
    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
    path,
    log_format: { text_format_source: { inline_string: "%REQ(:PATH)%" } },
  };
  const proxy = await started(t, origin.port, ["--drain-delay", "0s", "--drain-timeout", "1s"], {
    access_log: [{ name: "file", typed_config }],
  });
  const port = await proxy.listenerPort("main");
  const get = (target: string): Promise<unknown> =>
    talk(port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`, ANSWERED);
  const text = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");
  await get("/1");
  await rename(path, `${path}.1`);
  proxy.child.kill("SIGUSR1");
  await until(async () => (await text(`${path}.1`)) === "/1\n", "the old file is written");
  await get("/2");
  proxy.child.kill("SIGTERM");
  t.equal(await proxy.ended, 0);
  t.equal(await text(path), "/2\n");
});
