// The state folder: kept across restarts and SIGKILL, locked, and refused with words when damaged, newer or full.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "tap";
import { SERVER_ERRORS } from "../../src/embedded/embedded.ts";
import { openState } from "../../src/embedded/server/state.ts";
import { type Any, CONFIG_MAPS, configMap, startServer, take, temporaryFolder } from "./server-support.ts";

const WRITER = new URL("./server-writer.ts", import.meta.url).pathname;
const NOW = { nowMs: Date.now() };

/** A process of its own that serves `dir` and writes to it; prints a line for each acknowledged write. */
function startWriter(dir: string): { readonly child: ChildProcess; readonly lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [WRITER, dir], { stdio: ["ignore", "pipe", "inherit"] });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

test("server state: objects, versions and history outlive a restart", async (t) => {
  const stateDir = temporaryFolder(t);
  const first = await startServer(t, { stateDir });
  const { body: created } = await first.api.post(CONFIG_MAPS, configMap("a"));
  await first.api.patch(`${CONFIG_MAPS}/a`, { data: { x: "1" } });
  await first.server.close();
  const second = await startServer(t, { stateDir });
  t.equal(second.server.token, first.server.token);
  t.equal(second.server.certificate, first.server.certificate);
  const { body } = await second.api.get(`${CONFIG_MAPS}/a`);
  t.match(body, { data: { x: "1" }, metadata: { uid: created.metadata.uid } });
  const version = created.metadata.resourceVersion;
  const watch = second.api.watch(`${CONFIG_MAPS}?watch=true&resourceVersion=${version}`);
  const events = await take(watch.events, 1);
  t.match(events, [{ type: "MODIFIED", object: { data: { x: "1" } } }]);
  const { body: next } = await second.api.post(CONFIG_MAPS, configMap("b"));
  t.equal(Number(next.metadata.resourceVersion), Number(body.metadata.resourceVersion) + 1);
  watch.stop();
});

test("server state: a process killed at any moment has lost no acknowledged write", async (t) => {
  const stateDir = temporaryFolder(t);
  for (let round = 0; round < 4; round++) {
    const { child, lines } = startWriter(stateDir);
    const acknowledged: Any[] = [];
    for (let n = 0; n < 40 + round * 37; n++) {
      const line = await lines.next();
      if (line.done === true) break;
      acknowledged.push(JSON.parse(line.value));
    }
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    for (let line = await lines.next(); line.done !== true; line = await lines.next())
      acknowledged.push(JSON.parse(line.value));
    await exited;
    const { server, api } = await startServer(t, { stateDir });
    const last = new Map(acknowledged.map((write) => [write.name, write]));
    t.ok(last.size > 10, `${acknowledged.length} writes were acknowledged`);
    for (const { name, version, n } of last.values()) {
      const { status, body } = await api.get(`${CONFIG_MAPS}/${name}`);
      // A write that was not acknowledged any more may have been carried out, too.
      const isKept =
        status === 200 && Number(body.metadata.resourceVersion) >= version && Number(body.data.n) >= n;
      if (!isKept) t.fail(`${name} of version ${version} was lost`, { found: body });
    }
    await server.close();
  }
});

test("server state: a second process is refused with the first one's pid, and takes over when it was killed", async (t) => {
  const stateDir = temporaryFolder(t);
  const { child, lines } = startWriter(stateDir);
  await lines.next();
  const refused: Any = await openState(stateDir, NOW).catch((error: unknown) => error);
  t.match(refused, { code: SERVER_ERRORS.stateLocked, context: { pid: child.pid } });
  t.match(refused.message, new RegExp(`in use by the process ${child.pid}`));
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  t.equal(
    readFileSync(join(stateDir, "lock"), "utf8"),
    `${child.pid}\n`,
    "the dead process left its name behind",
  );
  const state = await openState(stateDir, NOW);
  t.equal(readFileSync(join(stateDir, "lock"), "utf8"), `${process.pid}\n`);
  state.close();
});

