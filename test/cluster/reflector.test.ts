// The reflector on the real API server, through crashes of it; and on a small server of the test's own for what the real one rarely does.
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import {
  type ClusterClient,
  connectCluster,
  createClusterClient,
  createReflector,
  type Reflector,
  type StoreEvent,
} from "../../src/cluster/client.ts";
import { MAX_WATCH_FAILURES } from "../../src/cluster/reflector.ts";
import { createSocketTransport } from "../../src/cluster/sockets.ts";
import { createEmbeddedServer } from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { createManualClock, type ManualClock, settle } from "../support/clock.ts";
import { startTestBed, type TestBed } from "../support/testbed.ts";

const TYPE = RESOURCES.configMap;

function aConfigMap(namespace: string, name: string, value: string, labels = {}): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, labels }, data: { value } };
}

const merge = (value: string) => ({ type: "merge", body: { data: { value } } }) as const;

/** Resolves when `holds`, looked at now and after every event. */
function when(reflector: Reflector, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    reflector.subscribe(() => {
      if (holds()) resolve();
    });
    if (holds()) resolve();
  });
}

/** Moves the clock until `holds`: for what happens after a back-off of unknown length and an answer over a socket. */
async function advanceUntil(clock: ManualClock, holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns += 1) {
    if (turns > 1500) throw new Error("it did not happen within 1500 turns");
    await clock.advance(100);
    await wait(10);
  }
}

test("reflector: on the real API server", async (t) => {
  const bed = await startTestBed(t, { hasCrds: false });
  if (bed === undefined) return;
  await t.test("reflector: lists, then follows every change with the old object", (t) =>
    followsEveryChange(t, bed),
  );
  await t.test("reflector: a label selector confines it; what leaves the selection is deleted", (t) =>
    isConfinedByLabels(t, bed),
  );
  await t.test("reflector: after a crash of the server it lists again and tells what changed unseen", (t) =>
    listsAgainAfterACrash(t, bed),
  );
  await t.test("reflector: several share one client and stop each for itself", (t) =>
    stopsEachForItself(t, bed),
  );
});

async function followsEveryChange(t: Test, bed: TestBed): Promise<void> {
  const { client } = bed;
  const namespace = await bed.namespace();
  await client.create(TYPE, aConfigMap(namespace, "p", "1", { app: "web" }));
  const events: StoreEvent[] = [];
  const reflector = createReflector({
    client,
    type: TYPE,
    namespace,
    clock: systemClock,
    log: silentLogger,
  });
  t.teardown(() => reflector.stop());
  reflector.subscribe((event) => events.push(event));
  t.equal(reflector.hasSynced(), false);
  reflector.start();
  t.equal(await reflector.waitForSync(), true);
  t.equal(reflector.store.get(`${namespace}/p`)?.kind, "ConfigMap");
  await client.patch(TYPE, { namespace, name: "p" }, merge("2"));
  await client.create(TYPE, aConfigMap(namespace, "q", "1"));
  await client.delete(TYPE, { namespace, name: "p" });
  await when(reflector, () => reflector.store.get(`${namespace}/p`) === undefined);
  t.match(events, [
    { kind: "added", key: `${namespace}/p`, object: { data: { value: "1" } } },
    {
      kind: "updated",
      key: `${namespace}/p`,
      object: { data: { value: "2" } },
      old: { data: { value: "1" } },
    },
    { kind: "added", key: `${namespace}/q` },
    { kind: "deleted", key: `${namespace}/p`, isFinal: true, object: { data: { value: "2" } } },
  ]);
  t.equal(events.length, 4);
  t.equal(reflector.lastSyncResourceVersion(), events.at(-1)?.object.metadata.resourceVersion);
  const late: string[] = [];
  reflector.subscribe((event) => late.push(`${event.kind} ${event.key}`));
  t.strictSame(late, [`added ${namespace}/q`], "a late subscriber is told what there is");
}

