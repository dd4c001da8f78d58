// Translations that take over from the one before: equal to those that do not, and nothing is made anew that did not change.
import fc from "fast-check";
import { test } from "tap";
import type { TrafficIntent } from "../../src/api/api.ts";
import { createMemo, type TranslateInput, translateGateway } from "../../src/translate/translate.ts";
import { GroupTable } from "../../src/xds/groups.ts";
import { publicationOf } from "../../src/xds/snapshot.ts";
import {
  ClusterLoadAssignmentSchema,
  fromBinary,
  RouteConfigurationSchema,
  type XdsSnapshot,
} from "../../src/xds/types.ts";
import { httpRoute, input, intent, slice } from "./support.ts";

const named = (name: string, stable: number, canary: number): TrafficIntent => ({
  ...intent(stable, canary),
  rollout: name,
  stableService: `${name}-stable`,
  canaryService: `${name}-canary`,
});
const route = (name: string) =>
  httpRoute(
    { hostnames: [`${name}.example.com`], rules: [{ backendRefs: [{ name: `${name}-stable`, port: 80 }] }] },
    name,
  );
const podHash: TranslateInput["podHash"] = (_namespace, pod) => (pod.startsWith("a") ? "aaa" : "bbb");

/** Two Rollouts, `web` behind an HTTPRoute and `web2` under its Service's names. */
function twoRollouts(canary: number, changes: Partial<TranslateInput> = {}): TranslateInput {
  const slices: TranslateInput["slices"] = (_namespace, name) =>
    name.endsWith("-stable") ? [slice(8081, ["a"])] : [slice(8082, ["b"])];
  const intents = [named("web", 100 - canary, canary), named("web2", 50, 50)];
  return input({ httpRoutes: [route("web")], intents, slices, podHash, ...changes });
}

const hostsOf = (snapshot: XdsSnapshot) => snapshot.routes[0]?.virtualHosts ?? [];

test("memo: a changed weight makes one route and its host anew, everything else is taken over", async (t) => {
  const memo = createMemo();
  const { snapshot: first } = translateGateway({ ...twoRollouts(10), memo });
  const { snapshot: second } = translateGateway({ ...twoRollouts(20), memo });
  const anew = (before: readonly unknown[], after: readonly unknown[]): number =>
    after.filter((message) => !before.includes(message)).length;
  t.equal(anew(first.clusters, second.clusters), 0);
  t.equal(anew(first.endpoints, second.endpoints), 0);
  t.strictSame(
    hostsOf(second)
      .filter((host) => !hostsOf(first).includes(host))
      .map(({ name }) => name),
    ["web.example.com"],
  );
  t.equal(hostsOf(second).length, 5);
  const groups = new GroupTable();
  const before = groups.publish("edge", first).publication;
  const { publication: after, isNew } = groups.publish("edge", second);
  t.equal(isNew, true);
  t.equal(after.versions.endpoints, before.versions.endpoints);
  t.not(after.versions.routes, before.versions.routes);
  for (const [name, entry] of after.entries.endpoints)
    t.equal(before.entries.endpoints.get(name), entry, "it is not encoded again");
});

test("memo: what is made of changed endpoints, and of what came back, is made anew", async (t) => {
  const memo = createMemo();
  const portsOf = (changes: Partial<TranslateInput>): readonly unknown[] => {
    const { snapshot } = translateGateway({ ...twoRollouts(10, changes), memo });
    return snapshot.endpoints.map(({ endpoints }) => endpoints[0]?.lbEndpoints.length ?? 0);
  };
  t.strictSame(portsOf({}), [1, 1, 1, 1]);
  t.strictSame(portsOf({ slices: () => [slice(8081, ["a", "aa", "b"])] }), [2, 1, 2, 1]);
  t.strictSame(portsOf({ slices: () => [] }), [0, 0, 0, 0]);
  t.strictSame(portsOf({}), [1, 1, 1, 1]);
});

test("memo: what is not carried out is reported in every translation", async (t) => {
  const memo = createMemo();
  const rules = [{ backendRefs: [{ name: "web-stable", port: 80 }], retry: { attempts: -1 } }];
  const asked = { ...twoRollouts(10, { httpRoutes: [httpRoute({ rules })] }), memo };
  const { problems } = translateGateway(asked);
  t.equal(problems.length, 1);
  t.strictSame(translateGateway(asked).problems, problems);
});

test("memo: a published route configuration is the message that it was made of", async (t) => {
  const { snapshot } = translateGateway(twoRollouts(30));
  const { entries } = publicationOf(1, snapshot);
  const [entry] = entries.routes.values();
  t.strictSame(
    fromBinary(RouteConfigurationSchema, entry?.any.value ?? new Uint8Array()),
    snapshot.routes[0],
  );
  const [assignment] = entries.endpoints.values();
  const read = fromBinary(ClusterLoadAssignmentSchema, assignment?.any.value ?? new Uint8Array());
  t.strictSame(read, snapshot.endpoints[0]);
});

test("memo: over any history the publications are those of translations without one", async (t) => {
  const scene = fc.record({
    canary: fc.integer({ min: 0, max: 100 }),
    pods: fc.subarray(["a", "aa", "aaa", "b", "bb"]),
    routes: fc.subarray(["web", "web2"]),
    isReady: fc.boolean(),
  });
  const property = fc.property(fc.array(scene, { minLength: 1, maxLength: 12 }), (history) => {
    const memo = createMemo();
    for (const { canary, pods, routes, isReady } of history) {
      const asked = twoRollouts(canary, {
        httpRoutes: routes.map(route),
        slices: () => [slice(8081, pods, isReady)],
      });
      const kept = publicationOf(1, translateGateway({ ...asked, memo }).snapshot);
      const anew = publicationOf(1, translateGateway(asked).snapshot);
      t.strictSame(kept.versions, anew.versions);
    }
  });
  fc.assert(property, { numRuns: 60 });
});
