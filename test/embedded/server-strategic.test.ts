// Strategic merge patch: lists by key, directives, and that it agrees with a merge patch where there are no lists.
import fc from "fast-check";
import { test } from "tap";
import { applyStrategicPatch } from "../../src/embedded/server/strategic.ts";
import { applyMergePatch } from "../../src/lib/patch.ts";

const patchPod = (target: unknown, patch: unknown): unknown => applyStrategicPatch("pods", target, patch);
const containers = (...items: unknown[]): unknown => ({ spec: { containers: items } });

test("server strategic: list items merge by their key, new ones are appended", async (t) => {
  const target = containers(
    { name: "a", image: "a:1", env: [{ name: "X", value: "1" }] },
    { name: "b", image: "b:1" },
  );
  const patch = containers({ name: "a", env: [{ name: "Y", value: "2" }] }, { name: "c", image: "c:1" });
  t.strictSame(
    patchPod(target, patch),
    containers(
      {
        name: "a",
        image: "a:1",
        env: [
          { name: "X", value: "1" },
          { name: "Y", value: "2" },
        ],
      },
      { name: "b", image: "b:1" },
      { name: "c", image: "c:1" },
    ),
  );
});

test("server strategic: $patch deletes an item, replaces a list, replaces an object", async (t) => {
  const target = containers({ name: "a" }, { name: "b" });
  t.strictSame(patchPod(target, containers({ $patch: "delete", name: "a" })), containers({ name: "b" }));
  t.strictSame(patchPod(target, containers({ $patch: "replace" }, { name: "z" })), containers({ name: "z" }));
  const labels = { metadata: { labels: { a: "1", b: "2" } } };
  t.strictSame(patchPod(labels, { metadata: { labels: { $patch: "replace", c: "3" } } }), {
    metadata: { labels: { c: "3" } },
  });
  t.strictSame(patchPod(labels, { metadata: { labels: { $patch: "delete" } } }), { metadata: {} });
});

test("server strategic: lists without a key are replaced, finalizers merge as a set", async (t) => {
  const target = { metadata: { finalizers: ["a/x"] }, spec: { tolerations: [{ key: "old" }] } };
  const patch = { metadata: { finalizers: ["b/y", "a/x"] }, spec: { tolerations: [{ key: "new" }] } };
  t.strictSame(patchPod(target, patch), {
    metadata: { finalizers: ["a/x", "b/y"] },
    spec: { tolerations: [{ key: "new" }] },
  });
});

test("server strategic: $deleteFromPrimitiveList, $retainKeys and $setElementOrder are carried out", async (t) => {
  const held = { metadata: { finalizers: ["a/x", "b/y"] } };
  const released = { metadata: { "$deleteFromPrimitiveList/finalizers": ["a/x"] } };
  t.strictSame(patchPod(held, released), { metadata: { finalizers: ["b/y"] } });
  const volume = { spec: { volumes: [{ name: "v", hostPath: { path: "/a" } }] } };
  const other = { spec: { volumes: [{ $retainKeys: ["name", "emptyDir"], name: "v", emptyDir: {} }] } };
  t.strictSame(patchPod(volume, other), { spec: { volumes: [{ name: "v", emptyDir: {} }] } });
  const order = {
    spec: {
      "$setElementOrder/containers": [{ name: "b" }, { name: "a" }],
      containers: [{ name: "b", image: "b:2" }],
    },
  };
  t.strictSame(
    patchPod(containers({ name: "a" }, { name: "b" }), order),
    containers({ name: "b", image: "b:2" }, { name: "a" }),
  );
});

test("server strategic: ports merge by port in Services, by containerPort in containers", async (t) => {
  const service = { spec: { ports: [{ port: 80, name: "http" }] } };
  t.strictSame(
    applyStrategicPatch("services", service, { spec: { ports: [{ port: 80, targetPort: 8080 }] } }),
    {
      spec: { ports: [{ port: 80, name: "http", targetPort: 8080 }] },
    },
  );
  const pod = containers({ name: "a", ports: [{ containerPort: 80 }] });
  t.strictSame(
    patchPod(pod, containers({ name: "a", ports: [{ containerPort: 80, name: "http" }] })),
    containers({ name: "a", ports: [{ containerPort: 80, name: "http" }] }),
  );
});

test("server strategic: a directive or item that cannot be read is a bad request", async (t) => {
  t.throws(() => patchPod({}, { spec: { $patch: "explode" } }), {
    message: 'unknown directive $patch: "explode"',
  });
  t.throws(() => patchPod({}, containers({ image: "no name" })), {
    message: "an item of spec.containers lacks its merge key name",
  });
  t.throws(() => patchPod({}, [1]), { message: "a strategic merge patch must be a JSON object" });
});

test("server strategic: without lists and directives it is a merge patch, and applying it twice equals once", async (t) => {
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.boolean());
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.oneof({ maxDepth: 3 }, leaf, tie("tree"))),
  }));
  const target = tree.map((value) => applyMergePatch({}, value));
  fc.assert(
    fc.property(target, tree, (before, patch) => {
      const once = patchPod(before, patch);
      t.strictSame(once, applyMergePatch(before, patch), { diagnostic: false });
      return JSON.stringify(patchPod(once, patch)) === JSON.stringify(once);
    }),
    { numRuns: 200 },
  );
});
