// Deletion: preconditions, finalizers, grace of pods, dependents in each policy, namespaces, events that end.
import { test } from "tap";
import { EVENT_TTL_MS, EVENTS_PER_NAMESPACE } from "../../src/embedded/server/events.ts";
import {
  type Any,
  type Api,
  CONFIG_MAPS,
  configMap,
  manualClock,
  PODS,
  pod,
  REPLICA_SETS,
  ROLLOUTS,
  replicaSet,
  rollout,
  startServer,
} from "./server-support.ts";

const ownedBy = (owner: Any, blockOwnerDeletion = true): Any => ({
  ownerReferences: [
    {
      apiVersion: owner.apiVersion,
      kind: owner.kind,
      name: owner.metadata.name,
      uid: owner.metadata.uid,
      controller: true,
      blockOwnerDeletion,
    },
  ],
});
const exists = async (api: Api, path: string): Promise<boolean> => (await api.get(path)).status === 200;

async function family(api: Api, podSpec = {}): Promise<void> {
  const { body: web } = await api.post(ROLLOUTS, rollout("web"));
  const { body: set } = await api.post(REPLICA_SETS, replicaSet("web-1", ownedBy(web)));
  await api.post(PODS, pod("web-1-a", ownedBy(set), podSpec));
}

test("server deletion: what is deleted is gone, told with its uid, and cannot be deleted twice", async (t) => {
  const { api } = await startServer(t);
  const { body } = await api.post(CONFIG_MAPS, configMap("a"));
  const deleted = await api.delete(`${CONFIG_MAPS}/a`);
  t.match(deleted, {
    status: 200,
    body: { status: "Success", details: { name: "a", uid: body.metadata.uid } },
  });
  t.match(await api.delete(`${CONFIG_MAPS}/a`), { status: 404, body: { reason: "NotFound" } });
});

test("server deletion: a precondition that does not hold is a conflict", async (t) => {
  const { api } = await startServer(t);
  await api.post(CONFIG_MAPS, configMap("a"));
  t.match(await api.delete(`${CONFIG_MAPS}/a`, { preconditions: { uid: "other" } }), {
    status: 409,
    body: { reason: "Conflict" },
  });
  t.equal((await api.delete(`${CONFIG_MAPS}/a`, { preconditions: { resourceVersion: "1" } })).status, 409);
  t.ok(await exists(api, `${CONFIG_MAPS}/a`));
});

test("server deletion: a finalizer keeps the object until it is removed, and no new one is taken then", async (t) => {
  const { api } = await startServer(t);
  await api.post(ROLLOUTS, rollout("web", {}, { finalizers: ["weir.dev/hold"] }));
  const { body } = await api.delete(`${ROLLOUTS}/web`);
  t.match(body.metadata, { deletionTimestamp: /Z$/, deletionGracePeriodSeconds: 0, generation: 2 });
  const more = await api.patch(`${ROLLOUTS}/web`, {
    metadata: { finalizers: ["weir.dev/hold", "weir.dev/more"] },
  });
  t.match(more, { status: 422, body: { details: { causes: [{ field: "metadata.finalizers" }] } } });
  t.equal((await api.patch(`${ROLLOUTS}/web`, { metadata: { finalizers: null } })).status, 200);
  t.notOk(await exists(api, `${ROLLOUTS}/web`));
});

test("server deletion: a pod on a node stays for its grace until the agent deletes it for good", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  await api.post(PODS, pod("p", {}, { nodeName: "n", terminationGracePeriodSeconds: 20 }));
  const { body } = await api.delete(`${PODS}/p`);
  t.equal(body.metadata.deletionGracePeriodSeconds, 20);
  t.equal(Date.parse(body.metadata.deletionTimestamp), clock.nowMs() + 20_000);
  const shorter = await api.delete(`${PODS}/p`, { gracePeriodSeconds: 5 });
  t.equal(shorter.body.metadata.deletionGracePeriodSeconds, 5);
  const longer = await api.delete(`${PODS}/p`, { gracePeriodSeconds: 60 });
  t.equal(longer.body.metadata.deletionGracePeriodSeconds, 5);
  await api.delete(`${PODS}/p`, { gracePeriodSeconds: 0 });
  t.notOk(await exists(api, `${PODS}/p`));
});

test("server deletion: a pod without a node goes at once", async (t) => {
  const { api } = await startServer(t);
  await api.post(PODS, pod("p"));
  await api.delete(`${PODS}/p`);
  t.notOk(await exists(api, `${PODS}/p`));
});

test("server deletion: in the background, dependents of every depth follow their owner", async (t) => {
  const { api } = await startServer(t);
  await family(api);
  t.match(await api.delete(`${ROLLOUTS}/web`), { body: { status: "Success" } });
  t.notOk(await exists(api, `${REPLICA_SETS}/web-1`));
  t.notOk(await exists(api, `${PODS}/web-1-a`));
});

