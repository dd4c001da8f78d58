// Blue-green on proxies: the active Service is one version, the preview another, and a switch breaks nothing in whatever order the Service,
// its slices and the intent are seen to change.
import { test } from "tap";
import type { Pod, TrafficIntent } from "../../src/api/api.ts";
import { createMemo, type TranslateInput, translateGateway } from "../../src/translate/translate.ts";
import { httpRoute, input, service, slice, weightsOf } from "./support.ts";

const blueGreen = (stable: number, canary: number, previewService = "web-preview"): TrafficIntent => ({
  namespace: "shop",
  rollout: "web",
  stableService: "web-active",
  canaryService: previewService,
  isBlueGreen: true,
  maxWeight: 100,
  versions: [
    { podHash: "old", role: "stable", weight: stable },
    { podHash: "new", role: "canary", weight: canary },
  ],
});
const to = (name: string) => httpRoute({ rules: [{ backendRefs: [{ name, port: 80 }] }] }, name);
const hashes: Readonly<Record<string, string>> = { a: "old", bb: "new" };
const OLD = "shop/web-active:80/old";
const NEW = "shop/web-active:80/new";

/** Translations of one Gateway in turn, each of what is seen by then. */
function series(routes = [to("web-active")]) {
  const memo = createMemo();
  let living = hashes;
  const translated = (intent: TrafficIntent, pods: Readonly<Record<string, readonly string[]>>) => {
    const seen: TranslateInput = input({
      httpRoutes: routes,
      intents: [intent],
      memo,
      service: (_namespace, name) => (name in pods ? service(name) : undefined),
      slices: (_namespace, name) => [slice(8080, pods[name] ?? [])],
      podHash: (_namespace, pod) => living[pod],
    });
    const { snapshot, withheld } = translateGateway(seen);
    const addresses = (cluster: string) =>
      snapshot.endpoints
        .find(({ clusterName }) => clusterName === cluster)
        ?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints).length;
    const route = snapshot.routes[0]?.virtualHosts[0]?.routes[0];
    return { weights: weightsOf(route), old: addresses(OLD), new: addresses(NEW), withheld: withheld.size };
  };
  return {
    translated,
    remove(pod: string): void {
      living = Object.fromEntries(Object.entries(living).filter(([name]) => name !== pod));
    },
  };
}

test("blue-green: the active Service follows the weights, the preview stands for the newest version", async (t) => {
  const pods = { "web-active": ["a"], "web-preview": ["bb"] };
  const { translated } = series();
  t.strictSame(translated(blueGreen(100, 0), pods).weights, { [OLD]: 1 });
  t.strictSame(translated(blueGreen(0, 100), pods).weights, { [NEW]: 1 });
  const preview = series([to("web-preview")]);
  t.strictSame(preview.translated(blueGreen(100, 0), pods).weights, { [NEW]: 1 });
  t.strictSame(preview.translated(blueGreen(0, 100), pods).weights, { [NEW]: 1 });
  const promoted: TrafficIntent = {
    ...blueGreen(0, 100),
    versions: [{ podHash: "new", role: "stable", weight: 100 }],
  };
  t.strictSame(preview.translated(promoted, pods).weights, { [NEW]: 1 });
});

test("blue-green: a switched Service leaves its old version in place until the intent says so", async (t) => {
  const { translated } = series();
  const before = translated(blueGreen(100, 0), { "web-active": ["a"], "web-preview": ["bb"] });
  t.strictSame(before, { weights: { [OLD]: 1 }, old: 1, new: 1, withheld: 0 });
  // The slices of the Service are seen first.
  const switched = { "web-active": ["bb"], "web-preview": ["bb"] };
  t.strictSame(translated(blueGreen(100, 0), switched), before);
  t.strictSame(translated(blueGreen(0, 100), switched), { ...before, weights: { [NEW]: 1 } });
  t.strictSame(translated(blueGreen(0, 100), switched).old, 1, "as long as a proxy may still send there");
  // And back again, before the slices follow.
  t.strictSame(translated(blueGreen(100, 0), switched), before);
});

