// TrafficPolicies: which section of which policy holds where, and what it becomes.
import { test } from "tap";
import type { HttpRoute, TrafficPolicy } from "../../src/api/api.ts";
import { createPolicyBook } from "../../src/translate/policies.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import { durationMs, type Route } from "../../src/xds/types.ts";
import { gateway, httpRoute, input } from "./support.ts";

const policy = (
  name: string,
  kind: string,
  target: string,
  sections: Omit<TrafficPolicy["spec"], "targetRefs">,
  ref: Partial<TrafficPolicy["spec"]["targetRefs"][number]> = {},
): TrafficPolicy => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "TrafficPolicy",
  metadata: { name, namespace: "shop", creationTimestamp: "2026-01-02T00:00:00Z" },
  spec: { targetRefs: [{ kind, name: target, ...ref }], ...sections },
});

const request = (text: string): Omit<TrafficPolicy["spec"], "targetRefs"> => ({
  timeouts: { request: text },
});

test("policies: the narrowest target wins, section by section", (t) => {
  const book = createPolicyBook(
    [
      policy("whole", "Gateway", "edge", request("1s")),
      policy("listener", "Gateway", "edge", request("2s"), { sectionName: "http" }),
      policy("route", "HTTPRoute", "web", request("3s")),
      policy("rule", "HTTPRoute", "web", request("4s"), { sectionName: "slow" }),
    ],
    (about, field, message) => t.fail(`${about} ${field} ${message}`),
  );
  const web = httpRoute({ rules: [] });
  const other: HttpRoute = httpRoute({ rules: [] }, "other");
  const asked = (listener: string, route: HttpRoute, rule?: string): unknown =>
    book.rule(gateway, listener, route, rule).sections.timeouts?.request;
  t.equal(asked("http", web, "slow"), "4s");
  t.equal(asked("http", web, "fast"), "3s");
  t.equal(asked("http", other), "2s");
  t.equal(asked("admin", other), "1s");
  t.strictSame(book.listener(gateway, "http").sources, { timeouts: "TrafficPolicy shop/listener" });
  t.strictSame(book.service("shop", "web-stable", undefined).sections, {});
  t.end();
});

test("policies: of two on one target the older wins, then the first by name", (t) => {
  const older = policy("z", "Service", "web-stable", { connection: { timeout: "1s" } });
  const aged = { ...older, metadata: { ...older.metadata, creationTimestamp: "2026-01-01T00:00:00Z" } };
  const younger = policy("a", "Service", "web-stable", { connection: { timeout: "2s" } });
  const winner = (...all: TrafficPolicy[]): unknown =>
    createPolicyBook(all, () => undefined).service("shop", "web-stable", undefined).sources.connection;
  t.equal(winner(younger, aged), "TrafficPolicy shop/z");
  t.equal(winner(older, younger), "TrafficPolicy shop/a");
  t.end();
});

test("policies: what cannot be attached is reported, and the rest of the policy holds", (t) => {
  const told: string[] = [];
  const nowhere = policy("d", "Service", "web", request("1s"));
  const book = createPolicyBook(
    [
      policy("a", "Service", "web-stable", { ...request("1s"), connection: { timeout: "2s" } }),
      policy("b", "Deployment", "web", request("1s"), { group: "apps" }),
      policy("c", "", "web", request("1s")),
      { ...nowhere, spec: { ...nowhere.spec, targetRefs: [] } },
    ],
    (about, field, message) => told.push(`${about} ${field}: ${message}`),
  );
  t.strictSame(told, [
    "TrafficPolicy shop/a spec.timeouts: timeouts has no meaning on a Service; it goes on Gateway or HTTPRoute",
    'TrafficPolicy shop/b spec.targetRefs[0]: Deployment of the group "apps" is no target, expected Gateway, HTTPRoute or Service',
    "TrafficPolicy shop/c spec.targetRefs[0]: has no kind, expected Gateway, HTTPRoute or Service",
    "TrafficPolicy shop/d spec.targetRefs: names no target, expected Gateway, HTTPRoute or Service: the policy holds nowhere",
  ]);
  t.strictSame(book.service("shop", "web-stable", undefined).sections, { connection: { timeout: "2s" } });
  t.end();
});

test("policies: timeouts and connection reach routes and clusters; a bad duration is reported and left out", (t) => {
  const rules = (timeouts?: { request: string }) => [
    { backendRefs: [{ name: "web", port: 80 }], ...(timeouts && { timeouts }) },
  ];
  const { snapshot, problems } = translateGateway(
    input({
      httpRoutes: [
        httpRoute({ rules: rules() }),
        httpRoute({ hostnames: ["own.test"], rules: rules({ request: "9s" }) }, "own"),
      ],
      policies: [
        policy("times", "Gateway", "edge", { timeouts: { request: "3s", idle: "0s", stream: "1m" } }),
        policy("conn", "Service", "web", { connection: { timeout: "250ms" } }),
        policy("bad", "HTTPRoute", "own", { timeouts: { idle: "soon", stream: "0s" } }),
      ],
    }),
  );
  const action = (route: Route | undefined) =>
    route?.action.case === "route" ? route.action.value : undefined;
  const routes = snapshot.routes[0]?.virtualHosts.flatMap((host) => host.routes) ?? [];
  const [any, own] = [
    routes.find(({ name }) => name === "shop/web/0"),
    routes.find(({ name }) => name === "shop/own/0"),
  ];
  t.strictSame([durationMs(action(any)?.timeout), durationMs(action(any)?.idleTimeout)], [3_000, 0]);
  t.strictSame([durationMs(action(own)?.timeout), durationMs(action(own)?.idleTimeout)], [9_000, undefined]);
  const stream = (route: Route | undefined) =>
    durationMs(action(route)?.maxStreamDuration?.maxStreamDuration);
  t.strictSame([stream(any), stream(own)], [60_000, 0]);
  t.strictSame(
    snapshot.clusters.map(({ connectTimeout }) => durationMs(connectTimeout)),
    [250],
  );
  t.match(problems, [
    { about: "TrafficPolicy shop/bad", field: "spec.timeouts.idle", message: /"soon" is not a duration/ },
  ]);
  t.end();
});
