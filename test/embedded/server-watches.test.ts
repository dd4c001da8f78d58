// Watches: what is replayed, what selectors make of changes, bookmarks, ends, and what is too old.
import fc from "fast-check";
import { test } from "tap";
import { WATCH_QUEUE_BYTES } from "../../src/embedded/server/watch.ts";
import { type Any, CONFIG_MAPS, configMap, manualClock, startServer, TABLE, take } from "./server-support.ts";

const shape = (events: Any[]): string[] =>
  events.map((event) => `${event.type} ${event.object.metadata.name}`);

test("server watches: from a version on, every later change comes once and in order", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  const { resourceVersion } = (await api.get(CONFIG_MAPS)).body.metadata;
  await api.patch(`${CONFIG_MAPS}/a`, { data: { x: "1" } });
  const watch = api.watch(`${CONFIG_MAPS}?watch=true&resourceVersion=${resourceVersion}`);
  const first = await take(watch.events, 1);
  await api.post(CONFIG_MAPS, configMap("b"));
  await api.delete(`${CONFIG_MAPS}/a`);
  const events = [...first, ...(await take(watch.events, 2))];
  t.strictSame(shape(events), ["MODIFIED a", "ADDED b", "DELETED a"]);
  const versions = events.map((event) => Number(event.object.metadata.resourceVersion));
  t.strictSame(
    versions,
    [...versions].sort((x, y) => x - y),
  );
  watch.stop();
  t.strictSame(await take(watch.events, 1), []);
});

test("server watches: without a version, or with 0, the present state comes first", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  for (const version of ["", "&resourceVersion=0"]) {
    const watch = api.watch(`${CONFIG_MAPS}?watch=true${version}`);
    t.strictSame(shape(await take(watch.events, 1)), ["ADDED a"]);
    watch.stop();
  }
});

test("server watches: WatchList ends the present state with a marked bookmark", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  const list = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const watch = api.watch(`${CONFIG_MAPS}?watch=true&${list}`);
  const events = await take(watch.events, 2);
  const { resourceVersion } = (await api.get(CONFIG_MAPS)).body.metadata;
  t.match(events, [
    { type: "ADDED", object: { metadata: { name: "a" } } },
    {
      type: "BOOKMARK",
      object: {
        kind: "ConfigMap",
        metadata: { resourceVersion, annotations: { "k8s.io/initial-events-end": "true" } },
      },
    },
  ]);
  await api.post(CONFIG_MAPS, configMap("b"));
  t.strictSame(shape(await take(watch.events, 1)), ["ADDED b"]);
  watch.stop();
  const refused = await api.get(`${CONFIG_MAPS}?watch=true&sendInitialEvents=true`);
  t.match(refused, { status: 422, body: { message: /sendInitialEvents: Forbidden/ } });
});

test("server watches: an object that enters or leaves the selection is added or deleted", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  const { resourceVersion } = (await api.get(CONFIG_MAPS)).body.metadata;
  const path = `${CONFIG_MAPS}?watch=true&labelSelector=on&resourceVersion=${resourceVersion}`;
  const live = api.watch(path);
  const first = live.events.next();
  await api.patch(`${CONFIG_MAPS}/a`, { data: { x: "1" } });
  await api.patch(`${CONFIG_MAPS}/a`, { metadata: { labels: { on: "" } } });
  await api.patch(`${CONFIG_MAPS}/a`, { data: { x: "2" } });
  await api.patch(`${CONFIG_MAPS}/a`, { metadata: { labels: { on: null } } });
  await api.delete(`${CONFIG_MAPS}/a`);
  const expected = ["ADDED a", "MODIFIED a", "DELETED a"];
  t.strictSame(shape([(await first).value, ...(await take(live.events, 2))]), expected);
  const replayed = api.watch(path);
  t.strictSame(shape(await take(replayed.events, 3)), expected);
  live.stop();
  replayed.stop();
});

test("server watches: a watch of one namespace hears nothing of another", async (t) => {
  const { api } = await startServer(t);
  await api.post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "other" } });
  const own = api.watch(`${CONFIG_MAPS}?watch=true`);
  const all = api.watch("/api/v1/configmaps?watch=true");
  const firstOwn = own.events.next();
  const firstAll = all.events.next();
  await api.post("/api/v1/namespaces/other/configmaps", configMap("x"));
  await api.post(CONFIG_MAPS, configMap("y"));
  t.strictSame(shape([(await firstOwn).value]), ["ADDED y"]);
  t.strictSame(shape([(await firstAll).value, ...(await take(all.events, 1))]), ["ADDED x", "ADDED y"]);
  own.stop();
  all.stop();
});

test("server watches: bookmarks come each minute to those who ask, and before a timeout ends the watch", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  await api.post(CONFIG_MAPS, configMap("a"));
  const marked = api.watch(`${CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=90`);
  const plain = api.watch(`${CONFIG_MAPS}?watch=true&timeoutSeconds=90`);
  await take(marked.events, 1);
  await take(plain.events, 1);
  clock.advance(60_000);
  const { resourceVersion } = (await api.get(CONFIG_MAPS)).body.metadata;
  const bookmark = { type: "BOOKMARK", object: { kind: "ConfigMap", metadata: { resourceVersion } } };
  t.match(await take(marked.events, 1), [bookmark]);
  clock.advance(30_000);
  t.match(await take(marked.events, 2), [bookmark]);
  t.strictSame(await take(plain.events, 1), []);
});

