// Settings of weir's own router and metric.
import { test } from "tap";
import {
  proxyRoutingOf,
  type Rollout,
  readProxyRouting,
  readRollout,
  readTrafficMetric,
  usesWeirRouter,
} from "../../src/api/api.ts";

function rollout(plugins: object): Rollout {
  const spec = { strategy: { canary: { trafficRouting: { plugins } } } };
  return readRollout({ apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", metadata: { name: "web" }, spec })
    .value;
}

test("weirsettings: the router is used where it is named", (t) => {
  t.ok(usesWeirRouter(rollout({ "weir.dev/proxy": {} })));
  t.notOk(usesWeirRouter(rollout({ "org/other": {} })));
  t.strictSame(proxyRoutingOf(rollout({ "weir.dev/proxy": {} })), {});
  t.strictSame(proxyRoutingOf(rollout({ "weir.dev/proxy": { gateways: ["a"] } })), { gateways: ["a"] });
  t.equal(proxyRoutingOf(rollout({ "weir.dev/proxy": { gateways: "a" } })), undefined);
  t.equal(proxyRoutingOf(rollout({})), undefined);
  t.end();
});

test("weirsettings: the router refuses what it does not know", (t) => {
  const findings = (value: unknown): unknown => {
    const read = readProxyRouting(value);
    return read.kind === "valid" ? [] : read.findings;
  };
  t.strictSame(findings({ gateways: ["a", 1] }), [
    { path: ["gateways", 1], message: "is 1, expected a string" },
  ]);
  t.strictSame(findings("x"), [{ path: [], message: 'is "x", expected an object' }]);
  t.strictSame(findings({ sticky: true }), [
    { path: ["sticky"], message: "is not a field that weir knows", isKey: true },
  ]);
  t.end();
});

test("weirsettings: the metric has defaults and refuses what it does not know", (t) => {
  t.match(readTrafficMetric({ metric: "errorRate" }), {
    kind: "valid",
    settings: { metric: "errorRate", version: "canary", since: "run", minRequests: 20 },
  });
  for (const wrong of [
    {},
    { metric: "errors" },
    { metric: "errorRate", quantile: 0.5 },
    { metric: "latency", quantile: 2 },
    { metric: "errorRate", since: "yesterday" },
    { metric: "errorRate", minRequests: -1 },
    { metric: "errorRate", minrequests: 1 },
  ])
    t.equal(readTrafficMetric(wrong).kind, "invalid", JSON.stringify(wrong));
  t.end();
});
