// The cache of one kind: indexes, freezing, and the events that replacing its content gives.
import { test } from "tap";
import type { KubeObject } from "../../src/api/api.ts";
import { createStore } from "../../src/cluster/store.ts";

function anObject(name: string, version: string, more: Partial<KubeObject["metadata"]> = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "a", uid: `uid-${name}`, resourceVersion: version, ...more },
  };
}

const names = (objects: readonly KubeObject[]): string[] =>
  objects.map(({ metadata }) => metadata.name).sort();

test("store: finds objects by key, namespace, owner and label", (t) => {
  const store = createStore();
  const owner = (uid: string) => [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "r", uid }];
  store.put(anObject("p", "1", { labels: { app: "web" }, ownerReferences: owner("u1") }));
  store.put(anObject("q", "2", { labels: { app: "web" }, ownerReferences: owner("u2"), namespace: "b" }));
  store.put(anObject("r", "3", { labels: { app: "db" } }));
  t.equal(store.get("a/p")?.metadata.resourceVersion, "1");
  t.equal(store.get("a/q"), undefined);
  t.strictSame(names(store.list()), ["p", "q", "r"]);
  t.strictSame(names(store.list("b")), ["q"]);
  t.strictSame(names(store.byOwner("u2")), ["q"]);
  t.strictSame(names(store.byLabel("app", "web")), ["p", "q"]);
  t.strictSame(names(store.byLabel("app", "web", "a")), ["p"]);
  t.end();
});

test("store: indexes follow updates and deletions, also of labels asked for before", (t) => {
  const store = createStore();
  store.put(anObject("p", "1", { labels: { app: "web" } }));
  t.strictSame(names(store.byLabel("app", "web")), ["p"]);
  store.put(anObject("p", "2", { labels: { app: "db" } }));
  store.put(anObject("q", "3", { labels: { app: "db" } }));
  t.strictSame(names(store.byLabel("app", "web")), []);
  t.strictSame(names(store.byLabel("app", "db")), ["p", "q"]);
  store.remove(anObject("q", "4"));
  t.strictSame(names(store.byLabel("app", "db")), ["p"]);
  t.strictSame(names(store.list("a")), ["p"]);
  t.end();
});

test("store: what it hands out cannot be written to", (t) => {
  const store = createStore();
  store.put(anObject("p", "1", { labels: { app: "web" } }));
  const labels = store.get("a/p")?.metadata.labels;
  t.throws(() => Object.assign(labels ?? {}, { app: "db" }), TypeError);
  t.end();
});

test("store: the same version again is no event", (t) => {
  const store = createStore();
  t.match(store.put(anObject("p", "1")), { kind: "added", key: "a/p" });
  t.equal(store.put(anObject("p", "1")), undefined);
  t.match(store.put(anObject("p", "2")), {
    kind: "updated",
    old: { metadata: { resourceVersion: "1" } },
    object: { metadata: { resourceVersion: "2" } },
  });
  t.match(store.remove(anObject("p", "3")), {
    kind: "deleted",
    isFinal: true,
    object: { metadata: { resourceVersion: "3" } },
  });
  t.equal(store.remove(anObject("p", "3")), undefined);
  t.end();
});

test("store: replacing the content tells what went, changed and came", (t) => {
  const store = createStore();
  for (const name of ["p", "q", "r"]) store.put(anObject(name, "1"));
  const events = store.replace([anObject("q", "2"), anObject("r", "1"), anObject("s", "3")]);
  t.strictSame(
    events.map((event) => [event.kind, event.key, event.kind === "deleted" && event.isFinal]),
    [
      ["deleted", "a/p", false],
      ["updated", "a/q", false],
      ["added", "a/s", false],
    ],
  );
  t.end();
});