test("server watches: a version that is too old, or not of this state, is Expired", async (t) => {
  const historyChanges = 64;
  const { api } = await startServer(t, { historyChanges });
  await api.post(CONFIG_MAPS, configMap("a"));
  for (let n = 0; n < historyChanges + 10; n++) await api.patch(`${CONFIG_MAPS}/a`, { data: { n: `${n}` } });
  const old = api.watch(`${CONFIG_MAPS}?watch=true&resourceVersion=2`);
  t.match(await take(old.events, 2), [
    {
      type: "ERROR",
      object: { kind: "Status", code: 410, reason: "Expired", message: /^too old resource version: 2/ },
    },
  ]);
  const future = api.watch(`${CONFIG_MAPS}?watch=true&resourceVersion=999999`);
  t.match(await take(future.events, 2), [{ type: "ERROR", object: { code: 410 } }]);
  const { resourceVersion } = (await api.get(CONFIG_MAPS)).body.metadata;
  const kept = api.watch(
    `${CONFIG_MAPS}?watch=true&resourceVersion=${Number(resourceVersion) - historyChanges + 1}`,
  );
  t.equal((await take(kept.events, historyChanges - 1)).length, historyChanges - 1);
  kept.stop();
});

test("server watches: a watcher that does not read is ended instead of buffered without bound", async (t) => {
  const { server, api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  const headers = { accept: "application/json" };
  const response = await server
    .transport()
    .request({ method: "GET", path: `${CONFIG_MAPS}?watch=true`, headers });
  const filler = "x".repeat(1024 * 1024);
  for (let n = 0; n < WATCH_QUEUE_BYTES / filler.length + 10; n++)
    await api.patch(`${CONFIG_MAPS}/a`, { data: { n: `${n}`, filler } });
  let received = 0;
  for await (const chunk of response.body) received += chunk.byteLength;
  t.ok(
    received > WATCH_QUEUE_BYTES && received < WATCH_QUEUE_BYTES + 2 * filler.length,
    `${received} bytes, then the end`,
  );
});

test("server watches: a Table watch tells the columns once and a row per event", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a", { data: { x: "1" } }));
  const watch = api.watch(`${CONFIG_MAPS}?watch=true`, TABLE);
  const first = await take(watch.events, 1);
  await api.delete(`${CONFIG_MAPS}/a`);
  const [second] = await take(watch.events, 1);
  t.match(first[0], { type: "ADDED", object: { kind: "Table", rows: [{ cells: ["a", 1] }] } });
  t.equal(first[0].object.columnDefinitions.length, 3);
  t.match(second, { type: "DELETED", object: { columnDefinitions: null, rows: [{ cells: ["a", 1] }] } });
  watch.stop();
});

test("server watches: whoever applies the events to the list holds the state, from any version on", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  const step = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    action: fc.constantFrom("write", "select", "deselect", "delete"),
    value: fc.nat(9),
  });
  const steps =
    fc.sample(fc.array(step, { minLength: 60, maxLength: 60, size: "max" }), {
      numRuns: 1,
      seed: 20_261,
    })[0] ?? [];
  const list = async (): Promise<{ readonly version: number; readonly items: Map<string, string> }> => {
    const { body } = await api.get(`${CONFIG_MAPS}?labelSelector=on`);
    const items = body.items.map((item: Any) => [item.metadata.name, item.metadata.resourceVersion]);
    return { version: Number(body.metadata.resourceVersion), items: new Map(items) };
  };
  const moments = [await list()];
  for (const { name, action, value } of steps) {
    const path = `${CONFIG_MAPS}/${name}`;
    const labels = { on: action === "deselect" ? null : action === "select" ? "" : undefined };
    const change = { data: { value: String(value) }, metadata: { labels } };
    if (action === "delete") await api.delete(path);
    else if ((await api.patch(path, change)).status === 404) await api.post(CONFIG_MAPS, configMap(name));
    moments.push(await list());
  }
  for (const { version, items } of moments) {
    const held = new Map(items);
    const path = `${CONFIG_MAPS}?watch=true&labelSelector=on&resourceVersion=${version}&timeoutSeconds=1`;
    const watch = api.watch(path);
    const first = watch.events.next();
    // The watch has been opened by now: what is replayed is queued, and the timeout ends it behind that.
    clock.advance(1000);
    const events = [(await first).value, ...(await take(watch.events, Number.POSITIVE_INFINITY))];
    for (const event of events.filter((one) => one !== undefined)) {
      if (event.type === "DELETED") held.delete(event.object.metadata.name);
      else held.set(event.object.metadata.name, event.object.metadata.resourceVersion);
    }
    t.strictSame([...held].sort(), [...(moments.at(-1)?.items ?? [])].sort(), `from version ${version}`);
  }
});
