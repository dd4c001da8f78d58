// Create, read, update, patch: versions, generation, what the server fills in and what it refuses.
import { test } from "tap";
import {
  CONFIG_MAPS,
  configMap,
  PODS,
  pod,
  REPLICA_SETS,
  ROLLOUTS,
  replicaSet,
  rollout,
  startServer,
} from "./server-support.ts";

test("server: a created object gets uid, time, generation and a resourceVersion", async (t) => {
  const { api } = await startServer(t);
  const created = await api.post(ROLLOUTS, rollout("web", {}, { uid: "mine", generation: 7 }));
  t.equal(created.status, 201);
  const { metadata } = created.body;
  t.match(metadata, { name: "web", namespace: "default", generation: 1 });
  t.match(metadata.uid, /^[0-9a-f-]{36}$/);
  t.match(metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  t.strictSame((await api.get(`${ROLLOUTS}/web`)).body, created.body);
});

test("server: generateName gives a fresh name each time", async (t) => {
  const { api } = await startServer(t);
  const body = { ...configMap(""), metadata: { generateName: "run-" } };
  const first = await api.post(CONFIG_MAPS, body);
  const second = await api.post(CONFIG_MAPS, body);
  t.match(first.body.metadata.name, /^run-[a-z0-9]{5}$/);
  t.not(first.body.metadata.name, second.body.metadata.name);
});

test("server: what is there already, missing, or in a missing namespace is told apart", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  const again = await api.post(CONFIG_MAPS, configMap("a"));
  t.match(again, {
    status: 409,
    body: { reason: "AlreadyExists", message: 'configmaps "a" already exists' },
  });
  const missing = await api.get(`${ROLLOUTS}/nope`);
  t.match(missing, {
    status: 404,
    body: { reason: "NotFound", message: 'rollouts.argoproj.io "nope" not found' },
  });
  const nowhere = await api.post("/api/v1/namespaces/gone/configmaps", configMap("a"));
  t.match(nowhere, { status: 404, body: { message: 'namespaces "gone" not found' } });
});

test("server: an update from an old resourceVersion is a conflict and changes nothing", async (t) => {
  const { api } = await startServer(t);
  const { body: first } = await api.post(CONFIG_MAPS, configMap("a", { data: { x: "1" } }));
  const { body: second } = await api.put(`${CONFIG_MAPS}/a`, { ...first, data: { x: "2" } });
  t.ok(Number(second.metadata.resourceVersion) > Number(first.metadata.resourceVersion));
  const stale = await api.put(`${CONFIG_MAPS}/a`, { ...first, data: { x: "3" } });
  t.match(stale, { status: 409, body: { reason: "Conflict" } });
  t.match(
    stale.body.message,
    /^Operation cannot be fulfilled on configmaps "a": the object has been modified/,
  );
  t.strictSame((await api.get(`${CONFIG_MAPS}/a`)).body, second);
});

test("server: a patch names a resourceVersion or works on what is there", async (t) => {
  const { api } = await startServer(t);
  const { body: first } = await api.post(CONFIG_MAPS, configMap("a"));
  t.equal((await api.patch(`${CONFIG_MAPS}/a`, { data: { x: "1" } })).status, 200);
  const stale = { metadata: { resourceVersion: first.metadata.resourceVersion }, data: { x: "2" } };
  t.match(await api.patch(`${CONFIG_MAPS}/a`, stale), { status: 409, body: { reason: "Conflict" } });
});

test("server: updates of custom kinds and leases must name a resourceVersion, others need not", async (t) => {
  const { api } = await startServer(t);
  await api.post(ROLLOUTS, rollout("web"));
  await api.post(CONFIG_MAPS, configMap("a"));
  const refused = await api.put(`${ROLLOUTS}/web`, rollout("web"));
  t.match(refused, { status: 422, body: { details: { causes: [{ field: "metadata.resourceVersion" }] } } });
  t.equal((await api.put(`${CONFIG_MAPS}/a`, configMap("a", { data: { y: "1" } }))).status, 200);
});

test("server: a write that changes nothing keeps the resourceVersion", async (t) => {
  const { api } = await startServer(t);
  const { body: before } = await api.post(ROLLOUTS, rollout("web", {}, { labels: { a: "b" } }));
  const after = await api.patch(`${ROLLOUTS}/web`, {
    metadata: { labels: { a: "b" } },
    spec: { replicas: 1 },
  });
  t.strictSame(after.body, before);
  t.strictSame((await api.put(`${ROLLOUTS}/web`, before)).body, before);
});