test("server state: of many processes that start at once, one gets the folder", async (t) => {
  const stateDir = temporaryFolder(t);
  const starts = Array.from({ length: 6 }, () => openState(stateDir, NOW).catch((error: unknown) => error));
  const results: Any[] = await Promise.all(starts);
  const opened = results.filter((result) => result.db !== undefined);
  t.equal(opened.length, 1);
  const codes = results.filter((result) => result.db === undefined).map((error) => error.code);
  t.strictSame(
    codes,
    Array.from({ length: 5 }, () => SERVER_ERRORS.stateLocked),
  );
  opened[0].close();
});

test("server state: who comes while the holder is stopping waits for the folder", async (t) => {
  const stateDir = temporaryFolder(t);
  const first = await openState(stateDir, NOW);
  // The holder takes its name away before it lets go.
  rmSync(join(stateDir, "lock"));
  const second = openState(stateDir, NOW);
  first.close();
  const state = await second;
  t.equal(readFileSync(join(stateDir, "lock"), "utf8"), `${process.pid}\n`);
  state.close();
});

test("server state: a folder of a newer version is refused and left as it is", async (t) => {
  const stateDir = temporaryFolder(t);
  const { server } = await startServer(t, { stateDir });
  await server.close();
  writeFileSync(join(stateDir, "version"), "2\n");
  const before = readFileSync(join(stateDir, "weir.db"));
  const refused: Any = await openState(stateDir, NOW).catch((error: unknown) => error);
  t.equal(refused.code, SERVER_ERRORS.stateVersion);
  t.match(refused.message, /is of version 2, this weir knows up to 1\. Nothing was changed/);
  t.strictSame(readFileSync(join(stateDir, "weir.db")), before);
  t.equal(readFileSync(join(stateDir, "version"), "utf8"), "2\n");
});

test("server state: a damaged folder is refused with what to do", async (t) => {
  const damage: Readonly<Record<string, (dir: string) => void>> = {
    "weir.db": (dir) =>
      writeFileSync(join(dir, "weir.db"), "this is not a database, it is a poem about one\n".repeat(200)),
    "weir.db cut short": (dir) => truncateSync(join(dir, "weir.db"), 6000),
    version: (dir) => writeFileSync(join(dir, "version"), "one"),
    token: (dir) => writeFileSync(join(dir, "token"), ""),
  };
  for (const [what, spoil] of Object.entries(damage)) {
    const stateDir = temporaryFolder(t);
    const { server, api } = await startServer(t, { stateDir });
    for (let n = 0; n < 50; n++)
      await api.post(CONFIG_MAPS, configMap(`m${n}`, { data: { x: "y".repeat(2000) } }));
    await server.close();
    spoil(stateDir);
    const refused: Any = await openState(stateDir, NOW).catch((error: unknown) => error);
    t.equal(refused.code, SERVER_ERRORS.stateCorrupt, what);
    t.match(refused.message, /Move the folder away to keep it, or delete it/, what);
  }
});

test("server state: a full state refuses writes with 507, keeps what it has, and serves on", async (t) => {
  const { api } = await startServer(t, { maxStateBytes: 400 * 1024 });
  const big = { data: { x: "y".repeat(20_000) } };
  let refused: Any;
  let written = 0;
  for (; written < 100 && refused === undefined; written++) {
    const answer = await api.post(CONFIG_MAPS, configMap(`m${written}`, big));
    if (answer.status !== 201) refused = answer;
  }
  t.match(refused, {
    status: 507,
    body: { reason: "InsufficientStorage", message: /disk is full.*nothing was changed/ },
  });
  const { items } = (await api.get(CONFIG_MAPS)).body;
  t.equal(items.length, written - 1);
  t.equal((await api.get(`${CONFIG_MAPS}/m0`)).body.data.x.length, 20_000);
});

test("server state: files with secrets are for their owner alone", async (t) => {
  const stateDir = temporaryFolder(t);
  const { server } = await startServer(t, { stateDir });
  const listener = await server.listen();
  server.writeKubeconfig(join(stateDir, "kubeconfig"), listener);
  for (const file of ["token", "certificate.pem", "weir.db", "kubeconfig"])
    t.equal(statSync(join(stateDir, file)).mode & 0o777, 0o600, file);
});
