// The objects that Rollouts take their pod templates from: watched once somebody refers to them, and told of every change.
import { test } from "tap";
import { type KubeObject, type ResourceType, type Rollout, readRollout } from "../../src/api/api.ts";
import type { StoreListener } from "../../src/cluster/client.ts";
import type { View, Watched } from "../../src/controller/caches.ts";
import { createWorkloads } from "../../src/controller/workloads.ts";

interface Fake extends Watched {
  readonly type: ResourceType | undefined;
  readonly view: View<unknown>;
  readonly objects: Map<string, KubeObject>;
  readonly calls: string[];
  sync(): void;
  tell(object: KubeObject): void;
}

function fake(type?: ResourceType): Fake {
  const listeners = new Set<StoreListener>();
  const objects = new Map<string, KubeObject>();
  const calls: string[] = [];
  const synced = Promise.withResolvers<boolean>();
  // Only these members are asked for.
  const view = {
    store: { get: (key: string) => objects.get(key) },
    subscribe: (listener: StoreListener) => {
      listeners.add(listener);
      return () => undefined;
    },
  } as unknown as View<unknown>;
  return {
    type,
    view,
    objects,
    calls,
    sync: () => synced.resolve(true),
    tell: (object) => {
      const key = `${object.metadata.namespace}/${object.metadata.name}`;
      for (const listener of listeners) listener({ kind: "added", key, object });
    },
    start: () => void calls.push("start"),
    waitForSync: () => synced.promise,
    stop: () => Promise.resolve(void calls.push("stop")),
  };
}

function referring(apiVersion?: string, kind?: string): Rollout {
  const spec = kind === undefined ? {} : { workloadRef: { apiVersion, kind, name: "web" } };
  return readRollout({ apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", metadata: { name: "web" }, spec })
    .value;
}

const DEPLOYMENT: KubeObject = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "shop" },
};

test("workloads: a kind is watched from the first reference on, once", async (t) => {
  const made: Fake[] = [];
  const workloads = createWorkloads(fake().view, (type) => {
    const one = fake(type);
    made.push(one);
    return one;
  });
  t.ok(workloads.isReady(referring()), "a Rollout with a template of its own needs none");
  t.ok(workloads.isReady(referring("apps/v1", "ReplicaSet")), "ReplicaSets are watched anyway");
  t.ok(workloads.isReady(referring("batch/v1", "Job")), "what cannot be referred to is not waited for");
  t.strictSame(made, []);

  const rollout = referring("apps/v1", "Deployment");
  t.notOk(workloads.isReady(rollout), "nothing is said of a kind before it is listed");
  t.notOk(workloads.isReady(rollout));
  const [one] = made;
  t.strictSame([made.length, one?.type?.plural, one?.calls], [1, "deployments", ["start"]]);
  one?.objects.set("shop/web", DEPLOYMENT);
  one?.sync();
  await workloads.ready(rollout, AbortSignal.timeout(10_000));
  t.ok(workloads.isReady(rollout));
  const type = one?.type;
  t.equal(type === undefined ? undefined : workloads.get(type, "shop", "web"), DEPLOYMENT);
  t.ok(workloads.storeOf("Deployment"));
  t.notOk(workloads.storeOf("PodTemplate"));
  await workloads.stop();
  t.strictSame(one?.calls, ["start", "stop"]);
});

test("workloads: every change is told with its kind, ReplicaSets' too", async (t) => {
  const replicaSets = fake();
  const deployments = fake();
  const workloads = createWorkloads(replicaSets.view, () => deployments);
  const heard: string[] = [];
  const end = workloads.subscribe(({ kind }, { metadata }) => heard.push(`${kind} ${metadata.name}`));
  workloads.isReady(referring("apps/v1", "Deployment"));
  deployments.tell(DEPLOYMENT);
  replicaSets.tell({ ...DEPLOYMENT, kind: "ReplicaSet" });
  t.strictSame(heard, ["Deployment web", "ReplicaSet web"]);
  end();
  deployments.tell(DEPLOYMENT);
  t.equal(heard.length, 2);
});

test("workloads: a wait ends with its signal though the kind cannot be listed", async (t) => {
  const workloads = createWorkloads(fake().view, () => fake());
  const abort = new AbortController();
  const waiting = workloads.ready(referring("v1", "PodTemplate"), abort.signal);
  abort.abort();
  await waiting;
  await workloads.ready(referring("v1", "PodTemplate"), abort.signal);
  t.notOk(workloads.isReady(referring("v1", "PodTemplate")));
});