test("server: generation grows with the spec, not with labels or status", async (t) => {
  const { api } = await startServer(t);
  await api.post(ROLLOUTS, rollout("web"));
  const spec = await api.patch(`${ROLLOUTS}/web`, { spec: { replicas: 3 } });
  t.equal(spec.body.metadata.generation, 2);
  const labels = await api.patch(`${ROLLOUTS}/web`, { metadata: { labels: { a: "b" } } });
  t.equal(labels.body.metadata.generation, 2);
  const status = await api.patch(`${ROLLOUTS}/web/status`, { status: { phase: "Healthy" } });
  t.equal(status.body.metadata.generation, 2);
  t.equal(status.body.status.phase, "Healthy");
});

test("server: plain writes leave status alone, status writes leave the rest alone", async (t) => {
  const { api } = await startServer(t);
  const created = await api.post(ROLLOUTS, { ...rollout("web"), status: { phase: "Healthy" } });
  t.equal(created.body.status, undefined);
  await api.patch(`${ROLLOUTS}/web/status`, { spec: { replicas: 9 }, status: { phase: "Paused" } });
  const plain = await api.patch(`${ROLLOUTS}/web`, { spec: { replicas: 2 }, status: { phase: "Degraded" } });
  t.match(plain.body, { spec: { replicas: 2 }, status: { phase: "Paused" } });
});

test("server: an AnalysisRun has no status subresource, so its status is written with it", async (t) => {
  const { api } = await startServer(t);
  const path = "/apis/argoproj.io/v1alpha1/namespaces/default/analysisruns";
  const run = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisRun",
    metadata: { name: "r" },
    spec: { metrics: [] },
  };
  await api.post(path, { ...run, status: { phase: "Pending" } });
  t.match(await api.patch(`${path}/r`, { status: { phase: "Running" } }), {
    body: { status: { phase: "Running" } },
  });
  t.equal((await api.patch(`${path}/r/status`, {})).status, 404);
});

test("server: the defaults of Kubernetes are filled in for built-in kinds", async (t) => {
  const { api } = await startServer(t);
  const created = await api.post(PODS, pod("p"));
  t.match(created.body, {
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      containers: [{ imagePullPolicy: "IfNotPresent" }],
    },
    status: { phase: "Pending" },
  });
  const set = await api.post(REPLICA_SETS, replicaSet("rs"));
  t.match(set.body, { spec: { replicas: 1, template: { spec: { restartPolicy: "Always" } } } });
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { password: "x" } };
  const stored = await api.post("/api/v1/namespaces/default/secrets", secret);
  t.match(stored.body, { type: "Opaque", data: { password: "eA==" } });
  t.notOk("stringData" in stored.body);
});

