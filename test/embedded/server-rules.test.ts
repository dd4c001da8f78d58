// Rules of single kinds: what is required, what must not change, and that findings name their fields.
import { test } from "tap";
import {
  type Any,
  type Api,
  configMap,
  PODS,
  pod,
  ROLLOUTS,
  rollout,
  startServer,
} from "./server-support.ts";

const DEFAULT = "/api/v1/namespaces/default";

/** The fields that a refused create names. */
async function refusedFields(api: Api, path: string, body: unknown): Promise<string[]> {
  const { status, body: answer } = await api.post(path, body);
  return status === 422 ? answer.details.causes.map((cause: Any) => cause.field) : [`status ${status}`];
}

test("server rules: names, labels, owners and finalizers keep to Kubernetes' grammar", async (t) => {
  const { api } = await startServer(t);
  const fields = (metadata: Any): Promise<string[]> =>
    refusedFields(api, `${DEFAULT}/configmaps`, configMap("a", {}, metadata));
  t.strictSame(await fields({ name: "" }), ["metadata.name"]);
  t.strictSame(await fields({ name: "a".repeat(254) }), ["metadata.name"]);
  t.strictSame(await fields({ labels: { "bad key": "x" } }), ["metadata.labels"]);
  t.strictSame(await fields({ labels: { key: "bad value" } }), ["metadata.labels"]);
  t.strictSame(await fields({ annotations: { a: "x".repeat(300 * 1024) } }), ["metadata.annotations"]);
  t.strictSame(await fields({ finalizers: ["no good!"] }), ["metadata.finalizers"]);
  t.strictSame(await fields({ ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x" }] }), [
    "metadata.ownerReferences[0].uid",
  ]);
  t.strictSame(await fields({ name: "a.b-c.0", labels: { "weir.dev/x_y.z": "A_b.c-1" } }), ["status 201"]);
});

test("server rules: a Service needs ports with numbers, and names when there are several", async (t) => {
  const { api } = await startServer(t);
  const fields = (spec: Any, name = "web"): Promise<string[]> =>
    refusedFields(api, `${DEFAULT}/services`, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec,
    });
  t.strictSame(await fields({}), ["spec.ports"]);
  t.strictSame(await fields({ ports: [{ port: 70_000 }] }), ["spec.ports[0].port"]);
  t.strictSame(await fields({ ports: [{ port: 80, name: "a" }, { port: 81 }] }), ["spec.ports[1].name"]);
  t.strictSame(await fields({ ports: [{ port: 80 }] }, "1web"), ["metadata.name"]);
  t.strictSame(await fields({ clusterIP: "None" }, "headless"), ["status 201"]);
});

test("server rules: a pod's spec is fixed but for images, grace and its first node", async (t) => {
  const { api } = await startServer(t);
  await api.post(PODS, pod("p"));
  t.equal((await api.patch(`${PODS}/p`, { spec: { terminationGracePeriodSeconds: 5 } })).status, 200);
  t.equal((await api.patch(`${PODS}/p`, { spec: { nodeName: "n1" } })).status, 200);
  const moved = await api.patch(`${PODS}/p`, { spec: { nodeName: "n2" } });
  t.match(moved, {
    status: 422,
    body: { details: { causes: [{ field: "spec", reason: "FieldValueForbidden" }] } },
  });
  const command = await api.patch(`${PODS}/p`, {
    spec: { containers: [{ name: "main", image: "app:1", command: ["x"] }] },
  });
  t.equal(command.status, 422);
});

test("server rules: a binding puts a pod on a node once", async (t) => {
  const { api } = await startServer(t);
  await api.post(PODS, pod("p"));
  const binding = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name: "p" },
    target: { kind: "Node", name: "n1" },
  };
  t.equal((await api.post(`${PODS}/p/binding`, binding)).status, 201);
  const { body } = await api.get(`${PODS}/p`);
  t.match(body, {
    spec: { nodeName: "n1" },
    status: { conditions: [{ type: "PodScheduled", status: "True" }] },
  });
  t.match(await api.post(`${PODS}/p/binding`, binding), { status: 409, body: { reason: "Conflict" } });
});

test("server rules: data of ConfigMaps and Secrets is text or base64, and frozen when immutable", async (t) => {
  const { api } = await startServer(t);
  t.strictSame(await refusedFields(api, `${DEFAULT}/configmaps`, configMap("a", { data: { "a/b": "x" } })), [
    "data[a/b]",
  ]);
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { x: "%%%" } };
  t.strictSame(await refusedFields(api, `${DEFAULT}/secrets`, secret), ["data[x]"]);
  await api.post(`${DEFAULT}/configmaps`, configMap("frozen", { data: { a: "1" }, immutable: true }));
  const thawed = await api.patch(`${DEFAULT}/configmaps/frozen`, { data: { a: "2" } });
  t.match(thawed, { status: 422, body: { details: { causes: [{ field: "data" }] } } });
});

test("server rules: custom kinds are held against their schemas, with the field in the finding", async (t) => {
  const { api } = await startServer(t);
  t.strictSame(await refusedFields(api, ROLLOUTS, rollout("web", { replicas: "three" })), ["spec.replicas"]);
  const step = { canary: { steps: [{ setWeight: "a lot" }] } };
  t.strictSame(await refusedFields(api, ROLLOUTS, rollout("web", { strategy: step })), [
    "spec.strategy.canary.steps[0].setWeight",
  ]);
  const route = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "r" },
    spec: { hostnames: "web.example" },
  };
  t.strictSame(
    await refusedFields(api, "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes", route),
    ["spec.hostnames"],
  );
});

test("server rules: an EndpointSlice has an address type that stays, a Lease a duration above 0", async (t) => {
  const { api } = await startServer(t);
  const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "s" },
    endpoints: [],
  };
  t.strictSame(await refusedFields(api, slices, slice), ["addressType"]);
  const endpoints = [{ addresses: ["127.0.0.1"] }];
  t.equal((await api.post(slices, { ...slice, addressType: "IPv4", endpoints })).status, 201);
  t.equal((await api.patch(`${slices}/s`, { addressType: "IPv6" })).status, 422);
  const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "l" } };
  t.strictSame(await refusedFields(api, leases, { ...lease, spec: { leaseDurationSeconds: 0 } }), [
    "spec.leaseDurationSeconds",
  ]);
});

test("server rules: a status that is written for a built-in kind may carry labels, never spec", async (t) => {
  const { api } = await startServer(t);
  await api.post(PODS, pod("p"));
  const patch = {
    metadata: { annotations: { "weir.dev/ports": "{}" } },
    spec: { nodeName: "n" },
    status: { phase: "Running" },
  };
  const { body } = await api.patch(`${PODS}/p/status`, patch);
  t.match(body, { metadata: { annotations: { "weir.dev/ports": "{}" } }, status: { phase: "Running" } });
  t.equal(body.spec.nodeName, undefined);
});