test("blue-green: without a preview Service the old version serves until the new one has endpoints", async (t) => {
  const { translated } = series();
  const none = "";
  translated(blueGreen(100, 0, none), { "web-active": ["a"] });
  const early = translated(blueGreen(0, 100, none), { "web-active": ["a"] });
  t.strictSame(early, { weights: { [OLD]: 1 }, old: 1, new: 0, withheld: 1 });
  const gap = translated(blueGreen(0, 100, none), { "web-active": [] });
  t.strictSame(gap, early, "between the old endpoints and the new ones");
  const late = translated(blueGreen(0, 100, none), { "web-active": ["bb"] });
  t.strictSame(late, { weights: { [NEW]: 1 }, old: 1, new: 1, withheld: 0 });
});

test("blue-green: endpoints go with their pods", async (t) => {
  const { translated, remove } = series();
  translated(blueGreen(100, 0), { "web-active": ["a"], "web-preview": ["bb"] });
  remove("a");
  t.equal(translated(blueGreen(100, 0), { "web-active": [], "web-preview": ["bb"] }).old, 0);
});

test("blue-green: no Service is reachable that no route leads to", async (t) => {
  const { snapshot, rollouts } = translateGateway(input({ intents: [blueGreen(100, 0)] }));
  t.strictSame(snapshot.routes[0]?.virtualHosts, []);
  t.equal(rollouts.size, 0);
});

test("blue-green: a new leader finds a version that no Service selects by its pods", async (t) => {
  const pod = (name: string, hash: string, more: object = {}, isReady = true): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "shop", labels: { "rollouts-pod-template-hash": hash }, ...more },
    spec: { containers: [{ name: "main", ports: [{ name: "web", containerPort: 8080 }] }] },
    status: {
      podIP: `10.244.1.${name.length}`,
      conditions: [{ type: "Ready", status: isReady ? "True" : "False" }],
    },
  });
  const pods = [
    pod("a", "old"),
    pod("aa", "old", { annotations: { "weir.dev/ports": '{"8080":31001}' } }),
    pod("aaa", "old", {}, false),
    pod("aaaa", "old", { deletionTimestamp: "2026-01-01T00:00:00Z" }),
    pod("aaaaa", "old", { annotations: { "weir.dev/endpoints": "10.0.0.5:8080" } }),
    pod("bb", "new"),
  ];
  const seen = (targetPort: number | string) => {
    const made = service("web-active");
    const asked = input({
      httpRoutes: [to("web-active")],
      intents: [blueGreen(0, 100, "")],
      service: () => ({ ...made, spec: { ...made.spec, ports: [{ name: "http", port: 80, targetPort }] } }),
      slices: () => [slice(8080, ["bb"])],
      podHash: (_namespace, name) => hashes[name],
      pods: (_namespace, hash) =>
        pods.filter(({ metadata }) => metadata.labels?.["rollouts-pod-template-hash"] === hash),
    });
    const { snapshot } = translateGateway(asked);
    return snapshot.endpoints
      .find(({ clusterName }) => clusterName === OLD)
      ?.endpoints.flatMap(({ lbEndpoints }) =>
        lbEndpoints.map(({ hostIdentifier }) => {
          const address =
            hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
          const { value } = address ?? {};
          return address?.case === "socketAddress" && value !== undefined
            ? `${address.value.address}:${address.value.portSpecifier.value}`
            : "";
        }),
      );
  };
  const expected = ["10.244.1.1:8080", "10.244.1.2:31001"];
  t.strictSame(seen(8080), expected);
  t.strictSame(seen("web"), expected, "a port by its name");
  t.strictSame(seen("none") ?? [], [], "the pods have no port of that name");
});
