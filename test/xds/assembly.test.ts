// The client's side of make before break, against orders that a server should not send: routes before endpoints, clusters taken away
// while routes name them, pieces that come one by one, a new stream in the middle.

import { create } from "@bufbuild/protobuf";
import { test } from "tap";
import { Assembly, WARMING_MS, type XdsUpdate } from "../../src/xds/assembly.ts";
import { DiscoveryResponseSchema } from "../../src/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import {
  type Any,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  ListenerSchema,
  pack,
  type ResourceKind,
  RouteConfigurationSchema,
  RouterSchema,
  TYPE_URLS,
} from "../../src/xds/types.ts";
import { aCluster, aListener, anAssignment, aRoute } from "../support/xds.ts";

const ROUTE = "default/web:8000";
let nonces = 0;

function response(kind: ResourceKind, resources: readonly Any[], version = "v") {
  nonces += 1;
  return create(DiscoveryResponseSchema, {
    typeUrl: TYPE_URLS[kind],
    versionInfo: version,
    nonce: String(nonces),
    resources: [...resources],
  });
}
const clusters = (...names: string[]) =>
  response(
    "clusters",
    names.map((name) => pack(ClusterSchema, aCluster(name))),
  );
const endpoints = (...names: string[]) =>
  response(
    "endpoints",
    names.map((name) => pack(ClusterLoadAssignmentSchema, anAssignment(name, [1]))),
  );
const listeners = (name = ROUTE) => response("listeners", [pack(ListenerSchema, aListener(name, 1))]);
const routes = (weights: Readonly<Record<string, number>>, name = ROUTE) =>
  response("routes", [pack(RouteConfigurationSchema, aRoute(name, weights))]);

/** Tries and accepts all that can be in force at `nowMs`. */
function settle(assembly: Assembly, nowMs = 0): XdsUpdate[] {
  const updates: XdsUpdate[] = [];
  for (let update = assembly.candidate(nowMs); update !== undefined; update = assembly.candidate(nowMs)) {
    updates.push(update);
    assembly.accept();
  }
  return updates;
}

function running(): Assembly {
  const assembly = new Assembly();
  assembly.open();
  for (const one of [clusters("a"), endpoints("a"), listeners(), routes({ a: 1 })]) {
    assembly.receive(one, 0);
    settle(assembly);
  }
  return assembly;
}

test("assembly: an answer brings the subscriptions that follow from it", (t) => {
  const assembly = new Assembly();
  t.match(assembly.open(), [{ kind: "clusters", version: "", nonce: "", names: [] }, { kind: "listeners" }]);
  assembly.receive(clusters("a", "b"), 0);
  assembly.candidate(0);
  t.match(assembly.accept(), [
    { kind: "clusters", version: "v", names: [] },
    { kind: "endpoints", version: "", nonce: "", names: ["a", "b"] },
  ]);
  assembly.receive(listeners(), 0);
  assembly.candidate(0);
  t.match(assembly.accept(), [{ kind: "listeners" }, { kind: "routes", names: [ROUTE] }]);
  t.end();
});

test("assembly: routes wait for the endpoints of clusters that they name, within a bound", (t) => {
  const assembly = running();
  assembly.receive(clusters("a", "b"), 0);
  settle(assembly);
  assembly.receive(routes({ b: 1 }), 100);
  t.strictSame(settle(assembly, 100), []);
  t.equal(assembly.wakeAtMs, 100 + WARMING_MS);
  assembly.receive(endpoints("b"), 200);
  t.strictSame(
    settle(assembly, 200).map((update) => update.changed),
    ["endpoints", "routes"],
  );
  assembly.receive(routes({ nowhere: 1 }), 300);
  t.strictSame(settle(assembly, 299 + WARMING_MS), []);
  t.strictSame(
    settle(assembly, 300 + WARMING_MS).map((update) => update.changed),
    ["routes"],
  );
  t.end();
});

