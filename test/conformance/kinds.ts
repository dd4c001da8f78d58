// Cases: what single kinds promise: scale, leases, endpoint slices, events, services, custom kinds.
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { CLUSTER_ERRORS } from "../../src/cluster/client.ts";
import { microTime } from "../../src/cluster/lease.ts";
import { aReplicaSet, aRollout, type Case, refused } from "./scene.ts";

const INVALID = { code: CLUSTER_ERRORS.invalid, httpStatus: 422, reason: "Invalid" };

function aSlice(namespace: string, name: string, address: string): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace, labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  };
}

export const KINDS: readonly Case[] = [
  {
    name: "scale: shows and sets the replicas of a Rollout",
    async run(t, { client, namespace }) {
      await client.create(RESOURCES.rollout, aRollout(namespace, "r", 2));
      const body = { status: { HPAReplicas: 2, selector: "app=r" } };
      const ref = { namespace, name: "r" };
      await client.patch(RESOURCES.rollout, ref, { type: "merge", body }, { subresource: "status" });
      const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/rollouts/r/scale`;
      t.match(await client.request("GET", path), {
        apiVersion: "autoscaling/v1",
        kind: "Scale",
        metadata: { name: "r", namespace },
        spec: { replicas: 2 },
        status: { replicas: 2, selector: "app=r" },
      });
      const merge = { type: "merge", body: { spec: { replicas: 5 } } } as const;
      t.match(await client.patch(RESOURCES.rollout, ref, merge, { subresource: "scale" }), {
        spec: { replicas: 5 },
      });
      t.match(await client.get(RESOURCES.rollout, ref), {
        metadata: { generation: 2 },
        spec: { replicas: 5 },
      });
    },
  },
  {
    name: "scale: replaces with a version, and refuses an old one",
    async run(t, { client, namespace }) {
      const path = `/apis/apps/v1/namespaces/${namespace}/replicasets/rs/scale`;
      const made = await client.create(RESOURCES.replicaSet, aReplicaSet(namespace, "rs"));
      const { resourceVersion } = made.metadata;
      const scale = {
        apiVersion: "autoscaling/v1",
        kind: "Scale",
        metadata: { name: "rs", namespace, resourceVersion },
        spec: { replicas: 0 },
      };
      await client.patch(
        RESOURCES.replicaSet,
        { namespace, name: "rs" },
        { type: "merge", body: { metadata: { labels: { a: "b" } } } },
      );
      await refused(t, client.request("PUT", path, { body: scale }), {
        code: CLUSTER_ERRORS.conflict,
        httpStatus: 409,
        reason: "Conflict",
      });
    },
  },
  {
    name: "leases: keep microseconds, and are updated only by version",
    async run(t, { client, namespace }) {
      const renewTime = microTime(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
      const lease = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: "l", namespace },
        spec: { holderIdentity: "a", leaseDurationSeconds: 15, renewTime, leaseTransitions: 0 },
      };
      const made = await client.create(RESOURCES.lease, lease);
      t.match(made.spec, { renewTime: "2026-01-02T03:04:05.678000Z" });
      const taken = { ...made, spec: { ...lease.spec, holderIdentity: "b" } };
      await client.update(RESOURCES.lease, taken);
      await refused(t, client.update(RESOURCES.lease, taken), {
        code: CLUSTER_ERRORS.conflict,
        httpStatus: 409,
        reason: "Conflict",
      });
    },
  },
  {
    name: "endpoint slices: hold pods' addresses",
    async run(t, { client, namespace, server }) {
      const made = await client.create(RESOURCES.endpointSlice, aSlice(namespace, "web-1", "10.244.1.2"));
      t.match(made, { endpoints: [{ addresses: ["10.244.1.2"], conditions: { ready: true } }] });
      const loopback = client.create(RESOURCES.endpointSlice, aSlice(namespace, "web-2", "127.0.0.1"));
      if (server.acceptsLoopbackEndpoints)
        t.match(await loopback, { endpoints: [{ addresses: ["127.0.0.1"] }] });
      else await refused(t, loopback, INVALID);
    },
  },
  {
    name: "replica sets: a selector that the template does not match, and a change of it, are refused",
    async run(t, { client, namespace }) {
      const good = aReplicaSet(namespace, "rs");
      const wrong = { ...good, spec: { ...Object(good.spec), selector: { matchLabels: { app: "other" } } } };
      await refused(t, client.create(RESOURCES.replicaSet, wrong), INVALID);
      await client.create(RESOURCES.replicaSet, good);
      const labels = { app: "rs", more: "x" };
      const body = { spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } } };
      const changed = client.patch(RESOURCES.replicaSet, { namespace, name: "rs" }, { type: "merge", body });
      await refused(t, changed, INVALID);
    },
  },
  {
    name: "services: a service without ports, and a port that is none, are refused",
    async run(t, { client, namespace }) {
      const service = (port: number): KubeObject => ({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "s", namespace },
        spec: { selector: { a: "b" }, ports: [{ port }] },
      });
      await refused(t, client.create(RESOURCES.service, service(70_000)), INVALID);
      const made = await client.create(RESOURCES.service, service(80));
      t.match(made.spec, { ports: [{ port: 80, targetPort: 80, protocol: "TCP" }], type: "ClusterIP" });
    },
  },
  {
    name: "events: are kept with what they are about and found by it",
    async run(t, { client, namespace }) {
      const about = (name: string): KubeObject => ({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: `${name}.1`, namespace },
        involvedObject: {
          kind: "Rollout",
          namespace,
          name,
          uid: `uid-${name}`,
          apiVersion: "argoproj.io/v1alpha1",
        },
        type: "Normal",
        reason: "RolloutUpdated",
        message: "words",
        count: 1,
      });
      for (const name of ["a", "b"]) await client.create(RESOURCES.event, about(name));
      const fieldSelector = "involvedObject.kind=Rollout,involvedObject.name=b,involvedObject.uid=uid-b";
      const { items } = await client.list(RESOURCES.event, { namespace, fieldSelector });
      t.strictSame(
        items.map(({ metadata }) => metadata.name),
        ["b.1"],
      );
    },
  },
  {
    name: "rollouts: a field of the wrong type is refused by name",
    async run(t, { client, namespace }) {
      const rollout = aRollout(namespace, "r");
      const wrong = { ...rollout, spec: { ...Object(rollout.spec), replicas: "three" } };
      await refused(t, client.create(RESOURCES.rollout, wrong), INVALID);
      const error = await client.create(RESOURCES.rollout, wrong).catch((thrown: unknown) => thrown);
      t.match(String(error), /spec\.replicas/);
    },
  },
  {
    name: "analysis runs and templates: are stored and found",
    async run(t, { client, namespace }) {
      const spec = { metrics: [{ name: "m", provider: { web: { url: "http://127.0.0.1/" } } }] };
      const make = (kind: string): KubeObject => ({
        apiVersion: "argoproj.io/v1alpha1",
        kind,
        metadata: { name: "a", namespace },
        spec,
      });
      t.match(await client.create(RESOURCES.analysisTemplate, make("AnalysisTemplate")), { spec });
      const run = await client.create(RESOURCES.analysisRun, make("AnalysisRun"));
      t.match(run, { spec });
      const body = { status: { phase: "Running" } };
      t.match(
        await client.patch(RESOURCES.analysisRun, { namespace, name: "a" }, { type: "merge", body }),
        body,
      );
    },
  },
  {
    name: "experiments: are stored, and their status is written with the object",
    async run(t, { client, namespace }) {
      const labels = { app: "e" };
      const containers = [{ name: "main", image: "web:1" }];
      const template = { metadata: { labels }, spec: { containers } };
      const spec = { templates: [{ name: "baseline", selector: { matchLabels: labels }, template }] };
      const written = { apiVersion: "argoproj.io/v1alpha1", kind: "Experiment" };
      const metadata = { name: "e", namespace };
      t.match(await client.create(RESOURCES.experiment, { ...written, metadata, spec }), { spec });
      const body = { status: { phase: "Running", availableAt: "2026-01-02T03:04:05Z" } };
      const patch = { type: "merge", body } as const;
      t.match(await client.patch(RESOURCES.experiment, { namespace, name: "e" }, patch), body);
    },
  },
];
