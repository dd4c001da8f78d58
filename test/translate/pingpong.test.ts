// Services that swap their parts, and weights that add up to something else than 100.
import { test } from "tap";
import type { TrafficIntent } from "../../src/api/api.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import { httpRoute, input, intent, service, slice, weightsOf } from "./support.ts";

const swapped = (stable: "ping" | "pong", weight: number, services = ["web-ping"]) => {
  const canary = stable === "ping" ? "pong" : "ping";
  const pingPong: TrafficIntent = {
    ...intent(100 - weight, weight),
    stableService: `web-${stable}`,
    canaryService: `web-${canary}`,
    rootService: "web-ping",
  };
  const rules = [{ backendRefs: services.map((name) => ({ name, port: 80 })) }];
  return translateGateway(
    input({
      httpRoutes: services.length === 0 ? [] : [httpRoute({ rules })],
      intents: [pingPong],
      slices: (_namespace, name) => [slice(8080, [name === `web-${stable}` ? "a" : "bb"])],
      podHash: (_namespace, pod) => (pod === "a" ? "aaa" : "bbb"),
    }),
  );
};
const firstRoute = ({ snapshot }: ReturnType<typeof swapped>) =>
  snapshot.routes[0]?.virtualHosts[0]?.routes[0];

test("ping-pong: clusters keep their names whichever Service is the stable one", async (t) => {
  const split = { "shop/web-ping:80/aaa": 70, "shop/web-ping:80/bbb": 30 };
  for (const stable of ["ping", "pong"] as const)
    for (const services of [["web-ping"], ["web-pong"]])
      t.strictSame(weightsOf(firstRoute(swapped(stable, 30, services))), split, `${stable} ${services[0]}`);
});

test("ping-pong: both Services in one rule are one split", async (t) => {
  const { snapshot } = swapped("pong", 30, ["web-ping", "web-pong"]);
  t.strictSame(weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]), {
    "shop/web-ping:80/aaa": 140,
    "shop/web-ping:80/bbb": 60,
  });
});

test("ping-pong: without an HTTPRoute the hosts are those of ping for good", async (t) => {
  const hosts = (stable: "ping" | "pong") =>
    swapped(stable, 0, []).snapshot.routes[0]?.virtualHosts.map(({ name }) => name);
  t.strictSame(hosts("pong"), hosts("ping"));
  t.ok(hosts("pong")?.includes("web-ping.shop.svc"));
});

test("ping-pong: an experiment's port is found from the Service that clients know", async (t) => {
  const withExperiment: TrafficIntent = {
    ...intent(90, 0),
    stableService: "web-pong",
    canaryService: "web-ping",
    rootService: "web-ping",
    versions: [
      { podHash: "aaa", role: "stable", weight: 90 },
      { podHash: "eee", role: "experiment", weight: 10, service: "web-exp" },
    ],
  };
  const { snapshot } = translateGateway(
    input({
      httpRoutes: [httpRoute({ rules: [{ backendRefs: [{ name: "web-pong", port: 80 }] }] })],
      intents: [withExperiment],
      service: (_namespace, name) => ({
        ...service(name),
        spec: {
          selector: {},
          ports: [name === "web-exp" ? { name: "http", port: 8080 } : { port: 80, targetPort: "http" }],
        },
      }),
    }),
  );
  t.strictSame(
    snapshot.clusters.map(({ name }) => name),
    ["shop/web-exp:8080/eee", "shop/web-ping:80/aaa"],
  );
});

test("maxTrafficWeight: parts of a thousand are kept exactly, beside other backends too", async (t) => {
  const thousand = { ...intent(999, 1), maxWeight: 1000 };
  const backendRefs = [
    { name: "web-stable", port: 80, weight: 1 },
    { name: "other", port: 80, weight: 1 },
  ];
  const weights = (refs: typeof backendRefs) => {
    const route = httpRoute({ rules: [{ backendRefs: refs }] });
    const { snapshot } = translateGateway(input({ httpRoutes: [route], intents: [thousand] }));
    return weightsOf(snapshot.routes[0]?.virtualHosts[0]?.routes[0]);
  };
  const split = { "shop/web-stable:80/bbb": 1, "shop/web-stable:80/aaa": 999 };
  t.strictSame(weights(backendRefs.slice(0, 1)), split);
  t.strictSame(weights(backendRefs), { ...split, "shop/other:80": 1000 });
});
