// Lists: selectors, pages of one moment, Tables as kubectl prints them.
import fc from "fast-check";
import { test } from "tap";
import {
  type Any,
  type Api,
  CONFIG_MAPS,
  configMap,
  manualClock,
  PODS,
  pod,
  ROLLOUTS,
  rollout,
  startServer,
  TABLE,
} from "./server-support.ts";

const namesOf = (list: { readonly body: Any }): string[] =>
  list.body.items.map((item: Any) => item.metadata.name);
const selected = async (api: Api, labelSelector: string): Promise<string[]> =>
  namesOf(await api.get(`${CONFIG_MAPS}?labelSelector=${encodeURIComponent(labelSelector)}`));

test("server lists: every form of label selector selects what Kubernetes documents", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a", {}, { labels: { app: "web", tier: "front" } }));
  await api.post(CONFIG_MAPS, configMap("b", {}, { labels: { app: "web" } }));
  await api.post(CONFIG_MAPS, configMap("c", {}, { labels: { app: "db", tier: "back" } }));
  await api.post(CONFIG_MAPS, configMap("d"));
  t.strictSame(await selected(api, "app=web"), ["a", "b"]);
  t.strictSame(await selected(api, "app==web,tier=front"), ["a"]);
  t.strictSame(await selected(api, "app!=web"), ["c", "d"]);
  t.strictSame(await selected(api, "tier in (front, back)"), ["a", "c"]);
  t.strictSame(await selected(api, "tier notin (front)"), ["b", "c", "d"]);
  t.strictSame(await selected(api, "tier"), ["a", "c"]);
  t.strictSame(await selected(api, "!tier,app"), ["b"]);
  const wrong = await api.get(`${CONFIG_MAPS}?labelSelector=${encodeURIComponent("a in b")}`);
  t.match(wrong, { status: 400, body: { reason: "BadRequest" } });
});

test("server lists: in and notin split every set of labels in two", async (t) => {
  const { api } = await startServer(t);
  const value = fc.constantFrom("a", "b", "c", undefined);
  const labels = fc.sample(fc.record({ x: value, y: value }), { numRuns: 40, seed: 20_261 });
  for (const [index, set] of labels.entries())
    await api.post(CONFIG_MAPS, configMap(`m${index}`, {}, { labels: JSON.parse(JSON.stringify(set)) }));
  const some = fc.subarray(["a", "b", "c"], { minLength: 1 });
  const property = fc.asyncProperty(some, fc.constantFrom("x", "y"), async (values, key) => {
    const inside = await selected(api, `${key} in (${values.join(",")})`);
    const outside = await selected(api, `${key} notin (${values.join(",")})`);
    const expected = labels.flatMap((set, index) =>
      values.includes(String(set[key as "x"])) ? [`m${index}`] : [],
    );
    return (
      inside.sort().join() === expected.sort().join() && inside.length + outside.length === labels.length
    );
  });
  await fc.assert(property, { numRuns: 30 });
  t.pass("held for 30 random selectors");
});

test("server lists: field selectors select by name, namespace, node, phase and involved object", async (t) => {
  const { api } = await startServer(t);
  await api.post(PODS, pod("p1", {}, { nodeName: "n1" }));
  await api.post(PODS, pod("p2"));
  await api.patch(`${PODS}/p2/status`, { status: { phase: "Running" } });
  t.strictSame(namesOf(await api.get(`${PODS}?fieldSelector=spec.nodeName=n1`)), ["p1"]);
  t.strictSame(namesOf(await api.get(`/api/v1/pods?fieldSelector=status.phase!=Running`)), ["p1"]);
  t.strictSame(namesOf(await api.get(`${PODS}?fieldSelector=metadata.name=p2`)), ["p2"]);
  t.strictSame(
    namesOf(await api.get("/api/v1/pods?fieldSelector=metadata.namespace=default,metadata.name=p2")),
    ["p2"],
  );
  const event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "e" },
    involvedObject: { kind: "Pod", name: "p1", namespace: "default", uid: "u" },
    reason: "Started",
    type: "Normal",
  };
  t.equal((await api.post("/api/v1/namespaces/default/events", event)).status, 201);
  const of = (selector: string): Promise<{ body: Any }> =>
    api.get(`/api/v1/events?fieldSelector=${selector}`);
  t.strictSame(namesOf(await of("involvedObject.uid=u,involvedObject.name=p1,reason=Started")), ["e"]);
  t.strictSame(namesOf(await of("involvedObject.kind=Rollout")), []);
  t.match(await api.get(`${PODS}?fieldSelector=spec.foo=x`), {
    status: 400,
    body: { message: /field label not supported/ },
  });
});

