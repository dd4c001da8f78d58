// Proxies of Gateways on a local cluster: replaced one after another, and a port that somebody else has.
import { readdir } from "node:fs/promises";
import { request } from "node:http";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { connectCluster } from "../../src/cluster/client.ts";
import { isPodReady, readPod } from "../../src/embedded/agent/podspec.ts";
import { createTurns, TURN_MS } from "../../src/embedded/gateway/turns.ts";
import { baseManifests, until, untilServing } from "../crash/bed.ts";
import { startLoad } from "../crash/load.ts";
import { commandPid, containerProcesses } from "../crash/processes.ts";
import { freePorts } from "../support/ports.ts";
import { type RunningUp, startUp, stateFolder } from "../support/up.ts";

const TIMEOUT_MS = 120_000;
const RATE = 100;
const GATEWAYS = ["edge-a", "edge-b"] as const;

const pod = (
  name: string,
  { isReady = true, age = 0, isCurrent = false, deletedMs = 0 } = {},
): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name,
    labels: { current: String(isCurrent) },
    creationTimestamp: new Date(-age).toISOString(),
    ...(deletedMs > 0 && { deletionTimestamp: new Date(deletedMs).toISOString() }),
  },
  status: { conditions: [{ type: "Ready", status: isReady ? "True" : "False" }] },
});
const turnsOf = () => createTurns(({ metadata }) => metadata.labels?.current === "true");

test("turns: a ready proxy waits until the one before is ready again, or its time is over", (t) => {
  const turns = turnsOf();
  const [a, b] = [pod("a"), pod("b")];
  t.equal(turns.take("a", a, [a, b], 0), true);
  t.equal(turns.take("a", a, [a, b], 1), true, "the cache may be behind: it still has the turn");
  t.equal(turns.take("b", b, [a, b], 2), false);
  t.strictSame(turns.release("c"), [], "what becomes of others is no end of the turn");
  t.strictSame(turns.release("a"), ["b"]);
  t.equal(turns.take("b", b, [a, b], 3), true);
  t.equal(turns.take("a", a, [a, b], 4), false);
  t.equal(turns.take("a", a, [a, b], 3 + TURN_MS), true);
  t.end();
});

test("turns: what an earlier controller began is waited for, what is not ready by itself is not", (t) => {
  const b = pod("b");
  const starting = pod("a", { isReady: false, isCurrent: true, age: 1_000 });
  t.equal(turnsOf().take("b", b, [starting, b], 0), false);
  t.equal(turnsOf().take("b", b, [pod("a", { deletedMs: 30_000 }), b], 0), false);
  const stuck = pod("a", { isReady: false, isCurrent: true, age: TURN_MS });
  t.equal(turnsOf().take("b", b, [stuck, b], 0), true, "it has had its time");
  const idle = pod("b", { isReady: false });
  t.equal(turnsOf().take("b", idle, [starting, idle], 0), true, "who serves nobody need not wait");
  t.end();
});

test("gateways: after a change of the xDS port the proxies are replaced one after another, and no request fails", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const ports = await freePorts();
  const [first, second] = await freePorts();
  const stateDir = await stateFolder(t);
  const up = await startUp(stateDir, flags(first));
  t.match(await up.weir(["apply", "-f", "-"], await baseManifests(ports)), { code: 0 });
  t.match(await up.weir(["status", "demo", "--timeout", "60s"]), { code: 0 });
  await untilServing(ports);
  const before = await until("both proxies are ready", 30_000, async () => {
    const now = await proxies(up);
    return now.every(({ isReady }) => isReady) ? now : undefined;
  });
  const proxyFiles = await readdir(join(stateDir, "proxies"), { recursive: true });
  t.equal(
    proxyFiles.filter((file) => file.endsWith("/last-good")).length,
    2,
    "each keeps its last good configuration",
  );
  const load = startLoad(ports, RATE);
  t.teardown(() => load.stop());
  await up.kill("SIGKILL");
  const again = await startUp(stateDir, flags(second));
  const seen: string[] = [];
  await until("both proxies are new and ready", 90_000, async () => {
    const now = await proxies(again);
    const states = now.map(({ isReady }) => (isReady ? "ready" : "away")).join();
    if (seen.at(-1) !== states) seen.push(states);
    return now.every(({ uid, isReady }, index) => isReady && uid !== before[index]?.uid) ? true : undefined;
  });
  const result = await load.stop();
  t.comment(
    `${result.sent} requests, ${result.retried} went to the other gateway; ready: ${seen.join(" | ")}`,
  );
  t.strictSame(result.failures, []);
  t.notOk(seen.includes("away,away"), "one of them is always ready");
  t.ok(result.sent > RATE);
  await again.kill("SIGTERM");
});