test("server: findings name every field that is wrong", async (t) => {
  const { api } = await startServer(t);
  const wrong = await api.post(PODS, pod("Bad_Name", {}, { containers: [{ image: "a" }, { name: "b" }] }));
  t.equal(wrong.status, 422);
  t.match(wrong.body, { reason: "Invalid", details: { name: "Bad_Name", kind: "Pod" } });
  const fields = wrong.body.details.causes.map((cause: { field: string }) => cause.field);
  t.strictSame(fields, ["metadata.name", "spec.containers[0].name", "spec.containers[1].image"]);
  t.match(wrong.body.message, /^Pod "Bad_Name" is invalid: \[metadata\.name: Invalid value: "Bad_Name"/);
});

test("server: selectors of ReplicaSets and Rollouts do not change, and must select their template", async (t) => {
  const { api } = await startServer(t);
  await api.post(ROLLOUTS, rollout("web"));
  const moved = await api.patch(`${ROLLOUTS}/web`, { spec: { selector: { matchLabels: { app: "other" } } } });
  t.match(moved, { status: 422, body: { details: { causes: [{ field: "spec.selector" }] } } });
  const set = replicaSet("rs", {}, { selector: { matchLabels: { app: "other" } } });
  t.match(await api.post(REPLICA_SETS, set), {
    status: 422,
    body: { details: { causes: [{ field: "spec.template.metadata.labels" }] } },
  });
});

test("server: a dry run answers as the write would and leaves nothing behind", async (t) => {
  const { api } = await startServer(t);
  const before = (await api.get(CONFIG_MAPS)).body.metadata.resourceVersion;
  const tried = await api.post(`${CONFIG_MAPS}?dryRun=All`, configMap("a"));
  t.match(tried, { status: 201, body: { metadata: { name: "a", resourceVersion: undefined } } });
  t.equal((await api.post(`${CONFIG_MAPS}?dryRun=All`, configMap("A"))).status, 422);
  t.equal((await api.get(`${CONFIG_MAPS}/a`)).status, 404);
  await api.post(CONFIG_MAPS, configMap("b"));
  t.equal((await api.delete(`${CONFIG_MAPS}/b`, { dryRun: ["All"] })).status, 200);
  const kept = await api.get(`${CONFIG_MAPS}/b`);
  t.equal(kept.body.metadata.resourceVersion, String(Number(before) + 1));
});

test("server: unknown fields of argoproj kinds are refused, warned of or kept, as the client asks", async (t) => {
  const { api } = await startServer(t);
  const body = rollout("web", { speed: "fast" });
  const strict = await api.post(`${ROLLOUTS}?fieldValidation=Strict`, body);
  t.match(strict, { status: 400, body: { message: 'strict decoding error: unknown field "spec.speed"' } });
  const warned = await api.post(ROLLOUTS, body);
  t.match(warned.headers.warning, /^299 - "unknown field \\"spec\.speed\\""$/);
  t.equal((await api.get(`${ROLLOUTS}/web`)).body.spec.speed, "fast");
});

test("server: JSON patch, merge patch and strategic merge each do what their format says", async (t) => {
  const { api } = await startServer(t);
  await api.post(PODS, pod("p", { labels: { a: "1" } }));
  const json = [{ op: "replace", path: "/metadata/labels/a", value: "2" }];
  const patched = await api.call("PATCH", `${PODS}/p`, json, "application/json-patch+json");
  t.equal(patched.body.metadata.labels.a, "2");
  const failed = await api.call(
    "PATCH",
    `${PODS}/p`,
    [{ op: "test", path: "/kind", value: "x" }],
    "application/json-patch+json",
  );
  t.match(failed, { status: 422, body: { reason: "Invalid" } });
  const strategic = { spec: { containers: [{ name: "main", image: "app:2" }] } };
  const merged = await api.call("PATCH", `${PODS}/p`, strategic, "application/strategic-merge-patch+json");
  t.match(merged.body.spec.containers, [{ name: "main", image: "app:2", terminationMessagePolicy: "File" }]);
});

test("server: patch formats that it does not take are refused with a way out", async (t) => {
  const { api } = await startServer(t);
  await api.post(ROLLOUTS, rollout("web"));
  const strategic = await api.call("PATCH", `${ROLLOUTS}/web`, {}, "application/strategic-merge-patch+json");
  t.match(strategic, { status: 415, body: { reason: "UnsupportedMediaType" } });
  t.match(strategic.body.message, /kubectl patch --type merge/);
  const apply = await api.call("PATCH", `${ROLLOUTS}/web`, {}, "application/apply-patch+yaml");
  t.match(apply.body.message, /server-side apply is not supported/);
  const proto = await api.call("POST", ROLLOUTS, "k8s", "application/vnd.kubernetes.protobuf");
  t.match(proto, { status: 415, body: { message: /built-in kinds as protobuf, this one as JSON only/ } });
});

test("server: scale reads and writes the count of Rollouts and ReplicaSets", async (t) => {
  const { api } = await startServer(t);
  await api.post(ROLLOUTS, rollout("web", { replicas: 2 }));
  await api.patch(`${ROLLOUTS}/web/status`, { status: { HPAReplicas: 2, selector: "app=web" } });
  const scale = await api.get(`${ROLLOUTS}/web/scale`);
  t.match(scale.body, {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    spec: { replicas: 2 },
    status: { replicas: 2, selector: "app=web" },
  });
  t.match((await api.patch(`${ROLLOUTS}/web/scale`, { spec: { replicas: 5 } })).body.spec, { replicas: 5 });
  t.match((await api.get(`${ROLLOUTS}/web`)).body, { spec: { replicas: 5 }, metadata: { generation: 2 } });
  const stale = await api.put(`${ROLLOUTS}/web/scale`, { ...scale.body, spec: { replicas: 7 } });
  t.match(stale, { status: 409, body: { reason: "Conflict" } });
  t.equal((await api.patch(`${ROLLOUTS}/web/scale`, { spec: { replicas: -1 } })).status, 422);
});

test("server: a body of the wrong kind, name or namespace is a bad request", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  t.equal((await api.post(CONFIG_MAPS, pod("a"))).status, 400);
  t.equal((await api.put(`${CONFIG_MAPS}/a`, configMap("b"))).status, 400);
  t.equal((await api.post(CONFIG_MAPS, configMap("c", {}, { namespace: "other" }))).status, 400);
  t.match(await api.call("POST", CONFIG_MAPS, "{"), { status: 400, body: { reason: "BadRequest" } });
});
