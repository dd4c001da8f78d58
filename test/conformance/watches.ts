// Cases: watches from a version, from zero, with initial events, bookmarks, selectors, expiry.
import { RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient, type WatchEvent } from "../../src/cluster/client.ts";
import { aConfigMap, type Case, failure } from "./scene.ts";

type WatchOptions = Parameters<ClusterClient["watch"]>[1];

/** Reads events until `count` of them, bookmarks counted only with `isBookmarked`. */
async function take(
  client: ClusterClient,
  options: WatchOptions,
  count: number,
  isBookmarked = false,
): Promise<WatchEvent[]> {
  const stop = new AbortController();
  const events: WatchEvent[] = [];
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(15_000)]);
  for await (const event of client.watch(RESOURCES.configMap, { ...options, signal })) {
    if (event.type !== "BOOKMARK" || isBookmarked) events.push(event);
    if (events.length === count) break;
  }
  stop.abort();
  return events;
}

const told = (events: readonly WatchEvent[]): string[] =>
  events.map((event) =>
    event.type === "BOOKMARK"
      ? `BOOKMARK ${event.isInitialEnd}`
      : `${event.type} ${event.object.metadata.name}`,
  );
const notRootCa = { fieldSelector: "metadata.name!=kube-root-ca.crt" };

export const WATCHES: readonly Case[] = [
  {
    name: "watch: from a list's version tells every later change, in order",
    async run(t, { client, namespace }) {
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "before"));
      const { resourceVersion } = await client.list(RESOURCES.configMap, { namespace });
      const ref = { namespace, name: "c" };
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { v: "1" }));
      await client.patch(RESOURCES.configMap, ref, { type: "merge", body: { data: { v: "2" } } });
      await client.delete(RESOURCES.configMap, ref);
      const events = await take(client, { namespace, resourceVersion, ...notRootCa }, 3);
      t.strictSame(told(events), ["ADDED c", "MODIFIED c", "DELETED c"]);
      const versions = events.map((event) =>
        event.type === "BOOKMARK" ? 0 : Number(event.object.metadata.resourceVersion),
      );
      t.strictSame(
        versions,
        versions.toSorted((a, b) => a - b),
      );
      t.match(events[2], { object: { data: { v: "2" } } });
      t.ok((versions[2] ?? 0) > (versions[1] ?? 0), "a deletion has a version of its own");
    },
  },
  {
    name: "watch: changes reach a watch that is open",
    async run(t, { client, namespace }) {
      const { resourceVersion } = await client.list(RESOURCES.configMap, { namespace });
      const events = take(client, { namespace, resourceVersion, ...notRootCa }, 1);
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c"));
      t.strictSame(told(await events), ["ADDED c"]);
    },
  },
  {
    name: "watch: what leaves a selection is DELETED, what enters it ADDED",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      const label = (app: string) =>
        client.patch(RESOURCES.configMap, ref, { type: "merge", body: { metadata: { labels: { app } } } });
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", {}, { labels: { app: "db" } }));
      const { resourceVersion } = await client.list(RESOURCES.configMap, { namespace });
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "other", {}, { labels: { app: "db" } }));
      await label("web");
      await label("db");
      const events = await take(client, { namespace, resourceVersion, labelSelector: "app=web" }, 2);
      t.strictSame(told(events), ["ADDED c", "DELETED c"]);
    },
  },
  {
    name: "watch: a field selector confines it to one name, and version 0 begins with what is there",
    async run(t, { client, namespace }) {
      for (const name of ["c", "d"]) await client.create(RESOURCES.configMap, aConfigMap(namespace, name));
      const options = { namespace, fieldSelector: "metadata.name=d", resourceVersion: "0" };
      const events = take(client, options, 2);
      await client.patch(
        RESOURCES.configMap,
        { namespace, name: "c" },
        { type: "merge", body: { data: { v: "2" } } },
      );
      await client.patch(
        RESOURCES.configMap,
        { namespace, name: "d" },
        { type: "merge", body: { data: { v: "2" } } },
      );
      const seen = await events;
      t.equal(told(seen)[0], "ADDED d");
      t.ok(seen.every((event) => event.type === "BOOKMARK" || event.object.metadata.name === "d"));
    },
  },
  {
    name: "watch: with initial events ends those with a bookmark that says so",
    async run(t, { client, namespace }) {
      for (const name of ["c", "d"]) await client.create(RESOURCES.configMap, aConfigMap(namespace, name));
      const options = { namespace, resourceVersion: "", sendInitialEvents: true, ...notRootCa };
      const events = await take(client, options, 3, true);
      t.strictSame(told(events).toSorted(), ["ADDED c", "ADDED d", "BOOKMARK true"]);
      t.equal(told(events)[2], "BOOKMARK true");
      const [, , end] = events;
      const resourceVersion = end?.type === "BOOKMARK" ? end.resourceVersion : "";
      const later = take(client, { namespace, resourceVersion, ...notRootCa }, 1);
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "e"));
      t.strictSame(told(await later), ["ADDED e"]);
    },
  },
  {
    name: "watch: ends in peace after timeoutSeconds",
    async run(t, { client, namespace }) {
      const { resourceVersion } = await client.list(RESOURCES.configMap, { namespace });
      const startedMs = Date.now();
      await take(client, { namespace, resourceVersion, timeoutSeconds: 1, ...notRootCa }, 100);
      const tookMs = Date.now() - startedMs;
      t.ok(tookMs >= 900 && tookMs < 10_000, `it took ${tookMs} ms`);
    },
  },
];

/** Apart, because a server may have to be restarted for it. */
export const EXPIRY: readonly Case[] = [
  {
    name: "watch: a version that the server no longer has is expired",
    async run(t, { client, namespace, server }) {
      const resourceVersion = await server.expiredVersion(namespace);
      const error = await failure(take(client, { namespace, resourceVersion }, 1));
      t.strictSame([error.code, error.context.httpStatus], [CLUSTER_ERRORS.expired, 410]);
    },
  },
];
