// `weir proxy` as a process: how it ends when it is told to, under load and twice.
import { readFile } from "node:fs/promises";
import { type Test, test } from "tap";
import { type ProxyProcess, startProxyProcess, until } from "../support/proxyprocess.ts";
import { bootstrapOf, closedPort, recordingOrigin, talk } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

async function started(t: Test, originPort: number, args: readonly string[]): Promise<ProxyProcess> {
  const adminPort = await closedPort();
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: adminPort } } };
  const json = Object.assign({}, bootstrapOf({ clusters: { a: [originPort] } }), { admin });
  const proxy = await startProxyProcess(t, JSON.stringify(json), adminPort, args);
  await until(async () => (await proxy.ready()) === "ready\n", "ready");
  return proxy;
}

test("process: told to end under load, it fails no request of a client that looks at /ready", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => setTimeout(() => response.end("ok"), 2));
  const flags = ["--drain-delay", "600ms", "--drain-timeout", "5s"];
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
  const workers = [0, 1, 2, 3].map((first) => load(first));
  await until(() => served.every((count) => count > 50), "load runs");
  proxies[0]?.child.kill("SIGTERM");
  t.equal(await proxies[0]?.ended, 0);
  const before = served[1] ?? 0;
  await until(() => (served[1] ?? 0) > before + 50, "the other one serves on");
  isOver = true;
  await Promise.all([...workers, ...looking]);
  t.strictSame(failures, []);
  t.equal(await proxies[1]?.metric("weir_proxy_internal_errors_total"), 0);
});

test("process: a second SIGTERM ends it at once", async (t) => {
  const origin = await recordingOrigin(t);
  const proxy = await started(t, origin.port, ["--drain-delay", "1h"]);
  const port = await proxy.listenerPort("main");
  proxy.child.kill("SIGTERM");
  await until(async () => (await proxy.ready()) === "not ready: draining\n", "draining");
  t.match((await talk(port, GET, { until: /\r\n\r\n/ })).text, /connection: close/, "it still serves");
  // Signals close behind one another count as one: they may come from a terminal and from a parent.
  await until(() => {
    proxy.child.kill("SIGTERM");
    return proxy.child.exitCode !== null;
  }, "ended");
  t.equal(await proxy.ended, 0);
});

test("process: the example gateway for Kubernetes gives its proxies longer than they take to drain", async (t) => {
  const text = await readFile("deploy/kubernetes/gateway.yaml", "utf8");
  const seconds = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  const drainS = seconds(/--drain-delay=(\d+)s/) + seconds(/--drain-timeout=(\d+)s/);
  t.ok(seconds(/terminationGracePeriodSeconds: (\d+)/) > drainS, `${drainS} s`);
});
