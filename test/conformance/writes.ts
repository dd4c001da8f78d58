// Cases: create, update, delete, their preconditions, generation, the status subresource, finalizers, dry runs.
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS } from "../../src/cluster/client.ts";
import { aConfigMap, aRollout, type Case, eventually, refused } from "./scene.ts";

const CONFLICT = { code: CLUSTER_ERRORS.conflict, httpStatus: 409, reason: "Conflict" };
const INVALID = { code: CLUSTER_ERRORS.invalid, httpStatus: 422, reason: "Invalid" };
const NOT_FOUND = { code: CLUSTER_ERRORS.notFound, httpStatus: 404, reason: "NotFound" };

export const WRITES: readonly Case[] = [
  {
    name: "create: fills in uid, version, time and generation",
    async run(t, { client, namespace }) {
      const made = await client.create(RESOURCES.rollout, aRollout(namespace, "r"));
      t.match(made.metadata, { name: "r", namespace, generation: 1 });
      t.match(made.metadata.uid, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
      t.match(made.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      t.match(made.metadata.resourceVersion, /^[1-9]\d*$/);
      t.strictSame(await client.get(RESOURCES.rollout, { namespace, name: "r" }), made);
    },
  },
  {
    name: "create: a second object of the name is refused",
    async run(t, { client, namespace }) {
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c"));
      await refused(t, client.create(RESOURCES.configMap, aConfigMap(namespace, "c")), {
        code: CLUSTER_ERRORS.alreadyExists,
        httpStatus: 409,
        reason: "AlreadyExists",
      });
    },
  },
  {
    name: "create: a built-in kind may leave apiVersion and kind to the path, a custom resource may not",
    async run(t, { client, namespace }) {
      const bare = (object: KubeObject): KubeObject => {
        const { apiVersion: _version, kind: _kind, ...rest } = object;
        // Not a whole object, on purpose: what typed clients of other languages send.
        return rest as KubeObject;
      };
      const made = await client.create(RESOURCES.configMap, bare(aConfigMap(namespace, "c", { v: "1" })));
      t.match(made, { apiVersion: "v1", kind: "ConfigMap", data: { v: "1" } });
      const changed = await client.update(RESOURCES.configMap, bare({ ...made, data: { v: "2" } }));
      t.match(changed, { apiVersion: "v1", kind: "ConfigMap", data: { v: "2" } });
      await refused(t, client.create(RESOURCES.rollout, bare(aRollout(namespace, "r"))), {
        code: CLUSTER_ERRORS.invalid,
        httpStatus: 400,
        reason: "BadRequest",
      });
    },
  },
  {
    name: "create: generateName makes names of their own",
    async run(t, { client, namespace }) {
      const template = aConfigMap(namespace, "", {}, { generateName: "gen-" });
      const made = [
        await client.create(RESOURCES.configMap, template),
        await client.create(RESOURCES.configMap, template),
      ];
      for (const { metadata } of made) t.match(metadata.name, /^gen-[a-z0-9]{5}$/);
      t.not(made[0]?.metadata.name, made[1]?.metadata.name);
    },
  },
  {
    name: "create: a name that is none and a namespace that is not there are refused",
    async run(t, { client, namespace }) {
      await refused(t, client.create(RESOURCES.configMap, aConfigMap(namespace, "No_Name")), INVALID);
      await refused(t, client.create(RESOURCES.configMap, aConfigMap("missing-namespace", "c")), NOT_FOUND);
    },
  },
  {
    name: "update: only the version that was read is replaced",
    async run(t, { client, namespace }) {
      const first = await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { v: "1" }));
      const second = await client.update(RESOURCES.configMap, { ...first, data: { v: "2" } });
      t.not(second.metadata.resourceVersion, first.metadata.resourceVersion);
      await refused(t, client.update(RESOURCES.configMap, { ...first, data: { v: "3" } }), CONFLICT);
      t.match(await client.get(RESOURCES.configMap, { namespace, name: "c" }), { data: { v: "2" } });
    },
  },
  {
    name: "update: without a version replaces a ConfigMap, and is refused for custom kinds",
    async run(t, { client, namespace }) {
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { v: "1" }));
      const blind = await client.update(RESOURCES.configMap, aConfigMap(namespace, "c", { w: "2" }));
      t.strictSame(blind.data, { w: "2" });
      await client.create(RESOURCES.rollout, aRollout(namespace, "r"));
      await refused(t, client.update(RESOURCES.rollout, aRollout(namespace, "r")), INVALID);
    },
  },
  {
    name: "update: an object that is not there, and one of another uid, are refused",
    async run(t, { client, namespace }) {
      await refused(t, client.update(RESOURCES.configMap, aConfigMap(namespace, "c")), NOT_FOUND);
      const made = await client.create(RESOURCES.configMap, aConfigMap(namespace, "c"));
      const other = { ...made, metadata: { ...made.metadata, uid: "11111111-2222-3333-4444-555555555555" } };
      await refused(t, client.update(RESOURCES.configMap, other), CONFLICT);
    },
  },
  {
    name: "update: writing what is there already changes no version",
    async run(t, { client, namespace }) {
      const made = await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { v: "1" }));
      const again = await client.update(RESOURCES.configMap, made);
      t.equal(again.metadata.resourceVersion, made.metadata.resourceVersion);
      const ref = { namespace, name: "c" };
      const patched = await client.patch(RESOURCES.configMap, ref, {
        type: "merge",
        body: { data: { v: "1" } },
      });
      t.equal(patched.metadata.resourceVersion, made.metadata.resourceVersion);
    },
  },
  {
    name: "generation: rises with the spec, not with metadata or status",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "r" };
      const generation = async (body: unknown, subresource?: "status"): Promise<number | undefined> => {
        const options = subresource === undefined ? {} : { subresource };
        const patched = await client.patch(RESOURCES.rollout, ref, { type: "merge", body }, options);
        return patched.metadata.generation;
      };
      await client.create(RESOURCES.rollout, aRollout(namespace, "r"));
      t.equal(await generation({ metadata: { labels: { a: "b" } } }), 1);
      t.equal(await generation({ status: { phase: "Healthy" } }, "status"), 1);
      t.equal(await generation({ spec: { replicas: 3 } }), 2);
      t.equal(await generation({ spec: { replicas: 3 } }), 2);
    },
  },
  {
    name: "status: plain writes leave it alone, and its own writes leave the rest alone",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "r" };
      const status = { phase: "Progressing" };
      const made = await client.create(RESOURCES.rollout, { ...aRollout(namespace, "r"), status });
      t.equal(made.status, undefined, "a create drops it");
      await client.patch(
        RESOURCES.rollout,
        ref,
        { type: "merge", body: { status, spec: { replicas: 9 } } },
        { subresource: "status" },
      );
      const spec = { ...Object(made.spec), replicas: 4 };
      const fresh = await client.get(RESOURCES.rollout, ref);
      const { resourceVersion = "" } = fresh?.metadata ?? {};
      const updated = await client.update(RESOURCES.rollout, {
        ...made,
        metadata: { ...made.metadata, resourceVersion },
        spec,
        status: { phase: "Healthy" },
      });
      t.match(updated, { status, spec: { replicas: 4 } });
      const replaced = await client.update(
        RESOURCES.rollout,
        { ...updated, spec: { ...spec, replicas: 7 }, status: { phase: "Healthy" } },
        { subresource: "status" },
      );
      t.match(replaced, { status: { phase: "Healthy" }, spec: { replicas: 4 } });
    },
  },
  {
    name: "delete: carries out its preconditions",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      const made = await client.create(RESOURCES.configMap, aConfigMap(namespace, "c"));
      const { uid = "", resourceVersion = "" } = made.metadata;
      const other = "11111111-2222-3333-4444-555555555555";
      await refused(t, client.delete(RESOURCES.configMap, ref, { uid: other }), CONFLICT);
      await client.patch(RESOURCES.configMap, ref, { type: "merge", body: { data: { v: "2" } } });
      await refused(t, client.delete(RESOURCES.configMap, ref, { resourceVersion }), CONFLICT);
      await client.delete(RESOURCES.configMap, ref, { uid });
      t.equal(await client.get(RESOURCES.configMap, ref), undefined);
      await client.delete(RESOURCES.configMap, ref);
    },
  },
  {
    name: "finalizers: hold a deleted object until the last is gone, and none may be added then",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      const finalizers = ["weir.dev/one", "weir.dev/two"];
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", {}, { finalizers }));
      await client.delete(RESOURCES.configMap, ref);
      const held = await client.get(RESOURCES.configMap, ref);
      t.match(held?.metadata, { finalizers, deletionTimestamp: /Z$/ });
      const patch = (body: unknown): Promise<unknown> =>
        client.patch(RESOURCES.configMap, ref, { type: "merge", body: { metadata: { finalizers: body } } });
      await refused(t, patch([...finalizers, "weir.dev/three"]), INVALID);
      await patch(["weir.dev/two"]);
      t.match(await client.get(RESOURCES.configMap, ref), { metadata: { finalizers: ["weir.dev/two"] } });
      await patch(null);
      await eventually("the object is gone", async () =>
        (await client.get(RESOURCES.configMap, ref)) === undefined ? true : undefined,
      );
      t.equal(await client.get(RESOURCES.configMap, ref), undefined);
    },
  },
  {
    name: "dry run: checks and answers, and writes nothing",
    async run(t, { client, namespace }) {
      const ref = { namespace, name: "c" };
      const write = { dryRun: true };
      const dry = await client.create(RESOURCES.configMap, aConfigMap(namespace, "c"), undefined, write);
      t.equal(dry.metadata.name, "c");
      t.equal(await client.get(RESOURCES.configMap, ref), undefined);
      await refused(
        t,
        client.create(RESOURCES.configMap, aConfigMap(namespace, "No"), undefined, write),
        INVALID,
      );
      await client.create(RESOURCES.configMap, aConfigMap(namespace, "c", { v: "1" }));
      const patch = { type: "merge", body: { data: { v: "2" } } } as const;
      t.match(await client.patch(RESOURCES.configMap, ref, patch, write), { data: { v: "2" } });
      await client.delete(RESOURCES.configMap, ref, write);
      t.match(await client.get(RESOURCES.configMap, ref), { data: { v: "1" } });
    },
  },
];