test("gateways: a port that another process has is told and tried again until it is free", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const ports = await freePorts();
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(ports[1], "127.0.0.1", resolve));
  const [xdsPort] = await freePorts();
  const up = await startUp(await stateFolder(t), flags(xdsPort));
  t.match(await up.weir(["apply", "-f", "-"], await baseManifests(ports)), { code: 0 });
  await untilServing([ports[0]]);
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  t.teardown(close);
  const told = (reason: string) =>
    until(`an event ${reason}`, 30_000, async () => {
      const { items } = await client.list(RESOURCES.event, { namespace: "default" });
      return items.find((event) => event.reason === reason);
    });
  const words = new RegExp(
    `proxy default/gateway-edge-b keeps .*cannot listen on 127.0.0.1:${ports[1]}: .*EADDRINUSE`,
  );
  t.match(await told("ProxyRefused"), {
    involvedObject: { kind: "Gateway", name: "edge-b" },
    message: words,
  });
  await new Promise((resolve) => blocker.close(resolve));
  t.match(await told("ProxyAccepted"), { involvedObject: { name: "edge-b" }, type: "Normal" });
  await until("the second gateway serves", 30_000, async () => {
    const answered = await get(ports[1]);
    return answered === 200 ? true : undefined;
  });
  await up.kill("SIGTERM");
});

test("gateways: a proxy whose admin port another process took gets another one, and serves", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const ports = await freePorts();
  const [xdsPort] = await freePorts();
  const stateDir = await stateFolder(t);
  const up = await startUp(stateDir, flags(xdsPort));
  t.match(await up.weir(["apply", "-f", "-"], await baseManifests(ports)), { code: 0 });
  await untilServing(ports);
  const before = await proxy(up, "edge-b");
  // Once more if the proxy was back before its port could be taken.
  const thief = await until("its admin port is taken", 10_000, async () => {
    const running = (await containerProcesses(stateDir)).find(({ podUid }) => podUid === before.uid);
    if (running !== undefined) process.kill(await commandPid(running), "SIGKILL");
    return take(before.adminPort);
  });
  t.teardown(() => thief.close());
  const after = await until("another proxy is ready", 60_000, async () => {
    const now = await proxy(up, "edge-b");
    return now.uid !== before.uid && now.isReady ? now : undefined;
  });
  t.not(after.adminPort, before.adminPort);
  t.equal(await get(ports[1]), 200);
  await up.kill("SIGTERM");
});

function flags(xdsPort: number): readonly string[] {
  return ["--api-port", "0", "--xds-port", String(xdsPort), "--metrics-port", "0", "--log-level", "warn"];
}

interface ProxyPod {
  readonly uid: string;
  readonly isReady: boolean;
  readonly adminPort: number;
}

function proxies(up: RunningUp): Promise<readonly ProxyPod[]> {
  return Promise.all(GATEWAYS.map((name) => proxy(up, name)));
}

async function proxy(up: RunningUp, name: string): Promise<ProxyPod> {
  const { client, close } = await connectCluster({ kubeconfig: up.kubeconfig, env: {} });
  try {
    const object = await client.get(RESOURCES.pod, { namespace: "default", name: `gateway-${name}` });
    if (object === undefined) return { uid: "", isReady: false, adminPort: 0 };
    const { uid = "", annotations, deletionTimestamp } = object.metadata;
    const isReady = deletionTimestamp === undefined && isPodReady(readPod(object));
    return { uid, isReady, adminPort: Number(annotations?.["weir.dev/admin-port"]) };
  } finally {
    await close();
  }
}

/** A server on the port, or undefined while another process has it. */
function take(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

/** Status of an answer of the demo through a gateway. */
function get(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port, headers: { host: "demo" }, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    asked.once("error", reject);
    asked.end();
  });
}