test("server deletion: in the foreground, the owner goes after the dependents that block it", async (t) => {
  const { api } = await startServer(t);
  await family(api, { nodeName: "n" });
  const { body } = await api.delete(`${ROLLOUTS}/web`, { propagationPolicy: "Foreground" });
  t.strictSame(body.metadata.finalizers, ["foregroundDeletion"]);
  t.ok((await api.get(`${REPLICA_SETS}/web-1`)).body.metadata.deletionTimestamp);
  t.ok((await api.get(`${PODS}/web-1-a`)).body.metadata.deletionTimestamp);
  await api.delete(`${PODS}/web-1-a`, { gracePeriodSeconds: 0 });
  t.notOk(await exists(api, `${REPLICA_SETS}/web-1`));
  t.notOk(await exists(api, `${ROLLOUTS}/web`));
});

test("server deletion: orphans lose the reference and stay", async (t) => {
  const { api } = await startServer(t);
  await family(api);
  await api.delete(`${ROLLOUTS}/web`, { propagationPolicy: "Orphan" });
  t.notOk(await exists(api, `${ROLLOUTS}/web`));
  const { body } = await api.get(`${REPLICA_SETS}/web-1`);
  t.equal(body.metadata.ownerReferences, undefined);
  t.ok(await exists(api, `${PODS}/web-1-a`));
});

test("server deletion: a dependent with another owner only loses the reference", async (t) => {
  const { api } = await startServer(t);
  const { body: one } = await api.post(CONFIG_MAPS, configMap("one"));
  const { body: two } = await api.post(CONFIG_MAPS, configMap("two"));
  const { controller: _, ...second } = ownedBy(two).ownerReferences[0];
  await api.post(
    CONFIG_MAPS,
    configMap("both", {}, { ownerReferences: [...ownedBy(one).ownerReferences, second] }),
  );
  await api.delete(`${CONFIG_MAPS}/one`);
  const { body } = await api.get(`${CONFIG_MAPS}/both`);
  t.strictSame(
    body.metadata.ownerReferences.map((owner: Any) => owner.name),
    ["two"],
  );
  await api.delete(`${CONFIG_MAPS}/two`);
  t.notOk(await exists(api, `${CONFIG_MAPS}/both`));
});

test("server deletion: an object whose owner does not exist is collected", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  const owner = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "gone", uid: "gone" } };
  t.equal((await api.post(CONFIG_MAPS, configMap("stray", {}, ownedBy(owner)))).status, 201);
  clock.advance(1000);
  t.notOk(await exists(api, `${CONFIG_MAPS}/stray`));
});

test("server deletion: a namespace takes its content along and takes in nothing new meanwhile", async (t) => {
  const { api } = await startServer(t);
  const inside = "/api/v1/namespaces/team/configmaps";
  await api.post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "team" } });
  await api.post(inside, configMap("a"));
  await api.post(inside, configMap("held", {}, { finalizers: ["weir.dev/hold"] }));
  const { body } = await api.delete("/api/v1/namespaces/team");
  t.equal(body.status.phase, "Terminating");
  t.notOk(await exists(api, `${inside}/a`));
  t.match(await api.post(inside, configMap("b")), {
    status: 403,
    body: { reason: "Forbidden", message: /because it is being terminated/ },
  });
  await api.patch(`${inside}/held`, { metadata: { finalizers: null } });
  t.notOk(await exists(api, "/api/v1/namespaces/team"));
});

test("server deletion: the first namespaces stay", async (t) => {
  const { api } = await startServer(t);
  for (const name of ["default", "kube-system", "weir-system"])
    t.match(await api.delete(`/api/v1/namespaces/${name}`), { status: 403, body: { reason: "Forbidden" } });
});

test("server deletion: events end after an hour, and each namespace keeps the newest thousand", async (t) => {
  const clock = manualClock();
  const { api } = await startServer(t, { clock });
  const events = "/api/v1/namespaces/default/events";
  const event = (name: string): Any => ({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name },
    involvedObject: { kind: "Pod", name: "p", namespace: "default" },
  });
  for (let n = 0; n < EVENTS_PER_NAMESPACE + 3; n++) await api.post(events, event(`e${n}`));
  t.equal((await api.get(events)).body.items.length, EVENTS_PER_NAMESPACE);
  t.notOk(await exists(api, `${events}/e2`));
  t.ok(await exists(api, `${events}/e3`));
  clock.advance(EVENT_TTL_MS / 2);
  await api.patch(`${events}/e9`, { count: 2 });
  clock.advance(EVENT_TTL_MS / 2 + 120_000);
  t.strictSame(
    (await api.get(events)).body.items.map((item: Any) => item.metadata.name),
    ["e9"],
  );
});