async function isConfinedByLabels(t: Test, bed: TestBed): Promise<void> {
  const { client } = bed;
  const namespace = await bed.namespace();
  await client.create(TYPE, aConfigMap(namespace, "p", "1", { app: "web" }));
  await client.create(TYPE, aConfigMap(namespace, "q", "1", { app: "db" }));
  const options = { client, type: TYPE, namespace, labelSelector: "app=web" };
  const reflector = createReflector({ ...options, clock: systemClock, log: silentLogger });
  t.teardown(() => reflector.stop());
  reflector.start();
  await reflector.waitForSync();
  t.strictSame(reflector.store.keys(), [`${namespace}/p`]);
  const body = { metadata: { labels: { app: "db" } } };
  await client.patch(TYPE, { namespace, name: "p" }, { type: "merge", body });
  await when(reflector, () => reflector.store.size === 0);
  t.equal(reflector.store.size, 0);
}

async function listsAgainAfterACrash(t: Test, bed: TestBed): Promise<void> {
  const { client } = bed;
  const namespace = await bed.namespace();
  for (const name of ["p", "q", "r"]) await client.create(TYPE, aConfigMap(namespace, name, "1"));
  const clock = createManualClock();
  const events: string[] = [];
  const reflector = createReflector({
    client,
    type: TYPE,
    namespace,
    clock,
    log: silentLogger,
    random: () => 0.5,
  });
  t.teardown(() => reflector.stop());
  reflector.start();
  await reflector.waitForSync();
  await bed.killApiServer();
  await bed.startApiServer();
  // The clock stands: the reflector sits in its back-off while the world changes.
  await client.delete(TYPE, { namespace, name: "p" });
  await client.patch(TYPE, { namespace, name: "q" }, merge("2"));
  await client.create(TYPE, aConfigMap(namespace, "s", "1"));
  reflector.subscribe((event) => events.push(`${event.kind} ${event.key.split("/")[1]}`));
  events.length = 0; // the replay of what there is
  await advanceUntil(clock, () => events.length >= 3);
  t.strictSame(events.toSorted(), ["added s", "deleted p", "updated q"]);
  await client.create(TYPE, aConfigMap(namespace, "u", "1"));
  await when(reflector, () => reflector.store.get(`${namespace}/u`) !== undefined);
  t.strictSame(
    reflector.store.keys().toSorted(),
    ["q", "r", "s", "u"].map((name) => `${namespace}/${name}`),
  );
}

async function stopsEachForItself(t: Test, bed: TestBed): Promise<void> {
  const { client } = bed;
  const namespace = await bed.namespace();
  const make = (type: typeof TYPE | typeof RESOURCES.secret): Reflector =>
    createReflector({ client, type, namespace, clock: systemClock, log: silentLogger });
  const [first, second] = [make(TYPE), make(RESOURCES.secret)];
  first.start();
  second.start();
  await Promise.all([first.waitForSync(), second.waitForSync()]);
  await first.stop();
  await first.stop();
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s", namespace } };
  await client.create(RESOURCES.secret, secret);
  await when(second, () => second.store.size === 1);
  await second.stop();
  t.equal(second.store.size, 1);
  t.equal(first.store.size, 0);
}

interface Script {
  readonly client: ClusterClient;
  /** One word per request, in order. */
  readonly asked: string[];
  readonly close: () => Promise<void>;
}