test("assembly: a cluster that is taken away stays as long as routes in force name it", (t) => {
  const assembly = running();
  assembly.receive(clusters("b"), 0);
  const [update] = settle(assembly);
  t.strictSame(
    update?.clusters.map((one) => one.name),
    ["b", "a"],
  );
  t.strictSame(
    update?.endpoints.map((one) => one.clusterName),
    ["a"],
  );
  assembly.receive(endpoints("b"), 0);
  assembly.receive(routes({ b: 1 }), 0);
  t.strictSame(
    settle(assembly)
      .at(-1)
      ?.clusters.map((one) => one.name),
    ["b"],
  );
  t.end();
});

test("assembly: what the routes of a renamed listener need stays until those of its successor are there", (t) => {
  const assembly = running();
  // The old cluster goes first, and the new one's endpoints come last.
  for (const one of [clusters("b"), listeners("new"), routes({ b: 1 }, "new")]) assembly.receive(one, 0);
  const [, named] = settle(assembly);
  t.match(named, { changed: "listeners", listeners: [{ name: "new" }], routes: [{ name: ROUTE }] });
  assembly.receive(endpoints("b"), 0);
  const [warm, last] = settle(assembly);
  t.equal(warm?.changed, "endpoints");
  t.strictSame(warm?.clusters.map(({ name }) => name).sort(), ["a", "b"]);
  t.equal(last?.changed, "routes");
  t.strictSame(
    last?.routes.map(({ name }) => name),
    ["new"],
  );
  t.strictSame(
    last?.clusters.map(({ name }) => name),
    ["b"],
  );
  t.end();
});

test("assembly: a rejection leaves what is in force, and says its version", (t) => {
  const assembly = running();
  assembly.receive(response("routes", [pack(RouteConfigurationSchema, aRoute(ROUTE, { a: 2 }))], "v2"), 0);
  t.equal(assembly.candidate(0)?.versions.routes, "v2");
  t.match(assembly.reject("no"), [{ kind: "routes", version: "v", names: [ROUTE], rejection: "no" }]);
  t.equal(assembly.versions.routes, "v");
  t.strictSame([...assembly.rejections], [["routes", "no"]]);
  t.equal(assembly.candidate(0), undefined);
  t.end();
});

test("assembly: what does not decode is rejected at once", (t) => {
  const assembly = running();
  const damaged = { ...pack(ClusterSchema, aCluster("a")), value: new Uint8Array([0x0a, 0xff]) };
  t.match(assembly.receive(response("clusters", [damaged]), 0), [
    { kind: "clusters", version: "v", rejection: String },
  ]);
  const foreign = pack(RouterSchema, {});
  t.match(assembly.receive(response("clusters", [foreign]), 0), [{ rejection: /resources\[0\] is of type/ }]);
  t.match(assembly.receive(clusters(""), 0), [{ rejection: /has no name/ }]);
  t.match(assembly.receive(clusters("a", "b", "a"), 0), [
    { kind: "clusters", version: "v", rejection: /resources\[2\] repeats the name "a"/ },
  ]);
  t.strictSame(assembly.receive(create(DiscoveryResponseSchema, { typeUrl: "x", nonce: "1" }), 0), []);
  t.end();
});

test("assembly: a server that names no versions brings its configuration in force, and hears what it said", (t) => {
  const assembly = new Assembly();
  assembly.open();
  const parts = [clusters("a"), endpoints("a"), listeners(), routes({ a: 1 })];
  for (const part of parts) {
    assembly.receive({ ...part, versionInfo: "" }, 0);
    const update = assembly.candidate(0);
    t.ok(update?.versions[update.changed], "it counts as having come");
    t.match(assembly.accept()[0], { version: "", nonce: part.nonce });
  }
  t.equal(Object.values(assembly.versions).includes(""), false);
  t.ok(assembly.open().every(({ version }) => version === ""));
  t.end();
});