test("server lists: pages are of the moment of the first one, and a token that is gone is 410", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  for (const name of ["a", "b", "c", "d", "e"]) await api.post(CONFIG_MAPS, configMap(name));
  const first = await api.get(`${CONFIG_MAPS}?limit=2`);
  t.strictSame(namesOf(first), ["a", "b"]);
  t.equal(first.body.metadata.remainingItemCount, 3);
  await api.delete(`${CONFIG_MAPS}/d`);
  await api.post(CONFIG_MAPS, configMap("bb"));
  const second = await api.get(`${CONFIG_MAPS}?limit=2&continue=${first.body.metadata.continue}`);
  t.strictSame(namesOf(second), ["c", "d"]);
  t.equal(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion);
  const third = await api.get(`${CONFIG_MAPS}?limit=2&continue=${second.body.metadata.continue}`);
  t.strictSame(namesOf(third), ["e"]);
  t.equal(third.body.metadata.continue, undefined);
  clock.advance(10 * 60_000);
  const late = await api.get(`${CONFIG_MAPS}?limit=2&continue=${first.body.metadata.continue}`);
  t.match(late, { status: 410, body: { reason: "Expired" } });
});

test("server lists: a Table has the columns of the kind and rows that name their objects", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  await api.post(ROLLOUTS, rollout("web", { replicas: 3 }));
  await api.patch(`${ROLLOUTS}/web/status`, {
    status: { replicas: 3, updatedReplicas: 1, availableReplicas: 2 },
  });
  clock.advance(90_000);
  const table = await api.get(ROLLOUTS, TABLE);
  t.match(table.body, { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata: { resourceVersion: /\d+/ } });
  const columns = table.body.columnDefinitions.map((column: Any) => column.name);
  t.strictSame(columns, ["Name", "Desired", "Current", "Up-to-date", "Available", "Age"]);
  const [row] = table.body.rows;
  t.strictSame(row.cells, ["web", 3, 3, 1, 2, "90s"]);
  t.match(row.object, {
    kind: "PartialObjectMetadata",
    apiVersion: "meta.k8s.io/v1",
    metadata: { name: "web" },
  });
  const whole = await api.get(`${ROLLOUTS}?includeObject=Object`, TABLE);
  t.equal(whole.body.rows[0].object.kind, "Rollout");
});

test("server lists: a pod's row tells readiness, state and restarts as kubectl does", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  const containers = [
    { name: "a", image: "a:1" },
    { name: "b", image: "b:1" },
  ];
  const cells = async (status: Any): Promise<Any> => {
    await api.patch(`${PODS}/p/status`, { status });
    return (await api.get(`${PODS}/p`, TABLE)).body.rows[0].cells;
  };
  await api.post(PODS, pod("p", {}, { containers, nodeName: "n" }));
  t.strictSame((await cells({})).slice(0, 4), ["p", "0/2", "Pending", "0"]);
  const running = { name: "a", ready: true, restartCount: 2, state: { running: {} } };
  const finishedAt = new Date(clock.nowMs() - 30_000).toISOString();
  const crashed = {
    name: "b",
    ready: false,
    restartCount: 3,
    state: { waiting: { reason: "CrashLoopBackOff" } },
    lastState: { terminated: { finishedAt } },
  };
  const crash = await cells({ phase: "Running", podIP: "127.0.0.1", containerStatuses: [running, crashed] });
  t.strictSame(crash, [
    "p",
    "1/2",
    "CrashLoopBackOff",
    "5 (30s ago)",
    "0s",
    "127.0.0.1",
    "n",
    "<none>",
    "<none>",
  ]);
  await api.delete(`${PODS}/p`);
  t.equal((await cells({})).at(2), "Terminating");
});

