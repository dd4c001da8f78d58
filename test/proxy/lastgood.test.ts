// The last good configuration on disk: `weir proxy --state`, with and without its control plane, with a broken file and a full disk.
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger, silentLogger } from "../../src/lib/log.ts";
import { LastGood } from "../../src/proxy/lastgood.ts";
import { createXdsServer, type XdsServer } from "../../src/xds/server.ts";
import { create, encodeSnapshot, ListenerSchema, type XdsSnapshot } from "../../src/xds/types.ts";
import { type ProxyProcess, startProxyProcess, temporaryFolder, until } from "../support/proxyprocess.ts";
import { requireOwnNamespaces } from "../support/require.ts";
import { adsBootstrap, aSnapshot } from "../support/xds.ts";
import { closedPort, recordingOrigin, talk } from "./support.ts";

const GROUP = "gateway/default/web";
const NODE = "default/proxy-1";
const [OLD, NEW] = ["default/shop:80/aaa", "default/shop:80/bbb"];
const GET = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

interface Bed {
  readonly folder: string;
  readonly adsPort: number;
  control(): Promise<XdsServer>;
  proxy(options?: { readonly id?: string; readonly command?: readonly string[] }): Promise<ProxyProcess>;
  snapshot(weights: Readonly<Record<string, number>>): ReturnType<typeof aSnapshot>;
  answer(): Promise<string>;
}

async function bed(t: Test): Promise<Bed> {
  const folder = await temporaryFolder(t);
  const [adsPort, port] = [await closedPort(), await closedPort()];
  const named = async (name: string): Promise<number> =>
    (await recordingOrigin(t, (_seen, response) => response.end(`<${name}>`))).port;
  const ports = { [OLD]: [await named("old")], [NEW]: [await named("new")] };
  return {
    folder,
    adsPort,
    async control() {
      const server = createXdsServer({ clock: systemClock, log: silentLogger });
      await server.listen({ port: adsPort });
      t.teardown(() => server.close());
      return server;
    },
    async proxy({ id = NODE, command = [] } = {}) {
      const adminPort = await closedPort();
      const more = `admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${adminPort} } } }\n`;
      const endpoints = [{ address: "127.0.0.1", port: adsPort }];
      const bootstrap = adsBootstrap({ id, group: GROUP, endpoints, more });
      const flags = ["--state", folder, "--drain-delay", "0s"];
      const proxy = await startProxyProcess(t, bootstrap, adminPort, flags, command);
      await until(async () => !(await proxy.ready()).startsWith("no answer"), "the admin port answers");
      return proxy;
    },
    snapshot: (weights) => aSnapshot(weights, { port, ports }),
    async answer() {
      const { text } = await talk(port, GET, ANSWERED);
      return /<(\w+)>/.exec(text)?.[1] ?? text;
    },
  };
}

const isReady = async (proxy: ProxyProcess): Promise<boolean> => (await proxy.ready()) === "ready\n";
const isAcknowledged = (server: XdsServer, seq: number): boolean =>
  server.nodes(GROUP).some((node) => node.ackedSeq >= seq);
