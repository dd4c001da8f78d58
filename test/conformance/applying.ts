// Cases: `apply` over a server.
import { type KubeObject, LAST_APPLIED_ANNOTATION, RESOURCES } from "../../src/api/api.ts";
import { applyObject } from "../../src/cluster/client.ts";
import { aConfigMap, aReplicaSet, aRollout, type Case } from "./scene.ts";

function withReplicas(object: KubeObject, replicas: number | undefined): KubeObject {
  const { replicas: _old, ...spec } = Object(object.spec);
  return { ...object, spec: replicas === undefined ? spec : { ...spec, replicas } };
}

export const APPLYING: readonly Case[] = [
  {
    name: "apply: creates, then changes nothing, then changes what changed",
    async run(t, { client, namespace }) {
      const rollout = aRollout(namespace, "r");
      const made = await applyObject(client, rollout);
      t.equal(made.result, "created");
      const text = made.object.metadata.annotations?.[LAST_APPLIED_ANNOTATION] ?? "";
      t.strictSame(JSON.parse(text), { ...rollout, metadata: { ...rollout.metadata, annotations: {} } });
      const again = await applyObject(client, rollout);
      t.strictSame(
        [again.result, again.object.metadata.resourceVersion],
        ["unchanged", made.object.metadata.resourceVersion],
      );
      const more = await applyObject(client, withReplicas(rollout, 5));
      t.equal(more.result, "configured");
      t.match(more.object, { spec: { replicas: 5 }, metadata: { generation: 2 } });
    },
  },
  {
    name: "apply: removes what left the manifest and keeps what others wrote",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      await applyObject(
        client,
        aConfigMap(namespace, "c", { a: "1", b: "2" }, { labels: { mine: "x", too: "x" } }),
      );
      const foreign = { data: { other: "9" }, metadata: { labels: { theirs: "y" } } };
      await client.patch(RESOURCES.configMap, ref, { type: "merge", body: foreign });
      const { object } = await applyObject(
        client,
        aConfigMap(namespace, "c", { a: "1" }, { labels: { mine: "z" } }),
      );
      t.strictSame(
        [object.data, object.metadata.labels],
        [
          { a: "1", other: "9" },
          { mine: "z", theirs: "y" },
        ],
      );
    },
  },
  {
    name: "apply: replicas set by an autoscaler stay when the manifest does not name them",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "r" };
      const manifest = withReplicas(aRollout(namespace, "r"), undefined);
      await applyObject(client, manifest);
      await client.patch(RESOURCES.rollout, ref, { type: "merge", body: { spec: { replicas: 7 } } });
      const { object } = await applyObject(client, { ...manifest, metadata: { ...ref, labels: { a: "b" } } });
      t.match(object, { spec: { replicas: 7 }, metadata: { labels: { a: "b" } } });
    },
  },
  {
    name: "apply: defaults that the server filled in are no change; containers merge by name",
    async run(t, { client, namespace }) {
      const manifest = aReplicaSet(namespace, "rs");
      await applyObject(client, manifest);
      t.equal((await applyObject(client, manifest)).result, "unchanged");
      const sidecar = { name: "sidecar", image: "s:1" };
      const body = { spec: { template: { spec: { containers: [sidecar] } } } };
      await client.patch(RESOURCES.replicaSet, { namespace, name: "rs" }, { type: "strategic", body });
      t.equal((await applyObject(client, manifest)).result, "unchanged", "an injected container stays");
      const spec = structuredClone(Object(manifest.spec));
      spec.template.spec.containers[0].image = "web:2";
      const { object } = await applyObject(client, { ...manifest, spec });
      const containers: { name: string; image: string }[] = Object(object.spec).template.spec.containers;
      t.strictSame(containers.map(({ name, image }) => `${name} ${image}`).sort(), [
        "sidecar s:1",
        "web web:2",
      ]);
    },
  },
  {
    name: "apply: at the same time from several sides loses nobody's change",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { theirs: "1" }));
      const others = [1, 2, 3].map((number) =>
        client.patch(RESOURCES.configMap, ref, { type: "merge", body: { data: { [`o${number}`]: "x" } } }),
      );
      const applied = applyObject(client, aConfigMap(namespace, "c", { mine: "1" }));
      await Promise.all([...others, applied]);
      t.equal((await applied).hadLastApplied, false);
      t.match((await client.get(RESOURCES.configMap, ref))?.data, {
        theirs: "1",
        mine: "1",
        o1: "x",
        o2: "x",
        o3: "x",
      });
    },
  },
  {
    name: "apply: a dry run says what it would do and does nothing",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      const manifest = aConfigMap(namespace, "c", { a: "1" });
      t.equal((await applyObject(client, manifest, { dryRun: true })).result, "created");
      t.equal(await client.get(RESOURCES.configMap, ref), undefined);
      await applyObject(client, manifest);
      const dry = await applyObject(client, aConfigMap(namespace, "c", { a: "2" }), { dryRun: true });
      t.strictSame([dry.result, dry.object.data], ["configured", { a: "2" }]);
      t.match(await client.get(RESOURCES.configMap, ref), { data: { a: "1" } });
    },
  },
];