test("server lists: version and discovery tell what is served, in both forms", async (t) => {
  const { api } = await startServer(t);
  const version = (await api.get("/version")).body;
  t.match(version, { major: "1", minor: "36", gitVersion: "v1.36.0+weir" });
  const required =
    "buildDate compiler gitCommit gitTreeState gitVersion goVersion major minor platform".split(" ");
  t.strictSame(Object.keys(version).sort(), required, "clients made from the schema want them all");
  const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const groups = await api.get("/apis", aggregated);
  t.equal(groups.headers["content-type"], aggregated);
  const argo = groups.body.items.find((item: Any) => item.metadata.name === "argoproj.io");
  const rollouts = argo.versions[0].resources.find((resource: Any) => resource.resource === "rollouts");
  t.match(rollouts, { scope: "Namespaced", shortNames: ["ro"], responseKind: { kind: "Rollout" } });
  t.strictSame(
    rollouts.subresources.map((sub: Any) => sub.subresource),
    ["status", "scale"],
  );
  const legacy = await api.get("/apis/argoproj.io/v1alpha1");
  const names = legacy.body.resources.map((resource: Any) => resource.name);
  t.ok(names.includes("rollouts") && names.includes("rollouts/scale"));
  t.match((await api.get("/api")).body, { kind: "APIVersions", versions: ["v1"] });
  t.equal((await api.get("/apis/metrics.k8s.io/v1beta1")).status, 404);
});

test("server lists: every document that OpenAPI v3 lists is there", async (t) => {
  const { api } = await startServer(t);
  const { paths } = (await api.get("/openapi/v3")).body;
  t.ok("apis/argoproj.io/v1alpha1" in paths);
  for (const { serverRelativeURL } of Object.values<Any>(paths)) {
    const document = await api.get(serverRelativeURL);
    t.equal(document.status, 200);
    for (const operations of Object.values<Any>(document.body.paths))
      t.ok(operations.patch["x-kubernetes-group-version-kind"].kind);
  }
  t.match(await api.get("/openapi/v2"), { status: 200, body: { swagger: "2.0", paths: {} } });
});

test("server lists: Deployments can be looked for, but not found or made", async (t) => {
  const { api } = await startServer(t);
  for (const path of ["/apis/apps/v1/deployments", "/apis/apps/v1/namespaces/default/deployments"]) {
    t.match(await api.get(path), {
      status: 200,
      body: { kind: "DeploymentList", apiVersion: "apps/v1", items: [] },
    });
    t.match(await api.post(path, { apiVersion: "apps/v1", kind: "Deployment" }), { status: 404 });
  }
  const initial =
    "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const { events, stop } = api.watch(`/apis/apps/v1/deployments?${initial}`);
  t.match(await events.next(), { value: { type: "BOOKMARK", object: { kind: "Deployment" } } });
  stop();
  t.equal((await api.get("/apis/apps/v1/namespaces/default/deployments/web")).status, 404);
  const served = (await api.get("/apis/apps/v1")).body.resources.map((one: Any) => one.name);
  t.notOk(served.includes("deployments"), "not in the discovery");
});

test("server lists: what it does not do it refuses in a sentence", async (t) => {
  const { api } = await startServer(t);
  await api.post(PODS, pod("p"));
  t.match(await api.post(`${PODS}/p/exec`, {}), { status: 405, body: { message: /^exec is not supported/ } });
  t.match(await api.delete(CONFIG_MAPS), { status: 405, body: { message: /delete objects by name/ } });
  t.match(await api.get("/apis/apps/v1/namespaces/default/daemonsets"), {
    status: 404,
    body: { message: "the server could not find the requested resource" },
  });
  const review = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", { spec: {} });
  t.match(review, { status: 201, body: { status: { allowed: true } } });
});