const exists = async (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

test("last good: a proxy starts without its control plane, and the control plane's configuration replaces what it has", async (t) => {
  const { folder, control, proxy, snapshot, answer } = await bed(t);
  const file = join(folder, "last-good");
  const server = await control();
  const first = await proxy();
  const seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  await until(() => isAcknowledged(server, seq), "acknowledged");
  await until(() => exists(file), "written");
  t.equal((await stat(file)).mode & 0o777, 0o600);
  first.child.kill("SIGKILL");
  await first.ended;
  await server.close();

  const second = await proxy();
  await until(() => isReady(second), "ready without a control plane");
  t.equal(await answer(), "old");
  t.match(second.log(), /no control plane: the last good configuration is in force/);

  // The same content has the same version: nothing but having received it may acknowledge it.
  const empty = await control();
  const asksForRoutes = (): boolean => empty.nodes(GROUP).some((node) => node.subscribedRoutes.length > 0);
  await until(asksForRoutes, "it is connected, and has said what it wants and has");
  t.equal(empty.nodes(GROUP)[0]?.ackedSeq, 0, "nothing was acknowledged");
  t.equal(await answer(), "old", "a control plane with nothing to say takes nothing away");
  const next = empty.setSnapshot(GROUP, snapshot({ [OLD]: 0, [NEW]: 100 }));
  await until(() => isAcknowledged(empty, next), "the new one is acknowledged");
  t.equal(await answer(), "new");
  t.equal(await second.metric("weir_proxy_internal_errors_total"), 0);
  second.child.kill("SIGTERM");
  t.equal(await second.ended, 0);
  await empty.close();

  const third = await proxy();
  await until(() => isReady(third), "ready");
  t.equal(await answer(), "new", "what was in force at the end was written before it");
  await until(async () => (await readdir(folder)).join() === "last-good", "nothing unfinished is left");
});

test("last good: what a listener says in weir's own words is kept", async (t) => {
  const { folder, control, proxy, snapshot } = await bed(t);
  const halfClose = async (of: ProxyProcess): Promise<unknown> =>
    JSON.parse(await of.page("/config_dump")).listeners[0]?.isHalfCloseAllowed;
  const server = await control();
  const first = await proxy();
  const made = snapshot({ [OLD]: 100 });
  const { metadata } = create(ListenerSchema, {
    metadata: { filterMetadata: { "weir.dev": { half_close: true } } },
  });
  const listeners = made.listeners.map((one) => ({ ...one, ...(metadata && { metadata }) }));
  const seq = server.setSnapshot(GROUP, { ...made, listeners });
  await until(() => isAcknowledged(server, seq), "acknowledged");
  t.equal(await halfClose(first), true);
  await until(() => exists(join(folder, "last-good")), "written");
  first.child.kill("SIGKILL");
  await first.ended;
  await server.close();
  const second = await proxy();
  await until(() => isReady(second), "ready without a control plane");
  t.equal(await halfClose(second), true);
});

test("last good: with its control plane a proxy serves nothing from disk", async (t) => {
  const { folder, control, proxy, snapshot, answer } = await bed(t);
  const options = { dir: folder, nodeId: NODE, group: GROUP, clock: systemClock, log: silentLogger };
  const stored = new LastGood(options);
  stored.keep(snapshot({ [OLD]: 100 }));
  await stored.close();
  const server = await control();
  server.setSnapshot(GROUP, snapshot({ [NEW]: 100 }));
  const one = await proxy();
  await until(() => isReady(one), "ready");
  t.equal(await answer(), "new");
  t.notMatch(one.log(), /last good/);
});

test("last good: what is broken, of another format or of another node is ignored with a warning", async (t) => {
  const folder = await temporaryFolder(t);
  const lines: string[] = [];
  const log = createLogger({ write: (line) => lines.push(line) });
  const options = { dir: folder, nodeId: NODE, group: GROUP, clock: systemClock, log };
  const file = join(folder, "last-good");
  t.equal(await new LastGood(options).read(), undefined);
  t.strictSame(lines, [], "no file is no reason to warn");
  const stored = new LastGood(options);
  stored.keep(aSnapshot({ [OLD]: 1, [NEW]: 2 }));
  await stored.close();
  const back = await new LastGood(options).read();
  const bytesOf = (snapshot: XdsSnapshot | undefined): Buffer[] =>
    snapshot === undefined ? [] : [...encodeSnapshot(snapshot)].map((record) => Buffer.from(record));
  t.strictSame(bytesOf(back), bytesOf(aSnapshot({ [OLD]: 1, [NEW]: 2 })));
  const good = await readFile(file);
  const headEnd = good.indexOf("\n");
  const flipped = Buffer.from(good);
  flipped[good.length - 3] = (flipped[good.length - 3] ?? 0) ^ 1;
  const cases: readonly (readonly [Buffer | string, Partial<typeof options>, RegExp])[] = [
    [flipped, {}, /checksum does not match/],
    [good.subarray(0, -1), {}, /checksum does not match/],
    [good.subarray(0, headEnd + 1), {}, /checksum does not match/],
    [good.subarray(0, headEnd), {}, /does not begin with a line of JSON/],
    ["", {}, /does not begin with a line of JSON/],
    ["nonsense\n", {}, /JSON/],
    ["null\n", {}, /format undefined/],
    [good.toString("latin1").replace('"format":1', '"format":0'), {}, /format 0; this weir reads 1/],
    [good, { nodeId: "default/proxy-2" }, /that of node default\/proxy-1 .* this is default\/proxy-2/],
    [good, { group: "gateway/default/other" }, /this is .* in gateway\/default\/other/],
  ];
  for (const [content, other, words] of cases) {
    lines.length = 0;
    await writeFile(file, content, "latin1");
    t.equal(await new LastGood({ ...options, ...other }).read(), undefined);
    t.equal(lines.length, 1);
    t.match(lines[0], words);
  }
  // Whoever edits the names in the head gets no further.
  const renamed = good.toString("latin1").replace(NODE, "default/proxy-2");
  await writeFile(file, renamed, "latin1");
  t.equal(await new LastGood({ ...options, nodeId: "default/proxy-2" }).read(), undefined);
  t.match(lines.at(-1), /checksum/);
});

test("last good: a file that was ever readable by others, or that is a folder, ends as 0600 or in a warning", async (t) => {
  const folder = await temporaryFolder(t);
  const lines: string[] = [];
  const log = createLogger({ write: (line) => lines.push(line) });
  const options = { dir: join(folder, "a", "b"), nodeId: NODE, group: GROUP, clock: systemClock, log };
  const file = join(options.dir, "last-good");
  await mkdir(options.dir, { recursive: true });
  await writeFile(file, "old");
  await chmod(file, 0o644);
  const stored = new LastGood(options);
  stored.keep(aSnapshot({ [OLD]: 1 }));
  await stored.close();
  t.equal((await stat(file)).mode & 0o777, 0o600);
  await rm(file);
  await mkdir(join(file, "inner"), { recursive: true });
  const failing = new LastGood(options);
  failing.keep(aSnapshot({ [OLD]: 1 }));
  await failing.close();
  t.match(lines, [/cannot be written/]);
  t.strictSame(await readdir(options.dir), ["last-good"], "nothing unfinished is left");
});

test("last good: a corrupt file costs a warning, and the control plane is waited for", async (t) => {
  const { folder, control, proxy, snapshot, answer } = await bed(t);
  await writeFile(join(folder, "last-good"), "\0\0\0\0");
  const one = await proxy();
  t.match(await one.ready(), /^not ready: nothing received/);
  await until(() => /warn .*last good configuration on disk is ignored/.test(one.log()), "warned");
  const server = await control();
  server.setSnapshot(GROUP, snapshot({ [NEW]: 100 }));
  await until(() => isReady(one), "ready");
  t.equal(await answer(), "new");
  await until(
    async () => (await readFile(join(folder, "last-good"), "latin1")).startsWith('{"format":1'),
    "replaced",
  );
});

test("last good: a full disk costs a warning, and the next change is written when there is room", async (t) => {
  if ((await requireOwnNamespaces(t)) === undefined) return;
  const { folder, control, proxy, snapshot, answer } = await bed(t);
  const script = `mount -t tmpfs -o size=4k tmpfs ${folder} && head -c 4096 /dev/zero >${folder}/filler && exec "$@"`;
  const server = await control();
  let seq = server.setSnapshot(GROUP, snapshot({ [OLD]: 100 }));
  const one = await proxy({ command: ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"] });
  await until(() => isAcknowledged(server, seq), "acknowledged although the disk is full");
  t.equal(await answer(), "old");
  await until(() => one.log().includes("cannot be written"), "warned");
  t.match(one.log(), /cannot be written.*ENOSPC/);
  const inside = `/proc/${one.pid}/root${folder}`;
  t.strictSame(await readdir(inside), ["filler"], "nothing unfinished is left");
  await rm(join(inside, "filler"));
  seq = server.setSnapshot(GROUP, snapshot({ [NEW]: 100 }));
  await until(() => exists(join(inside, "last-good")), "written");
  t.match(one.log(), /is written again/);
  t.equal(one.log().split("cannot be written").length, 2, "warned once");
  t.equal(await one.metric("weir_proxy_internal_errors_total"), 0);
});
