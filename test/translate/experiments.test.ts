// Versions of an experiment: beside stable and canary, each with its own share and the Service that selects its pods.
import { test } from "tap";
import type { Service, TrafficIntent } from "../../src/api/api.ts";
import { translateGateway } from "../../src/translate/translate.ts";
import { httpRoute, input, intent, service, slice, weightsOf } from "./support.ts";

const withExperiment: TrafficIntent = {
  ...intent(70, 20),
  versions: [
    ...intent(70, 20).versions,
    { podHash: "eee", role: "experiment", weight: 10, service: "web-exp" },
  ],
};
const route = httpRoute({ rules: [{ backendRefs: [{ name: "web-stable", port: 80 }] }] });
const pods: Readonly<Record<string, readonly string[]>> = {
  "web-stable": ["a"],
  "web-canary": ["bb"],
  "web-exp": ["eee"],
};
const hashes: Readonly<Record<string, string>> = { a: "aaa", bb: "bbb", eee: "eee" };

const translated = (named = pods, exp: Partial<Service["spec"]> = {}) =>
  translateGateway(
    input({
      httpRoutes: [route],
      intents: [withExperiment],
      service: (_namespace, name) =>
        name === "web-exp" ? { ...service(name), spec: { ...service(name).spec, ...exp } } : service(name),
      slices: (_namespace, name) => [slice(8080, named[name] ?? [])],
      podHash: (_namespace, pod) => hashes[pod],
    }),
  );
const routeOf = ({ snapshot }: ReturnType<typeof translated>) =>
  snapshot.routes[0]?.virtualHosts[0]?.routes[0];
const sizes = ({ snapshot }: ReturnType<typeof translated>) =>
  Object.fromEntries(
    snapshot.endpoints.map(({ clusterName, endpoints }) => [
      clusterName,
      endpoints.reduce((sum, { lbEndpoints }) => sum + lbEndpoints.length, 0),
    ]),
  );

test("experiment: its version has a share of its own, with the endpoints of its own Service", async (t) => {
  const translation = translated();
  t.strictSame(translation.problems, []);
  t.strictSame(weightsOf(routeOf(translation)), {
    "shop/web-stable:80/bbb": 20,
    "shop/web-exp:80/eee": 10,
    "shop/web-stable:80/aaa": 70,
  });
  t.strictSame(sizes(translation), {
    "shop/web-exp:80/eee": 1,
    "shop/web-stable:80/aaa": 1,
    "shop/web-stable:80/bbb": 1,
  });
});

test("experiment: a version without endpoints hands its share to stable, and is withheld", async (t) => {
  const translation = translated({ ...pods, "web-exp": [] });
  t.strictSame(weightsOf(routeOf(translation)), {
    "shop/web-stable:80/bbb": 20,
    "shop/web-stable:80/aaa": 80,
  });
  t.strictSame(
    [...translation.withheld],
    [["shop/web", { why: "version eee has no endpoint in any Service", clusters: ["shop/web-exp:80/eee"] }]],
  );
});

test("experiment: its Service is found by the port that the Rollout's Service leads to", async (t) => {
  const shop = (ports: Service["spec"]["ports"], own: Service["spec"]["ports"]) => {
    const { snapshot } = translateGateway(
      input({
        httpRoutes: [route],
        intents: [withExperiment],
        service: (_namespace, name) => ({
          ...service(name),
          spec: { selector: {}, ports: (name === "web-exp" ? own : ports) ?? [] },
        }),
      }),
    );
    return snapshot.clusters.map(({ name }) => name).find((name) => name.includes("web-exp"));
  };
  const http = { name: "http", port: 80, targetPort: 8080 };
  t.equal(shop([http], [{ port: 8080 }, { port: 80 }]), "shop/web-exp:8080/eee", "by number");
  const named = { name: "web", port: 80, targetPort: "http" };
  t.equal(shop([named], [{ name: "http", port: 9000 }, { port: 1 }]), "shop/web-exp:9000/eee", "by name");
  t.equal(shop([http], [{ port: 80 }, { port: 81 }]), "shop/web-exp:80/eee", "the same port");
  t.equal(shop([http], [{ port: 3000 }]), "shop/web-exp:3000/eee", "the only one");
});
