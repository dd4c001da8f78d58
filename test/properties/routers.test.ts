// For every split and every state in which a router's objects may be found: what it writes leads to objects that hold the split, and then it
// has nothing left to write. A failing case is printed shrunk, with its seed.
import fc from "fast-check";
import { test } from "tap";
import {
  type HeaderMatch,
  type KubeObject,
  type ManagedRoute,
  readRollout,
  splitFor,
  type TrafficIntent,
} from "../../src/api/api.ts";
import { jsonEqual } from "../../src/lib/json.ts";
import {
  CAPABILITIES,
  observeRouters,
  renderRouters,
  routerObjects,
  routerSettingsErrors,
} from "../../src/routers/routers.ts";
import { applied } from "../support/patched.ts";
import { HISTORY_OPTIONS } from "./options.ts";

type Trafficked = "nginx" | "alb";
type Settings = Readonly<Record<string, unknown>>;

const STRATEGY = { stableService: "web-stable", canaryService: "web-canary" };
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const text = fc.constantFrom("a", "b", "X-Beta", 'with "quotes"', "ünïcode", "{}");

const settings: Readonly<Record<Trafficked, fc.Arbitrary<Settings>>> = {
  nginx: fc.record(
    {
      stableIngresses: fc.constantFrom(["shop"], ["shop", "admin"]),
      annotationPrefix: fc.constantFrom("", "ingress.example.com"),
      additionalIngressAnnotations: fc.dictionary(fc.constantFrom("canary-by-header", "canary-weight"), text),
      canaryIngressAnnotations: fc.dictionary(fc.constantFrom("example.com/a", "example.com/b"), text),
    },
    { requiredKeys: ["stableIngresses"] },
  ),
  alb: fc.record(
    {
      ingresses: fc.constantFrom(["shop"], ["shop", "admin"]),
      servicePort: fc.constantFrom(80, 8443),
      annotationPrefix: fc.constantFrom("", "lb.example.com"),
      stickinessConfig: fc.record({ enabled: fc.boolean(), durationSeconds: fc.constantFrom(1, 604_800) }),
    },
    { requiredKeys: ["ingresses", "servicePort"] },
  ),
};

const match: fc.Arbitrary<HeaderMatch> = fc.record({
  name: fc.constantFrom("X-Beta", "X-Team", "Cookie"),
  value: fc.record({ kind: fc.constant("exact" as const), value: text }),
});
const NAMES = ["beta", "staff", "team"];
const routes: fc.Arbitrary<readonly ManagedRoute[]> = fc.uniqueArray(
  fc.record({
    kind: fc.constant("header" as const),
    name: fc.constantFrom(...NAMES),
    matches: fc.array(match, { minLength: 1, maxLength: 4 }),
  }),
  { selector: ({ name }) => name, maxLength: 3 },
);
const share = fc.record({
  podHash: fc.constant("e"),
  role: fc.constant("experiment" as const),
  weight: fc.integer({ min: 0, max: 20 }),
  service: maybe(fc.constantFrom("web-e1", "web-e2", "")),
});

const intent: fc.Arbitrary<TrafficIntent> = fc
  .record({
    canary: fc.integer({ min: 0, max: 60 }),
    shares: fc.array(share, { maxLength: 2 }),
    routes: maybe(routes),
  })
  .map(({ canary, shares, routes: managed }) => ({
    namespace: "shop",
    rollout: "web",
    ...STRATEGY,
    maxWeight: 100,
    versions: [
      {
        podHash: "old",
        role: "stable",
        weight: shares.reduce((left, { weight }) => left - weight, 100 - canary),
      },
      { podHash: "new", role: "canary", weight: canary },
      ...shares.map(({ service, ...rest }) => ({ ...rest, ...(service === undefined ? {} : { service }) })),
    ],
    ...(managed === undefined ? {} : { routes: managed }),
  }));