/** A server whose list has one object, and whose watches end at once (`isMute` false) or never say anything. */
async function aServer(isMute: boolean): Promise<Script> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const isWatch = request.url?.includes("watch=true") === true;
    asked.push(isWatch ? "watch" : "list");
    if (isWatch && isMute) response.writeHead(200).flushHeaders();
    else if (isWatch) response.writeHead(200).end();
    else
      response.end(
        JSON.stringify({
          metadata: { resourceVersion: "5" },
          items: [{ metadata: { name: "p", resourceVersion: "4" } }],
        }),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an address with a port
  const transport = await createSocketTransport({ url: `http://127.0.0.1:${port}` }, async () => ({}));
  return {
    client: createClusterClient(transport),
    asked,
    async close() {
      await transport.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

test("reflector: watches that end at once are not spun on, and after some it lists again", async (t) => {
  const { client, asked, close } = await aServer(false);
  const clock = createManualClock();
  const reflector = createReflector({ client, type: TYPE, clock, log: silentLogger, random: () => 1 });
  t.teardown(async () => {
    await reflector.stop();
    await close();
  });
  reflector.start();
  await reflector.waitForSync();
  while (asked.length < 2) await settle();
  for (let turn = 0; turn < 20; turn += 1) await settle();
  t.strictSame(asked, ["list", "watch"], "time stands, and so does the reflector");
  await advanceUntil(clock, () => asked.filter((word) => word === "list").length === 2);
  t.strictSame(asked.slice(0, 2 + MAX_WATCH_FAILURES), [
    "list",
    ...Array<string>(MAX_WATCH_FAILURES).fill("watch"),
    "list",
  ]);
});

test("reflector: a watch that says nothing for the idle time is opened anew", async (t) => {
  const { client, asked, close } = await aServer(true);
  const clock = createManualClock();
  const reflector = createReflector({ client, type: TYPE, clock, log: silentLogger, idleTimeoutMs: 30_000 });
  t.teardown(async () => {
    await reflector.stop();
    await close();
  });
  reflector.start();
  await reflector.waitForSync();
  while (asked.length < 2) await settle();
  await clock.advance(29_999);
  t.strictSame(asked, ["list", "watch"]);
  await clock.advance(1);
  while (asked.length < 3) await settle();
  t.strictSame(asked, ["list", "watch", "watch"]);
});

test("reflector: a listener that throws is reported and stops nobody", async (t) => {
  const { client, close } = await aServer(true);
  const lines: string[] = [];
  const log = { ...silentLogger, error: (message: string) => void lines.push(message) };
  const reflector = createReflector({
    client,
    type: TYPE,
    clock: createManualClock(),
    log: { ...log, child: () => log },
  });
  t.teardown(async () => {
    await reflector.stop();
    await close();
  });
  const seen: string[] = [];
  reflector.subscribe(() => {
    throw new Error("a bug");
  });
  reflector.subscribe((event) => seen.push(event.key));
  reflector.start();
  await reflector.waitForSync();
  t.strictSame(seen, ["p"]);
  t.strictSame(lines, ["a listener of the cache failed"]);
});

test("reflector: goes on over a restart of the embedded server on the same state", async (t) => {
  const stateDir = await mkdtemp(join(tmpdir(), "weir-reflector-"));
  const options = { stateDir, clock: systemClock, log: silentLogger };
  const first = await createEmbeddedServer(options);
  const listener = await first.listen({ port: 0 });
  const kubeconfig = join(stateDir, "test.kubeconfig");
  first.writeKubeconfig(kubeconfig, listener);
  const { client, close } = await connectCluster({ kubeconfig, env: {} });
  const clock = createManualClock();
  const reflector = createReflector({ client, type: TYPE, namespace: "default", clock, log: silentLogger });
  t.teardown(async () => {
    await reflector.stop();
    await close();
    await rm(stateDir, { recursive: true });
  });
  await client.create(TYPE, aConfigMap("default", "p", "1"));
  reflector.start();
  await reflector.waitForSync();
  await first.close();
  const second = await createEmbeddedServer(options);
  t.teardown(() => second.close());
  const inner = createClusterClient(second.transport());
  await inner.patch(TYPE, { namespace: "default", name: "p" }, merge("2"));
  await second.listen({ port: listener.port });
  const events: StoreEvent[] = [];
  reflector.subscribe((event) => events.push(event));
  await advanceUntil(clock, () => events.length >= 2);
  t.match(events, [
    { kind: "added", object: { data: { value: "1" } } },
    { kind: "updated", object: { data: { value: "2" } }, old: { data: { value: "1" } } },
  ]);
});
