// Cases: what happens to the dependents of a deleted owner. On Kubernetes the controller manager does this in its own time.
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import type { ClusterClient } from "../../src/cluster/client.ts";
import { aConfigMap, type Case, eventually } from "./scene.ts";

function ownedBy(
  owner: KubeObject,
  more = {},
): NonNullable<KubeObject["metadata"]["ownerReferences"]>[number] {
  const { name, uid = "" } = owner.metadata;
  return { apiVersion: "v1", kind: "ConfigMap", name, uid, ...more };
}

async function family(
  client: ClusterClient,
  namespace: string,
): Promise<{ owner: KubeObject; child: KubeObject; ref: { namespace: string; name: string } }> {
  const owner = await client.create(RESOURCES.configMap, aConfigMap(namespace, "owner"));
  const ownerReferences = [ownedBy(owner, { controller: true, blockOwnerDeletion: true })];
  const child = await client.create(
    RESOURCES.configMap,
    aConfigMap(namespace, "child", {}, { ownerReferences }),
  );
  return { owner, child, ref: { namespace, name: "owner" } };
}

const isGone = (client: ClusterClient, namespace: string, name: string): Promise<true> =>
  eventually(`${name} is gone`, async () =>
    (await client.get(RESOURCES.configMap, { namespace, name })) === undefined ? true : undefined,
  );

export const OWNERS: readonly Case[] = [
  {
    name: "owners: deleted in the background take their dependents along, and theirs",
    async run(t, { client, namespace }) {
      const { child, ref } = await family(client, namespace);
      const ownerReferences = [ownedBy(child)];
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "grandchild", {}, { ownerReferences }));
      await client.delete(RESOURCES.configMap, ref);
      t.equal(await client.get(RESOURCES.configMap, ref), undefined, "the owner goes at once");
      t.equal(await isGone(client, namespace, "child"), true);
      t.equal(await isGone(client, namespace, "grandchild"), true);
    },
  },
  {
    name: "owners: deleted in the foreground go after their dependents",
    async run(t, { client, namespace }) {
      const { ref } = await family(client, namespace);
      const child = { namespace, name: "child" };
      const hold = { metadata: { finalizers: ["weir.dev/hold"] } };
      await client.patch(RESOURCES.configMap, child, { type: "merge", body: hold });
      await client.delete(RESOURCES.configMap, ref, { propagationPolicy: "Foreground" });
      await eventually(
        "the child is being deleted",
        async () => (await client.get(RESOURCES.configMap, child))?.metadata.deletionTimestamp,
      );
      const owner = await client.get(RESOURCES.configMap, ref);
      t.match(owner?.metadata, { deletionTimestamp: /Z$/, finalizers: ["foregroundDeletion"] });
      await client.patch(RESOURCES.configMap, child, {
        type: "merge",
        body: { metadata: { finalizers: null } },
      });
      t.equal(await isGone(client, namespace, "child"), true);
      t.equal(await isGone(client, namespace, "owner"), true);
    },
  },
  {
    name: "owners: deleted as orphaning leave their dependents without the reference",
    async run(t, { client, namespace }) {
      const { ref } = await family(client, namespace);
      await client.delete(RESOURCES.configMap, ref, { propagationPolicy: "Orphan" });
      t.equal(await isGone(client, namespace, "owner"), true);
      const child = await client.get(RESOURCES.configMap, { namespace, name: "child" });
      t.equal(child?.metadata.deletionTimestamp, undefined);
      t.strictSame(child?.metadata.ownerReferences ?? [], []);
    },
  },
  {
    name: "owners: a dependent of two stays until the second is gone",
    async run(t, { client, namespace }) {
      const first = await client.create(RESOURCES.configMap, aConfigMap(namespace, "first"));
      const second = await client.create(RESOURCES.configMap, aConfigMap(namespace, "second"));
      const ownerReferences = [ownedBy(first), ownedBy(second)];
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "child", {}, { ownerReferences }));
      await client.delete(RESOURCES.configMap, { namespace, name: "first" });
      const left = await eventually("the reference to the first is gone", async () => {
        const child = await client.get(RESOURCES.configMap, { namespace, name: "child" });
        const names = child?.metadata.ownerReferences?.map(({ name }) => name) ?? [];
        return names.includes("first") ? undefined : names;
      });
      t.strictSame(left, ["second"]);
      await client.delete(RESOURCES.configMap, { namespace, name: "second" });
      t.equal(await isGone(client, namespace, "child"), true);
    },
  },
  {
    name: "owners: a dependent of an owner that never was is collected",
    async run(t, { client, namespace }) {
      const ghost = aConfigMap(namespace, "ghost", {}, { uid: "11111111-2222-3333-4444-555555555555" });
      const ownerReferences = [ownedBy(ghost)];
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "child", {}, { ownerReferences }));
      t.equal(await isGone(client, namespace, "child"), true);
    },
  },
];
