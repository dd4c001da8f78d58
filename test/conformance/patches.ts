// Cases: merge patch, JSON patch, strategic merge patch.
import { RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS } from "../../src/cluster/client.ts";
import { aConfigMap, aReplicaSet, aRollout, type Case, refused } from "./scene.ts";

export const PATCHES: readonly Case[] = [
  {
    name: "merge patch: sets, deletes with null, and leaves the rest",
    async run(t, { client, namespace }) {
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { a: "1", b: "2", c: "3" }));
      const body = { data: { a: "9", b: null }, metadata: { labels: { x: "y" } } };
      const patched = await client.patch(
        RESOURCES.configMap,
        { namespace, name: "c" },
        { type: "merge", body },
      );
      t.strictSame([patched.data, patched.metadata.labels], [{ a: "9", c: "3" }, { x: "y" }]);
    },
  },
  {
    name: "merge patch: with an old resourceVersion is a conflict",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      const made = await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { v: "1" }));
      await client.patch(RESOURCES.configMap, ref, { type: "merge", body: { data: { v: "2" } } });
      const { resourceVersion } = made.metadata;
      const body = { metadata: { resourceVersion }, data: { v: "3" } };
      await refused(t, client.patch(RESOURCES.configMap, ref, { type: "merge", body }), {
        code: CLUSTER_ERRORS.conflict,
        httpStatus: 409,
        reason: "Conflict",
      });
    },
  },
  {
    name: "merge patch: of an object that is not there is NotFound",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "none" };
      await refused(t, client.patch(RESOURCES.configMap, ref, { type: "merge", body: {} }), {
        code: CLUSTER_ERRORS.notFound,
        httpStatus: 404,
        reason: "NotFound",
      });
    },
  },
  {
    name: "JSON patch: carries out its operations in order, all or none",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { a: "1" }));
      const patched = await client.patch(RESOURCES.configMap, ref, {
        type: "json",
        body: [
          { op: "test", path: "/data/a", value: "1" },
          { op: "add", path: "/data/b", value: "2" },
          { op: "add", path: "/metadata/annotations", value: {} },
          { op: "add", path: "/metadata/annotations/x.dev~1y", value: "z" },
          { op: "remove", path: "/data/a" },
        ],
      });
      t.strictSame([patched.data, patched.metadata.annotations], [{ b: "2" }, { "x.dev/y": "z" }]);
    },
  },
  {
    name: "JSON patch: a test that fails refuses the whole",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { a: "1" }));
      const body = [
        { op: "replace", path: "/data/a", value: "2" },
        { op: "test", path: "/data/a", value: "1" },
      ];
      await refused(t, client.patch(RESOURCES.configMap, ref, { type: "json", body }), {
        code: CLUSTER_ERRORS.invalid,
        httpStatus: 422,
        reason: "Invalid",
      });
      t.match(await client.get(RESOURCES.configMap, ref), { data: { a: "1" } });
    },
  },
  {
    name: "strategic patch: lists of built-in kinds merge by key",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "s" };
      const ports = [
        { name: "http", port: 80, protocol: "TCP", targetPort: 8080 },
        { name: "admin", port: 81, protocol: "TCP", targetPort: 8081 },
      ];
      const service = {
        apiVersion: "v1",
        kind: "Service",
        metadata: { ...ref },
        spec: { ports, selector: { a: "b" } },
      };
      await client.create(RESOURCES.service, service);
      const patch = (body: unknown) => client.patch(RESOURCES.service, ref, { type: "strategic", body });
      const changed = await patch({ spec: { ports: [{ port: 81, targetPort: 9 }], selector: { c: "d" } } });
      t.match(changed.spec, { ports: [ports[0], { name: "admin", port: 81, targetPort: 9 }] });
      t.strictSame(Object(changed.spec).selector, { a: "b", c: "d" });
      const fewer = await patch({
        spec: { ports: [{ $patch: "delete", port: 81 }], selector: { $patch: "replace", e: "f" } },
      });
      t.match(fewer.spec, { ports: [{ name: "http" }] });
      t.strictSame([Object(fewer.spec).ports.length, Object(fewer.spec).selector], [1, { e: "f" }]);
    },
  },
  {
    name: "strategic patch: reaches into pod templates by container and variable name",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "rs" };
      await client.create(RESOURCES.replicaSet, aReplicaSet(namespace, "rs"));
      const container = { name: "web", env: [{ name: "B", value: "2" }] };
      const body = { spec: { template: { spec: { containers: [container] } } } };
      const patched = await client.patch(RESOURCES.replicaSet, ref, { type: "strategic", body });
      const [web] = Object(patched.spec).template.spec.containers;
      t.equal(web.image, "web:1");
      const env = web.env.map(
        (variable: { name: string; value: string }) => `${variable.name}=${variable.value}`,
      );
      t.strictSame(env.sort(), ["A=1", "B=2"]);
      t.equal(patched.metadata.generation, 2);
    },
  },
  {
    name: "strategic patch: is refused for custom kinds, and so are content types that are none",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "r" };
      await client.create(RESOURCES.rollout, aRollout(namespace, "r"));
      const unsupported = { code: CLUSTER_ERRORS.invalid, httpStatus: 415, reason: "UnsupportedMediaType" };
      await refused(t, client.patch(RESOURCES.rollout, ref, { type: "strategic", body: {} }), unsupported);
      const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/rollouts/r`;
      await refused(
        t,
        client.request("PATCH", path, { body: {}, contentType: "application/json" }),
        unsupported,
      );
    },
  },
];
