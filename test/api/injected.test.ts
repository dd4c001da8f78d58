// Telling what a controller injected from what the user wrote.
import { test } from "tap";
import {
  avoidedVersion,
  injectedMetadata,
  plainAffinity,
  plainTemplate,
  rememberedMetadata,
  semanticallyEqualTemplates,
  withAvoidance,
} from "../../src/api/api.ts";

const ours = { podHash: "abc", namespace: "default" };
const zone = { labelSelector: { matchLabels: { app: "db" } }, topologyKey: "zone" };

test("injected: a rule that was put in comes out again, and nothing else with it", async (t) => {
  const affinities: unknown[] = [
    undefined,
    { nodeAffinity: { x: 1 } },
    { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [zone] } },
    {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: zone }],
      },
    },
  ];
  for (const affinity of affinities)
    for (const rule of [ours, { ...ours, weight: 7 }]) {
      const injected = withAvoidance(affinity, rule);
      t.equal(avoidedVersion(injected), "abc");
      t.strictSame(plainAffinity(injected), affinity);
      t.equal(avoidedVersion(affinity), undefined);
      t.equal(plainAffinity(affinity), affinity);
    }
});

test("injected: a template with both injections means what the user's own means", async (t) => {
  const own = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "a", image: "web:1" }] } };
  const remembered = rememberedMetadata({ labels: { role: "canary" }, annotations: { note: "x" } }) ?? "";
  t.equal(remembered, '{"labels":{"role":"canary"},"annotations":{"note":"x"}}');
  const template = {
    metadata: { labels: { app: "web", role: "canary" }, annotations: { note: "x" } },
    spec: { ...own.spec, affinity: withAvoidance(undefined, ours) },
  };
  const annotations = { "rollout.argoproj.io/ephemeral-metadata": remembered };
  t.ok(semanticallyEqualTemplates(plainTemplate({ metadata: { annotations }, spec: { template } }), own));
  t.notOk(semanticallyEqualTemplates(plainTemplate({ metadata: {}, spec: { template } }), own));
});

test("injected: what somebody else wrote into the annotation is nothing that is known", async (t) => {
  for (const text of ["", "no JSON", "[]", "null", '{"labels":7,"annotations":{"a":1}}'])
    t.strictSame(injectedMetadata({ "rollout.argoproj.io/ephemeral-metadata": text }), {
      labels: {},
      annotations: {},
    });
  t.equal(rememberedMetadata({ labels: {}, annotations: {} }), undefined);
});
