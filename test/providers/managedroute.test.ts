// The metric weir.dev/traffic by managed route: what a header route has led to the canary, apart from its share by weight.
import { test } from "tap";
import { TrafficStore } from "../../src/providers/providers.ts";

const T0 = Date.parse("2026-01-02T03:04:05Z");

test("traffic: a managed route is counted by its name, with all its matches and nothing else's", async (t) => {
  const store = new TrafficStore(T0);
  const counts = {
    "0": 1,
    "0~beta": 10,
    "0~beta.1": 100,
    "0~beta.x": 7,
    "0~betamax": 1000,
    "1~dark~beta": 10_000,
  };
  const cumulative = new Map(
    Object.entries(counts).map(([route, requests]) => [`default/web/${route}/requests`, requests]),
  );
  const delta = { succeeded: 0, failed: 0 };
  const copies = new Map([["default/web/0~copies/requests", 5]]);
  const clusters = [
    { cluster: "default/web:80/abc", cumulative, delta },
    { cluster: "default/web:80/abc/mirror", cumulative: copies, delta },
  ];
  store.accept({ nodeId: "gw", epoch: String(T0), atMs: T0 + 1000, clusters });
  const requests = (managedRoute?: string): number => {
    const filter = managedRoute === undefined ? {} : { managedRoute };
    const window = store.window({
      namespace: "default",
      podHash: "abc",
      ...filter,
      fromMs: T0,
      toMs: T0 + 2000,
    });
    return window.kind === "counts" ? window.requests : Number.NaN;
  };
  t.equal(requests("beta"), 10_110);
  t.equal(requests("dark"), 10_000);
  t.equal(requests("copies"), 5, "copies are the version's requests");
  t.equal(requests("0"), 0, "a rule is no managed route");
  t.equal(requests(), 11_123);
});
