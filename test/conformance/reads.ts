// Cases: get, list, selectors, paging, unknown kinds.
import type { Test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient } from "../../src/cluster/client.ts";
import { isObject } from "../../src/lib/json.ts";
import { aConfigMap, type Case, failure } from "./scene.ts";

const names = (items: readonly KubeObject[]): string[] => items.map(({ metadata }) => metadata.name).sort();

async function aShelf(client: ClusterClient, namespace: string): Promise<void> {
  const rows: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ["a", { app: "web", env: "prod" }],
    ["b", { app: "web", env: "test" }],
    ["c", { app: "db", env: "prod" }],
    ["d", {}],
  ];
  for (const [name, labels] of rows)
    await client.create(RESOURCES.configMap, aConfigMap(namespace, name, {}, { labels }));
}

async function selected(
  t: Test,
  client: ClusterClient,
  namespace: string,
  rows: readonly (readonly [string, readonly string[]])[],
): Promise<void> {
  for (const [labelSelector, expected] of rows) {
    const { items } = await client.list(RESOURCES.configMap, { namespace, labelSelector });
    t.strictSame(
      names(items).filter((name) => name !== "kube-root-ca.crt"),
      expected,
      labelSelector,
    );
  }
}

export const READS: readonly Case[] = [
  {
    name: "get: what is not there is undefined",
    async run(t, { client, namespace }) {
      t.equal(await client.get(RESOURCES.configMap, { namespace, name: "none" }), undefined);
    },
  },
  {
    name: "list: a label selector is carried out in all its forms",
    async run(t, { client, namespace }) {
      await aShelf(client, namespace);
      await selected(t, client, namespace, [
        ["app=web", ["a", "b"]],
        ["app==web,env=prod", ["a"]],
        ["app!=web", ["c", "d"]],
        ["env in (prod,test),app", ["a", "b", "c"]],
        ["env notin (prod)", ["b", "d"]],
        ["!app", ["d"]],
      ]);
    },
  },
  {
    name: "list: a field selector names one object; fields that cannot be selected are refused",
    async run(t, { client, namespace }) {
      await aShelf(client, namespace);
      const list = (fieldSelector: string) => client.list(RESOURCES.configMap, { namespace, fieldSelector });
      t.strictSame(names((await list("metadata.name=b")).items), ["b"]);
      const error = await failure(list("data.v=1"));
      t.strictSame([error.code, error.context.httpStatus], [CLUSTER_ERRORS.invalid, 400]);
    },
  },
  {
    name: "list: over all namespaces holds the objects of each",
    async run(t, { client, namespace, server }) {
      const other = await server.namespace();
      const labels = { shelf: namespace };
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "a", {}, { labels }));
      await client.create(RESOURCES.configMap, aConfigMap(other, "b", {}, { labels }));
      const { items } = await client.list(RESOURCES.configMap, { labelSelector: `shelf=${namespace}` });
      t.strictSame(names(items), ["a", "b"]);
    },
  },
  {
    name: "list: pages follow each other and show one moment",
    async run(t, { client, namespace }) {
      for (const name of ["a", "b", "c", "d", "e"])
        await client.create(RESOURCES.secret, {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name, namespace },
        });
      const page = async (token?: string) => {
        const at = `/api/v1/namespaces/${namespace}/secrets?limit=2${token === undefined ? "" : `&continue=${encodeURIComponent(token)}`}`;
        const body = await client.request("GET", at);
        const { metadata, items } = isObject(body) ? body : {};
        const list = Array.isArray(items) ? items.map((item: KubeObject) => item.metadata.name) : [];
        return { list, metadata: isObject(metadata) ? metadata : {} };
      };
      const first = await page();
      t.strictSame(first.list, ["a", "b"]);
      t.equal(first.metadata.remainingItemCount, 3);
      await client.create(RESOURCES.secret, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "bb", namespace },
      });
      await client.delete(RESOURCES.secret, { namespace, name: "d" });
      const second = await page(String(first.metadata.continue));
      const third = await page(String(second.metadata.continue));
      t.strictSame([second.list, third.list], [["c", "d"], ["e"]]);
      t.equal(third.metadata.continue ?? "", "");
      t.equal(third.metadata.resourceVersion, first.metadata.resourceVersion);
    },
  },
  {
    name: "requests: a kind that the server does not know is no missing object",
    async run(t, { client, namespace }) {
      const type = { ...RESOURCES.configMap, group: "example.com", plural: "nothings" };
      t.equal((await failure(client.list(type, { namespace }))).code, CLUSTER_ERRORS.notFound);
      t.match(await client.request("GET", "/version"), { major: /^\d+$/, gitVersion: /^v/ });
    },
  },
];