const path = fc.record({
  path: fc.constantFrom("/", "/api"),
  pathType: fc.constant("Prefix"),
  backend: fc
    .constantFrom("web-stable", "other", "beta")
    .map((name) => ({ service: { name, port: { number: 80 } } })),
});
const rules = fc
  .array(
    fc.record({
      host: text,
      http: maybe(fc.record({ paths: fc.array(path, { minLength: 1, maxLength: 3 }) })),
    }),
  )
  .map((list) => [...list, { http: { paths: [pathTo("web-stable")] } }]);

/** Ingresses as users write them: always with a rule for the stable Service. */
const ingresses = fc
  .tuple(rules, rules, fc.dictionary(fc.constantFrom("a.example.com/x", "b"), text))
  .map(([shop, admin, annotations]): readonly KubeObject[] => [
    ingress("shop", shop, annotations),
    ingress("admin", admin, {}),
  ]);

for (const router of ["nginx", "alb"] as const) {
  test(`routers: what ${router} writes is what it then observes, and writing it again is no change`, (t) => {
    const capabilities = CAPABILITIES[router];
    if (capabilities === undefined) throw new Error("not declared");
    const property = fc.property(settings[router], intent, intent, ingresses, (set, first, second, there) => {
      const { value: rollout } = readRollout(rolloutWith(router, set));
      let observed = there;
      for (const wanted of [first, second, first]) {
        observed = applied(observed, renderRouters(rollout, wanted, observed));
        const [seen] = observeRouters(rollout, observed);
        const state = { kind: "holds", split: splitFor(wanted, capabilities) };
        if (!jsonEqual(seen?.state, state))
          throw new Error(`${JSON.stringify(seen?.state)} instead of ${JSON.stringify(state)}`);
        const again = renderRouters(rollout, wanted, observed);
        if (again.length > 0) throw new Error(`not at rest: ${JSON.stringify(again)}`);
      }
    });
    t.doesNotThrow(() => fc.assert(property, HISTORY_OPTIONS));
    t.end();
  });
}

test("routers: whatever settings and objects the schemas let through, nothing throws", (t) => {
  const odd = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(null, {}, [], "shop", ["shop"], [null], [{ http: null }]),
  );
  const keys = [
    "ingress",
    "ingresses",
    "stableIngress",
    "stableIngresses",
    "servicePort",
    "stickinessConfig",
  ];
  const loose = fc.dictionary(
    fc.constantFrom(...keys, "annotationPrefix", "additionalIngressAnnotations"),
    odd,
  );
  const object = fc.record({ spec: odd, annotations: odd, rules: odd, paths: odd });
  const property = fc.property(loose, intent, object, (set, wanted, { spec, annotations, rules, paths }) => {
    const values = [spec, { rules }, { rules: [{ http: { paths } }] }];
    for (const router of ["nginx", "alb"] as const)
      for (const value of values) {
        const { value: rollout } = readRollout(rolloutWith(router, set));
        // What the API would refuse may still be read: routers see it as the schemas leave it.
        const metadata = {
          name: "shop",
          namespace: "shop",
          annotations,
        } as unknown as KubeObject["metadata"];
        const observed = [{ apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata, spec: value }];
        routerObjects(rollout);
        routerSettingsErrors(rollout);
        observeRouters(rollout, observed);
        renderRouters(rollout, wanted, observed);
      }
  });
  t.doesNotThrow(() => fc.assert(property, HISTORY_OPTIONS));
  t.end();
});

function rolloutWith(router: Trafficked, set: Settings): KubeObject {
  const managedRoutes = NAMES.map((name) => ({ name }));
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Rollout",
    metadata: { name: "web", namespace: "shop", uid: "uid-rollout" },
    spec: { strategy: { canary: { ...STRATEGY, trafficRouting: { [router]: set, managedRoutes } } } },
  };
}

function pathTo(name: string): unknown {
  return { path: "/", pathType: "Prefix", backend: { service: { name, port: { number: 80 } } } };
}

function ingress(name: string, ofIt: unknown, annotations: Readonly<Record<string, string>>): KubeObject {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, namespace: "shop", uid: `uid-${name}`, resourceVersion: "1", annotations },
    spec: { rules: ofIt },
  };
}