test("assembly: pieces that wait are not lost when more come", (t) => {
  const assembly = running();
  assembly.receive(clusters("a", "b", "c"), 0);
  settle(assembly);
  assembly.receive(endpoints("b"), 0);
  assembly.receive(endpoints("c"), 0);
  t.strictSame(
    settle(assembly)
      .at(-1)
      ?.endpoints.map((one) => one.clusterName)
      .sort(),
    ["a", "b", "c"],
  );
  t.end();
});

test("assembly: a new stream says what is in force, and forgets what was being tried", (t) => {
  const assembly = running();
  assembly.receive(response("routes", [pack(RouteConfigurationSchema, aRoute(ROUTE, { a: 2 }))], "v2"), 0);
  t.ok(assembly.candidate(0));
  t.match(assembly.open(), [
    { kind: "clusters", version: "v", nonce: "" },
    { kind: "endpoints", version: "v", nonce: "", names: ["a"] },
    { kind: "listeners", version: "v", nonce: "" },
    { kind: "routes", version: "v", nonce: "", names: [ROUTE] },
  ]);
  t.strictSame(assembly.accept(), [], "the candidate belonged to the old stream");
  t.equal(assembly.versions.routes, "v");
  t.end();
});

test("assembly: a fallback is in force until each kind comes, and nothing of it is ever acknowledged", (t) => {
  const assembly = new Assembly();
  const fallback = {
    listeners: [aListener(ROUTE, 1)],
    routes: [aRoute(ROUTE, { old: 1 })],
    clusters: [aCluster("old")],
    endpoints: [anAssignment("old", [1])],
  };
  t.match(assembly.beside(fallback), { clusters: [{ name: "old" }], routes: [{ name: ROUTE }] });
  t.strictSame(assembly.adopt(fallback), [
    { kind: "endpoints", nonce: "", version: "", names: ["old"] },
    { kind: "routes", nonce: "", version: "", names: [ROUTE] },
  ]);
  t.ok(assembly.open().every(({ version, nonce }) => version === "" && nonce === ""));
  assembly.receive(clusters("new"), 0);
  const [first] = settle(assembly);
  t.strictSame(
    first?.clusters.map(({ name }) => name).sort(),
    ["new", "old"],
    "routes in force name the old one",
  );
  t.match(assembly.versions, { clusters: "v", listeners: "", routes: "", endpoints: "" });
  for (const one of [endpoints("new"), listeners(), routes({ new: 1 })]) assembly.receive(one, 0);
  const last = settle(assembly).at(-1);
  t.strictSame(
    last?.clusters.map(({ name }) => name),
    ["new"],
  );
  t.strictSame(
    last?.endpoints.map(({ clusterName }) => clusterName),
    ["new"],
  );
  t.strictSame(assembly.versions, { clusters: "v", endpoints: "v", listeners: "v", routes: "v" });
  t.equal(assembly.beside(fallback), undefined, "there is nothing left to fall back for");
  t.end();
});

test("assembly: a refusal knows the content that it was said of, under any version and in any order", (t) => {
  const assembly = running();
  const contentOf = (answers: ReturnType<Assembly["receive"]>): string => answers[0]?.content ?? "none";
  const first = contentOf(assembly.receive(clusters("a", "b", "b"), 0));
  t.match(first, /^[0-9a-f]{64}$/);
  const again = { ...clusters("b", "a", "b"), versionInfo: "another" };
  t.equal(contentOf(assembly.receive(again, 0)), first);
  t.not(contentOf(assembly.receive(clusters("a", "a"), 0)), first);
  assembly.receive(routes({ a: 2 }), 0);
  assembly.candidate(0);
  const second = contentOf(assembly.reject("no"));
  assembly.receive(routes({ a: 3 }), 0);
  assembly.candidate(0);
  t.not(contentOf(assembly.reject("no")), second);
  t.end();
});
