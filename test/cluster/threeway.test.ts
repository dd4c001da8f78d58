// What apply makes of last, wanted and live, for the places where kubectl's users were bitten.
import fc from "fast-check";
import { test } from "tap";
import { mergeThreeWay } from "../../src/cluster/threeway.ts";

test("three-way merge: fields that left the manifest go, foreign fields stay, the manifest wins", (t) => {
  const last = { spec: { a: 1, gone: { x: 1 } } };
  const wanted = { spec: { a: 2 } };
  const live = { spec: { a: 5, gone: { x: 1 }, foreign: true }, status: { ready: 1 } };
  t.strictSame(mergeThreeWay(last, wanted, live, "whole"), {
    spec: { a: 2, foreign: true },
    status: { ready: 1 },
  });
  t.end();
});

test("three-way merge: without a last manifest nothing is deleted", (t) => {
  t.strictSame(mergeThreeWay(undefined, { a: 1 }, { a: 2, b: 3 }, "whole"), { a: 1, b: 3 });
  t.end();
});

test("three-way merge: null in the manifest means that the field is not there", (t) => {
  t.strictSame(mergeThreeWay({}, { a: null, b: 1 }, { a: 2 }, "whole"), { b: 1 });
  t.end();
});

test("three-way merge: lists of custom kinds are values", (t) => {
  const merge = (lists: "whole" | "byKey"): unknown =>
    mergeThreeWay(
      { env: [{ name: "A" }] },
      { env: [{ name: "B" }] },
      { env: [{ name: "F", value: "x" }] },
      lists,
    );
  t.strictSame(merge("whole"), { env: [{ name: "B" }] });
  t.strictSame(merge("byKey"), { env: [{ name: "B" }, { name: "F", value: "x" }] });
  t.end();
});

test("three-way merge: containers merge by name; an injected one keeps its place, defaults stay", (t) => {
  const last = { containers: [{ name: "web", image: "a:1", env: [{ name: "OLD", value: "1" }] }] };
  const wanted = {
    containers: [
      { name: "web", image: "a:2", env: [{ name: "NEW" }], args: ["x"] },
      { name: "log", image: "l" },
    ],
  };
  const live = {
    containers: [
      { name: "sidecar", image: "s" },
      {
        name: "web",
        image: "a:1",
        imagePullPolicy: "Always",
        env: [{ name: "OLD", value: "1" }, { name: "IN" }],
      },
    ],
  };
  t.strictSame(mergeThreeWay(last, wanted, live, "byKey"), {
    containers: [
      { name: "sidecar", image: "s" },
      {
        imagePullPolicy: "Always",
        name: "web",
        image: "a:2",
        env: [{ name: "NEW" }, { name: "IN" }],
        args: ["x"],
      },
      { name: "log", image: "l" },
    ],
  });
  t.end();
});

test("three-way merge: a rearranged manifest rearranges the list", (t) => {
  const of = (...names: string[]): unknown => ({ volumes: names.map((name) => ({ name })) });
  t.strictSame(mergeThreeWay(of("a", "b"), of("b", "a"), of("a", "f", "b"), "byKey"), of("b", "a", "f"));
  t.end();
});

test("three-way merge: a port may exist once per protocol", (t) => {
  const ports = [
    { port: 53, protocol: "UDP", name: "dns" },
    { port: 53, protocol: "TCP", name: "dns-tcp" },
  ];
  const live = ports.map((port, index) => ({ ...port, targetPort: 53, nodePort: 30_000 + index }));
  t.strictSame(mergeThreeWay({ ports }, { ports }, { ports: live }, "byKey"), { ports: live });
  t.end();
});

test("three-way merge: a volume that changes its source loses the old one, also a defaulted one", (t) => {
  const wanted = { volumes: [{ name: "v", configMap: { name: "c" } }] };
  const live = { volumes: [{ name: "v", emptyDir: {} }] };
  t.strictSame(mergeThreeWay({ volumes: [{ name: "v" }] }, wanted, live, "byKey"), wanted);
  t.end();
});

test("three-way merge: finalizers of others stay", (t) => {
  const merged = mergeThreeWay(
    { finalizers: ["a", "b"] },
    { finalizers: ["b", "c"] },
    { finalizers: ["x", "a", "b"] },
    "byKey",
  );
  t.strictSame(merged, { finalizers: ["x", "b", "c"] });
  t.end();
});

test("three-way merge: applying twice equals once, and the manifest's own fields are in the result", (t) => {
  const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean());
  const tree = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      leaf,
      fc.array(leaf, { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b", "c", "env", "volumes"), tie("node"), { maxKeys: 4 }),
    ),
  })).node;
  const object = fc.dictionary(fc.constantFrom("a", "b", "spec"), tree, { maxKeys: 3 });
  fc.assert(
    fc.property(
      object,
      object,
      object,
      fc.constantFrom("whole" as const, "byKey" as const),
      (last, wanted, live, lists) => {
        const once = mergeThreeWay(last, wanted, live, lists);
        const twice = mergeThreeWay(wanted, wanted, once, lists);
        t.strictSame(twice, once);
      },
    ),
    { numRuns: 300, seed: 7 },
  );
  t.end();
});
